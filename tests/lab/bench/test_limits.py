"""The roof: the best product and the best copy of a run, and the least time that a case can take."""

import pytest

from minidl.lab.bench.cases import activation, copy, matmul, network, steps_operations
from minidl.lab.bench.limits import Limits, floor_seconds, limits_of
from minidl.lab.bench.parts import Measurement
from tests.lab.bench.fakes import measured


def limit(case, **seconds):
    return Measurement("limits", case, 2, {name: measured([s]) for name, s in seconds.items()})


def test_the_best_of_all_contenders_and_times_counts():
    found = limits_of([
        limit(matmul(100), minidl=1.0, numpy=0.5), limit(copy(1000), minidl=2.0, numpy=4.0),
        limit(matmul(100), minidl=0.25, numpy=1.0), limit(copy(1000), minidl=8.0),
        Measurement("ops", matmul(1000), 2, {"minidl": measured([1e-9])}),
    ])  # fmt: skip
    assert found == Limits(2e6 / 0.25, 8000 / 2.0)


def test_without_both_there_is_no_roof():
    assert limits_of([limit(matmul(10), numpy=1.0)]) is None
    assert limits_of([]) is None


def test_the_longer_of_two_times_is_the_floor():
    product, memory = matmul(1000), activation("relu", 1000)
    limits = Limits(1e9, 1e6)
    assert floor_seconds(product, limits) == pytest.approx(max(2.0, 12.0))
    assert floor_seconds(product, Limits(1e9, 1e12)) == 2.0
    assert floor_seconds(memory, limits) == 20_000 / 1e6


def test_a_training_step_is_computed_one_operation_after_the_other():
    limits = Limits(1e11, 3e10)
    parts = steps_operations("cifar_conv", 16)
    assert floor_seconds(network("cifar_conv", 16), limits) == sum(floor_seconds(part, limits) for part in parts)
