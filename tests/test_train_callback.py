"""train_one_epoch tells a callback of each step, and Ctrl-C leaves whole steps behind."""

import os
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest

from minidl import Tensor, nn, optim
from minidl import functional as F
from minidl.train import stop_on_interrupt, train_one_epoch


def network():
    rng = np.random.default_rng(0)
    return nn.Sequential(nn.Linear(4, 5, generator=rng), nn.BatchNorm(5), nn.ReLU(), nn.Linear(5, 3, generator=rng))


def batches(n=6):
    rng = np.random.default_rng(1)
    return [(rng.standard_normal((8, 4)).astype(np.float32), rng.integers(0, 3, 8)) for _ in range(n)]


def trained(steps):
    """A network after whole steps, by hand, with its optimizer."""
    model = network()
    optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    for x, labels in batches()[:steps]:
        optimizer.zero_grad()
        F.cross_entropy(model(Tensor(x)), labels).backward()
        optimizer.step()
    return model, optimizer


def epoch(loader=None, **settings):
    model = network()
    optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    result = None
    try:
        result = train_one_epoch(model, batches() if loader is None else loader, optimizer, quiet=True, **settings)
    except BaseException as error:
        result = error
    return result, model, optimizer


def assert_whole(model, optimizer, steps):
    """The state is that of so many whole steps."""
    expected, theirs = trained(steps)
    for name, array in expected.state_dict().items():
        np.testing.assert_array_equal(model.state_dict()[name], array)
    for mine, other in zip(optimizer.param_groups[0]["params"], theirs.param_groups[0]["params"], strict=True):
        np.testing.assert_array_equal(optimizer._buffers[mine], theirs._buffers[other])


def test_it_is_told_each_step_and_its_loss_after_the_step():
    told, order = [], []
    mean, _, _ = epoch(
        after_step=lambda: order.append("after_step"),
        callback=lambda step, loss: (told.append((step, loss)), order.append("callback")),
    )
    assert [step for step, _ in told] == list(range(6))
    assert all(type(step) is int and type(loss) is float for step, loss in told)
    assert mean == np.mean([loss for _, loss in told])
    assert order == ["after_step", "callback"] * 6


def test_a_callback_does_not_change_training():
    _, model, optimizer = epoch(callback=lambda step, loss: None)
    assert_whole(model, optimizer, 6)


@pytest.mark.parametrize("true", [True, np.True_])
def test_true_ends_the_epoch_after_a_whole_step(true):
    told = []
    mean, model, optimizer = epoch(callback=lambda step, loss: told.append(loss) or (true if step == 2 else False))
    assert len(told) == 3
    assert mean == np.mean(told)
    assert_whole(model, optimizer, 3)


@pytest.mark.parametrize("answer", [None, False, np.False_, 1, "stop", [0], np.ones(3), 0.5])
def test_nothing_else_ends_it(answer):
    told = []
    epoch(callback=lambda step, loss: (told.append(step), answer)[1])
    assert told == list(range(6))


class Enough(Exception):
    pass


@pytest.mark.parametrize("error", [Enough("so much"), KeyboardInterrupt(), StopIteration(3), SystemExit(1)])
@pytest.mark.parametrize("place", ["callback", "after_step"])
def test_what_it_raises_passes_after_a_whole_step(error, place):
    steps = []

    def fail(*args):
        steps.append(args)
        if len(steps) == 4:
            raise error

    raised, model, optimizer = epoch(**{place: fail})
    assert raised is error
    assert_whole(model, optimizer, 4)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


class Pressing(nn.Module):
    """Presses Ctrl-C in the middle of a forward."""

    def __init__(self, at, times=1):
        self.at, self.times, self.calls = at, times, [0]

    def forward(self, x):
        self.calls[0] += 1
        for _ in range(self.times if self.calls[0] == self.at else 0):
            signal.raise_signal(signal.SIGINT)
        return x


def pressed(at, times=1):
    model = network()
    optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    told = []
    with pytest.raises(KeyboardInterrupt):
        train_one_epoch(
            nn.Sequential(model, Pressing(at, times)), batches(), optimizer, quiet=True,
            callback=lambda step, loss: told.append(step),
        )  # fmt: skip
    return model, optimizer, told


@pytest.mark.parametrize("at", [1, 3, 6])
def test_ctrl_c_in_the_middle_of_a_step_comes_after_it(at, capfd):
    """Also in the last step, after which nothing more would ask."""
    model, optimizer, told = pressed(at)
    assert told == list(range(at))
    assert_whole(model, optimizer, at)
    assert "stopping after this step" in capfd.readouterr().err
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_second_one_comes_at_once(capfd):
    model, _, told = pressed(3, times=2)
    assert told == [0, 1]
    np.testing.assert_array_equal(model[0].weight.data, trained(2)[0][0].weight.data)


def test_who_handles_ctrl_c_stays_in_charge(capfd):
    told = []
    with stop_on_interrupt() as stop:
        model = nn.Sequential(network(), Pressing(2))
        train_one_epoch(
            model, batches(), optim.SGD(model.parameters(), lr=0.1), quiet=True,
            callback=lambda step, loss: told.append(stop()) or stop(),
        )  # fmt: skip
        assert stop()
    assert told == [False, True]
    mine = []
    before = signal.signal(signal.SIGINT, lambda *args: mine.append(1))
    try:
        assert isinstance(epoch_pressing(), float)
    finally:
        signal.signal(signal.SIGINT, before)
    assert mine == [1]


def epoch_pressing():
    model = nn.Sequential(network(), Pressing(2))
    return train_one_epoch(model, batches(), optim.SGD(model.parameters(), lr=0.1), quiet=True)


def test_in_a_thread_it_trains():
    found = []
    thread = threading.Thread(target=lambda: found.append(epoch(callback=lambda step, loss: step == 1)))
    thread.start()
    thread.join()
    ((mean, model, optimizer),) = found
    assert isinstance(mean, float)
    assert_whole(model, optimizer, 2)


@pytest.mark.skipif(os.name != "posix", reason="what only Unix has")
def test_ctrl_c_in_a_real_process_ends_it_with_a_traceback():
    code = """
import os, signal, sys
sys.path.insert(0, os.getcwd())
from tests.test_train_callback import *
model = network()
def press(step, loss):
    if step == 2:
        os.kill(os.getpid(), signal.SIGINT)
train_one_epoch(model, batches(), optim.SGD(model.parameters(), lr=0.1), quiet=True, callback=press)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode in (1, -signal.SIGINT, 130)
    assert "KeyboardInterrupt" in done.stderr
