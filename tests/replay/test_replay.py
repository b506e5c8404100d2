"""A replayed step has the bits of the step itself, or is none: whatever a model does, and whatever changes on the way."""

import copy
import threading

import numpy as np
import pytest

import minidl
from minidl import Tensor, nn, optim
from minidl import functional as F
from minidl.kernels.jit import assign
from minidl.lab import models
from minidl.replay import Replay, replay
from minidl.replay.recording import recording
from tests.helpers import JIT, in_a_process, sizes

RECORDED, OUTSIDE = "it was recorded", "some of it is computed outside"
HOLD, DRAWS = "its modules change what they hold", "it draws random numbers outside"


def rng(seed=0):
    return np.random.default_rng(seed)


def vectors(*layers):
    """A network for 7 examples of 5 numbers and 3 classes."""
    return nn.Sequential(nn.Linear(5, 6, generator=rng()), *layers, nn.Linear(6, 3, generator=rng(1)))


def images(*layers, channels=4):
    return nn.Sequential(
        nn.Conv2d(2, channels, 3, padding=1, generator=rng()), *layers, nn.GlobalAvgPool2d(),
        nn.Linear(channels, 3, generator=rng(1)),
    )  # fmt: skip


def batches(model, count=6, rows=7, dtype=np.float32):
    """Batches that suit the first layer of a model, all different."""
    first = next(m for m in model.modules() if isinstance(m, nn.Linear | nn.Conv2d))
    shape = first.weight.shape[:1] if isinstance(first, nn.Linear) else (*IMAGE, first.weight.shape[2])
    generator = rng(7)
    for _ in range(count):
        yield generator.standard_normal((rows, *shape)).astype(dtype), generator.integers(0, 3, rows)


IMAGE = (6, 5)


def ordinary(model, inputs, targets, loss_fn=F.cross_entropy):
    loss = loss_fn(model(Tensor(inputs)), targets)
    loss.backward()
    return loss.item()


def train(model, given, gradients, after_step=lambda step: None):
    """The losses of some steps, and everything that they left behind."""
    optimizer, losses = optim.SGD(model.parameters(), lr=0.1, momentum=0.9), []
    for step, batch in enumerate(given):
        optimizer.zero_grad()
        losses.append(gradients(*batch))
        optimizer.step()
        after_step(step)
    arrays = [*(p.grad for p in model.parameters() if p.grad is not None), *model.state_dict().values()]
    return losses, [array.tobytes() for array in arrays]


def both_ways(model, given, loss_fn=F.cross_entropy, after_step=lambda model, step: None):
    """Train twice, with and without a replay, and see that there is no difference; returns why steps were no replays."""
    given, plain, why = list(given), copy.deepcopy(model), []
    one = Replay(model, loss_fn)

    def gradients(*batch):
        loss = one(*batch)
        why.append(one.why_not)
        return loss

    found = train(model, given, gradients, lambda step: after_step(model, step))
    expected = train(
        plain, given, lambda *batch: ordinary(plain, *batch, loss_fn=loss_fn), lambda step: after_step(plain, step)
    )
    np.testing.assert_array_equal(found[0], expected[0])
    assert found[1] == expected[1]
    return why


REPLAYED = {
    "linear, relu": vectors(nn.ReLU()),
    "batch norm, sigmoid": vectors(nn.BatchNorm(6), nn.Sigmoid()),
    "batch norm without γ and β": vectors(nn.BatchNorm(6, affine=False), nn.Tanh()),
    "batch norm without γ": vectors(nn.BatchNorm(6, weight=False), nn.ReLU()),
    "batch norm without statistics": vectors(nn.BatchNorm(6, track_running_stats=False), nn.GELU()),
    "layer norm": vectors(nn.LayerNorm(6)),
    "average pooling": images(nn.AvgPool2d(2)),
    "identity, nested": vectors(nn.Sequential(nn.Identity(), nn.Tanh())),
    "max-pooling, flatten": nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1, generator=rng()), nn.BatchNorm(4), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(24, 3, generator=rng()),
    ),
    "convolutions": nn.Sequential(
        nn.Conv2d(2, 4, 2, stride=2, generator=rng()), nn.GELU(), nn.Conv2d(4, 3, 2, padding=1, generator=rng()),
        nn.MaxPool2d(2, 1), nn.Flatten(), nn.Linear(18, 3, generator=rng()),
    ),
    "winograd, odd channels": nn.Sequential(
        nn.Conv2d(17, 18, 3, padding=1, generator=rng()), nn.ReLU(), nn.Conv2d(18, 17, 3, padding=0, generator=rng()),
        nn.Flatten(), nn.Linear(17 * 12, 3, generator=rng()),
    ),
}  # fmt: skip


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", sizes(*list(REPLAYED)[5:], tiny=list(REPLAYED)[:5]))
def test_the_same_bits_from_the_second_step_on(name, dtype):
    model = copy.deepcopy(REPLAYED[name]).to(dtype)
    assert both_ways(model, batches(model, dtype=dtype)) == [RECORDED] + 5 * [None]


@pytest.mark.skipif(not JIT, reason="minutes of plain Python")
@pytest.mark.parametrize(("make", "rows"), [(models.paper_mlp, 60), (models.mnist_conv, 16)], ids=["mlp", "mnist_conv"])
@pytest.mark.parametrize("norm", ["batch", "none"])
def test_the_reference_networks(make, rows, norm):
    model, generator = make(norm, generator=rng()), rng(1)
    shape = (784,) if make is models.paper_mlp else (28, 28, 1)
    given = [(generator.random((rows, *shape), np.float32), generator.integers(0, 10, rows)) for _ in range(20)]
    assert both_ways(model, given) == [RECORDED] + 19 * [None]


@pytest.mark.skipif(not JIT, reason="minutes of plain Python")
def test_the_reference_network_for_photographs():
    model, generator = models.cifar_conv(generator=rng()), rng(1)
    given = [(generator.random((4, 32, 32, 3), np.float32), generator.integers(0, 10, 4)) for _ in range(4)]
    assert both_ways(model, given) == [RECORDED] + 3 * [None]


@pytest.mark.skipif(not JIT, reason="has no threads without")
def test_on_another_number_of_threads():
    model, before = models.paper_mlp(generator=rng()), minidl.get_num_threads()
    generator = rng(1)
    given = [(generator.random((400, 784), np.float32), generator.integers(0, 10, 400)) for _ in range(6)]
    try:
        why = both_ways(model, given, after_step=lambda model, step: minidl.set_num_threads(1 if step < 3 else before))
    finally:
        minidl.set_num_threads(before)
    assert why == [RECORDED] + 5 * [None]


# ---- what cannot be replayed, and is computed as ever -------------------------------------------------------------------


class Counting(nn.Module):
    calls = 0

    def forward(self, x):
        self.calls += 1
        return x


class Listing(nn.Module):
    def __init__(self):
        self.means = []

    def forward(self, x):
        self.means = self.means[-3:]
        self.means.append(float(x.data.mean()))
        return x


class Saving(nn.Module):
    def __init__(self):
        self.seen = {"out": None}

    def forward(self, x):
        self.seen["out"] = x.data
        return x


class Noisy(nn.Module):
    """Draws from a generator of its own, and from NumPy's."""

    def __init__(self):
        self.tools = {"generator": rng(5)}

    def forward(self, x):
        noise = self.tools["generator"].standard_normal(x.shape)
        return x + noise.astype(x.dtype)


class Hooking(nn.Module):
    def forward(self, x):
        y = F.relu(x)
        y.register_hook(lambda grad: 2 * grad)
        return y


class Fastidious(nn.Module):
    """Refuses what it gets while the recording is tried."""

    def __init__(self):
        self.edge = Tensor(np.array([1.0, 3.0, 2.0], np.float32))

    def forward(self, x):
        if not np.array_equal(self.edge.data, [1, 3, 2]):
            raise ValueError("no")
        return x


class WithMean(nn.Module):
    """Subtracts a number that NumPy finds in the inputs."""

    def forward(self, x):
        y = F.relu(x)
        return y - float(x.data.mean())


class Scaled(nn.Module):
    """A kernel gets a number that Python took from an array."""

    def __init__(self, scale):
        self.scale = np.array(scale, np.float32)

    def forward(self, x):
        y, scale = np.empty_like(x.data), self.scale.copy()
        assign(y, x.data * scale)

        def backward(grad):
            return (grad * scale,)

        return Tensor._from_op(y, (x,), backward)


def one_hot_loss(logits, labels):
    return F.mse_loss(F.softmax(logits), np.eye(3, dtype=np.float32)[labels])


def smoothed(logits, labels):
    return F.cross_entropy(logits, labels, label_smoothing=float(labels.mean()) / 10)


def averaging(model):
    for module in model.modules():
        if isinstance(module, nn.BatchNorm):
            module.momentum = None
    return model


REFUSED = {
    "the plain average of statistics": (averaging(vectors(nn.BatchNorm(6))), OUTSIDE),
    "attributes": (vectors(Counting()), HOLD),
    "lists": (vectors(Listing()), HOLD),
    "dicts": (vectors(Saving()), HOLD),
    "noise": (vectors(Noisy()), DRAWS),
    "hooks on tensors": (vectors(Hooking()), "it puts hooks on tensors"),
    "an error in the trial": (vectors(Fastidious()), "it failed when it was tried on other numbers: ValueError: no"),
    "numbers from the inputs": (vectors(WithMean()), OUTSIDE),
    "numbers from a module": (vectors(Scaled([1, 2, 3, 4, 5, 6])), OUTSIDE),
}


@pytest.mark.parametrize("name", REFUSED)
def test_other_steps_go_on_as_ever(name):
    model, reason = REFUSED[name]
    model = copy.deepcopy(model)
    why = both_ways(model, batches(model))
    steady = why[:3] if reason == HOLD else why  # then it is no longer tried each time
    assert all(w.startswith(reason) for w in steady), why


@pytest.mark.parametrize("loss_fn", [one_hot_loss, smoothed])
@pytest.mark.parametrize("rows", [1, 7])
def test_other_losses_too(loss_fn, rows):
    model = vectors(nn.Tanh())
    why = both_ways(model, batches(model, rows=rows), loss_fn)
    assert all(w.startswith(OUTSIDE) for w in why)


def test_under_detect_anomaly():
    model = vectors(nn.ReLU())
    step, (batch, other, wrong) = Replay(model), batches(model, 3)
    step(*batch)
    step(*other)
    assert step.why_not is None
    wrong[0][2, 2] = np.nan
    with minidl.detect_anomaly(), pytest.raises(FloatingPointError, match="linear"):
        step(*wrong)
    assert step.why_not.startswith("detect_anomaly")


# ---- the trial rejects every recording that lacks something -------------------------------------------------------------


def a_plan(model):
    """A Replay that has recorded a step, its calls, and a function that says why other calls would not do."""
    step = Replay(model)
    step(*next(batches(model, 1)))
    ((surroundings, plan),) = step._plans.values()
    leaves = [leaf for leaf, _ in plan.gradients]

    def try_(calls):
        for leaf in leaves:
            leaf.grad = None
        plan(plan.batch)  # in place of what the last trial has left, which would pass for computed now
        return step._try(replay._Plan(list(calls), plan.batch, plan.loss, leaves), surroundings, np.ndarray)

    return plan.calls, try_


@pytest.mark.parametrize("name", ["batch norm, sigmoid", "convolutions", "max-pooling, flatten"])
def test_without_any_one_of_its_calls(name):
    calls, try_ = a_plan(copy.deepcopy(REPLAYED[name]))
    assert try_(calls) is None
    for i, (function, _) in enumerate(calls):
        if function.__name__ != "_check_labels":  # computes nothing
            assert try_(calls[:i] + calls[i + 1 :]), function.__name__
    assert try_(calls) is None


def test_with_calls_in_another_order_or_twice():
    calls, try_ = a_plan(copy.deepcopy(REPLAYED["batch norm, sigmoid"]))
    count = next(call for call in calls if call[0].__name__ == "count_batch")
    assert all(map(try_, (calls[1:] + calls[:1], calls[::-1], [*calls, count])))


def test_the_trial_leaves_everything_as_it_was(monkeypatch):
    model = copy.deepcopy(REPLAYED["batch norm, sigmoid"])
    plain = copy.deepcopy(model)

    def interrupted(self):
        raise KeyboardInterrupt

    monkeypatch.setattr(replay._Plan, "run", interrupted)
    batch = next(batches(model, 1))
    with pytest.raises(KeyboardInterrupt):
        Replay(model)(*batch)
    ordinary(plain, *batch)
    for mine, other in zip(model.parameters(), plain.parameters(), strict=True):
        assert mine.data.tobytes() == other.data.tobytes()
    for mine, other in zip(model.buffers(), plain.buffers(), strict=True):
        assert mine.tobytes() == other.tobytes()


# ---- what comes in ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["a view", "read-only", "by columns", "a tensor", "a list", "small labels"])
def test_inputs_of_any_form(form):
    model = vectors(nn.ReLU())
    given = [(x.copy(), y.copy()) for x, y in batches(model)]
    plain, step, before = copy.deepcopy(model), Replay(model), [(x.copy(), y.copy()) for x, y in given]
    for i, (x, y) in enumerate(given):
        if form == "a view":
            x = np.repeat(x, 2, axis=1)[:, ::2]
        elif form == "read-only":
            x.flags.writeable = y.flags.writeable = False
        elif form == "by columns":
            x = np.asfortranarray(x)
        elif form == "small labels":
            y = y.astype(np.uint8)
        given_x = {"a tensor": Tensor(x), "a list": x.tolist()}.get(form, x)
        model.zero_grad()
        plain.zero_grad()
        assert step(given_x, y) == ordinary(plain, x, y)
        assert i == 0 or step.why_not is None
        assert all(
            p.grad.tobytes() == q.grad.tobytes() for p, q in zip(model.parameters(), plain.parameters(), strict=True)
        )
    assert all(
        np.array_equal(a, b) for pair, same in zip(given, before, strict=True) for a, b in zip(pair, same, strict=True)
    )


def test_labels_outside_of_the_classes_are_refused_in_a_replay_too():
    model = vectors(nn.ReLU())
    step, (batch, other, (x, labels)) = Replay(model), batches(model, 3)
    step(*batch)
    model.zero_grad()
    step(*other)
    before = [p.grad.copy() for p in model.parameters()]
    with pytest.raises(ValueError, match="cross_entropy: labels run from 0 to 3"):
        step(x, np.where(np.arange(7) == 2, 3, labels * 0))
    assert all(np.array_equal(p.grad, old) for p, old in zip(model.parameters(), before, strict=True))
    model.zero_grad()
    plain = copy.deepcopy(model)
    assert step(x, labels) == ordinary(plain, x, labels)


def test_an_error_while_recording_leaves_the_gradients():
    model = vectors(nn.ReLU())
    step, batch = Replay(model), next(batches(model, 1))
    ordinary(model, *batch)
    before = [p.grad for p in model.parameters()]
    with pytest.raises(ValueError, match="linear: x is"):
        step(np.ones((7, 4), np.float32), batch[1])
    assert all(p.grad is old for p, old in zip(model.parameters(), before, strict=True))
    step(*batch)
    assert step.why_not == RECORDED


# ---- recordings ---------------------------------------------------------------------------------------------------------


def test_other_threads_are_not_recorded():
    with recording() as done:
        other = threading.Thread(target=lambda: F.relu(Tensor(np.ones(3, np.float32))))
        other.start()
        other.join()
        assert done.calls == []
        F.relu(Tensor(np.ones(3, np.float32)))
    assert [function.__name__ for function, _ in done.calls] == ["_relu_forward"]


def test_threads_that_train_networks_of_their_own():
    """A recording waits for that of another thread."""
    found = {}

    def train_one(seed):
        model = vectors(nn.BatchNorm(6), nn.Sigmoid())
        step, why = Replay(model), []
        for batch in batches(model, 30, rows=5 + seed):
            model.zero_grad()
            step(*batch)
            why.append(step.why_not)
        found[seed] = why

    threads = [threading.Thread(target=train_one, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {seed: [RECORDED, *[None] * 29] for seed in range(4)}


def test_one_recording_at_a_time():
    with recording(), pytest.raises(RuntimeError, match="recording: one is on already"), recording():
        pass


def test_importing_minidl_does_not_import_it():
    assert in_a_process("import minidl, sys; print('minidl.replay' in sys.modules)") == "False"
