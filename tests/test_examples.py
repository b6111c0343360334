"""The examples run under `wengert run` and do what they promise."""

import os
import re
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import pytest

import wengert

ROOT = Path(wengert.__file__).parents[1]
EXAMPLES = ROOT / "examples"
RECORDED = Path(__file__).parent / "recorded"
COMMAND = [sys.executable, "-m", "wengert", "run"]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"}


def output_of(example, *arguments):
    done = subprocess.run(
        [*COMMAND, str(EXAMPLES / example), *arguments],
        capture_output=True,
        text=True,
        encoding="utf-8",
        env=ENVIRONMENT,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_tour_prints_what_pytorch_printed():
    # Recorded with: python examples/detach_tour.py > tests/recorded/detach_tour.txt (PyTorch 2.13.0)
    assert output_of("detach_tour.py") == (RECORDED / "detach_tour.txt").read_text(encoding="utf-8")


def test_digits_learns_and_reports_its_gradient_flow():
    out = output_of("digits.py", "--epochs", "3")
    assert len(re.findall(r"^  epoch ", out, re.MULTILINE)) == 3
    learned, tested = map(float, re.search(r"accuracy: ([\d.]+)% in training, ([\d.]+)% in the test", out).groups())
    assert learned > 90
    assert tested > 90
    rows = [re.split(" {2,}", line.strip()) for line in out.partition("verdict\n")[2].splitlines()]
    assert [row[0] for row in rows] == [f"{layer}.{kind}" for layer in (0, 2, 7, 9) for kind in ("weight", "bias")]
    assert all(len(row) == 5 and float(row[2]) > 0 and 0 < float(row[3]) < 0.1 for row in rows)
    assert {row[4] for row in rows} == {"flows"}


@pytest.mark.skipif(os.name == "nt", reason="pseudo-terminals are a POSIX thing")
def test_digits_draws_a_progress_bar_on_a_terminal():
    import pty

    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND, str(EXAMPLES / "digits.py"), "--epochs", "1", "--batch", "256"], stdout=theirs, env=ENVIRONMENT
    )
    os.close(theirs)
    seen = b""
    try:
        while chunk := os.read(ours, 4096):
            seen += chunk
    except OSError:  # how Linux says that the other end is closed
        pass
    os.close(ours)
    assert process.wait(timeout=60) == 0
    bars = seen.split(b"\r\n")[1].split(b"\r")
    assert len(bars) == 1 + 6  # what precedes the first return, then one state per batch
    assert b"[##############################] 100%" in bars[-1]


def test_actor_and_critic_learn_to_stay_up_longer():
    out = output_of("actor_critic.py", "--updates", "60", "--carts", "8")
    means = [float(mean) for mean in re.findall(r"episodes +([\d.]+)", out)]
    assert len(means) == 10
    assert max(means[5:]) > 1.5 * means[0]


def losses_in(out):
    return [float(loss) for loss in re.findall(r"^step .* loss ([\d.]+)", out, re.MULTILINE)]


def test_the_gpt_learns_letters_and_writes():
    size = ["--window", "16", "--width", "32", "--layers", "1"]
    out = output_of("char_gpt.py", "--steps", "80", "--every", "10", "--write", "30", *size)
    losses = losses_in(out)
    assert len(losses) == 8
    assert 3.0 < losses[0] < 4.3  # log(68) for knowing nothing
    assert losses[-1] < 2.8  # which letter follows which
    assert len(out.partition("\nROSALIND\t")[2]) == 30 + len("\n")


def test_the_autoencoder_learns_to_paint_and_saves_a_picture(tmp_path):
    picture = tmp_path / "plane.png"
    losses = losses_in(output_of("vae.py", "--steps", "60", "--every", "10", "--picture", str(picture)))
    assert len(losses) == 6
    assert losses[-1] < 0.9 * losses[0]
    image = picture.read_bytes()
    assert image.startswith(b"\x89PNG\r\n\x1a\n")
    assert image.endswith(b"IEND\xaeB`\x82")
    side = 15 * (8 + 2) * 4
    assert struct.unpack(">II", image[16:24]) == (side, side)
    pixels = zlib.decompress(image[41:-16])
    assert len(pixels) == side * (side + 1)
    row = pixels[20 * (side + 1) + 1 : 21 * (side + 1)]  # through the middle of the topmost digits
    assert min(row) < 255  # there is ink


def test_the_forecaster_learns_the_cycle(tmp_path):
    plot = tmp_path / "sunspots.png"
    out = output_of("lstm_forecast.py", "--steps", "80", "--every", "10", "--plot", str(plot))
    losses = losses_in(out)
    assert len(losses) == 8
    assert losses[-1] < 0.2 * losses[0]
    unchanged, ahead = (float(re.search(rf"{words} +([\d.]+)", out)[1]) for words in ("changes", "one year ahead"))
    assert ahead < unchanged
    assert plot.exists() != ("Matplotlib isn't installed" in out)


def test_the_play_and_the_sunspots_are_the_published_ones():
    play = (EXAMPLES / "data" / "as_you_like_it.txt").read_bytes()
    assert (len(play), zlib.crc32(play)) == (125179, 0x015E5966)
    rows = (EXAMPLES / "data" / "sunspots.csv").read_text(encoding="ascii").splitlines()
    assert (rows[0], rows[1], rows[-1], len(rows)) == ('"YEAR","SUNACTIVITY"', "1700,5", "2008,2.9", 310)


def test_the_digits_are_the_published_ones():
    import numpy as np

    with np.load(EXAMPLES / "data" / "digits.npz") as archive:
        images, labels = archive["images"], archive["labels"]
    assert (images.shape, images.dtype, labels.shape, labels.dtype) == ((1797, 8, 8), "uint8", (1797,), "uint8")
    assert (images.max(), int(images.sum(dtype="int64"))) == (16, 561718)
    assert np.bincount(labels).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
