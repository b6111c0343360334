"""Which modules are running."""

import wengert as torch
from wengert import nn
from wengert.utils.module_tracker import ModuleTracker


def test_the_names_of_running_modules_are_known():
    seen = []

    class Inner(nn.Module):
        def forward(self, x):
            seen.append(set(tracker.parents))
            return x

    model = nn.Sequential(nn.Sequential(Inner()))
    with ModuleTracker() as tracker:
        model(torch.ones(1))
    assert seen == [{"Global", "Sequential", "Sequential.0", "Sequential.0.0"}]
    assert tracker.parents == {"Global"}
