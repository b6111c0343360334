"""``torch.__future__``: settings of modules that may become the rule; all are as they were."""

_settings = {"overwrite": False, "swap": False}


def get_overwrite_module_params_on_conversion():
    """False: `Module.to` changes parameters in place."""
    return _settings["overwrite"]


def get_swap_module_params_on_conversion():
    """False: as above."""
    return _settings["swap"]


def set_overwrite_module_params_on_conversion(value):
    """Refused unless False."""
    if value:
        raise NotImplementedError("torch.__future__.set_overwrite_module_params_on_conversion(True)")


def set_swap_module_params_on_conversion(value):
    """Refused unless False."""
    if value:
        raise NotImplementedError("torch.__future__.set_swap_module_params_on_conversion(True)")
