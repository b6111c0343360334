"""Run scripts under the lens, each in a process of its own, and print what was found as one line of JSON each.

``python tests/lens/catalogue.py SCRIPT ...``: for each script its name, the findings (kind, line, sentence) and the
text of the report. The library is loaded once; the scripts run in forks of the process that loaded it.
"""

import contextlib
import io
import json
import os
import sys
import traceback

from wengert import alias, cli, nn, optim  # noqa: F401  (loaded once, for all the forks)
from wengert.lens.explain import watch

# Arguments with which the examples are done soon.
FEW = {
    "actor_critic.py": ["--updates", "6"],
    "char_gpt.py": ["--steps", "4", "--width", "16", "--layers", "1", "--write", "5"],
    "lstm_forecast.py": ["--steps", "2", "--hidden", "8", "--plot", os.devnull],
    "vae.py": ["--steps", "8", "--picture", os.devnull],
    "digits.py": ["--epochs", "1", "--batch", "512"],
}


def judge(script):
    """What the lens says of one script."""
    out = io.StringIO()
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(io.StringIO()) as errors:
            text, findings, status = watch(lambda: cli.run(script, FEW.get(os.path.basename(script), ())), script)
        if "wengert.lens failed" in errors.getvalue():
            return {"script": script, "crashed": errors.getvalue()}
    except BaseException:
        return {"script": script, "crashed": traceback.format_exc()}
    found = [{"kind": f.kind, "file": f.file, "line": f.line, "sentence": f.sentence} for f in findings]
    return {"script": script, "findings": found, "text": text, "status": status}


def main(scripts):
    alias.install_as_torch()
    for script in scripts:
        sys.stdout.flush()
        child = os.fork()
        if child == 0:
            sys.argv = [script]
            print(json.dumps(judge(script)), flush=True)
            os._exit(0)
        os.waitpid(child, 0)


if __name__ == "__main__":
    main(sys.argv[1:])
