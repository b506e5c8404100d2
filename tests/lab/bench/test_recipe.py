"""The recipe in PyTorch is the recipe in minidl; how much of it is trained; and what the benchmark says of it."""

import copy
import json

import numpy as np
import pytest

from minidl import nn
from minidl.lab.bench import recipe, recipe_ours
from minidl.lab.bench.contest import Measured
from minidl.lab.models import cifar_net
from minidl.lab.photos import made_up
from minidl.lab.recipe import settings_for
from tests.helpers import JIT

pytestmark = pytest.mark.skipif(not JIT, reason="takes minutes without compiled kernels")
SMALL = {"widths": (4, 6, 6), "batch_size": 16, "epochs": 6.0}


@pytest.fixture(scope="module")
def photos():
    return made_up(40, 12)


def plan_of(photos, model="fast", steps=1, rounds=1, **changes):
    return recipe.make_plan(settings_for(model, **SMALL | changes), photos, steps, rounds)


def message(plan, folder):
    recipe.write_start(plan, folder / "recipe.npz")
    return json.loads(json.dumps(recipe.case_of(plan, folder / "recipe.npz").message()))  # as it arrives


# ---- the twin ----------------------------------------------------------------------------------------------------------

CLOSE = 1e-4  # how far weights may be apart, in the largest of their array
SLOWLY = {
    "lr": 20.0,
    "muon_lr": 0.005,
}  # at its own rate Muon makes the last bits 0.3 % of the loss within twelve steps
TWINS = {"fast": ("eager", "channels-last"), "plain": ("eager",)}
WRONG = {
    "momentum": lambda case: case["recipe"].update(momentum=0.9),
    "shift": lambda case: case["settings"].update(shift=1),
    "cutout": lambda case: case["settings"].update(cutout=7),
    "schedule": lambda case: case["recipe"].update(schedule=[[0, 1.0]]),
    "bias_epochs": lambda case: case["recipe"].update(bias_epochs=1),
    "bias_lr": lambda case: case["settings"].update(bias_lr=1.0),
    "decay": lambda case: case["settings"].update(decay=0.5),
    "label_smoothing": lambda case: case["settings"].update(label_smoothing=0.0),
    "muon_lr": lambda case: case["settings"].update(muon_lr=0.006),
    "muon_momentum": lambda case: case["recipe"].update(muon_momentum=0.0),
    "mirror": lambda case: case["settings"].update(mirror=False),
    "muon_steps": lambda case: case["recipe"].update(muon_steps=2),
}


@pytest.fixture(autouse=True)
def random_filters(monkeypatch):
    """All are drawn. Where channels are passed on, neighbouring windows hold the same pixel, and rounding decides between
    equal ones which of them gets a gradient.
    """

    def drawn(*given, **named):
        model = cifar_net(*given, **named)
        for i, layer in enumerate(model):
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, np.random.default_rng(i))
        return model

    monkeypatch.setattr("minidl.lab.recipe.cifar_net", drawn)


@pytest.fixture
def torch_recipe():
    """The contender, on one thread: on a busy machine PyTorch's wait for each other."""
    torch = pytest.importorskip("torch")
    from minidl.lab.bench import recipe_torch

    threads = torch.get_num_threads()
    recipe_torch.start("", 1)
    yield recipe_torch
    torch.set_num_threads(threads)


def trained(peer, case, variant="eager"):
    """The contender at the end of the training, the losses of all steps, and its weights in minidl's layout."""
    built, losses = peer.build(case, {}, variant), []
    for _ in range(case["steps"]):
        built.step()
        losses += built.check()
    if peer is recipe_ours:
        return built, losses, {name: p.data for name, p in built.training.model.named_parameters()}
    order = {1: (0,), 2: (1, 0), 4: (2, 3, 1, 0)}
    found = {name: p.detach().numpy() for name, p in built.model.named_parameters()}
    return built, losses, {name: array.transpose(order[array.ndim]) for name, array in found.items()}


def distance(weights, others):
    return max(np.abs(weights[name] - others[name]).max() / np.abs(others[name]).max() for name in others)


@pytest.mark.parametrize("model", TWINS)
def test_pytorch_trains_the_same_network_in_the_same_way(photos, tmp_path, torch_recipe, model):
    """To the end of a short training: the first bias freezes, the rates fall to 0."""
    case = message(plan_of(photos, model, **SLOWLY), tmp_path)
    ours, losses, weights = trained(recipe_ours, case)
    for variant in TWINS[model]:
        theirs, other_losses, other_weights = trained(torch_recipe, case, variant)
        np.testing.assert_allclose(other_losses, losses, rtol=1e-5, err_msg=variant)
        assert distance(other_weights, weights) < CLOSE
        ends = ours.result(0), theirs.result(0)
        assert [end["steps"] for end in ends] == [case["steps"]] * 2
        assert abs(ends[0]["accuracy"] - ends[1]["accuracy"]) <= 1 / 12 + 1e-9  # one image


def test_another_number_in_the_recipe_leads_elsewhere(photos, tmp_path, torch_recipe, monkeypatch):
    case = message(plan_of(photos, **SLOWLY), tmp_path)
    _, _, right = trained(torch_recipe, case)
    for what, change in WRONG.items():
        wrong = copy.deepcopy(case)
        change(wrong)
        assert distance(trained(torch_recipe, wrong)[2], right) > 2 * CLOSE, what
    for method in ("_keep_length", "_average"):
        with monkeypatch.context() as patch:
            patch.setattr(torch_recipe.Recipe, method, lambda self, *given, **named: None)
            assert distance(trained(torch_recipe, case)[2], right) > 2 * CLOSE, method


# ---- how much ----------------------------------------------------------------------------------------------------------


def test_by_default_a_turn_is_an_epoch(photos):
    plan = recipe.make_plan(settings_for(**SMALL | {"batch_size": 4}), photos)
    assert plan.training.per_epoch == 10
    assert (plan.steps, plan.rounds) == (9, 3)  # and one before each turn, untimed


@pytest.mark.parametrize(
    ("steps", "rounds", "done"),
    [(1, 1, 5), (1, 2, 7), (2, 2, 9), (3, 2, 12), (1, 4, 12)],  # 12 in all, 2 an epoch: what is left is trained too
)
def test_less_than_an_epoch_is_not_left_over(photos, steps, rounds, done):
    assert plan_of(photos, steps=steps, rounds=rounds).done == done


@pytest.mark.parametrize(("steps", "rounds"), [(1, 5), (9, 1), (20, None)])
def test_more_turns_than_the_training_has_steps_for(photos, steps, rounds):
    with pytest.raises(ValueError, match="do not fit into the 12 steps of this training; use at most"):
        recipe.make_plan(settings_for(**SMALL), photos, steps, rounds)


# ---- what it says ------------------------------------------------------------------------------------------------------


def a_record(plan, left_out=(), **measured):
    about = {"minidl": {"versions": {"minidl": "1"}, "instructions": {}}}
    names = {"eager": "torch eager"}
    results = {names.get(name, name): one for name, one in measured.items()}
    return recipe.recipe_record(plan, (results, about, left_out), 1, "native", ["--recipe", "cifar"], "fast", "noise")


def one(*rounds, accuracy=0.5):
    result = {"steps": 9, "loss": 1.0, "accuracy": accuracy}
    return Measured(1.0, [list(times) for times in rounds], [1.0] * len(rounds), 200_000_000, result)


def test_the_record_and_its_table(photos):
    plan = plan_of(photos, steps=2, rounds=3)
    times = one([1, 1, 9], [1, 1], [2, 2]), one([3, 3], [4, 4], [4, 4], accuracy=0.25)
    record = a_record(plan, [("torch channels-last", "cifar batch 16", "no layout")], minidl=times[0], eager=times[1])
    json.dumps(record, allow_nan=False)
    ours = record["results"]["minidl"]
    assert ours["epoch_s"] == {"low": 2, "median": 2, "high": 3}  # two steps an epoch
    assert ours["against"]["torch eager"]["median"] == 3
    assert ours["turns_s"] == [2, 2, 4]
    table = recipe.as_table(record)
    assert "fast on noise, 1 thread: 3 turns of 2 steps (an epoch has 2)" in table
    assert "after 9 of 12 steps" in table
    row = next(line for line in table.splitlines() if line.startswith("minidl"))
    assert row.split() == ["minidl", "2.0", "(2.0–3.0)", "3.00", "(2.50–3.50)", "50.00", "%", "200", "MB"]
    assert "left out: torch channels-last: no layout" in table
    assert "| minidl | 2.0 (2.0–3.0) | 3.00 (2.50–3.50) | 50.00 % | 200 MB |" in recipe.as_table(record, markdown=True)


def test_a_table_of_nobody(photos):
    table = recipe.as_table(a_record(plan_of(photos), [("minidl", None, "no Numba")]))
    assert "left out: minidl: no Numba" in table
