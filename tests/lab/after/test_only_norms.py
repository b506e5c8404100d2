"""Only γ and β: what is frozen stays as it was drawn, as many other numbers are trained, and verdicts follow."""

import copy
import json

import numpy as np
import pytest

from minidl import nn
from minidl.lab.after import only_norms
from minidl.lab.after.only_norms import ALL, ARMS, LAST, NORMS, OTHERS
from minidl.lab.models import resnet8
from minidl.lab.paper import _photos
from minidl.lab.photos import made_up as pictures
from minidl.lab.study.claim import plain
from tests.lab.after.test_graph_claims import all_runs
from tests.lab.paper.synthetic import finals

CLAIM = only_norms.CLAIM
PHOTOS = pictures(200, 60)


def model_and_masks(arm):
    model = resnet8(generator=np.random.default_rng(0))
    return model, only_norms._freeze(model, arm, np.random.default_rng(1))


def test_images_are_halved():
    images = np.random.default_rng(0).normal(size=(2, 6, 4, 3)).astype(np.float32)
    naive = np.array(
        [
            [[images[n, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2].mean((0, 1)) for j in range(2)] for i in range(3)]
            for n in (0, 1)
        ]
    )
    assert only_norms.halved(images) == pytest.approx(naive, abs=1e-6)
    assert only_norms.halved(images).dtype == np.float32


@pytest.mark.parametrize("arm", ARMS)
def test_only_what_is_named_changes(arm):
    model, masks = model_and_masks(arm)
    before, names = copy.deepcopy(model.state_dict()), {id(p): name for name, p in model.named_parameters()}
    kept = {names[id(p)]: mask for p, mask in masks.items()}
    config = {"trained": arm, "steps": 2, "lr": 0.1, "seed": 0}
    assert only_norms._train(model, masks, _photos.split(PHOTOS), config) is None
    changed = {name: model.state_dict()[name] != before[name] for name in names.values()}
    for layer_name, layer in model.named_modules():
        for name in ("weight", "bias"):
            full = f"{layer_name}.{name}"
            if full not in changed:
                continue
            wanted = {
                NORMS: isinstance(layer, nn.BatchNorm), LAST: isinstance(layer, nn.Linear),
                OTHERS: isinstance(layer, nn.Conv2d), ALL: True,
            }[arm]  # fmt: skip
            assert changed[full].any() == wanted, full
            if full in kept:
                assert not changed[full][~kept[full]].any()


def test_as_many_other_weights_as_numbers_of_norms():
    counts = {arm: only_norms._count(*model_and_masks(arm)) for arm in ARMS}
    assert counts[NORMS] == counts[OTHERS]
    norms = [m for m in model_and_masks(ALL)[0].modules() if isinstance(m, nn.BatchNorm)]
    assert counts[NORMS] == sum(2 * norm.features for norm in norms)
    assert counts[LAST] == 65 * 10
    _, masks = model_and_masks(OTHERS)
    for mask in masks.values():
        assert (mask.reshape(-1, mask.shape[-1]).sum(0) == 2).all()


def test_a_run_is_plain_and_the_same_again():
    config = {"trained": NORMS, "steps": 3, "lr": 0.1, "seed": 5}
    record = only_norms.run(config, PHOTOS)
    assert record == only_norms.run(config, PHOTOS)
    assert record["trained"] == 672
    json.dumps(plain(record), allow_nan=False)
    assert only_norms.run({**config, "lr": 1e30, "trained": ALL}, PHOTOS)["test"] == pytest.approx(0.1, abs=0.15)


def test_each_arm_has_its_own_rate():
    best = {arm: grid[place] for place, (arm, grid) in zip((0, 1, 2, 1), only_norms.GRIDS.items(), strict=True)}
    runs = all_runs(CLAIM, lambda c: {"validation": -abs(np.log(c["lr"] / best[c["arm"]])), "test": 0.5})
    for arm in ARMS:
        assert runs.where(stage="final").settings("lr", arm=arm) == [best[arm]]
    assert not set(runs.where(stage="tune").settings("seed")) & set(runs.where(stage="final").settings("seed"))


def made_up(norms, others, last, spread=1e-3):
    means = {NORMS: norms, OTHERS: others, LAST: last, ALL: 0.6}
    counts = {NORMS: 672, OTHERS: 672, LAST: 650, ALL: 78042}
    result = finals("test", {arm: ({}, mean) for arm, mean in means.items()}, spread=0)
    for run in result.runs:
        arm, seed = run.config["arm"], run.config["seed"]
        run.record.update(test=run.record["test"] + spread * (seed - 1) * (1 + (arm == NORMS)), trained=counts[arm])
    return result


@pytest.mark.parametrize(
    ("norms", "others", "last", "spread", "word"),
    [
        (0.4, 0.3, 0.3, 1e-3, "reproduced"),
        (0.4, 0.45, 0.3, 1e-3, "partly"),
        (0.4, 0.3, 0.45, 1e-3, "partly"),
        (0.4, 0.45, 0.45, 1e-3, "contradicted"),
        (0.18, 0.12, 0.12, 1e-3, "not at this scale"),  # not far from chance
        (0.4, 0.39, 0.41, 0.1, "not at this scale"),
    ],
)
def test_verdicts(norms, others, last, spread, word):
    assert CLAIM.verdict(made_up(norms, others, last, spread)).word == word


def test_numbers_and_figure():
    verdict = CLAIM.verdict(made_up(0.4, 0.3, 0.45, 4e-4))
    assert verdict.number.startswith("γ and β alone: 40.0")
    assert "+10.0 ± 0.1 points from as many other weights, −5.0 ± 0.1 from the last layer" in verdict.number
    assert "all (78,042 numbers) 60.0" in verdict.because
    for settings, title in (((0.4, 0.3, 0.3), "More than either of the two"), ((0.4, 0.3, 0.45), f"More than {OTHERS}"),
                            ((0.4, 0.45, 0.45), "Less than both")):  # fmt: skip
        titles = [ax.get_title(loc="left") or ax.get_title() for ax in CLAIM.figure(made_up(*settings)).axes]
        assert titles == ["γ and β alone reach 40 %", title]
