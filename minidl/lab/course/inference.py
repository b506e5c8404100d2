"""Running statistics that a network would have with other momenta, side by side in one training run (lesson 08)."""

from collections.abc import Sequence

import numpy as np

from minidl import nn

__all__ = ["Averages", "statistics"]


def statistics(model: nn.Module) -> list[np.ndarray]:
    """Copy the running mean and variance of each batch norm, in order: arrays (2, C)."""
    return [np.array([norm.running_mean, norm.running_var]) for norm in _norms(model)]


class Averages:
    """Moving averages of batch statistics for several momenta; training does not see them, so one run serves all.

    model    a network, whose batch norms from now on keep the statistics of the last batch alone (momentum 1)
    momenta  weights of the newest batch, each above 0 and at most 1
    Errors   ValueError for a model without batch norm, and for other momenta
    """

    def __init__(self, model: nn.Module, momenta: Sequence[float]):
        self.norms = _norms(model)
        if not self.norms:
            raise ValueError("Averages: the model has no batch norm; there is nothing to average")
        if not momenta or not all(0 < momentum <= 1 for momentum in momenta):
            raise ValueError(f"Averages: momenta are {list(momenta)}; each must be above 0 and at most 1")
        for norm in self.norms:
            norm.reset_running_stats()
        self.kept = {momentum: statistics(model) for momentum in momenta}
        for norm in self.norms:
            norm.momentum = 1.0

    def step(self) -> None:
        """Take in the last batch; call once after each forward in training mode."""
        for momentum, kept in self.kept.items():
            for average, norm in zip(kept, self.norms, strict=True):
                average += momentum * (np.array([norm.running_mean, norm.running_var]) - average)

    def use(self, momentum: float) -> None:
        """Put one momentum's averages into the model, for evaluation; training is not affected."""
        if momentum not in self.kept:
            raise ValueError(f"Averages: no momentum {momentum}; there are {list(self.kept)}")
        for average, norm in zip(self.kept[momentum], self.norms, strict=True):
            norm.running_mean[:], norm.running_var[:] = average


def _norms(model):
    return [module for module in model.modules() if isinstance(module, nn.BatchNorm) and module.track_running_stats]
