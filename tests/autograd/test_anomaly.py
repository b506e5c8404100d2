"""detect_anomaly names the operation and the layer that first made a number that is none, and changes in place."""

import re
import threading
import warnings
from types import SimpleNamespace

import numpy as np
import pytest

import minidl
from minidl import Tensor, nn, optim
from minidl import functional as F
from minidl.autograd.engine import observe
from minidl.lab.models import paper_mlp
from minidl.train import train_one_epoch

pytestmark = pytest.mark.filterwarnings("ignore:.*encountered:RuntimeWarning")  # NumPy's own remarks on what we provoke


def leaf(*values):
    return Tensor(np.array(values), requires_grad=True)


class Logarithm(nn.Module):
    def __init__(self):
        self.scale = nn.Parameter(np.ones(3, np.float32))

    def forward(self, x):
        return (x * self.scale).log()


def network():
    rng = np.random.default_rng(0)
    first = nn.Sequential(nn.Linear(4, 3, generator=rng), nn.ReLU())
    return nn.Sequential(first, Logarithm(), nn.Linear(3, 2, generator=rng))


def batch(n=6):
    rng = np.random.default_rng(1)
    return rng.standard_normal((n, 4), np.float32), rng.integers(0, 2, n)


def told(action, error=FloatingPointError):
    with pytest.raises(error) as caught, minidl.detect_anomaly():
        action()
    return str(caught.value)


# ---- forward ---------------------------------------------------------------------------------------------------------


def test_the_first_operation_its_layer_and_the_line_are_named():
    message = told(lambda: F.cross_entropy(network()(Tensor(batch()[0])), batch()[1]))
    assert re.search(
        r"log in layer 1 \(Logarithm\), called at test_anomaly\.py:\d+ made -inf \(\d+ of 18 numbers", message
    )
    assert "from numbers from 0 to" in message


def test_a_custom_layer_deep_inside_has_its_whole_path():
    message = told(lambda: nn.Sequential(nn.Identity(), network())(Tensor(batch()[0])))
    assert "in layer 1.1 (Logarithm)" in message


def test_a_model_that_is_one_layer_and_no_layer_at_all():
    assert "log in the module (Logarithm)" in told(lambda: Logarithm()(Tensor(np.zeros((2, 3), np.float32))))
    message = told(lambda: leaf(-1.0).log())
    assert re.match(r"detect_anomaly: log, called at test_anomaly\.py:\d+ made nan \(1 of 1 ", message)


def test_data_that_are_no_numbers_are_blamed_and_not_the_layer():
    images, _ = batch()
    images[2] = np.nan
    message = told(lambda: network()(Tensor(images)))
    assert "linear in layer 0.0 (Linear)" in message
    assert "because its operand 0, of shape (6, 4), already held nan (4 of 24 numbers are not finite)" in message


def test_a_parameter_that_is_no_number_is_named():
    model = nn.Sequential(nn.Linear(2, 2))
    model[0].bias.data[1] = np.inf
    assert "because its bias, of shape (2,), already held inf" in told(
        lambda: model(Tensor(np.ones((1, 2), np.float32)))
    )


def test_it_watches_where_nothing_is_recorded_too():
    def evaluate():
        with minidl.no_grad():
            leaf(0.0).log()

    assert "log" in told(evaluate)


def test_an_overflow_in_float32():
    message = told(lambda: Tensor(np.float32(1e30)) * Tensor(np.float32(1e30)))
    assert "mul" in message
    assert "made inf" in message


# ---- backward --------------------------------------------------------------------------------------------------------


def test_a_slope_that_is_not_finite():
    message = told(lambda: (leaf(0.0, 0.0).sum() ** 0.5).backward())
    assert re.search(
        r"the backward of pow, called at test_anomaly\.py:\d+ was given numbers from 1 to 1 and made inf", message
    )
    assert "for its operand 0, of shape (), which holds numbers from 0 to 0" in message


def test_the_layer_whose_backward_it_is():
    class Root(nn.Module):
        def forward(self, x):
            return x**0.5

    model = nn.Sequential(nn.Linear(2, 2, bias=False), Root())
    model[0].weight.data[:] = 0
    message = told(lambda: model(Tensor(np.ones((3, 2), np.float32))).sum().backward())
    assert "the backward of pow in layer 1 (Root)" in message


def test_a_gradient_that_was_not_finite_from_the_start():
    message = told(lambda: leaf(1.0, 2.0).sum().backward(np.array(np.nan)))
    assert "the backward of sum" in message
    assert "look at the gradient that backward started with" in message


def test_operands_that_need_no_gradient_are_not_looked_at():
    with minidl.detect_anomaly():
        x = leaf(1.0)
        (x**2).backward()  # the gradient of the exponent, log(x)·x², would be asked for at x ≤ 0 only
    assert x.grad == 2


# ---- changes in place ------------------------------------------------------------------------------------------------


def change_x(x, w, y):
    x.data += 1


def change_w(x, w, y):
    w.data[0, 0] += 1


def change_y(x, w, y):
    y.data *= 2


def another_array(x, w, y):
    x.data = x.data + 1


@pytest.mark.parametrize(
    ("operation", "change"),
    [
        (lambda x, w: x @ w, change_x),
        (lambda x, w: x @ w, change_w),
        (lambda x, w: x @ w, another_array),
        (lambda x, w: x * w, change_x),
        (lambda x, w: F.linear(x, w), change_w),
        (lambda x, w: F.relu(x), change_x),
        (lambda x, w: F.sigmoid(x), change_y),
        (lambda x, w: x.exp(), change_y),
        (lambda x, w: x.max(), change_x),
        (lambda x, w: F.batch_norm(x, None, None, training=True), change_x),
    ],
)
def test_a_change_of_what_the_backward_needs_is_refused(operation, change):
    def act():
        x, w = (Tensor(np.random.default_rng(i).standard_normal((3, 3)), requires_grad=True) for i in (0, 1))
        y = operation(x, w)
        change(x, w, y)
        y.backward(np.ones(y.shape))

    assert re.search(r"the backward of \w+, called at .* changed in place since", told(act, RuntimeError))


HOLDERS = {
    "itself": lambda a: a,
    "tuple": lambda a: (1, a),
    "list": lambda a: [None, a],
    "dict": lambda a: {"a": a},
    "slice": lambda a: slice(None, a),
    "nested": lambda a: ([{"a": (slice(a), 2)}],),
    "tensor in a tuple": lambda a: (Tensor(a), 0.5),
    "record": lambda a: SimpleNamespace(a=a),
}


@pytest.mark.parametrize("holder", HOLDERS)
def test_arrays_are_found_in_whatever_a_backward_holds(holder):
    def act():
        x, array = leaf(1.0, 2.0), np.array(2)
        held = HOLDERS[holder](array)

        def backward(grad):
            return (grad if held is None else grad.data * 2,)  # looks at some `data`

        y = Tensor._from_op(x.data * 2, (x,), backward)
        array[...] = 0
        y.backward(np.ones(2))

    assert "changed in place since" in told(act, RuntimeError)


@pytest.mark.parametrize(
    ("operation", "change"),
    [
        (lambda x, w: x + w, change_x),
        (lambda x, w: x - w, change_w),
        (lambda x, w: x.sum(), change_x),
        (lambda x, w: x.mean(1), change_x),
        (lambda x, w: x[1:], change_x),
        (lambda x, w: x.T.reshape(9), change_x),
        (lambda x, w: x @ w, change_y),
        (lambda x, w: F.sigmoid(x), change_x),
        (lambda x, w: F.softmax(x), change_x),
        (lambda x, w: F.relu(x), change_y),
    ],
)
def test_a_change_of_what_it_does_not_need_is_allowed(operation, change):
    x, w = (Tensor(np.random.default_rng(i).standard_normal((3, 3)), requires_grad=True) for i in (0, 1))
    with minidl.detect_anomaly():
        y = operation(x, w)
        change(x, w, y)
        y.backward(np.ones(y.shape))


# ---- leaving no trace ------------------------------------------------------------------------------------------------


def test_a_healthy_training_is_not_disturbed():
    def train(watched):
        model = paper_mlp(sizes=(4, 5, 3, 2), generator=np.random.default_rng(0))
        optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        loader = [batch()] * 5
        if watched:
            with minidl.detect_anomaly():
                loss = train_one_epoch(model, loader, optimizer, quiet=True)
        else:
            loss = train_one_epoch(model, loader, optimizer, quiet=True)
        return loss, model.state_dict()

    (loss, state), (its_loss, its_state) = train(True), train(False)
    assert loss == its_loss
    assert all(np.array_equal(state[name], its_state[name]) for name in state)


def test_outside_nothing_is_watched():
    with minidl.detect_anomaly():
        x = leaf(4.0)
    assert (x * np.inf).data == np.inf
    told(lambda: x.detach() * np.inf)  # an error leaves nothing behind either
    assert (x * np.inf).data == np.inf
    assert observe(None) is None


def test_inside_one_another():
    with minidl.detect_anomaly():
        with minidl.detect_anomaly():
            leaf(1.0).log()
        told(lambda: leaf(0.0).log())
        with pytest.raises(FloatingPointError):
            leaf(0.0).log()


def test_what_was_made_before_is_walked_without_complaint():
    x = leaf(2.0)
    y = x * x
    with minidl.detect_anomaly():
        (y * 3.0).backward()
    assert x.grad == 12


def test_other_threads_are_watched():
    caught = []

    def work():
        try:
            leaf(0.0).log()
        except FloatingPointError as error:
            caught.append(error)

    with minidl.detect_anomaly(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert len(caught) == 1
