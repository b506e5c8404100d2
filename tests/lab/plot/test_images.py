"""Images stand side by side, on one scale."""

import numpy as np

from minidl.lab import plot


def drawn(figure):
    return [ax for ax in figure.axes if ax.images]


def test_every_image_is_there_with_its_name():
    pixels = np.arange(5 * 2 * 3).reshape(5, 2, 3)
    figure = plot.images(pixels, "abcde", "Five", columns=3)
    shown = drawn(figure)
    for ax, image, name in zip(shown, pixels, "abcde", strict=True):
        np.testing.assert_array_equal(ax.images[0].get_array(), image)
        assert ax.get_title() == name
    assert figure.get_suptitle() == "Five"
    assert len({ax.images[0].get_clim() for ax in shown}) == 1
    assert shown[0].images[0].get_clim() == (0, 29)


def test_the_grid_has_the_columns_asked_for():
    figure = plot.images(np.ones((5, 2, 2)), columns=3)
    assert figure.axes[0].get_gridspec().get_geometry() == (2, 3)


def test_signed_images_are_centred_on_zero_and_have_a_bar():
    figure = plot.images([[[-1.0, 4.0]]], signed=True)
    (ax,) = [ax for ax in drawn(figure) if not ax.get_ylabel()]
    assert ax.images[0].get_clim() == (-4, 4)
    assert [ax.get_ylabel() for ax in figure.axes].count("weight") == 1


def test_images_of_zeros_can_be_drawn():
    assert drawn(plot.images(np.zeros((1, 2, 2)), signed=True))
