"""Replay: a training step's kernel calls, written down once and made again for every batch, with no Python between them.

    step = Replay(model)
    for inputs, targets in loader:
        optimizer.zero_grad()
        loss = step(inputs, targets)  # in place of forward, loss and backward
        optimizer.step()

Where arrays are small, a step spends nearly half of its time deciding what to do, and decides the same every time: which
kernel comes next, into which array. A replay makes the calls of the recorded step again, in the same arrays, with another
batch: in a step of the paper's network 0.47 → 0.27 ms. (CUDA graphs do this for GPUs; `jax.jit` goes further, and compiles
the calls into one.)

What could go wrong is that part of a step is no kernel call, and so is not repeated: tensor arithmetic, your own NumPy code.
Hence a recording is tried before it is used. With other weights, other statistics and another batch, the step and the
replay must give the same bits: the loss, all gradients, all arrays of the modules. If they do not, steps go on as ever: no
faster, and right.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from minidl import functional as F
from minidl import nn
from minidl._recording import recording
from minidl.autograd import is_grad_enabled, is_observed, leaves_of
from minidl.tensor import Tensor

__all__ = ["Replay"]

_SHAPES = 2  # of batches for which a plan is kept: an epoch's, and its last


class Replay:
    """The loss and the gradients of a batch, computed as in an earlier step; the same bits as without it.

    model, loss_fn  the loss is loss_fn(model(Tensor(inputs)), targets), as in `train.train_one_epoch`
    why_not         why the last call was no replay: None if it was one
    The first call runs the step, and then tries its recording: the step and the replay, on other numbers, after which
    everything is as it was. So does the first with a batch of another shape, and the first after a change: of an attribute
    of any module (and so after `model.eval()`), or of a tensor's array, hooks or `requires_grad`.
    Python's own decisions are not taken again: an `if` in a `forward` goes as it went when the step was recorded, and what
    you print or draw in one happens once more in the trial, and then never. Steps with hooks, with dropout, under
    `detect_anomaly`, or of modules that set attributes while they compute, are not replayed.
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
        self._plans: dict[tuple, tuple[_Surroundings, _Plan | str]] = {}

    def __getstate__(self):  # a plan's arrays are parts of each other, and a copy would take them apart
        return self.__dict__ | {"_plans": {}}

    def __call__(self, inputs: ArrayLike, targets: ArrayLike) -> float:
        """The loss of a batch; its gradients are added to the `.grad` of all tensors that it depends on."""
        batch = Tensor(inputs).data, targets.data if isinstance(targets, Tensor) else np.asarray(targets)
        if is_observed() or not is_grad_enabled():
            self.why_not = "detect_anomaly looks at every operation"
            return self._run(batch)
        key = tuple((array.shape, array.dtype) for array in batch)
        if key not in self._plans or not self._plans[key][0].are_unchanged():
            return self._record(key, [array.copy() for array in batch])
        surroundings, plan = self._plans[key]
        if isinstance(plan, _Plan):
            self.why_not = None
            return plan(batch)
        self.why_not = plan
        loss = self._run(batch)
        surroundings.count()  # attributes that the step itself sets do not matter
        return loss

    def _run(self, batch):
        loss = self._loss(batch)
        loss.backward()
        return loss.item()

    def _loss(self, batch):
        return self._loss_fn(self._model(Tensor(batch[0])), batch[1])

    def _record(self, key, batch):
        """Run the step, write it down, and see whether that is all of it."""
        self._plans.pop(key, None)  # its arrays are in the way of the new ones
        before, gradients = [(module, module._changes) for module in self._model.modules()], []
        try:
            with recording() as done:
                loss = self._loss(batch)
                leaves = leaves_of(loss)
                gradients = [(leaf, leaf.grad) for leaf in leaves]
                for leaf in leaves:
                    leaf.grad = None
                loss.backward()
            plan = _Plan(done.calls, batch, loss.data, [(leaf, leaf.grad) for leaf in leaves if leaf.grad is not None])
            before += done.modules
            surroundings = _Surroundings([module for module, _ in before], leaves)
            why_not = done.refused
            if any(module._changes != count for module, count in before):
                why_not = "its modules set attributes while they compute"
            if surroundings.have_hooks():
                why_not = "there are hooks, which may do anything"
            if why_not is None and not self._repeats(plan, surroundings.arrays(), leaves):
                why_not = "some of it is computed outside of minidl's kernels: repeated, they gave other numbers"
        finally:
            for leaf, old in gradients:
                if old is not None:
                    leaf.grad = old if leaf.grad is None else old + leaf.grad
        self.why_not = why_not or "it was recorded"
        while len(self._plans) >= _SHAPES:
            del self._plans[next(iter(self._plans))]
        self._plans[key] = surroundings, why_not or plan
        return loss.item()

    def _repeats(self, plan, state, leaves):
        """Whether the plan gives the same bits as the step, for other numbers everywhere; afterwards all is as before."""
        arrays = [*state, *plan.batch, plan.loss, *(grad for _, grad in plan.gradients)]
        values = [array.copy() for array in arrays]
        try:
            for array in state:
                array[...] = _other_numbers(array)
            for array in plan.batch:
                array[...] = _other_numbers(array, count=False)
            others = [array.copy() for array in state]
            for leaf in leaves:
                leaf.grad = None
            with np.errstate(all="ignore"):
                loss = self._loss([array.copy() for array in plan.batch])
                same_leaves = leaves_of(loss) == leaves
                loss.backward()
            expected = [loss.data, *(leaf.grad for leaf in leaves if leaf.grad is not None), *map(np.copy, state)]
            for array, numbers in zip(state, others, strict=True):
                array[...] = numbers
            plan.run()
            found = [plan.loss, *(grad for _, grad in plan.gradients), *state]
            return same_leaves and len(expected) == len(found) and all(map(_same_bits, expected, found))
        except Exception:  # the model may refuse such numbers
            return False
        finally:
            for array, numbers in zip(arrays, values, strict=True):
                array[...] = numbers
            for leaf in leaves:
                leaf.grad = None
            for leaf, grad in plan.gradients:
                leaf.grad = grad


class _Surroundings:
    """What a step depends on besides its batch: modules, and tensors, which are theirs or get gradients."""

    def __init__(self, modules, leaves):
        self.modules = list(dict.fromkeys(module for root in modules for module in root.modules()))
        self.tensors = list(dict.fromkeys([*leaves, *self._attributes(Tensor)]))
        self._hooked = [bool(module._forward_hooks) for module in self.modules]
        self._before = [(t, t.data, t._hooks, t.requires_grad) for t in self.tensors]
        lists = [value for module in self.modules for value in vars(module).values() if isinstance(value, list)]
        self._lists = [(items, list(map(id, items))) for items in lists]
        self.count()

    def count(self):
        """Take attributes for unchanged, as they are now."""
        self._counts = [module._changes for module in self.modules]

    def _attributes(self, kind):
        return (value for module in self.modules for _, value in module._attributes(kind))

    def are_unchanged(self):
        """Whether no attribute was set; tensors have the same arrays, hooks, `requires_grad`; and lists the same items."""
        if [module._changes for module in self.modules] != self._counts:
            return False
        if [bool(module._forward_hooks) for module in self.modules] != self._hooked:
            return False
        for t, data, hooks, requires_grad in self._before:
            if t.data is not data or t._hooks is not hooks or t.requires_grad is not requires_grad:
                return False
        return all(list(map(id, items)) == before for items, before in self._lists)

    def have_hooks(self):
        """On a module or a tensor."""
        return any(m._forward_hooks for m in self.modules) or any(t._hooks for t in self.tensors)

    def arrays(self):
        """All that can change."""
        arrays = [*(t.data for t in self.tensors), *self._attributes(np.ndarray)]
        return [array for array in arrays if array.flags.writeable]


class _Plan:
    """A recorded step: its calls, and the arrays in which they find the batch and leave the loss and the gradients."""

    def __init__(self, calls, batch, loss, gradients):
        self.calls, self.batch, self.loss, self.gradients = calls, batch, loss, gradients
        self._readers = [_readers(calls, array) for array in batch]

    def __call__(self, batch):
        kept = [(leaf, leaf.grad.copy()) for leaf, _ in self.gradients if leaf.grad is not None]
        for own, readers, given in zip(self.batch, self._readers, batch, strict=True):
            if readers is None or not given.flags.carray:  # another layout would be another type for Numba
                own[...] = given
                given = own
            for call, place, shape in readers or ():
                function, args = self.calls[call]
                self.calls[call] = function, (*args[:place], given.reshape(shape), *args[place + 1 :])
        self.run()
        for leaf, grad in self.gradients:
            leaf.grad = grad
        for leaf, old in kept:
            leaf.grad = old + leaf.grad
        return self.loss.item()

    def run(self):
        """Make the calls."""
        for function, args in self.calls:
            function(*args)


def _readers(calls, array):
    """Where calls take all of an array's numbers: (call, which argument, its shape); None if one takes a part of them."""
    found = []
    for call, (_, args) in enumerate(calls):
        for place, argument in enumerate(args):
            if isinstance(argument, np.ndarray) and np.may_share_memory(argument, array):
                if not (argument.flags.carray and argument.size == array.size and argument.dtype == array.dtype):
                    return None
                found.append((call, place, argument.shape))
    return found


def _other_numbers(array, count=True):
    """Different from the array's at every place, and in another order; counts are far away, labels stay labels."""
    if array.dtype.kind == "f":
        return np.flip(array) * array.dtype.type(65 / 64) + array.dtype.type(1 / 64)
    if array.dtype.kind == "b":
        return ~array
    return 2 * array + 5 if count else np.where(array > 0, array - 1, array + 1)


def _same_bits(a, b):
    return a.shape == b.shape and a.tobytes() == b.tobytes()
