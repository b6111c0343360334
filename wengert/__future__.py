"""``torch.__future__``: how `Module.to` and `load_state_dict` put new values into parameters."""

_settings = {"overwrite": False, "swap": False}


def set_overwrite_module_params_on_conversion(value):
    """Whether `Module.to` and its like make new parameters; otherwise they put new data into the old ones."""
    _settings["overwrite"] = value


def get_overwrite_module_params_on_conversion():
    """Whether `Module.to` and its like make new parameters."""
    return _settings["overwrite"]


def set_swap_module_params_on_conversion(value):
    """Whether `Module.to` and `load_state_dict` let a parameter and its new value change places.

    So the parameter can become one of another class, which writing into it can't do.
    """
    _settings["swap"] = value


def get_swap_module_params_on_conversion():
    """Whether parameters and their new values change places."""
    return _settings["swap"]
