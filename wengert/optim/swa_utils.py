"""Averages of a model's weights over training: equal (Izmailov et al. 2018) or exponential (Polyak)."""

import itertools
import math
import warnings
from copy import deepcopy

import wengert
from wengert.nn.modules.batchnorm import _BatchNorm
from wengert.nn.modules.module import Module

from .lr_scheduler import LRScheduler, _per_group

__all__ = [
    "AveragedModel",
    "update_bn",
    "SWALR",
    "get_ema_multi_avg_fn",
    "get_swa_multi_avg_fn",
    "get_ema_avg_fn",
    "get_swa_avg_fn",
]


def _check_decay(decay):
    if decay < 0.0 or decay > 1.0:
        raise ValueError(f"Invalid decay value {decay} provided. Please provide a value in [0,1] range.")


def _floating(tensor):
    return tensor.is_floating_point() or tensor.is_complex()


def get_ema_multi_avg_fn(decay=0.999):
    """A function that moves a list of averages towards the current values by 1 - decay, in place."""
    _check_decay(decay)

    def ema_update(ema_param_list, current_param_list, _):
        with wengert.no_grad():
            for ema, current in zip(ema_param_list, current_param_list, strict=True):
                if _floating(ema):
                    ema.lerp_(current, 1 - decay)
                else:
                    ema.copy_(ema * decay + current * (1 - decay))

    return ema_update


def get_swa_multi_avg_fn():
    """A function that takes the current values into a list of equally weighted averages, in place."""

    def swa_update(averaged_param_list, current_param_list, num_averaged):
        with wengert.no_grad():
            for average, current in zip(averaged_param_list, current_param_list, strict=True):
                if _floating(average):
                    average.lerp_(current, 1 / (float(num_averaged) + 1))
                else:
                    average.add_((current - average) / (num_averaged + 1))

    return swa_update


def get_ema_avg_fn(decay=0.999):
    """A function of (average, current, count) that returns decay · average + (1 - decay) · current."""
    _check_decay(decay)

    def ema_update(ema_param, current_param, num_averaged):
        with wengert.no_grad():
            return decay * ema_param + (1 - decay) * current_param

    return ema_update


def get_swa_avg_fn():
    """A function of (average, current, count) that returns the average of count + 1 values."""

    def swa_update(averaged_param, current_param, num_averaged):
        with wengert.no_grad():
            return averaged_param + (current_param - averaged_param) / (num_averaged + 1)

    return swa_update


class AveragedModel(Module):
    """A copy of `model` whose parameters are averages over the calls of `update_parameters`.

    `avg_fn(average, current, count)` returns a new average, `multi_avg_fn` changes lists in place; by default all
    calls count alike. `use_buffers` averages buffers too; otherwise they are copied.
    """

    def __init__(self, model, device=None, avg_fn=None, multi_avg_fn=None, use_buffers=False):
        super().__init__()
        if avg_fn is not None and multi_avg_fn is not None:
            raise AssertionError("Only one of avg_fn and multi_avg_fn should be provided")
        self.module = deepcopy(model)
        if device is not None:
            self.module = self.module.to(device)
        self.register_buffer("n_averaged", wengert.tensor(0, dtype=wengert.int64, device=device))
        self.avg_fn = avg_fn
        self.multi_avg_fn = multi_avg_fn
        self.use_buffers = use_buffers

    def forward(self, *args, **kwargs):
        return self.module(*args, **kwargs)

    def _tensors(self, module):
        buffers = module.buffers() if self.use_buffers else ()
        return [t.detach() for t in itertools.chain(module.parameters(), buffers)]

    def update_parameters(self, model):
        """Take the present parameters of `model` into the average."""
        averages, current = self._tensors(self.module), self._tensors(model)
        current = [c.to(a.device) for a, c in zip(averages, current, strict=True)]
        if int(self.n_averaged) == 0:
            for average, value in zip(averages, current, strict=True):
                average.copy_(value)
        elif self.avg_fn is not None:
            for average, value in zip(averages, current, strict=True):
                average.copy_(self.avg_fn(average, value, self.n_averaged))
        else:
            # The function may treat a list as one: give it lists of one dtype.
            update = self.multi_avg_fn or get_swa_multi_avg_fn()
            for dtype in dict.fromkeys(a.dtype for a in averages):
                same = [(a, c) for a, c in zip(averages, current, strict=True) if a.dtype == dtype]
                update([a for a, _ in same], [c for _, c in same], self.n_averaged)
        if not self.use_buffers:
            for average, value in zip(self.module.buffers(), model.buffers(), strict=True):
                average.detach().copy_(value.detach().to(average.device))
        self.n_averaged += 1


def update_bn(loader, model, device=None):
    """Compute the running statistics of all batch normalizations of `model` anew from the batches of `loader`."""
    momenta = {m: m.momentum for m in model.modules() if isinstance(m, _BatchNorm)}
    if not momenta:
        return
    was_training = model.training
    with wengert.no_grad():
        for module in momenta:
            module.reset_running_stats()
            module.momentum = None
        model.train()
        for batch in loader:
            if isinstance(batch, list | tuple):
                batch = batch[0]
            model(batch if device is None else batch.to(device))
    for module, momentum in momenta.items():
        module.momentum = momentum
    model.train(was_training)


class SWALR(LRScheduler):
    """Anneal the rate to swa_lr in anneal_epochs, by a cosine or straight, and keep it."""

    def __init__(self, optimizer, swa_lr, anneal_epochs=10, anneal_strategy="cos", last_epoch=-1):
        for value, group in zip(_per_group("swa_lr", optimizer, swa_lr), optimizer.param_groups, strict=True):
            group["swa_lr"] = value
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(f"anneal_strategy must be one of 'cos' or 'linear', instead got {anneal_strategy}")
        if not isinstance(anneal_epochs, int) or anneal_epochs < 0:
            raise ValueError(f"anneal_epochs must be equal or greater than 0, got {anneal_epochs}")
        self._anneal_strategy = anneal_strategy
        self.anneal_epochs = anneal_epochs
        super().__init__(optimizer, last_epoch)

    def _fraction(self, step):
        t = max(0, min(1, step / max(1, self.anneal_epochs)))
        return (1 - math.cos(math.pi * t)) / 2 if self._anneal_strategy == "cos" else t

    def get_lr(self):
        if not self._get_lr_called_within_step:
            warnings.warn(
                "To get the last learning rate computed by the scheduler, please use `get_last_lr()`.",
                UserWarning,
                stacklevel=2,
            )
        step = self._step_count - 1
        if self.anneal_epochs == 0:
            step = max(1, step)
        before, now = self._fraction(step - 1), self._fraction(step)
        lrs = []
        for group in self.optimizer.param_groups:
            swa_lr = group["swa_lr"]
            # What the rate would have been had it not been annealed so far.
            start = swa_lr if before == 1 else (group["lr"] - before * swa_lr) / (1 - before)
            lrs.append(swa_lr * now + start * (1 - now))
        return lrs
