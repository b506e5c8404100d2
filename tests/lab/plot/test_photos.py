"""The page on what a network for photographs learned."""

import numpy as np
import pytest

from minidl.lab import plot

CLASSES = ("cat", "dog", "ship")
EPOCHS = [{"epoch": e, "training_accuracy": 0.1 * e, "accuracy": 0.2 * e, "loss": 1.0} for e in (1, 2, 2.5)]


def report(epochs=EPOCHS, filters=None, n=16, classes=CLASSES, confusion=None, **options):
    rng = np.random.default_rng(0)
    filters = rng.standard_normal((2, 2, 3, 24)) if filters is None else filters
    images, labels = rng.integers(0, 256, (n, 32, 32, 3)).astype(np.uint8), rng.integers(0, len(classes), n)
    probabilities = rng.dirichlet(np.ones(len(classes)), n)
    confusion = np.arange(len(classes) ** 2).reshape((len(classes),) * 2) if confusion is None else confusion
    figure = plot.photo_report(epochs, filters, images, labels, probabilities, confusion, classes, **options)
    return figure, labels, probabilities


def texts(figure):
    found = [text.get_text() for text in figure.findobj(lambda artist: hasattr(artist, "get_text"))]
    return [text for text in found if text]


def test_all_parts_are_there(tmp_path):
    figure, labels, probabilities = report(measured="held-out images", source="noise")
    said = texts(figure)
    right = int((probabilities.argmax(1) == labels).sum())
    assert "50.00 % of the held-out images at the end" in said
    assert "Filters of the first layer, each on a scale of its own" in said
    assert f"What the network says: {right} of 16 right" in said
    assert "Most often mistaken: ship for dog, 7 times" in said
    assert "data: noise" in said
    shown = [ax for ax in figure.get_axes() if ax.images]
    assert len(shown) == 24 + 16 + 1
    plot.save(figure, tmp_path / "page.png")
    assert (tmp_path / "page.png").read_bytes().startswith(b"\x89PNG")


def test_the_curves_are_the_numbers():
    figure, *_ = report()
    (ax,) = (ax for ax in figure.get_axes() if ax.lines)
    test, training = ax.lines
    np.testing.assert_allclose(test.get_xdata(), [1, 2, 2.5])
    np.testing.assert_allclose(test.get_ydata(), [20, 40, 50])
    np.testing.assert_allclose(training.get_ydata(), [10, 20, 25])


def test_each_image_says_what_the_network_said():
    figure, labels, probabilities = report()
    titles = [ax.get_title() for ax in figure.get_axes() if ax.images][24:40]
    for title, label, p in zip(titles, labels, probabilities, strict=True):
        answer = int(p.argmax())
        expected = f"{CLASSES[answer]} {100 * p[answer]:.0f} %"
        assert title == expected + ("" if answer == label else f"\nnot {CLASSES[label]}")


def test_filters_are_grey_where_they_are_0():
    filters = np.zeros((2, 2, 3, 2))
    filters[0, 0, 0, 1], filters[1, 1, 2, 1] = 2, -2
    figure, *_ = report(filters=filters)
    shown = [ax.images[0].get_array() for ax in figure.get_axes() if ax.images]
    first, second = (array for array in shown if array.shape == (2, 2, 3))
    np.testing.assert_allclose(first, 0.5)
    np.testing.assert_allclose(second[0, 0], [1, 0.5, 0.5])
    np.testing.assert_allclose(second[1, 1], [0.5, 0.5, 0])


def test_many_classes_have_no_names_along_the_axes():
    figure, *_ = report(classes=tuple(f"class {i}" for i in range(100)))
    assert not [text for text in texts(figure) if text == "9999"]


def test_nothing_mistaken_and_nothing_measured_yet():
    said = texts(report(epochs=[], confusion=np.diag([3, 2, 1]), n=1)[0])
    assert "No class is taken for another" in said
    assert "Stopped in the first epoch" in said


@pytest.fixture(autouse=True)
def closed():
    yield
    from matplotlib import pyplot

    pyplot.close("all")
