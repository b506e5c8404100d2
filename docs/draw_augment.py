"""Draw what each augmentation does, on drawn digits in colour: `python docs/draw_augment.py` writes docs/augment.png."""

import tempfile
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from minidl import data

__all__ = ["main", "rows"]

COLUMNS, CONTRAST = 9, 0.85


def coloured_digits(n: int, rng: np.random.Generator) -> np.ndarray:
    """Make images (n, 28, 28, 3), uint8: digits in one colour, on paper whose colour changes towards a corner."""
    with tempfile.TemporaryDirectory() as folder:
        drawn = data.strokes(train=n, test=1, seed=3, cache=folder).train.images
    ink = drawn[..., None] / 255.0
    paper, pen = 0.55 + 0.45 * rng.random((n, 1, 1, 3)), 0.45 * rng.random((n, 1, 1, 3))
    slope = np.add.outer(np.arange(28), np.arange(28))[None, :, :, None] / 54
    return (255 * (ink * pen + (1 - ink) * paper * (1 - CONTRAST * slope * rng.random((n, 1, 1, 3))))).astype(np.uint8)


def rows() -> dict[str, np.ndarray]:
    """Return each row of the picture: its name, and its images."""
    rng = np.random.default_rng(1)
    images, positions = coloured_digits(COLUMNS, rng), np.arange(COLUMNS)
    return {
        "images": images,
        "random_flip": data.random_flip(images, rng),
        "random_shift, 6": data.random_shift(images, 6, rng),
        "cutout, 10": data.cutout(images, 10, rng, value=128),
        "alternating_flip,\nepoch 0": data.alternating_flip(images, positions, 0),
        "alternating_flip,\nepoch 1": data.alternating_flip(images, positions, 1),
    }


def main() -> None:
    """Write the picture."""
    named = rows()
    figure = Figure((0.85 * COLUMNS + 1.2, 0.88 * len(named)), layout="constrained")
    for axes, (name, images) in zip(figure.subplots(len(named), COLUMNS), named.items(), strict=True):
        axes[0].set_ylabel(name, rotation=0, ha="right", va="center", fontsize=9)
        for ax, image in zip(axes, images, strict=True):
            ax.imshow(image)
            ax.set(xticks=[], yticks=[])
    figure.savefig(Path(__file__).with_name("augment.png"), dpi=110)


if __name__ == "__main__":
    main()
