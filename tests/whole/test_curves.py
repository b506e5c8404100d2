"""Training curves: minidl's kernels beside plain NumPy (`plain_ops.py`), both judged by plain NumPy in float64.

Rounding is all that may differ. In training it grows: a little by itself, as each step starts from weights that are off
already, and in jumps, where a number near 0 falls on the other side of a ReLU, or the second pixel of a window wins the
pool. So the kernels need not stay near NumPy but near the truth: not farther from the float64 curve than NumPy's float32,
times a small factor, or a few roundings. Two networks without a kink are held to that for 200 steps. A network with kinks
is held to it for some steps, in the middle one of five runs, as a jump may come early in one; what comes later depends
on when the first jump comes, and in whose run, and is checked loosely.
"""

import functools
from typing import Any, NamedTuple

import numpy as np
import pytest

from minidl import Tensor, nn, optim
from minidl import functional as F
from minidl.data import strokes
from minidl.lab.models import mnist_conv, paper_mlp
from tests import plain_ops
from tests.helpers import JIT
from tests.plain_ops import PlainSGD, swap_in

pytestmark = pytest.mark.skipif(not JIT, reason="there are no kernels, and it is long")


def smooth_conv(generator):
    """Two convolutions, the second by Winograd's way in minidl; sigmoids and no pooling."""
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1, bias=False, generator=generator), nn.BatchNorm(16), nn.Sigmoid(),
        nn.Conv2d(16, 16, 3, padding=1, generator=generator), nn.BatchNorm(16), nn.Sigmoid(),
        nn.Flatten(), nn.Linear(14 * 14 * 16, 10, generator=generator),
    )  # fmt: skip


class Case(NamedTuple):
    """A network and how it is trained; `shape` makes its inputs of images."""

    make: Any
    shape: Any
    batch_size: int
    lr: float


CASES = {
    "paper_mlp": Case(paper_mlp, lambda x: x.reshape(len(x), -1), 60, 0.5),
    "smooth_conv": Case(smooth_conv, lambda x: x[:, ::2, ::2, None], 20, 0.01),
    "mnist_conv": Case(mnist_conv, lambda x: x[..., None], 32, 0.02),
}
MOMENTUM = 0.9


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    return strokes(4000, 1000, cache=tmp_path_factory.mktemp("strokes"))


class Run(NamedTuple):
    """Losses of all steps, and the digits that the trained network reads in the test images (after 200 steps)."""

    losses: np.ndarray
    read: np.ndarray


def train(name, steps, digits, dtype=np.float32, optimizer=optim.SGD, seed=0):
    case, rng = CASES[name], np.random.default_rng(seed + 1)
    model = case.make(generator=np.random.default_rng(seed))
    for p in model.parameters():
        p.data = p.data.astype(dtype)
    for norm in model.modules():
        if isinstance(norm, nn.BatchNorm):
            norm.running_mean, norm.running_var = norm.running_mean.astype(dtype), norm.running_var.astype(dtype)
    optimizer = optimizer(model.parameters(), lr=case.lr, momentum=MOMENTUM)
    images, test_images = (case.shape((split.images / np.float32(255)).astype(dtype)) for split in digits)
    losses = []
    for _ in range(steps):
        batch = rng.integers(0, len(images), case.batch_size)
        optimizer.zero_grad()
        loss = F.cross_entropy(model(Tensor(images[batch])), digits.train.labels[batch])
        loss.backward()
        optimizer.step()
        assert loss.dtype == dtype
        losses.append(loss.item())
    model.eval()
    batches = np.split(test_images, 20) if steps == 200 else []
    read = [model(Tensor(batch)).data.argmax(1) for batch in batches]
    return Run(np.array(losses, np.float64), np.ravel(read))


def train_plainly(name, steps, digits, dtype=np.float32, optimizer=PlainSGD, seed=0, **others):
    """With NumPy's operations, some of them exchanged for others."""
    with pytest.MonkeyPatch.context() as patch:
        swap_in(patch, **others)
        return train(name, steps, digits, dtype, optimizer, seed)


@functools.cache
def judges(name, steps, digits, seed=0):
    """Plain NumPy in float64 and in float32."""
    return [train_plainly(name, steps, digits, dtype, seed=seed) for dtype in (np.float64, np.float32)]


A_FEW_ROUNDINGS = 2e-6  # losses are about 1, where float32 numbers are 1e-7 apart
AFTER_JUMPS = np.repeat([0.01, 0.03, 0.1], [20, 30, 150])  # measured: 1e-4 to 1e-2, more towards the end


def check_curve(name, steps, digits, runs, tolerance=A_FEW_ROUNDINGS):
    """The middle error of runs from seeds 0, 1, …: at most four times NumPy's, plus a tolerance."""
    errors = []  # the largest until then, (run, minidl or NumPy, step)
    for seed, run in enumerate(runs):
        exact, single = judges(name, steps, digits, seed)
        errors.append([np.maximum.accumulate(np.abs(r.losses - exact.losses)) for r in (run, single)])
    error, error_of_numpy = np.median(errors, axis=0)
    fine = error <= 4 * error_of_numpy + tolerance
    if not np.all(fine):  # nor where an error is not a number
        step = np.argmin(fine)
        raise AssertionError(f"from step {step} on: {error[step]:.1e}, but NumPy {error_of_numpy[step]:.1e}")


def check_accuracy(digits, run, other):
    """Equal within three standard errors of their difference, if they err independently; in truth they err alike."""
    accuracy, accuracy_of_other = (np.mean(r.read == digits.test.labels) for r in (run, other))
    n = len(digits.test.labels)
    assert abs(accuracy - accuracy_of_other) <= 3 * np.sqrt(2 * accuracy * (1 - accuracy) / n) + 1 / n
    assert accuracy > 0.8


@pytest.mark.parametrize("name", ["paper_mlp", "smooth_conv"])
def test_200_steps_without_kinks(name, digits):
    run, (exact, _) = train(name, 200, digits), judges(name, 200, digits)
    check_curve(name, 200, digits, [run])
    check_accuracy(digits, run, exact)
    assert np.mean(run.read != exact.read) <= 0.005, "the same network but for rounding"


def test_the_first_steps_of_a_network_with_kinks(digits):
    check_curve("mnist_conv", 6, digits, [train("mnist_conv", 6, digits, seed=seed) for seed in range(5)])


@pytest.mark.full
def test_200_steps_of_a_network_with_kinks(digits):
    run, (exact, _) = train("mnist_conv", 200, digits), judges("mnist_conv", 200, digits)
    check_curve("mnist_conv", 200, digits, [run], AFTER_JUMPS)
    check_accuracy(digits, run, exact)


# --- mistakes that the curves show ----------------------------------------------------------------------------------------


def changed(op, result=lambda y: y, gradients=lambda *grads: grads):
    """An operation whose result or gradients are a little wrong."""

    def wrong(*arguments, **options):
        right = op(*arguments, **options)
        return Tensor._from_op(result(right.data), right._parents, lambda grad_y: gradients(*right._backward(grad_y)))

    return wrong


def in_half_precision(y):
    return y.astype(np.float16).astype(y.dtype)


def without_the_last_column(y):
    return np.concatenate([y[:, :, :-1], 0 * y[:, :, -1:]], axis=2)


def weight_1001(grad_x, grad_weight, *others):
    return grad_x, grad_weight * np.float32(1.001), *others


def weight_upside_down(grad_x, grad_weight, *others):
    return grad_x, grad_weight[::-1], *others


WRONG = {
    "the weights' gradient is 0.1 % too large": {"linear": changed(plain_ops.linear, gradients=weight_1001)},
    "products in half precision": {"linear": changed(plain_ops.linear, in_half_precision)},
    "sigmoid in half precision": {"sigmoid": changed(plain_ops.sigmoid, in_half_precision)},
    "another ε": {"batch_norm": lambda *arguments: plain_ops.batch_norm(*arguments[:-1], 1e-4)},
    "a little more momentum": {"optimizer": lambda p, lr, momentum: PlainSGD(p, lr, momentum * 1.0001)},
}
WRONG_CONVOLUTIONS = {
    "in half precision": changed(plain_ops.conv2d, in_half_precision),
    "without the last column": changed(plain_ops.conv2d, without_the_last_column),
    "the filters' gradient is 0.1 % too large": changed(plain_ops.conv2d, gradients=weight_1001),
    "the filters' gradient upside down": changed(plain_ops.conv2d, gradients=weight_upside_down),
}


@pytest.mark.parametrize("mistake", WRONG)
def test_the_check_rejects_mistakes(mistake, digits):
    wrong = train_plainly("paper_mlp", 30, digits, **WRONG[mistake])
    with pytest.raises(AssertionError, match="from step"):
        check_curve("paper_mlp", 30, digits, [wrong])


@pytest.mark.parametrize(("name", "steps", "seeds"), [("smooth_conv", 40, 1), ("mnist_conv", 6, 3)])
@pytest.mark.parametrize("mistake", WRONG_CONVOLUTIONS)
def test_the_check_rejects_mistakes_in_convolutions(mistake, name, steps, seeds, digits):
    conv2d = WRONG_CONVOLUTIONS[mistake]
    wrong = [train_plainly(name, steps, digits, seed=seed, conv2d=conv2d) for seed in range(seeds)]
    with pytest.raises(AssertionError, match="from step"):
        check_curve(name, steps, digits, wrong)
