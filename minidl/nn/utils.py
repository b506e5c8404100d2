"""Gradients that are kept from becoming too large, between `backward()` and `optimizer.step()`; the names are PyTorch's."""

import math
from collections.abc import Iterable
from numbers import Real

import numpy as np

from minidl._numbers import check_between, check_bool
from minidl.kernels.jit import CHUNK, kernel, n_chunks, prange
from minidl.ops._check import row
from minidl.tensor import Tensor

__all__ = ["clip_grad_norm_", "clip_grad_value_"]


def clip_grad_norm_(
    parameters: Iterable[Tensor] | Tensor, max_norm: float, norm_type: float = 2.0, error_if_nonfinite: bool = False
) -> float:
    """Scale all gradients by one factor, so that their norm, as if they were one vector, is at most max_norm.

        loss.backward()                     # or a replay
        norm = nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()

    Maths     norm = (Σ |g|^p)^(1/p) over all numbers of all gradients, with p = norm_type; the largest |g| for infinity
              g ← g · min(1, max_norm / (norm + 1e-6))
    Returns   the norm as it was, a number of NumPy's, which is also a float
    Sums      in float64, chunk by chunk, and rescaled where powers leave its range: the bits do not depend on threads
    Changed   arrays in place, each once, though several parameters may share it; a gradient that is read-only or of another
              type than its parameter's gets a new array. Parameters without a gradient are passed over
    NaN       or infinity in a gradient makes the norm NaN or infinite, and all gradients NaN or 0, as in PyTorch; with
              error_if_nonfinite it is a RuntimeError, and nothing is changed
    Errors    ValueError for a max_norm or norm_type out of range, and a gradient of another shape; TypeError for what is no
              tensor, and a gradient that is no array of real numbers. What is refused changes nothing
    Source    Pascanu et al. 2013, Algorithm 1
    """
    name = "clip_grad_norm_"
    check_between(name, "max_norm", max_norm, 0)
    if not isinstance(norm_type, Real) or not norm_type > 0:
        raise ValueError(f"{name}: norm_type is {norm_type!r}; it must be a number above 0, or infinity")
    check_bool(name, "error_if_nonfinite", error_if_nonfinite)
    holders = _with_gradients(name, parameters)
    norm = np.float64(_norm([row(_floats(p)) for p in holders], float(norm_type)))
    if error_if_nonfinite and not np.isfinite(norm):
        raise RuntimeError(
            f"{name}: the norm of the gradients is {norm}, so no factor makes it {max_norm}; find the NaN or infinity with "
            "minidl.detect_anomaly(), or leave out error_if_nonfinite"
        )
    factor = max_norm / (norm + 1e-6)
    if not factor >= 1:  # also for NaN
        _change(holders, lambda grad: _scale[grad.size](grad, float(factor)))
    return norm


def clip_grad_value_(parameters: Iterable[Tensor] | Tensor, clip_value: float) -> None:
    """Bring each number of all gradients into the range from −clip_value to clip_value; NaN stays.

    Changed   as in `clip_grad_norm_`, also what is refused
    """
    check_between("clip_grad_value_", "clip_value", clip_value, 0)
    holders = _with_gradients("clip_grad_value_", parameters)
    _change(holders, lambda grad: _bound[grad.size](grad, float(clip_value)))


def _with_gradients(op, parameters):
    """The tensors that have a gradient, each once; all is checked."""
    if not isinstance(parameters, Iterable):
        raise TypeError(f"{op}: got a {type(parameters).__name__}; it must be parameters: pass model.parameters()")
    listed = [parameters] if isinstance(parameters, Tensor) else list(parameters)
    for p in listed:
        if not isinstance(p, Tensor):
            raise TypeError(f"{op}: got a {type(p).__name__} among the parameters; they must be tensors")
        if p.dtype not in (np.float32, np.float64):
            raise TypeError(f"{op}: got {p.dtype} among the parameters; they must be of float32 or float64")
        grad = p.grad
        if grad is None:
            continue
        if not isinstance(grad, np.ndarray | np.generic) or grad.dtype.kind not in "fiub":
            what = f"of {grad.dtype}" if isinstance(grad, np.ndarray | np.generic) else f"a {type(grad).__name__}"
            raise TypeError(f"{op}: a parameter's gradient is {what}; it must be an array of real numbers")
        if grad.shape != p.shape:
            raise ValueError(f"{op}: a parameter is {p.shape} but its gradient is {grad.shape}; they must be equal")
    return [p for p in {id(p): p for p in listed}.values() if p.grad is not None]


def _floats(p):
    """A gradient as an array that kernels take: itself, or a copy in the type of its parameter."""
    grad = p.grad
    if type(grad) is np.ndarray and grad.dtype == p.dtype and grad.dtype.isnative:
        return grad
    return np.array(grad, p.dtype)


def _change(holders, change):
    """Change the numbers of all gradients, each array once."""
    seen = set()
    for p in holders:
        grad = _floats(p)
        if not grad.flags.writeable:
            grad = grad.copy()
        place = grad.__array_interface__["data"][0], grad.size  # of what two parameters share, maybe as a view
        if place not in seen:
            numbers = row(grad)
            change(numbers)
            if not np.may_share_memory(numbers, grad):
                grad[...] = numbers.reshape(grad.shape)
        seen.add(place)
        p.grad = grad


def _norm(rows, p):
    """(Σ |x|^p)^(1/p) over the numbers of all rows; the powers may leave the range of float64, and the norm not."""
    largest = np.max([0.0, *map(_largest_of, rows)]) if p == math.inf else None
    if largest is None:
        total = sum(_sum_of_powers(numbers, p, 1.0) for numbers in rows)
        if math.isnan(total) or 1e-280 < total < math.inf:
            return _root(total, p)
        largest = np.max([0.0, *map(_largest_of, rows)])
        if 0 < largest < math.inf:
            return largest * _root(sum(_sum_of_powers(numbers, p, float(largest)) for numbers in rows), p)
    return largest


def _root(total, p):
    return math.sqrt(total) if p == 2 else total ** (1 / p)


def _sum_of_powers(x, p, scale):
    sums = np.empty(n_chunks(x.size), np.float64)
    _add_powers[x.size](x, p, scale, sums)
    return float(sums.sum())


def _largest_of(x):
    sizes = np.empty(n_chunks(x.size), np.float64)
    _find_largest[x.size](x, sizes)
    return np.max(sizes, initial=0.0)


_LANES = 16  # sums side by side, as one after another each addition would wait for the one before


@kernel(cost=2)
def _add_powers(x, p, scale, sums):
    """Σ (|x| / scale)^p of each chunk, in float64."""
    square = p == 2
    for k in prange(sums.size):
        xs, lanes = x[k * CHUNK : (k + 1) * CHUNK], np.zeros(_LANES, np.float64)
        for first in range(0, xs.size, _LANES):
            part = xs[first : first + _LANES]
            for i in range(part.size):
                size = abs(np.float64(part[i])) / scale
                lanes[i] += size * size if square else size**p
        total = 0.0
        for i in range(_LANES):
            total += lanes[i]
        sums[k] = total


@kernel
def _find_largest(x, sizes):
    """The largest |x| of each chunk; NaN if there is one."""
    for k in prange(sizes.size):
        xs, largest = x[k * CHUNK : (k + 1) * CHUNK], 0.0
        for i in range(xs.size):
            size = abs(np.float64(xs[i]))
            largest = size if size > largest or size != size else largest
            if size != size:
                break
        sizes[k] = largest


@kernel
def _scale(x, factor):
    factor = x.dtype.type(factor)
    for k in prange(n_chunks(x.size)):
        xs = x[k * CHUNK : (k + 1) * CHUNK]
        for i in range(xs.size):
            xs[i] *= factor


@kernel
def _bound(x, most):
    most = x.dtype.type(most)
    for k in prange(n_chunks(x.size)):
        xs = x[k * CHUNK : (k + 1) * CHUNK]
        for i in range(xs.size):
            xs[i] = most if xs[i] > most else -most if xs[i] < -most else xs[i]  # NaN stays
