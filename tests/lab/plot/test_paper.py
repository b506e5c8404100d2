"""Figure 1: the panels of the arms that were run, titles that follow from the numbers, scales that can be compared."""

import numpy as np
import pytest

from minidl.lab import plot
from minidl.lab.plot import _style
from tests.lab.plot.test_curves import curve, legend

STEPS = np.arange(0, 50_001, 500)
SETTINGS = dict(steps=50_000, lr=0.1, init_std=0.01, batch_size=60, seed=3, norm="both")


def arm(ending, tau, spread=2.0, drift=0.0, **changes):
    """A run that approaches `ending` with time constant tau; its median drifts by `drift` at constant spread."""
    accuracy = ending - (ending - 0.1) * np.exp(-STEPS / tau)
    reached = STEPS[accuracy >= 0.95]
    median = drift * STEPS / STEPS[-1]
    bands = np.stack((median - spread / 2, median, median + spread / 2), 1)
    record = dict(steps=STEPS, accuracy=accuracy, final_accuracy=float(accuracy[-1]), unit=17, input_percentiles=bands)
    return record | dict(steps_to_95=int(reached[0]) if reached.size else None) | changes


def batch(**changes):
    before = np.array([0.0, 0.1, 0.2]) + 0.3 * (STEPS / STEPS[-1])[:, None]
    return arm(0.976, 1500, spread=4, drift=0.4) | dict(before_percentiles=before) | changes


def none(**changes):
    return arm(0.968, 4000, drift=-5) | changes


def draw(arms, settings=SETTINGS, source="mnist"):
    return plot.figure1(arms, settings=settings, source=source)


def panels(figure):
    return {ax.get_title("left")[1]: ax for ax in figure.axes}


def test_both_arms_fill_four_panels(readable):
    arms = {"none": none(), "batch": batch()}
    drawn = panels(readable(draw(arms)))
    assert list(drawn) == ["a", "b", "c", "d"]
    for letter, key, field in (("b", "none", "input"), ("c", "batch", "input"), ("d", "batch", "before")):
        rows = arms[key][f"{field}_percentiles"]
        assert np.array_equal([curve(drawn[letter], i)[1] for i in range(3)], rows[:, [0, 2, 1]].T)
        low, high = drawn[letter].get_ylim()
        assert low < rows.min()
        assert rows.max() < high
        assert "unit 17" in drawn[letter].get_ylabel()
        assert drawn[letter].get_xlabel() == "training step"
    assert drawn["a"].get_ylabel() == "test accuracy (%)"


def test_accuracies_are_told_by_colour_and_dashes_the_same_with_one_arm_and_with_two():
    arms = {"none": none(), "batch": batch()}
    both = panels(draw(arms))["a"]
    assert [line.get_color() for line in both.lines if len(line.get_xdata()) > 2] == list(_style.INKS[:2])
    assert np.allclose(curve(both, 0)[1], 100 * arms["batch"]["accuracy"])
    after = [f"95 % after {arms[key]['steps_to_95']:,} steps" for key in ("batch", "none")]
    ends = ["with BN, 97.60 % at the end", "without BN, 96.80 % at the end"]
    assert legend(both) == [*(f"{end}, {step}" for end, step in zip(ends, after, strict=True)), "95 %"]
    alone = panels(draw({"none": none()}))["a"]
    assert alone.lines[0].get_color() == _style.INKS[1]


def test_titles_tell_the_findings():
    arms = {"none": none(), "batch": batch()}
    titles = {letter: ax.get_title("left") for letter, ax in panels(draw(arms)).items()}
    assert titles["a"] == "(a) First to reach 95 %: with BN"
    assert titles["b"] == "(b) Without BN:\nthe median moves 2.50 band widths"
    assert titles["c"] == "(c) With BN:\nthe median moves 0.10 band widths"
    assert titles["d"] == "(d) With BN, before normalising:\nthe median moves 1.50 band widths"


def test_an_arm_that_does_not_get_there_is_said():
    stuck = arm(0.9, 4000)
    title = panels(draw({"none": stuck, "batch": batch()}))["a"].get_title("left")
    assert title == "(a) Only with BN 95 % is reached"
    title = panels(draw({"none": stuck, "batch": batch(steps_to_95=None)}))["a"].get_title("left")
    assert title == "(a) 95 % is not reached"
    title = panels(draw({"none": none(steps_to_95=500), "batch": batch(steps_to_95=500)}))["a"].get_title("left")
    assert title == "(a) Both reach 95 % at the same step"
    assert panels(draw({"none": none()}))["a"].get_title("left") == "(a) 95 % is reached"


def cut(record, points):
    """The record of a run that was stopped after so many measurements."""
    arrays = {name: values[:points] for name, values in record.items() if isinstance(values, np.ndarray)}
    return record | arrays | dict(final_accuracy=float(record["accuracy"][points - 1]), steps_to_95=None)


def test_a_run_that_was_stopped_is_no_longer_than_it_was():
    arms = {"none": arm(0.9, 4000), "batch": cut(batch(), 5)}
    figure = draw(arms)
    percent = 100 * arms["batch"]["final_accuracy"]
    assert f"with BN, {percent:.2f} % after 2,000 steps" in legend(panels(figure)["a"])
    assert "stopped early" in figure.get_supxlabel()
    assert "at the end" not in " ".join(legend(panels(figure)["a"]))
    assert "without BN, 90.00 % after 50,000 steps" in legend(panels(figure)["a"])
    assert "stopped" not in draw({"none": none()}).get_supxlabel()


@pytest.mark.parametrize("points", [1, 2])
def test_a_run_that_was_stopped_at_once_can_be_drawn(points, readable):
    readable(draw({"none": cut(none(), points), "batch": cut(batch(), points)}))


def test_b_and_c_share_their_scale_and_d_says_that_it_does_not():
    drawn = panels(draw({"none": none(), "batch": batch()}))
    assert drawn["b"].get_ylim() == drawn["c"].get_ylim()
    assert drawn["b"].get_ylim()[0] < -6
    assert drawn["b"].get_ylim()[1] > 2.4
    assert drawn["d"].get_ylim()[1] < 1
    assert [letter for letter, ax in drawn.items() if "own scale" in ax.get_ylabel()] == ["d"]


@pytest.mark.parametrize(("arms", "letters"), [({"none": none()}, "ab"), ({"batch": batch()}, "acd")])
def test_one_arm_leaves_the_panels_of_the_other_out(readable, arms, letters):
    assert "".join(panels(readable(draw(arms)))) == letters


def test_the_caption_states_the_settings_and_the_source():
    caption = draw({"none": none()}, source="strokes").get_supxlabel()
    assert (
        "50,000 steps · learning rate 0.1 · initial weights of std 0.01 · batches of 60 · seed 3 · data: strokes"
        in caption
    )
    assert "median" in caption
    assert "15th to the 85th percentile" in caption
    assert draw({"none": none()}, settings={}).get_supxlabel().endswith("\ndata: mnist")


def test_another_network_is_not_taken_for_the_papers():
    settings = SETTINGS | dict(model="conv", momentum=0.9)
    figure = draw({"batch": batch()}, settings=settings)
    assert figure.get_suptitle() == "Figure 1 of Ioffe and Szegedy (2015), with a convolutional network"
    assert panels(figure)["c"].get_ylabel() == "input of ReLU, unit 17"
    assert "momentum 0.9" in figure.get_supxlabel()
    assert "std" not in figure.get_supxlabel()
    figure = draw({"batch": batch()}, settings=SETTINGS | dict(model="mlp"))
    assert figure.get_suptitle() == "Figure 1 of Ioffe and Szegedy (2015), run again"
    assert panels(figure)["c"].get_ylabel() == "input of sigmoid, unit 17"


def test_an_unknown_network_is_refused(no_figure):
    with pytest.raises(ValueError, match="the model 'rnn'; it must be one of mlp, conv"):
        draw({"none": none()}, settings={"model": "rnn"})


def as_lists(record):
    return {key: value.tolist() if isinstance(value, np.ndarray) else value for key, value in record.items()}


def test_a_record_read_back_from_json_draws_the_same():
    arrays, lists = draw({"batch": batch()}), draw({"batch": as_lists(batch())})
    for one, other in zip(arrays.axes, lists.axes, strict=True):
        assert one.get_title("left") == other.get_title("left")
        assert all(np.array_equal(curve(one, i), curve(other, i)) for i in range(len(one.lines)))


def test_a_run_of_one_measurement_and_one_that_diverged(readable):
    one = {key: value[:1] if isinstance(value, np.ndarray) else value for key, value in batch().items()}
    readable(draw({"batch": one | dict(steps_to_95=None, final_accuracy=0.1)}))
    diverged = none(accuracy=np.full(101, 0.098), final_accuracy=0.098, steps_to_95=None)
    diverged["input_percentiles"] = diverged["input_percentiles"].copy()
    diverged["input_percentiles"][1:] = np.nan
    readable(draw({"none": diverged, "batch": batch()}))
    diverged["input_percentiles"][:] = np.nan
    assert "it is never finite" in panels(readable(draw({"none": diverged})))["b"].get_title("left")


@pytest.mark.parametrize(
    ("arms", "message"),
    [
        ({}, "arms is empty; it must be a dict, with 'none', 'batch' or both"),
        ([none()], "arms is a list"),
        ({"layer": none()}, r"arms has \['layer'\]; only 'none' and 'batch'"),
        ({"none": []}, "the arm 'none' is a list"),
        ({"batch": none()}, "the arm 'batch' lacks before_percentiles"),
        ({"none": {"steps": STEPS}}, "lacks accuracy, final_accuracy, input_percentiles, steps_to_95, unit"),
        ({"none": none(accuracy=STEPS / 1000)}, "'none' goes from 0 to 50; accuracies are fractions"),
        ({"none": none(final_accuracy=96.8)}, "'none' goes from 96.8 to 96.8"),
        ({"none": none(final_accuracy=None)}, "fractions from 0 to 1"),
        ({"none": none(accuracy=np.zeros(3))}, r"'none' has 101 steps but values of shape \(3,\)"),
        (
            {"batch": batch(before_percentiles=np.zeros((101, 2)))},
            r"'batch', before_percentiles: percentiles is \(101, 2\)",
        ),
        ({"none": none(input_percentiles=np.zeros((101, 100, 3)))}, r"percentiles is \(101, 100, 3\)"),
    ],
)
def test_records_that_cannot_be_drawn_are_refused(arms, message, no_figure):
    with pytest.raises(ValueError, match=f"figure1.*{message}"):
        draw(arms)
