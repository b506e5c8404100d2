"""Made-up results of the claim `steps`: its own plan, answered with curves that rise where they are told to."""

import numpy as np

from minidl.lab.paper import steps
from minidl.lab.paper._reach import times
from minidl.lab.paper._steps_run import kind
from minidl.lab.study.claim import Result, Run, Scale, plain

TARGET, LATE = 0.75, 2400
BUDGET = 3500  # steps of a study in which these arrivals would be; a shorter one shortens them
SOON = {
    "BN": 800, "BN, own rate": 720, "BN-x5": 240, "BN-x30": 200, "tuned plain": 960, "plain, retuned": 1080,
    "BN, retuned": 270, "plain × 5": None, "plain × 30": None, "sigmoid": None, "sigmoid, standardised": None,
    "BN-x5-Sigmoid": None,
}  # fmt: skip
BEST = {
    "BN, own rate": 0.8, "BN-x5": 0.78, "BN-x30": 0.82, "BN-x5-Sigmoid": 0.6, "sigmoid": 0.1, "sigmoid, standardised": 0.1,
    "plain × 5": 0.7, "plain × 30": 0.1, "plain, retuned": 0.76, "BN, retuned": 0.81,
}  # fmt: skip


def study(soon=(), best=(), right=(0.7, 0.75, 0.65, 0.7), seeds=5, spread=0.08, wobble=0.0):
    """A Result of the whole plan.

    soon    arm → about the step of BUDGET at which it reaches the target, or None
    best    arm → its highest accuracy
    right   shares of test images: one with batch norm, six of them, one plain, six of them
    spread  how much arrivals differ by seed, relatively; `wobble`: how much the plain network's best does
    """
    soon, best = SOON | dict(soon), BEST | dict(best)
    plan, runs, answer = steps.CLAIM.plan(Scale(seeds)), [], None
    while True:
        try:
            configs = plan.send(answer)
        except StopIteration:
            return Result(tuple(runs))
        answer = Result(tuple(Run(plain(c), plain(record(c, soon, best, right, spread, wobble))) for c in configs))
        runs += answer.runs


def record(config, soon, best, right, spread, wobble):
    arm = config["arm"].removeprefix("stack: ")
    if config["stage"] == "tune":
        return {"validation": 0.7 - abs(np.log2(config["lr"] / 0.04)) / 50, "accuracy": [], "diverged": None}
    if config["stage"] == "time":
        return {kind({**config, **one}): 25.0 + i for i, one in enumerate(config["kinds"])}
    if config["stage"] == "ensemble":
        one, six = right[:2] if config["norm"] == "batch" else right[2:]
        alone, together = (
            ["0" if i % 100 >= 100 * share else sign for i in range(2000)] for share, sign in ((one, "6"), (six, "1"))
        )
        return {"accuracy": [one, six], "alone": "".join(alone), "together": "".join(together)}
    there, high = soon.get(arm, LATE), best.get(arm, TARGET)
    high += wobble * (config["seed"] - 2) * (arm == "plain")
    at = np.array(times(config["steps"], config["first"]))
    if there is None:
        curve = np.full(len(at), min(high, TARGET - 0.05))
    else:
        there *= steps.STEPS / BUDGET * (1 + spread * np.cos(2.1 * config["seed"] + len(arm)))  # no two arms alike
        curve = np.where(at >= there, high, TARGET / 2)
    return {"accuracy": curve, "validation": high, "diverged": None}
