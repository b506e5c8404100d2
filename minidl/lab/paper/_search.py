"""Choosing learning rate, decay and start for several arms at once, each as carefully as the others, on validation images.

Every arm goes the same way, side by side, so that processes are busy:

1. all rates of the grid, a factor of two apart, with one seed; while the best is at an edge, one more beyond it
2. the other decays that the arm may have: a slower one at the best rate and half of it, a faster one at the best rate and
   twice of it
3. the other starts that it may have, at half, once and twice the best rate
4. the two best settings with more seeds; the better mean is chosen
"""

from minidl.lab.study.claim import Result

__all__ = ["DECAYS", "SEEDS", "STARTS", "cells", "chosen", "search"]

DECAYS = (1 / 16, 1 / 4, 1 / 64)  # of the rate over the whole run; the first is where the search begins
STARTS = ("He", "standardised")
SEEDS = (1000, 1001, 1002)  # never those of the results
BEYOND = 3  # rates that may be added to a grid


def search(arms, scale):
    """Try settings, as a part of a plan: `found = yield from search(arms, scale)`, a Result for `chosen`.

    arms    name → (settings, rates, decays, starts); of decays and starts the first is where the search begins, and with
            only one there is no choice
    Quick   the first two rates, one seed, no more
    """
    if scale.quick:
        arms = {name: (arm[0], arm[1][:2], arm[2][:1], arm[3][:1]) for name, arm in arms.items()}
    found, wanted = Result(()), {name: _grid(*arm[1:]) for name, arm in arms.items()}
    for _ in range(1 if scale.quick else 1 + BEYOND):
        found = yield from _try(arms, found, wanted, SEEDS[:1])
        wanted = {name: _beyond(found, name) for name in arms}
    if scale.quick:
        return found
    wanted = {name: _other_decays(_best(found, name), arm[2]) for name, arm in arms.items()}
    found = yield from _try(arms, found, wanted, SEEDS[:1])
    wanted = {name: _other_starts(_best(found, name), arm[3]) for name, arm in arms.items()}
    found = yield from _try(arms, found, wanted, SEEDS[:1])
    wanted = {name: _order(found, name)[:2] for name in arms}
    return (yield from _try(arms, found, wanted, SEEDS[1:]))


def _try(arms, found, wanted, seeds):
    """Run the cells that are wanted; returns all runs so far. A stage for which nobody wants anything is left out."""
    configs = [
        {**arms[name][0], "arm": name, "stage": "tune", "lr": lr, "decay": decay, "start": start, "seed": seed}
        for name, settings in wanted.items()
        for lr, decay, start in settings
        for seed in seeds
    ]
    if not configs:
        return found
    more = yield configs
    return Result(found.runs + more.runs)


def cells(found, arm):
    """Return the settings that an arm has tried: (lr, decay, start) → its validation accuracies, one per seed."""
    tried = {}
    for run in found.where(arm=arm, stage="tune").runs:
        cell = tuple(run.config[name] for name in ("lr", "decay", "start"))
        tried.setdefault(cell, []).append(run.record["validation"])
    return tried


def chosen(found, arm):
    """Return the settings of an arm that are best on validation images: {"lr", "decay", "start"}.

    Only those count that have as many seeds as any: the others were tried, and given up.
    """
    return dict(zip(("lr", "decay", "start"), _best(found, arm), strict=True))


def _best(found, arm):
    return _order(found, arm)[0]


def _order(found, arm):
    """The cells with most seeds, best first; of equal ones the smaller rate."""
    tried = cells(found, arm)
    most = max(map(len, tried.values()))
    means = {cell: sum(values) / most for cell, values in tried.items() if len(values) == most}
    return sorted(means, key=lambda cell: (-means[cell], cell[0]))


def _grid(rates, decays, starts):
    return [(lr, decays[0], starts[0]) for lr in rates]


def _beyond(found, arm):
    """The next rate, if the best one is the lowest or the highest that was tried."""
    lr, *rest = _best(found, arm)
    rates = [cell[0] for cell in cells(found, arm)]
    further = 2 * lr if lr == max(rates) else lr / 2
    return [(further, *rest)] if lr in (min(rates), max(rates)) else []


def _other_decays(best, decays):
    lr, decay, start = best
    return [
        (rate, other, start)
        for other in decays
        if other != decay
        for rate in ((lr / 2, lr) if other > decay else (lr, 2 * lr))
    ]


def _other_starts(best, starts):
    lr, decay, start = best
    return [(factor * lr, decay, other) for other in starts if other != start for factor in (0.5, 1, 2)]
