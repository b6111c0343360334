"""Oversights that no gradient shows: names that set nothing, weights that are no parameters, hooks that pile up.

Each is looked for in the modules that are trained, at some of the passes; the source then says at which line it is.
"""

import difflib
import re
from itertools import pairwise

from wengert.lens import idioms, source
from wengert.lens.reasons import shown
from wengert.lens.sites import source_line
from wengert.lens.story import fingerprint
from wengert.tensor import Tensor

# What weights are called, and how they are made: a tensor of such a name, so made, was meant to be trained.
WEIGHTS = re.compile(
    r"w|weights?|w_?\d|b|bias(es)?|scale|gain|gamma|beta|shift|temperature|query|cls_token|mask_token|pos_(emb\w*|enc\w*)"
    r"|position\w*_emb\w*|latents?|queries|slots|prefix|prompts?|log_std|log_sigma|logit_scale|embeddings?|prototypes"
    r"|codebook",
    re.IGNORECASE,
)
BUFFERS = re.compile(
    r"weight|bias|gamma|beta|scale|temperature|cls_token|mask_token|pos_emb\w*|logit_scale|prompts?|latents?|queries"
)
GIVEN = re.compile(r",\s*torch\.(zeros|ones|randn|rand)\(")
MADE = re.compile(r"\b(randn|rand|zeros|ones|empty|full|normal|uniform)\b")

# Words by which a program says that something is to stay as it is.
LEFT_ALONE = re.compile(
    r"pretrain|froze|freez|prob(e|ing)\b|fine.?tun|transfer.?learn|\bfixed.(random|feature|encoder|backbone|weight)|lora\b|adapter|reservoir|random.(feature|proj)"
    r"|non.?trainable|not trained|linear.eval|bitfit",
    re.IGNORECASE,
)


class Oversights:
    """What was seen of the modules of one program."""

    def __init__(self):
        self.misspelt = {}  # attribute -> names of the modules or parameters that have it
        self.plain = {}  # (class, attribute) -> [its fingerprint, times seen, whether it is a buffer]
        self.hooks = {}  # id of a module -> numbers of its hooks, over the passes that were looked at
        self.most_hooks = []

    def look_at(self, modules):
        for module in modules:
            for part in module.modules():
                self.look_for_names(part)
                if type(part).__module__.partition(".")[0] != "wengert":
                    self.look_for_plain(part)
                count = len(part._forward_hooks) + len(part._forward_pre_hooks) + len(part._backward_hooks)
                counts = self.hooks.setdefault(id(part), [])
                if count or counts:
                    counts.append(count)
                    self.most_hooks = max(self.most_hooks, counts, key=len)

    def look_for_names(self, part):
        own = [key for key, value in part.__dict__.items() if value is False and is_misspelt(key, ("requires_grad",))]
        for key in own:
            self.misspelt.setdefault(key, set()).update(id(p) for p in part.parameters())
        for p in part._parameters.values():
            if p is None:
                continue
            for key, value in p.__dict__.items():
                if value is False and is_misspelt(key, ()):
                    self.misspelt.setdefault(key, set()).add(id(p))

    def look_for_plain(self, part):
        found = [(key, value, False) for key, value in part.__dict__.items() if isinstance(value, Tensor)]
        found += [(key, value, True) for key, value in part._buffers.items() if value is not None]
        for key, value, buffer in found:
            if not (BUFFERS if buffer else WEIGHTS).fullmatch(key) or not value.dtype.is_floating_point:
                continue
            if value._node is not None or value._origin is not None or value._array.size < 2:
                continue
            now = fingerprint(value)
            seen = self.plain.setdefault((type(part), key), [now, 0, buffer])
            seen[1] = seen[1] + 1 if seen[0] == now else -1000  # it is updated otherwise

    # --- what it comes to -----------------------------------------------------------------------------------------

    def findings(self, filenames, trained):
        """(kind, sentence, (file, line)) of each; `trained` are ids of the parameters that an optimizer moved."""
        yield from self.of_misspelt(filenames, trained)
        yield from self.of_plain()
        yield from self.of_hooks(filenames)

    def of_misspelt(self, filenames, trained):
        for key, owners in self.misspelt.items():
            place = source.attribute_given(filenames, key)
            if place is not None and owners & trained:
                remedy = "requires_grad_(False)" if key == "requires_grad" else "`requires_grad`"
                what = "a module has no such switch" if key == "requires_grad" else "no tensor has that attribute"
                yield "no-grad", f"{shown(*place)} freezes nothing: {what}. {remedy} is meant.", place

    def of_plain(self):
        for (kind, key), (_, times, buffer) in self.plain.items():
            if times < 2:
                continue
            filename = kind.forward.__code__.co_filename
            given = idioms.buffer_given if buffer else source.assignment_in_class
            place = given(filename, kind.__name__, key)
            text = "" if place is None else source_line(*place)
            made = (GIVEN if buffer else MADE).search(text)
            if made is None or source.texts_match([filename], LEFT_ALONE):
                continue
            what = "a buffer" if buffer else "a plain tensor"
            yield (
                "no-grad",
                f"`{kind.__name__}.{key}` is never trained: {shown(*place)} makes it {what}, which gets no "
                "gradient. Make it an nn.Parameter.",
                place,
            )

    def of_hooks(self, filenames):
        counts = self.most_hooks
        if len(counts) < 4 or not all(a < b for a, b in pairwise(counts)):
            return
        for filename, _, call in source.calls_in(filenames):
            if source.name_called(call).startswith("register_") and source.name_called(call).endswith("hook"):
                place = filename, call.lineno
                sentence = (
                    f"Hooks pile up: {shown(*place)} is run again and again, and {counts[-1]} hooks are called by now. "
                    "Register once, or remove the handle."
                )
                yield "leak", sentence, place
                return


def is_misspelt(key, also):
    """Whether an attribute's name seems to stand for `requires_grad` and is not it."""
    if key.startswith("_") or key in also:
        return key in also
    return (
        "grad" in key
        and key not in ("requires_grad", "grad")
        and bool(difflib.get_close_matches(key, ["requires_grad"], cutoff=0.8))
    )
