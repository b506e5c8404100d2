"""Programs in which a replay could go wrong without a sign: where a trial sees little, or touches what it does not know."""

import copy
import dataclasses
import types

import numpy as np
import pytest

from minidl import Tensor, nn, optim
from minidl import functional as F
from minidl.kernels.jit import kernel, numpy_kernel
from minidl.replay import Replay
from tests.replay.test_replay import HOLD, OUTSIDE, RECORDED, batches, both_ways, images, ordinary, rng, vectors


class Twice(nn.Module):
    """One layer used twice, so that the engine adds gradients up itself."""

    def __init__(self):
        self.layer = nn.Linear(6, 6, generator=rng(4))

    def forward(self, x):
        return self.layer(F.relu(self.layer(x)))


class Adding(nn.Module):
    """An operation whose backward adds to an array that must have been zero before."""

    def forward(self, x):
        y = F.relu(x)

        def backward(grad):
            grad_x = np.zeros_like(grad)
            _add[grad.size](grad, grad_x)
            return (grad_x,)

        return Tensor._from_op(y.data, (y,), backward)


@kernel
def _add(x, y):
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            y[i, j] += x[i, j]


def with_zero_head(model):
    model = copy.deepcopy(model)
    nn.init.constant_(model[-1].weight, 0)
    nn.init.constant_(model[-1].bias, 0)
    return model


BLIND = {
    "average pooling": images(nn.BatchNorm(4), nn.ReLU(), nn.AvgPool2d(2)),
    "layer norm": vectors(nn.LayerNorm(6), nn.ReLU()),
    "a layer used twice": vectors(Twice()),
    "an array that grows": vectors(Adding()),
    "batch norm": vectors(nn.BatchNorm(6), nn.ReLU()),
}
NEVER = {"an array that grows"}


def first_of(given, change):
    given = list(given)
    given[0] = change(*given[0])
    return given


def nan_row(x, y):
    x = x.copy()
    x[1] = np.nan
    return x, y


FIRST = {
    "as usual": lambda x, y: (x, y),
    "zeros": lambda x, y: (np.zeros_like(x), np.zeros_like(y)),
    "one class": lambda x, y: (x, np.ones_like(y)),
    "infinite": lambda x, y: (np.full_like(x, np.inf), y),
}


@pytest.mark.parametrize("first", FIRST)
@pytest.mark.parametrize("name", BLIND)
def test_a_head_of_zeros_and_a_first_batch_that_shows_nothing(name, first):
    """At first no gradient goes below such a head; and equal rows stay equal."""
    model = with_zero_head(BLIND[name])
    with np.errstate(all="ignore"):
        why = both_ways(model, first_of(batches(model, 8), FIRST[first]))
    assert all(w.startswith(OUTSIDE) for w in why) if name in NEVER else why == [RECORDED] + 7 * [None]


@pytest.mark.parametrize("name", BLIND)
def test_a_first_batch_with_a_nan_whose_step_is_not_taken(name):
    model = copy.deepcopy(BLIND[name])
    plain, step = copy.deepcopy(model), Replay(model)
    losses, expected = [], []
    for network, found, gradients in ((model, losses, step), (plain, expected, lambda *b: ordinary(plain, *b))):
        optimizer = optim.SGD(network.parameters(), lr=0.1)
        for buffer in network.buffers():
            buffer[...] = 0
        with np.errstate(all="ignore"):
            for batch in first_of(batches(network, 6), nan_row):
                optimizer.zero_grad()
                found.append(gradients(*batch))
                if np.isfinite(found[-1]):
                    optimizer.step()
    np.testing.assert_array_equal(losses, expected)
    assert np.isnan(losses[0])
    assert all(np.isfinite(losses[1:]))
    assert (step.why_not is None) is (name not in NEVER)


@pytest.mark.parametrize("value", [-1.0, -2.0, 0.0, 1.0, -5.0])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64])
def test_a_number_that_python_takes_from_an_array(value, dtype):
    class Eps(nn.Module):
        def __init__(self):
            self.log_eps = np.array(value, dtype)

        def forward(self, x):
            return F.batch_norm(x, None, None, training=True, eps=10.0 ** float(self.log_eps))

    def change(model, step):
        if step == 3:
            model[1].log_eps.fill(-3)

    model = vectors(Eps())
    assert all(w.startswith(OUTSIDE) for w in both_ways(model, batches(model), after_step=change))


# ---- what the trial must not touch --------------------------------------------------------------------------------------


def test_statistics_that_are_nobodys_attributes():
    kept = []

    def make():
        stats = {"mean": np.zeros(6, np.float32), "var": np.ones(6, np.float32)}
        outside = np.zeros(6, np.float32), np.ones(6, np.float32)
        kept.append((*stats.values(), *outside))

        class Own(nn.Module):
            def __init__(self):
                self.stats = stats

            def forward(self, x):
                x = F.batch_norm(x, self.stats["mean"], self.stats["var"], training=True)
                return F.batch_norm(F.relu(x), *outside, training=True)

        return vectors(Own())

    model, plain = make(), make()
    step, why = Replay(model), []
    for i, batch in enumerate(batches(model, 8)):
        assert step(*batch) == ordinary(plain, *batch)
        why.append(step.why_not)
        if i == 3:
            model.eval().train()
            plain.eval().train()
    for mine, other in zip(*kept, strict=True):
        assert mine.tobytes() == other.tobytes()
    assert why[0] == RECORDED
    assert why[1:4] == [None] * 3
    assert why[-1] is None


def test_ctrl_c_in_a_replay_leaves_gradients_that_were_there():
    model = vectors(nn.ReLU())
    step, given = Replay(model), list(batches(model, 3))
    step(*given[0])
    model.zero_grad()
    step(*given[1])
    before = [p.grad.copy() for p in model.parameters()]
    ((_, plan),) = step._plans.values()

    def interrupt():
        raise KeyboardInterrupt

    plan.calls.append((interrupt, ()))
    with pytest.raises(KeyboardInterrupt):
        step(*given[2])
    assert all(np.array_equal(p.grad, old) for p, old in zip(model.parameters(), before, strict=True))


# ---- what is noticed ----------------------------------------------------------------------------------------------------


@dataclasses.dataclass
class Settings:
    eps: float


class Configured(nn.Module):
    """Batch norm without parameters, whose ε comes from where `where` says."""

    def __init__(self):
        self.options, self.nested, self.exponents = {"eps": 1e-5}, [[1e-5]], [5.0]
        self.act, self.scale = {"a": nn.Tanh()}, 2.0
        self.flags, self.named = {"a"}, {"narrow": 1}
        self.settings, self.more = Settings(1e-5), types.SimpleNamespace(eps=1e-5)

    def forward(self, x):
        eps = self.options["eps"] + self.nested[0][0] + 10 ** -self.exponents[0] + 1e-5 * getattr(self, "scale", 1)
        eps += self.settings.eps + self.more.eps + len(self.flags) * 0.1 + (0.2 if "wide" in self.named else 0)
        x = F.batch_norm(x, None, None, training=True, eps=eps)
        return self.act["a"].forward(x)


def reuse_the_place(model):
    model[1].exponents.clear()  # the number's place in memory may be the next number's
    model[1].exponents.append(float("2.0"))


SET = {
    "a number in a dict": lambda model: model[1].options.update(eps=0.5),
    "a number in a list in a list": lambda model: model[1].nested[0].__setitem__(0, 0.5),
    "a number in the place of another": reuse_the_place,
    "a setting": lambda model: setattr(model[1].settings, "eps", 0.5),
    "a name in a namespace": lambda model: setattr(model[1].more, "eps", 0.5),
    "a member of a set": lambda model: model[1].flags.add("b"),
    "a key": lambda model: model[1].named.update(wide=model[1].named.pop("narrow")),
    "a layer in a dict": lambda model: model[1].act.update(a=nn.Sigmoid()),
    "an attribute that goes": lambda model: delattr(model[1], "scale"),
    "a layer that goes": lambda model: delattr(model, "2"),
    "around `setattr`": lambda model: vars(model[1]).update(scale=3.0),
}


@pytest.mark.parametrize("change", SET)
def test_what_modules_hold_is_watched(change):
    model = vectors(Configured(), nn.Tanh())
    why = both_ways(model, batches(model, 8), after_step=lambda m, step: SET[change](m) if step == 3 else None)
    assert why == [RECORDED, None, None, None, RECORDED, None, None, None]


def test_modules_that_are_equal_or_cannot_be_hashed():
    @dataclasses.dataclass
    class Shift(nn.Module):
        eps: float

        def forward(self, x):
            return F.batch_norm(x, None, None, training=True, eps=self.eps)

    def change(model, step):
        if step == 2:
            model[3].eps = 0.5

    model = vectors(Shift(1e-5), nn.ReLU(), Shift(1e-5))
    assert both_ways(model, batches(model), after_step=change) == [RECORDED, None, None, RECORDED, None, None]


def test_what_is_too_much_to_watch():
    model = vectors(nn.ReLU())
    model[1].words = [str(i) for i in range(6000)]
    assert all(w.startswith("its modules hold more than 5,000 things") for w in both_ways(model, batches(model)))


def test_a_read_only_view_of_what_may_change():
    class Scaled(nn.Module):
        def __init__(self):
            self.base = np.ones(1, np.float32)
            self.scale = Tensor(np.broadcast_to(self.base, 6))

        def forward(self, x):
            return F.batch_norm(x, None, None, self.scale, None, True)

    model = vectors(Scaled())
    step = Replay(model)
    for batch in batches(model):
        step(*batch)
        assert step.why_not == "the array of a tensor is a read-only view of another"


def test_texts_among_the_arrays_do_no_harm():
    model = vectors(nn.ReLU())
    model[1].classes = np.array(["cat", "dog"])
    model[1].lowest = np.full(3, np.finfo(np.float32).min)
    assert both_ways(model, batches(model)) == [RECORDED] + 5 * [None]


# ---- what is not worth a trial, and what is no array --------------------------------------------------------------------


def test_recordings_in_vain_become_rare():
    model = vectors(nn.ReLU())
    model.count = 0
    why = both_ways(model, batches(model, 40), after_step=lambda model, step: setattr(model, "count", step + 1))
    tried = [i for i, w in enumerate(why) if w == RECORDED]
    assert tried[:3] == [0, 1, 2]
    assert len(tried) <= 6
    assert set(why) == {RECORDED, "something changes from step to step"}


def test_after_a_change_at_every_step_replays_come_back():
    model = vectors(nn.ReLU())
    why = both_ways(
        model, batches(model, 40), after_step=lambda model, step: setattr(model, "count", step) if step < 6 else None
    )
    assert why[-1] is None


def test_modules_that_hold_more_after_each_step():
    class Remembering(nn.Module):
        def __init__(self):
            self.means = []

        def forward(self, x):
            self.means.append(float(x.data.mean()))
            return x

    model = vectors(Remembering())
    plain, step = copy.deepcopy(model), Replay(model)
    for batch in batches(model, 20):
        assert step(*batch) == ordinary(plain, *batch)
    assert model[1].means == plain[1].means  # never tried
    assert step.why_not.startswith((HOLD, "something changes"))


TARGETS = {
    "a tuple with a number": (
        lambda y: (y, y[::-1], 0.3),
        lambda out, t: F.cross_entropy(out, t[0]) * t[2] + F.cross_entropy(out, t[1]) * (1 - t[2]),
    ),
    "a dict": (lambda y: {"y": y}, lambda out, t: F.cross_entropy(out, t["y"])),
    "a list": (list, F.cross_entropy),
    "nothing": (lambda y: None, lambda out, t: F.cross_entropy(out, np.zeros(7, int))),
}


@pytest.mark.parametrize("form", TARGETS)
def test_targets_that_are_no_array(form):
    make, loss_fn = TARGETS[form]
    model = vectors(nn.ReLU())
    why = both_ways(model, [(x, make(y)) for x, y in batches(model)], loss_fn)
    assert all(w == "the targets are not an array, or need a gradient" for w in why)


def test_targets_that_are_tensors():
    model = vectors(nn.ReLU())
    given = [(x, Tensor(y)) for x, y in batches(model)]
    assert both_ways(model, given, lambda out, t: F.cross_entropy(out, t.data)) == [RECORDED] + 5 * [None]
    target = Tensor(np.ones((7, 3), np.float32), requires_grad=True)
    step = Replay(model, F.mse_loss)
    for x, _ in given:
        step(x, target)
    assert target.grad is not None
    assert step.why_not == "the targets are not an array, or need a gradient"


def test_a_call_that_gets_the_inputs_in_a_tuple():
    @numpy_kernel
    def add(y, both):
        y[...] = both[0] + both[1]

    class Pair(nn.Module):
        def forward(self, x):
            y = np.empty_like(x.data)
            add(y, (x.data, x.data))
            return Tensor._from_op(y, (x,), lambda grad: (2 * grad,))

    model = nn.Sequential(Pair(), nn.Linear(5, 3, generator=rng()))
    assert both_ways(model, batches(model)) == [RECORDED] + 5 * [None]


def test_a_replay_in_a_replay():
    inner_model = vectors(nn.ReLU())
    inner = Replay(inner_model)

    def loss_fn(out, labels):
        inner(np.ones((7, 5), np.float32), labels)
        return F.cross_entropy(out, labels)

    model = vectors(nn.Tanh())
    step = Replay(model, loss_fn)
    for batch in batches(model):
        step(*batch)
    assert step.why_not == "it has a Replay in it"
