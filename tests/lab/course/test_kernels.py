"""The counting arrays and the race of lesson 17, against counts by hand and a timer of our own."""

import itertools

import numpy as np
import pytest

from minidl.lab.course import kernels


def test_memory_fetches_a_line_when_it_is_not_kept():
    memory = kernels.Memory(lines=2, numbers=4)
    x = memory.watch("x", np.arange(12.0).reshape(3, 4))
    assert [x[0, j] for j in range(4)] == [0, 1, 2, 3]
    assert (memory.touches["x"], memory.fetched["x"]) == (4, 1)
    assert x[1, 0] == 4
    assert x[0, 1] == 1
    assert x[2, 3] == 11  # row 1 was used before row 0, so it had to go
    assert memory.fetched["x"] == 3
    x[0, 0] = 5
    assert memory.fetched["x"] == 3
    assert x[1, 1] == 5
    assert (memory.touches["x"], memory.fetched["x"]) == (9, 4)


def test_a_watched_array_counts_what_numpy_reads_and_parts():
    memory = kernels.Memory()
    array = np.ones((4, 6))
    x = memory.watch("x", array)
    assert np.asarray(x).sum() == 24
    assert memory.touches["x"] == 24
    x[1] = 2
    part = x[1, 2:5]
    assert memory.touches["x"] == 33
    assert (array[1] == 2).all()
    part[...] = 7  # a copy, so what a loop does with it is not written unseen
    assert (array[1] == 2).all()
    assert (len(x), x.shape, x.size, x.ndim, x.dtype) == (4, (4, 6), 24, 2, np.float64)
    with pytest.raises(AttributeError, match="has no 'mean'; write loops"):
        x.mean()


def test_factors_count_products_of_two_unknowns():
    count = [0]
    a, b = kernels.Factor(3.0, count), kernels.Factor(5.0, count)
    assert ((a + b) * 2 - 1).value == 15
    assert (1 - a).value == -2
    assert (-a / 2).value == -1.5
    assert (2 * a + 1).value == 7
    assert (np.float64(2) * a).value == 6
    assert count == [0]
    assert (a * b).value == 15
    assert ((a - b) * (a + b)).value == -16
    assert count == [2]


def test_least_time_is_the_longer_of_two():
    assert kernels.least_time(100, 10, 50, 10) == 2
    assert kernels.least_time(100, 40, 50, 10) == 4


class Clock:
    """A timer that a work moves on by the seconds that it is said to take."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now

    def work(self, *seconds):
        """A function that takes these times, one a call, over and over."""
        times = itertools.cycle(seconds)

        def run(*_):
            self.now += next(times)

        return run


def test_fastest_is_the_least_of_the_calls_after_the_first():
    clock = Clock()
    assert kernels.fastest(clock.work(1, 5, 4, 7), seconds=10, timer=clock) == 4
    clock = Clock()
    assert kernels.fastest(clock.work(100, 5, 4, 3), seconds=1, timer=clock) == 3  # three calls, however long they take


def test_race_compares_the_least_times_and_names_the_goal():
    clock = Clock()
    said = kernels.race(clock.work(6, 8), clock.work(2, 3), (), goal=2.5, seconds=30, timer=clock)
    assert said == "race: yours is 3.0 times as fast as the baseline, the rung is reached (from 2.5 on)"
    said = kernels.race(clock.work(6), clock.work(3), (), goal=2.5, seconds=30, timer=clock)
    assert "2.0 times as fast as the baseline, not yet" in said


def test_race_without_an_answer():
    def stub(*_):
        raise NotImplementedError

    assert kernels.race(lambda: None, stub, (), goal=2) == "race: not attempted"
