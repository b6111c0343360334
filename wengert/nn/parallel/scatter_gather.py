"""``torch.nn.parallel.scatter_gather``: parts of a batch to devices and back, of which there are none."""

from wengert.absent import refuses

refuses(
    globals(),
    ("gather", "scatter", "scatter_kwargs"),
    why="has one device: DataParallel calls its module with the whole batch",
)
