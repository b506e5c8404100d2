"""How `loss.backward()` works: a graph of nodes, each knowing its parents and how to hand a gradient on to them.

Every operation in minidl does three things. It computes its result; right under that it defines a function
`backward(grad)`, which takes ∂loss/∂result and returns ∂loss/∂parent for every parent; and it hands both to
`Tensor._from_op`, which remembers them. `loss.backward()` then visits the operations from last to first, so that each one
has heard from all of its users before it speaks to its parents: the chain rule, once for each node.

Second derivatives are not supported: `backward` functions work on plain arrays, and nothing records what they do.
Arrays that were changed between forward and backward are refused: see `changes.py`. Lesson 01 derives the walk.
"""

import weakref
from collections.abc import Callable
from operator import attrgetter

import numpy as np
from numpy.typing import ArrayLike

from minidl._arrays import as_array
from minidl.autograd import changes
from minidl.autograd.modes import mode
from minidl.kernels.jit import add_to, computed

__all__ = ["Node", "is_observed", "leaves_of", "observe", "parents_first", "walk"]

_observer = None  # what `detect_anomaly`, or somebody else who looks on, has put in the way of every operation


class Node:
    """A place in the graph: an array, the gradient that arrived at it, and where it came from.

    data            the array
    grad            ∂loss/∂data, on leaves after `backward()`; None before
    requires_grad   whether gradients flow to it; may be set on leaves of floats
    """

    # _moment: of the last change in place, for leaves; when it was computed, for results
    __slots__ = ("__weakref__", "_backward", "_hooks", "_moment", "_parents", "_requires_grad", "data", "grad")

    data: np.ndarray
    grad: np.ndarray | None
    _hooks: tuple[Callable, ...]

    def __init__(self, data: np.ndarray, requires_grad: bool):
        self.data = data
        self.grad = None
        self._parents, self._backward, self._hooks, self._moment = (), None, (), 0
        self._requires_grad = False
        if requires_grad is not False:
            self._set_requires_grad(requires_grad)

    def _set_requires_grad(self, value):
        if value is not True and value is not False and not isinstance(value, np.bool_):
            raise TypeError(f"Tensor: requires_grad is {value!r}; it must be True or False")
        if value and self.data.dtype.kind != "f":
            raise TypeError(f"Tensor: only floats have gradients, and this is {self.data.dtype}; make it float32 first")
        if self._backward and not value:
            raise RuntimeError(
                f"requires_grad: this is the result of {self.op}; only leaves may change: take .detach()"
            )
        self._requires_grad = bool(value)

    requires_grad = property(attrgetter("_requires_grad"), _set_requires_grad)  # a getter in C takes half the time

    @classmethod
    def _from_op(cls, data, parents, backward):
        """Make the result of an operation.

        `backward(grad)` returns one array, or None, for each parent: of the parent's shape and type, and either new, or
        a view, or `grad` itself, or what another parent gets too (the engine copies before it keeps what others hold).
        """
        out = cls.__new__(cls)
        out.data = data if type(data) is np.ndarray else np.asarray(data)
        out.grad = None
        out._hooks = ()
        out._moment = changes.moment
        out._requires_grad, out._parents, out._backward = False, (), None
        if mode.enabled:
            for parent in parents:
                if parent._requires_grad:
                    out._requires_grad, out._parents, out._backward = True, parents, backward
                    break
        if _observer is not None:
            _observer.forward_done(out, parents, backward)
        return out

    def backward(self, grad: ArrayLike | None = None) -> None:
        """Add ∂self/∂leaf · grad to the `.grad` of every leaf that self was computed from.

        grad    ∂loss/∂self, an array of self's shape; by default 1, which needs a tensor of one element
        The graph is freed on the way; a second walk over it raises RuntimeError.
        """
        sums, own = {self: self._check_first_gradient(grad)}, set[Node]()  # see `_add`
        order = walk(self)
        changes.check_unchanged(order)  # before any gradient has moved
        while order:
            node = order.pop()
            grad = sums.pop(node, None)
            if grad is None:  # all its users answered None
                continue
            if node._hooks:
                grad = node._through_hooks(grad, own)
            parent_grads = node._backward(grad) if _observer is None else _observer.backward(node, grad)
            _add(sums, own, node, grad, parent_grads)
            node._parents, node._backward = (), changes.freed
        _keep(sums, own)

    def _through_hooks(self, grad, own):
        own.discard(self)  # a hook may have kept the array
        for hook in self._hooks:
            seen = np.asarray(grad).view()
            seen.flags.writeable = False  # others get the same array
            replacement = hook(seen)
            if replacement is not None:
                grad = self._as_gradient(replacement, "hook: the replacement").copy()
        return grad

    def _check_first_gradient(self, grad):
        if not self.requires_grad:
            raise RuntimeError(
                "backward: this tensor does not depend on anything that has requires_grad=True; set it on what should get a "
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

    def _settle(self):
        """Return `.data` as an array, whatever was assigned: a tensor, a list, or `w.data * 2`, which may be a number."""
        if type(self.data) is not np.ndarray:
            self.data = as_array(self.data.data if isinstance(self.data, Node) else self.data)
        return self.data

    def _check_leaf(self):
        """Check what users may have assigned to `.data` and `.grad`."""
        if self._settle().dtype.kind != "f":
            raise TypeError(f"backward: .data was set to {self.data.dtype}, which has no gradient; it must be floats")
        grad = self.grad
        if grad is not None and (getattr(grad, "shape", None) != self.data.shape or grad.dtype.kind not in "fiub"):
            raise ValueError(
                f"backward: .grad was set to a {type(grad).__name__} of shape {np.shape(grad)}, and the tensor is "
                f"{self.data.shape}; it must be None, or numbers in an array of the same shape"
            )

    def _accumulate(self, grad, own):
        if self.grad is not None:
            self.grad = np.asarray(self.grad + grad, self.data.dtype)  # a new array: somebody may hold the old one
        elif own and type(grad) is np.ndarray:
            self.grad = grad
        else:
            self.grad = computed(np.array, grad)

    def register_hook(self, hook: Callable[[np.ndarray], np.ndarray | None]) -> None:
        """Call `hook(grad)` when backward has ∂loss/∂self complete; an array it returns takes the gradient's place.

        The hook can read `grad`, but not write to it: it is also other tensors' gradient.
        """
        if not callable(hook):
            raise TypeError(f"register_hook: got a {type(hook).__name__}; it must be a function of one gradient")
        self._hooks = (*self._hooks, hook)

    def retain_grad(self) -> None:
        """Keep `.grad` on this tensor although it is not a leaf."""
        if self._backward is not None and not any(isinstance(hook, _KeepGrad) for hook in self._hooks):
            self.register_hook(_KeepGrad(self))

    @property
    def op(self) -> str | None:
        """The name of the operation that made this tensor; None for a leaf."""
        return self._backward and changes.name_of(self._backward)


def _add(sums, own, node, grad, parent_grads):
    """Add what `node._backward(grad)` sent to the parents to what arrived there before.

    sums    tensor → the sum so far, which never grows inside an array that somebody else holds
    own     tensors whose sum is an array of ours alone: safe to add to, or to keep
    """
    parents = node._parents
    if len(parent_grads) != len(parents):  # a third of the time that zip(strict=True) takes
        raise ValueError(f"backward: {node.op} gave a list of gradients shorter or longer than its parents'")
    apart = len(parents) == 1 or _lie_apart(parent_grads)
    for parent, parent_grad in zip(parents, parent_grads):  # noqa: B905
        if parent_grad is None or not parent._requires_grad:
            continue
        total = sums.get(parent)
        if total is None:
            sums[parent] = parent_grad
            if apart and parent_grad is not grad and parent_grad.base is None:
                own.add(parent)
        elif parent in own and type(total) is np.ndarray:
            add_to(total, parent_grad)
        else:
            sums[parent] = computed(np.add, total, parent_grad)
            own.add(parent)


def _keep(sums, own):
    """Add what is left, the sums of the leaves, to their `.grad`."""
    for leaf, grad in sums.items():  # all that may fail, before the first gets anything
        if leaf.grad is not None or type(leaf.data) is not np.ndarray or leaf.data.dtype.kind != "f":
            leaf._check_leaf()
        if leaf._hooks:
            sums[leaf] = leaf._through_hooks(grad, own)
    for leaf, grad in sums.items():
        leaf._accumulate(grad, leaf in own)


def _lie_apart(grads):
    """Return whether no two of the gradients share an array: adding to one would change the other. (Nor are two None.)"""
    owners = {id(grad if grad is None or grad.base is None else grad.base) for grad in grads}
    return len(owners) == len(grads)


# ---- the walk ------------------------------------------------------------------------------------------------------------


def walk(root):
    """List the results of operations under root that get a gradient, parents first."""
    return parents_first(root, _parents, _gets_gradient) if root._backward else []


_parents = attrgetter("_parents")
_gets_gradient = attrgetter("_backward")  # only what depends on a tensor with requires_grad has kept one


def parents_first(root, parents_of, follows=None):
    """List everything that leads to root by parents that `follows` is true of (by default: are not None), parents first.

    No recursion: graphs may be deeper than Python's stack.
    """
    order, seen, stack = [], set(), [root]
    while stack:
        node = stack.pop()
        if node is None:  # a mark: all parents of the node under it are in order
            order.append(stack.pop())
        elif node not in seen:
            seen.add(node)
            stack += (node, None)
            stack += filter(follows, parents_of(node))
    return order


def leaves_of(root):
    """List the tensors to whose `.grad` `root.backward()` will add, each once."""
    parents = [parent for node in walk(root) for parent in node._parents]
    return list(dict.fromkeys(parent for parent in parents if parent.requires_grad and not parent._backward))


# ---- hooks, observers ----------------------------------------------------------------------------------------------


class _KeepGrad:
    """The hook behind `retain_grad`."""

    def __init__(self, node):
        self.node = weakref.ref(node)  # a strong one would close a cycle, and keep the graph until a garbage collection

    def __call__(self, grad):
        self.node()._accumulate(grad, own=False)


def observe(observer):
    """Let an observer see every operation from now on (None: nobody); returns the one before."""
    global _observer
    before, _observer = _observer, observer
    return before


def is_observed():
    """Return whether `detect_anomaly` sees every operation."""
    return getattr(_observer, "refuses", False)  # others only look on
