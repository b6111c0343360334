"""The event files of a SummaryWriter hold what PyTorch's hold."""

from pathlib import Path

import pytest

from tests.conformance.both import printed_by_pytorch, printed_by_wengert

PROGRAM = Path(__file__).with_name("tensorboard_program.py")


def events(path):
    """The events of a file as text, without the times of their writing."""
    from tensorboard.backend.event_processing.event_file_loader import RawEventFileLoader
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

    found = []
    for content in RawEventFileLoader(str(path)).Load():
        event = Event.FromString(content)
        event.wall_time = 0
        event.source_metadata.writer = ""
        for value in event.summary.value:
            plugin = value.metadata.plugin_data
            if plugin.plugin_name == "hparams":  # dictionaries, whose order is written as it comes
                plugin.content = HParamsPluginData.FromString(plugin.content).SerializeToString(deterministic=True)
        found.append(str(event))
    return found


def files(folder):
    """All files below a folder, event files as their events."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            name = path.relative_to(folder).as_posix()
            is_events = "tfevents" in name
            if is_events:
                name = f"{path.parent.relative_to(folder).as_posix()}/events{path.suffix}"
            found[name] = events(path) if is_events else path.read_bytes()
    return found


def test_everything_is_written_alike(oracle, tmp_path):
    pytest.importorskip("tensorboard", reason="needs tensorboard: the extra of that name")
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    assert printed_by_wengert(PROGRAM, ours) == printed_by_pytorch(PROGRAM, theirs)
    ours, theirs = files(ours), files(theirs)
    assert list(ours) == list(theirs)
    for name, expected in theirs.items():
        assert ours[name] == expected, name
