"""A program that writes everything a SummaryWriter can: run by test_tensorboard.py under both libraries."""

import sys

import numpy as np
import torch
from torch.utils.tensorboard import SummaryWriter


def main(folder):
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    with SummaryWriter(folder, purge_step=3, filename_suffix=".x") as writer:
        print(writer.get_logdir() == folder)
        writer.add_scalar("loss", 0.5, 1)
        writer.add_scalar("loss", torch.tensor([0.25]), np.int64(2))
        writer.add_scalar("new", np.float32(3), 1, new_style=True)
        writer.add_scalar("double", 1 / 3, 1, new_style=True, double_precision=True)
        writer.add_scalar("half", torch.tensor(1.5, dtype=torch.bfloat16))
        writer.add_scalars("many/curves", {"a": 1, "b": torch.tensor(2.0)}, 1)
        x = torch.randn(1000)
        writer.add_histogram("h", x, 1)
        writer.add_histogram("h", x, 2, bins="auto")
        writer.add_histogram("h", x, 3, max_bins=10)
        writer.add_histogram("positive", x.abs().requires_grad_(), 3, bins=[0, 1, 2, 3])
        writer.add_histogram_raw("raw", 0, 1, 3, 1.5, 1.25, [0.5, 1.0], [1, 2], 1)
        image = torch.rand(3, 8, 12)
        writer.add_image("i", image, 1)
        writer.add_image("i", image.permute(1, 2, 0), 2, dataformats="HWC")
        writer.add_image("i", (image[0] * 255).to(torch.uint8), 3, dataformats="HW")
        writer.add_images("is", torch.rand(5, 1, 4, 4), 1)
        writer.add_image_with_boxes("b", torch.rand(3, 60, 60), torch.tensor([[5.0, 5, 30, 40]]), 1, labels=["cat"])
        writer.add_audio("a", torch.linspace(-1, 1, 100), 1, sample_rate=8000)
        writer.add_text("t", "some *text*", 1)
        writer.add_pr_curve("pr", torch.tensor(rng.integers(2, size=100)), torch.tensor(rng.random(100)), 1)
        writer.add_pr_curve("pr", rng.integers(2, size=50), rng.random(50), 2, num_thresholds=20, weights=0.5)
        writer.add_pr_curve_raw("prr", *np.ones((6, 5)), 1, num_thresholds=5)
        writer.add_custom_scalars({"Taiwan": {"twse": ["Multiline", ["a", "b"]], "m": ["Margin", ["a", "b", "c"]]}})
        writer.add_custom_scalars_multilinechart(["x", "y"])
        writer.add_custom_scalars_marginchart(["x", "y", "z"], title="t")
        points = torch.rand(1, 4, 3)
        writer.add_mesh("m", points, colors=(points * 255).int(), faces=torch.tensor([[[0, 1, 2]]]),
                        config_dict={"camera": 1}, global_step=1)  # fmt: skip
        values = {"lr": 0.1, "bs": 3, "opt": "adam", "flag": True, "t": torch.tensor([2.0]), "none": None}
        writer.add_hparams(values, {"acc": 0.5}, {"opt": ["adam", "sgd"], "bs": [1, 3]}, run_name="run", global_step=4)
        writer.add_embedding(torch.rand(5, 3), list("abcde"), torch.rand(5, 3, 4, 4), global_step=2, tag="em/b")
        writer.add_embedding(rng.random((2, 3)), [["a", 1], ["b", 2]], metadata_header=["name", "n"])
        for name in ("float32", "float64", "float16", "int8", "int32", "int64", "uint8", "bool", "complex64"):
            writer.add_tensor("tensor", torch.arange(6).reshape(2, 3).to(getattr(torch, name)), 1)
        writer.flush()
        for wrong in (lambda: writer.add_scalar("x", torch.ones(2)), lambda: writer.add_histogram("x", torch.ones(0)),
                      lambda: writer.add_hparams([], {}), lambda: writer.add_image("x", image, dataformats="HW"),
                      lambda: writer.add_scalar("x", "text")):  # fmt: skip
            try:
                wrong()
            except Exception as error:
                print(type(error), " ".join(str(error).split())[:60])


if __name__ == "__main__":
    main(sys.argv[1])
