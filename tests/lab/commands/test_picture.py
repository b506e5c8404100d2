"""Pictures that people really have: every orientation, mode and size; and those that cannot be read."""

import struct
import warnings

import numpy as np
import pytest
from PIL import Image, ImageDraw

from minidl.lab.commands._picture import read_grey
from minidl.lab.commands.predict import as_mnist

METHOD = Image.Transpose
# What the camera did to an upright picture, by the value that it then notes; so EXIF defines them.
TURNED = {
    1: [], 2: [METHOD.FLIP_LEFT_RIGHT], 3: [METHOD.ROTATE_180], 4: [METHOD.FLIP_TOP_BOTTOM], 5: [METHOD.TRANSPOSE],
    6: [METHOD.ROTATE_90], 7: [METHOD.TRANSVERSE], 8: [METHOD.ROTATE_270],
}  # fmt: skip

DEEP = {"I;16": np.uint16, "I": np.int32, "F": np.float32}


def seven(size=(120, 160), ground=255, ink=0, mode="L"):
    """A digit that looks otherwise from every side."""
    if mode in DEEP:  # in which not every Pillow draws
        return Image.fromarray(np.where(np.asarray(seven(size)) > 127, ground, ink).astype(DEEP[mode]))
    image = Image.new(mode, size, ground)
    ImageDraw.Draw(image).line([(30, 30), (90, 30), (50, 130)], fill=ink, width=14)
    return image


def saved(image, path, **options):
    image.save(path, **options)
    return path


def seen(path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return as_mnist(read_grey(path))


@pytest.fixture
def upright(tmp_path):
    return seen(saved(seven(), tmp_path / "upright.png"))


def assert_alike(got, want, most=4.0):
    """Equal but for what compression and rounding do."""
    assert np.abs(got.astype(float) - want).mean() < most


@pytest.mark.parametrize("kind", ["jpg", "png", "tif", "webp"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_turned_picture_is_seen_upright(tmp_path, upright, kind, orientation):
    image, exif = seven(), Image.Exif()
    for method in TURNED[orientation]:
        image = image.transpose(method)
    exif[0x0112] = orientation
    assert_alike(seen(saved(image.convert("RGB"), tmp_path / f"turned.{kind}", exif=exif)), upright)


@pytest.mark.parametrize("orientation", [0, 9, 65_535])
def test_an_orientation_that_does_not_exist_is_none(tmp_path, upright, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    assert_alike(seen(saved(seven(), tmp_path / "odd.jpg", exif=exif)), upright)


@pytest.mark.parametrize(
    "exif", [b"Exif\0\0nonsense", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0MM\0*\0\0\0\x08\xff\xff"]
)
def test_damaged_notes_of_the_camera_do_no_harm(tmp_path, upright, exif):
    assert_alike(seen(saved(seven(), tmp_path / "odd.jpg", exif=exif)), upright)


@pytest.mark.parametrize(
    ("mode", "ground", "ink", "kind"),
    [
        ("1", 1, 0, "png"), ("1", 0, 1, "png"), ("L", 0, 255, "png"), ("LA", (255, 255), (0, 255), "png"),
        ("LA", (0, 0), (0, 255), "png"), ("LA", (255, 0), (255, 255), "png"), ("RGB", "white", "navy", "png"),
        ("RGB", "black", "yellow", "png"), ("RGBA", (0, 0, 0, 0), (0, 0, 0, 255), "png"),
        ("RGBA", (0, 0, 0, 0), (255, 255, 255, 255), "png"), ("RGBA", (255, 255, 255, 0), (20, 20, 20, 255), "webp"),
        ("CMYK", (0, 0, 0, 0), (0, 0, 0, 255), "jpg"), ("CMYK", (0, 0, 0, 0), (255, 255, 0, 0), "tif"),
        ("I;16", 65_535, 0, "png"), ("I;16", 0, 4_095, "png"), ("I;16", 60_000, 300, "tif"), ("I", 0, 70_000, "tif"),
        ("F", 1.0, 0.0, "tif"), ("F", 0.0, 255.0, "tif"), ("L", 200, 40, "bmp"), ("RGB", "white", "black", "gif"),
    ],
)  # fmt: skip
def test_every_kind_of_picture_shows_the_same_digit(tmp_path, upright, mode, ground, ink, kind):
    assert_alike(seen(saved(seven(ground=ground, ink=ink, mode=mode), tmp_path / f"picture.{kind}")), upright)


@pytest.mark.parametrize("transparent", [True, False])
@pytest.mark.parametrize("colours", [("white", "black"), ("black", "white")])
def test_a_palette(tmp_path, upright, transparent, colours):
    image = Image.new("P", (120, 160), 0)
    image.putpalette([*Image.new("RGB", (1, 1), colours[0]).getpixel((0, 0)), *[255 * (colours[1] == "white")] * 3])
    ImageDraw.Draw(image).line([(30, 30), (90, 30), (50, 130)], fill=1, width=14)
    options = {"transparency": 0} if transparent else {}
    for kind in ("png", "gif"):
        assert_alike(seen(saved(image, tmp_path / f"palette.{kind}", **options)), upright)


def test_of_an_animation_the_first_frame_is_seen(tmp_path, upright):
    frames = [seven().convert("P"), Image.new("P", (120, 160), 0)]
    assert_alike(seen(saved(frames[0], tmp_path / "two.gif", save_all=True, append_images=frames[1:])), upright)


@pytest.mark.parametrize("mode", ["1", "L", "RGB", "P", "I;16"])
def test_large_pictures_are_scaled_smoothly(tmp_path, upright, mode):
    large = seven().resize((3000, 4000), Image.Resampling.NEAREST)
    large = Image.fromarray(np.asarray(large).astype(np.uint16) * 257) if mode == "I;16" else large.convert(mode)
    path = saved(large, tmp_path / "large.png")
    assert max(read_grey(path).shape) == 1000
    assert_alike(seen(path), upright, most=8)


def test_a_picture_of_a_hundred_million_pixels_raises_no_warning(tmp_path, upright):
    large = seven().resize((9000, 12_000), Image.Resampling.NEAREST)
    assert_alike(seen(saved(large, tmp_path / "large.jpg")), upright, most=8)


@pytest.mark.parametrize("size", [(1, 40), (40, 1), (2, 2), (3, 3), (5, 2), (4000, 3), (3, 4000), (28, 28)])
def test_tiny_and_narrow_pictures(tmp_path, size):
    image = Image.new("L", size, 255)
    third = [side // 3 for side in size]
    ImageDraw.Draw(image).rectangle([*third, 2 * third[0], 2 * third[1]], fill=0)
    assert seen(saved(image, tmp_path / "picture.png")).any()


@pytest.mark.parametrize("shape", [(1200, 40), (40, 1200)])
def test_a_thin_long_line_leaves_one_pixel_of_its_width(shape):
    picture = np.ones(shape)
    line = (slice(None), 20) if shape[0] > shape[1] else (20, slice(None))
    picture[line] = 0
    picture[0, :] = picture[-1, :] = picture[:, 0] = picture[:, -1] = 1
    assert as_mnist(picture).any()


def heif(brand):
    return struct.pack(">I", 24) + b"ftyp" + brand + bytes(4) + b"mif1" + brand


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "not a picture of a kind that can be read; save it as PNG or JPEG"),
        (b"%PDF-1.7 and so on", "not a picture of a kind that can be read; save it as PNG or JPEG"),
        (
            b"<svg xmlns='http://www.w3.org/2000/svg'/>",
            "not a picture of a kind that can be read; save it as PNG or JPEG",
        ),
        (heif(b"heic"), "is HEIC or AVIF, and cannot be read; save it as PNG or JPEG"),
        (heif(b"mif1"), "is HEIC or AVIF, and cannot be read; save it as PNG or JPEG"),
        (heif(b"qt  "), "not a picture of a kind that can be read; save it as PNG or JPEG"),
    ],
)
def test_other_files_are_named_with_what_would_do(tmp_path, content, words):
    path = tmp_path / "picture"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=words):
        read_grey(path)


def test_a_picture_too_large_to_be_true(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(ValueError, match="is too large a picture; save it with fewer pixels"):
        read_grey(saved(seven(), tmp_path / "picture.png"))


@pytest.mark.parametrize("kind", ["png", "jpg", "gif", "tif", "bmp", "webp"])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_a_truncated_picture_is_told_or_read(tmp_path, kind, share):
    noise = np.random.default_rng(0).integers(0, 256, (120, 160), np.uint8)
    path = saved(Image.fromarray(noise), tmp_path / f"cut.{kind}")
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    try:
        assert read_grey(path).shape == (120, 160)
    except ValueError as error:
        assert "copy or save it anew" in str(error) or "save it as PNG or JPEG" in str(error)  # noqa: PT017


@pytest.mark.parametrize("kind", ["png", "jpg", "gif", "tif"])
def test_damaged_bytes_are_told_or_read(tmp_path, kind):
    path = saved(seven(), tmp_path / f"damaged.{kind}")
    whole, rng = path.read_bytes(), np.random.default_rng(0)
    for _ in range(60):
        damaged = bytearray(whole)
        for place in rng.integers(0, len(whole), 4):
            damaged[place] = rng.integers(256)
        path.write_bytes(damaged)
        try:
            assert read_grey(path).ndim == 2
        except ValueError as error:
            assert "; " in str(error)  # noqa: PT017
