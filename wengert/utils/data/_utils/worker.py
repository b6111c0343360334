"""What a dataset may ask about the worker process that reads it."""


def get_worker_info():
    """None: samples are read in the program's own process."""
