"""``torch.fx``: the mark `wrap` is understood; tracing a module into a graph is refused by name."""

__all__ = ["wrap"]


def wrap(fn_or_name):
    """Mark a function that a tracer would not look into; returns it. There is no tracer here."""
    if not callable(fn_or_name) and not isinstance(fn_or_name, str):
        raise RuntimeError(
            "Unsupported type for global function! Must be either a callable or string name of a function"
        )
    return fn_or_name


def __getattr__(name):
    if name.startswith("__"):
        raise AttributeError(f"module 'wengert.fx' has no attribute '{name}'")

    def refused(*args, **kwargs):
        raise NotImplementedError(f"torch.fx.{name}: wengert doesn't trace modules into fx graphs")

    refused.__name__ = name
    return refused
