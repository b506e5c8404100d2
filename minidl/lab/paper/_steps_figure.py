"""The figure of the claim `steps`: curves like the paper's Figure 2, speed-ups, and one change at a time."""

import numpy as np

from minidl.lab.paper._reach import SMOOTH
from minidl.lab.paper._steps_arms import ARMS, RETUNED, WATERFALLS
from minidl.lab.paper._steps_verdict import LONG, Curves

__all__ = ["figure"]

SHOWN = ("plain", "BN", "BN-x5", "BN-x30", "BN-x5-Sigmoid", "tuned plain")  # the paper's five, and ours


def figure(result):
    """Validation accuracy over steps for three studies, the speed-up of each arm, and the way from plain to BN-x5."""
    from minidl.lab import plot

    figure, axes = plot.panels(
        3, 2, size=(5.4, 4.3),
        note="left of a speed-up of 1: slower. A seed that never reaches the target counts as if it did at the end (0 of 3: "
        "none does)",
    )  # fmt: skip
    curves, stack, long = Curves(result), Curves(result, network="stack"), Curves(result, "long")
    _accuracy(plot, axes[0], curves, SHOWN, "Inception")
    _accuracy(plot, axes[1], stack, ("plain", "BN", "BN-x5", "tuned plain"), "Plain stack")
    _accuracy(plot, axes[2], long, LONG, "4× the steps")
    arms = [arm for arm in ARMS | RETUNED if arm != "plain"]
    fastest = max(arms, key=lambda arm: np.log(_ratios(curves, arm)).mean())
    rows = {_name(curves, arm): _ratios(curves, arm) for arm in arms}
    _speeds(plot, axes[3], rows, f"Soonest at the plain network's best: {fastest}")
    for ax, fall, order in zip(axes[4:], WATERFALLS, ("One by one", "Reversed"), strict=True):
        steps = np.diff([np.log(_ratios(curves, arm)).mean() for arm in fall.values()])
        most = list(fall)[1 + int(np.argmax(steps))]
        rows = {_name(curves, arm, f"+ {name}"): _ratios(curves, arm) for name, arm in fall.items() if name != "plain"}
        _speeds(plot, ax, rows, f"{order}: most is won by {most}")
    return figure


def _name(curves, arm, name=None):
    """Name a row, and say how many seeds arrived, if not all did."""
    runs = list(curves.arrivals(arm).values())
    there = int(np.isfinite(runs).sum())
    return (name or arm) + ("" if there == len(runs) else f" ({there} of {len(runs)})")


def _accuracy(plot, ax, curves, arms, name):
    steps = curves.at[SMOOTH - 1 :]
    lines = {arm: (steps, 100 * curves.curves(arm)) for arm in arms}
    soonest = max(arms, key=lambda arm: curves.speed(arm).mean)
    title = f"{name}: first to reach {100 * curves.target:.1f} %: {soonest}"
    plot.lines(ax, lines, title, "training step", "validation accuracy (%)", log="")
    ax.set_ylim(0)
    ax.axhline(100 * curves.target, color="0.4", linewidth=1, linestyle=(0, (2, 2)), zorder=1)


def _ratios(curves, arm):
    """Speed-ups, one per seed, where a run that never arrives counts as if it did at the end."""
    plain, own = curves.arrivals("plain"), curves.arrivals(arm)
    return np.array(
        [np.nan_to_num(plain[s], nan=curves.budget) / np.nan_to_num(own[s], nan=curves.budget) for s in own]
    )


def _speeds(plot, ax, rows, title):
    plot.intervals(ax, rows, title, "speed-up, a small dot a seed", log=True)
    ax.axvline(1, color="0.4", linewidth=1, linestyle=(0, (2, 2)), zorder=1)
