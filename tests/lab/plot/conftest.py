"""Every picture is drawn without a screen, leaves matplotlib's settings alone, and is closed afterwards."""

import itertools

import matplotlib
import pytest
from matplotlib import pyplot
from matplotlib.text import Text


@pytest.fixture(autouse=True)
def no_screen_no_leaks_no_changed_settings():
    matplotlib.use("agg")
    before = dict(matplotlib.rcParams)
    yield
    pyplot.close("all")
    assert dict(matplotlib.rcParams) == before


@pytest.fixture
def readable():
    """Draws a figure, and checks that no title, label or legend is cut off by its border or by another."""

    def check(drawn):
        figure = drawn.get_figure(root=True)
        figure.canvas.draw()
        texts = [figure._suptitle, figure._supxlabel]
        for ax in figure.axes:
            texts += [*ax.findobj(Text)[-3:], ax.xaxis.label, ax.yaxis.label]  # the last three are the titles
            texts += ax.get_legend().get_texts() if ax.get_legend() else []
        boxes = {text: text.get_window_extent() for text in texts if text and text.get_text() and text.get_visible()}
        for text, box in boxes.items():
            inside = box.x0 >= -1 and box.y0 >= -1 and box.x1 <= figure.bbox.x1 + 1 and box.y1 <= figure.bbox.y1 + 1
            assert inside, f"cut off: {text}"
        for (one, a), (other, b) in itertools.combinations(boxes.items(), 2):
            assert not a.overlaps(b), f"overlapping: {one}, {other}"
        return drawn

    return check


@pytest.fixture
def no_figure():
    """Bad input leaves no figure behind."""
    yield
    assert not pyplot.get_fignums()
