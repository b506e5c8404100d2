"""What several tests share: sizes, tolerances, golden vectors, and forward and backward in one call."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
from hypothesis import settings

from minidl import Tensor

JIT = os.environ.get("NUMBA_DISABLE_JIT", "0") in ("", "0")
GOLDEN = Path(__file__).parent / "golden"
DTYPES = (np.float64, np.float32)

modest = settings(max_examples=25 if JIT else 10, deadline=None)


def sizes(*full, tiny=()):
    """The sizes to test: all of them with compiled kernels, only the tiny ones where each step is plain Python."""
    return [*tiny, *full] if JIT else list(tiny)


def integers(rng, *shape, dtype=np.float64):
    """Small integers: sums of their products are exact in any order."""
    return rng.integers(-8, 9, shape).astype(dtype)


def in_a_process(code, **environment):
    """What a Python process prints that runs this code."""
    command = [sys.executable, "-c", code]
    return subprocess.run(
        command, capture_output=True, text=True, check=True, env=os.environ | environment, timeout=300
    ).stdout.strip()


def golden(family, prefix=""):
    """The cases of tests/golden/<family>.npz whose names start with prefix: {case: {array name: array}}."""
    cases = {}
    with np.load(GOLDEN / f"{family}.npz") as arrays:
        for key in arrays.files:
            case, name = key.split("/")
            if case.startswith(prefix):
                cases.setdefault(case, {})[name] = arrays[key]
    assert cases, (
        f"no golden case of {family} starts with {prefix!r}: add one to tests/golden/make_golden.py, and run it"
    )
    return cases


def run(f, *arrays, grad_y=None):
    """Forward and backward: (f(arrays) as array, [gradient of each array]). None stays None.

    What was passed is neither written to nor handed back.
    """
    given = [a for a in (*arrays, grad_y) if a is not None]
    before = [a.copy() for a in given]
    tensors = [None if a is None else Tensor(a, requires_grad=True) for a in arrays]
    y = f(*tensors)
    y.backward(grad_y)
    grads = [None if t is None else t.grad for t in tensors]
    for array, copy in zip(given, before, strict=True):
        np.testing.assert_array_equal(array, copy)
        assert not any(np.may_share_memory(array, result) for result in (y.data, *grads) if result is not None)
    return y.data, grads


def assert_golden(f, case, names, dtype):
    """f of the case's inputs `names`, in the given precision, gives its `y` and, backward, its gradients."""
    inputs = [case[name].astype(dtype) if name in case else None for name in names]
    y, grads = run(f, *inputs, grad_y=case["grad_y"].astype(dtype))
    assert_close(y, case["y"], dtype)
    for name, grad in zip(names, grads, strict=True):
        if name in case:
            assert_close(grad, case[f"grad_{name}"], dtype)


def assert_close(actual, expected, dtype=np.float64, slack=1.0):
    """Same shape, type `dtype`, and equal up to rounding, measured against the largest expected value."""
    expected = np.asarray(expected)
    assert isinstance(actual, np.ndarray)
    assert actual.shape == expected.shape
    assert actual.dtype == dtype
    relative = slack * (1e-12 if dtype == np.float64 else 1e-5)
    scale = 1 + np.max(np.abs(expected), initial=0.0)
    np.testing.assert_allclose(actual, expected, rtol=relative, atol=relative * scale)


def assert_same_gradients(f, g, *arrays, rng, slack=1.0):
    """Two ways to compute the same thing agree in output and in every gradient, for a random cotangent."""
    shape = f(*[None if a is None else Tensor(a) for a in arrays]).shape
    grad_y = np.asarray(rng.standard_normal(shape), arrays[0].dtype)
    y_f, grads_f = run(f, *arrays, grad_y=grad_y)
    y_g, grads_g = run(g, *arrays, grad_y=grad_y)
    assert_close(y_f, y_g, arrays[0].dtype, slack)
    for grad_f, grad_g in zip(grads_f, grads_g, strict=True):
        if grad_f is not None or grad_g is not None:
            assert_close(grad_f, grad_g, arrays[0].dtype, slack)


def views(array):
    """The same values in other memory layouts: (name, view) pairs, none of them C-contiguous (if size allows)."""
    order = tuple(reversed(range(array.ndim)))
    yield "transposed", np.ascontiguousarray(array.transpose(order)).transpose(order)
    yield "every second element", np.repeat(array, 2, axis=-1)[..., ::2]
    yield "reversed", np.ascontiguousarray(array[::-1])[::-1]
    yield "window", np.pad(array, 1)[tuple(slice(1, -1) for _ in array.shape)]


def assert_layout_does_not_matter(f, *arrays, rng):
    """Strided inputs and cotangents give the same output and gradients as contiguous ones."""
    shape = f(*[Tensor(a) for a in arrays]).shape
    grad_y = np.asarray(rng.standard_normal(shape), arrays[0].dtype)
    expected, expected_grads = run(f, *arrays, grad_y=grad_y)
    strided_inputs = [dict(views(a)) for a in arrays]
    for name, strided_grad in views(grad_y) if grad_y.ndim else [("transposed", grad_y)]:
        inputs = [strided[name] for strided in strided_inputs]
        y, grads = run(f, *inputs, grad_y=strided_grad)
        assert_close(y, expected, expected.dtype)
        for grad, expected_grad in zip(grads, expected_grads, strict=True):
            assert_close(grad, expected_grad, expected.dtype)


def assert_gradients_only_where_asked(f, *arrays, rng):
    """Asking for the gradient of one input gives that gradient alone, the same as when all are asked for."""
    shape = f(*[Tensor(a) for a in arrays]).shape
    grad_y = np.asarray(rng.standard_normal(shape), arrays[0].dtype)
    _, expected = run(f, *arrays, grad_y=grad_y)
    for asked in range(len(arrays)):
        tensors = [Tensor(a, requires_grad=index == asked) for index, a in enumerate(arrays)]
        f(*tensors).backward(grad_y)
        for index, tensor in enumerate(tensors):
            if index == asked:
                assert_close(tensor.grad, expected[index], expected[index].dtype)
            else:
                assert tensor.grad is None
    assert not f(*[Tensor(a) for a in arrays]).requires_grad
