"""`minidl predict IMAGE`: what a trained network makes of a digit, or a photograph, of your own."""

from pathlib import Path

import numpy as np

from minidl import checkpoint
from minidl import functional as F
from minidl.lab.commands._flags import path
from minidl.lab.commands._photo import as_lines, as_photo, load_photo_network
from minidl.lab.commands._picture import read_color, read_grey
from minidl.lab.paper.fig1 import Settings, build, prepare
from minidl.lab.recipe import as_input
from minidl.tensor import Tensor
from minidl.train import predict_logits

__all__ = ["HELP", "add_arguments", "run"]

_LAYOUTS = {(784,): "mlp", (28, 28, 1): "conv", (1, 28, 28): "conv"}  # sizes of an input → how its pixels are prepared

HELP = "show what a trained network makes of a picture: of a digit, or of what is in CIFAR"


def add_arguments(parser):
    """Add the flags of `minidl predict`."""
    parser.add_argument(
        "image", type=path,
        help="a picture (PNG, JPEG, …): of one digit, dark on light or light on dark; or for a network of `minidl cifar`, "
        "of one of its classes",
    )  # fmt: skip
    parser.add_argument(
        "--weights", type=path,
        help="a file that `minidl mnist` or `minidl cifar` wrote (runs/mnist/weights-batch.npz), or a network for digits "
        "that was exported to .onnx",
    )  # fmt: skip
    parser.add_argument(
        "--out", type=path, help="also draw the picture, what the network sees, and its answer, to this file"
    )


def run(args):
    """Print the probabilities of the classes; returns the exit status."""
    if args.out and (args.out.is_dir() or not args.out.parent.is_dir()):
        raise ValueError(f"--out is {args.out}; it must be a file to make, in a folder that exists")
    path = args.weights or Path("runs/mnist/weights-batch.npz")
    if not args.image.is_file():
        read_grey(args.image)  # which says what is wrong
    if not path.is_file():
        raise FileNotFoundError(
            f"there are no trained weights at {path}; run `minidl mnist` or `minidl cifar` first, or pass --weights"
        )
    is_photo_network = _is_photo_network(path)
    picture = read_color(args.image) if is_photo_network else read_grey(args.image)
    seen, logits, settings = (_look_at_photo if is_photo_network else _look_at_digit)(picture, path)
    if not np.isfinite(logits).all():
        raise ValueError(f"the network in {path} gives no finite numbers; train it again")
    probabilities = F.softmax(Tensor(logits)).data[0]
    names = [name.replace("_", " ") for name in settings["classes"]] if is_photo_network else None
    try:
        if args.out:
            from minidl.lab import plot

            plot.save(plot.prediction(picture, seen, probabilities, names=names), args.out)
    except OSError as error:
        raise ValueError(f"cannot write --out {args.out} ({error.strerror or error})") from None
    finally:
        if is_photo_network:
            print(as_lines(probabilities, names, settings["source"]))
        else:
            _print(seen, probabilities)
    if args.out:
        print(f"wrote {args.out}")
    return 0


def _is_photo_network(path):
    if path.suffix.lower() == ".onnx":
        return False
    settings = _load(path)[1]
    return isinstance(settings, dict) and settings.get("network") == "cifar"


def _look_at_photo(picture, path):
    model, settings = load_photo_network(path)
    seen = as_photo(picture)
    return seen, predict_logits(model, as_input(seen[None], settings["mean"], settings["std"])), settings


def _look_at_digit(picture, path):
    seen = as_mnist(picture)
    if path.suffix.lower() == ".onnx":
        return seen, run_onnx(path, seen), None
    model, settings = load_network(path)
    return seen, predict_logits(model, prepare(seen[None], settings.model)), settings


def _print(seen, probabilities):
    print(as_text(seen))
    for digit, probability in enumerate(probabilities):
        print(f"{digit}  {100 * probability:5.1f} %  {'█' * round(30 * float(probability))}")
    likeliest = int(probabilities.argmax())
    print(f"\nThe network takes this for {'an' if likeliest == 8 else 'a'} {likeliest}.")
    if (seen > 127).sum() > 0.8 * 20 * 20:  # of MNIST's digits the blackest fills 78 % of this box
        print("That means nothing: ink fills its box as no digit does, and the network can only answer with a digit.")
    elif probabilities.max() < 0.7:
        print(
            "It is not sure: one large digit, drawn with a thick line on a plain ground, works best. It can only answer "
            "with a digit, whatever it is shown."
        )


def _load(path):
    try:
        return checkpoint.load(path)
    except ModuleNotFoundError as error:  # of a file of safetensors
        raise ValueError(str(error)) from None


def load_network(path):
    """Load the network that `minidl mnist` saved, and its settings."""
    arrays, saved = _load(path)
    try:
        norm = saved.pop("norm")
        settings = Settings(**saved)
        model = build(settings, norm)
        model.load_state_dict(arrays)
    except (KeyError, TypeError, ValueError) as error:
        raise checkpoint.CheckpointError(f"{path} holds no network that `minidl mnist` trained ({error})") from None
    return model, settings


def run_onnx(path, seen):
    """Return what a network in an ONNX file makes of an image of bytes (28, 28): logits (1, 10), by onnxruntime.

    The network's input says what it wants: (N, 784) binary pixels as the paper's network, (N, 28, 28, 1) or (N, 1, 28, 28)
    grey ones, 0 … 1.
    Errors  ValueError without onnxruntime, for a file that it does not take, and for other networks
    """
    try:
        import onnxruntime
    except ModuleNotFoundError:
        raise ValueError(f"{path} needs onnxruntime, which must be installed: pip install onnxruntime") from None
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # what goes wrong is told below
    try:
        session = onnxruntime.InferenceSession(path.read_bytes(), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime has many kinds of its own
        raise ValueError(f"{path} is not a network that onnxruntime can run ({error}); export it again") from None
    inputs, outputs = session.get_inputs(), session.get_outputs()
    sizes = tuple(inputs[0].shape[1:]) if len(inputs) == 1 else None
    if sizes not in _LAYOUTS or len(outputs) != 1 or inputs[0].type != "tensor(float)":
        wanted = ", ".join(str(("N", *shape)) for shape in _LAYOUTS)
        found = ", ".join(f"{one.type} {one.shape}" for one in inputs)
        raise ValueError(
            f"the network in {path} takes {found}; a network for digits must take one tensor(float) of {wanted}"
        )
    pixels = prepare(seen[None], _LAYOUTS[sizes]).reshape(1, *sizes)
    try:
        logits = session.run(None, {inputs[0].name: pixels})[0]
    except Exception as error:
        raise ValueError(f"the network in {path} failed ({error}); export it again") from None
    if np.shape(logits) != (1, 10):
        raise ValueError(f"the network in {path} gives {np.shape(logits)} numbers; for digits it must be (1, 10)")
    return logits


def as_mnist(picture):
    """A grey picture (H, W), 0 … 1, as MNIST would have it: light on dark, 28×28 bytes, the digit in a box of 20×20,
    its centre of mass in the middle.
    """
    from scipy import ndimage

    border = np.concatenate([picture[0], picture[-1], picture[:, 0], picture[:, -1]])
    ink = np.abs(picture - np.median(border))  # the ground is what the border shows
    if ink.max() < 0.1:
        raise ValueError("the picture is of one colour; draw a digit on it")
    ink = np.clip(ink / ink.max(), 0, 1)
    ink[ink < 0.2] = 0  # paper is never quite even
    rows, columns = np.flatnonzero(ink.any(1)), np.flatnonzero(ink.any(0))
    digit = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    scale = 20 / max(digit.shape)
    if scale < 1:  # else pixels between the new ones would be passed over
        digit = ndimage.gaussian_filter(digit, 0.4 / scale)
    scales = [max(1, round(side * scale)) / side for side in digit.shape]  # of a thin line one pixel is left
    digit = np.clip(ndimage.zoom(digit, scales, order=1, grid_mode=True, mode="grid-constant"), 0, None)[:20, :20]
    digit /= max(digit.max(), 1e-6)
    canvas = np.zeros((28, 28))
    top, left = (28 - digit.shape[0]) // 2, (28 - digit.shape[1]) // 2
    canvas[top : top + digit.shape[0], left : left + digit.shape[1]] = digit
    centre = ndimage.center_of_mass(canvas)
    canvas = ndimage.shift(canvas, [round(13.5 - c) for c in centre], order=0)
    return np.round(255 * canvas).astype(np.uint8)


def as_text(image):
    """Show an image of bytes as lines of block characters, two rows of pixels to a line."""
    dark = image > 127
    return "\n".join(
        "".join(" ▄▀█"[2 * top + bottom] for top, bottom in zip(a, b, strict=True))
        for a, b in zip(dark[::2], dark[1::2], strict=True)
    )
