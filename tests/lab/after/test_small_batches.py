"""The claims about small batches: runs are what the text says, and verdicts follow from the numbers."""

import json
import pickle

import numpy as np
import pytest

from minidl import nn
from minidl.lab.after import _small_batches, small_batches, small_batches_detection
from minidl.lab.after._small_batches import BATCH, BATCHES, FROZEN, GROUP, NONE, NORMS
from minidl.lab.scenes import FrozenBatchNorm, SceneNet
from minidl.lab.study.claim import Scale, plain
from minidl.lab.study.fingerprint import fingerprint
from minidl.lab.study.sweep import perform
from tests.helpers import in_a_process
from tests.lab.after.test_graph_claims import all_runs
from tests.lab.paper.synthetic import bars, joined, result

CLAIMS = (small_batches.CLAIM, small_batches_detection.CLAIM)
DIGITS = bars(train=240, test=60)
TASKS = {"segmentation": small_batches.CLAIM, "detection": small_batches_detection.CLAIM}


def config(task, norm, batch=4, **settings):
    return {"task": task, "norm": norm, "batch": batch, "examples": 32, "steps": 32 // batch, "lr": 0.01,
            "decay": 1 / 16, "start": "He", "stage": "final", "seed": 0} | settings  # fmt: skip


def record(task, norm, batch=4, **settings):
    return perform(TASKS[task], config(task, norm, batch, **settings), lambda: DIGITS).record


# ---- runs ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("task", TASKS)
def test_every_arm_runs_and_only_batch_norm_is_evaluated_in_three_ways(task):
    for norm in NORMS:
        found = record(task, norm)
        assert set(found) == {"loss", "test"} | ({"own", "exact"} if norm == BATCH else set())
        assert all(0 <= value <= 1 for name, value in found.items() if name != "loss")
        assert found == record(task, norm)
        json.dumps(found, allow_nan=False)
    assert set(record(task, BATCH, stage="tune")) == {"loss", "validation"}


def test_a_network_that_diverges_has_score_0():
    assert record("segmentation", NONE, lr=1e30) == {"loss": None, "test": 0}
    assert record("detection", BATCH, lr=1e30) == {"loss": None, "test": 0, "own": 0, "exact": 0}


def test_what_is_scored_are_test_scenes_with_the_statistics_that_are_named(monkeypatch):
    scored, settled, score, settle = [], [], _small_batches._score, _small_batches._settle

    def watched_score(model, task, scenes, *together):
        norm = next(m for m in model.modules() if isinstance(m, nn.BatchNorm))
        scored.append((scenes.images.tobytes(), together, norm.track_running_stats, norm.running_mean.copy()))
        return score(model, task, scenes, *together)

    def watched_settle(model, images):
        settled.append(images.tobytes())
        settle(model, images)

    monkeypatch.setattr(_small_batches, "_score", watched_score)
    monkeypatch.setattr(_small_batches, "_settle", watched_settle)
    record("segmentation", BATCH, 2)
    scenes = {part: _small_batches._scenes(DIGITS, part, 32).images.tobytes() for part in _small_batches.SEEDS}
    assert [images for images, *_ in scored] == [scenes["test"]] * 3
    assert [(together, tracked) for _, together, tracked, _ in scored] == [((), True), ((2,), False), ((), True)]
    assert settled == [scenes["train"]]
    assert not np.allclose(scored[0][-1], scored[2][-1])  # exact statistics are others than the moving averages
    scored.clear()
    record("segmentation", BATCH, 2, stage="tune")
    assert [images for images, *_ in scored] == [scenes["validation"]]


def test_parts_of_the_scenes_have_other_digits():
    scenes = {part: _small_batches._scenes(DIGITS, part, 32) for part in _small_batches.SEEDS}
    assert [len(s) for s in scenes.values()] == [32, 2, 4]
    assert not (scenes["train"].images[:2] == scenes["validation"].images).all()
    splits = dict(zip(scenes, _small_batches.raw(DIGITS), strict=True))
    assert [len(split.labels) for split in splits.values()] == [220, 20, 60]
    assert splits["test"] is DIGITS.test


def test_every_example_is_seen_once_in_the_same_order_by_all_arms(monkeypatch):
    seen, given = {}, np.arange(32)[:, None, None, None] * np.ones((1, 16, 16, 1))
    monkeypatch.setattr(_small_batches, "pixels", lambda images: images.astype(np.float32))
    for norm in (BATCH, GROUP):
        net, seen[norm] = SceneNet(2, 1, "group", (4, 4, 4), np.random.default_rng(0)), []
        net.register_forward_hook(lambda _, inputs, __, own=seen[norm]: own.append(inputs[0].data[:, 0, 0, 0].tolist()))
        _small_batches._train(net, given, np.zeros((32, 16, 16), int), config("segmentation", norm, 8))
    assert seen[BATCH] == seen[GROUP]
    batches = [tuple(batch) for batch in seen[BATCH] if len(set(batch)) == 8]
    assert sorted(sum(dict.fromkeys(batches), ())) == list(range(32))


def test_frozen_statistics_are_fixed_before_training(monkeypatch):
    kept = []
    train = _small_batches._train

    def watched(model, *given):
        norms = [m for m in model.modules() if isinstance(m, FrozenBatchNorm)]
        before = [norm.running_var.copy() for norm in norms]
        loss = train(model, *given)
        kept.append(all((norm.running_var == old).all() for norm, old in zip(norms, before, strict=True)))
        assert len(norms) == 7
        assert any((norm.weight.data != 1).any() for norm in norms)
        return loss

    monkeypatch.setattr(_small_batches, "_train", watched)
    _small_batches.run(config("segmentation", FROZEN), DIGITS)
    assert kept == [True]


def test_own_statistics_are_those_of_the_batch_and_leave_the_network_alone():
    net = SceneNet(2, 1, "batch", (4, 4, 4), np.random.default_rng(0))
    before = {name: array.copy() for name, array in net.state_dict().items()}
    images = np.random.default_rng(1).integers(0, 256, (6, 16, 16, 1)).astype(np.uint8)
    x = _small_batches.Tensor(_small_batches.pixels(images))
    own = _small_batches._with_own(net.eval())
    assert not own.training
    for size in (1, 3, 6):
        expected = net.train()(_small_batches.Tensor(x.data[:size])).data
        np.testing.assert_array_equal(own(_small_batches.Tensor(x.data[:size])).data, expected)
    net.load_state_dict(before)
    own(x)
    for name, array in net.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


def test_exact_statistics_are_those_of_all_images():
    net = SceneNet(2, 1, "batch", (4, 4, 4), np.random.default_rng(0))
    images = np.random.default_rng(1).integers(0, 256, (256, 16, 16, 1)).astype(np.uint8)
    _small_batches._settle(net, images)
    norm = next(m for m in net.modules() if isinstance(m, nn.BatchNorm))
    first = net.half[0](_small_batches.Tensor(_small_batches.pixels(images))).data
    np.testing.assert_allclose(norm.running_mean, first.mean((0, 1, 2)), atol=1e-5)
    np.testing.assert_allclose(norm.running_var, first.var((0, 1, 2)), rtol=5e-3)


def test_kept_runs_are_found_by_another_process():
    module, run = _small_batches.__name__, _small_batches.run
    code = f"from minidl.lab.study.fingerprint import fingerprint; from {module} import run; print(fingerprint(run))"
    assert in_a_process(code) == fingerprint(run)
    assert all(claim.run is run for claim in CLAIMS)


# ---- plans ---------------------------------------------------------------------------------------------------------------


def test_each_arm_gets_its_own_rate_from_other_seeds():
    def made_up(config):
        wanted = 0.008 if config["norm"] == BATCH else 0.016
        return {"validation": -abs(np.log(config["lr"] / wanted)), "test": 0.5, "own": 0.5, "exact": 0.5}

    for claim in CLAIMS:
        runs = all_runs(claim, made_up, Scale())
        final, tuned = runs.where(stage="final"), runs.where(stage="tune")
        assert len(final.runs) == 4 * 5 * 5
        assert not set(final.settings("seed")) & set(tuned.settings("seed"))
        assert final.where(norm=BATCH).settings("lr") == [0.008]
        assert final.where(norm=GROUP).settings("lr") == [0.016]
        assert {(c["batch"], c["steps"]) for c in (run.config for run in final.runs)} == {
            (size, 4096 // size) for size in BATCHES
        }


def test_claims_can_be_sent_to_another_process():
    for claim in CLAIMS:
        sent = pickle.loads(pickle.dumps(claim))
        assert next(sent.plan(Scale())) == next(claim.plan(Scale()))


def test_both_claims_share_method_and_rule():
    assert small_batches.METHOD in small_batches_detection.CLAIM.method
    assert small_batches_detection.CLAIM.rule == small_batches.CLAIM.rule
    runs = [next(claim.plan(Scale()))[0]["task"] for claim in CLAIMS]
    assert runs == ["segmentation", "detection"]


# ---- verdicts ------------------------------------------------------------------------------------------------------------


def made_up(leads, parts=(0.0, 1.0, 0.0), noise=0.0, seeds=5):
    """Finals in which group norm leads by so much at 1, 2, 4, 8 and 32, and these shares of it are won back, or not."""
    runs = []
    for size, lead in zip(BATCHES, leads, strict=True):
        for seed in range(seeds):
            level = 0.6 + 0.01 * seed
            own_lead = lead + noise * (seed - seeds // 2) + 1e-4 * seed
            scores = {GROUP: level, FROZEN: level - 0.05, NONE: level - 0.1, BATCH: level - own_lead}
            for norm, score in scores.items():
                entries = {"test": score}
                if norm == BATCH:
                    entries |= {"exact": score + parts[0] * own_lead, "own": score + (parts[0] + parts[1]) * own_lead}
                settings = {"norm": norm, "batch": size, "stage": "final", "seed": seed, "lr": 0.01}
                runs.append((settings, entries))
    return result(*runs)


@pytest.mark.parametrize(
    ("leads", "noise", "word"),
    [
        ((0.2, 0.1, 0.05, 0.02, 0.0), 0.0, "reproduced"),
        ((0.2, 0.1, 0.05, 0.02, -0.1), 0.0, "reproduced"),
        ((0.1, 0.1, 0.1, 0.1, 0.2), 0.0, "partly"),  # it leads, but not more than with 32
        ((0.1, 0.1, 0.1, 0.9, 0.2), 0.0, "partly"),  # eight is not few
        ((0.2, 0.1, -0.01, 0.0, 0.0), 0.0, "partly"),
        ((0.2, -0.1, -0.1, 0.0, 0.0), 0.0, "partly"),
        ((-0.02, -0.1, -0.1, 0.0, 0.0), 0.0, "contradicted"),
        ((0.02, 0.02, 0.02, 0.0, 0.0), 0.1, "not at this scale"),
    ],
)
def test_verdicts(leads, noise, word):
    for claim in CLAIMS:
        assert claim.verdict(made_up(leads, noise=noise)).word == word


@pytest.mark.parametrize(
    ("parts", "text"),
    [
        ((0.8, 0.1, 0.1), "At least half of it is due to the error of the moving averages."),
        ((0.1, 0.8, 0.1), "At least half of it is due to the gap between training and evaluation."),
        ((0.1, 0.1, 0.8), "At least half of it is due to training itself."),
        ((0.5, 0.5, 0.0), "due to the error of the moving averages and to the gap between training and evaluation."),
        ((-0.5, 0.75, 0.75), "due to the gap between training and evaluation and to training itself."),
        ((0.4, 0.3, 0.3), "At least half of it is due to no part alone."),
    ],
)
def test_the_cause_is_named(parts, text):
    found = small_batches.CLAIM.verdict(made_up((0.2, 0.1, 0.05, 0.0, 0.0), (parts[0], parts[1])))
    with_one = found.because.split("With 2 images")[0]
    assert text in with_one
    numbers = [found.numbers[f"{part}, 1"].mean for part in _small_batches.PARTS]
    assert sum(numbers) == pytest.approx(found.numbers["group norm less batch norm, 1"].mean)
    np.testing.assert_allclose(numbers, np.array(parts) * 0.2002, atol=1e-6)


def test_no_cause_is_named_where_nothing_is_lost():
    found = small_batches.CLAIM.verdict(made_up((0.2, -0.1, 0.05, 0.0, 0.0)))
    assert "due to" not in found.because.split("With 2 images")[1].split("With 4 images")[0]


def test_the_numbers_say_which_way():
    found = small_batches.CLAIM.verdict(made_up((0.2, 0.1, 0.05, 0.02, -0.1)))
    assert found.number.startswith("mean IoU, group norm less batch norm: +20.02 ± ")
    assert "points with 1 image;" in found.number
    assert found.number.endswith("−9.98 ± 0.02 points with 32 images")
    assert "frozen statistics −5.0" in found.because
    assert small_batches_detection.CLAIM.verdict(made_up((0.2, 0.1, 0.05, 0.02, 0.0))).number.startswith("average")


# ---- page ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.id)
def test_figure_and_tables_show_the_result(claim):
    import matplotlib.pyplot as plt

    found = made_up((0.2, 0.1, 0.05, 0.02, -0.01))
    figure = claim.figure(found)
    left, right = figure.axes
    assert left.get_title(loc="left") == "Batch norm is behind with 1, 2, 4, 8 in a batch"
    assert right.get_title(loc="left") == "With one image, group norm leads by 20.0 points"
    assert [text.get_text() for text in left.get_legend().get_texts()][: len(NORMS)] == list(NORMS)
    plt.close(figure)
    other = claim.figure(made_up((-0.2, 0.1, 0.05, 0.02, 0.0)))
    assert other.axes[1].get_title(loc="left") == "With one image, group norm does not lead clearly"
    plt.close(other)
    other = claim.figure(made_up((0.2, 0.1, 0.1, 0.1, -0.1), noise=1.0))  # ahead in means, and in no interval
    assert other.axes[0].get_title(loc="left") == "Batch norm is behind with no number in a batch"
    assert other.axes[1].get_title(loc="left") == "With one image, group norm does not lead clearly"
    plt.close(other)
    text = claim.tables(found)
    assert "| batch norm, exact statistics |" in text
    assert text.count("| group norm |") == 2
    assert "| 0.01 | 0.01 | 0.01 | 0.01 | 0.01 |" in text
    assert "†" not in text


def test_a_chosen_rate_at_the_edge_of_those_tried_is_marked():
    tried = [
        ({"norm": GROUP, "batch": size, "stage": "tune", "seed": 1000, "lr": lr}, {"validation": 0.5})
        for size, rates in ((1, (0.005, 0.01)), (2, (0.005, 0.01, 0.02)), (4, (0.01, 0.02)))
        for lr in rates
    ]
    text = small_batches.CLAIM.tables(joined(made_up((0.2, 0.1, 0.05, 0.02, 0.0)), result(*tried)))
    assert "| group norm | 0.01† | 0.01 | 0.01† | 0.01 | 0.01 |" in text
    assert "†: the lowest or the highest that was tried" in text


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.id)
def test_a_quick_study_is_made_judged_and_drawn(claim):
    import matplotlib.pyplot as plt

    runs = all_runs(claim, lambda c: {"validation": 0.5, "test": 0.5, "own": 0.5, "exact": 0.5}, Scale(2, quick=True))
    assert len(runs.runs) == 8 * 2 + 8 * 2
    assert claim.verdict(runs).word == "not at this scale"
    plt.close(claim.figure(runs))
    assert claim.tables(runs)
    one = runs.where(stage="final", norm=BATCH).runs[0].config
    assert set(plain(claim.run(one, DIGITS))) == {"loss", "test", "own", "exact"}
