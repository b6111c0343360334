"""Tensors made from numbers, and tensors overwritten with one."""

import pytest

import wengert as torch


@pytest.mark.parametrize("write", [lambda x: x.fill_(2), lambda x: x.zero_().add(2)])
def test_elements_that_share_memory_may_all_be_given_one_value(write):
    column = torch.zeros(3, 1)
    assert write(column.expand(3, 4)).tolist() == [[2] * 4] * 3
    assert column.view(-1).tolist() in ([2, 2, 2], [0, 0, 0])


def test_other_writes_to_shared_memory_are_refused():
    row = torch.zeros(3, 1).expand(3, 4)
    for write in (lambda: row.add_(1), lambda: row.copy_(torch.ones(3, 4)), lambda: row.uniform_()):
        with pytest.raises(RuntimeError, match="single memory location"):
            write()


def test_integers_are_spaced_from_whole_ends():
    assert torch.linspace(4.9, 0.9, 5, dtype=torch.int64).tolist() == [4, 3, 2, 1, 0]
    assert torch.logspace(4.3, 0, 4, 5.0, dtype=torch.int64).tolist() == [625, 73, 8, 1]


def test_random_numbers_without_elements():
    empty = torch.empty(0, 3).expand(2, 0, 3)
    assert torch.rand_like(empty).shape == torch.randn_like(empty).shape == (2, 0, 3)


def test_a_size_that_changes_counts_as_a_write():
    x = torch.zeros(4)
    x.resize_(4)
    assert x._version == 0
    x.resize_(2, 2)
    assert x._version == 1


def test_a_tensor_of_a_tensor_is_the_same_one_in_the_graph():
    x = torch.ones(2, requires_grad=True)
    same = torch.Tensor(x)
    same.sum().backward()
    assert same.data_ptr() == x.data_ptr() and x.grad.tolist() == [1, 1]
    assert torch.Tensor(torch.tensor([1])).dtype is torch.int64
    with pytest.raises(TypeError, match="expected a tensor of torch\\.float32"):
        torch.FloatTensor(torch.tensor([1]))


def test_new_tensors_are_of_the_class_of_the_old():
    class Special(torch.Tensor):
        pass

    class Roomy(torch.Tensor):
        __slots__ = ("room",)

    x = torch.ones(2).as_subclass(Special)
    for made in (x.new_zeros(2), x.new_full((2,), 1.0), x.new_tensor([1.0]), x.new([1.0])):
        assert type(made) is Special
    assert type(torch.Tensor(x)) is torch.Tensor
    base = torch.ones(2)
    view = base.as_subclass(Roomy)
    view.room = 1
    assert type(view) is Roomy and view.data_ptr() == base.data_ptr()


def test_strides_of_nothing_are_those_of_something():
    assert torch.zeros(0, 3, 4).stride() == (12, 4, 1)
    assert torch.empty(2, 0).stride() == (1, 1)


@pytest.mark.parametrize(
    ("data", "dtype"),
    [
        ([1, 2], "int64"), ([1, 2.0], "float32"), ([True, False], "bool"), ([True, 2], "int64"),
        ([[1, 2], (3, 4.0)], "float32"), ([[[True]], [[False]]], "bool"), ([[], []], "float32"),
    ],
)  # fmt: skip
def test_numbers_in_rows_say_the_dtype(data, dtype):
    made = torch.tensor(data)
    assert made.dtype is getattr(torch, dtype) and made.tolist() == [list(x) if type(x) is tuple else x for x in data]


def test_rows_must_be_of_one_length_and_numbers_of_64_bits():
    with pytest.raises(ValueError, match="expected sequence of length 2 at dim 1"):
        torch.tensor([[1, 2], [3]])
    with pytest.raises(ValueError, match="Overflow when unpacking long long"):
        torch.tensor([1, 2**63])


@pytest.mark.parametrize(
    "make",
    [
        lambda: torch.Tensor(1.5),
        lambda: torch.ones((torch.tensor(3.0), 2)),
        lambda: torch.Size([1.0]),
        lambda: torch.Size(torch.ones(2)),
        lambda: type("Own", (torch.FloatTensor,), {}),
    ],
)
def test_what_is_no_shape_and_no_data(make):
    with pytest.raises(TypeError):
        make()


def test_shapes_by_name_and_by_tensor():
    assert torch.Tensor(size=(2, 3)).shape == torch.ones(1).new(size=(2, 3)).shape == (2, 3)
    size = torch.Size(torch.tensor([1, 2]))
    assert size == (1, 2) and type(size[0]) is int


def test_the_type_named_tensor_is_the_default_one():
    assert torch.ones(1, dtype=torch.int32).type(torch.Tensor).dtype is torch.float32


@pytest.mark.parametrize(
    ("kind", "dtype"),
    [(float, torch.float64), (int, torch.int64), (bool, torch.bool), (complex, torch.complex128)],
)
def test_a_type_of_python_is_a_dtype(kind, dtype):
    x = torch.ones(2)
    made = [torch.zeros(2, dtype=kind), torch.tensor([1, 0], dtype=kind), x.to(kind), torch.ones_like(x, dtype=kind),
            x.sum(dtype=kind) if kind is not bool else x.to(dtype=kind), x.new_zeros(2, dtype=kind)]  # fmt: skip
    assert {t.dtype for t in made} == {dtype}


@pytest.mark.parametrize("call", [torch.zeros, torch.ones(2).sum, torch.ones(2).cumsum])
@pytest.mark.parametrize("given", ["float32", str])
def test_nothing_else_is_a_dtype(call, given):
    with pytest.raises(TypeError):
        call(0, dtype=given)


def test_a_tensor_in_a_sequence_stands_for_its_one_element():
    one = torch.ones(1)
    assert torch.tensor([one, one]).shape == (2,)
    assert torch.tensor((2.0, one)).tolist() == torch.tensor((one + 1, 1.0)).tolist() == [2, 1]
    assert torch.tensor([[1, 2], torch.ones(2)]).shape == (2, 2)
    for data in ([torch.ones(2)], [torch.empty(0)], [torch.ones(2), [1, 2]]):
        with pytest.raises(ValueError, match="only one element tensors can be converted to Python scalars"):
            torch.tensor(data)
    with pytest.raises(TypeError, match="invalid data type 'str'"):
        torch.tensor([1, "a"])


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: torch.full(2, 1), TypeError, "argument 'size' .* must be tuple of ints, not int"),
        (lambda: torch.full((2,), None), TypeError, "must be Number, not NoneType"),
        (lambda: torch.full((2,), torch.ones(2)), TypeError, "must be Number, not Tensor"),
        (lambda: torch.arange(3, dtype=torch.bool), NotImplementedError, "not implemented for 'Bool'"),
        (lambda: torch.linspace(torch.tensor([0.0]), 1, 3), RuntimeError, "only supports 0-dimensional start and end"),
        (lambda: torch.logspace(0, torch.tensor([1.0]), 3), RuntimeError, "only supports 0-dimensional start and end"),
        (lambda: torch.tensor(2**63), ValueError, "Overflow when unpacking long long"),
    ],
)
def test_what_can_not_be_made(make, error, text):
    with pytest.raises(error, match=text):
        make()


@pytest.mark.parametrize("make", [torch.zeros, torch.ones, torch.empty])
def test_a_shape_has_to_be_given(make):
    with pytest.raises(TypeError, match=f'{make.__name__}.* missing 1 required positional arguments: "size"'):
        make()


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: torch.empty(2**40, 2**40), "calculation overflowed"),
        (lambda: torch.zeros(2**28, 2**28), "you tried to allocate 288230376151711744 bytes"),
        (lambda: torch.empty(()).resize_(8, 8, 2**29, 2**29), "numel: integer multiplication overflow"),
        (lambda: torch.empty((), dtype=torch.float64).resize_(2, 4, 2**29, 2**29), "Storage size calculation"),
        (lambda: torch.empty(()).resize_(0, 4, 2**61), "Stride calculation overflowed"),
    ],
)
def test_what_no_memory_holds(call, text):
    with pytest.raises(RuntimeError, match=text):
        call()


def test_a_new_size_may_have_its_channels_last():
    x = torch.arange(24.0).resize_(2, 3, 2, 2, memory_format=torch.channels_last)
    assert x.stride() == (12, 1, 6, 3)
    assert x[0, :, 0, 0].tolist() == [0, 1, 2]
    same = torch.zeros(24).resize_as_(x, memory_format=torch.preserve_format)
    assert same.stride() == x.stride()
    assert torch.zeros(24).resize_as_(x).stride() == (12, 4, 2, 1)
    with pytest.raises(RuntimeError, match="required rank 4"):
        x.resize_(2, 12, memory_format=torch.channels_last)
