"""`minidl cifar` as its user meets it, on a few made-up pictures and a narrow network."""

import json
import os
import signal
import subprocess
import sys

import numba
import numpy as np
import pytest

from minidl import checkpoint
from minidl.lab import photos, plot
from minidl.lab.commands import cifar
from minidl.lab.commands.main import main
from minidl.lab.recipe import Training
from tests.helpers import JIT

pytestmark = pytest.mark.skipif(not JIT, reason="takes minutes without compiled kernels")
FLAGS = ["--quick", "--batch-size", "16", "--epochs", "2.5", "--threads", "1"]


@pytest.fixture(autouse=True)
def narrow(monkeypatch):
    """Even narrower than --quick; and the figure, which takes longer than the training, is an empty file."""
    monkeypatch.setitem(cifar.QUICK, "widths", (4, 4, 4))
    monkeypatch.setattr(plot, "photo_report", lambda *_, **__: None)
    monkeypatch.setattr(plot, "save", lambda figure, path: path.touch())


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """The six files of CIFAR-10, with 80 pictures for training and 20 for the test."""
    folder = tmp_path_factory.mktemp("stripes")
    photos.write_made_up(folder, 80, 20)
    return folder


def run(pictures, out, *flags, status=0):
    assert main(["cifar", "--data", str(pictures), "--out", str(out), *FLAGS, *flags]) == status
    return json.loads((out / "results.json").read_text(), parse_constant=lambda c: pytest.fail(f"{c} is not JSON"))


def outcome(out):
    """Everything that a run leaves and that must not depend on what happened to it."""
    results = json.loads((out / "results.json").read_text())
    del results["run"]
    return results, (out / "weights.npz").read_bytes()


@pytest.fixture(scope="module")
def undisturbed(pictures, tmp_path_factory):
    """Where a run is that nothing happened to, and its outcome."""
    out = tmp_path_factory.mktemp("undisturbed")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(cifar.QUICK, "widths", (4, 4, 4))
        run(pictures, out)  # with its figure
    return out, outcome(out)


def test_writes_what_it_says(pictures, tmp_path, capsys):
    out = tmp_path / "a" / "b"
    results = run(pictures, out)
    printed = capsys.readouterr().out
    for name in ("cifar.png", "results.json", "weights.npz"):
        assert (out / name).exists()
        assert f"wrote {out / name}" in printed
    lines = printed.splitlines()
    assert lines[0] == f"{pictures.name}: 80 training images, 20 test images"
    assert lines[1] == "fast: 4, 4, 4 channels, norm: batch; 13 steps, 2.5 epochs"
    epochs = [line.split()[0] for line in lines if line.endswith(" s") and "%" in line]
    assert epochs == ["1", "2", "2.6"]  # whole steps
    assert results["finished"] is True
    assert results["steps"] == 13
    assert [row["step"] for row in results["epochs"]] == [5, 10, 13]
    assert set(results["epochs"][0]) == {"epoch", "step", "training_loss", "training_accuracy", "loss", "accuracy"}
    assert results["measured_on"] == "test images"
    assert results["accuracy"] == results["epochs"][-1]["accuracy"]
    assert f"one view of each {100 * results['accuracy']:15.2f} %".split() == next(
        line.split() for line in lines if line.startswith("one view")
    )
    assert any(line.startswith("average of six views") and line.endswith("%") for line in lines)
    assert np.sum(results["confusion"]) == 20
    assert np.trace(results["confusion"]) == round(20 * results["accuracy"])
    assert results["data"]["source"] == pictures.name
    assert {"total", "steps", "measuring"} <= set(results["run"]["seconds"])


def test_same_settings_same_results(pictures, undisturbed, tmp_path):
    how = ["--threads", str(min(2, numba.config.NUMBA_NUM_THREADS)), "--checkpoint-every", "2"]
    run(pictures, tmp_path / "1", *how)
    assert outcome(tmp_path / "1") == undisturbed[1]
    assert run(pictures, tmp_path / "2", "--seed", "1")["epochs"] != undisturbed[1][0]["epochs"]


def test_draws_a_figure(undisturbed):
    assert (undisturbed[0] / "cifar.png").read_bytes().startswith(b"\x89PNG")


def test_the_saved_network_is_the_trained_one(undisturbed):
    arrays, settings = checkpoint.load(undisturbed[0] / "weights.npz")
    assert settings["network"] == "cifar"
    assert settings["classes"][3] == "cat"
    assert settings["widths"] == [4, 4, 4]
    assert arrays["2.weight"].shape == (3, 3, 24, 4)


def test_validation_does_not_look_at_the_test_images(pictures, tmp_path, capsys):
    other = tmp_path / "other tests"
    other.mkdir()
    for file in pictures.iterdir():
        (other / file.name).write_bytes(file.read_bytes())
    (other / "test_batch.bin").write_bytes((pictures / "test_batch.bin").read_bytes()[::-1])  # no such labels, even
    labels = np.frombuffer((other / "test_batch.bin").read_bytes(), np.uint8).reshape(20, 3073).copy()
    labels[:, 0] %= 10
    (other / "test_batch.bin").write_bytes(labels.tobytes())
    results = [run(folder, tmp_path / folder.name, "--validate") for folder in (pictures, other)]
    for result in results:
        assert result["measured_on"] == "held-out training images"
        assert np.sum(result["confusion"]) == 8
    assert results[0]["epochs"] == results[1]["epochs"]
    printed = capsys.readouterr().out
    assert "72 training images, 8 held out of the training images" in printed
    assert "accuracy on 8 held-out images" in printed
    assert "test images" not in printed


@pytest.mark.parametrize("flags", [["--model", "plain"], ["--norm", "none"]])
def test_plain_is_the_same_network_without_norms(pictures, tmp_path, flags):
    results = run(pictures, tmp_path, *flags)
    assert results["settings"]["norm"] == "none"
    arrays, _ = checkpoint.load(tmp_path / "weights.npz")
    assert not [name for name in arrays if "running" in name]


def test_rates_can_be_given(pictures, tmp_path):
    given = ["--widths", "6", "8", "12", "--lr", "3", "--decay", "0", "--label-smoothing", "0.1", "--bias-lr", "2"]
    settings = run(pictures, tmp_path, *given)["settings"]
    assert settings["widths"] == [6, 8, 12]
    assert (settings["lr"], settings["decay"], settings["label_smoothing"], settings["bias_lr"]) == (3, 0, 0.1, 2)


def test_filters_need_not_come_in_pairs(pictures, tmp_path):
    settings = run(pictures, tmp_path, "--widths", "5", "6", "7", "--no-mirror")["settings"]
    assert (settings["widths"], settings["mirror"]) == ([5, 6, 7], False)


def test_one_image_of_a_hundred_classes(tmp_path):
    rng = np.random.default_rng(0)
    for name, n in (("train", 40), ("test", 12)):
        records = rng.integers(0, 256, (n, 3074), dtype=np.uint8)
        records[:, 0], records[:, 1] = records[:, 0] % 20, records[:, 1] % 100
        (tmp_path / f"{name}.bin").write_bytes(records.tobytes())
    results = run(tmp_path, tmp_path / "out", "--dataset", "cifar100", "--epochs", "1")
    assert np.shape(results["confusion"]) == (100, 100)


# ---- stopped, killed, resumed ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stop_after", [1, 5, 7, 11])
def test_stopped_by_ctrl_c_and_resumed(pictures, undisturbed, tmp_path, capsys, monkeypatch, stop_after):
    do_step = Training.do_step

    def interrupted(self):
        loss = do_step(self)
        if self.step == stop_after:
            os.kill(os.getpid(), signal.SIGINT)
        return loss

    with monkeypatch.context() as patch:
        patch.setattr(Training, "do_step", interrupted)
        results = run(pictures, tmp_path, status=130)
    printed = capsys.readouterr().out
    assert "to continue:" in printed
    assert results["finished"] is False
    assert results["steps"] == stop_after
    assert results["accuracy_of_six_views"] is None
    run(pictures, tmp_path, "--resume")
    assert f"continues after step {stop_after}" in capsys.readouterr().out
    assert outcome(tmp_path) == undisturbed[1]


def test_killed_and_resumed(pictures, undisturbed, tmp_path, monkeypatch):
    """As by a power cut, between two checkpoints."""
    do_step = Training.do_step

    def killed(self):
        if self.step == 8:
            raise KeyboardInterrupt
        return do_step(self)

    with monkeypatch.context() as patch:
        patch.setattr(Training, "do_step", killed)
        assert (
            main(["cifar", "--data", str(pictures), "--out", str(tmp_path), *FLAGS, "--checkpoint-every", "3"]) == 130
        )
    assert not (tmp_path / "results.json").exists()
    run(pictures, tmp_path, "--resume")
    assert outcome(tmp_path) == undisturbed[1]


def test_resume_on_a_finished_run_changes_nothing(pictures, tmp_path, capsys):
    run(pictures, tmp_path)
    before = (tmp_path / "results.json").read_bytes()
    run(pictures, tmp_path, "--resume")
    assert "nothing to do" in capsys.readouterr().out
    assert (tmp_path / "results.json").read_bytes() == before
    run(pictures, tmp_path, "--resume", "--validate")  # another run
    assert (tmp_path / "results.json").read_bytes() != before


def test_results_are_written_before_they_are_printed(pictures, tmp_path, monkeypatch):
    def fails(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(cifar, "table", fails)
    assert main(["cifar", "--data", str(pictures), "--out", str(tmp_path), *FLAGS]) == 130
    assert json.loads((tmp_path / "results.json").read_text())["finished"]


# ---- data --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def no_data(monkeypatch, tmp_path):
    monkeypatch.setenv("MINIDL_CACHE", str(tmp_path / "empty"))
    monkeypatch.delenv("MINIDL_DATA", raising=False)
    monkeypatch.setattr(cifar, "QUICK_IMAGES", (80, 20))


def test_quick_without_data_makes_pictures_up_and_says_so(no_data, tmp_path, capsys):
    assert main(["cifar", "--out", str(tmp_path / "out"), *FLAGS]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("made-up pictures in place of photographs, as there are none: ")
    assert "\nmade-up pictures: 80 training images, 20 test images\n" in printed
    assert json.loads((tmp_path / "out" / "results.json").read_text())["data"]["source"] == "made-up pictures"


def test_quick_with_a_folder_that_is_named_does_not_make_pictures_up(no_data, tmp_path, capsys):
    assert main(["cifar", "--data", str(tmp_path), "--out", str(tmp_path / "out"), *FLAGS]) == 2
    assert "lacks data_batch_1.bin" in capsys.readouterr().err


def test_quick_takes_a_part_of_the_data_that_is_there(pictures, tmp_path, monkeypatch):
    monkeypatch.setattr(cifar, "QUICK_IMAGES", (48, 10))
    assert run(pictures, tmp_path)["data"] | {"crc32": 0} == {
        "source": pictures.name,
        "train": 48,
        "test": 10,
        "crc32": 0,
    }


# ---- refused -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("flags", "word"),
    [
        (["--model", "vgg"], "invalid choice"),
        (["--norm", "layer"], "invalid choice"),
        (["--epochs", "0"], "above 0"),
        (["--epochs", "nan"], "above 0"),
        (["--lr", "inf"], "above 0"),
        (["--decay", "-1"], "not a number of at least 0"),
        (["--label-smoothing", "1"], "not a number from 0 to below 1"),
        (["--seed", "1.5"], "at least 0"),
        (["--steps", "5"], "there is no --steps"),
        (["--widths", "8", "8"], "expected 3 arguments"),
        (["--widths", "8", "8", "0"], "above 0"),
    ],
)
def test_wrong_flags(pictures, tmp_path, capsys, flags, word):
    with pytest.raises(SystemExit) as stop:
        run(pictures, tmp_path, *flags)
    assert stop.value.code == 2
    assert word in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "word"),
    [
        (["--model", "plain", "--norm", "batch"], "--model plain has no normalisation, and --norm is batch"),
        (["--batch-size", "81"], "--batch-size is 81, but there are 80 training images"),
        (["--epochs", "1e308"], "--epochs is 1e+308, which makes inf steps; there must be from 1 to"),
        (["--threads", "1000"], "--threads: got 1000"),
        (["--muon-lr", "1e30", "--norm", "none"], "smaller learning rate"),
        (["--widths", "4", "4", "7"], "--widths: a convolution makes 7 channels from 4, and 3 of them come in pairs"),
        (["--widths", "4", "4", "7"], "make that an even number, or use --no-mirror"),
        (["--widths", "32", "32", "32", "--norm", "group", "--mirror"], "--mirror: the 2 groups of a norm cut pairs"),
    ],
)
def test_settings_that_cannot_work(pictures, tmp_path, capsys, flags, word):
    assert main(["cifar", "--data", str(pictures), "--out", str(tmp_path), *FLAGS, *flags]) == 2
    assert word in capsys.readouterr().err
    assert not (tmp_path / "results.json").exists()


def test_as_a_program(pictures, tmp_path):
    command = [sys.executable, "-W", "error", "-m", "minidl", "cifar", "--data", pictures, "--out", tmp_path]
    flags = ["--quick", "--batch-size", "40", "--epochs", "0.5", "--threads", "1"]
    done = subprocess.run([*command, *flags], capture_output=True, text=True, check=True)
    assert "cifar.png" in done.stdout
    assert "\r" not in done.stderr  # a log file gets whole lines
