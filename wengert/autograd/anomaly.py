"""Anomaly mode: which line of the forward pass made the node whose derivative failed, or gave NaN.

While the mode is on, each recorded node notes the Python stack that made it (``node.metadata["traceback_"]``), and the
backward pass looks at every gradient it computes.
"""

import os
import sys
import threading
import traceback
import warnings

import numpy as np

import wengert
from wengert.autograd import engine
from wengert.autograd.graph import Node, Output, rare
from wengert.tensor import Tensor

_PACKAGE = os.path.dirname(wengert.__file__) + os.sep


class Mode:
    """The one state, for all threads."""

    enabled = False
    check_nan = True


mode = Mode()


class Evaluating(threading.local):
    """The nodes whose derivatives this thread is computing, the innermost last."""

    def __init__(self):
        self.nodes = []


evaluating = Evaluating()


def switch(enabled, check_nan):
    """Turn the mode on or off."""
    if enabled and not mode.enabled:
        rare.enter()
        rare.on_record.append(note_origin)
    elif mode.enabled and not enabled:
        rare.on_record.remove(note_origin)
        rare.leave()
    mode.enabled, mode.check_nan = enabled, check_nan
    engine.anomaly = watch if enabled else None


def note_origin(operation, values, result):
    """Observe a recorded operation: write down where it was called."""
    for tensor in result if isinstance(result, (tuple, list)) else (result,):
        node = tensor._node if isinstance(tensor, Tensor) else None
        if node is not None and tensor._base is not None and type(tensor._base._node).__name__ == "CopySlices":
            node = tensor._base._node
        if type(node) is Output:
            node = node.parent
        if isinstance(node, Node) and "traceback_" not in node.metadata:
            stack = traceback.extract_stack(sys._getframe(1))
            frames = [f for f in stack if not f.filename.startswith((_PACKAGE, "<wengert"))]
            node.metadata["traceback_"] = traceback.format_list(frames)
            if evaluating.nodes:
                node.metadata["parent_"] = evaluating.nodes[-1]


def watch(node, g, keep, on_tensors):
    """Run `node` in the backward pass's stead: say where it was made if it fails, or if a gradient has NaN."""
    evaluating.nodes.append(node)
    try:
        with np.errstate(all="ignore"):  # NaN is ours to report here, not NumPy's
            if on_tensors:
                results = node.apply_graph(g)
                if not keep:
                    node.release()
            else:
                results = node.apply(g, keep)
        if mode.check_nan:
            check_numbers(node, results)
        return results
    except Exception:
        for text in explanation(node):
            warnings.warn(text, UserWarning, stacklevel=4)
        raise
    finally:
        evaluating.nodes.pop()


def check_numbers(node, results):
    for number, d in enumerate(results):
        array = d._array if isinstance(d, Tensor) else d
        if array is not None and np.asarray(array).dtype.kind not in "biu" and np.isnan(array).any():
            raise RuntimeError(f"Function '{node.name()}' returned nan values in its {number}th output.")


def explanation(node):
    """The forward calls that led to a node, the nearest first: a text for each."""
    where = node.metadata.get("traceback_")
    if not where:
        yield (
            f"Error detected in {node.name()}. No forward pass information available. Enable detect anomaly during "
            "forward pass for more information."
        )
        return
    yield f"Error detected in {node.name()}. Traceback of forward call that caused the error:\n{''.join(where)}"
    parent = node.metadata.get("parent_")
    while parent is not None:
        where = parent.metadata.get("traceback_")
        induced = f"\n\nPrevious calculation was induced by {parent.name()}. "
        if not where:
            yield f"{induced}No forward pass information available."
            return
        yield f"{induced}Traceback of forward call that induced the previous calculation:\n{''.join(where)}"
        parent = parent.metadata.get("parent_")


class set_detect_anomaly:
    """Turn anomaly mode on or off: at once, and as a context manager until the end of the block.

    Args:
        mode: on or off.
        check_nan: also raise RuntimeError where a derivative gives NaN.
    """

    def __init__(self, mode, check_nan=True):
        self.previous = is_anomaly_enabled(), is_anomaly_check_nan_enabled()
        switch(bool(mode), check_nan)

    def __enter__(self):
        return None

    def __exit__(self, *exc):
        switch(*self.previous)


class detect_anomaly:
    """A context manager: inside, a failing backward names the forward call that made the failing node, and NaN is an
    error.
    """

    def __init__(self, check_nan=True):
        self.check_nan = check_nan
        warnings.warn(
            "Anomaly Detection has been enabled. This mode will increase the runtime and should only be enabled for "
            "debugging.",
            UserWarning,
            stacklevel=2,
        )

    def __enter__(self):
        self.previous = is_anomaly_enabled(), is_anomaly_check_nan_enabled()
        switch(True, self.check_nan)

    def __exit__(self, *exc):
        switch(*self.previous)


def is_anomaly_enabled():
    """Whether anomaly mode is on."""
    return mode.enabled


def is_anomaly_check_nan_enabled():
    """Whether anomaly mode, when on, takes NaN for an error."""
    return mode.check_nan


def set_anomaly_enabled(mode, check_nan=True):
    """Turn anomaly mode on or off; `check_nan` says whether derivatives that give NaN are errors."""
    set_detect_anomaly(bool(mode), bool(check_nan))
