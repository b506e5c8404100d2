"""Curves: what is drawn is what was given, the axis can be read, the title tells the truth."""

import numpy as np
import pytest
from matplotlib.colors import to_hex

from minidl.lab import plot
from minidl.lab.plot import _style

STEPS = np.array([0, 500, 1000, 4000])
FAST, SLOW = np.array([0.1, 0.9, 0.952, 0.975]), np.array([0.1, 0.6, 0.9, 0.96])
RUNS = {"with BN": (STEPS, FAST), "without BN": (STEPS, SLOW)}


def legend(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def curve(ax, i):
    return np.array(ax.lines[i].get_xdata()), np.array(ax.lines[i].get_ydata())


def band(collection):
    """From its outline: step → (lowest, highest)."""
    outline = collection.get_paths()[0].vertices
    return {x: (outline[outline[:, 0] == x, 1].min(), outline[outline[:, 0] == x, 1].max()) for x in outline[:, 0]}


def test_accuracies_are_drawn_in_percent(readable):
    ax = readable(plot.accuracy_curves(RUNS))
    assert len(ax.lines) == 2
    assert legend(ax) == ["with BN", "without BN"]
    for i, values in enumerate((FAST, SLOW)):
        x, y = curve(ax, i)
        assert np.array_equal(x, STEPS)
        assert np.allclose(y, 100 * values)
    assert ax.get_xlabel() == "training step"
    assert ax.get_ylabel() == "accuracy (%)"
    assert ax.get_title("left") == "Highest at the end: with BN, 97.50 %"
    assert ax.get_xlim()[0] <= 0
    assert ax.get_xlim()[1] >= 4000


def test_the_target_is_a_line_with_a_dot_where_each_curve_gets_there(readable):
    ax = readable(plot.accuracy_curves(RUNS, target=0.95))
    dots = [curve(ax, i) for i, line in enumerate(ax.lines) if line.get_marker() == "o"]
    assert [(float(x[0]), round(float(y[0]), 6)) for x, y in dots] == [(1000, 95.2), (4000, 96)]
    assert legend(ax)[-1] == "95 %"
    assert list(ax.lines[-1].get_ydata()) == [95, 95]
    assert ax.get_title("left") == "First to reach 95 %: with BN, after 1,000 steps"


@pytest.mark.parametrize(
    ("runs", "target", "title"),
    [
        ({"a": RUNS["with BN"]}, None, "97.50 % at the end"),
        ({"a": RUNS["with BN"]}, 0.95, "95 % reached after 1,000 steps"),
        ({"a": RUNS["with BN"], "b": RUNS["with BN"]}, 0.9, "First to reach 90 %: a and b, after 500 steps"),
        (RUNS, 0.985, "98.5 % is not reached; highest at the end: with BN, 97.50 %"),
    ],
)
def test_the_title_of_accuracies_follows_from_the_numbers(runs, target, title):
    assert plot.accuracy_curves(runs, target=target).get_title("left") == title


@pytest.mark.parametrize(
    ("last", "lowest", "bottom"),
    [
        (0.969, 0.1, 85),
        (0.95, 0.1, 80),
        (0.098, 0.09, 5),
        (0.97, 0.94, 90),
        (0.995, 0.2, 95),
        (1.0, 1.0, 95),
        (0.0, 0.0, 0),
    ],
)
def test_the_end_of_training_can_be_read(last, lowest, bottom):
    ax = plot.accuracy_curves({"a": ([0, 1], [lowest, last])})
    assert ax.get_ylim() == pytest.approx((bottom, 100), abs=1.01)
    assert ax.get_ylim()[0] == bottom
    assert ax.get_ylim()[0] <= 100 * last < ax.get_ylim()[1]


def test_seeds_become_a_mean_and_a_range(readable):
    seeds = np.array([FAST, FAST - 0.05, FAST - 0.01])
    ax = readable(plot.accuracy_curves({"with BN": (STEPS, seeds), "without BN": (STEPS, SLOW)}))
    assert np.allclose(curve(ax, 0)[1], 100 * seeds.mean(0))
    assert legend(ax) == ["with BN (3 seeds)", "without BN"]
    assert ax.get_legend().get_title().get_text() == "mean, and range of the seeds"
    (collection,) = ax.collections
    for step, (low, high) in band(collection).items():
        column = 100 * seeds[:, step == STEPS]
        assert (low, high) == pytest.approx((column.min(), column.max()))


def test_one_point_is_seen(readable):
    ax = readable(plot.accuracy_curves({"a": ([500], [0.5])}, target=0.4))
    assert ax.lines[0].get_marker() == "o"


def test_every_curve_of_many_looks_different():
    ax = plot.accuracy_curves({str(i): (STEPS, FAST) for i in range(36)})
    looks = {(to_hex(line.get_color()), str(line._unscaled_dash_pattern)) for line in ax.lines}
    assert len(looks) == 36
    assert to_hex(ax.lines[0].get_color()) == _style.INKS[0]


def test_losses_are_on_a_logarithmic_axis(readable):
    ax = readable(plot.loss_curves({"a": (STEPS, [2.3, 1, 0.5, 0.25]), "b": (STEPS, [2.3, 1.5, 1, 0.08])}))
    assert ax.get_yscale() == "log"
    assert len(ax.lines) == 2
    low, high = ax.get_ylim()
    assert low < 0.08
    assert high > 2.3
    assert ax.get_title("left") == "Lowest at the end: b, 0.08"
    assert ax.get_ylabel() == "loss"
    assert {"1", "0.5", "0.2", "0.1"} <= {label.get_text() for label in ax.get_yticklabels()}


def test_losses_without_a_logarithm_leave_gaps(readable):
    ax = readable(plot.loss_curves({"a": (STEPS, [1, 0, -1, 0.5]), "b": (STEPS, [1, np.inf, np.nan, np.inf])}))
    assert np.isnan(curve(ax, 0)[1]).tolist() == [False, True, True, False]
    assert np.isnan(curve(ax, 1)[1]).tolist() == [False, True, True, True]
    assert ax.get_title("left") == "Lowest at the end: a, 0.5"


def test_a_run_that_diverged_from_the_start_is_said(readable):
    ax = readable(plot.loss_curves({"a": (STEPS, np.full((2, 4), np.nan))}))
    assert ax.get_title("left") == "No loss is finite at the end"


def test_update_ratios_have_a_guide_at_one_in_a_thousand(readable):
    ratios = {"layer 1": [-4, -3.5, -3.2, -2.5], "layer 2": [-2, -3, -3, -4], "layer 3": [-3, -3, -3, -np.inf]}
    ax = readable(plot.update_ratios(STEPS, ratios))
    assert len(ax.lines) == 4
    assert list(ax.lines[-1].get_ydata()) == [-3, -3]
    assert legend(ax) == [*ratios, "one in 1,000"]
    assert np.isnan(curve(ax, 2)[1]).tolist() == [False, False, False, True]
    assert ax.get_title("left") == "The last step moves the weights by 0.32 % (layer 1) to 0.01 % (layer 2)"
    assert ax.get_ylim()[0] < -4
    assert ax.get_ylim()[1] > -2


def test_update_ratios_of_one_layer_and_of_none_that_moves():
    assert (
        plot.update_ratios([0], {"only": [-3]}).get_title("left") == "The last step moves the weights by 0.10 % (only)"
    )
    assert plot.update_ratios([0], {"only": [-np.inf]}).get_title("left") == "No layer moves at the end"


@pytest.mark.parametrize("draw", [plot.accuracy_curves, plot.loss_curves])
@pytest.mark.parametrize(
    ("runs", "message"),
    [
        ({}, "runs is empty"),
        ([1], "runs is a list; it must be a dict"),
        ({"a": (STEPS, FAST[:3])}, r"'a' has 4 steps but values of shape \(3,\)"),
        ({"a": (STEPS, np.zeros((2, 2, 4)))}, r"values of shape \(2, 2, 4\)"),
        ({"a": (STEPS, np.zeros((0, 4)))}, r"values of shape \(0, 4\)"),
        ({"a": (STEPS, FAST, 1)}, "'a' has 3 parts"),
        ({"a": (STEPS[::-1], FAST)}, "steps of 'a' must be finite and increase"),
        ({"a": ([0, 0, 1, 2], FAST)}, "steps of 'a' must be finite and increase"),
        ({"a": ([0, 1, 2, np.nan], FAST)}, "steps of 'a' must be finite and increase"),
        ({"a": (STEPS[None], FAST)}, r"steps of 'a' is \(1, 4\)"),
        ({"a": ([], [])}, r"steps of 'a' is \(0,\)"),
    ],
)
def test_what_cannot_be_drawn_is_refused_before_a_figure_is_made(draw, runs, message, no_figure):
    with pytest.raises(ValueError, match=f"^{draw.__name__}: .*{message}"):
        draw(runs)


@pytest.mark.parametrize("values", [[0.1, 97.5], [-0.1, 0.5], [0.5, np.nan]])
def test_accuracies_are_fractions(values, no_figure):
    with pytest.raises(ValueError, match=r"accuracy_curves: 'a' goes from .* fractions from 0 to 1"):
        plot.accuracy_curves({"a": ([0, 1], values)})


def test_update_ratios_refuses_what_it_cannot_draw(no_figure):
    with pytest.raises(ValueError, match="update_ratios: ratios is a list"):
        plot.update_ratios(STEPS, [FAST])
    with pytest.raises(ValueError, match="update_ratios: 'a' has 4 steps"):
        plot.update_ratios(STEPS, {"a": [1, 2]})
