"""Tensor arithmetic, dropout, joins and sums of gradients are replayed: what NumPy computes is announced as kernels are."""

import copy

import numpy as np
import pytest

import minidl
from minidl import Tensor, cat, nn
from minidl import functional as F
from minidl.kernels import jit
from minidl.kernels.jit import computed, contiguous
from minidl.replay import Replay
from minidl.replay.recording import recording
from tests.replay.test_replay import DRAWS, OUTSIDE, RECORDED, batches, both_ways, images, ordinary, rng, vectors

REPLAYED_6 = [RECORDED] + 5 * [None]


class Apply(nn.Module):
    """A function of the layer's input, and perhaps of a parameter."""

    def __init__(self, function, weight=None):
        self.function = function
        if weight is not None:
            self.weight = nn.Parameter(weight)

    def forward(self, x):
        return self.function(x, self.weight) if hasattr(self, "weight") else self.function(x)


W = np.linspace(0.5, 1.5, 6, dtype=np.float32)
SQUARE = np.random.default_rng(2).standard_normal((6, 6)).astype(np.float32)
FUNCTIONS = {
    "add": lambda x: x + F.tanh(x),
    "add numbers": lambda x: 1.5 + x + 2,
    "add an array of another type": lambda x: x + np.arange(6),
    "subtract": lambda x: x - F.tanh(x) - 1,
    "subtract from": lambda x: 1 - x,
    "multiply": lambda x: x * F.sigmoid(x),
    "multiply by a number": lambda x: x * (1 / 9),
    "divide": lambda x: x / (F.sigmoid(x) + 1),
    "divide a number": lambda x: 2 / (F.sigmoid(x) + 1),
    "negate": lambda x: -x,
    "powers": lambda x: x**2 + (F.sigmoid(x) + 1) ** 0.5 + 2**x,
    "a power of tensors": lambda x: (F.sigmoid(x) + 1) ** F.tanh(x),
    "exponential": lambda x: x.exp(),
    "logarithm": lambda x: (F.sigmoid(x) + 1).log(),
    "a mean that is subtracted": lambda x: x - x.mean(-1, keepdim=True),
    "a mean of everything": lambda x: x * x.mean(),
    "a sum": lambda x: x / (x * x).sum((0, 1)).exp().log(),
    "a sum along rows": lambda x: x + x.sum(0),
    "a maximum": lambda x: x - x.max(1, keepdim=True),
    "the maximum": lambda x: x / x.max(),
    "a product": lambda x: (x @ x.T) @ x,
    "a stack of products": lambda x: (x.reshape(7, 1, 6) @ x.reshape(7, 6, 1)).reshape(7, 1) + x,
    "a product with a vector": lambda x: (x @ np.ones(6)).reshape(-1, 1) * x,
    "permuted and reshaped": lambda x: x.T.reshape(7, 6),
    "permuted to a layer": lambda x: F.relu(x.T).T,
    "a slice": lambda x: x[:, ::-1] + x,
    "half of it twice": lambda x: cat([x[:, :3], x[:, :3]], 1),
    "one number": lambda x: x * x[0, 0],
    "rows taken twice": lambda x: x[np.array([0, 0, 1, 2, 3, 4, 5])],
    "a mask": lambda x: x + x[:, np.arange(6) % 2 == 0].sum(),
    "in another type": lambda x: x.to(np.float64).exp().to(np.float32),
    "joined": lambda x: cat([x, F.tanh(x)], 1)[:, 2:8],
    "joined along rows": lambda x: cat([x, x * 2, x], 0)[5:12],
    "softmax": F.softmax,
    "log_softmax": lambda x: F.log_softmax(x) - F.softmax(x),
    "used three times": lambda x: x + x * x + F.relu(x),
}
WITH_A_PARAMETER = {
    "a bias": lambda x, w: x + w,
    "a scale": lambda x, w: w * x,
    "a divisor": lambda x, w: x / w,
    "an exponent": lambda x, w: (F.sigmoid(x) + 1) ** w,
    "a number for all": lambda x, w: x * w[0] + w.mean(),
    "twice": lambda x, w: w * F.tanh(w + x),
    "alone in the sum": lambda x, w: x + w.reshape(1, 6),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_of_tensors(name):
    model = vectors(Apply(FUNCTIONS[name]))
    assert both_ways(model, batches(model)) == REPLAYED_6


@pytest.mark.parametrize("name", WITH_A_PARAMETER)
def test_functions_of_a_parameter(name):
    model = vectors(Apply(WITH_A_PARAMETER[name], W))
    assert both_ways(model, batches(model)) == REPLAYED_6


def test_a_tied_weight():
    layer = nn.Linear(6, 6, bias=False, generator=rng(5))

    class Tied(nn.Module):
        def __init__(self):
            self.layer = layer

        def forward(self, x):
            return F.tanh(self.layer(x)) @ self.layer.weight.T

    model = vectors(Tied())
    assert both_ways(model, batches(model)) == REPLAYED_6


def test_branches_of_images():
    """As in Inception: convolutions of two sizes, pooling, joined along the channels; and a sum with the input."""

    class Branches(nn.Module):
        def __init__(self):
            self.one = nn.Conv2d(4, 2, 1, generator=rng(2))
            self.three = nn.Conv2d(4, 2, 3, padding=1, generator=rng(3))

        def forward(self, x):
            pooled = F.avg_pool2d(x, 3, 1)
            return x + cat([self.one(x), self.three(x)], -1) + pooled.mean((1, 2), keepdim=True)

    model = images(Branches(), nn.BatchNorm(4), nn.ReLU(), Branches())
    assert both_ways(model, batches(model)) == REPLAYED_6


@pytest.mark.parametrize("loss_fn", [
    lambda out, y: F.cross_entropy(out, y) / 2 + (out * out).mean() * 0.01,
    lambda out, y: (F.cross_entropy(out, y) - 0.1) * 3,
    lambda out, y: -F.log_softmax(out)[np.arange(len(y)), y].mean(),
    lambda out, y: F.mse_loss(F.softmax(out), F.sigmoid(out)),
    lambda out, y: F.mse_loss(out, F.sigmoid(out)) ** 2,
])  # fmt: skip
def test_losses(loss_fn):
    model = vectors(nn.Tanh())
    assert both_ways(model, batches(model), loss_fn) == REPLAYED_6


def test_batch_norm_with_fixed_statistics():
    model = vectors(nn.BatchNorm(6), nn.ReLU())
    model[1].running_mean[:] = 0.1
    model[1].eval()
    assert both_ways(model, batches(model)) == REPLAYED_6


# ---- dropout -----------------------------------------------------------------------------------------------------------


def test_dropout_draws_the_same_stream():
    given = list(batches(vectors(), 8))
    results = []
    for replayed in (False, True):
        generator = rng(3)
        model = vectors(nn.Dropout(0.5, generator), nn.ReLU(), nn.Dropout(0.2, generator))
        step, losses, states = Replay(model), [], []
        for i, batch in enumerate(given):
            model.zero_grad()
            losses.append(step(*batch) if replayed else ordinary(model, *batch))
            states.append(generator.bit_generator.state)
            assert not replayed or step.why_not == (None if i else RECORDED)
        results.append((losses, states, [p.grad.tobytes() for p in model.parameters()]))
    assert results[0] == results[1]
    assert len(set(results[0][0])) == 8


def test_dropout_draws_from_the_default_generator_of_the_moment():
    model = vectors(nn.Dropout(0.5))
    plain, step = copy.deepcopy(model), Replay(model)
    losses, expected = [], []
    for network, found, gradients in ((model, losses, step), (plain, expected, lambda *b: ordinary(plain, *b))):
        minidl.manual_seed(5)
        for i, batch in enumerate(batches(network, 6)):
            if i == 3:
                minidl.manual_seed(9)  # another generator takes the place of the first
            network.zero_grad()
            found.append(gradients(*batch))
    assert losses == expected
    assert step.why_not is None


@pytest.mark.parametrize("change", ["p", "mode", "generator"])
def test_changes_of_dropout_are_noticed(change):
    def after(model, step):
        if step == 2:
            if change == "mode":
                model[1].eval()
            else:
                setattr(model[1], change, {"p": 0.1, "generator": rng(8)}[change])

    found = []
    for replayed in (False, True):
        model = vectors(nn.Dropout(0.5, rng(3)))
        step, losses = Replay(model), []
        for i, batch in enumerate(batches(model, 6)):
            model.zero_grad()
            losses.append(step(*batch) if replayed else ordinary(model, *batch))
            after(model, i)
        found.append(losses)
    assert found[0] == found[1]
    assert step.why_not is None


def test_dropout_from_a_generator_that_no_module_holds():
    model, generators = vectors(nn.Tanh()), [rng(4), rng(4)]
    plain = copy.deepcopy(model)

    def loss_of(generator):
        return lambda out, y: F.cross_entropy(F.dropout(out, 0.3, True, generator), y)

    step = Replay(model, loss_of(generators[0]))
    for batch in batches(model):
        assert step(*batch) == ordinary(plain, *batch, loss_fn=loss_of(generators[1]))
    assert step.why_not is None
    assert generators[0].bit_generator.state == generators[1].bit_generator.state


class Noise(nn.Module):
    """Draws as the code of a user does: nobody is told."""

    def __init__(self, draw):
        self.draw = draw

    def forward(self, x):
        return x + np.asarray(self.draw(x.shape), np.float32)


DRAWN = {
    "the default one": lambda shape: minidl.default_generator().standard_normal(shape),
    "the default one, in vain": lambda shape: 0 * minidl.default_generator().standard_normal(shape),
    "NumPy's": lambda shape: np.random.standard_normal(shape),  # noqa: NPY002
    "NumPy's, in vain": lambda shape: 0 * np.random.standard_normal(shape),  # noqa: NPY002
}


@pytest.mark.parametrize("name", DRAWN)
@pytest.mark.parametrize("beside_dropout", [False, True])
def test_other_draws_are_refused(name, beside_dropout):
    model = vectors(Noise(DRAWN[name]), *[nn.Dropout(0.5)] * beside_dropout)
    plain, step, losses = copy.deepcopy(model), Replay(model), []
    for gradients in (step, lambda *b: ordinary(plain, *b)):
        minidl.manual_seed(1)
        np.random.seed(1)  # noqa: NPY002
        losses.append([gradients(*batch) for batch in batches(model)])
    assert losses[0] == losses[1]
    assert step.why_not.startswith(DRAWS)


def test_an_error_in_the_trial_leaves_the_generator():
    """The step of the trial draws and then fails: the next real step draws what it would have drawn."""
    generator = rng(3)

    class Once(nn.Module):
        def __init__(self):
            self.scale = np.ones(1, np.float32)

        def forward(self, x):
            if self.scale[0] != 1:
                raise ValueError("no")
            return x

    model = vectors(nn.Dropout(0.5, generator), Once())
    step = Replay(model)
    step(*next(batches(model, 1)))
    assert step.why_not.startswith("it failed when it was tried")
    other = rng(3)
    other.random((7, 6), np.float32)
    assert generator.bit_generator.state == other.bit_generator.state


# ---- what is announced -------------------------------------------------------------------------------------------------


def test_outside_of_recordings_nothing_is_announced():
    x, y = np.ones(3), np.ones(3)
    assert jit.on_call is None
    assert isinstance(computed(np.add, np.ones(()), np.ones(())), np.generic)
    np.testing.assert_array_equal(computed(np.add, x, y), 2)


def test_views_are_nothing_to_compute():
    x = np.ones((3, 4))
    with recording() as done:
        assert computed(np.reshape, x, (4, 3)).base is x
        assert contiguous(x) is x
        assert done.calls == []
        copied = contiguous(x.T)
        number = computed(np.add, np.ones(()), np.ones(()))
    assert copied.flags.c_contiguous
    assert type(number) is np.ndarray
    x[0, 1] = 5
    for function, args in done.calls:
        function(*args)
    assert copied[1, 0] == 5


def test_a_number_that_python_takes_from_a_tensor_is_no_part_of_it():
    model = vectors(Apply(lambda x: x * x.mean().item()))
    assert all(w.startswith(OUTSIDE) for w in both_ways(model, batches(model)))


def test_a_tensor_of_whole_numbers_is_left_alone():
    x = Tensor(np.arange(3))
    with recording():
        assert (x + 1).data.tolist() == [1, 2, 3]
