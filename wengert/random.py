"""Generator: a stream of random numbers under PyTorch's name, and the one that serves where none is given.

The numbers come from `wengert.kernels.random.Stream`, which draws what PyTorch draws.  A generator adds what programs
need around it: a lock, since one generator may serve several threads, and states as tensors.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from wengert import devices
from wengert.kernels.random import Stream
from wengert.outside import outside
from wengert.tensor import Tensor, wrap


class Generator:
    """A source of random numbers with a state of its own, for the ``generator=`` of every random operation.

    Args:
        device: where it draws; the CPU only.

    Raises:
        AssertionError, NotImplementedError: for another device.
    """

    __slots__ = ("__weakref__", "_lock", "_stream", "device")

    def __init__(self, device="cpu"):
        devices.check(device)
        self.device = devices.device(device)
        self._lock = threading.RLock()

    def __getattr__(self, name):
        # The stream is made when first needed: numpy.random is a tenth of the time that importing wengert takes.
        if name != "_stream":
            raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")
        with self._lock:
            try:
                return object.__getattribute__(self, "_stream")
            except AttributeError:
                self._stream = Stream()
                return self._stream

    def manual_seed(self, seed):
        """Start anew from `seed`, an int from ``-2**63`` to ``2**64 - 1``; returns this generator."""
        if isinstance(seed, bool) or not isinstance(seed, int | np.integer):
            raise RuntimeError(f"manual_seed expected a long, but got {type(seed).__name__}")
        with self._lock:
            self._stream.manual_seed(int(seed))
        return self

    def seed(self):
        """Start anew from the operating system's entropy; returns the seed."""
        with self._lock:
            return self._stream.seed()

    def initial_seed(self):
        """The seed last given, as an unsigned 64-bit number."""
        return self._stream.initial_seed()

    def get_state(self):
        """The state: a uint8 tensor of 5056 elements, laid out as PyTorch lays it out."""
        with self._lock:
            return wrap(self._stream.get_state())

    def set_state(self, new_state):
        """Continue from a state of `get_state`, PyTorch's included; returns this generator."""
        if not isinstance(new_state, Tensor):
            raise TypeError(f"expected a torch.ByteTensor, but got {type(new_state).__name__}")
        state = new_state._array
        if state.dtype == np.uint8 and not state.flags.c_contiguous:
            raise RuntimeError("RNG state must be contiguous")
        with self._lock:
            self._stream.set_state(state)
        return self

    def clone_state(self):
        """Another generator that will draw the same numbers."""
        return Generator(self.device).set_state(self.get_state())

    def graphsafe_get_state(self):
        """Raises NotImplementedError: only generators that CUDA graphs capture have such a state."""
        raise NotImplementedError("graphsafe_get_state is not supported in this Generator")

    def graphsafe_set_state(self, new_state):
        """Raises NotImplementedError: only generators that CUDA graphs capture have such a state."""
        raise NotImplementedError("graphsafe_set_state is not supported in this Generator")

    def get_offset(self):
        """Raises RuntimeError: the Mersenne Twister counts no offset."""
        raise RuntimeError("CPU Generator does not use offset")

    def set_offset(self, offset):
        """Raises RuntimeError: the Mersenne Twister counts no offset."""
        raise RuntimeError("CPU Generator does not use offset")

    def __reduce__(self):
        return (type(self), (self.device,), (self.initial_seed(), None, self.get_state()))

    def __setstate__(self, state):
        _, _, stream = state
        self.set_state(stream)


Generator.__module__ = "wengert"

default_generator = Generator()


def manual_seed(seed):
    """Start the default generator anew from ``int(seed)``; returns it."""
    return default_generator.manual_seed(int(seed))


def seed():
    """Start the default generator anew from the operating system's entropy; returns the seed."""
    return default_generator.seed()


def initial_seed():
    """The seed last given to the default generator."""
    return default_generator.initial_seed()


def get_rng_state():
    """The default generator's state, a uint8 tensor."""
    return default_generator.get_state()


def set_rng_state(new_state):
    """Let the default generator continue from `new_state`, a state of `get_rng_state`."""
    default_generator.set_state(new_state)


@contextmanager
def fork_rng(devices=None, enabled=True, _caller="fork_rng", _devices_kw="devices", device_type=None) -> Iterator[None]:
    """Draw inside the ``with`` block without trace: afterwards the default generator is where it was before.

    Args:
        devices: accelerators whose generators to keep as well; there are none, so only an empty list is understood.
        enabled: False makes the block an ordinary one.
        device_type: the kind of those accelerators; without effect while there are none.
    """
    if enabled and devices is not None and (listed := list(devices)):
        raise NotImplementedError(f"{_caller}: {_devices_kw}={listed}: wengert draws on the CPU only")
    if not enabled or device_type == "meta":
        yield
        return
    state = default_generator.get_state()
    try:
        yield
    finally:
        default_generator.set_state(state)


__getattr__ = outside(__name__)
