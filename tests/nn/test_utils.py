"""Clipping gradients: PyTorch's numbers, sums that neither overflow nor drown, arrays that are shared, nothing by halves."""

import math

import numpy as np
import pytest

import minidl
from minidl import Tensor, nn, optim
from minidl import functional as F
from minidl.nn.utils import clip_grad_norm_, clip_grad_value_
from minidl.replay import Replay
from tests.helpers import DTYPES, JIT, assert_close, golden, sizes


def parameters(*grads):
    found = []
    for grad in grads:
        p = nn.Parameter(np.zeros(np.shape(grad), getattr(grad, "dtype", np.float64)))
        p.grad = np.array(grad)
        found.append(p)
    return found


def of_case(case, dtype=np.float64):
    return parameters(*(case[f"before_{i}"].astype(dtype) for i in range(3)))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", golden("clip", "norm"))
def test_norms_as_pytorchs(name, dtype):
    case = golden("clip")[name]
    held = of_case(case, dtype)
    arrays = [p.grad for p in held]
    total = clip_grad_norm_((p for p in held), case["max_norm"].item(), case["norm_type"].item())
    np.testing.assert_allclose(total, case["total"], rtol=1e-12 if dtype == np.float64 else 1e-6)
    for i, p in enumerate(held):
        assert p.grad is arrays[i]
        assert_close(p.grad, case[f"after_{i}"], dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_values_as_pytorchs(dtype):
    case = golden("clip")["value"]
    held = of_case(case, dtype)
    arrays = [p.grad for p in held]
    assert clip_grad_value_(held, case["clip_value"].item()) is None
    for i, p in enumerate(held):
        assert p.grad is arrays[i]
        assert_close(p.grad, case[f"after_{i}"], dtype)


def test_the_norm_is_a_number_of_either_kind():
    norm = clip_grad_norm_(parameters([3.0, 4.0]), 1.0)
    assert isinstance(norm, float)
    assert norm.item() == 5.0
    assert f"{norm:.2f}" == "5.00"


@pytest.mark.parametrize("size", sizes(8191, 3 * 8192 + 5, 100_000, tiny=(0, 1, 15, 16, 17, 40)))
@pytest.mark.parametrize("p", [1, 2, 3, math.inf])
def test_every_size(size, p):
    grad = np.random.default_rng(0).standard_normal(size)
    held = parameters(grad, np.ones(3))
    everything = np.concatenate((grad, np.ones(3)))
    norm = np.linalg.norm(everything, p)
    np.testing.assert_allclose(clip_grad_norm_(held, 0.5, p), norm, rtol=1e-12)
    np.testing.assert_allclose(held[0].grad, grad * 0.5 / (norm + 1e-6), rtol=1e-12)


@pytest.mark.skipif(not JIT, reason="minutes of plain Python")
def test_the_sum_is_accurate():
    """Ten million equal numbers in float32, where a sum in float32 would stop growing."""
    grad = np.full(20_000_000, 1e-3, np.float32)
    held = parameters(grad)
    exact = math.sqrt(grad.size) * float(np.float32(1e-3))
    np.testing.assert_allclose(clip_grad_norm_(held, 1e9), exact, rtol=1e-12)


@pytest.mark.parametrize("p", [1, 2, 3.5, 300, math.inf])
@pytest.mark.parametrize("size", [1e-300, 1e-200, 1.0, 1e200, 1e300])
def test_powers_outside_of_the_range_of_float64(size, p):
    held = parameters([3.0 * size, -4.0 * size, 0.0])
    expected = size * np.linalg.norm([3.0, 4.0], p)
    np.testing.assert_allclose(clip_grad_norm_(held, 1e-5, p), expected, rtol=1e-12)
    assert np.isfinite(held[0].grad).all()


@pytest.mark.skipif(not JIT, reason="has no threads without")
def test_the_same_bits_on_any_number_of_threads():
    grad, before, found = (
        np.random.default_rng(0).standard_normal(300_000).astype(np.float32),
        minidl.get_num_threads(),
        [],
    )
    for threads in (1, before):
        minidl.set_num_threads(threads)
        held = parameters(grad)
        found.append((clip_grad_norm_(held, 1.0), clip_grad_norm_(held, 0.5, 1), held[0].grad.tobytes()))
    minidl.set_num_threads(before)
    assert found[0] == found[1]


# ---- what is left alone ------------------------------------------------------------------------------------------------


def test_small_gradients_keep_their_bits():
    held = parameters([0.3, np.nan], [0.1])
    held[0].grad[1] = -0.2
    before = [p.grad.tobytes() for p in held]
    clip_grad_norm_(held, 1.0)
    assert [p.grad.tobytes() for p in held] == before


def test_parameters_without_a_gradient_are_passed_over():
    first, second = parameters([3.0], [4.0])
    second.grad = None
    assert clip_grad_norm_([first, second], 1.0) == 3.0
    clip_grad_value_([first, second], 0.1)
    assert second.grad is None
    assert clip_grad_norm_([second], 1.0) == 0.0
    assert clip_grad_norm_([], 1.0) == 0.0
    assert clip_grad_norm_(first, 1.0) == first.grad[0] == 0.1  # one alone


def test_a_gradient_that_two_share_is_scaled_once():
    first, second, third = parameters(np.ones(4), np.ones(4), np.ones((2, 2)))
    second.grad = first.grad
    third.grad = first.grad.reshape(2, 2)
    norm = clip_grad_norm_([first, second, third, first], 1.0)
    np.testing.assert_allclose(norm, math.sqrt(12))
    np.testing.assert_allclose(first.grad, 1 / norm, rtol=1e-5)
    assert second.grad is first.grad


def strided(a):
    return np.repeat(a, 2, axis=1)[:, ::2]


def read_only(a):
    a.flags.writeable = False
    return a


LAYOUTS = {
    "by columns": np.asfortranarray, "strided": strided, "read-only": read_only, "integers": lambda a: a.astype(int),
    "float64": lambda a: a.astype(np.float64), "other bytes": lambda a: a.astype(">f4"), "float16": lambda a: a.astype("f2"),
    "bools": lambda a: a > 2, "one number": lambda a: np.broadcast_to(a[:1, :1], (2, 3)),
}  # fmt: skip


@pytest.mark.parametrize("layout", LAYOUTS)
def test_gradients_of_any_real_type_and_layout(layout):
    (p,) = parameters(np.ones((2, 3), np.float32))
    p.grad = given = LAYOUTS[layout](np.arange(6, dtype=np.float32).reshape(2, 3))
    before = given.copy()
    norm = clip_grad_norm_([p], 0.5)
    expected = before.astype(np.float64) * 0.5 / (np.linalg.norm(before.astype(np.float64)) + 1e-6)
    np.testing.assert_allclose(p.grad, expected, rtol=1e-5)
    np.testing.assert_allclose(norm, np.linalg.norm(before.astype(np.float64)))
    if layout in ("by columns", "strided"):
        assert p.grad is given
    else:
        assert p.grad.dtype == np.float32
        np.testing.assert_array_equal(given, before)


# ---- NaN, infinity, and what is refused --------------------------------------------------------------------------------


@pytest.mark.parametrize(("value", "left"), [(np.nan, [np.nan, np.nan]), (np.inf, [np.nan, 0])])
@pytest.mark.parametrize("p", [2.0, math.inf])
def test_what_is_not_finite(value, left, p):
    held = parameters([value, 1.0], [2.0])
    with pytest.raises(RuntimeError, match=r"clip_grad_norm_: the norm of the gradients is (nan|inf)"):
        clip_grad_norm_(held, 1.0, p, error_if_nonfinite=True)
    np.testing.assert_array_equal(held[0].grad, [value, 1.0])
    np.testing.assert_array_equal(clip_grad_norm_(held, 1.0, p), value)
    np.testing.assert_array_equal(held[0].grad, left)


def test_nan_stays_where_values_are_clipped():
    (p,) = parameters([np.nan, np.inf, -np.inf, 0.5])
    clip_grad_value_([p], 1.0)
    np.testing.assert_array_equal(p.grad, [np.nan, 1, -1, 0.5])


@pytest.mark.parametrize("clip", [clip_grad_norm_, clip_grad_value_])
def test_what_is_refused_changes_nothing(clip):
    good, bad = parameters([3.0, 4.0], [1.0])
    for grad in (np.ones(2), [1.0], 1.0, np.array([1j]), np.array(["a"]), Tensor(np.ones(1))):
        bad.grad = grad
        with pytest.raises((ValueError, TypeError), match=rf"^{clip.__name__}: .*must be"):
            clip([good, bad], 0.1)
    bad.grad = None
    for wrong in (3, None, np.ones(2)):
        with pytest.raises(TypeError, match=rf"^{clip.__name__}: .*must be"):
            clip([good, wrong], 0.1)
    np.testing.assert_array_equal(good.grad, [3, 4])


@pytest.mark.parametrize("clip", [lambda p: clip_grad_norm_(p, 0.05), lambda p: clip_grad_value_(p, 0.01)])
def test_training_with_a_replay_gives_the_same_bits(clip):
    rng = np.random.default_rng(0)
    batches, found = [(rng.random((8, 6), np.float32), rng.integers(0, 3, 8)) for _ in range(6)], []
    for replayed in (False, True):
        generator = np.random.default_rng(1)
        model = nn.Sequential(nn.Linear(6, 5, generator=generator), nn.Tanh(), nn.Linear(5, 3, generator=generator))
        optimizer, step, seen = optim.AdamW(model.parameters(), lr=0.1), Replay(model), []
        for i, (x, y) in enumerate(batches):
            optimizer.zero_grad()
            if replayed:
                seen.append(step(x, y))
                assert i == 0 or step.why_not is None
            else:
                loss = F.cross_entropy(model(Tensor(x)), y)
                loss.backward()
                seen.append(loss.item())
            seen.append(clip(model.parameters()))
            optimizer.step()
        found.append((seen, [p.data.tobytes() for p in model.parameters()]))
    assert found[0] == found[1]
