"""What the processor can do, as far as NumPy tells."""


def get_cpu_capability():
    """"DEFAULT": NumPy chooses its own vector instructions and does not say which."""
    return "DEFAULT"
