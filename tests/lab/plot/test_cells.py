"""A table as a picture has each number in its place, in an ink that can be read."""

import numpy as np

from minidl.lab import plot


def drawn(values, **options):
    (ax,) = plot.panels(1)[1]
    return plot.cells(ax, values, ["few", "many"], [1, 2, 3], "a title", "across", "up", **options)


def test_numbers_stand_in_their_cells(readable):
    ax = readable(drawn([[1, 2, 3], [4, np.nan, 6]]))
    found = {text.get_position(): text.get_text() for text in ax.texts}
    assert found == {(0, 0): "1", (1, 0): "2", (2, 0): "3", (0, 1): "4", (2, 1): "6"}
    assert [text.get_text() for text in ax.get_yticklabels()] == ["few", "many"]
    assert [text.get_text() for text in ax.get_xticklabels()] == ["1", "2", "3"]
    assert ax.get_ylim() == (-0.5, 1.5)
    assert (ax.get_title(loc="left"), ax.get_xlabel(), ax.get_ylabel()) == ("a title", "across", "up")


def test_dark_cells_have_white_numbers():
    ax = drawn([[0, 0.4, 0.6], [1, 0, 0]], limits=(0, 1), form="{:.1f}")
    inks = {text.get_text(): text.get_color() for text in ax.texts}
    assert inks == {"0.0": "black", "0.4": "black", "0.6": "white", "1.0": "white"}
    (image,) = ax.images
    light, dark = (sum(image.cmap(image.norm(v))[:3]) for v in (0, 1))
    assert light > dark


def test_one_number_everywhere_is_drawn():
    assert len(drawn(np.ones((2, 3))).texts) == 6
