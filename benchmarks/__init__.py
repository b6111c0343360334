"""Speed and memory beside PyTorch, in one process: `python -m benchmarks`.

`rows.py` says what is timed, `timing.py` how, `footprint.py` what is measured in processes of their own
(import time, bytes per node, installed size), and `table.py` turns the results into text and into the README.
"""
