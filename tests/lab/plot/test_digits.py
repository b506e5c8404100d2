"""Digits: the right ones in the right order, each with what it is and what it was taken for."""

import numpy as np
import pytest

from minidl.lab import plot

IMAGES = np.random.default_rng(0).random((60, 8, 8))
LABELS = np.arange(60) % 10


def guesses(wrong, certainty):
    """Probabilities that take the `wrong` digits for the next one, each with its certainty, and get the others right."""
    best = LABELS.copy()
    best[wrong] = (best[wrong] + 1) % 10
    top = np.full(60, 0.9)
    top[wrong] = certainty
    probabilities = np.repeat((1 - top)[:, None] / 9, 10, axis=1)
    probabilities[np.arange(60), best] = top
    return probabilities


def tiles(figure):
    return [ax for ax in figure.axes if ax.images]


def test_the_most_certain_mistakes_come_first(readable):
    figure = readable(plot.misclassified(IMAGES, LABELS, guesses([3, 20, 41], [0.5, 0.8, 0.65]), count=2))
    assert [ax.get_title() for ax in tiles(figure)] == ["0 → 1\n80.0 %", "1 → 2\n65.0 %"]
    for ax, i in zip(tiles(figure), (20, 41), strict=True):
        assert np.array_equal(ax.images[0].get_array(), IMAGES[i])
    assert figure.get_suptitle() == "3 of 60 wrong, most certain first"


def test_the_order_is_that_of_reading():
    figure = plot.misclassified(IMAGES, LABELS, guesses(np.arange(7), np.linspace(0.9, 0.3, 7)))
    corners = [ax.get_position().p0.round(6) for ax in tiles(figure)]
    places = [(-bottom, left) for left, bottom in corners]
    assert [ax.get_title()[0] for ax in tiles(figure)] == list("0123456")
    assert places == sorted(places)
    assert places[0][0] == places[4][0] < places[5][0]


@pytest.mark.parametrize(("wrong", "shown"), [(1, 1), (4, 4), (7, 7), (26, 25), (60, 25)])
def test_as_many_as_there_are_up_to_the_count(readable, wrong, shown):
    figure = readable(plot.misclassified(IMAGES, LABELS, guesses(np.arange(wrong), 0.7)))
    assert len(tiles(figure)) == shown
    assert not any(ax.axison for ax in figure.axes if not ax.images)
    assert figure.get_suptitle().startswith(f"{wrong} of 60 wrong")


def test_none_wrong_is_said(readable):
    figure = readable(plot.misclassified(IMAGES, LABELS, guesses([], [])))
    assert not tiles(figure)
    assert figure.axes[0].texts[0].get_text() == "every digit is right"
    assert figure.get_suptitle() == "0 of 60 wrong"


def test_images_with_a_channel_axis_and_empty_images(readable):
    figure = readable(plot.misclassified(0 * IMAGES[..., None], LABELS, guesses([0], 0.7)))
    assert tiles(figure)[0].images[0].get_array().shape == (8, 8)


@pytest.mark.parametrize(
    ("images", "labels", "probabilities", "count", "message"),
    [
        (IMAGES.reshape(60, 64), LABELS, guesses([0], 0.7), 25, r"images is \(60, 64\)"),
        (IMAGES, LABELS[:9], guesses([0], 0.7), 25, r"labels \(9,\)"),
        (IMAGES, LABELS, guesses([0], 0.7)[:9], 25, r"probabilities \(9, 10\)"),
        (IMAGES, LABELS, LABELS, 25, r"probabilities \(60,\)"),
        (IMAGES[:0], LABELS[:0], np.zeros((0, 10)), 25, "N at least 1"),
        (IMAGES, LABELS, guesses([0], 0.7), 0, "count is 0"),
    ],
)
def test_digits_that_do_not_fit_are_refused(images, labels, probabilities, count, message, no_figure):
    with pytest.raises(ValueError, match=f"misclassified: .*{message}"):
        plot.misclassified(images, labels, probabilities, count)


PROBABILITIES = np.array([0.01, 0.02, 0, 0, 0.6, 0, 0, 0, 0.07, 0.3])
SEEN = np.eye(28)


@pytest.mark.parametrize(
    "image",
    [np.full((40, 60), 255, np.uint8), np.zeros((60, 40, 3), np.uint8), np.ones((9, 300, 4)), np.eye(28, dtype=bool)],
)
def test_a_prediction_shows_picture_input_and_probabilities(readable, image):
    figure = readable(plot.prediction(image, SEEN, PROBABILITIES))
    picture, network, chart = figure.axes
    assert picture.get_title() == f"your picture, {image.shape[1]} × {image.shape[0]}"
    assert np.array_equal(picture.images[0].get_array(), image)
    assert np.array_equal(network.images[0].get_array(), SEEN)
    assert network.get_title().endswith("28 × 28")
    assert [bar.get_width() for bar in chart.patches] == pytest.approx(list(100 * PROBABILITIES))
    assert [text.get_text() for text in chart.texts][4:] == ["60.0", "0.0", "0.0", "0.0", "7.0", "30.0"]
    assert chart.get_title() == "most probable: 4, with 60.0 %"
    colours = [bar.get_facecolor() for bar in chart.patches]
    assert colours.count(colours[4]) == 1
    assert len(set(colours)) == 2


def test_white_paper_is_drawn_white_and_ink_dark():
    figure = plot.prediction(np.full((5, 5), 255, np.uint8), SEEN, PROBABILITIES)
    picture, network = (ax.images[0] for ax in figure.axes[:2])
    white, black = [1, 1, 1, 1], [0, 0, 0, 1]
    assert picture.to_rgba(np.array([[0, 255]])).tolist() == [[black, white]]
    assert network.to_rgba(np.array([[0, 1]])).tolist() == [[white, black]]


@pytest.mark.parametrize(
    ("image", "seen", "probabilities", "message"),
    [
        (np.zeros(784), SEEN, PROBABILITIES, r"image is \(784,\)"),
        (np.zeros((5, 5, 2)), SEEN, PROBABILITIES, r"image is \(5, 5, 2\)"),
        (np.zeros((0, 5)), SEEN, PROBABILITIES, "values outside"),
        (np.full((5, 5), 255.0), SEEN, PROBABILITIES, "values outside 0 … 1"),
        (-SEEN, SEEN, PROBABILITIES, "values outside 0 … 1"),
        (SEEN, SEEN[None], PROBABILITIES, r"seen is \(1, 28, 28\)"),
        (SEEN, SEEN, PROBABILITIES[None], r"probabilities \(1, 10\)"),
        (SEEN, SEEN, [], r"probabilities \(0,\)"),
    ],
)
def test_a_prediction_that_does_not_fit_is_refused(image, seen, probabilities, message, no_figure):
    with pytest.raises(ValueError, match=f"prediction: .*{message}"):
        plot.prediction(image, seen, probabilities)
