"""Weights of convolutions laid out anew."""

import wengert as torch


def test_only_convolutions_of_that_many_axes_are_laid_out():
    net = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.Conv1d(4, 2, 1))
    before = net[0].weight.clone()
    assert torch.nn.utils.convert_conv2d_weight_memory_format(net, torch.channels_last) is net
    assert net[0].weight.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(net[0].weight, before) and net[0].weight.requires_grad
    assert net[1].weight.is_contiguous()
