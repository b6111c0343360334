"""Size: the shape of a tensor, a tuple of ints with PyTorch's manners."""

from math import prod


def whole(extents):
    """Extents as ints, whatever stands for one; raises TypeError for what doesn't."""
    for position, extent in enumerate(extents):
        try:
            yield extent.__index__() if type(extent) is not int else extent
        except (AttributeError, TypeError):
            raise TypeError(
                f"torch.Size() takes an iterable of 'int' (item {position} is '{type(extent).__name__}')"
            ) from None


class Size(tuple):
    """The extents of a tensor's dimensions; slicing, adding and multiplying give a Size again."""

    __slots__ = ()

    def __new__(cls, iterable=()):
        self = tuple.__new__(cls, iterable)
        for extent in self:
            if type(extent) is not int:
                return tuple.__new__(cls, whole(self))
        return self

    def numel(self):
        """The number of elements of a tensor of this shape."""
        return prod(self)

    def __repr__(self):
        return f"torch.Size([{', '.join(map(str, self))}])"

    def __getitem__(self, index):
        item = tuple.__getitem__(self, index)
        return tuple.__new__(Size, item) if type(item) is tuple else item

    def __add__(self, other):
        if not isinstance(other, tuple):
            return NotImplemented
        return Size(tuple.__add__(self, other))

    def __radd__(self, other):
        if not isinstance(other, tuple):
            return NotImplemented
        return Size(tuple(other) + tuple(self))

    def __mul__(self, count):
        return Size(tuple.__mul__(self, count))

    __rmul__ = __mul__

    def __reduce__(self):
        return (Size, (tuple(self),))


Size.__module__ = "wengert"
