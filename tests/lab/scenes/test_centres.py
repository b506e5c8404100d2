"""The centre-point detector: targets against loops, the loss against formulas and its gradient, peaks against loops."""

import numpy as np
import pytest

from minidl import Tensor
from minidl.gradcheck import GradientError, gradcheck
from minidl.lab.scenes import Objects, average_precisions, centre_loss, centre_targets, draw_scenes, find_centres
from minidl.lab.scenes.centres import BOX, SPREAD, UNIT
from tests.lab.scenes.test_draw import shapes
from tests.lab.scenes.test_scores import objects


def rng(seed=0):
    return np.random.default_rng(seed)


# ---- targets -------------------------------------------------------------------------------------------------------------


def test_targets_are_those_of_loops():
    found = draw_scenes(shapes(), 3, objects=(2, 5)).objects
    targets = centre_targets(found, 3, 10)
    assert (targets.shape, targets.dtype) == ((3, 16, 16, 15), np.float32)
    heat, boxes = np.zeros((3, 16, 16, 10)), np.zeros((3, 16, 16, 5))
    for scene, label, (top, left, bottom, right), _ in zip(*found, strict=True):
        y, x = (top + bottom) / 2, (left + right) / 2
        row, column = int(y // 4), int(x // 4)
        for i in range(16):
            for j in range(16):
                far = ((i - row) * 4 / (SPREAD * (bottom - top))) ** 2
                far += ((j - column) * 4 / (SPREAD * (right - left))) ** 2
                heat[scene, i, j, label] = max(heat[scene, i, j, label], np.exp(-far / 2))
        boxes[scene, row, column] = (
            (bottom - top) / UNIT, (right - left) / UNIT, y / 4 - row - 0.5, x / 4 - column - 0.5, 1
        )  # fmt: skip
    np.testing.assert_allclose(targets[..., :10], heat, atol=1e-6)
    np.testing.assert_allclose(targets[..., 10:], boxes, atol=1e-6)


def test_the_later_of_two_objects_in_a_cell_gives_the_box():
    two = objects((0, 0, (0, 0, 10, 10), 1), (0, 1, (1, 1, 10, 10), 1))
    targets = centre_targets(two, 1, 2)
    assert targets[0, 1, 1, :2].tolist() == [1, 1]
    assert targets[0, 1, 1, 2] == np.float32(9 / UNIT)
    assert targets[..., -1].sum() == 1


def test_no_objects_give_no_targets():
    assert not centre_targets(objects(), 2, 3).any()


# ---- the loss ------------------------------------------------------------------------------------------------------------


def case(dtype=np.float64, images=5, classes=2):
    """Outputs and targets of small maps, with centres, bumps around them, and an image without any."""
    targets = rng(1).uniform(0, 0.9, (images, 3, 4, classes + BOX + 1))
    centre = rng(2).random((images, 3, 4)) < 0.3
    centre[-1] = False
    targets[..., -1] = centre
    targets[..., 0][centre] = 1
    return rng(3).normal(0, 1.5, (images, 3, 4, classes + BOX)).astype(dtype), targets.astype(dtype)


def loss_by_loops(output, targets):
    heat = box = count = 0.0
    classes = output.shape[-1] - BOX
    for place in np.ndindex(output.shape[:-1]):
        for k in range(classes):
            p, t = 1 / (1 + np.exp(-float(output[place][k]))), float(targets[place][k])
            heat -= (1 - p) ** 2 * np.log(p) if t == 1 else (1 - t) ** 4 * p**2 * np.log(1 - p)
        if targets[place][-1] == 1:
            count += 1
            box += sum((float(output[place][k]) - float(targets[place][k])) ** 2 for k in range(classes, classes + BOX))
    return (heat + box) / max(1, count)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_the_loss_is_that_of_loops(dtype):
    output, targets = case(dtype)
    loss = centre_loss(Tensor(output), targets)
    assert loss.dtype == dtype
    assert loss.item() == pytest.approx(loss_by_loops(output, targets), rel=1e-12 if dtype == np.float64 else 1e-5)
    empty = np.zeros_like(targets)
    assert centre_loss(Tensor(output), empty).item() == pytest.approx(loss_by_loops(output, empty), rel=1e-5)


def test_the_gradient_is_right():
    output, targets = case()
    gradcheck(lambda x: centre_loss(x, targets), output)


def test_the_check_rejects_a_wrong_gradient(monkeypatch):
    from minidl.lab.scenes import centres

    right = centres._gradient
    monkeypatch.setattr(centres, "_gradient", lambda *given: right(*given) * 1.001)
    output, targets = case()
    with pytest.raises(GradientError):
        gradcheck(lambda x: centre_loss(x, targets), output)


def test_large_numbers_neither_overflow_nor_warn():
    output, targets = case(np.float32)
    for number in (-200, 200):
        output[...] = number
        x = Tensor(output, requires_grad=True)
        loss = centre_loss(x, targets)
        loss.backward()
        assert np.isfinite(loss.item())
        assert np.isfinite(x.grad).all()


def test_a_perfect_answer_costs_nothing_and_a_replay_is_the_step():
    from minidl import nn
    from minidl.replay import Replay

    targets = centre_targets(draw_scenes(shapes(), 2).objects, 2, 10)
    output = targets[..., :-1].copy()
    output[..., :10] = np.where(targets[..., :10] == 1, 30, -30)
    assert centre_loss(Tensor(output), targets).item() < 1e-6
    layer = nn.Linear(14, 14, generator=rng())
    step, losses = Replay(layer, centre_loss), []
    for seed in (1, 2, 3):
        batch = rng(seed).normal(size=output.shape).astype(np.float32)
        losses.append((step(batch, targets), centre_loss(layer(Tensor(batch)), targets).item()))
    assert step.why_not is None
    assert all(a == b for a, b in losses)


# ---- peaks ---------------------------------------------------------------------------------------------------------------


def peaks_by_loops(output, stride, most, least):
    n, height, width, channels = output.shape
    rows = []
    for image in range(n):
        found = []
        for i in range(height):
            for j in range(width):
                for k in range(channels - BOX):
                    z = output[image, i, j, k]
                    around = output[image, max(0, i - 1) : i + 2, max(0, j - 1) : j + 2, k]
                    score = 1 / (1 + np.exp(-float(z)))
                    if z >= around.max() and score >= least:
                        found.append((score, i, j, k))
        found.sort(key=lambda row: -row[0])
        for score, i, j, k in found[:most]:
            high, wide, dy, dx = (float(v) for v in output[image, i, j, -BOX:])
            y, x = (i + 0.5 + dy) * stride, (j + 0.5 + dx) * stride
            high, wide = max(high, 0) * UNIT / 2, max(wide, 0) * UNIT / 2
            rows.append((image, k, (y - high, x - wide, y + high, x + wide), score))
    return rows


@pytest.mark.parametrize(("most", "least"), [(4, 0.01), (100, 0.6), (1, 0.0)])
def test_found_centres_are_those_of_loops(most, least):
    output = rng(4).normal(size=(3, 5, 6, 3 + BOX)).astype(np.float32)
    found = find_centres(Tensor(output), 4, most, least)
    expected = objects(*peaks_by_loops(output, 4, most, least))
    for got, wanted in zip(found, expected, strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-5)


def test_targets_are_found_again():
    scenes = draw_scenes(shapes(), 20, objects=(1, 3))
    targets = centre_targets(scenes.objects, 20, 10)
    output = targets[..., :-1].copy()
    output[..., :10] = 20 * output[..., :10] - 10
    found = find_centres(output)
    assert average_precisions(found, scenes.objects, 10).min() > 0.9
    sure = found.score > 0.9
    lone = np.flatnonzero(np.bincount(scenes.objects.scene) == 1)
    for scene in lone:
        (mine,), (true,) = np.flatnonzero(sure & (found.scene == scene)), np.flatnonzero(scenes.objects.scene == scene)
        np.testing.assert_allclose(found.box[mine], scenes.objects.box[true], atol=1e-4)


def test_what_is_not_finite_is_no_object():
    output = np.full((2, 4, 4, 1 + BOX), np.nan, np.float32)
    assert len(find_centres(output).scene) == 0
    output[0] = 1
    output[0, 0, 0, 1] = np.inf
    found = find_centres(output)
    assert set(found.scene) == {0}
    assert len(found.scene) == 15  # a plateau is all peaks
    assert np.isfinite(found.box).all()


# ---- errors --------------------------------------------------------------------------------------------------------------

ONE = objects((0, 0, (0, 0, 10, 10), 1))
OUTPUT = np.zeros((1, 4, 4, 1 + BOX), np.float32)


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: centre_targets(None, 1, 1), TypeError, "objects is a NoneType; it must be Objects"),
        (lambda: centre_targets(ONE, 0, 1), ValueError, "count is 0; it must be"),
        (lambda: centre_targets(ONE, 1, 0), ValueError, "classes is 0; it must be"),
        (lambda: centre_targets(ONE, 1, 1, 5), ValueError, "size is 64 and stride 5; the second must divide"),
        (lambda: centre_targets(ONE._replace(scene=np.array([1])), 1, 1), ValueError, "is in scene 1; it must"),
        (lambda: centre_targets(ONE._replace(label=np.array([-1])), 1, 1), ValueError, "labels run from -1 to -1; scenes"),
        (lambda: centre_targets(ONE._replace(box=ONE.box + 60), 1, 1), ValueError, "outside of the 64×64 pixels; .* must"),
        (lambda: centre_targets(ONE._replace(box=ONE.box * 0), 1, 1), ValueError, "a box is empty"),
        (lambda: centre_targets(ONE._replace(box=ONE.box * np.nan), 1, 1), ValueError, "are NaN; .* must"),
        (lambda: centre_loss(OUTPUT, OUTPUT), TypeError, "output is a ndarray, not a Tensor; wrap it"),
        (lambda: centre_loss(Tensor(OUTPUT), OUTPUT), ValueError, r"output is \(1, 4, 4, 5\) and targets .* must be"),
        (lambda: centre_loss(Tensor(OUTPUT[..., :4]), OUTPUT), ValueError, "K classes of which there is at least one"),
        (lambda: centre_loss(Tensor(OUTPUT), None), ValueError, r"targets \(\); they must be"),
        (lambda: centre_loss(Tensor(OUTPUT), np.zeros((1, 4, 4, 6), int)), ValueError, "targets are int64 .* floats"),
        (lambda: centre_loss(Tensor(OUTPUT[:0]), np.zeros((0, 4, 4, 6))), ValueError, "must be floats, and not empty"),
        (lambda: find_centres(OUTPUT[0]), ValueError, r"output is float32 \(4, 4, 5\); it must be floats"),
        (lambda: find_centres(OUTPUT[..., :4]), ValueError, r"output is float32 \(1, 4, 4, 4\)"),
        (lambda: find_centres(OUTPUT.astype(int)), ValueError, "output is int64"),
        (lambda: find_centres(OUTPUT, 0), ValueError, "stride is 0; it must be"),
        (lambda: find_centres(OUTPUT, most=0), ValueError, "most is 0; it must be"),
        (lambda: find_centres(OUTPUT, least=2), ValueError, "least is 2; it must be"),
    ],
)  # fmt: skip
def test_errors_teach(call, error, text):
    with pytest.raises(error, match=text):
        call()


def test_arrays_are_left_alone():
    output, targets = case(np.float32)
    for array in (output, targets):
        array.flags.writeable = False
    centre_loss(Tensor(output), np.asfortranarray(targets)).item()
    assert isinstance(find_centres(np.asfortranarray(output)), Objects)
