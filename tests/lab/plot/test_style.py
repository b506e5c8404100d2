"""How figures are made and saved: which backend, what is imported when, what a file holds."""

import os
import subprocess
import sys

import matplotlib
import numpy as np
import pytest
from matplotlib import pyplot
from matplotlib.figure import Figure

from minidl.lab import plot
from minidl.lab.plot import _style

MAKE = "import matplotlib; from minidl.lab.plot import _style; _style.new_figure(1, 1); print(matplotlib.get_backend())"
# what minidl itself chooses, before matplotlib would fall back to anything
SPY = """
import matplotlib
chosen, use = [], matplotlib.use
def spy(backend, **options):
    chosen.append(backend)
    use(backend, **options)
matplotlib.use = spy
from minidl.lab.plot import _style
{before}
_style.new_figure(1, 1)
print(chosen)
"""


def run(code, **environment):
    kept = {k: v for k, v in os.environ.items() if k not in ("DISPLAY", "WAYLAND_DISPLAY", "MPLBACKEND")}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], env=kept | environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other systems always have a display")


@linux
def test_without_a_display_figures_are_drawn_to_files():
    assert run(SPY.format(before="")) == "['agg']"
    assert run(MAKE) == "agg"


@linux
@pytest.mark.parametrize("display", ["DISPLAY", "WAYLAND_DISPLAY"])
def test_with_a_display_the_choice_is_matplotlibs(display):
    assert run(SPY.format(before=""), **{display: ":987"}) == "[]"


def test_the_users_backend_stays():
    assert run(MAKE, MPLBACKEND="svg") == "svg"
    assert run(SPY.format(before="use('pdf')")) == "[]"
    assert run(SPY.format(before="matplotlib.rcParams['backend'] = 'svg'")) == "[]"


def test_only_linux_tells_by_its_environment(monkeypatch):
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    assert _style._no_display()
    monkeypatch.setenv("WAYLAND_DISPLAY", "wayland-0")
    assert not _style._no_display()
    monkeypatch.delenv("WAYLAND_DISPLAY")
    monkeypatch.setattr(sys, "platform", "darwin")
    assert not _style._no_display()


def test_matplotlib_comes_with_plot_only_and_pyplot_with_the_first_figure():
    assert run("import sys, minidl; print('matplotlib' in sys.modules)") == "False"
    assert run("import sys, minidl.lab.plot; print('matplotlib.pyplot' in sys.modules)") == "False"


@pytest.mark.parametrize("kind", ["axes", "figure", "panel of a figure in a figure"])
def test_save_writes_and_closes(tmp_path, kind):
    figure = _style.new_figure(3, 2)
    drawn = {"axes": figure.add_subplot, "figure": lambda: figure}.get(
        kind, lambda: figure.subfigures().add_subplot()
    )()
    plot.save(drawn, tmp_path / "picture.png", dpi=50)
    assert pyplot.imread(tmp_path / "picture.png").shape[:2] == (100, 150)
    assert not pyplot.get_fignums()


def test_save_closes_even_when_it_cannot_write(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        plot.save(_style.new_figure(1, 1), tmp_path / "file" / "picture.png")
    with pytest.raises(ValueError, match="nonsense"):
        plot.save(_style.new_figure(1, 1), tmp_path / "picture.nonsense")
    assert not pyplot.get_fignums()


def test_save_writes_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "new folder" / "picture.png"
    plot.save(_style.new_figure(1, 1), path)
    before = path.read_bytes()

    def refuse(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(OSError, match="No space left"):
        plot.save(_style.new_figure(2, 2), path)
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_a_given_axes_is_drawn_into_and_no_figure_is_made():
    ax = Figure().add_subplot()
    steps, values = np.arange(3), np.full(3, 0.5)
    assert plot.accuracy_curves({"a": (steps, values)}, ax=ax) is ax
    assert plot.loss_curves({"a": (steps, values)}, ax=ax) is ax
    assert plot.percentile_bands(steps, np.zeros((3, 3)), ax=ax) is ax
    assert plot.histograms_over_time(steps, np.ones((3, 2)), np.arange(3), ax=ax) is ax
    assert plot.update_ratios(steps, {"a": values}, ax=ax) is ax
    assert not pyplot.get_fignums()


def test_a_given_figure_is_drawn_into_and_no_figure_is_made():
    images, probabilities = np.zeros((2, 4, 4)), np.full((2, 3), 1 / 3)
    figure = Figure()
    assert plot.misclassified(images, np.ones(2, int), probabilities, figure=figure) is figure
    figure = Figure()
    assert plot.prediction(images[0], images[0], probabilities[0], figure=figure) is figure
    assert len(figure.axes) == 3
    assert not pyplot.get_fignums()


def test_long_titles_are_wrapped_to_the_axes(readable):
    label = "a network with a very long name, of which there are " * 4
    ax = plot.accuracy_curves({label: ([0, 1], [0.5, 0.6]), "b": ([0, 1], [0.5, 0.5])}, ax=_style.new_axes())
    ax.get_legend().remove()
    assert "\n" in ax.get_title("left")
    readable(ax)


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0"), (-3, "−3.00"), (0.994, "0.99"), (-0.05, "−0.05"), (0.001234, "0.001"), (1234.5, "1,234.5")],
)
def test_numbers_in_titles_are_short(number, text):
    assert _style.short(number) == text


def test_an_axes_inside_a_figure_of_figures_will_do(readable):
    left, right = _style.new_figure(9, 4).subfigures(1, 2)
    plot.accuracy_curves({"a": ([0, 1], [0.5, 0.6])}, ax=left.add_subplot())
    ax = plot.histograms_over_time([0, 1], np.ones((2, 2)), [0, 1, 2], ax=right.add_subplot())
    assert len(right.axes) == 2
    readable(ax)


def test_colours_differ_in_dashes_too():
    assert len(set(_style.INKS)) == len(_style.INKS) == len(set(_style.DASHES)) == len(_style.DASHES)


def test_first_two_colours_stay_apart_in_grey():
    blue, orange = (np.array(matplotlib.colors.to_rgb(ink)) @ [0.299, 0.587, 0.114] for ink in _style.INKS[:2])
    assert abs(blue - orange) > 0.3
