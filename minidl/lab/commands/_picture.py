"""Pictures as people have them: turned by a phone, see-through, with 16 bits, huge, or damaged."""

import contextlib
import warnings

import numpy as np

__all__ = ["read_color", "read_grey"]

_SIDE = 1000  # pixels; larger pictures are made smaller, as a digit becomes 20 of them
_ORIENTATION = 0x0112  # the tag of EXIF: how the camera was held
_UPRIGHT = {
    2: np.fliplr, 3: lambda a: np.rot90(a, 2), 4: np.flipud, 5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1), 7: lambda a: np.rot90(a, 2).swapaxes(0, 1), 8: np.rot90,
}  # fmt: skip


def read_grey(path):
    """Read a picture as an array (H, W), 0 … 1, upright; of an animation the first frame.

    Errors  FileNotFoundError; ValueError for what is no picture, or none that can be read
    """
    return _read(path, _flat, _deep)


def read_color(path):
    """Read a picture as an array (H, W, 3), 0 … 1, as `read_grey` does; what one can see through is on white."""
    return _read(path, _colored, lambda image: np.repeat(_deep(image)[..., None], 3, axis=2))


def _read(path, shallow, deep):
    from PIL import Image, UnidentifiedImageError

    if not path.is_file():
        raise FileNotFoundError(f"{path} is a folder; name a picture" if path.is_dir() else f"there is no file {path}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of odd tags, and of sizes that are large, but not too large
            with Image.open(path) as image:
                array = deep(image) if image.mode[0] in "IF" else shallow(image)
                return _UPRIGHT.get(_orientation(image), np.asarray)(array)
    except UnidentifiedImageError:
        kind = "HEIC or AVIF, and cannot be read" if _is_heif(path) else "not a picture of a kind that can be read"
        raise ValueError(f"{path} is {kind}; save it as PNG or JPEG, and try that") from None
    except Image.DecompressionBombError:
        raise ValueError(f"{path} is too large a picture; save it with fewer pixels, and try that") from None
    except Exception as error:  # damaged bytes make Pillow raise nearly anything
        raise ValueError(f"{path} is not a picture that can be read ({error}); copy or save it anew") from None


def _flat(image):
    """A picture of at most 8 bits a colour; where one can see through it, on the ground that shows what is drawn."""
    rgba = _rgba(image)
    ink, alpha = rgba[..., :3].mean(-1), rgba[..., 3]
    on_white = ink * alpha + (1 - alpha)
    return on_white if np.ptp(on_white) >= 0.1 else ink * alpha


def _colored(image):
    rgba = _rgba(image)
    return rgba[..., :3] * rgba[..., 3:] + (1 - rgba[..., 3:])


def _rgba(image):
    if image.mode in ("1", "P", "PA") or "transparency" in image.info:  # which cannot be scaled smoothly
        image = image.convert("RGBA")
    image.thumbnail((_SIDE, _SIDE))
    return np.asarray(image.convert("RGBA"), np.float64) / 255


def _deep(image):
    """A grey picture of more than 8 bits, or of floating-point numbers: the brightest pixel is white."""
    from PIL import Image

    pixels = np.asarray(image, np.float32).clip(0)
    if not np.isfinite(pixels).all():
        raise ValueError("it has pixels that are no numbers")
    image = Image.fromarray(pixels / max(pixels.max(), np.float32(1e-30)))
    image.thumbnail((_SIDE, _SIDE))
    return np.asarray(image, np.float64).clip(0, 1)


def _orientation(image):
    """How a picture that has been loaded is to be turned; one whose notes are damaged is taken as it is."""
    with contextlib.suppress(Exception):
        if image.format != "TIFF":  # which Pillow turns while it loads, and older ones do not say so
            return image.getexif().get(_ORIENTATION, 1)
    return 1


def _is_heif(path):
    with path.open("rb") as file:
        head = file.read(12)
    return head[4:8] == b"ftyp" and head[8:11] in (b"hei", b"hev", b"mif", b"msf", b"avi")
