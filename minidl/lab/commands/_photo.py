"""What `minidl predict` does with a network of `minidl cifar`: loads it, cuts a picture to size, and says the answer."""

import dataclasses

import numpy as np

from minidl import checkpoint
from minidl.lab.photos import MADE_UP
from minidl.lab.recipe import Settings, build

__all__ = ["as_lines", "as_photo", "load_photo_network"]

_SIDE = 32
_SHOWN = 10  # classes whose probabilities are printed
_SURE = 0.5  # label smoothing keeps even right answers from being certain


def load_photo_network(path):
    """Load the network that `minidl cifar` saved; returns it and a dict of settings, classes and colours."""
    arrays, saved = checkpoint.load(path)
    try:
        settings = {field.name: saved[field.name] for field in dataclasses.fields(Settings)}
        about = {name: saved[name] for name in ("classes", "source", "mean", "std")}
        if len(about["mean"]) != 3 or len(about["std"]) != 3 or not all(isinstance(n, str) for n in about["classes"]):
            raise ValueError("its colours or classes are not as they were written")
        model = build(Settings(**settings), len(about["classes"]))
        model.load_state_dict(arrays)
    except (KeyError, TypeError, ValueError) as error:
        raise checkpoint.CheckpointError(f"{path} holds no network that `minidl cifar` trained ({error})") from None
    return model, about


def as_photo(picture):
    """Cut the largest square out of the middle of a picture (H, W, 3), 0 … 1, and scale it to 32×32 bytes."""
    from PIL import Image

    side = min(picture.shape[:2])
    top, left = ((n - side) // 2 for n in picture.shape[:2])
    square = np.round(255 * picture[top : top + side, left : left + side]).astype(np.uint8)
    return np.asarray(Image.fromarray(square).resize((_SIDE, _SIDE), Image.Resampling.LANCZOS))


def as_lines(probabilities, names, source):
    """Say the likeliest classes with their probabilities, and the answer in a sentence."""
    order = np.argsort(-probabilities, kind="stable")[:_SHOWN]
    width = max(len(names[i]) for i in order)
    lines = [
        f"{names[i]:{width}}  {100 * probabilities[i]:5.1f} %  {'█' * round(30 * float(probabilities[i]))}".rstrip()
        for i in order
    ]
    likeliest = names[order[0]]
    article = "an" if likeliest[0] in "aeiou" else "a"
    lines += ["", f"The network takes this for {article} {likeliest}."]
    if source == MADE_UP:
        lines.append("That means nothing: it was trained on made-up pictures, and not on photographs.")
    elif probabilities[order[0]] < _SURE:
        lines.append(
            f"It is not sure: one thing that fills the middle of the picture works best. It can only answer with one of its "
            f"{len(names)} classes, whatever it is shown."
        )
    return "\n".join(lines)
