"""DataPipes: datasets put together from small ones, each of which changes what the one before it yields.

    pipe = IterableWrapper(range(10)).map(double).filter(is_small).shuffle().batch(4)

PyTorch keeps them for programs that have them, and so does wengert; new programs are better off with generators.
"""

from wengert.utils.data.datapipes import iter, map

__all__ = ["iter", "map"]
