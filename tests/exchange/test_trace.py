"""Writing down what a network does: all of it, nothing of others, and nothing is left behind."""

import threading

import numpy as np
import pytest

import minidl
from minidl import Tensor, nn
from minidl import functional as F
from minidl.autograd.engine import observe
from minidl.exchange.trace import in_evaluation, trace

X = np.arange(6, dtype=np.float32).reshape(2, 3) - 2


class Net(nn.Module):
    def __init__(self, function):
        self.function, self.layer = function, nn.Linear(3, 2)

    def forward(self, x):
        return self.function(self.layer(x))


def nobody_observes():
    before = observe(None)
    observe(before)
    return before is None


def test_operations_their_variables_and_their_places():
    done = trace(Net(lambda x: F.softmax(x).sum(1, keepdim=True)), [X])
    assert [call.op for call in done.calls] == ["linear", "softmax", "sum"]
    linear, softmax, total = done.calls
    assert linear.inputs[0] is X
    assert softmax.inputs[0] is linear.output
    assert total.output is done.outputs[0]
    assert (total.given["dims"], total.given["keepdim"]) == ((1,), True)
    assert str(linear).startswith("linear in layer layer (Linear), called at test_trace.py:")
    assert nobody_observes()


def test_what_other_threads_do_is_theirs():
    def other(x):
        thread = threading.Thread(target=lambda: Tensor(X) * 2)
        thread.start()
        thread.join()
        return x + 1

    assert [call.op for call in trace(Net(other), [X]).calls] == ["linear", "add"]


def test_errors_leave_nothing_behind():
    def fail(x):
        raise OSError("no")

    with pytest.raises(OSError, match="no"):
        trace(Net(fail), [X])
    assert nobody_observes()


def test_detect_anomaly_goes_on():
    with minidl.detect_anomaly():
        assert len(trace(Net(F.relu), [X]).calls) == 2
        with pytest.raises(FloatingPointError, match=r"log in the module .* made nan"), np.errstate(all="ignore"):
            trace(Net(lambda x: (x * 0 - 1).log()), [X])
        w = Tensor(X, requires_grad=True)
        loss = (w * w).sum()
        done = []

        def backward_inside(x):
            (w * 3).sum()
            with minidl.autograd.detect_anomaly():
                loss.backward()
            done.append(w.grad)
            return x

        trace(Net(backward_inside), [X])
    np.testing.assert_array_equal(done[0], 2 * X)
    assert nobody_observes()


def test_a_change_in_place_is_noticed():
    def spoil(x):
        y = x * 2
        z = y + 1
        y.data[:] = 7
        return y - z

    assert [call.changed for call in trace(Net(spoil), [X]).calls] == [False, False, False, True]


def test_the_copy_for_evaluation():
    """With the same parameters, so that they are known by their arrays, and a generator of its own."""
    model = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm(3), nn.Dropout(0.5, np.random.default_rng(0)))
    copied = in_evaluation(model)
    assert model.training
    assert not any(module.training for module in copied.modules())
    assert copied[2].generator is not model[2].generator
    assert all(a is b for a, b in zip(model.parameters(), copied.parameters(), strict=True))
