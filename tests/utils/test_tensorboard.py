"""SummaryWriter: what it writes can be read again."""

import numpy as np
import pytest

import wengert as torch

pytest.importorskip("tensorboard", reason="needs tensorboard: the extra of that name")
SummaryWriter = pytest.importorskip("wengert.utils.tensorboard").SummaryWriter


def values(folder):
    """What all event files of a folder hold, as (tag, step, value)."""
    from tensorboard.backend.event_processing.event_file_loader import RawEventFileLoader
    from tensorboard.compat.proto.event_pb2 import Event

    found = []
    for path in sorted(folder.glob("events.*")):
        for content in RawEventFileLoader(str(path)).Load():
            event = Event.FromString(content)
            found += [(value.tag, event.step, value) for value in event.summary.value]
    return found


def test_numbers_come_back(tmp_path):
    with SummaryWriter(tmp_path) as writer:
        writer.add_scalar("loss", torch.tensor(0.5, requires_grad=True), 1)
        writer.add_scalar("loss", np.float32(0.25), np.int64(2))
    assert [(tag, step, value.simple_value) for tag, step, value in values(tmp_path)] == [
        ("loss", 1, 0.5), ("loss", 2, 0.25),
    ]  # fmt: skip


def test_several_numbers_share_a_chart(tmp_path):
    with SummaryWriter(tmp_path) as writer:
        writer.add_scalars("loss", {"train": 1.0, "test": 2.0}, 3)
    assert values(tmp_path) == []
    for name, number in (("train", 1.0), ("test", 2.0)):
        ((tag, step, value),) = values(tmp_path / f"loss_{name}")
        assert (tag, step, value.simple_value) == ("loss", 3, number)


def test_histograms_count_everything(tmp_path):
    with SummaryWriter(tmp_path) as writer:
        writer.add_histogram("h", torch.arange(100.0), 1)
        with pytest.raises(ValueError, match="no element"):
            writer.add_histogram("h", torch.empty(0))
    ((_, _, value),) = values(tmp_path)
    assert value.histo.num == sum(value.histo.bucket) == 100 and value.histo.max == 99


def test_pictures_are_png_files(tmp_path):
    pytest.importorskip("PIL", reason="needs pillow, which the extra tensorboard brings")
    from io import BytesIO

    from PIL import Image

    with SummaryWriter(tmp_path) as writer:
        writer.add_image("i", torch.ones(3, 4, 5))
        with pytest.raises(AssertionError, match="input format are different"):
            writer.add_image("i", torch.ones(3, 4, 5), dataformats="HW")
    ((_, _, value),) = values(tmp_path)
    picture = np.asarray(Image.open(BytesIO(value.image.encoded_image_string)))
    assert picture.shape == (4, 5, 3) and (picture == 255).all()


def test_texts_curves_and_runs_are_for_plugins(tmp_path):
    with SummaryWriter(tmp_path) as writer:
        writer.add_text("note", "*hello*")
        writer.add_pr_curve("pr", torch.tensor([0, 1, 1]), torch.tensor([0.1, 0.9, 0.4]))
        writer.add_hparams({"lr": 0.1}, {"accuracy": 0.9}, run_name="run")
    plugins = [value.metadata.plugin_data.plugin_name for _, _, value in values(tmp_path)]
    assert plugins == ["text", "pr_curves"]
    tags = [tag for tag, _, _ in values(tmp_path / "run")]
    assert tags == ["_hparams_/experiment", "_hparams_/session_start_info", "_hparams_/session_end_info", "accuracy"]


def test_points_are_files_for_the_projector(tmp_path):
    with SummaryWriter(tmp_path) as writer:
        writer.add_embedding(torch.arange(6.0).reshape(3, 2), metadata=["a", "b", "c"], tag="words")
        with pytest.raises(AssertionError, match="#labels"):
            writer.add_embedding(torch.ones(3, 2), metadata=["a"], tag="other")
    folder = tmp_path / "00000" / "words"
    assert (folder / "tensors.tsv").read_text() == "0.0\t1.0\n2.0\t3.0\n4.0\t5.0\n"
    assert (folder / "metadata.tsv").read_text() == "a\nb\nc\n"
    assert "words" in (tmp_path / "projector_config.pbtxt").read_text()


def test_what_needs_torchscript_is_refused(tmp_path):
    with SummaryWriter(tmp_path) as writer, pytest.raises(NotImplementedError, match="add_graph"):
        writer.add_graph(torch.nn.Linear(1, 1))


def test_a_closed_writer_begins_a_new_file(tmp_path):
    writer = SummaryWriter(tmp_path, filename_suffix=".first")
    writer.close()
    writer.close()
    writer.filename_suffix = ".second"
    writer.add_scalar("x", 1)
    writer.close()
    assert len(list(tmp_path.glob("events.*"))) == 2 and len(values(tmp_path)) == 1
