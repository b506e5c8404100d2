"""The sentence is true of its moment."""

import copy

import numpy as np
import pytest

from minidl.lab.live.pack import pack
from minidl.lab.live.words import few, sentence, sentences
from tests.lab.live.fakes import result


@pytest.fixture(scope="module")
def packed():
    return pack(result(), "")


@pytest.fixture
def net(packed):
    return copy.deepcopy(packed["nets"][0])


def with_accuracies(net, at, **accuracies):
    for arm in net["arms"]:
        for seed, value in zip(arm["acc"], accuracies[arm["id"]], strict=True):
            seed[at] = value
    return sentence(net, at)


def test_numbers_are_means_over_the_seeds(net):
    text = with_accuracies(net, 5, none=[10, 11, 12], batch=[90, 91, 92.3], start=[80, 80, 80])
    assert "11.0 % (without BN), 91.1 % (with BN) and 80.0 % (from the good start)" in text
    assert f"After {net['steps'][5]:,} steps" in text
    assert sentence(net, 0).startswith("Before training the network")
    assert sentence(net, 1).startswith("After 1 step the")


def test_who_is_ahead_is_said_only_if_all_seeds_agree(net):
    def said(batch, start):
        return with_accuracies(net, 3, none=[10, 10, 10], batch=batch, start=start)

    ahead = "The network {} is ahead of the one {} in all three seeds."
    bn, good = "with BN", "from the good start"
    assert ahead.format(bn, good) in said([91, 92, 93], [90, 91.9, 92])
    assert ahead.format(good, bn) in said([90, 91, 92], [91, 92, 93])
    for even in ([90, 93, 92], [91, 92, 93]):
        assert "depends on the seed" in said([91, 92, 93], even)


@pytest.mark.parametrize(
    ("accuracies", "told", "not_told"),
    [
        (dict(none=[10] * 3, batch=[11] * 3, start=[9.8] * 3), "That is guessing.", "ahead"),
        (dict(none=[10] * 3, batch=[50] * 3, start=[12] * 3), "guessing: the network without BN and from the good", "ahead"),
        (dict(none=[10, 10, 16], batch=[50] * 3, start=[60] * 3), "is ahead", "guessing"),
    ],
)  # fmt: skip
def test_guessing_is_said_of_those_that_guess(net, accuracies, told, not_told):
    text = with_accuracies(net, 4, **accuracies)
    assert told in text
    assert not_told not in text


def test_the_last_layer_is_told(net):
    for arm, left, sat in zip(net["arms"], (0.00004, 0.5, 1.02), (0, 12.3, 3.04), strict=True):
        for signal, flat in zip(arm["signal"], arm["sat"], strict=True):
            signal[2][0], signal[2][-1], flat[2][-1] = 2.0, 2 * left, sat
    text = sentence(net, 2)
    assert (
        "In layer 8: without BN the signal is 0.004 % of the first layer's and 0 % of the sigmoids are saturated, "
        "with BN 50 % and 12 %, from the good start 102 % and 3 %."
    ) in text


def test_the_second_network_has_words_of_its_own(packed):
    net = packed["nets"][1]
    text = sentence(net, 3)
    assert "In the hidden layer: without BN" in text
    assert "of the ReLUs are off, with BN" in text
    assert len(sentences(net)) == len(net["steps"])


def test_sentences_change_with_the_data(net):
    before = sentences(net)
    for arm in net["arms"]:
        arm["acc"] = (np.array(arm["acc"]) / 2).tolist()
    assert all(a != b for a, b in zip(before, sentences(net), strict=True))


def test_percentages_have_few_digits():
    assert [few(x) for x in (0, 0.0004, 0.0042, 0.3, 1, 9.96, 12.3)] == [
        "0",
        "less than 0.001",
        "0.004",
        "0.3",
        "1",
        "10",
        "12",
    ]
