"""Averages over the steps of a training: of the weights, beside the network or in it, and of batch norm's statistics."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from minidl._numbers import check_between
from minidl.autograd import no_grad
from minidl.nn.module import Module
from minidl.nn.norm import BatchNorm
from minidl.tensor import Tensor

__all__ = ["NO_BATCH", "Lookahead", "MovingAverage", "update_bn"]

NO_BATCH = "gave no batch; a generator can be walked through only once: pass a DataLoader, or make a new one"


class MovingAverage:
    """A moving average of a network's whole state, buffers such as batch norm's statistics included.

        average = optim.MovingAverage(model)        # at first the state as it is
        …
        optimizer.step()
        average.update(0.999)
        …
        best = copy.deepcopy(model)
        average.copy_to(best)                       # a network to evaluate; the other one trains on

    Update    average ← decay·average + (1 − decay)·state; whole numbers, such as num_batches_tracked, are the newest
    Errors    TypeError for what is no Module; in `update`, ValueError for a decay out of range, and a state with other
              names, shapes or types than at first. What is refused changes nothing
    Plain     averages, as in stochastic weight averaging, are decays of k / (k + 1) for k = 0, 1, …; with `update_bn` for
              the averaged network's statistics, if the average of theirs will not do
    Source    Polyak and Juditsky 1992; Izmailov et al. 2018 for the plain average. In PyTorch: swa_utils.AveragedModel,
              with use_buffers=True
    """

    def __init__(self, model: Module):
        if not isinstance(model, Module):
            raise TypeError(f"{type(self).__name__}: model is a {type(model).__name__}; it must be a Module")
        self.model = model
        self._average = model.state_dict()

    def update(self, decay: float) -> None:
        """Take the network's state of now into the average; a decay of 1 leaves the average as it is, 0 forgets it."""
        self._average = self._next(decay)

    def copy_to(self, model: Module) -> None:
        """Load the average into a network, the one that it is of or a copy."""
        model.load_state_dict(self._average)

    def state_dict(self) -> dict[str, np.ndarray]:
        """Return copies of the averages, by the names of the network's own `state_dict`."""
        return {name: array.copy() for name, array in self._average.items()}

    def load_state_dict(self, state: Mapping[str, ArrayLike]) -> None:
        """Take over what `state_dict` gave, of the same network; or change nothing.

        Errors  ValueError for what is no such state, or one of another network
        """
        own, name = self._average, f"{type(self).__name__}.load_state_dict"
        if not isinstance(state, Mapping) or state.keys() != own.keys():
            raise ValueError(f"{name}: got no state of this network; it must be what state_dict() gave")
        given = {key: np.asarray(state[key]) for key in own}
        wrong = [k for k, a in given.items() if a.shape != own[k].shape or a.dtype.kind != own[k].dtype.kind]
        if wrong:
            raise ValueError(
                f"{name}: {', '.join(wrong)} have other shapes or types; they must be as state_dict() gave them"
            )
        self._average = {key: np.array(array, own[key].dtype, order="C") for key, array in given.items()}

    def _next(self, decay):
        name = type(self).__name__
        check_between(name, "decay", decay, 0, 1)
        state = self.model.state_dict()
        if _outline(state) != _outline(self._average):
            raise ValueError(
                f"{name}: the network has other parameters or buffers than at first, or of other types; make a new {name} "
                "after such a change"
            )
        return {key: _between(self._average[key], new, float(decay)) for key, new in state.items()}


class Lookahead(MovingAverage):
    """Slow weights that follow a network's own, and to which it is set back: of its whole state, buffers included.

        lookahead = optim.Lookahead(model)
        for step in range(1, steps + 1):
            …zero_grad, forward, backward, optimizer.step()…
            if step % 5 == 0:
                lookahead.update(0.95**5 * (step / steps) ** 3)
        lookahead.update(1)                         # the network becomes the average

    Update    average ← decay·average + (1 − decay)·state, then state ← average; the optimizer keeps its momentum
    Errors    those of MovingAverage; in `update`, also ValueError for an array that is read-only
    Source    Zhang et al. 2019, whose α is 1 − decay. A decay that grows is from Jordan 2024
    """

    def update(self, decay: float) -> None:
        """Take the network's state of now into the average, and set the network to it."""
        average = self._next(decay)
        self.model.load_state_dict(average)
        self._average = average


@no_grad()
def update_bn(loader: Iterable[Any], model: Module) -> None:
    """Replace the running statistics of all batch norms by plain averages over the loader's batches.

    The moving average that training keeps follows the last few dozen batches, with their noise; this is the population
    of the paper's Algorithm 2, for the weights as they are now. Only batch norms act as in training (no dropout).

    loader      gives inputs, or tuples whose first part is the inputs; arrays
    Errors      ValueError for a loader without a batch; after this, or an error of the model's, all is as before
    Source      Ioffe and Szegedy 2015, Algorithm 2; the name is PyTorch's
    """
    if not isinstance(model, Module):
        raise TypeError(f"update_bn: model is a {type(model).__name__}; it must be a Module, after the loader")
    norms = [m for m in model.modules() if isinstance(m, BatchNorm) and m.track_running_stats]
    for norm in norms:
        norm._check_buffers()
    modes, momenta = [(m, m.training) for m in model.modules()], [m.momentum for m in norms]
    before, batches = [[buffer.copy() for buffer in norm.buffers()] for norm in norms], 0
    model.eval()
    for norm in norms:
        norm.training, norm.momentum = True, None
        norm.reset_running_stats()
    try:
        for batches, batch in enumerate(loader, 1):  # noqa: B007
            model(Tensor(batch[0] if isinstance(batch, tuple | list) else batch))
        if not batches:
            raise ValueError(f"update_bn: the loader {NO_BATCH}")
    except BaseException:
        for norm, buffers in zip(norms, before, strict=True):
            for buffer, old in zip(norm.buffers(), buffers, strict=True):
                buffer[...] = old
        raise
    finally:
        for module, mode in modes:
            module.training = mode
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum


def _outline(state):
    return {name: (array.shape, array.dtype) for name, array in state.items()}


def _between(old, new, decay):
    """decay·old + (1 − decay)·new; exactly old for 1 and for equal numbers, exactly new for 0."""
    if old.dtype.kind != "f":
        return new
    number = old.dtype.type
    with np.errstate(all="ignore"):  # of a network that diverges
        way = new - old
        return np.asarray(old + number(1 - decay) * way if decay > 0.5 else new - number(decay) * way)
