"""Replay: a training step's kernel calls, written down once and made again for every batch, with nothing decided between.

    step = Replay(model)
    for inputs, targets in loader:
        optimizer.zero_grad()
        loss = step(inputs, targets)  # in place of forward, loss and backward
        optimizer.step()

Where arrays are small, a step spends more than a third of its time deciding what to do, and decides the same every time:
which kernel comes next, into which array. A replay makes the calls of the recorded step again, in the same arrays, with
another batch: `minidl bench --networks mlp` has both. (CUDA graphs do this for GPUs; `jax.jit` goes further, and compiles
the calls into one.)

Two things could go wrong. Part of a step may be no kernel call, and so not be repeated: your own NumPy code, a number that
Python takes from an array. (What tensors and layers compute by NumPy is announced as kernel calls are.) Hence a recording is
tried before it is used: with other weights, other statistics and another batch, the step and the replay must give the same
bits; if they do not, steps run normally. And Python may decide otherwise another time, by what it sees. What it sees in
modules is watched; of anything else no trial can know: see `Replay`.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from minidl import functional as F
from minidl import nn
from minidl.autograd import is_grad_enabled
from minidl.autograd.engine import is_observed, leaves_of, walk
from minidl.kernels import jit, threads
from minidl.replay.recording import Recording, current, recording
from minidl.replay.surroundings import Surroundings, global_random_states, once, owner_of, set_back
from minidl.tensor import Tensor

__all__ = ["Replay"]

_SHAPES = 2  # of batches for which a plan is kept: an epoch's, and its last
_DRAWS = "it draws random numbers outside of minidl's kernels"
_PATIENCE = 3  # recordings in a row that no replay followed; then pauses between them grow


class Replay:
    """The loss and the gradients of a batch, computed as in an earlier step; the same bits as without it.

    model, loss_fn  the loss is loss_fn(model(Tensor(inputs)), targets), as in `train.train_one_epoch`
    why_not         why the last call was no replay: None if it was one
    The first call runs the step, and then tries its recording: the step and the replay, on other numbers, after which
    everything is as it was. So does the first with a batch of another shape (plans are kept for two), and the first after a
    change: of what any module holds, also in lists, dicts and dataclasses (so after `model.eval()`), or of a tensor's array,
    hooks or `requires_grad`. Steps run normally if they have hooks, or compute with arrays by themselves, if modules change
    what they hold while they compute, under `detect_anomaly`, and for targets that are neither an array nor a tensor.
    Dropout         draws from its generator in each replay what it would draw in the step itself
    Not noticed     what changes in a variable, or in an object of your own that is no module: an `if` in a `forward` goes
                    as it went when the step was recorded
    In the trial    your `forward` runs once more, and what it prints or draws from a generator that no module holds happens
                    again. Meanwhile no other thread or signal handler may use the model, or draw from the generators that
                    the step draws from and the default one; a Replay belongs to one thread
    The arrays of a step are kept, and `.grad` is the same arrays after every call: copy what you want to keep.
    """

    def __init__(self, model: nn.Module, loss_fn: Callable[..., Tensor] = F.cross_entropy):
        if not isinstance(model, nn.Module) or not callable(loss_fn):
            raise TypeError(
                f"Replay: got a {type(model).__name__} and a {type(loss_fn).__name__}; they must be a Module and a function "
                "of its output and the targets"
            )
        self._model, self._loss_fn = model, loss_fn
        self.why_not: str | None = None
        # shapes and types of a batch → what the step depends on, and how to replay it, or why not
        self._plans: dict[tuple, tuple[Surroundings, _Plan | str]] = {}
        self._in_vain = self._pause = 0

    def __getstate__(self):  # a plan's arrays are parts of each other, and a copy would take them apart
        return self.__dict__ | {"_plans": {}}

    def __call__(self, inputs: ArrayLike, targets: Any) -> float:
        """The loss of a batch; its gradients are added to the `.grad` of all tensors that it depends on."""
        why_not = _obstacle(targets)
        if why_not:
            return self._plain_step(inputs, targets, why_not)
        numbers = targets.data if isinstance(targets, Tensor) else targets
        batch = Tensor(inputs).data, numbers
        key = jit.forks, batch[0].shape, batch[0].dtype, numbers.shape, numbers.dtype, type(targets)
        surroundings, plan = self._plans.get(key, (None, "it is new"))
        if surroundings is None or not surroundings.are_unchanged():
            if self._pause:
                self._pause -= 1
                return self._plain_step(inputs, targets, "something changes from step to step")
            return self._record(key, [array.copy() for array in batch])
        if isinstance(plan, str):
            return self._plain_step(inputs, targets, plan)
        self.why_not, self._in_vain, self._pause = None, 0, 0
        threads.adopt()
        return plan(batch)

    def _plain_step(self, inputs, targets, why_not):
        self.why_not = why_not
        loss = self._loss_fn(self._model(Tensor(inputs)), targets)
        loss.backward()
        return loss.item()

    def _loss(self, batch, kind):
        return self._loss_fn(self._model(Tensor(batch[0])), Tensor(batch[1]) if issubclass(kind, Tensor) else batch[1])

    def _record(self, key, batch):
        """Run the step, write it down, and see whether that is all of it."""
        self._plans.pop(key, None)  # its arrays are in the way of the new ones
        before, gradients = Surroundings([self._model]), []
        random_states = global_random_states()
        try:
            with recording() as done:
                loss = self._loss(batch, key[-1])
                if any(node._hooks for node in walk(loss)):
                    done.obstacle = "it puts hooks on tensors"
                leaves = leaves_of(loss)
                gradients = [(leaf, leaf.grad) for leaf in leaves]
                _forget_gradients(leaves)
                loss.backward()
            plan = _Plan(done.calls, batch, loss.data, leaves)
            surroundings = Surroundings([self._model, *done.modules], leaves)
            surroundings.know(done.calls)
            why_not = done.obstacle or surroundings.why_not()
            if not before.are_unchanged():
                why_not = "its modules change what they hold while they compute"
            elif global_random_states() != random_states:
                why_not = _DRAWS
            why_not = why_not or self._try(plan, surroundings, key[-1])
        finally:
            for leaf, old in gradients:
                if old is not None:
                    leaf.grad = old if leaf.grad is None else old + leaf.grad
        self.why_not = why_not or "it was recorded"
        while len(self._plans) >= _SHAPES:
            del self._plans[next(iter(self._plans))]
        self._plans[key] = surroundings, why_not or plan
        self._in_vain += 1
        self._pause = 0 if self._in_vain < _PATIENCE else min(2**self._in_vain, 1000)
        return loss.item()

    def _try(self, plan, surroundings, kind):
        """Why the plan does not give the bits of the step, for other numbers everywhere; afterwards all is as before."""
        leaves, known = [leaf for leaf, _ in plan.gradients], [*surroundings.arrays, *plan.batch]
        results = [plan.loss, *(grad for _, grad in plan.gradients if grad is not None)]
        before, shared, generator = _values(known + results), {}, np.random.default_rng(0)
        states = surroundings.random_states()

        def keep(args):  # what the step shares with the plan though nobody told: kernels change it, or read it
            for owner in map(owner_of, _arrays(args)):
                if id(owner) in plan.owners and id(owner) not in shared and owner.flags.writeable:
                    shared[id(owner)] = owner, owner.copy()

        try:
            with np.errstate(all="ignore"):
                _set_other_numbers(surroundings.arrays, plan.batch, generator)
                start = _values(known)
                _forget_gradients(leaves)
                with recording(Recording(keep)):
                    loss = self._loss([array.copy() for array in plan.batch], kind)
                    others = leaves_of(loss)
                    loss.backward()
                drawn = surroundings.random_states()
                compared = [*surroundings.arrays, *(owner for owner, _ in shared.values())]
                expected = [loss.data, *(leaf.grad for leaf in leaves), *map(np.copy, compared)]
                _set_other_numbers(surroundings.arrays, plan.batch, generator)
                plan.run()  # leaves its traces where the step would find fresh arrays
                _restore([*shared.values(), *start])
                batch = [array.copy() for array in plan.batch]
                _set_other_numbers([], plan.batch, generator)  # the plan must find them in `batch`
                set_back(states)
                _forget_gradients(leaves)
                plan(batch)
                found = [plan.loss, *(leaf.grad for leaf in leaves), *compared]
            if not surroundings.are_unchanged():
                return "its modules change what they hold while they compute"
            if surroundings.random_states() != drawn:
                return _DRAWS
            same = len(others) == len(leaves) and all(a is b for a, b in zip(others, leaves, strict=True))
            if same and all(map(_same_bits, expected, found)):
                return None
            return "some of it is computed outside of minidl's kernels: repeated, they gave other numbers"
        except Exception as error:  # the model may refuse such numbers
            return f"it failed when it was tried on other numbers: {type(error).__name__}: {error}"
        finally:
            _restore([*shared.values(), *before])
            set_back(states)
            for leaf, grad in plan.gradients:
                leaf.grad = grad


def _obstacle(targets):
    if is_observed():
        return "detect_anomaly looks at every operation"
    outer = current()
    if outer is not None:
        outer.obstacle = "it has a Replay in it"
        return "it is part of another Replay"
    if not isinstance(targets, np.ndarray | Tensor) or getattr(targets, "requires_grad", False):
        return "the targets are not an array, or need a gradient"
    return None if is_grad_enabled() else "gradients are off"


class _Plan:
    """A recorded step: its calls, and the arrays in which they find the batch and leave the loss and the gradients."""

    def __init__(self, calls, batch, loss, leaves):
        self.calls, self.batch, self.loss = calls, batch, loss
        self.gradients = [(leaf, leaf.grad) for leaf in leaves]
        self.owners = {id(owner_of(array)) for _, args in calls for array in _arrays(args)}
        self._readers = [_readers(calls, array) for array in batch]

    def __call__(self, batch):
        for leaf, _ in self.gradients:
            if leaf.grad is not None:
                leaf.grad = leaf.grad.copy()  # it may be the array that the calls write to
        for own, readers, given in zip(self.batch, self._readers, batch, strict=True):
            if readers is None or not given.flags.carray:  # another layout would be another type for Numba
                own[...] = given
                given = own
            for call, place, shape in readers or ():
                function, args = self.calls[call]
                self.calls[call] = function, (*args[:place], given.reshape(shape), *args[place + 1 :])
        self.run()
        for leaf, grad in self.gradients:
            if grad is not None:
                leaf._accumulate(grad, own=True)
        return self.loss.item()

    def run(self):
        """Make the calls."""
        for function, args in self.calls:
            function(*args)


def _readers(calls, array):
    """Where calls take all of an array's numbers: (call, which argument, its shape); None if one takes them otherwise."""
    found = []
    for call, (_, args) in enumerate(calls):
        for place, argument in enumerate(args):
            for part in _arrays((argument,)):
                if np.may_share_memory(part, array):
                    whole = part is argument and part.flags.carray and part.size == array.size
                    if not whole or part.dtype != array.dtype:
                        return None
                    found.append((call, place, part.shape))
    return found


def _arrays(args):
    """The arrays among arguments, also in tuples."""
    for argument in args:
        if isinstance(argument, np.ndarray):
            yield argument
        elif isinstance(argument, tuple):
            yield from _arrays(argument)


def _forget_gradients(leaves):
    for leaf in leaves:
        leaf.grad = None


def _values(arrays):
    return [(array, array.copy()) for array in once(arrays)]


def _restore(values):
    for array, numbers in values:
        array[...] = numbers


def _set_other_numbers(arrays, batch, generator):
    """None stays as it is, and no two stay equal; what is positive stays so, and labels stay labels."""
    for array in arrays:
        array[...] = _other_numbers(array, generator)
    for array in batch:
        labels = array.dtype.kind in "iu"
        array[...] = np.where(array > 0, array - 1, array + 1) if labels else _other_numbers(array, generator)


def _other_numbers(array, generator):
    if array.dtype.kind in "iu":
        return array + generator.integers(1, 100, array.shape).astype(array.dtype)
    if array.dtype.kind == "b":
        return ~array
    finite = np.flip(np.where(np.isfinite(array), array, 0))
    return finite * (1 + generator.uniform(0.5, 1, array.shape) / 16) + generator.uniform(0.5, 1, array.shape) / 64


def _same_bits(a, b):
    if a is None or b is None:
        return a is b
    return a.shape == b.shape and a.tobytes() == b.tobytes()
