"""Looking at a network leaves no trace: not in it, not in generators, not in what others are watching."""

import copy
import pickle
import random
import threading
from dataclasses import dataclass

import numpy as np
import pytest

import minidl
from minidl import Tensor, is_grad_enabled, nn, no_grad, optim
from minidl import functional as F
from minidl.autograd import engine
from minidl.nn import module
from minidl.probe import Probe
from minidl.replay import Replay
from tests.anatomy.networks import ResNet8, Restless


def look(model, *example):
    """Both ways to look."""
    minidl.summary(model, *example)
    model.graph(*example)


def everything(model):
    """All that a network holds, to compare: attributes by identity, their contents, arrays, generators of all kinds."""
    found = []
    for name, part in model.named_modules():
        for key, value in vars(part).items():
            found.append((name, key, id(value), repr(value) if isinstance(value, dict | list) else None))
    found += [(name, p.data.tobytes(), id(p.data), p.requires_grad, p._hooks) for name, p in model.named_parameters()]
    found += [
        (name, None if p.grad is None else (id(p.grad), p.grad.tobytes())) for name, p in model.named_parameters()
    ]
    found += [(name, id(b), b.tobytes()) for name, b in model.named_buffers()]
    states = [g.bit_generator.state for g in (minidl.default_generator(), getattr(model, "generator", None)) if g]
    return found, pickle.dumps([states, np.random.get_state(), random.getstate()])  # noqa: NPY002


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("fails", [False, True])
def test_a_module_that_changes_all_it_can_is_as_it_was(training, fails):
    model = Restless().train(training)
    model.norm.train()
    model.fails = fails
    model.register_forward_hook(lambda *args: None)
    model.linear.bias.grad = np.ones(4, np.float32)
    before, seen = everything(model), list(model.seen)
    for view in (minidl.summary, nn.Module.graph):
        if fails:
            with pytest.raises(ZeroDivisionError, match="in the middle"):
                view(model, (5, 4))
        else:
            view(model, (5, 4))
        assert everything(model) == before
    assert (model.seen, model.count, model.settings) == (seen, 0, {"depth": {"least": 1}})
    assert not hasattr(model, "new")
    assert not model.drop._forward_hooks
    model.fails = False
    model(Tensor(np.ones((5, 4), np.float32)))  # the module really does all this
    assert everything(model) != before


def test_the_restless_module_would_be_noticed():
    """The comparison sees each kind of change."""
    model = Restless()
    before = everything(model)
    for change in (
        lambda: setattr(model, "count", 1), lambda: model.seen.append(1), lambda: model.norm.eval(),
        lambda: model.settings["depth"].update(least=2), lambda: model.generator.random(),
        lambda: minidl.default_generator().random(), lambda: np.random.random(),  # noqa: NPY002
        lambda: model.largest.fill(3), lambda: model.drop.register_forward_hook(print),
    ):  # fmt: skip
        change()
        assert everything(model) != before
        before = everything(model)


def test_training_goes_on_with_the_same_bits():
    def train(model, looks):
        optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        minidl.manual_seed(1)
        for step in range(3):
            if looks:
                look(model, (2, 8, 8, 3))
            x = np.random.default_rng(step).standard_normal((4, 8, 8, 3)).astype(np.float32)
            loss = F.cross_entropy(model(Tensor(x)), np.arange(4))
            if looks:
                look(model, (1, 8, 8, 3))  # between forward and backward
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        return model.state_dict()

    def network():
        return nn.Sequential(ResNet8(2), nn.Dropout(0.3), nn.Linear(10, 4, generator=np.random.default_rng(1)))

    plain, watched = train(network(), looks=False), train(network(), looks=True)
    assert all(np.array_equal(plain[name], watched[name]) for name in plain)


def test_dataclasses_tuples_and_circles_inside_are_put_back():
    @dataclass
    class Settings:
        steps: int
        log: list

    class Net(nn.Module):
        def __init__(self):
            self.settings, self.pair = Settings(0, []), ([1], {2})
            self.circle = [self.pair]
            self.circle.append(self.circle)

        def forward(self, x):
            self.settings.steps += 1
            self.settings.log.append(x)
            self.pair[0].append(3)
            self.pair[1].add(4)
            self.circle.clear()
            return x

    model = Net()
    look(model, (1, 2))
    assert model.settings == Settings(0, [])
    assert model.pair == ([1], {2})
    assert model.circle[0] is model.pair
    assert model.circle[1] is model.circle


def test_hooks_run_and_stay_but_a_probe_records_nothing():
    model = nn.Sequential(nn.Linear(3, 3), nn.ReLU())
    called = []
    handle = model[0].register_forward_hook(lambda module, inputs, output: called.append(module) or output * 2)
    with Probe(model, ["0", "1"], every=1) as probe:
        table = minidl.summary(model, (2, 3))
        assert called == [model[0]]
        assert probe._fresh == {}
        probe.step()
        assert probe.rows == []
        model(Tensor(np.ones((2, 3), np.float32)))
        assert probe._fresh
    assert table.rows[1]["output"] == (2, 3)
    handle.remove()
    assert not model[0]._forward_hooks
    assert module.on_call is None
    assert engine._observer is None
    assert "_forward_hooks" not in vars(nn.Sequential(nn.ReLU()))


def test_no_attribute_is_left_on_modules_without_hooks():
    model = nn.Sequential(nn.Linear(3, 3))
    look(model, (2, 3))
    assert "_forward_hooks" not in vars(model) | vars(model[0])
    assert copy.deepcopy(model)[0]._forward_hooks is None


def test_no_activation_is_kept_alive():
    import gc
    import weakref

    class Net(nn.Module):
        def forward(self, x):
            y = x * 2
            made.append(weakref.ref(y))
            return y

    made = []
    table = minidl.summary(nn.Sequential(Net()), (2, 3))
    gc.collect()
    assert made[0]() is None
    assert str(table)


def test_the_mode_of_gradients_is_restored_and_does_not_matter():
    model = nn.Sequential(nn.Linear(3, 3), nn.ReLU())
    expected = minidl.summary(model, (2, 3)).rows
    with no_grad():
        assert minidl.summary(model, (2, 3)).rows == expected
        assert not is_grad_enabled()
    assert is_grad_enabled()
    with pytest.raises(ValueError, match="linear"), no_grad():
        minidl.summary(model, (2, 4))
    assert is_grad_enabled()


def test_under_detect_anomaly_both_see_everything():
    model = nn.Sequential(nn.Linear(3, 3), nn.ReLU())
    with minidl.detect_anomaly():
        assert minidl.summary(model, (2, 3)).total["multiply_adds"] == 18
        with pytest.raises(FloatingPointError, match=r"linear in layer 0 .* made nan"):
            minidl.summary(model, np.full((2, 3), np.nan, np.float32))
        assert engine._observer.refuses
    assert engine._observer is None


def test_watching_does_not_check_as_detect_anomaly_does():
    """A large pixel, whose rounding `detect_anomaly` refuses, is no reason to refuse a summary."""
    model = nn.Sequential(nn.Conv2d(16, 16, 3, generator=np.random.default_rng(0)))
    x = np.ones((1, 8, 8, 16), np.float32)
    x[0, 1, 3, 3] = 1e6
    assert minidl.summary(model, x).total["multiply_adds"] == 36 * 16 * 9 * 16
    with minidl.detect_anomaly(), pytest.raises(RuntimeError, match="rounding"):
        minidl.summary(model, x)


def test_a_replay_inside_runs_plainly_and_a_summary_inside_a_recording_is_refused():
    class Stepping(nn.Module):
        def __init__(self):
            self.inner = nn.Linear(3, 2)
            self.steps = Replay(self.inner)

        def forward(self, x):
            self.steps(x.data, np.array([0, 1]))
            return self.inner(x)

    assert minidl.summary(Stepping(), (2, 3)).rows[-1]["name"] == "inner"

    class Looking(nn.Module):
        def __init__(self):
            self.inner = nn.Linear(3, 2)

        def forward(self, x):
            minidl.summary(self.inner, (1, 3))
            return self.inner(x)

    with pytest.raises(RuntimeError, match="summary: a step is being recorded; it must be called outside"):
        Replay(Looking())(np.ones((2, 3), np.float32), np.array([0, 1]))
    with pytest.raises(RuntimeError, match="summary: a step is being recorded"):
        minidl.summary(Looking(), (1, 3))
    assert module.on_call is None


def test_other_threads_are_not_listed():
    other, go, done = nn.Sequential(nn.Linear(3, 3)), threading.Event(), threading.Event()

    def work():
        go.wait(10)
        other(Tensor(np.ones((1, 3), np.float32)))
        done.set()

    class Net(nn.Module):
        def forward(self, x):
            go.set()
            done.wait(10)
            return x * 2

    thread = threading.Thread(target=work)
    thread.start()
    table = minidl.summary(Net(), (1, 3))
    thread.join()
    assert [row["type"] for row in table.rows] == ["Net"]
    assert done.is_set()


def test_a_module_that_fails_and_is_caught():
    class Net(nn.Module):
        def __init__(self):
            self.bad, self.good = nn.Linear(9, 9), nn.Linear(3, 3)

        def forward(self, x):
            try:
                return self.bad(x)
            except ValueError:
                return self.good(x) + 1

    table = minidl.summary(Net(), (1, 3))
    assert [(row["name"], row["output"]) for row in table.rows] == [("", (1, 3)), ("bad", None), ("good", (1, 3))]
    assert "good" in str(Net().graph((1, 3)))


def test_a_module_that_nobody_registered_is_listed_and_freed_of_the_hook():
    hidden = nn.Linear(3, 3)

    class Net(nn.Module):
        def forward(self, x):
            return hidden(x)

    rows = minidl.summary(Net(), (1, 3)).rows
    assert [(row["name"], row["trainable"]) for row in rows] == [("", 0), ("(Linear)", 12)]
    assert "_forward_hooks" not in vars(hidden)


# ---- examples ----------------------------------------------------------------------------------------------------------


def test_examples_of_all_kinds():
    model = nn.Sequential(nn.Linear(3, 2, generator=np.random.default_rng(0)))
    x = np.ones((4, 3), np.float32)
    x.flags.writeable = False
    expected = minidl.summary(model, (4, 3)).rows
    for example in ([4, 3], np.zeros((4, 3), np.float32), x, Tensor(x), [[1.0] * 3] * 4, (np.int64(4), 3)):
        assert minidl.summary(model, example).rows == expected
    wanting = Tensor(x, requires_grad=True)
    minidl.summary(model, wanting)
    assert wanting.grad is None
    assert minidl.summary(model, (0, 3)).total["multiply_adds"] == 0
    assert minidl.summary(model.to(np.float64), (4, 3)).total["input_bytes"] == 4 * 3 * 8  # of the network's type


@pytest.mark.parametrize("view", [minidl.summary, nn.Module.graph])
def test_what_is_no_example(view):
    model = nn.Linear(3, 2)
    for wrong in (7, "x", None, True):
        with pytest.raises(TypeError, match=r"summary: the example is .*; it must be the shape of a batch"):
            view(model, wrong)
    with pytest.raises(TypeError, match="summary: there is no example; pass the shape"):
        view(model)
    with pytest.raises(ValueError, match=r"summary: the shape is \(-1, 3\); its sizes must not be negative"):
        view(model, (-1, 3))
    for large in ((10**9, 10**9), (10**30, 3)):
        with pytest.raises(
            ValueError, match=r"summary: a batch of shape .* does not fit in memory; it must be smaller"
        ):
            view(model, large)
    with pytest.raises(TypeError, match="Tensor: got object"):
        view(model, [object()])
    with pytest.raises(ValueError, match=r"linear: x is \(1, 4\)"):
        view(model, (1, 4))


def test_what_batch_norm_refuses_for_another_reason_is_refused():
    model = nn.Sequential(nn.BatchNorm(4))
    with pytest.raises(ValueError, match=r"batch_norm: x is \(1, 3\) but running_mean is \(4,\)"):
        minidl.summary(model, (1, 3))
    untracked = nn.Sequential(nn.BatchNorm(3, track_running_stats=False))
    with pytest.raises(ValueError, match="one value for each feature"):
        minidl.summary(untracked, (1, 3))
    minidl.summary(model, (1, 4))
    assert model[0].training
