"""Is a gradient right? Compare it with what a small step in a random direction does.

For a function f and a random cotangent u, L(x) = Σ u·f(x) is one number, and for a random tangent v

    (L(x + h·v) − L(x − h·v)) / 2h  =  Σ ∂L/∂x · v  +  O(h²)

so one comparison tests all elements of all gradients at once. A cotangent of ones would not do: with it a batch norm that
returns ∂x = 0 would pass, since the sum of a normalised batch does not depend on the batch.
"""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from minidl.random import as_generator
from minidl.tensor import Tensor

__all__ = ["GradientError", "gradcheck", "jacobian"]


class GradientError(AssertionError):
    """A gradient that disagrees with finite differences."""


def gradcheck(
    f: Callable[..., Tensor], *arrays: ArrayLike, eps: float = 1e-6, tol: float = 1e-7, directions: int = 3,
    generator: np.random.Generator | None = None,
) -> float:  # fmt: skip
    """Check the gradient of f(*tensors) with respect to every array, in float64, along random directions.

    f           takes one tensor for each array, and returns a tensor; it must give the same result on each call
    arrays      float64, of any shapes, with no zeros in places where f has a kink
    eps         the step h
    tol         the largest disagreement allowed, relative to the larger of the two slopes (or to 1)
    Returns the largest disagreement. Raises GradientError, naming the argument, if one is above tol.
    """
    if not arrays or directions < 1 or not eps > 0:
        raise ValueError(
            f"gradcheck: got {len(arrays)} arrays, directions {directions} and eps {eps}; all must be above 0"
        )
    generator = as_generator(generator)
    points = [np.array(a, dtype=np.float64) for a in arrays]
    tensors = [Tensor(a.copy(), requires_grad=True) for a in points]
    y = f(*tensors)
    if not isinstance(y, Tensor):
        raise TypeError(f"gradcheck: f returned a {type(y).__name__}; it must return a Tensor")
    cotangent = generator.standard_normal(y.shape)
    y.backward(cotangent)
    worst: float = 0.0
    for i, (array, tensor) in enumerate(zip(points, tensors, strict=True)):
        if tensor.grad is None or tensor.grad.shape != array.shape or tensor.grad.dtype != array.dtype:
            got = None if tensor.grad is None else (tensor.grad.shape, tensor.grad.dtype)
            raise GradientError(f"gradcheck: argument {i} is {array.shape} float64, but its gradient is {got}")
        for _ in range(directions):
            tangent = generator.standard_normal(array.shape)
            tangent /= max(1.0, float(np.linalg.norm(tangent)))
            claimed = float((tensor.grad * tangent).sum())
            slope = _slope(f, points, i, tangent, cotangent, eps)
            error = abs(claimed - slope) / max(1.0, abs(claimed), abs(slope))
            if not error <= tol:
                raise GradientError(
                    f"gradcheck: along a random direction of argument {i} the gradient says {claimed:.9g}, and a step "
                    f"of {eps:g} says {slope:.9g}: they differ by {error:.1e}, more than {tol:.0e}"
                )
            worst = max(worst, error)
    return worst


def jacobian(f: Callable[[Tensor], Tensor], array: ArrayLike) -> np.ndarray:
    """Return all derivatives of f: ∂f/∂array, of the shape of f's result followed by that of the array.

    One forward and backward for each element of the result, so for small functions only.
    Errors  TypeError if f does not return a tensor
    """
    y = f(Tensor(array))
    if not isinstance(y, Tensor):
        raise TypeError(f"jacobian: f returned a {type(y).__name__}; it must return a Tensor")
    shape = y.shape
    rows = []
    for i in range(math.prod(shape)):
        x = Tensor(np.array(array), requires_grad=True)
        cotangent = np.zeros(shape, x.dtype)
        cotangent.flat[i] = 1
        f(x).backward(cotangent)
        rows.append(x.grad)
    return np.array(rows).reshape(*shape, *x.shape)


def _slope(f, points, i, tangent, cotangent, eps):
    ends = []
    for step in (eps, -eps):
        moved = [Tensor(a + step * tangent if j == i else a.copy()) for j, a in enumerate(points)]
        ends.append(f(*moved).data)
    return float((cotangent * (ends[0] - ends[1])).sum()) / (2 * eps)
