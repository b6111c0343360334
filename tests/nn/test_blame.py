"""An exception that leaves a module says which layer it came from, what that was given, and where it was called."""

import pickle
import traceback

import pytest

import wengert as torch
from wengert import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(9, 2))
        self.table = nn.Embedding(3, 4)

    def forward(self, x):
        if not x.dtype.is_floating_point:
            x = self.table(x)
        return self.encoder(x)


def error_of(module, *args, **kwargs):
    with pytest.raises((RuntimeError, IndexError, ValueError)) as caught:
        module(*args, **kwargs)
    return caught.value


def test_the_layer_is_named_with_what_it_was_given_and_its_own_shapes():
    error = error_of(Net(), torch.ones(3, 4))
    assert str(error) == "mat1 and mat2 shapes cannot be multiplied (3x8 and 9x2)"
    named, called = error.__notes__[0].split("\n")
    assert named == "in encoder.2 (Linear) of Net, given [3, 8], with weight [2, 9] and bias [2]"
    assert called.startswith("called at test_blame.py:")
    assert called.endswith(" in forward: return self.encoder(x)")


def test_the_note_stands_under_the_sentence_in_the_traceback():
    lines = traceback.format_exception_only(error_of(Net(), torch.ones(3, 4)))
    assert lines[1].startswith("in encoder.2 (Linear) of Net")


def test_indices_are_shown_with_their_dtype():
    (note,) = error_of(Net(), torch.tensor([5])).__notes__
    assert note.startswith("in table (Embedding) of Net, given [1] of int64, with weight [3, 4]\n")


def test_a_module_alone_is_named_by_its_class():
    (note,) = error_of(nn.Conv2d(3, 4, 3), torch.ones(1, 1, 8, 8)).__notes__
    assert note.startswith("in Conv2d, given [1, 1, 8, 8], with weight [4, 3, 3, 3] and bias [4]\n")


def test_a_module_with_hooks_is_named_too():
    net = Net()
    net.encoder[2].register_forward_hook(lambda module, args, output: None)
    (note,) = error_of(net, torch.ones(3, 4)).__notes__
    assert note.startswith("in encoder.2 (Linear) of Net")


def test_a_module_called_by_one_that_it_does_not_belong_to_keeps_its_name():
    inner = Net()

    class Borrower(nn.Module):
        def forward(self, x):
            return inner(x)

    (note,) = error_of(Borrower(), torch.ones(3, 4)).__notes__
    assert note.startswith("in encoder.2 (Linear) of Net")


def test_what_a_loss_was_given_is_shown():
    (note,) = error_of(nn.CrossEntropyLoss(), torch.ones(2, 3), target=torch.ones(3).long()).__notes__
    assert note.startswith("in CrossEntropyLoss, given [2, 3] and [3] of int64\n")


def test_the_programs_own_exceptions_are_left_alone():
    class Stop(RuntimeError):
        pass

    class Stopping(nn.Module):
        def forward(self):
            raise Stop

    with pytest.raises(Stop) as caught:
        Stopping()()
    assert not hasattr(caught.value, "__notes__")


def test_the_error_can_be_sent_to_another_process():
    error = error_of(Net(), torch.ones(3, 4))
    assert pickle.loads(pickle.dumps(error)).__notes__ == error.__notes__
