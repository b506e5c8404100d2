"""A photograph of one's own, and a network of `minidl cifar`."""

import numpy as np
import pytest
from PIL import Image

from minidl import checkpoint
from minidl.lab import plot
from minidl.lab.commands._photo import as_lines, as_photo, load_photo_network
from minidl.lab.commands._picture import read_color
from minidl.lab.commands.main import main
from minidl.lab.recipe import build, settings_for
from tests.helpers import JIT

CLASSES = ["airplane", "cat", "aquarium_fish"]


def saved(path, **changes):
    settings = settings_for(widths=(4, 4, 4))
    about = {
        **vars(settings),
        "network": "cifar",
        "classes": CLASSES,
        "source": "cifar10",
        "mean": [120.0] * 3,
        "std": [60.0] * 3,
    }
    checkpoint.save(path, build(settings, len(CLASSES)).state_dict(), about | changes)
    return path


def picture(path, size=(90, 60)):
    """Red on the left, blue on the right."""
    image = Image.new("RGB", size, "red")
    image.paste("blue", (size[0] // 2, 0, *size))
    image.save(path)
    return path


@pytest.mark.skipif(not JIT, reason="takes long without compiled kernels")
def test_says_and_draws_what_it_takes_a_photograph_for(tmp_path, capsys):
    flags = ["--weights", str(saved(tmp_path / "weights.npz")), "--out", str(tmp_path / "answer.png")]
    assert main(["predict", str(picture(tmp_path / "photo.png")), *flags]) == 0
    printed = capsys.readouterr().out
    percents = [float(line.rsplit("%")[0].split()[-1]) for line in printed.splitlines() if " % " in line + " "]
    assert len(percents) == 3
    assert sum(percents) == pytest.approx(100, abs=0.2)
    assert percents == sorted(percents, reverse=True)
    assert "The network takes this for a" in printed
    assert (tmp_path / "answer.png").read_bytes().startswith(b"\x89PNG")


def test_the_network_comes_back_with_its_classes(tmp_path):
    model, about = load_photo_network(saved(tmp_path / "weights.npz"))
    assert about["classes"] == CLASSES
    assert model[-2].weight.shape == (4, 3)
    assert about["mean"] == [120, 120, 120]


@pytest.mark.parametrize(
    "changes",
    [
        {"classes": ["cat"]},
        {"mean": [1.0]},
        {"widths": [4, 4, 5]},
        {"norm": "x"},
        {"classes": [1, 2, 3]},
        {"std": None},
    ],
)
def test_weights_that_do_not_fit_together(tmp_path, capsys, changes):
    path = saved(tmp_path / "weights.npz", **changes)
    assert main(["predict", str(picture(tmp_path / "photo.png")), "--weights", str(path)]) == 2
    assert "holds no network that `minidl cifar` trained" in capsys.readouterr().err


def test_the_middle_of_a_picture_is_scaled_to_32_pixels(tmp_path):
    seen = as_photo(read_color(picture(tmp_path / "photo.png")))
    assert seen.shape == (32, 32, 3)
    assert seen.dtype == np.uint8
    np.testing.assert_array_equal(seen[16, 2], [255, 0, 0])
    np.testing.assert_array_equal(seen[16, 29], [0, 0, 255])


@pytest.mark.parametrize("size", [(1, 1), (1, 400), (32, 32), (2000, 900)])
def test_pictures_of_any_size(tmp_path, size):
    assert as_photo(read_color(picture(tmp_path / "photo.png", size))).shape == (32, 32, 3)


def test_a_picture_of_32_pixels_is_seen_as_it_is(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    np.testing.assert_array_equal(as_photo(read_color(tmp_path / "photo.png")), pixels)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_that_a_camera_turned_is_upright(tmp_path, orientation):
    pixels = np.zeros((40, 60, 3), np.uint8)
    pixels[:20, :30] = 255, 0, 0  # red is above, on the left
    ways = {
        1: None,
        2: 0,
        3: 3,
        4: 1,
        5: 5,
        6: 2,
        7: 6,
        8: 4,
    }  # Pillow's transposition that undoes what the tag asks for
    image = Image.fromarray(pixels)
    image = image if ways[orientation] is None else image.transpose(Image.Transpose(ways[orientation]))
    exif = Image.Exif()
    exif[0x0112] = orientation
    image.save(tmp_path / "photo.png", exif=exif)
    read = read_color(tmp_path / "photo.png")
    assert read.shape == (40, 60, 3)
    np.testing.assert_allclose(read[5, 5], [1, 0, 0])
    np.testing.assert_allclose(read[35, 5], 0)
    np.testing.assert_allclose(read[5, 55], 0)


@pytest.mark.parametrize("mode", ["L", "1", "P", "RGBA", "CMYK", "I;16", "F"])
def test_pictures_of_other_kinds(tmp_path, mode):
    image = Image.fromarray(np.full((8, 8), 200, np.uint8))
    suffix = "tiff" if mode in ("CMYK", "F", "I;16") else "png"
    image = image.convert("I").convert("I;16") if mode == "I;16" else image.convert(mode)
    image.save(tmp_path / f"photo.{suffix}")
    assert read_color(tmp_path / f"photo.{suffix}").shape == (8, 8, 3)


def test_what_one_can_see_through_is_on_white(tmp_path):
    Image.new("RGBA", (4, 4), (255, 0, 0, 0)).save(tmp_path / "photo.png")
    np.testing.assert_allclose(read_color(tmp_path / "photo.png"), 1)


def test_the_ten_likeliest_of_many_classes():
    names = [f"class {i}" for i in range(100)]
    lines = as_lines(np.arange(100) / 4950, names, "cifar100").splitlines()
    assert lines[0].startswith("class 99    2.0 %")
    assert [line.split()[1] for line in lines[:10]] == [str(i) for i in range(99, 89, -1)]
    assert lines[11] == "The network takes this for a class 99."
    assert "one of its 100 classes" in lines[12]


def test_a_sure_answer_and_one_of_made_up_pictures():
    said = as_lines(np.array([0.9, 0.1]), ["airplane", "cat"], "cifar10")
    assert said.endswith("\n\nThe network takes this for an airplane.")
    assert "trained on made-up pictures" in as_lines(np.array([0.9, 0.1]), ["airplane", "cat"], "made-up pictures")


def test_a_missing_picture_and_missing_weights(tmp_path, capsys):
    assert main(["predict", str(tmp_path / "none.png"), "--weights", str(saved(tmp_path / "weights.npz"))]) == 2
    assert "there is no file" in capsys.readouterr().err
    assert main(["predict", str(picture(tmp_path / "photo.png")), "--weights", str(tmp_path / "none.npz")]) == 2
    assert "run `minidl mnist` or `minidl cifar` first" in capsys.readouterr().err


def test_the_figure_of_a_photograph_names_the_ten_likeliest():
    names = [f"class {i}" for i in range(30)]
    probabilities = np.arange(30) / 435
    figure = plot.prediction(np.ones((5, 6, 3)), np.zeros((32, 32, 3), np.uint8), probabilities, names=names)
    chart = figure.axes[2]
    assert [tick.get_text() for tick in chart.get_yticklabels()] == [f"class {i}" for i in range(29, 19, -1)]
    assert chart.get_title() == "most probable: class 29, with 6.7 %"
    with pytest.raises(ValueError, match="there are 2 names for 30 classes"):
        plot.prediction(np.ones((5, 6)), np.zeros((4, 4)), probabilities, names=["a", "b"])
