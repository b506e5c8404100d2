"""`minidl reproduce` as its user meets it: short claims, small digits."""

import json
import os
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import minidl
from minidl.data._splits import split_text
from minidl.lab.after.rows import benchmark_rows
from minidl.lab.commands import _sources, reproduce
from minidl.lab.commands.main import main
from minidl.lab.photos import made_up
from minidl.lab.registry import NOT_TESTED, claims
from minidl.lab.study.page import BEGIN, END, load_results, page
from tests.data.fake_cifar import NAMES10, packed
from tests.lab.paper.synthetic import bars
from tests.lab.study.fakes import claim as fake_claim
from tests.lab.study.fakes import fail_at_one

SHORT = ["--quick", "--jobs", "1"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Four IDX files."""
    folder = tmp_path_factory.mktemp("bars")
    for name, split in zip(("train", "t10k"), bars(), strict=True):
        for kind, array in (("images-idx3", split.images), ("labels-idx1", split.labels)):
            header = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
            (folder / f"{name}-{kind}-ubyte").write_bytes(header + array.astype("u1").tobytes())
    return folder


def run(out, *flags, status=0):
    assert main(["reproduce", "--out", str(out), *SHORT, *flags]) == status


@pytest.fixture
def only(monkeypatch):
    """Makes the ledger consist of these claims."""

    def only(*these):
        monkeypatch.setattr(reproduce, "claims", lambda: {claim.id: claim for claim in these})

    return only


def test_list_names_every_claim(capsys):
    assert main(["reproduce", "--list"]) == 0
    first, second = capsys.readouterr().out.split("\n\n")
    for text, part, title in ((first, "paper", "The paper, claim by claim:"), (second, "after", "After the paper:")):
        head, *lines = text.splitlines()
        assert head == title
        assert [line.split()[0] for line in lines] == [id for id, claim in claims().items() if claim.part == part]


def test_writes_what_it_says(tmp_path, capsys):
    run(tmp_path, "--claim", "conv", "scale")
    printed = capsys.readouterr().out
    assert "[1/2] conv: " in printed
    assert "reproduced: " in printed
    assert str(tmp_path / "README.md") in printed
    for name in ("conv", "scale"):
        assert json.loads((tmp_path / f"{name}.json").read_bytes())["quick"] is True
        assert (tmp_path / "figures" / f"{name}.png").stat().st_size > 1000
        assert list((tmp_path / "runs" / name).iterdir())
    text = (tmp_path / "README.md").read_text(encoding="utf-8")
    found, known = load_results(tmp_path, claims().values()), claims().values()
    assert text == page(found, NOT_TESTED, known, benchmark_rows(found, known))


def test_claims_join_those_that_were_run_before(tmp_path):
    run(tmp_path, "--claim", "scale")
    run(tmp_path, "--claim", "conv")
    text = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert text.index("| [scale](") > text.index("| [conv](") > 0


def test_a_second_run_does_nothing_again(tmp_path, only):
    only(fake_claim())
    run(tmp_path)
    first = json.loads((tmp_path / "fake.json").read_bytes())
    kept = tmp_path / "runs" / "fake"
    before = {file.name: file.stat().st_mtime_ns for file in kept.iterdir()}
    run(tmp_path)
    assert {file.name: file.stat().st_mtime_ns for file in kept.iterdir()} == before
    assert json.loads((tmp_path / "fake.json").read_bytes()) == first


def test_seeds(tmp_path, only):
    only(fake_claim())
    run(tmp_path, "--seeds", "4")
    content = json.loads((tmp_path / "fake.json").read_bytes())
    assert {run["config"]["seed"] for run in content["runs"]} == {0, 1, 2, 3}


def test_a_claim_that_fails_does_not_stop_the_others(tmp_path, only, capsys):
    only(fake_claim(run=fail_at_one, id="broken"), fake_claim())
    run(tmp_path, status=1)
    captured = capsys.readouterr()
    assert "failed: broken" in captured.err
    assert "no number" in captured.err
    assert (tmp_path / "fake.json").is_file()
    assert not (tmp_path / "broken.json").exists()
    assert len(list((tmp_path / "runs" / "broken").iterdir())) == 3  # what was finished


def test_an_interrupt_keeps_what_is_finished(tmp_path, only, capsys):
    def interrupted(config, digits=None):
        if config["stage"] == 2:
            raise KeyboardInterrupt
        return fake_claim().run(config)

    only(fake_claim(run=interrupted))
    run(tmp_path, status=130)
    assert "the same command continues" in capsys.readouterr().err
    assert len(list((tmp_path / "runs" / "fake").iterdir())) == 2


def test_the_table_goes_into_a_readme(tmp_path):
    readme = tmp_path / "main.md"
    readme.write_text(f"# Title\n{BEGIN}\n{END}\n", encoding="utf-8")
    run(tmp_path / "out", "--claim", "conv", "--readme", str(readme))
    assert "| conv | " in readme.read_text(encoding="utf-8")


def test_with_digits(folder, tmp_path):
    run(tmp_path, "--claim", "bias", "--data", str(folder))
    content = json.loads((tmp_path / "bias.json").read_bytes())
    assert content["data"].startswith(folder.name)
    assert "480 training" in content["data"]


def test_training_in_processes_gives_the_same(folder, tmp_path):
    for jobs in ("1", "2"):
        run(tmp_path / jobs, "--claim", "bias", "--data", str(folder), "--jobs", jobs)
    one, two = (json.loads((tmp_path / jobs / "bias.json").read_bytes())["runs"] for jobs in ("1", "2"))
    assert one == two


def test_a_process_with_other_data_refuses(folder):
    with pytest.raises(ValueError, match="other data"):
        _sources._load("mnist", folder, False, "another checksum")


# ---- photographs ---------------------------------------------------------------------------------------------------------


def photo_claim(**others):
    def run(config, photos):
        return {"value": float(photos.train.images.mean()) + config["seed"]}

    return fake_claim(run=run, id="photos", data="cifar10", **others)


def test_with_photographs(tmp_path, only):
    photos = made_up(20, 10)
    for name, images, labels in zip(
        NAMES10, [*np.split(photos.train.images, 5), photos.test.images],
        [*np.split(photos.train.labels, 5), photos.test.labels], strict=True,
    ):  # fmt: skip
        (tmp_path / name).write_bytes(packed(images, labels[:, None]))
    only(photo_claim())
    run(tmp_path / "out", "--data", str(tmp_path))
    content = json.loads((tmp_path / "out" / "photos.json").read_bytes())
    assert content["data"] == f"{tmp_path.name}, 20 training and 10 test images"
    assert content["runs"][0]["record"]["value"] == pytest.approx(photos.train.images.mean(), rel=1e-6)


def test_a_quick_run_makes_photographs_up_where_there_are_none(folder, tmp_path, only, capsys):
    only(photo_claim())
    run(tmp_path, "--data", str(folder))
    content = json.loads((tmp_path / "photos.json").read_bytes())
    assert content["data"].startswith("made-up pictures, ")
    assert "this quick run takes made-up pictures" in capsys.readouterr().err
    assert "Data: made-up pictures" in (tmp_path / "README.md").read_text(encoding="utf-8")


def test_a_full_run_needs_photographs_and_the_others_go_on_without(folder, tmp_path, only, capsys):
    full = ["--jobs", "1", "--data", str(folder)]
    only(photo_claim())
    assert main(["reproduce", "--out", str(tmp_path), *full]) == 2
    assert "cifar10" in capsys.readouterr().err
    only(photo_claim(), fake_claim(run=lambda config, digits: {"value": 1.0 + config["seed"]}, data="mnist"))
    assert main(["reproduce", "--out", str(tmp_path), *full]) == 1
    captured = capsys.readouterr()
    assert "left out: photos" in captured.err
    assert "failed: photos" in captured.err
    assert (tmp_path / "fake.json").is_file()
    assert not (tmp_path / "photos.json").exists()


# ---- a text --------------------------------------------------------------------------------------------------------------


def text_claim(**others):
    def run(config, text):
        return {"value": float(text.train.mean()) + config["seed"]}

    return fake_claim(run=run, id="text", data="text", **others)


def test_with_a_text(tmp_path, only):
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "input.txt").write_text("To be, or not to be.\n" * 20, encoding="utf-8", newline="\n")
    only(text_claim())
    run(tmp_path / "out", "--data", str(tmp_path))
    content = json.loads((tmp_path / "out" / "text.json").read_bytes())
    assert content["data"] == "text, 378 training and 21 test characters"
    before = {file.name for file in (tmp_path / "out" / "runs" / "text").iterdir()}
    (tmp_path / "text" / "input.txt").write_text("To be, or not to be!\n" * 20, encoding="utf-8", newline="\n")
    run(tmp_path / "out", "--data", str(tmp_path))  # the numbers are the same, and the text is another one
    assert len({file.name for file in (tmp_path / "out" / "runs" / "text").iterdir()} - before) == len(before)


def test_a_quick_run_takes_docstrings_where_there_is_no_text(folder, tmp_path, only, capsys):
    only(text_claim())
    run(tmp_path, "--data", str(folder))
    assert json.loads((tmp_path / "text.json").read_bytes())["data"].startswith("docstrings, ")
    assert "this quick run takes docstrings" in capsys.readouterr().err
    assert "Data: docstrings, " in (tmp_path / "README.md").read_text(encoding="utf-8")


def test_a_full_run_in_a_folder_needs_a_text(folder, tmp_path, only, capsys):
    only(text_claim())
    assert main(["reproduce", "--out", str(tmp_path), "--jobs", "1", "--data", str(folder)]) == 2
    assert "lacks tinyshakespeare.txt" in capsys.readouterr().err


def test_a_text_is_told_from_another_with_the_same_numbers():
    one, two = (split_text(text * 20, "made up") for text in ("ab\n", "ac\n"))
    assert all(np.array_equal(a, b) for a, b in zip(one, two, strict=True))
    assert _sources._checksum(one) != _sources._checksum(two)


@pytest.mark.parametrize(
    ("flags", "word"),
    [
        (["--claim", "fig9"], "no claim fig9; there are"),
        (["--claim", "bias", "--data", "/no/such/folder"], "cannot list the folder"),
        (["--readme", "/no/such/file.md", "--claim", "conv"], "/no/such/file.md"),
    ],
)
def test_settings_that_cannot_work(tmp_path, capsys, flags, word):
    run(tmp_path, *flags, status=2)
    assert word in capsys.readouterr().err


@pytest.mark.parametrize("flags", [["--seeds", "1"], ["--jobs", "0"], ["--seeds", "many"]])
def test_wrong_flags(tmp_path, capsys, flags):
    with pytest.raises(SystemExit) as stop:
        run(tmp_path, *flags)
    assert stop.value.code == 2
    assert flags[0] in capsys.readouterr().err


def test_as_a_program_on_two_processes(tmp_path):
    command = [sys.executable, "-W", "error", "-m", "minidl", "reproduce", "--claim", "conv", "--quick"]
    done = subprocess.run([*command, "--jobs", "2", "--out", tmp_path], capture_output=True, text=True, check=True)
    assert "reproduced" in done.stdout
    assert "\r" not in done.stderr
    run(tmp_path / "serial", "--claim", "conv")
    both = [json.loads((path / "conv.json").read_bytes())["runs"] for path in (tmp_path, tmp_path / "serial")]
    assert both[0] == both[1]


SLOW = """
import os, sys, time
from pathlib import Path
from minidl.lab.commands import reproduce
from minidl.lab.commands.main import main
from tests.lab.study.fakes import claim

def slow(config, digits=None):
    (Path(sys.argv[1]) / f"{os.getpid()}.worker").touch()
    time.sleep(600)

if __name__ == "__main__":
    reproduce.claims = lambda: {"fake": claim(run=slow)}
    sys.exit(main(["reproduce", "--jobs", "2", "--out", sys.argv[1]]))
"""


@pytest.mark.skipif(os.name != "posix", reason="signals are a thing of Unix")
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_who_is_stopped_leaves_no_worker(tmp_path, name):
    (tmp_path / "slow.py").write_text(SLOW)
    environment = os.environ | {"PYTHONPATH": str(Path(minidl.__file__).parents[1])}
    command = [sys.executable, tmp_path / "slow.py", tmp_path]
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as parent:
        workers = wait_for(lambda: len(found := list(tmp_path.glob("*.worker"))) == 2 and found)
        parent.send_signal(signal.Signals[name])  # to this process alone, not to its group
        assert "the same command continues" in parent.communicate(timeout=60)[1]
    assert parent.returncode == 130
    wait_for(lambda: not any(is_running(int(worker.stem)) for worker in workers))


def is_running(process):
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def wait_for(condition, seconds=60):
    until = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < until
        time.sleep(0.05)
    return found
