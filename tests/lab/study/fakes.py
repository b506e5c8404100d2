"""A small claim, whose runs are quick and know where they happened."""

import os

import numpy as np

from minidl import get_num_threads
from minidl.lab.study.claim import Claim, Verdict
from minidl.lab.study.statistics import t_interval


def plan(scale):
    first = yield [{"stage": 1, "seed": seed} for seed in range(scale.seeds)]
    best = max(first.runs, key=lambda run: run.record["value"]).config["seed"]
    yield [{"stage": 2, "seed": seed, "best": best} for seed in range(scale.seeds)]


def run(config, digits=None):
    noise = np.random.default_rng([config["seed"], config["stage"]]).standard_normal(1000)
    matrix = noise.reshape(25, 40).astype(np.float32)
    product = float((matrix @ matrix.T).sum())
    return {"value": noise.mean() + config.get("best", 0), "product": product, "noise": noise[:3], "missing": np.nan}


def run_and_tell(config, digits=None):
    return {**run(config), "process": os.getpid(), "threads": get_num_threads()}


def fail_at_one(config, digits=None):
    if config["seed"] == 1 and config["stage"] == 2:
        raise FloatingPointError("no number")
    return run(config)


def with_digits(config, digits):
    return {"value": float(digits.train.images.mean())}


def verdict(result):
    interval = t_interval(result.values("value", stage=2))
    return Verdict(
        "reproduced" if interval.above_zero else "not at this scale", interval.text(), "Seen.", {"mean": interval}
    )


def figure(result):
    from minidl.lab import plot

    figure, (ax,) = plot.panels(1)
    plot.intervals(ax, {"value": result.values("value", stage=2)}, "title", "value")
    return figure


def claim(run=run, id="fake", **others):
    texts = dict(section="§9", statement="It | works.", method="Try.", rule="See.", limits="Much.")
    return Claim(
        **{
            **texts,
            "id": id,
            "plan": plan,
            "run": run,
            "verdict": verdict,
            "figure": figure,
            "data": None,
            **others,
        }
    )
