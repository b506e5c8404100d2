"""Figure 1 on a few made-up digits: a fair comparison, counted right, and measured right."""

import dataclasses
from itertools import chain

import numpy as np
import pytest

from minidl import Tensor, is_grad_enabled, nn
from minidl import functional as F
from minidl.checkpoint import Checkpoints
from minidl.lab.paper import fig1
from minidl.lab.paper.fig1 import Arm, Settings, Training, build, prepare, run_arm, typical_unit
from minidl.optim import SGD
from minidl.train import evaluate, update_bn
from tests.helpers import JIT

SETTINGS = Settings(steps=6, batch_size=7, seed=3)
MODELS = [
    "mlp",
    pytest.param("conv", marks=pytest.mark.skipif(not JIT, reason="takes minutes without compiled kernels")),
]


def digits(train=30, test=20):
    rng = np.random.default_rng(0)
    return tuple((rng.integers(0, 256, (n, 28, 28), np.uint8), rng.integers(0, 10, n)) for n in (train, test))


def weighted(model):
    return [layer.weight.data for layer in model.modules() if isinstance(layer, nn.Linear | nn.Conv2d)]


def same(a, b):
    """Two arms are equal in every number."""
    for name, array in a.model.state_dict().items():
        np.testing.assert_array_equal(array, b.model.state_dict()[name])
    for field in ("steps", "accuracy", "loss", "inputs", "before"):
        np.testing.assert_array_equal(getattr(a, field), getattr(b, field))


@pytest.fixture
def watch(monkeypatch):
    """Trains an arm, and returns it with its first weights and the batches it was trained on."""

    def run(settings, norm):
        first, batches = [], []

        def watched(settings, norm):
            model = build(settings, norm)
            first.extend(w.copy() for w in weighted(model))

            def look(module, inputs, output):
                if module.training and is_grad_enabled():
                    batches.append(inputs[0].data.copy())

            model.register_forward_hook(look)
            return model

        with monkeypatch.context() as patch:
            patch.setattr(fig1, "build", watched)
            return run_arm(settings, norm, digits(), quiet=True), first, batches

    return run


# ---- a fair comparison -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", MODELS)
def test_both_arms_start_from_the_same_weights_and_see_the_same_batches(watch, model):
    settings = dataclasses.replace(SETTINGS, model=model)
    (_, weights, batches), (_, its_weights, its_batches) = (watch(settings, norm) for norm in ("batch", "none"))
    assert len(weights) == len(its_weights) == 4
    for a, b in zip(weights, its_weights, strict=True):
        np.testing.assert_array_equal(a, b)
    assert len(batches) == len(its_batches) == settings.steps
    for a, b in zip(batches, its_batches, strict=True):
        np.testing.assert_array_equal(a, b)


def test_only_one_arm_has_batch_norm():
    assert any(isinstance(m, nn.BatchNorm) for m in build(SETTINGS, "batch").modules())
    assert not any(isinstance(m, nn.BatchNorm) for m in build(SETTINGS, "none").modules())
    std = build(dataclasses.replace(SETTINGS, init_std=0.01), "none")[0].weight.data.std()
    assert abs(std - 0.01) < 1e-3


def test_each_batch_is_drawn_from_all_digits(watch):
    _, _, batches = watch(dataclasses.replace(SETTINGS, steps=40), "none")
    images = prepare(digits()[0][0], "mlp")
    numbers = [[int(np.flatnonzero((images == x).all(1))[0]) for x in batch] for batch in batches]
    assert {len(batch) for batch in numbers} == {SETTINGS.batch_size}
    assert set(chain(*numbers)) == set(range(30))
    assert len({tuple(batch) for batch in numbers}) == 40


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("norm", ["batch", "none"])
def test_equal_settings_give_equal_bits_and_other_seeds_do_not(norm, model):
    settings = dataclasses.replace(SETTINGS, model=model, steps=3)
    first, again = (run_arm(settings, norm, digits(), quiet=True) for _ in range(2))
    same(first, again)
    other = run_arm(dataclasses.replace(settings, seed=4), norm, digits(), quiet=True)
    assert np.any(weighted(other.model)[0] != weighted(first.model)[0])
    assert np.any(other.loss != first.loss)


def test_it_is_the_training_loop_written_by_hand():
    settings = dataclasses.replace(SETTINGS, lr=0.7, momentum=0.5)
    (images, labels), _ = digits()
    model, order = build(settings, "batch"), np.random.default_rng([settings.seed, 1])
    optimizer = SGD(model.parameters(), lr=0.7, momentum=0.5)
    for _ in range(settings.steps):
        chosen = order.integers(0, 30, settings.batch_size)
        model.zero_grad()
        F.cross_entropy(model(Tensor(prepare(images[chosen], "mlp"))), labels[chosen]).backward()
        optimizer.step()
    update_bn([prepare(images, "mlp")], model)
    arm = run_arm(settings, "batch", digits(), quiet=True)
    for name, array in arm.model.state_dict().items():
        np.testing.assert_array_equal(array, model.state_dict()[name])


def test_training_that_diverges_stops():
    with pytest.raises(FloatingPointError, match="smaller learning rate"):
        run_arm(dataclasses.replace(SETTINGS, lr=1e38), "none", digits(), quiet=True)


def test_a_step_whose_loss_is_not_finite_is_not_taken():
    """Also where nothing is measured in between."""
    training = Training(dataclasses.replace(SETTINGS, lr=1e38), "none", digits())
    training.do_step()
    before = training.model.state_dict()
    with pytest.raises(FloatingPointError, match=r"the loss is (nan|inf) at training step 1:"):
        training.do_step()
    for name, array in training.model.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


# ---- stopped and resumed ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", MODELS)
def test_a_resumed_arm_ends_with_the_same_bits(model, tmp_path):
    """With momentum, which each step hands on to the next."""
    settings = dataclasses.replace(SETTINGS, model=model, momentum=0.9, steps=4)
    expected = run_arm(settings, "batch", digits(), quiet=True)
    for stop in range(settings.steps):
        checkpoints = Checkpoints(tmp_path / str(stop))
        answers = iter([False] * stop + [True])
        run_arm(settings, "batch", digits(), True, checkpoints, every=100, stop=lambda answers=answers: next(answers))
        saved = checkpoints.latest()
        assert saved[0] == stop
        same(run_arm(settings, "batch", digits(), quiet=True, saved=saved), expected)


# ---- what is measured ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("steps", "expected"), [(3, [0, 1, 2, 3]), (4, [0, 1, 2, 3, 4]), (9, [0, 2, 4, 6, 8, 9]), (1, [0, 1])]
)
def test_steps_are_counted_right(monkeypatch, watch, steps, expected):
    monkeypatch.setitem(fig1.POINTS, "mlp", 4)
    arm, _, batches = watch(dataclasses.replace(SETTINGS, steps=steps), "batch")
    np.testing.assert_array_equal(arm.steps, expected)
    assert len(batches) == steps
    assert len(arm.accuracy) == len(arm.loss) == len(arm.inputs) == len(arm.before) == len(expected)


@pytest.mark.parametrize("norm", ["batch", "none"])
def test_the_first_and_last_measurement_by_hand(norm):
    arm = run_arm(SETTINGS, norm, digits(), quiet=True)
    (train, _), (images, labels) = digits()
    images = prepare(images, "mlp")
    for model, at in ((build(SETTINGS, norm), 0), (arm.model, -1)):
        update_bn([prepare(train, "mlp")], model)  # Algorithm 2: the statistics of training images
        result = evaluate(model, images, labels)
        assert (arm.loss[at], arm.accuracy[at]) == result
        reaches = model.eval()[:-2](Tensor(images)).data  # what the last sigmoid gets
        expected = np.percentile(reaches, [15, 50, 85], axis=0).T
        np.testing.assert_allclose(arm.inputs[at], expected, rtol=1e-5, atol=1e-6)
        if norm == "batch":
            before = model[:-3](Tensor(images)).data
            np.testing.assert_allclose(
                arm.before[at], np.percentile(before, [15, 50, 85], axis=0).T, rtol=1e-5, atol=1e-6
            )
    assert arm.inputs.shape == (7, 100, 3)
    assert (arm.before is None) == (norm == "none")


@pytest.mark.skipif(not JIT, reason="takes minutes without compiled kernels")
def test_conv_is_measured_at_its_last_relu_and_batch_norm():
    settings = dataclasses.replace(SETTINGS, model="conv", steps=2)
    arm = run_arm(settings, "batch", digits(), quiet=True)
    images = prepare(digits()[1][0], "conv")
    before, reaches = arm.model.eval()[:-3](Tensor(images)).data, arm.model[:-2](Tensor(images)).data
    assert arm.inputs.shape == arm.before.shape == (3, 128, 3)
    for measured, values in ((arm.before, before), (arm.inputs, reaches)):
        np.testing.assert_allclose(measured[-1], np.percentile(values, [15, 50, 85], axis=0).T, rtol=1e-4, atol=1e-5)


def test_percentiles_are_of_the_first_test_images(monkeypatch):
    monkeypatch.setattr(fig1, "WATCHED", 5)
    arm = run_arm(SETTINGS, "none", digits(), quiet=True)
    reaches = arm.model.eval()[:-2](Tensor(prepare(digits()[1][0][:5], "mlp"))).data
    np.testing.assert_allclose(arm.inputs[-1], np.percentile(reaches, [15, 50, 85], axis=0).T, rtol=1e-5, atol=1e-6)


def test_a_rest_of_one_image_has_no_variance_and_is_left_out():
    arm = run_arm(dataclasses.replace(SETTINGS, steps=1), "batch", digits(train=1001), quiet=True)
    assert arm.model[1].num_batches_tracked == 1


def test_no_hook_is_left():
    arm = run_arm(SETTINGS, "batch", digits(), quiet=True)
    assert not any(module._forward_hooks for module in arm.model.modules())


def test_progress_is_shown_unless_quiet(capsys):
    run_arm(SETTINGS, "none", digits(), quiet=True)
    assert capsys.readouterr().err == ""
    run_arm(SETTINGS, "none", digits())
    written = capsys.readouterr().err
    assert "without batch norm" in written
    assert "6/6" in written


# ---- small parts -----------------------------------------------------------------------------------------------------


def test_prepare():
    images = np.array([[[0, 127], [128, 255]]], np.uint8)
    binary, grey = prepare(images, "mlp"), prepare(images, "conv")
    np.testing.assert_array_equal(binary, [[0, 0, 1, 1]])
    assert grey.shape == (1, 2, 2, 1)
    np.testing.assert_allclose(grey.ravel(), [0, 127 / 255, 128 / 255, 1], rtol=1e-6)
    assert binary.dtype == grey.dtype == np.float32


def arm_with(accuracy=(0.5,), medians=((0.0,),)):
    medians = np.array(medians)
    steps = 10 * np.arange(len(accuracy))
    return Arm(
        nn.Identity(), steps, np.array(accuracy), np.zeros(1), np.stack([medians - 9, medians, medians + 9], -1), None
    )


def test_steps_to_is_the_first_measurement_that_reaches_it():
    arm = arm_with(accuracy=[0.1, 0.95, 0.9, 0.96])
    assert arm.steps_to(0.95) == 10
    assert arm.steps_to(0.96) == 30
    assert arm.steps_to(0.97) is None
    assert type(arm.steps_to(0.1)) is int


@pytest.mark.parametrize(
    ("medians", "unit"),
    [
        ([[0, 0, 0], [5, 1, 3]], 2),  # distances 5, 1, 3
        ([[0, 0, 0], [2, 0, 9], [0, 1, 9]], 0),  # 4, 1, 9: there and back counts twice
        ([[0, 0, 0, 0], [4, 3, 2, 1]], 1),  # of an even number the upper middle
        ([[0, 0, 0], [-3, 2, 1]], 1),  # downwards counts as well
        ([[1, 1], [1, 1]], 1),  # all the same: still an answer
        ([[0], [1]], 0),
    ],
)
def test_typical_unit_wandered_a_median_distance(medians, unit):
    found = typical_unit(arm_with(medians=np.array(medians, float)))
    assert found == unit
    assert type(found) is int


@pytest.mark.parametrize("model", MODELS)
def test_a_replay_gives_the_same_bits(model):
    settings = dataclasses.replace(SETTINGS, model=model, steps=20)
    same(run_arm(settings, "batch", digits(), True, replay=True), run_arm(settings, "batch", digits(), True))
