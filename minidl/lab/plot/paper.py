"""Figure 1 of the batch normalization paper, with the panel that the paper leaves out.

Source: Ioffe and Szegedy 2015, section 4.1.
"""

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from minidl.lab.plot._check import check_curve, check_fractions, check_mapping, check_percentiles
from minidl.lab.plot._style import dress, new_figure
from minidl.lab.plot.curves import draw_accuracies
from minidl.lab.plot.distributions import draw_band, movement

__all__ = ["figure1"]

_ARMS = {"batch": ("with BN", 0), "none": ("without BN", 1)}  # name, number of the colour
_PANELS = {  # letter: arm, what is drawn, where it is measured
    "b": ("none", "input_percentiles", "Without BN"),
    "c": ("batch", "input_percentiles", "With BN"),
    "d": ("batch", "before_percentiles", "With BN, before normalising"),
}
_MODELS = {  # how the title continues, the last activation, settings that have no effect
    "mlp": ("run again", "sigmoid", ()),
    "conv": ("with a convolutional network", "ReLU", ("init_std",)),
}
_BANDS = "lower panels: the line is the median, the band goes from the 15th to the 85th percentile"
_SETTINGS = {
    "steps": "{:,} steps", "lr": "learning rate {:g}", "momentum": "momentum {:g}",
    "init_std": "initial weights of std {:g}", "batch_size": "batches of {}", "seed": "seed {}",
}  # fmt: skip


def figure1(arms: Mapping, *, settings: Mapping, source: str) -> Figure:
    """Draw the paper's Figure 1: (a) test accuracy; the input of one sigmoid of the last hidden layer, as percentiles
    {15, 50, 85} over training, (b) without and (c) with batch normalization; and, which the paper leaves out, (d) the
    same unit before it is normalised.

    arms      "none", "batch" or both; each a dict:
              steps (T,), accuracy (T,) in 0 … 1, steps_to_95 (a number or None), final_accuracy, unit,
              input_percentiles (T, 3), and for "batch" before_percentiles (T, 3)
    settings  of the run; of these are printed: steps, lr, momentum, init_std, batch_size, seed. The "model" is "mlp",
              the paper's network (this is assumed), or "conv", which the title tells and which has no init_std.
    source    where the digits come from
    (b) and (c) share their scale; (d) has its own, and says so. Their titles state what can be compared between all
    three: how far the median moves (its highest minus its lowest value), in mean widths of the band.
    Errors    ValueError for no or unknown arms, missing entries, and wrong shapes
    """
    arms = _checked(arms)
    model = settings.get("model", "mlp")
    if model not in _MODELS:
        raise ValueError(f"figure1: settings has the model {model!r}; it must be one of {', '.join(_MODELS)}")
    title, activation, without = _MODELS[model]
    known = [text.format(settings[key]) for key, text in _SETTINGS.items() if key in settings and key not in without]
    if any(_last(arm) < settings.get("steps", 0) for arm in arms.values()):
        known.append("stopped early")
    caption = f"{_BANDS}\n{' · '.join([*known, f'data: {source}'])}"
    letters = [letter for letter, (arm, *_) in _PANELS.items() if arm in arms]
    figure = new_figure(3.6 * max(2, len(letters)), 6.9)
    panels = figure.subplot_mosaic("a" * len(letters) + "\n" + "".join(letters))
    _draw_a(panels["a"], arms, settings.get("steps", 0))
    for letter in letters:
        _draw_distribution(panels[letter], letter, arms, activation)
    if len(letters) == 3:
        panels["c"].sharey(panels["b"])
    figure.suptitle(f"Figure 1 of Ioffe and Szegedy (2015), {title}", fontsize=12, x=0.01, ha="left")
    figure.supxlabel(caption, fontsize=8)
    return figure


def _draw_a(ax, arms, steps):
    curves, inks = {}, []
    whole = min(_last(arm) for arm in arms.values()) >= steps
    for key, arm in arms.items():
        name, ink = _ARMS[key]
        when = "at the end" if whole else f"after {_last(arm):,} steps"  # one that was stopped is not behind
        reached = arm["steps_to_95"]
        first = "" if reached is None else f", 95 % after {reached:,} steps"
        curves[f"{name}, {_percent(arm)} {when}{first}"] = check_curve("figure1", name, arm["steps"], arm["accuracy"])
        inks.append(ink)
    draw_accuracies(ax, curves, 0.95, inks)
    dress(ax, f"(a) {_accuracy_title(arms)}", "test accuracy (%)")


def _draw_distribution(ax, letter, arms, activation):
    key, field, where = _PANELS[letter]
    arm = arms[key]
    steps, percentiles = check_percentiles("figure1", arm["steps"], arm[field])
    draw_band(ax, steps, percentiles, _ARMS[key][1])
    what = (
        f"input of BN, unit {arm['unit']} (own scale)"
        if letter == "d"
        else f"input of {activation}, unit {arm['unit']}"
    )
    dress(ax, f"({letter}) {where}:\n{movement(percentiles)}", what)
    ax.locator_params(axis="x", nbins=5)


def _accuracy_title(arms):
    """Which arm gets to 95 %, or gets there first; the legend has the steps."""
    reached = {_ARMS[key][0]: arm["steps_to_95"] for key, arm in arms.items() if arm["steps_to_95"] is not None}
    if not reached:
        return "95 % is not reached"
    if len(arms) == 1:
        return "95 % is reached"
    first = [name for name, step in reached.items() if step == min(reached.values())]
    if len(first) > 1:
        return "Both reach 95 % at the same step"
    return f"First to reach 95 %: {first[0]}" if len(reached) > 1 else f"Only {first[0]} 95 % is reached"


def _last(arm):
    return int(arm["steps"][-1])


def _percent(arm):
    return f"{100 * arm['final_accuracy']:.2f} %"


def _checked(arms):
    """The arms in the order of `_ARMS`; every entry that will be drawn is there and has the right shape."""
    check_mapping("figure1", "arms", arms, "with 'none', 'batch' or both")
    if unknown := sorted(set(arms) - set(_ARMS), key=str):
        raise ValueError(f"figure1: arms has {unknown}; only 'none' and 'batch' can be drawn")
    for key, arm in arms.items():
        check_mapping("figure1", f"the arm {key!r}", arm, "the record of a run")
        fields = [field for owner, field, _ in _PANELS.values() if owner == key]
        missing = {"steps", "accuracy", "steps_to_95", "final_accuracy", "unit", *fields} - set(arm)
        if missing:
            raise ValueError(f"figure1: the arm {key!r} lacks {', '.join(sorted(missing))}; add what is missing")
        _, accuracy = check_curve("figure1", key, arm["steps"], arm["accuracy"])
        for values in (accuracy, np.asarray(arm["final_accuracy"], dtype=float)):
            check_fractions("figure1", key, values)
        for field in fields:
            check_percentiles(f"figure1, arm {key!r}, {field}", arm["steps"], arm[field])
    return {key: arms[key] for key in _ARMS if key in arms}
