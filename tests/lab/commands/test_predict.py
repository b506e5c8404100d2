"""A digit of one's own."""

import sys

import numpy as np
import pytest
from PIL import Image, ImageDraw

from minidl import checkpoint, exchange, nn
from minidl.lab.commands.main import main
from minidl.lab.commands.predict import as_mnist, as_text, load_network
from minidl.lab.paper.fig1 import Settings, build


@pytest.fixture
def weights(tmp_path):
    path = tmp_path / "weights-batch.npz"
    settings = {"norm": "batch", "model": "mlp", "steps": 1, "lr": 0.1, "init_std": 0.1, "batch_size": 60,
                "momentum": 0.0, "seed": 0}  # fmt: skip
    checkpoint.save(path, build(Settings(), "batch").state_dict(), settings)
    return path


def drawn(path, ground=255, ink=0, size=(200, 300), mode="L"):
    image = Image.new(mode, size, ground)
    ImageDraw.Draw(image).line([(120, 40), (100, 260)], fill=ink, width=18)
    image.save(path)
    return path


def grey(path):
    with Image.open(path) as image:
        return np.asarray(image) / 255


def test_prints_ten_probabilities(weights, tmp_path, capsys):
    status = main(["predict", str(drawn(tmp_path / "one.png")), "--weights", str(weights)])
    printed = capsys.readouterr().out
    assert status == 0
    percents = [float(line.split()[1]) for line in printed.splitlines() if " % " in line]
    assert len(percents) == 10
    assert sum(percents) == pytest.approx(100, abs=1)
    assert "The network takes this for a" in printed


def test_draws_its_answer(weights, tmp_path):
    picture = drawn(tmp_path / "one.png")
    assert main(["predict", str(picture), "--weights", str(weights), "--out", str(tmp_path / "answer.png")]) == 0
    with Image.open(tmp_path / "answer.png") as answer:
        assert answer.size[0] > 300


def test_dark_on_light_and_light_on_dark_are_the_same(tmp_path):
    one = as_mnist(grey(drawn(tmp_path / "1.png")))
    two = as_mnist(grey(drawn(tmp_path / "2.png", ground=0, ink=255)))
    np.testing.assert_array_equal(one, two)


def test_looks_like_mnist(tmp_path):
    image = as_mnist(grey(drawn(tmp_path / "1.png")))
    assert image.shape == (28, 28)
    assert image.dtype == np.uint8
    assert image.max() > 200
    rows = np.flatnonzero((image > 60).any(1))
    assert 18 <= rows[-1] - rows[0] + 1 <= 20
    centre = (image * np.arange(28)).sum() / image.sum()
    assert abs(centre - 13.5) < 1


def test_small_and_off_centre_pictures(tmp_path):
    picture = np.zeros((12, 9))
    picture[2:9, 6] = 1
    assert as_mnist(picture).sum() > 0


def test_text_has_a_line_for_two_rows():
    image = np.zeros((28, 28), np.uint8)
    image[0, 0] = 255
    image[1, 1] = 255
    lines = as_text(image).splitlines()
    assert len(lines) == 14
    assert lines[0].startswith("▀▄ ")


def test_transparent_picture(weights, tmp_path):
    picture = drawn(tmp_path / "one.png", ground=(0, 0, 0, 0), ink=(0, 0, 0, 255), mode="RGBA")
    assert main(["predict", str(picture), "--weights", str(weights)]) == 0


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (lambda p: p.write_text("not a picture"), "not a picture"),
        (lambda p: Image.new("L", (50, 50), 200).save(p), "one colour"),
        (lambda p: None, "no file"),
    ],
)
def test_no_digit(weights, tmp_path, capsys, make, word):
    path = tmp_path / "picture.png"
    make(path)
    assert main(["predict", str(path), "--weights", str(weights)]) == 2
    assert word in capsys.readouterr().err


@pytest.mark.parametrize("noise", [True, False])
def test_what_can_be_no_digit_is_said_to_mean_nothing(weights, tmp_path, capsys, noise):
    path = drawn(tmp_path / "picture.png")
    if noise:
        Image.fromarray(np.random.default_rng(0).integers(0, 256, (200, 200), np.uint8)).save(path)
    assert main(["predict", str(path), "--weights", str(weights)]) == 0
    assert ("That means nothing" in capsys.readouterr().out) == noise


def test_without_weights(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["predict", str(drawn(tmp_path / "one.png"))]) == 2
    assert "minidl mnist" in capsys.readouterr().err


def test_weights_of_something_else(tmp_path, capsys):
    checkpoint.save(tmp_path / "w.npz", {"a": np.ones(3)}, {"norm": "batch"})
    assert main(["predict", str(drawn(tmp_path / "one.png")), "--weights", str(tmp_path / "w.npz")]) == 2
    assert "no network" in capsys.readouterr().err


def test_weights_that_are_no_numbers(weights, tmp_path, capsys):
    arrays, settings = checkpoint.load(weights)
    checkpoint.save(weights, arrays | {"0.weight": np.full(arrays["0.weight"].shape, np.nan)}, settings)
    assert main(["predict", str(drawn(tmp_path / "one.png")), "--weights", str(weights)]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert f"the network in {weights} gives no finite numbers; train it again" in told.err


def test_the_saved_network_is_the_trained_one(weights):
    model, settings = load_network(weights)
    assert settings == Settings(steps=1)
    assert model.state_dict().keys() == checkpoint.load(weights)[0].keys()


@pytest.mark.parametrize(("model", "layout"), [("mlp", "NHWC"), ("conv", "NHWC"), ("conv", "NCHW")])
def test_an_exported_network_answers_alike(tmp_path, capsys, model, layout):
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    network, picture, weights = build(Settings(model=model), "batch"), drawn(tmp_path / "one.png"), tmp_path / "w.npz"
    checkpoint.save(weights, network.state_dict(), {"norm": "batch"} | vars(Settings(model=model)))
    example = np.zeros((1, 784) if model == "mlp" else (1, 28, 28, 1), np.float32)
    exchange.onnx.export(network, example, tmp_path / "network.onnx", layout=layout)
    told = []
    for path in (weights, tmp_path / "network.onnx"):
        assert main(["predict", str(picture), "--weights", str(path)]) == 0
        told.append(capsys.readouterr().out)
    assert told[0] == told[1]


def test_onnx_files_that_are_no_network_for_digits(tmp_path, capsys, monkeypatch):
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    picture, path = drawn(tmp_path / "one.png"), tmp_path / "network.onnx"

    def told():
        assert main(["predict", str(picture), "--weights", str(path)]) == 2
        return capsys.readouterr().err

    path.write_bytes(b"hello")
    assert "is not a network that onnxruntime can run" in told()
    exchange.onnx.export(nn.Linear(9, 10), np.zeros((1, 9), np.float32), path)
    assert "takes tensor(float) ['batch', 9]; a network for digits must take one tensor(float) of ('N', 784)" in told()
    exchange.onnx.export(nn.Linear(784, 3), np.zeros((1, 784), np.float32), path)
    assert "gives (1, 3) numbers; for digits it must be (1, 10)" in told()
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    assert "needs onnxruntime, which must be installed: pip install onnxruntime" in told()


def test_folders_in_place_of_files(weights, tmp_path, capsys):
    assert main(["predict", str(tmp_path), "--weights", str(weights)]) == 2
    assert "is a folder" in capsys.readouterr().err
    assert main(["predict", str(drawn(tmp_path / "one.png")), "--weights", str(weights), "--out", str(tmp_path)]) == 2
    assert "must be a file" in capsys.readouterr().err
