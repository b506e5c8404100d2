"""The recipe of `minidl cifar`: each of its numbers against the text that states it, and that it learns and continues."""

import math
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from minidl import Tensor, nn
from minidl import functional as F
from minidl.data._splits import Photos, Split
from minidl.lab import recipe
from minidl.lab.recipe import RATES, SIZES, Training, as_input, settings_for
from tests.helpers import JIT
from tests.optim.test_muon import by_singular_values

pytestmark = pytest.mark.skipif(not JIT, reason="takes minutes without compiled kernels")
SMALL = {"widths": (4, 4, 4), "batch_size": 8, "epochs": 4.0}


def photos(train=34, test=6, classes=10, seed=0):
    """Noise; the class is how bright it is."""
    rng = np.random.default_rng(seed)

    def split(n):
        labels = rng.integers(0, classes, n)
        images = rng.integers(0, 40, (n, 32, 32, 3)) + 20 * labels[:, None, None, None] % 216
        return Split(images.astype(np.uint8), labels)

    return Photos(split(train), split(test), "noise", tuple(map(str, range(classes))))


def training(norm="batch", model="fast", **changes):
    return Training(settings_for(model, norm, **SMALL | changes), photos())


# ---- the numbers -----------------------------------------------------------------------------------------------------


def test_the_models():
    assert SIZES["fast"].widths == (64, 256, 256)
    assert SIZES["best"].widths == (64, 384, 384)
    assert (SIZES["fast"].epochs, SIZES["best"].epochs) == (10, 10)
    assert settings_for("plain").widths == SIZES["fast"].widths
    assert settings_for("plain") == settings_for("fast", "none", shift=2, cutout=0)
    assert [(size.shift, size.cutout) for size in SIZES.values()] == [(4, 8), (4, 8), (2, 0)]
    batch = settings_for("best")
    assert (batch.lr, batch.decay, batch.label_smoothing, batch.bias_lr, batch.muon_lr) == (6.5, 0.0153, 0.2, 64, 0.24)
    assert batch.batch_size == 1024


def test_changes_take_the_place_of_the_recipes_numbers_and_none_changes_nothing():
    assert settings_for("best", lr=3.0, epochs=None) == settings_for("best", None, lr=3.0)
    assert settings_for("fast", "group").lr == RATES["group"].lr


def test_the_page_states_the_numbers_of_the_code():
    page = (Path(__file__).parents[2] / "docs" / "cifar.md").read_text(encoding="utf-8")
    rows = [[cell.strip(" `") for cell in line.split("|")[1:-1]] for line in page.splitlines() if line.startswith("|")]
    table = {row[0]: row[1:4] for row in rows if len(row) == 5}
    assert table[""] == list(SIZES)
    settings = [settings_for(model) for model in SIZES]
    assert table["channels of the groups"] == [", ".join(map(str, each.widths)) for each in settings]
    assert table["norm"] == [each.norm for each in settings]
    assert table["mirrored pairs"] == ["yes" if each.mirror else "no" for each in settings]
    for name, attribute in {
        "epochs": "epochs", "learning rate": "lr", "weight decay": "decay", "label smoothing": "label_smoothing",
        "shift, in pixels": "shift", "cutout, in pixels": "cutout", "Muon's rate": "muon_lr",
        "biases learn faster by": "bias_lr",
    }.items():  # fmt: skip
        assert [float(cell) for cell in table[name]] == [getattr(each, attribute) for each in settings], name


def test_rates_and_decay_are_those_of_a_summed_loss():
    """One step of the optimizer against the recipe's own words: k, the rate on the sum, a decay that no rate scales."""
    run = training(lr=6.5, decay=0.0153, epochs=1.0)
    k = 1024 * (1 + 1 / (1 - 0.85))
    fast, others = run.optimizers[0].param_groups
    size = run.settings.batch_size
    assert fast["initial_lr"] / size == pytest.approx(64 * 6.5 / k)  # of the sum, which is size · the mean
    assert others["initial_lr"] / size == pytest.approx(6.5 / k)
    for group in (fast, others):
        assert group["weight_decay"] * group["initial_lr"] == pytest.approx(0.0153 * size / k)
        assert group["momentum"] == 0.85
        assert group["nesterov"] is True
    norms = [m for m in run.model.modules() if isinstance(m, nn.BatchNorm)]
    assert len(norms) == 6
    assert [id(p) for p in fast["params"]] == [id(run.model[0].bias), *(id(m.bias) for m in norms)]
    assert all(m.weight is None and m.eps == 1e-12 and m.momentum == pytest.approx(0.4) for m in norms)
    assert [id(p) for p in others["params"]] == [id(run.model[-2].weight)]


@pytest.mark.parametrize("norm", ["batch", "none"])
def test_muon_has_the_filters_and_sgd_the_rest(norm):
    run = training(norm)
    sgd, muon = run.optimizers
    (group,) = muon.param_groups
    filters = [m.weight for m in run.model.modules() if isinstance(m, nn.Conv2d)][1:]
    assert [id(p) for p in group["params"]] == [id(p) for p in filters]
    assert len(filters) == 6
    told = {name: group[name] for name in ("initial_lr", "momentum", "nesterov", "weight_decay", "ns_steps")}
    rate = RATES[norm].muon_lr
    assert told == {"initial_lr": rate, "momentum": 0.6, "nesterov": True, "weight_decay": 0, "ns_steps": 3}
    others = [id(p) for group in sgd.param_groups for p in group["params"]]
    everything = [id(p) for p in run.model.parameters() if p.requires_grad]
    assert sorted([*others, *map(id, filters)]) == sorted(everything)


@pytest.mark.parametrize(("norm", "kept"), [("batch", True), ("none", False)])
def test_filters_that_muon_moves_keep_their_length_before_a_norm(norm, kept):
    run = training(norm, muon_lr=0.24)
    for _ in range(3):
        before, rate = [p.data.copy() for p in recipe.filters_of(run.model)], run.schedules[1].get_last_lr()[0]
        run.do_step()
        for old, weight in zip(before, recipe.filters_of(run.model), strict=True):
            start = old * np.sqrt(old.shape[-1]) / np.linalg.norm(old) if kept else old
            step = np.linalg.svd((weight.data - start).reshape(-1, old.shape[-1]), compute_uv=False)
            assert 0.1 * rate < step[0] < 1.21 * rate  # Muon's, and nothing else


@pytest.mark.parametrize("steps", [1, 2, 100])
def test_rates_fall_in_a_straight_line_to_0(steps):
    schedule = recipe.make_schedule(recipe.optim.SGD(nn.Linear(2, 2).parameters(), 2.0), steps)
    rates = []
    for _ in range(steps + 1):
        rates.append(schedule.get_last_lr()[0] / 2)
        schedule.step()
    np.testing.assert_allclose(rates, 1 - np.arange(steps + 1) / steps, atol=1e-12)


# ---- images ----------------------------------------------------------------------------------------------------------


def test_training_images_have_mean_0_and_deviation_1_in_each_colour():
    run = training()
    x = run.as_input(run.train.images)
    assert x.dtype == np.float32
    np.testing.assert_allclose(x.mean((0, 1, 2), np.float64), 0, atol=1e-5)
    np.testing.assert_allclose(x.std((0, 1, 2), dtype=np.float64), 1, rtol=1e-5)


def test_images_of_one_colour_do_not_divide_by_zero():
    one = Split(np.full((9, 32, 32, 3), 7, np.uint8), np.zeros(9, np.int64))
    run = Training(settings_for(**SMALL), Photos(one, one, "grey", ("a", "b")))
    assert np.isfinite(run.as_input(one.images)).all()


def test_the_first_layer_whitens_the_patches():
    first = training(mirror=False).model[0]
    run = training()
    y = first(Tensor(run.as_input(run.train.images))).data.reshape(-1, 24).astype(np.float64)
    covariance = np.cov(y[:, :12].T)
    off = covariance - np.diag(np.diag(covariance))
    assert np.abs(off).max() < 1e-3
    assert not first.weight.requires_grad
    np.testing.assert_allclose(first.weight.data[..., :12], -first.weight.data[..., 12:])


def test_each_epoch_shows_each_image_once_the_other_way_round_than_before():
    run = training(shift=2, cutout=0)
    run.as_input = lambda images: images  # bytes
    shown = {}
    for step in range(2 * run.per_epoch):
        run.step = step
        images, labels = run.batch()
        assert images.shape == (8, 32, 32, 3)
        order = run._order[1]
        chosen = order[step % run.per_epoch * 8 :][:8]
        np.testing.assert_array_equal(labels, run.train.labels[chosen])
        shown.update({(step // run.per_epoch, i): image for i, image in zip(chosen.tolist(), images, strict=True)})
    straight = 0
    for (epoch, i), image in shown.items():
        original, flipped = run.train.images[i], run.train.images[i][:, ::-1]
        ways = [way for way, of in enumerate((original, flipped)) if holds(image, of)]
        assert len(ways) == 1
        straight += ways == [0]
        if (1 - epoch, i) in shown:
            assert holds(shown[1 - epoch, i], (flipped, original)[ways[0]])
    assert 0 < straight < len(shown)


def test_cutout_covers_a_square_with_the_mean_colour():
    usual, covered = training(cutout=0), training(cutout=9)
    (images, _), (others, _) = usual.batch(), covered.batch()
    differ = (images != others).any(-1)
    assert 0 < differ.sum((1, 2)).max() <= 81
    assert np.abs(others[differ]).max() < 0.05  # the mean, to a byte
    rows, columns = np.nonzero(differ[0])
    assert np.ptp(rows) < 9
    assert np.ptp(columns) < 9


def holds(image, original):
    """Whether the middle of an image is that of the original, shifted by up to two pixels."""
    middle = image[8:24, 8:24]
    return any(
        np.array_equal(middle, original[8 + i : 24 + i, 8 + j : 24 + j]) for i in range(-2, 3) for j in range(-2, 3)
    )


# ---- training --------------------------------------------------------------------------------------------------------


def test_it_learns():
    run = Training(settings_for(widths=(14, 14, 14), batch_size=16, epochs=6.0, lr=60.0), photos(160, 80))
    losses = [run.do_step() for _ in range(run.steps)]
    run.measure()
    assert np.mean(losses[-5:]) < np.mean(losses[:5]) - 0.2
    assert run.seen[-1]["accuracy"] > 0.2  # by chance 0.1


@pytest.mark.parametrize("norm", ["batch", "none"])
def test_a_step_is_what_the_recipe_says(norm):
    """The first two steps, against a few lines of NumPy over the gradients that minidl gives."""
    run, other = (training(norm, lr=2.0, muon_lr=0.1, epochs=3.0) for _ in range(2))
    k, size, smoothing = 1024 * (1 + 1 / 0.15), 8, run.settings.label_smoothing
    momentum = {}
    for step in range(2):
        factor = 1 - step / run.steps
        x, labels = other.batch()
        for p in other.model.parameters():
            p.grad = None
        other.model.train()
        logits = other.model(Tensor(x))
        loss = F.cross_entropy(logits, labels, label_smoothing=smoothing) * float(size)  # the sum
        loss.backward()
        other.mirror.average_gradients()  # see test_mirror.py
        fast = {id(other.model[0].bias), *(id(m.bias) for m in other.model.modules() if isinstance(m, nn.BatchNorm))}
        for p in other.model.parameters():
            if not p.requires_grad:
                continue
            before = momentum.get(id(p), 0)
            if p.shape[:2] == (3, 3):
                momentum[id(p)] = b = 0.6 * before + 0.4 * p.grad
                d = (0.6 * b + 0.4 * p.grad).reshape(-1, p.shape[-1])
                o = by_singular_values(d, 3).reshape(p.shape)
                length = np.sqrt(p.shape[-1]) / np.linalg.norm(p.data) if norm == "batch" else 1
                p.data = (p.data * length - factor * 0.1 * o).astype(np.float32)
                continue
            lr = 2.0 / k * (run.settings.bias_lr if id(p) in fast else 1)
            g = p.grad + run.settings.decay * size / k / lr * p.data
            momentum[id(p)] = b = 0.85 * before + g
            p.data = (p.data - factor * lr * (g + 0.85 * b)).astype(np.float32)
        other.mirror.average_weights()
        other.step += 1
        assert run.do_step() == pytest.approx(float(loss) / size, rel=1e-5)
        for (name, p), q in zip(run.model.named_parameters(), other.model.parameters(), strict=True):
            np.testing.assert_allclose(p.data, q.data, rtol=2e-4, atol=2e-5, err_msg=name)


@pytest.mark.parametrize("norm", ["batch", "none"])
def test_an_image_and_its_mirror_image_get_the_same_answer(norm):
    differ = {}
    for tied in (True, False):
        run = training(norm, mirror=tied)
        while run.step < run.steps:
            run.do_step()
        run.measure()
        x = run.as_input(run.test.images)
        run.model.eval()
        a, b = (run.model(Tensor(np.ascontiguousarray(each))).data for each in (x, x[:, :, ::-1]))
        differ[tied] = np.abs(a - b).max() / a.std()
    assert differ[True] < 1e-3 < 0.05 < differ[False]


def test_the_first_bias_learns_for_three_epochs_only():
    run = training()
    biases = []
    while run.step < run.steps:
        run.do_step()
        biases.append(run.model[0].bias.data.copy())
    frozen = 3 * run.per_epoch - 1
    assert all(np.any(a != b) for a, b in pairwise(biases[: frozen + 1]))
    assert len({bias.tobytes() for bias in biases[frozen:]}) == 1


def test_it_continues_to_the_same_bits_from_any_step():
    def to_the_end(run):
        while run.step < run.steps:
            run.do_step()
            if run.step % run.per_epoch == 0:
                run.measure()
        return run

    whole = to_the_end(training())
    for stop in (1, 7, 12, 13):  # in an epoch, at its end, after the first bias is frozen
        first = training()
        while first.step < stop:
            first.do_step()
            if first.step % first.per_epoch == 0:
                first.measure()
        second = training()
        second.load_state_dict(first.step, first.state_dict())
        to_the_end(second)
        for name, array in whole.model.state_dict().items():
            np.testing.assert_array_equal(array, second.model.state_dict()[name], err_msg=f"{stop}: {name}")
        assert without_times(second.seen) == without_times(whole.seen)


def without_times(rows):
    return [{name: value for name, value in row.items() if name != "seconds"} for row in rows]


def test_measuring_changes_nothing_and_counts_once():
    run, other = training(), training()
    for each in (run, other):
        each.do_step()
    assert run.measure() is run.measure()
    assert len(run.seen) == 1
    assert run.do_step() == other.do_step()
    answers = run.answers()
    assert answers.shape == run.answers(views=True).shape == (6, 10)
    assert np.any(answers != run.answers(views=True))


def test_a_part_of_the_training_images_can_be_held_out():
    run, whole = training(held_out=0.25), training()
    assert (len(run.train.labels), len(run.test.labels)) == (26, 8)
    assert run.per_epoch == 3
    assert math.ceil(4 * 3) == run.steps
    rows = {image.tobytes() for image in whole.train.images}
    kept, held = ({image.tobytes() for image in part.images} for part in (run.train, run.test))
    assert kept | held == rows
    assert not kept & held


def test_the_seed_decides():
    one, same, other = training(seed=1), training(seed=1), training(seed=2)
    np.testing.assert_array_equal(one.model[-2].weight.data, same.model[-2].weight.data)
    assert np.any(one.model[-2].weight.data != other.model[-2].weight.data)
    np.testing.assert_array_equal(one.batch()[0], same.batch()[0])
    assert np.any(one.batch()[1] != other.batch()[1]) or np.any(one.batch()[0] != other.batch()[0])


def test_a_hundred_classes():
    run = Training(settings_for(**SMALL), photos(classes=100))
    assert run.model[-2].weight.shape == (4, 100)


def test_batches_of_one_image_train():
    assert np.isfinite(training(batch_size=1).do_step())


def test_too_large_a_batch():
    with pytest.raises(ValueError, match="the batch size is 1024, but there are 34 training images; use a smaller one"):
        Training(settings_for("fast"), photos())


def test_group_norm():
    run = training("group", widths=(16, 32, 32))
    assert sum(isinstance(m, nn.GroupNorm) for m in run.model.modules()) == 6
    assert np.isfinite(run.do_step())


def test_as_input_leaves_the_bytes_alone():
    images = np.arange(2 * 4 * 4 * 3, dtype=np.uint8).reshape(2, 4, 4, 3)
    x = as_input(images, [1, 2, 3], [2, 4, 8])
    np.testing.assert_allclose(x, (images - np.array([1.0, 2, 3])) / [2, 4, 8], rtol=1e-6)
    assert images.dtype == np.uint8
