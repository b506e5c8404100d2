"""How `loss.backward()` works: a graph of nodes, each knowing its parents and how to hand a gradient on to them.

Every operation in minidl does three things. It computes its result; right under that it defines a function
`backward(grad)`, which takes ∂loss/∂result and returns ∂loss/∂parent for every parent; and it hands both to
`Tensor._from_op`, which remembers them. `loss.backward()` then visits the operations from last to first, so that each one
has heard from all of its users before it speaks to its parents: the chain rule, once for each node.

There are no gradients of gradients: `backward` functions work on plain arrays, and nothing records what they do.

Until `backward()` has walked it, a graph needs the arrays that it was computed from as they were then. Changes that minidl
itself makes in place (an optimizer's step, `load_state_dict`, `nn.init`, `Module.to`) are noticed, and refused by
`backward()`. Your own (`w.data -= …`, a buffer that the next batch is written into) are noticed under `detect_anomaly()`
only, as NumPy keeps no record of them.

What this costs matters where arrays are small. An operation on some 6,000 numbers takes 1.5 to 4 µs in its kernel; besides
that, measured on the paper's network with kernels that do nothing, 2 to 5 µs forward: batch norm's 4.5 are 1.6 for checking
its arguments, 0.9 for two ways into a kernel (see `Kernel` in `_jit.py`), 0.5 for its layer, 0.4 for its node here, the rest
for arrays and their shapes. Backward are 0.6 to 1.6 µs in the operation, and 0.7 for each tensor that the walk meets. In a
training step all of it takes three quarters as long again, as matrix products have just emptied the nearest caches.
`replay.py` does without it.
"""

import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
from numpy.typing import ArrayLike

from minidl._recording import refuse

__all__ = ["Node", "changed_in_place", "held_by", "is_grad_enabled", "is_observed", "leaves_of", "name_of", "needs",
           "no_grad", "observe"]  # fmt: skip

_moment = 0  # counts the changes that minidl makes in place
_observer = None  # what `detect_anomaly` has put in the way of every operation


class Node:
    """A place in the graph: an array, the gradient that arrived at it, and where it came from.

    data            the array
    grad            ∂loss/∂data, on leaves after `backward()`; None before
    requires_grad   whether gradients flow to it
    """

    # _moment: of the last change in place, for leaves; when it was computed, for results
    __slots__ = ("__weakref__", "_backward", "_hooks", "_moment", "_parents", "data", "grad", "requires_grad")

    data: np.ndarray
    grad: np.ndarray | None
    requires_grad: bool
    _hooks: tuple[Callable, ...]

    def __init__(self, data: np.ndarray, requires_grad: bool):
        self.data = data
        self.grad = None
        self.requires_grad = requires_grad
        self._parents, self._backward, self._hooks, self._moment = (), None, (), 0

    @classmethod
    def _from_op(cls, data, parents, backward):
        """The result of an operation.

        `backward(grad)` returns one array, or None, for each parent: of the parent's shape and type, and either new, or
        a view, or `grad` itself, or what another parent gets too (the engine copies before it keeps what others hold).
        """
        out = cls.__new__(cls)
        out.data = data if type(data) is np.ndarray else np.asarray(data)
        out.grad = None
        out._hooks = ()
        out._moment = _moment
        out.requires_grad, out._parents, out._backward = False, (), None
        if _mode.enabled:
            for parent in parents:
                if parent.requires_grad:
                    out.requires_grad, out._parents, out._backward = True, parents, backward
                    break
        if _observer is not None:
            _observer.forward_done(out, parents, backward)
        return out

    def backward(self, grad: ArrayLike | None = None) -> None:
        """Add ∂self/∂leaf · grad to the `.grad` of every leaf that self was computed from.

        grad    ∂loss/∂self, an array of self's shape; by default 1, which needs a tensor of one element
        The graph is freed on the way; a second walk over it raises RuntimeError.
        """
        grad = self._check_first_gradient(grad)
        order = _topological_order(self)
        _check_whole(order)  # before any gradient has moved
        observer = _observer
        grads = {self: grad}
        # tensors whose entry in `grads` is an array that nobody else holds: safe to add to, or to keep
        own: set[Node] = set()
        while order:
            node = order.pop()
            grad = grads.pop(node, None)
            if grad is None:
                continue  # all its users answered None
            if node._hooks:
                grad = node._through_hooks(grad, own)
            if observer is not None:
                observer.backward_begins(node)
            parent_grads = node._backward(grad)
            if observer is not None:
                observer.backward_done(node, grad, parent_grads)
            if len(parent_grads) != len(node._parents):  # a third of the time that zip(strict=True) takes
                raise ValueError(f"backward: {node.op} gave a list of gradients shorter or longer than its parents'")
            apart = len(parent_grads) == 1 or _lie_apart(parent_grads)
            for parent, parent_grad in zip(node._parents, parent_grads):  # noqa: B905
                if parent_grad is None or not parent.requires_grad:
                    continue
                total = grads.get(parent)
                if total is None:
                    grads[parent] = parent_grad
                    if apart and parent_grad is not grad and parent_grad.base is None:
                        own.add(parent)
                elif parent in own and type(total) is np.ndarray:
                    total += parent_grad
                else:
                    grads[parent] = total + parent_grad
                    own.add(parent)
            node._parents, node._backward = (), _freed
        for leaf, grad in grads.items():
            if leaf._hooks:
                grad = leaf._through_hooks(grad, own)
            leaf._accumulate(grad, leaf in own)

    def _through_hooks(self, grad, own):
        for hook in self._hooks:
            replacement = hook(grad)
            if replacement is not None:
                grad = self._as_gradient(replacement, "hook: the replacement")
                own.discard(self)
        return grad

    def _check_first_gradient(self, grad):
        if not self.requires_grad:
            raise RuntimeError(
                "backward: this tensor does not depend on anything that has requires_grad=True; set it on what shall get a "
                "gradient, and compute the loss outside no_grad"
            )
        if grad is None:
            if self.data.size != 1:
                raise RuntimeError(
                    f"backward: the tensor has shape {self.data.shape}, not one element; reduce it first, "
                    "say with .mean(), or pass grad, the gradient of the loss with respect to it"
                )
            return np.array(1, self.data.dtype, ndmin=self.data.ndim)
        return self._as_gradient(grad, "backward: grad")

    def _as_gradient(self, grad, what):
        try:
            grad = np.asarray(grad.data if isinstance(grad, Node) else grad, dtype=self.data.dtype)
        except (TypeError, ValueError):
            raise TypeError(f"{what} is a {type(grad).__name__}; it must be an array of numbers") from None
        if grad.shape != self.data.shape:
            raise ValueError(f"{what} is {grad.shape} but the tensor is {self.data.shape}; the two must be the same")
        return grad

    def _accumulate(self, grad, own):
        if self.grad is not None:
            self.grad = np.asarray(self.grad + grad)  # a new array: somebody may hold the old one
        elif own and type(grad) is np.ndarray:
            self.grad = grad
        else:
            self.grad = np.array(grad)

    def register_hook(self, hook: Callable[[np.ndarray], np.ndarray | None]) -> None:
        """Call `hook(grad)` when backward has ∂loss/∂self complete; an array it returns takes the gradient's place."""
        if not callable(hook):
            raise TypeError(f"register_hook: got a {type(hook).__name__}; it must be a function of one gradient")
        refuse("it puts hooks on tensors")
        self._hooks = (*self._hooks, hook)

    def retain_grad(self) -> None:
        """Keep `.grad` on this tensor although it is not a leaf."""
        if self._backward is not None and not any(isinstance(hook, _KeepGrad) for hook in self._hooks):
            self.register_hook(_KeepGrad(self))

    @property
    def op(self) -> str | None:
        """The name of the operation that made this tensor; None for a leaf."""
        return self._backward and name_of(self._backward)


class _KeepGrad:
    """The hook behind `retain_grad`."""

    def __init__(self, node):
        self.node = weakref.ref(node)  # a strong one would close a cycle, and keep the graph until a garbage collection

    def __call__(self, grad):
        self.node()._accumulate(grad, own=False)


class _Mode(threading.local):
    enabled = True


_mode = _Mode()  # each thread has its own


@contextmanager
def no_grad() -> Iterator[None]:
    """Record nothing inside: `with no_grad(): …`, or on a function, `@no_grad()`."""
    before, _mode.enabled = _mode.enabled, False
    try:
        yield
    finally:
        _mode.enabled = before


def is_grad_enabled() -> bool:
    """Whether operations are being recorded."""
    return _mode.enabled


def _topological_order(root):
    """The results of operations under root, parents first. No recursion: graphs may be deeper than Python's stack."""
    order, seen, stack = [], set(), [root] if root._backward else []
    while stack:
        node = stack.pop()
        if node is None:  # a mark: all parents of the node under it are in order
            order.append(stack.pop())
        elif node not in seen:
            seen.add(node)
            stack += (node, None)
            for parent in node._parents:
                if parent._backward and parent.requires_grad and parent not in seen:
                    stack.append(parent)
    return order


def leaves_of(root):
    """The tensors to whose `.grad` `root.backward()` will add, each once."""
    order = _topological_order(root)
    parents = [parent for node in order for parent in node._parents if parent.requires_grad and not parent._backward]
    return list(dict.fromkeys(parents))


def _lie_apart(grads):
    """Whether no two of the gradients are one array, or a view of it: adding to one would then change the other."""
    owners = set()
    for grad in grads:
        owners.add(id(grad if grad is None or grad.base is None else grad.base))
    return len(owners) == len(grads)


def _check_whole(order):
    """Nothing in a graph was freed, and no array that it needs was changed by minidl since it was used."""
    changed = {}  # results that changed with their parent, as views of it (`w.T`, `w[0]`) → when
    for node in order:
        if node._backward is _freed:
            _freed(None)
        moment = node._moment
        if moment == _moment:  # nothing at all has changed since it was computed
            continue
        for parent in node._parents:
            when = changed.get(parent, parent._moment)
            if when <= moment:
                continue
            if needs(node._backward, parent):
                raise RuntimeError(
                    f"backward: {node.op} needs a tensor of shape {parent.data.shape} as it was in the forward pass, and it "
                    "was changed since (by an optimizer's step, load_state_dict, init or to); call backward before that, "
                    "or compute the loss again"
                )
            if np.may_share_memory(node.data, parent.data):
                changed[node] = when


def needs(backward, parent):
    """Whether a backward function may look at a parent's array: it holds the array, or the tensor and asks for `.data`.

    Most hold the tensor only to ask for its shape or `requires_grad`, and a change of its numbers does them no harm. So
    what counts is whether the name `data` stands in the function's code, of whichever tensor: an error too many is
    better than a wrong gradient.
    """
    held = held_by(backward)
    if "data" in backward.__code__.co_names and any(value is parent for value in held):
        return True
    return any(isinstance(value, np.ndarray) and np.may_share_memory(value, parent.data) for value in held)


def name_of(backward):
    """The operation that a backward function stands in."""
    return backward.__qualname__.split(".<locals>")[0].rsplit(".")[-1].strip("_")


def held_by(backward):
    """What a backward function has kept of the forward pass: the values in its closure, and those in a record there."""
    kept = [cell.cell_contents for cell in backward.__closure__ or ()]
    return kept + [value for record in kept for value in getattr(record, "__dict__", {}).values()]


def changed_in_place(tensors):
    """Note that the arrays of some tensors have other numbers from now on."""
    global _moment
    _moment += 1
    for tensor in tensors:
        tensor._moment = _moment


def observe(observer):
    """Let an observer see every operation from now on (None: nobody); returns the one before."""
    global _observer
    before, _observer = _observer, observer
    return before


def is_observed():
    """Whether `detect_anomaly` sees every operation."""
    return _observer is not None


def _freed(grad):
    raise RuntimeError(
        "backward: part of this graph was walked before, and freed; compute the loss again, or add the losses up and "
        "call backward once"
    )
