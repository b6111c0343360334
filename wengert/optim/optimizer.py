"""Optimizers: groups of parameters, state per parameter, and a step.

`Optimizer` is the bookkeeping that every optimizer shares, and the class to derive one's own from.
`ArrayOptimizer` adds the loop: a subclass states its starting values and one update formula on plain arrays,
`_update(group, step, p, g, *state)`, which changes p and the state in place. Arithmetic on arrays rather than on
Tensors is what makes a step cheap: no recording, no promotion, no allocation (`_scratch` keeps the temporaries).
"""

import itertools
import math
import warnings
from collections import OrderedDict, defaultdict
from collections.abc import Iterable
from copy import deepcopy
from functools import partial, wraps
from types import MappingProxyType
from typing import Any

import numpy as np

import wengert
from wengert.autograd.graph import rare
from wengert.autograd.views import bump
from wengert.kernels import choices
from wengert.tensor import Tensor
from wengert.utils.hooks import RemovableHandle

from .packing import make_packs

__all__ = [
    "Optimizer",
    "register_optimizer_step_pre_hook",
    "register_optimizer_step_post_hook",
]

_global_optimizer_pre_hooks = OrderedDict()
_global_optimizer_post_hooks = OrderedDict()


class _RequiredParameter:
    """Stands in `defaults` for an option that every parameter group must give."""

    def __repr__(self):
        return "<required parameter>"


required = _RequiredParameter()


def _register(hooks, hook, prepend=False):
    handle = RemovableHandle(hooks)
    hooks[handle.id] = hook
    if prepend:
        hooks.move_to_end(handle.id, last=False)
    return handle


def register_optimizer_step_pre_hook(hook):
    """Call `hook(optimizer, args, kwargs)` before every optimizer's step."""
    return _register(_global_optimizer_pre_hooks, hook)


def register_optimizer_step_post_hook(hook):
    """Call `hook(optimizer, args, kwargs)` after every optimizer's step."""
    return _register(_global_optimizer_post_hooks, hook)


_HOOK_TABLES = (
    "_optimizer_step_pre_hooks",
    "_optimizer_step_post_hooks",
    "_optimizer_state_dict_pre_hooks",
    "_optimizer_state_dict_post_hooks",
    "_optimizer_load_state_dict_pre_hooks",
    "_optimizer_load_state_dict_post_hooks",
)


def _with_step_hooks(step):
    """`step`, with the registered hooks before and after it."""

    @wraps(step)
    def hooked(*args, **kwargs):
        self = args[0]
        self._opt_called = True  # a learning-rate schedule asks whether the optimizer steps first
        if not (
            self._optimizer_step_pre_hooks
            or self._optimizer_step_post_hooks
            or _global_optimizer_pre_hooks
            or _global_optimizer_post_hooks
        ):
            return step(*args, **kwargs)
        for hook in (*_global_optimizer_pre_hooks.values(), *self._optimizer_step_pre_hooks.values()):
            replaced = hook(self, args, kwargs)
            if replaced is None:
                continue
            if not (isinstance(replaced, tuple) and len(replaced) == 2):
                raise RuntimeError(f"{step} must return None or a tuple of (new_args, new_kwargs), but got {replaced}.")
            args, kwargs = replaced
        out = step(*args, **kwargs)
        for hook in (*self._optimizer_step_post_hooks.values(), *_global_optimizer_post_hooks.values()):
            hook(self, args, kwargs)
        return out

    hooked.hooked = True
    return hooked


def scalar(value):
    """A hyperparameter as a Python number: learning rates and betas may be given as one-element Tensors."""
    return value.item() if isinstance(value, Tensor) else value


class Optimizer:
    """Base class of all optimizers.

    Arguments: `params`, an iterable of Tensors, of (name, Tensor) pairs, or of dicts with "params" and options of
    their own; `defaults`, the options of groups that don't give them.
    """

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        step = cls.__dict__.get("step")
        if step is not None and not getattr(step, "hooked", False):
            cls.step = _with_step_hooks(step)

    def _patch_step_function(self):
        """Have the step of this class run the registered hooks; for classes with an `__init__` quite of their own."""
        cls = type(self)
        if not getattr(cls.step, "hooked", False):
            cls.step = _with_step_hooks(cls.step)

    def __init__(self, params, defaults):
        self.defaults = defaults
        for table in _HOOK_TABLES:
            setattr(self, table, OrderedDict())
        if isinstance(params, Tensor):
            raise TypeError(
                "params argument given to the optimizer should be an iterable of Tensors or dicts, but got "
                + wengert.typename(params)
            )
        self.state = defaultdict(dict)
        self.param_groups = []
        groups = list(params)
        if not groups:
            raise ValueError("optimizer got an empty parameter list")
        if not isinstance(groups[0], dict):
            groups = [{"params": groups}]
        for group in groups:
            self.add_param_group(group)

    def __getstate__(self):
        return {"defaults": self.defaults, "state": self.state, "param_groups": self.param_groups}

    def __setstate__(self, state):
        self.__dict__.update(state)
        for table in _HOOK_TABLES:
            self.__dict__.setdefault(table, OrderedDict())
        self.defaults.setdefault("differentiable", False)

    def __repr__(self):
        lines = [type(self).__name__ + " ("]
        for i, group in enumerate(self.param_groups):
            lines.append(f"Parameter Group {i}")
            lines += [f"    {key}: {group[key]}" for key in sorted(group) if key != "params"]
        return "\n".join(lines) + "\n)"

    # ---------------------------------------------------------------- hooks

    def register_step_pre_hook(self, hook):
        """Call `hook(optimizer, args, kwargs)` before each step; it may return new (args, kwargs)."""
        return _register(self._optimizer_step_pre_hooks, hook)

    def register_step_post_hook(self, hook):
        """Call `hook(optimizer, args, kwargs)` after each step."""
        return _register(self._optimizer_step_post_hooks, hook)

    def register_state_dict_pre_hook(self, hook, prepend=False):
        """Call `hook(optimizer)` before `state_dict`."""
        return _register(self._optimizer_state_dict_pre_hooks, hook, prepend)

    def register_state_dict_post_hook(self, hook, prepend=False):
        """Call `hook(optimizer, state_dict)` after `state_dict`; a returned one replaces it."""
        return _register(self._optimizer_state_dict_post_hooks, hook, prepend)

    def register_load_state_dict_pre_hook(self, hook, prepend=False):
        """Call `hook(optimizer, state_dict)` before `load_state_dict`; a returned one replaces it."""
        return _register(self._optimizer_load_state_dict_pre_hooks, hook, prepend)

    def register_load_state_dict_post_hook(self, hook, prepend=False):
        """Call `hook(optimizer)` after `load_state_dict`."""
        return _register(self._optimizer_load_state_dict_post_hooks, hook, prepend)

    # ---------------------------------------------------------------- parameter groups

    def add_param_group(self, param_group):
        """Add a dict of "params" and options.

        Raises TypeError for anything but Tensors in an ordered collection, ValueError for non-leaf Tensors, for a
        parameter that another group has, and for groups that mix named and unnamed parameters.
        """
        if not isinstance(param_group, dict):
            raise TypeError(f"param_group must be a dict, but got {type(param_group)}")
        params = param_group["params"]
        if isinstance(params, set):
            raise TypeError(
                "optimizer parameters need to be organized in ordered collections, but the ordering of tensors in "
                "sets will change between runs. Please use a list instead."
            )
        params = [params] if isinstance(params, Tensor) else list(params)
        names = [p[0] for p in params if isinstance(p, tuple)]
        params = [p[1] if isinstance(p, tuple) else p for p in params]
        if names and len(names) != len(params):
            raise ValueError("all optimizer params should be with/without names. Some param names are missing")
        param_group["params"] = params
        if names:
            param_group["param_names"] = names
        self._check_params(params)
        for name, default in self.defaults.items():
            if default is required and name not in param_group:
                raise ValueError(f"parameter group didn't specify a value of required optimization parameter {name}")
            param_group.setdefault(name, default)
        self._check_against_other_groups(param_group)
        self.param_groups.append(param_group)
        if rare.active:
            for observe in rare.on_result:
                observe("optimizer", (self,), None, None)

    def _check_params(self, params):
        for param in params:
            if not isinstance(param, Tensor):
                raise TypeError(
                    "optimizer can only optimize Tensors, but one of the params is " + wengert.typename(param)
                )
            if not self.defaults.get("differentiable") and not (param.is_leaf or param.retains_grad):
                raise ValueError("can't optimize a non-leaf Tensor")
        if len({id(p) for p in params}) != len(params):
            warnings.warn(
                "optimizer contains a parameter group with duplicate parameters; in future, this will cause an "
                "error; see github.com/pytorch/pytorch/issues/40967 for more information",
                stacklevel=4,
            )

    def _check_against_other_groups(self, param_group):
        for group in self.param_groups:
            if ("param_names" in param_group) != ("param_names" in group):
                which = "with names" if "param_names" in param_group else "without names"
                raise ValueError(
                    "all optimizer param groups should be with/without names. "
                    f"cannot add param group {which} to the optimizer"
                )
        known = {id(p) for group in self.param_groups for p in group["params"]}
        if not known.isdisjoint(id(p) for p in param_group["params"]):
            raise ValueError("some parameters appear in more than one parameter group")

    # ---------------------------------------------------------------- saving and loading

    def state_dict(self):
        """The state by parameter number, and the groups with parameter numbers for parameters."""
        for hook in self._optimizer_state_dict_pre_hooks.values():
            hook(self)
        numbers = {}
        for param in itertools.chain.from_iterable(group["params"] for group in self.param_groups):
            numbers.setdefault(id(param), len(numbers))
        groups = []
        for group in self.param_groups:
            packed = {k: v for k, v in group.items() if k != "params"}
            packed["params"] = [numbers[id(p)] for p in group["params"]]
            groups.append(packed)
        state = {(numbers[id(k)] if isinstance(k, Tensor) else k): v for k, v in self.state.items()}
        result = {"state": state, "param_groups": groups}
        for hook in self._optimizer_state_dict_post_hooks.values():
            replaced = hook(self, result)
            result = result if replaced is None else replaced
        return result

    @staticmethod
    def _process_value_according_to_param_policy(param, value, param_id, param_groups, key=None):
        """A loaded state tensor in the dtype of its parameter; step counts keep theirs."""
        group = next((g for g in param_groups if param_id in g["params"]), {})
        if key == "step":
            if group.get("capturable") or group.get("fused"):
                return value.to(dtype=wengert.float32, device=param.device)
            return value
        if param.is_floating_point():
            return value.to(dtype=param.dtype, device=param.device)
        return value.to(device=param.device)

    def load_state_dict(self, state_dict):
        """Take over state and options from `state_dict`; parameters correspond by position.

        Raises ValueError if the groups differ in number or size.
        """
        state_dict = state_dict.copy()
        for hook in self._optimizer_load_state_dict_pre_hooks.values():
            replaced = hook(self, state_dict)
            state_dict = state_dict if replaced is None else replaced
        saved_groups = deepcopy(state_dict["param_groups"])
        if len(saved_groups) != len(self.param_groups):
            raise ValueError("loaded state dict has a different number of parameter groups")
        pairs = list(zip(self.param_groups, saved_groups, strict=True))
        if any(len(group["params"]) != len(saved["params"]) for group, saved in pairs):
            raise ValueError(
                "loaded state dict contains a parameter group that doesn't match the size of optimizer's group"
            )
        by_number = {
            number: param
            for group, saved in pairs
            for param, number in zip(group["params"], saved["params"], strict=True)
        }

        def cast(param, value, number, key=None):
            if isinstance(value, Tensor):
                return Optimizer._process_value_according_to_param_policy(
                    param, value, number, state_dict["param_groups"], key
                )
            if isinstance(value, dict):
                return {k: cast(param, v, number, k) for k, v in value.items()}
            if isinstance(value, Iterable) and not isinstance(value, str | bytes):
                return type(value)(cast(param, v, number) for v in value)
            return value

        state = defaultdict(dict)
        for key, value in state_dict["state"].items():
            if key in by_number:
                state[by_number[key]] = cast(by_number[key], value, key)
            else:
                state[key] = value
        groups = []
        for group, saved in pairs:
            saved["params"] = group["params"]
            if "param_names" in group and "param_names" not in saved:
                saved["param_names"] = group["param_names"]
            groups.append(saved)
        self.__setstate__({"state": state, "param_groups": groups})
        for hook in self._optimizer_load_state_dict_post_hooks.values():
            hook(self)

    # ---------------------------------------------------------------- stepping

    def zero_grad(self, set_to_none=True):
        """Drop the gradient of every parameter, or (`set_to_none=False`) fill it with zeros."""
        if rare.active:
            for observe in rare.on_result:
                observe("zero_grad", (), self, None)
        for group in self.param_groups:
            for p in group["params"]:
                if set_to_none:
                    p.grad = None
                elif p.grad is not None:
                    if p.grad.grad_fn is not None:
                        p.grad.detach_()
                    else:
                        p.grad.requires_grad_(False)
                    p.grad.zero_()

    def step(self, closure=None):
        """Update the parameters once; `closure` computes the loss anew."""
        raise NotImplementedError(f"{type(self).__name__} does not define step")


def check_nonnegative(**options):
    """Raise ValueError unless each option is a number ≥ 0 (and not NaN)."""
    labels = {"lr": "learning rate"}
    for name, value in options.items():
        if not value >= 0.0:
            label = labels.get(name, f"{name.replace('eps', 'epsilon') if name == 'eps' else name} value")
            raise ValueError(f"Invalid {label}: {value}")


def check_lr(lr, foreach=False):
    """Raise ValueError unless `lr` is a number ≥ 0 or a one-element Tensor of one."""
    if isinstance(lr, Tensor):
        if foreach:
            raise ValueError("lr as a Tensor is not supported for capturable=False and foreach=True")
        if lr.numel() != 1:
            raise ValueError("Tensor lr must be 1-element")
    if not lr >= 0.0:
        raise ValueError(f"Invalid learning rate: {lr}")


_NO_STATE = {}

# Packs that keep falling apart (parameters that get gradients only now and then) are not worth making.
_MOST_FAILURES = 3


class ArrayOptimizer(Optimizer):
    """An optimizer given by a formula on arrays.

    A subclass defines `_new_state(group, p)`, the state of a parameter before its first step, by name;
    `_arrays(group)`, the names of the state tensors that the formula takes, "step" first if there is one; and
    `_update(group, step, p, g, *arrays)`. `step` counts from 1; without a count it is 1 the first time and then 0.
    """

    # Whether the formula treats each element by itself, apart from the state tensors that are numbers.
    _elementwise = True
    _scalars = ("step",)
    _sparse_message = "{} does not support sparse gradients"
    _fast = None  # during a step: runs the formula on large arrays, see `wengert.kernels.choices.updates`
    _copies_in_graph = True  # what a recorded step copies keeps its place in the graph
    _step_supports_amp_scaling = False  # fused optimizers undo the scaling of the loss by themselves

    def __init__(self, params, defaults):
        if defaults.get("fused"):
            if defaults.get("differentiable"):
                raise RuntimeError("`fused` does not support `differentiable`")
            if defaults.get("foreach"):
                raise RuntimeError("`fused` and `foreach` cannot be `True` together.")
            self._step_supports_amp_scaling = True
        self._forget_arrays()
        super().__init__(params, defaults)

    def __setstate__(self, state):
        super().__setstate__(state)
        self._forget_arrays()
        for own in self.state.values():  # checkpoints from before step counts were tensors
            if isinstance(own, dict) and isinstance(own.get("step"), int | float):
                own["step"] = wengert.tensor(float(own["step"]), dtype=self._step_tensor().dtype)
        for group in self.param_groups:
            for name, default in self._group_defaults.items():
                group.setdefault(name, default)

    # Options that checkpoints of older versions lack.
    _group_defaults = {"maximize": False, "foreach": None, "differentiable": False}

    def _forget_arrays(self):
        self._temporaries = {}
        self._packs = {}  # group number → (packs or None, ids of the packed parameters, how often they fell apart)

    def _scratch(self, p, count):
        """`count` arrays like `p` whose contents don't matter, the same ones at every call."""
        if type(p) is not np.ndarray:  # the formula is being recorded
            return tuple(p.scratch() for _ in range(count))
        key = (p.shape, p.dtype)
        found = self._temporaries.get(key)
        if found is None or len(found) < count:
            found = self._temporaries[key] = tuple(np.empty(p.shape, p.dtype) for _ in range(count))
        return found

    def _step_tensor(self):
        """A step count at zero."""
        double = wengert.get_default_dtype() == wengert.float64
        return wengert.tensor(0.0, dtype=wengert.float64 if double else wengert.float32)

    def step(self, closure=None):
        """Update every parameter that has a gradient; `closure` (optional) computes the loss anew and returns it."""
        loss = None
        if closure is not None:
            with wengert.enable_grad():
                loss = closure()
        if self._step_supports_amp_scaling and not self._unscale():
            return loss
        for i, group in enumerate(self.param_groups):
            names = self._arrays(group)
            packed = self._step_packs(i, group, names) if self._elementwise else ()
            self._fast = choices.updates() if self._elementwise else None
            for p in group["params"]:
                grad = p.grad
                if grad is not None and id(p) not in packed:
                    self._step_one(group, p, grad, names)
        self._fast = None
        return loss

    def _unscale(self):
        """Divide the gradients by the scale that a `GradScaler` left here; False if its `found_inf` forbids a step."""
        found_inf, scale = getattr(self, "found_inf", None), getattr(self, "grad_scale", None)
        if found_inf is not None and found_inf.item():
            return False
        if scale is not None:
            for group in self.param_groups:
                for p in group["params"]:
                    if p.grad is not None:
                        p.grad._array[...] = p.grad._array / p.grad._array.dtype.type(scale.item())
                        bump(p.grad)
        return True

    def _step_packs(self, i, group, names):
        """Update the group's small parameters together; returns the ids of those that are done.

        The first step makes the states, the second lays them end to end.
        """
        packs, packed, failures = self._packs.get(i, (None, frozenset(), 0))
        if packs is None:
            if failures > _MOST_FAILURES or group.get("foreach") is False:
                return ()
            if group.get("differentiable") or group.get("capturable"):
                return ()
            if names and not all(self.state.get(p) for p in group["params"] if p.grad is not None):
                return ()
            packs = make_packs(group["params"], self.state, names, self._scalars)
            packed = frozenset(id(p) for pack in packs for p in pack.params)
            self._packs[i] = (packs, packed, failures)
        if not all(tuple(pack.vectors) == names and pack.gather(self.state) for pack in packs):
            self._packs[i] = (None, frozenset(), failures + 1)
            return ()
        for pack in packs:
            grads = np.negative(pack.grads, out=pack.grads) if group.get("maximize") else pack.grads
            arrays = list(pack.vectors.values())
            step = self._count(arrays.pop(0)) if names and names[0] == "step" else 0
            self._update(group, step, pack.values, grads, *arrays)
            pack.scatter()
        return packed

    def _step_sparse(self, group, p, grad):
        """Update a parameter whose gradient is a sparse tensor; refused unless a formula has a sparse form."""
        raise RuntimeError(self._sparse_message.format(type(self).__name__))

    def _step_one(self, group, p, grad, names):
        if grad.is_sparse:
            self._step_sparse(group, p, grad.neg() if group.get("maximize") else grad)
            return
        state = self.state[p] if names else _NO_STATE
        step = 0
        if not state and names:
            self._check_first(group, p, grad)
            state.update(self._new_state(group, p))
            step = 1
        if group.get("differentiable") or group.get("capturable"):
            self._step_specially(group, p, grad, step, [state[name] for name in names])
            return
        g = grad._array
        if group.get("maximize"):
            g = -g
        array = p._array
        arrays = self._arrays_of(state, names)
        if names and names[0] == "step":
            step = self._count(arrays.pop(0))
        if array.dtype.kind == "f" and array.itemsize >= 4:
            fast = self._fast
            if (
                fast is None
                or array.size < choices.UPDATES
                or not fast.run(step, partial(self._update, group, step), (array, g, *arrays))
            ):
                self._update(group, step, array, g, *arrays)
        else:
            self._update_through_copies(group, step, array, g, arrays)
        bump(p)

    def _step_specially(self, group, p, grad, step, state):
        """A step that is to be recorded, in the graph or in a GPU's."""
        if group.get("capturable"):
            raise AssertionError(
                "If capturable=True, params and state_steps must be on supported devices: ['cuda', 'xpu', 'hpu', "
                "'privateuseone', 'xla']."
            )
        if group.get("foreach"):
            raise AssertionError("_foreach ops don't support autograd")
        from .differentiable import run

        if state and self._arrays(group)[0] == "step":
            step = self._count(state.pop(0)._array)
        tensors = [p, grad.neg() if group.get("maximize") else grad, *state]
        run(self._update, group, step, tensors, self._copies_in_graph)

    def _arrays_of(self, state, names):
        return [state[name]._array for name in names]

    @staticmethod
    def _count(counter):
        counter.fill(float(counter) + 1)
        return float(counter)

    def _check_first(self, group, p, grad):
        """Refuse gradients that the formula is not for."""

    def _update_through_copies(self, group, step, p, g, arrays):
        """Update parameters that NumPy can't compute with directly: half precision in single, complex as real pairs."""
        complex_pairs = p.dtype.kind == "c"

        def widen(a):
            if a.ndim == 0 and p.ndim != 0:
                return a
            if complex_pairs:
                return np.ascontiguousarray(a).reshape(a.shape or (1,)).view(a.real.dtype).copy()
            return a.astype(np.float32)

        wide = [widen(a) for a in (p, g, *arrays)]
        self._update(group, step, *wide)
        for original, a in zip((p, *arrays), (wide[0], *wide[2:]), strict=True):
            if a is not original:
                original[...] = a.view(p.dtype).reshape(original.shape) if complex_pairs else a


def zeros_like(p):
    """A state tensor of zeros in the shape and layout of `p`."""
    return wengert.zeros_like(p, memory_format=wengert.preserve_format)


def decayed(g, p, weight_decay, out):
    """g + weight_decay · p, written to `out`."""
    np.multiply(p, weight_decay, out=out)
    return np.add(g, out, out=out)


def lerp(average, new, weight, out):
    """Move `average` towards `new` by the fraction `weight`, in place, rounding as PyTorch's lerp does."""
    np.subtract(new, average, out=out)
    if weight < 0.5:
        out *= weight
        average += out
    else:
        out *= 1.0 - weight
        np.subtract(new, out, out=average)


def add_square(total, g, decay, weight, out):
    """total = decay · total + weight · g², in place."""
    if decay != 1.0:
        total *= decay
    np.multiply(g, weight, out=out)
    out *= g
    total += out


# A subclass that never calls __init__, as those that wrap another optimizer may not, has no hooks.
for _table in _HOOK_TABLES:
    setattr(Optimizer, _table, MappingProxyType({}))


# --- what optimizers that are written after PyTorch's own import from there -------------------------------------------

ParamsT = Iterable[Tensor] | Iterable[dict[str, Any]] | Iterable[tuple[str, Tensor]]


def _use_grad_for_differentiable(step):
    """Record what `step` computes if the optimizer was made with ``differentiable=True``, and otherwise not."""

    @wraps(step)
    def recording_as_asked(self, *args, **kwargs):
        with wengert.set_grad_enabled(self.defaults["differentiable"]):
            return step(self, *args, **kwargs)

    return recording_as_asked


def _default_to_fused_or_foreach(params, differentiable, use_fused=False):
    """(fused, foreach) for parameters on these devices: neither pays on a CPU."""
    return False, False


def _get_value(x):
    """A number, or the value of a tensor of one element."""
    return scalar(x)


_to_scalar = _get_value


def _stack_if_compiling(x):
    return x


def _dispatch_sqrt(x):
    """The square root of a number or a tensor."""
    return x.sqrt() if isinstance(x, Tensor) else math.sqrt(x)


def _view_as_real(params, *state_and_grads):
    """Replace, in each of these lists, complex tensors by views of their parts."""
    for i, param in enumerate(params):
        if param.is_complex():
            params[i] = wengert.view_as_real(param)
            for tensors in state_and_grads:
                tensors[i] = wengert.view_as_real(tensors[i])


def _get_scalar_dtype(is_fused=None):
    """The dtype of step counters."""
    return wengert.float64 if wengert.get_default_dtype() is wengert.float64 and not is_fused else wengert.float32


def _get_capturable_supported_devices(supports_xla=True):
    """The devices on which a step can be captured as a whole: none is here."""
    return []


def _disable_dynamo_if_unsupported(single_tensor_fn=None):
    """Leave a function out of compilation, which there is none of; used as a decorator."""
    return lambda function: function
