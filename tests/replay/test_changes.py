"""What changes between two steps is noticed by a replay, wherever it is: in modules, in tensors, in the batch's shape."""

import copy

import numpy as np
import pytest

import minidl
from minidl import Tensor, nn, optim
from minidl import functional as F
from minidl.replay import Replay
from tests.replay.test_replay import RECORDED, batches, both_ways, ordinary, rng, vectors


def evaluate(model):
    model.eval()
    model(Tensor(np.ones((2, 5), np.float32)))
    model.train()


def set_data(model):
    model[0].weight.data = model[0].weight.data[::-1].copy()


def set_attribute(name, value):
    return lambda model: setattr(model[1], name, value)


CHANGES = {
    "evaluation in between": evaluate,
    "another layer": lambda model: setattr(model, "2", nn.Tanh()),
    "eps": set_attribute("eps", 0.1),
    "momentum": set_attribute("momentum", 0.5),
    "an array in place of another": set_data,
    "statistics in place of others": lambda model: setattr(model[1], "running_mean", np.ones(6, np.float32)),
    "frozen": lambda model: model[0].requires_grad_(False),
    "a hook on a layer": lambda model: model[2].register_forward_hook(lambda m, x, y: y * 0.5),
    "a hook on a parameter": lambda model: model[0].weight.register_hook(lambda grad: 0.5 * grad),
    "load_state_dict": lambda model: model.load_state_dict({k: 0.5 * v for k, v in model.state_dict().items()}),
    "numbers written into a parameter": lambda model: model[0].weight.data.fill(0.1),
    "reset statistics": lambda model: model[1].reset_running_stats(),
}
QUIET = {"load_state_dict", "numbers written into a parameter", "reset statistics"}  # the arrays are the same ones


@pytest.mark.parametrize("change", CHANGES)
def test_changes_are_noticed(change):
    model = vectors(nn.BatchNorm(6), nn.Sigmoid())
    why = both_ways(
        model, batches(model, 8), after_step=lambda model, step: CHANGES[change](model) if step == 3 else None
    )
    assert why[:4] == [RECORDED, None, None, None]
    if change in QUIET:
        assert why[4:] == 4 * [None]
    elif "hook" in change:
        assert all(w == "there are hooks, which may do anything" for w in why[4:])
    else:
        assert why[4:] == [RECORDED, None, None, None]


def test_a_hook_that_was_removed_again():
    model, looked = vectors(nn.ReLU()), []
    step = Replay(model)
    for i, batch in enumerate(batches(model)):
        if i == 2:
            handle = model[1].register_forward_hook(lambda *_: looked.append(1))
        if i == 4:
            handle.remove()
        step(*batch)
    assert len(looked) == 2
    assert step.why_not is None


def test_batches_of_other_shapes_have_plans_of_their_own_and_the_oldest_goes():
    model = vectors(nn.BatchNorm(6), nn.Sigmoid())
    given = [next(batches(model, 1, rows)) for rows in (7, 7, 4, 7, 4, 9, 4, 7, 9)]
    assert both_ways(model, given) == [RECORDED, None, RECORDED, None, None, RECORDED, None, RECORDED, None]


def test_gradients_are_added_to_those_that_are_there():
    model = vectors(nn.BatchNorm(6), nn.Sigmoid())
    plain, step = copy.deepcopy(model), Replay(model)
    for batch in batches(model):
        assert step(*batch) == ordinary(plain, *batch)
        for mine, other in zip(model.parameters(), plain.parameters(), strict=True):
            assert mine.grad.tobytes() == other.grad.tobytes()


def test_layers_in_a_list():
    class Stack(nn.Module):
        def __init__(self):
            self.layers = [nn.Linear(5, 3, generator=rng()), nn.ReLU()]

        def forward(self, x):
            for layer in self.layers:
                x = layer(x)
            return x

    def change(model, step):
        if step == 2:
            model.layers[1] = nn.Tanh()
        if step == 4:
            model.layers.append(nn.Sigmoid())

    why = both_ways(Stack(), batches(Stack(), 7), after_step=change)
    assert why == [RECORDED, None, None, RECORDED, None, RECORDED, None]


def test_a_layer_that_one_shape_alone_meets():
    class TwoWays(nn.Module):
        def __init__(self):
            self.few, self.many = vectors(nn.BatchNorm(6)), vectors(nn.BatchNorm(6), nn.Tanh())

        def forward(self, x):
            parts = [self.few] if len(x) < 5 else [self.many]  # hidden in a list, so that only calls tell
            return parts[0](x)

    def change(model, step):
        if step == 4:
            model.few[1].eps = 1.0

    model = TwoWays()
    given = [next(batches(model.few, 1, rows)) for rows in (4, 7, 4, 7, 7, 4, 4, 7)]
    why = both_ways(model, given, after_step=change)
    assert why[-3:] == [RECORDED, None, None] or why[-3:] == [RECORDED, None, RECORDED]


# ---- tensors and modules that the model does not know -------------------------------------------------------------------


def test_a_module_and_a_tensor_of_the_loss_alone():
    """Their gradients, statistics and changes count as the model's do."""

    def make():
        model, head = nn.Linear(5, 6, generator=rng()), vectors(nn.BatchNorm(6), nn.Sigmoid())
        head = nn.Sequential(*list(head)[1:])
        bias = Tensor(np.zeros(3, np.float32), requires_grad=True)
        weight = Tensor(np.eye(3, dtype=np.float32), requires_grad=True)
        return model, head, [weight, bias], lambda y, labels: F.cross_entropy(F.linear(head(y), weight, bias), labels)

    def train(replayed):
        model, head, (weight, bias), loss_fn = make()
        gradients, why = Replay(model, loss_fn), []
        if not replayed:
            gradients = lambda *batch: ordinary(model, *batch, loss_fn=loss_fn)  # noqa: E731
        optimizer = optim.SGD([*model.parameters(), *head.parameters(), weight, bias], lr=0.1)
        for step, batch in enumerate(batches(model, 8)):
            optimizer.zero_grad()
            losses.append(gradients(*batch))
            why.append(replayed and gradients.why_not)
            optimizer.step()
            if step == 3:
                bias.data = bias.data + 1
            if step == 5:
                head[0].eps = 0.1
        arrays = [*(p.data for p in (*model.parameters(), *head.parameters(), weight, bias)), *head.buffers()]
        return why, [a.tobytes() for a in arrays]

    losses: list = []
    why, found = train(replayed=True)
    _, expected = train(replayed=False)
    assert losses[:8] == losses[8:]
    assert found == expected
    assert why == [RECORDED, None, None, None, RECORDED, None, RECORDED, None]


def test_modules_in_a_dict_are_noticed():
    class Hidden(nn.Module):
        def __init__(self):
            self.parts = {"norm": nn.BatchNorm(5)}
            self.out = nn.Linear(5, 3, generator=rng())

        def forward(self, x):
            return self.out(self.parts["norm"](x))

    def change(model, step):
        if step == 2:
            model.parts["norm"].eps = 1.0

    why = both_ways(Hidden(), batches(Hidden()), after_step=change)
    assert why == [RECORDED, None, None, RECORDED, None, None]


def test_a_copy_records_anew():
    model = vectors(nn.BatchNorm(6), nn.Sigmoid())
    step, (first, second, third) = Replay(model), batches(model, 3)
    step(*first)
    step(*second)
    copied = copy.deepcopy(step)
    plain = copy.deepcopy(copied._model)
    assert copied._model is not model
    assert copied(*third) == ordinary(plain, *third)
    assert copied.why_not == RECORDED


def test_under_no_grad_it_refuses_as_backward_does():
    model = vectors(nn.ReLU())
    step, (first, second) = Replay(model), batches(model, 2)
    step(*first)
    with minidl.no_grad(), pytest.raises(RuntimeError, match="backward: this tensor does not depend"):
        step(*second)
