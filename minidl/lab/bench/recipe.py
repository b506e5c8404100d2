"""The benchmark of a whole recipe: `minidl cifar` against the same training in PyTorch, steps of an epoch in turns.

Everyone starts from the same weights, sees the same images in the same order, mirrored and shifted alike, and augments them
in its own way. Who loses another loss in the first three steps is left out, as in every contest.
"""

import dataclasses
import datetime
from pathlib import Path
from typing import NamedTuple

import numpy as np

import minidl
from minidl.data.augment import alternating_flip
from minidl.lab import recipe
from minidl.lab.bench.cases import Case
from minidl.lab.bench.contest import Budget, Team
from minidl.lab.bench.environment import pinned, worker_environment
from minidl.lab.bench.quartiles import five_digits, quartiles, speed_ratio
from minidl.lab.bench.remote import Contender, minidl_at
from minidl.lab.bench.worker import WARM_UP
from minidl.system.machine import machine
from minidl.system.progress import progress
from minidl.system.tables import markdown_table, text_table

__all__ = ["RECIPE_PEERS", "Plan", "as_table", "contenders", "make_plan", "measure_recipe", "recipe_record"]

_HERE = Path(__file__).parent
RECIPE_PEERS = {
    "eager": Contender("torch eager", _HERE / "recipe_torch.py", "eager", "torch"),
    "channels-last": Contender("torch channels-last", _HERE / "recipe_torch.py", "channels-last", "torch"),
}
_UNTIMED = 1 + WARM_UP, 1  # steps before the first turn, and before each


class Plan(NamedTuple):
    """What is trained, and how much of it: so many timed steps in each of so many turns."""

    training: recipe.Training
    classes: int
    steps: int
    rounds: int

    @property
    def done(self):
        """Steps after all turns; if less than an epoch is then left, it is trained too, untimed."""
        first, each = _UNTIMED
        done = first + self.rounds * (each + self.steps)
        return self.training.steps if self.training.steps - done < self.training.per_epoch else done


def contenders(peers):
    """Return minidl and those of the peers that were asked for."""
    ours = dataclasses.replace(minidl_at(), file=_HERE / "recipe_ours.py")
    return ours, *(RECIPE_PEERS[name] for name in peers)


def make_plan(settings, photos, steps=None, rounds=None):
    """Make a plan; by default a turn is an epoch, and there are three.

    Errors  ValueError for more steps than the training has
    """
    training = recipe.Training(settings, photos)
    first, each = _UNTIMED
    steps = steps or max(1, training.per_epoch - each)
    most = (training.steps - first) // (each + steps)
    rounds = rounds or min(3, most)
    if not 0 < rounds <= most:
        raise ValueError(
            f"{rounds} turns of {steps} steps do not fit into the {training.steps} steps of this training; use at most "
            f"{max(most, 0)}, fewer --steps, or more epochs"
        )
    return Plan(training, len(photos.classes), steps, rounds)


def write_start(plan, path):
    """Write what all contenders begin with: images, labels, which are mirrored first, and the initial weights."""
    training, seed = plan.training, plan.training.settings.seed
    n = len(training.train.labels)
    probe = np.tile(np.array([0, 1], np.uint8).reshape(1, 1, 2, 1), (n, 1, 1, 1))
    arrays = {
        "train_images": training.train.images, "train_labels": training.train.labels,
        "test_images": training.test.images, "test_labels": training.test.labels,
        "mean": training.mean, "std": training.std,
        "mirrored_first": alternating_flip(probe, np.arange(n), 0, seed)[:, 0, 0, 0] == 1,
    }  # fmt: skip
    if training.mirror:
        arrays |= {f"pairs {i}": pairs for i, pairs in enumerate(training.mirror.pairs)}
    weights = {f"weight {name}": parameter.data for name, parameter in training.model.named_parameters()}
    np.savez(path, **arrays, **weights)


def case_of(plan, path):
    """Describe the training for the processes of the contenders."""
    training = plan.training
    options = {
        "file": str(path), "settings": dataclasses.asdict(training.settings), "classes": plan.classes,
        "steps": training.steps,
        "recipe": {
            "momentum": recipe.MOMENTUM, "muon_momentum": recipe.MUON_MOMENTUM, "muon_steps": recipe.MUON_STEPS,
            "schedule": training.schedules[0].points, "bias_epochs": recipe.BIAS_EPOCHS,
        },
    }  # fmt: skip
    size = training.settings.batch_size
    return Case("recipe", "cifar", f"batch {size}", {}, 0, 0, options)


def measure_recipe(plan, everyone, threads, isa, scratch):
    """Train in turns; returns name → `contest.Measured`, what the contenders told about themselves, who was left out."""
    path = Path(scratch, "recipe.npz")
    write_start(plan, path)
    environment = worker_environment(isa, threads)
    with progress(desc="recipe", total=len(everyone) * (3 + plan.rounds), unit="turn") as bar:

        def on_turn(name):
            bar.set_postfix_str(name)
            bar.update(1)

        with Team(everyone, lambda contender: environment, threads, on_turn) as team:
            measured = team.compare(
                case_of(plan, path), Budget(plan.rounds, 0, plan.steps), finish={"least": plan.done}
            )
            return measured, team.about, team.left_out


def recipe_record(plan, result, threads, isa, arguments, model, source):
    """Return everything as one dict for JSON."""
    measured, about, left_out = result
    return {
        "minidl": minidl.__version__,
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "arguments": arguments,
        "machine": machine(),
        "threads": threads,
        "isa": isa,
        "pinned_in_environment": pinned(),
        "contenders": about,
        "model": model,
        "settings": dataclasses.asdict(plan.training.settings) | {"widths": list(plan.training.settings.widths)},
        "data": source,
        "steps_of_an_epoch": plan.training.per_epoch,
        "steps_of_the_training": plan.training.steps,
        "timed_steps_of_a_turn": plan.steps,
        "results": {name: _entry(name, measured, plan) for name in measured},
        "left_out": [{"contender": who, "case": case, "reason": reason} for who, case, reason in left_out],
    }


def _entry(name, measured, plan):
    """Times of an epoch: the median step of each turn, times the steps of an epoch; quartiles over turns."""
    one = measured[name]
    epoch = {
        key: five_digits(plan.training.per_epoch * value) for key, value in quartiles(one.rounds)._asdict().items()
    }
    against = {other: speed_ratio(one.rounds, measured[other].rounds) for other in measured if other != name}
    return {
        "epoch_s": epoch,
        "turns_s": [five_digits(plan.training.per_epoch * float(np.median(times))) for times in one.rounds],
        "first_step_s": five_digits(one.first),
        "cores_busy": five_digits(float(np.median(one.cores))),
        "peak_mb": one.memory and round(one.memory / 1e6),
        "against": {other: {k: five_digits(v) for k, v in ratio._asdict().items()} for other, ratio in against.items()},
        **(one.result or {}),
    }


def as_table(record, markdown=False):
    """Lay out the record, with a sentence on what was done."""
    results, threads = record["results"], record["threads"]
    turns = {len(entry["turns_s"]) for entry in results.values()}
    done = {entry["steps"] for entry in results.values() if "steps" in entry}
    text = (
        f"{record['model']} on {record['data']}, {threads} thread{'s' * (threads > 1)}: {_or(turns)} turns of "
        f"{record['timed_steps_of_a_turn']} steps (an epoch has {record['steps_of_an_epoch']}), medians and quartiles over "
        f"the turns; accuracy on the test images after {_or(done)} of {record['steps_of_the_training']} steps, one view."
    )
    missing = [f"left out: {each['contender']}: {each['reason']}" for each in record["left_out"]]
    peers = [name for name in results if name != "minidl"]
    rows = [["", "an epoch (s)", *(f"× as fast as {name}" for name in peers), "accuracy", "memory"]]
    for name, entry in results.items():
        ratios = [_range(entry["against"].get(peer), 2) for peer in peers]
        accuracy = f"{100 * entry['accuracy']:.2f} %" if "accuracy" in entry else "–"
        memory = f"{entry['peak_mb']:,} MB" if entry["peak_mb"] else "–"
        rows.append([name, _range(entry["epoch_s"], 1), *ratios, accuracy, memory])
    return "\n\n".join([text, (markdown_table if markdown else text_table)(rows), *missing])


def _or(numbers):
    return " or ".join(map(str, sorted(numbers))) or "no"


def _range(numbers, digits):
    if numbers is None:
        return "–"
    low, median, high = (f"{numbers[key]:.{digits}f}" for key in ("low", "median", "high"))
    return f"{median} ({low}–{high})"
