"""train_one_epoch and evaluate are the loop that one writes by hand; the three networks can learn one batch by heart."""

import signal
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from minidl import Tensor, is_grad_enabled, nn, optim
from minidl import functional as F
from minidl.data import DataLoader
from minidl.lab.models import cifar_conv, mnist_conv, paper_mlp
from minidl.train import Evaluation, evaluate, predict_logits, stop_on_interrupt, train_one_epoch, update_bn
from tests.helpers import JIT


def data(n=30, features=6, classes=3, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, features)).astype(np.float32), rng.integers(0, classes, n)


def network(seed=0):
    rng = np.random.default_rng(seed)
    return nn.Sequential(
        nn.Linear(6, 8, generator=rng), nn.BatchNorm(8), nn.Sigmoid(), nn.Dropout(0.5, rng),
        nn.Linear(8, 3, generator=rng),
    )  # fmt: skip


def loader(seed=0, **settings):
    return DataLoader(
        *data(), **{"batch_size": 7, "shuffle": True, "generator": np.random.default_rng(seed)} | settings
    )


class Failing(nn.Module):
    def forward(self, x):
        raise ZeroDivisionError


# ---- train_one_epoch -------------------------------------------------------------------------------------------------


def test_an_epoch_is_the_loop_written_by_hand():
    by_hand, losses = network().eval(), []
    optimizer = optim.SGD(by_hand.parameters(), lr=0.3, momentum=0.9)
    by_hand.train()
    for images, labels in loader():
        optimizer.zero_grad()
        loss = F.cross_entropy(by_hand(Tensor(images)), labels)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    model = network().eval()  # the epoch switches to training mode
    mean = train_one_epoch(model, loader(), optim.SGD(model.parameters(), lr=0.3, momentum=0.9), quiet=True)
    assert isinstance(mean, float)
    assert mean == np.mean(losses)
    assert model.training
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(array, by_hand.state_dict()[name])


def test_the_loss_may_be_another():
    model, (x, _) = nn.Linear(6, 1, generator=np.random.default_rng(0)), data()
    target = x.sum(1, keepdims=True)
    batches = DataLoader(x, target, batch_size=30)
    optimizer = optim.SGD(model.parameters(), lr=0.2)
    losses = [train_one_epoch(model, batches, optimizer, loss_fn=F.mse_loss, quiet=True) for _ in range(60)]
    assert losses[-1] < 1e-3 * losses[0]


def test_after_step_is_called_after_each_step():
    model, seen = network(), []
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    start = model[0].weight.data.copy()
    schedule = optim.StepLR(optimizer, 2)

    def after():
        seen.append(np.any(model[0].weight.data != start))
        schedule.step()

    train_one_epoch(model, loader(), optimizer, after_step=after, quiet=True)
    assert seen == [True] * 5
    assert schedule.last_epoch == 5


def test_gradients_do_not_pile_up():
    model = network()
    for p in model.parameters():
        p.grad = np.full_like(p.data, np.nan)  # from whatever was before
    train_one_epoch(model, loader(), optim.SGD(model.parameters(), lr=0.1), quiet=True)
    assert all(np.isfinite(p.data).all() for p in model.parameters())


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_loss_that_is_not_finite_stops_before_the_step(bad):
    model, (images, labels) = network(), data()
    broken = images.copy()
    broken[3] = bad
    seen = []
    with pytest.raises(FloatingPointError, match=r"the loss is \S+ at training step 1: .* smaller learning rate"):
        train_one_epoch(
            model, [(images, labels), (broken, labels)], optim.SGD(model.parameters(), lr=0.1),
            after_step=lambda: seen.append(1), quiet=True,
        )  # fmt: skip
    assert seen == [1]
    assert all(np.isfinite(p.data).all() for p in model.parameters())


def test_a_generator_that_was_walked_through_is_an_error():
    model, batches = network(), iter(loader())
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    train_one_epoch(model, batches, optimizer, quiet=True)
    with pytest.raises(ValueError, match="train_one_epoch: the loader gave no batch; a generator can be walked"):
        train_one_epoch(model, batches, optimizer, quiet=True)


# ---- evaluate and predict_logits -------------------------------------------------------------------------------------


@pytest.mark.parametrize("batch_size", [1, 7, 30, 1000])
def test_evaluate_is_loss_and_accuracy_over_all_examples(batch_size):
    model, (images, labels) = network(), data()
    train_one_epoch(model, loader(), optim.SGD(model.parameters(), lr=0.1), quiet=True)
    result = evaluate(model, images, labels, batch_size)
    logits = model.eval()(Tensor(images))
    assert isinstance(result, Evaluation)
    assert result.accuracy == np.mean(logits.data.argmax(1) == labels)
    np.testing.assert_allclose(result.loss, F.cross_entropy(logits, labels).item(), rtol=1e-6)
    assert all(type(value) is float for value in result)


def test_an_answer_that_is_no_number_is_not_right():
    model, (images, labels) = network(), data()
    model[0].bias.data[:] = np.nan
    result = evaluate(model, images, np.zeros_like(labels))
    assert np.isnan(result.loss)
    assert result.accuracy == 0


def test_evaluate_takes_lists_and_tensors():
    model, (images, labels) = network(), data()
    expected = evaluate(model, images, labels)
    assert evaluate(model, Tensor(images), Tensor(labels)) == expected
    assert evaluate(model, images, list(labels)) == expected


@pytest.mark.parametrize("batch_size", [1, 7, 30, 1000])
def test_predict_logits_are_the_answers_in_evaluation_mode(batch_size):
    model, (images, _) = network(), data()
    logits = predict_logits(model, images, batch_size)
    assert type(logits) is np.ndarray
    np.testing.assert_allclose(logits, model.eval()(Tensor(images)).data, rtol=1e-5, atol=1e-6)


def test_predicting_records_no_graph_and_changes_no_state():
    model, (images, labels) = network(), data()
    before, recorded = model.state_dict(), []
    with model.register_forward_hook(lambda m, x, y: recorded.append(y.requires_grad or is_grad_enabled())):
        evaluate(model, images, labels, batch_size=10)
    assert recorded == [False] * 3
    assert is_grad_enabled()
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


@pytest.mark.parametrize("frozen", [True, False])
@pytest.mark.parametrize("training", [True, False])
def test_the_mode_of_every_module_is_restored(training, frozen):
    model, (images, labels) = network().train(training), data()
    if frozen:
        model[1].eval()  # batch norm with fixed statistics inside a network in training
    modes = [module.training for module in model.modules()]
    evaluate(model, images, labels)
    assert [module.training for module in model.modules()] == modes
    with pytest.raises(ZeroDivisionError):
        predict_logits(nn.Sequential(model, Failing()), images)
    assert [module.training for module in model.modules()] == modes
    assert is_grad_enabled()


def test_what_cannot_be_evaluated():
    model, (images, labels) = network(), data()
    with pytest.raises(ValueError, match="evaluate: 30 inputs but 29 labels"):
        evaluate(model, images, labels[1:])
    with pytest.raises(ValueError, match="predict_logits: there are no inputs"):
        predict_logits(model, images[:0])
    for batch_size in (0, -1):
        with pytest.raises(ValueError, match=f"predict_logits: batch_size is {batch_size}"):
            predict_logits(model, images, batch_size)
    assert model.training


# ---- learning one batch by heart -------------------------------------------------------------------------------------

IMAGES = pytest.mark.skipif(not JIT, reason="takes minutes without compiled kernels")
SIZES = (784 if JIT else 80, 100, 100, 100, 10)  # fewer pixels as plain Python, where they take long
NETWORKS = {
    "paper_mlp": (lambda g: paper_mlp(sizes=SIZES, generator=g), SIZES[:1], 0.5),
    "paper_mlp without norm": (lambda g: paper_mlp("none", sizes=SIZES, generator=g), SIZES[:1], 1.0),
    "mnist_conv": (lambda g: mnist_conv(generator=g), (28, 28, 1), 0.05),
    "mnist_conv without norm": (lambda g: mnist_conv("none", g), (28, 28, 1), 0.02),
    "cifar_conv": (lambda g: cifar_conv(g), (32, 32, 3), 0.1),
}
STEPS = {"paper_mlp": 40, "paper_mlp without norm": 80, "cifar_conv": 10, "mnist_conv": 15}


@pytest.mark.parametrize("name", ["paper_mlp", "paper_mlp without norm"])
def test_a_perceptron_learns_one_batch_by_heart(name):
    assert_overfits(name, examples=20 if JIT else 10)


@IMAGES
@pytest.mark.parametrize("name", ["mnist_conv", "mnist_conv without norm", "cifar_conv"])
def test_a_convolutional_network_learns_one_batch_by_heart(name):
    assert_overfits(name, examples=10)


def assert_overfits(name, examples):
    """Random labels of random images: only a network whose every gradient is right gets all of them."""
    make, shape, lr = NETWORKS[name]
    rng = np.random.default_rng(0)
    model, images = make(rng), rng.standard_normal((examples, *shape)).astype(np.float32)
    labels = np.arange(examples) % 10
    optimizer = optim.SGD(model.parameters(), lr, momentum=0.9)
    batch = [(images, labels)]
    losses = [train_one_epoch(model, batch, optimizer, quiet=True) for _ in range(STEPS.get(name, 25))]
    assert losses[-1] < 0.3 * losses[0]
    assert np.mean(model(Tensor(images)).data.argmax(1) == labels) == 1


# ---- population statistics -------------------------------------------------------------------------------------------


def test_update_bn_averages_over_batches():
    rng = np.random.default_rng(0)
    x = rng.normal(3, 2, (40, 5)).astype(np.float32)
    model = nn.Sequential(nn.BatchNorm(5), nn.Dropout(0.5), nn.BatchNorm(5, momentum=0.2))
    model(Tensor(x * 100))  # what it knew before is forgotten
    model[2].eval()
    update_bn([x[:10], (x[10:20], "labels"), x[20:40]], model)
    batches = x[:10], x[10:20], x[20:40]
    np.testing.assert_allclose(model[0].running_mean, np.mean([b.mean(0) for b in batches], 0), rtol=1e-5)
    np.testing.assert_allclose(model[0].running_var, np.mean([b.var(0, ddof=1) for b in batches], 0), rtol=1e-5)
    np.testing.assert_allclose(model[2].running_mean, 0, atol=1e-5)  # dropout would have moved it
    assert model[0].num_batches_tracked == 3
    assert (model[0].momentum, model[2].momentum) == (0.1, 0.2)
    assert (model.training, model[1].training, model[2].training) == (True, True, False)


@pytest.mark.parametrize(
    ("batches", "message"),
    [
        ([(4, 3)], "batch_norm"),
        ([(4, 5), (4, 5), (1, 5)], "at least two"),
        ([], "update_bn: the loader gave no batch; a generator"),
    ],
)
def test_update_bn_leaves_everything_as_it_was_after_an_error(batches, message):
    model = nn.Sequential(nn.BatchNorm(5), nn.Linear(5, 2))
    model(Tensor(np.random.default_rng(0).standard_normal((8, 5), np.float32)))
    before = model.state_dict()
    with pytest.raises(ValueError, match=message):
        update_bn((np.ones(shape, np.float32) for shape in batches), model)
    assert all(m.training for m in model.modules())
    assert model[0].momentum == 0.1
    assert all(np.array_equal(before[name], array) for name, array in model.state_dict().items())


def test_update_bn_leaves_other_networks_alone():
    model = nn.Sequential(nn.BatchNorm(3, track_running_stats=False), nn.Linear(3, 2))
    before = model.state_dict()
    update_bn([np.ones((4, 3), np.float32)], model)
    assert all(np.array_equal(before[name], array) for name, array in model.state_dict().items())


# ---- Ctrl-C ----------------------------------------------------------------------------------------------------------


def test_ctrl_c_ends_a_loop_between_two_steps(capfd):
    before, steps = signal.getsignal(signal.SIGINT), []
    with stop_on_interrupt() as stop:
        while not stop() and len(steps) < 10:
            steps.append("begun")
            if len(steps) == 5:
                signal.raise_signal(signal.SIGINT)
            steps.append("done")
    assert steps == ["begun", "done"] * 3
    assert "stopping after this step; Ctrl-C once more stops at once" in capfd.readouterr().err
    assert signal.getsignal(signal.SIGINT) is before


def test_a_second_ctrl_c_ends_it_at_once(capfd):
    def press_twice():
        with stop_on_interrupt() as stop:
            signal.raise_signal(signal.SIGINT)
            assert stop()
            signal.raise_signal(signal.SIGINT)

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        press_twice()
    assert signal.getsignal(signal.SIGINT) is before


def test_where_ctrl_c_is_ignored_it_stays_ignored(monkeypatch):
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # as in a job that a shell has put into the background
    try:
        with stop_on_interrupt() as stop:
            signal.raise_signal(signal.SIGINT)
            assert not stop()
    finally:
        signal.signal(signal.SIGINT, before)


def test_in_a_thread_nothing_is_handled():
    def look():
        with stop_on_interrupt() as stop:
            return stop(), signal.getsignal(signal.SIGINT)

    before = signal.getsignal(signal.SIGINT)
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(look).result() == (False, before)
