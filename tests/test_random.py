"""The default generator: seeded, replaceable, and the only one that is used."""

import importlib.util

import numpy as np
import pytest

import minidl.random
from minidl import Tensor, default_generator, manual_seed
from minidl import functional as F


@pytest.fixture(autouse=True)
def the_generator_of_before(monkeypatch):
    monkeypatch.setattr(minidl.random, "_generator", minidl.random._generator)


def test_manual_seed_restarts_the_default_generator():
    generator = manual_seed(7)
    assert generator is default_generator()
    first = generator.standard_normal(5)
    assert manual_seed(7) is default_generator()
    np.testing.assert_array_equal(default_generator().standard_normal(5), first)
    np.testing.assert_array_equal(np.random.default_rng(7).standard_normal(5), first)
    assert not np.array_equal(manual_seed(8).standard_normal(5), first)


def test_without_manual_seed_the_seed_is_zero():
    spec = importlib.util.spec_from_file_location("a_fresh_copy", minidl.random.__file__)
    fresh = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(fresh)
    assert fresh.default_generator().random() == np.random.default_rng(0).random()


def test_operations_draw_from_the_default_generator_and_leave_numpys_alone():
    numpys = np.random.get_state()[1].copy()  # noqa: NPY002
    results = []
    for _ in range(2):
        manual_seed(3)
        results.append([F.dropout(Tensor(np.ones(50)), 0.5, True).data for _ in range(2)])
    np.testing.assert_array_equal(results[0], results[1])
    assert not np.array_equal(*results[0])  # the generator moves on
    np.testing.assert_array_equal(np.random.get_state()[1], numpys)  # noqa: NPY002


def test_a_passed_generator_is_used_instead():
    manual_seed(3)
    before = default_generator().bit_generator.state
    y = [F.dropout(Tensor(np.ones(50)), 0.5, True, generator=np.random.default_rng(1)).data for _ in range(2)]
    np.testing.assert_array_equal(y[0], y[1])
    assert default_generator().bit_generator.state == before
