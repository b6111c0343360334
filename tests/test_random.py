"""Generators: seeds, states, copies, and one generator under several threads."""

import copy
import pickle
import subprocess
import sys
import threading

import numpy as np
import pytest

import wengert
from wengert import random
from wengert.random import Generator


def numbers(generator, count=5):
    return wengert.rand(count, generator=generator).numpy().tolist()


def test_the_same_seed_gives_the_same_numbers():
    assert numbers(Generator().manual_seed(7)) == numbers(Generator().manual_seed(7))
    assert numbers(Generator().manual_seed(7)) != numbers(Generator().manual_seed(8))


def test_the_default_generator_serves_where_none_is_given():
    assert random.manual_seed(3) is random.default_generator
    assert random.initial_seed() == 3
    assert wengert.rand(5).numpy().tolist() == numbers(Generator().manual_seed(3))


def test_a_generator_of_its_own_leaves_the_default_one_alone():
    state = random.get_rng_state().numpy().copy()
    wengert.randn(100, generator=Generator())
    assert np.array_equal(random.get_rng_state().numpy(), state)


def test_manual_seed_takes_whole_numbers_only():
    for seed in (1.5, "a", True, None):
        with pytest.raises(RuntimeError, match="manual_seed expected a long, but got"):
            Generator().manual_seed(seed)
    assert random.manual_seed(5.0).initial_seed() == 5


def test_seeds_from_entropy_differ():
    assert Generator().seed() != Generator().seed()
    assert random.seed() == random.initial_seed()


def test_a_state_is_a_tensor_of_bytes():
    generator = Generator().manual_seed(5)
    state = generator.get_state()
    assert state.dtype is wengert.uint8 and tuple(state.shape) == (5056,)
    first = numbers(generator)
    assert generator.set_state(state) is generator
    assert numbers(generator) == first


def test_what_is_no_state_is_refused():
    generator = Generator()
    with pytest.raises(TypeError, match=r"expected a torch\.ByteTensor, but got list"):
        generator.set_state([1, 2])
    with pytest.raises(TypeError, match=r"RNG state must be a torch\.ByteTensor"):
        generator.set_state(wengert.zeros(5056))
    with pytest.raises(RuntimeError, match="contiguous"):
        generator.set_state(wengert.zeros(10112, dtype=wengert.uint8)[::2])


@pytest.mark.parametrize(
    "duplicate", [Generator.clone_state, copy.copy, copy.deepcopy, lambda g: pickle.loads(pickle.dumps(g))]
)
def test_a_copy_draws_the_same_numbers_independently(duplicate):
    generator = Generator().manual_seed(5)
    numbers(generator)
    twin = duplicate(generator)
    assert twin.initial_seed() == 5
    expected = numbers(generator)
    assert numbers(twin) == expected


def test_importing_does_not_load_numpy_random():
    loaded = "print('numpy.random' in sys.modules)"
    code = f"import sys, wengert; {loaded}; wengert.rand(1); {loaded}"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert shown.split() == ["False", "True"]


def test_only_the_cpu_draws():
    assert str(Generator("cpu").device) == "cpu"
    with pytest.raises(AssertionError):
        Generator("cuda")


@pytest.mark.parametrize("name, arguments, error", [
    ("graphsafe_get_state", (), NotImplementedError), ("graphsafe_set_state", (Generator(),), NotImplementedError),
    ("get_offset", (), RuntimeError), ("set_offset", (0,), RuntimeError),
])  # fmt: skip
def test_what_belongs_to_accelerators_is_refused(name, arguments, error):
    with pytest.raises(error):
        getattr(Generator(), name)(*arguments)


def test_fork_rng_leaves_no_trace():
    random.manual_seed(1)
    wengert.randn(3)
    state = random.get_rng_state().numpy().copy()
    with pytest.raises(KeyError), random.fork_rng():
        wengert.randn(500)
        raise KeyError
    assert np.array_equal(random.get_rng_state().numpy(), state)
    with random.fork_rng(enabled=False):
        wengert.randn(3)
    assert not np.array_equal(random.get_rng_state().numpy(), state)


def test_fork_rng_knows_no_accelerators():
    with random.fork_rng(devices=[]):
        pass
    with pytest.raises(NotImplementedError, match="CPU only"), random.fork_rng(devices=[0]):
        pass


def test_threads_share_a_generator_without_losing_or_repeating_a_number():
    generator, drawn = Generator().manual_seed(2), []

    def draw():
        drawn.extend(tuple(wengert.rand(3, dtype=wengert.float64, generator=generator).numpy()) for _ in range(400))

    threads = [threading.Thread(target=draw) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    whole = wengert.rand(4800, dtype=wengert.float64, generator=Generator().manual_seed(2)).numpy().reshape(-1, 3)
    assert sorted(drawn) == sorted(map(tuple, whole))
