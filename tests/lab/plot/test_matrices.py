"""A heat map shows the matrix that it is given."""

import numpy as np
import pytest

from minidl.lab import plot

MATRIX = np.array([[1.0, -0.5, 0.0], [0.25, -1.0, -0.001]])


def axes():
    return plot.panels(1)[1][0]


def test_colours_and_numbers():
    ax = plot.heat_map(axes(), MATRIX, "title", "j", "i")
    (image,) = ax.images
    np.testing.assert_array_equal(image.get_array(), MATRIX)
    assert image.get_clim() == (-1, 1)  # white is 0
    written = [[text.get_text() for text in ax.texts[3 * row : 3 * row + 3]] for row in range(2)]
    assert written == [["1.00", "−0.50", "0.00"], ["0.25", "−1.00", "0.00"]]
    assert [t.get_text() for t in ax.get_xticklabels()] == ["1", "2", "3"]
    assert (ax.get_title(loc="left"), ax.get_xlabel(), ax.get_ylabel()) == ("title", "j", "i")
    assert ax.get_ylim()[0] > ax.get_ylim()[1]  # the first row is on top
    assert len(ax.figure.axes) == 2


def test_large_matrices_have_no_numbers_and_zeros_no_colour():
    ax = plot.heat_map(axes(), np.zeros((20, 20)), "", "", "", bar=False)
    assert not ax.texts
    assert ax.images[0].get_clim() == (-1, 1)
    assert len(ax.figure.axes) == 1


def test_a_limit_makes_colours_comparable():
    assert plot.heat_map(axes(), MATRIX, "", "", "", limit=4).images[0].get_clim() == (-4, 4)


def test_a_logarithmic_map_has_a_scale_that_says_what_it_is():
    figure, (ax,) = plot.panels(1)
    plot.log_map(ax, [[1, 10], [100, 1000]], "title", "column", "row", bar="factor", limits=(0.1, 1e4))
    (image,) = ax.images
    np.testing.assert_array_equal(image.get_array(), [[1, 10], [100, 1000]])
    assert (image.norm.vmin, image.norm.vmax) == (0.1, 1e4)
    assert image.norm(10) - image.norm(1) == pytest.approx(image.norm(1000) - image.norm(100))
    assert figure.axes[1].get_ylabel() == "factor"


def test_a_map_without_a_frame_has_no_ticks():
    ax = plot.heat_map(plot.panels(1)[1][0], [[1, -1]], "", "", "", frame=False)
    assert not ax.get_xticks().size
    assert not any(spine.get_visible() for spine in ax.spines.values())
