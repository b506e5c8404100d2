"""Batch norms with missing paths miss exactly these, and what is measured in their networks is what it says."""

import numpy as np
import pytest

from minidl import Tensor
from minidl import functional as F
from minidl.lab.course.broken_norms import MovingNorm, PathNorm, one_direction, suspects, watch
from tests.lab.paper.test_norms import X_HAT, X, expected, gradient

RNG = np.random.default_rng(0)


@pytest.mark.parametrize(("name", "mean", "variance"), [("A", 1, 0), ("B", 1, 1), ("C", 0, 0), ("D", 0, 1)])
def test_suspects_normalise_alike_and_miss_what_they_miss(name, mean, variance):
    suspect = suspects()[name]
    np.testing.assert_allclose(suspect(Tensor(X)).data, X_HAT, rtol=1e-12)
    np.testing.assert_allclose(gradient(suspect), expected(mean, variance), rtol=1e-4, atol=1e-9)


def test_moving_norm_uses_earlier_batches_only():
    norm = MovingNorm(4)
    x = X.astype(np.float32)
    np.testing.assert_allclose(norm(Tensor(x)).data, x, rtol=1e-4)  # mean 0 and variance 1 at first
    np.testing.assert_allclose(norm.running_mean, 0.1 * x.mean(0), rtol=1e-5)
    np.testing.assert_allclose(norm.running_var, 0.9 + 0.1 * x.var(0), rtol=1e-5)
    want = (x - norm.running_mean) / np.sqrt(norm.running_var + 1e-5)
    np.testing.assert_allclose(norm(Tensor(x)).data, want, rtol=1e-4, atol=1e-6)


def test_one_direction_goes_from_unrelated_to_the_same():
    many = RNG.standard_normal((20_000, 5))
    assert one_direction(many) == pytest.approx(1 / 5, abs=0.01)
    assert one_direction(many[:, :1] * [1, -2, 30]) == pytest.approx(1)
    assert np.isnan(one_direction(np.ones((5, 3))))
    assert np.isnan(one_direction(np.full((5, 3), np.inf)))


DIGITS = RNG.integers(0, 2, (600, 784)).astype(np.float32)
LABELS = RNG.integers(0, 10, 600)


def test_watch_records_what_training_does():
    true, stopped = (
        watch(lambda n, mean=mean: PathNorm(n, mean), DIGITS, LABELS, 0.5, 20, 5) for mean in (True, False)
    )
    assert true["step"].tolist() == [5, 10, 15, 20]
    assert true["bias"].max() < 1e-6 < 1e-3 < stopped["bias"].min()
    assert all(np.isfinite(row).all() for record in (true, stopped) for row in record.values())
    assert true["weight"][0] == pytest.approx(0.1, rel=0.05)
    assert ((true["one direction"] > 1 / 100) & (true["one direction"] <= 1)).all()


def test_watch_changes_only_what_it_is_told_to():
    def run(**options):
        return watch(lambda n: PathNorm(n, mean=False), DIGITS, LABELS, 0.5, 10, 5, **options)

    plain, same, slow, centred = run(), run(last_lr=0.5), run(last_lr=0.01), run(less_mean=True)
    for name, row in plain.items():
        np.testing.assert_array_equal(row, same[name])
    assert slow["loss"][0] != plain["loss"][0]
    assert slow["common"][-1] < plain["common"][-1]
    assert ((plain["common"] > 0) & (plain["common"] <= 1)).all()
    assert centred["one direction"][-1] < plain["one direction"][-1]


def test_without_the_inputs_mean_the_missing_path_hardly_reaches_the_weights():
    def difference(less_mean):
        true, missing = (
            watch(lambda n, mean=mean: PathNorm(n, mean), DIGITS, LABELS, 1.0, 5, 5, less_mean=less_mean)["weight"][0]
            for mean in (True, False)
        )
        return abs(true - missing)

    assert difference(less_mean=True) < difference(less_mean=False) / 20


def test_watch_ends_a_run_that_diverges():
    record = watch(PathNorm, DIGITS, LABELS, 1e38, 20, 5)
    assert np.isnan(record["loss"]).all()
    assert record["step"].tolist() == [5, 10, 15, 20]


def test_measuring_does_not_move_a_moving_average():
    def losses(every):
        return watch(MovingNorm, DIGITS, LABELS, 0.1, 6, every)["loss"]

    np.testing.assert_allclose(losses(6)[0], np.mean(losses(2)), rtol=1e-6)


def test_library_batch_norm_has_all_paths():
    np.testing.assert_allclose(
        gradient(lambda x: F.batch_norm(x, None, None, training=True)), expected(1, 1), rtol=1e-4
    )
