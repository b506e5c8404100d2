"""Two cures for what batch norm does with batches that are too small, or too large: batch renormalization and ghost batches.

Batch norm normalises by other numbers in training (the batch's) than in evaluation (the running ones). Small batches make
the two differ a lot; batch renormalization corrects the first to the second, as far as it is allowed to. Large batches make
them equal, and the noise that made batch norm a regulariser is gone; ghost batch norm has statistics of parts of a batch.
Both are batch norm's kernels with a little around them.
"""

from itertools import compress

import numpy as np

from minidl._numbers import check_between, check_whole
from minidl.kernels.jit import kernel
from minidl.kernels.reduce import column_sums
from minidl.ops._check import matrix
from minidl.ops.norm import batch_norm, batch_norm_backward, check_batch_norm, normalise, prepare
from minidl.tensor import Tensor

__all__ = ["batch_renorm", "ghost_batch_norm"]

_FEW = 0  # the work of a loop over features, always left to one core


def batch_renorm(
    x: Tensor, running_mean: np.ndarray, running_std: np.ndarray, weight: Tensor | None = None, bias: Tensor | None = None,
    training: bool = False, momentum: float = 0.01, eps: float = 1e-5, r_max: float | np.ndarray = 3.0,
    d_max: float | np.ndarray = 5.0,
) -> Tensor:  # fmt: skip
    """Normalise each feature over the batch, corrected towards the running statistics, by which evaluation normalises.

    Forward   training: x̂ = (x − mean)/σ_B · r + d    y = γ·x̂ + β    with σ_B = √(var + ε), mean and var as in `batch_norm`
              r = σ_B / running_std, clipped to [1/r_max, r_max]; d = (mean − running_mean) / running_std, to [−d_max, d_max]
              evaluation: x̂ = (x − running_mean) / running_std. Where nothing is clipped, training gives the same
    Backward  r and d count as constants: no gradient passes through them
              ∂γ = Σ ∂y·x̂    ∂β = Σ ∂y    ∂x = γ·r/σ_B · (∂y − ∂β/m − n·Σ(∂y·n)/m) with n = (x − mean)/σ_B
              evaluation: ∂x = γ / running_std · ∂y
    Shape     x, y (N, C) or (N, H, W, C); all others (C,)
    Updates   training: running ← (1 − momentum)·running + momentum·batch, in place, after r and d were taken. What is stored
              is σ_B itself, with ε in it and m in the variance's denominator, not the unbiased variance of `batch_norm`
    Limits    r_max = 1 and d_max = 0 are batch norm. Each is a number, or an array of one, read when the kernel runs
    Errors    ValueError: shapes, one value per feature in training, r_max below 1, d_max below 0; running arrays are needed
    Source    Ioffe 2017, "Batch Renormalization", Algorithm 1, §3
    """
    op = "batch_renorm"
    if running_mean is None or running_std is None:
        raise ValueError(
            f"{op}: running_mean or running_std is None; pass both, which training compares the batch with"
        )
    check_batch_norm(op, x, running_mean, running_std, weight, bias, training, momentum, eps, "running_std")
    limits = _limit(op, "r_max", r_max, 1), _limit(op, "d_max", d_max, 0)
    rows, given = matrix(x.data), (weight is not None, bias is not None)
    y, correction = np.empty(x.data.shape, rows.dtype), np.empty((4, rows.shape[1]), rows.dtype)
    if training:
        stats, gamma, beta = prepare(rows, None, None, weight, bias, True, 0.0, eps)
        running = running_mean, running_std
        _correct[_FEW](stats, running, momentum, limits, (gamma, beta), correction)
        gamma, beta = correction[2], correction[3]
    else:
        stats, gamma, beta = prepare(
            rows, running_mean, np.square(running_std, dtype=np.float64), weight, bias, False, 0, 0
        )
    share = rows.dtype.type(1 / len(rows) if training else 0)
    normalise[rows.size](rows, stats, gamma, beta, matrix(y))

    def backward(grad_y):
        grad_gamma, grad_beta = np.empty_like(gamma), np.empty_like(gamma)
        grad_x = np.empty(grad_y.shape, grad_y.dtype)
        batch_norm_backward[rows.size](matrix(grad_y), rows, stats, gamma, share, grad_gamma, grad_beta, matrix(grad_x))
        if training:
            _correct_gradient[_FEW](correction, grad_beta, grad_gamma)
        return grad_x, *compress((grad_gamma, grad_beta), given)

    return Tensor._from_op(y, (x, *compress((weight, bias), given)), backward)


def _limit(op, name, value, least):
    try:
        array = np.asarray(value, np.float64)  # an array of one float64 stays itself: a replay reads it again
    except (TypeError, ValueError):
        array = np.empty(0)
    check_between(op, name, array.item() if array.size == 1 else str(value), least)
    return array.reshape(())


@kernel
def _correct(stats, running, momentum, limits, affine, correction):
    """Fill r, d, γ·r and β + γ·d, the rows of `correction`, and update the running statistics."""
    (mean, inv_std), (running_mean, running_std), (gamma, beta) = stats, running, affine
    most, furthest = limits[0][()], limits[1][()]
    for c in range(mean.size):
        std = 1 / np.float64(inv_std[c])
        r, d = std / running_std[c], (mean[c] - running_mean[c]) / running_std[c]
        r = most if r > most else 1 / most if r < 1 / most else r  # unlike min and max, these keep NaN
        d = furthest if d > furthest else -furthest if d < -furthest else d
        correction[0, c], correction[1, c] = r, d
        correction[2, c], correction[3, c] = gamma[c] * r, beta[c] + gamma[c] * d
        running_mean[c] += momentum * (mean[c] - running_mean[c])
        running_std[c] += momentum * (std - running_std[c])


@kernel
def _correct_gradient(correction, grad_beta, grad_gamma):
    """∂γ = Σ ∂y·(r·n + d), from Σ ∂y·n and ∂β = Σ ∂y."""
    for c in range(grad_gamma.size):
        grad_gamma[c] = correction[0, c] * grad_gamma[c] + correction[1, c] * grad_beta[c]


def ghost_batch_norm(
    x: Tensor, ghost_size: int, running_mean: np.ndarray | None, running_var: np.ndarray | None,
    weight: Tensor | None = None, bias: Tensor | None = None, training: bool = False, momentum: float | None = 0.1,
    eps: float = 1e-5, batches: int = 0,
) -> Tensor:  # fmt: skip
    """Normalise each feature over parts of the batch: in training, every `ghost_size` examples are a batch of their own.

    Forward   training: y = batch_norm(part) for each part, in their order    evaluation: `batch_norm`
    Backward  ∂x of each part as in `batch_norm`, from its own statistics; ∂γ and ∂β: the sums over the parts
    Shape     as in `batch_norm`; ghost_size counts examples. The last part is what is left over; if that were one value for
              each feature, which has no variance, it joins the part before
    Updates   the running statistics, part by part, as that many batches one after another would. So the last part weighs
              most, and a smaller one weighs as much as the others. With momentum None they are plain averages over batches:
              `batches` came before this one, and its parts weigh alike. The stored variance is `batch_norm`'s, the unbiased
    Errors    ValueError: those of `batch_norm`; parts of one value for each feature in training
    Source    Hoffer, Hubara and Soudry 2017, Algorithm 1. They write the order of the weights the other way round, and
              average the standard deviation
    """
    op = "ghost_batch_norm"
    check_batch_norm(op, x, running_mean, running_var, weight, bias, training, 0 if momentum is None else momentum, eps)
    ghost_size, before = check_whole(op, "ghost_size", ghost_size), check_whole(op, "batches", batches, 0)
    if not training:
        return batch_norm(x, running_mean, running_var, weight, bias, False, eps=eps)
    rows, given = matrix(x.data), (weight is not None, bias is not None)
    y, parts = np.empty(x.data.shape, rows.dtype), _parts(op, x.shape, ghost_size)
    out, kept = matrix(y), []
    for k, part in enumerate(parts):
        share = 1 / (before * len(parts) + k + 1) if momentum is None else momentum
        stats, gamma, beta = prepare(rows[part], running_mean, running_var, weight, bias, True, share, eps)
        normalise[rows[part].size](rows[part], stats, gamma, beta, out[part])
        kept.append(stats)

    def backward(grad_y):
        grad_x, grads = np.empty(grad_y.shape, grad_y.dtype), np.empty((2, len(parts), gamma.size), gamma.dtype)
        grad_rows, out = matrix(grad_y), matrix(grad_x)
        for k, part in enumerate(parts):
            some, share = rows[part], rows.dtype.type(1 / len(rows[part]))
            batch_norm_backward[some.size](
                grad_rows[part], some, kept[k], gamma, share, grads[0, k], grads[1, k], out[part]
            )
        return grad_x, *(column_sums(grad) for grad in compress(grads, given))

    return Tensor._from_op(y, (x, *compress((weight, bias), given)), backward)


def _parts(op, shape, ghost_size):
    """Slices of the rows of x: `ghost_size` examples each, and the rest."""
    examples, positions = shape[0], int(np.prod(shape[1:-1]))
    if ghost_size * positions < 2:
        raise ValueError(
            f"{op}: ghost_size is {ghost_size} and x is {shape}, one value for each feature in a part, and training needs "
            "at least two; ghost_size must be larger"
        )
    ends = [*range(ghost_size, examples, ghost_size), examples]
    if len(ends) > 1 and (ends[-1] - ends[-2]) * positions < 2:
        del ends[-2]
    return [slice(a * positions, b * positions) for a, b in zip([0, *ends], ends, strict=False)]
