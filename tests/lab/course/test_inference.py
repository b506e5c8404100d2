"""Averages with several momenta are what BatchNorm itself would have kept, and disturb nothing."""

import copy

import numpy as np
import pytest

from minidl import Tensor, nn
from minidl.lab import models
from minidl.lab.course import inference


def network():
    return models.paper_mlp("batch", sizes=(6, 5, 4, 3), generator=np.random.default_rng(0))


def batches(n=7):
    generator = np.random.default_rng(1)
    return [Tensor(generator.standard_normal((8, 6)).astype(np.float32)) for _ in range(n)]


@pytest.mark.parametrize("momentum", [0.05, 0.1, 0.9, 1.0])
def test_as_if_the_network_had_that_momentum(momentum):
    model, alone = network(), network()
    for module in alone.modules():
        if isinstance(module, nn.BatchNorm):
            module.momentum = momentum
    averages = inference.Averages(model, (0.3, momentum))
    for x in batches():
        model(x)
        alone(x)
        averages.step()
    averages.use(momentum)
    for mine, theirs in zip(inference.statistics(model), inference.statistics(alone), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-5, atol=1e-6)


def test_using_them_changes_no_later_average():
    outcomes = []
    for look in (False, True):
        model = network()
        averages = inference.Averages(model, (0.1, 0.9))
        for x in batches():
            model(x)
            averages.step()
            if look:
                averages.use(0.1)
        averages.use(0.9)
        outcomes.append(inference.statistics(model))
    assert all(np.array_equal(a, b) for a, b in zip(*outcomes, strict=True))


def test_statistics_are_copies():
    model = network()
    before = inference.statistics(model)
    kept = copy.deepcopy(before)
    model(batches(1)[0])
    assert all(np.array_equal(a, b) for a, b in zip(before, kept, strict=True))


def test_refuses_what_has_nothing_to_average():
    with pytest.raises(ValueError, match="no batch norm"):
        inference.Averages(nn.Linear(2, 3), [0.1])
    with pytest.raises(ValueError, match="must be above 0"):
        inference.Averages(network(), [0.0])
    with pytest.raises(ValueError, match="must be above 0"):
        inference.Averages(network(), [])
    with pytest.raises(ValueError, match=r"no momentum 0\.5; there are \[0\.1\]"):
        inference.Averages(network(), [0.1]).use(0.5)
