"""The commands print in any terminal, and work on where nobody reads what they print."""

import argparse
import errno
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from minidl.lab.commands import bench, lessons, live, mnist, predict, reproduce
from minidl.lab.commands.main import main
from minidl.system.terminal import readable
from tests.system.test_terminal import ENCODINGS, Failing, streams, text_file

ROOT = Path(__file__).parents[3]
COMMANDS = ["mnist", "predict", "lessons", "reproduce", "live", "bench"]
POSIX = pytest.mark.skipif(os.name != "posix", reason="a shell of Unix, and its devices")
SHORT = ["--steps", "40", "--batch-size", "10", "--threads", "1"]


def printed(monkeypatch, encoding, *words):
    """What a command prints to a terminal with this encoding, and its exit status."""
    out, err = io.BytesIO(), io.BytesIO()
    with streams(monkeypatch, *(io.TextIOWrapper(file, encoding=encoding, newline="\n") for file in (out, err))):
        try:
            status = main(list(words))
        except SystemExit as end:
            status = end.code or 0
        return out.getvalue().decode(encoding), err.getvalue().decode(encoding), status


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("command", [[], *([name] for name in COMMANDS)], ids=lambda words: "".join(words) or "minidl")
def test_help_prints_in_any_encoding(monkeypatch, encoding, command):
    out, err, status = printed(monkeypatch, encoding, *command, "--help")
    assert out.startswith("usage: minidl")
    assert (err, status) == ("", 0)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--vesion"], "there is no --vesion; did you mean --version?"),
        (["reproduce", "--only", "ics"], "there is no --only; minidl reproduce --help lists what there is"),
        (
            ["reproduce", "--claim", "bias", "--readme", "no.md"],
            "--readme is no.md; it must be a file with the lines <!--",
        ),
        (["reproduce", "--claim", "bias", "--scheduler", "no"], "--scheduler is no; it must be the address of a Dask"),
        (["lessons", "--quick", "--no-browser"], "--quick goes with --build"),
        (
            ["lessons", "--to", "file/x", "--no-browser"],
            "cannot write to the folder file/x (Not a directory); choose an",
        ),
        (
            ["mnist", "--out", "file/x"],
            "cannot write to the folder file/x (Not a directory); choose another with --out",
        ),
        (["predict", "no.png"], "no.png"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_slip_is_named(words, told, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    (tmp_path / "lessons").symlink_to(ROOT / "lessons")
    _, err, status = printed(monkeypatch, "utf-8", *words)
    assert status == 2
    assert told in err
    assert "Traceback" not in err


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_the_claims_are_listed_in_any_encoding(monkeypatch, encoding):
    out, err, status = printed(monkeypatch, encoding, "reproduce", "--list")
    assert (err, status) == ("", 0)
    assert ("gamma" in out, "γ" in out) == (encoding != "utf-8", encoding == "utf-8")
    assert "?" not in out


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize(
    "words", [["predict", "σ².png"], ["reproduce", "--claim", "γ ≤ ∞"], ["lessons", "--from", "→"]]
)
def test_errors_are_told_in_any_encoding(monkeypatch, tmp_path, encoding, words):
    monkeypatch.chdir(tmp_path)
    out, err, status = printed(monkeypatch, encoding, *words)
    assert (out, status) == ("", 2)
    assert readable(words[-1], encoding) in err
    assert "?" not in err


@pytest.mark.parametrize("job", [mnist, predict, lessons, reproduce, live, bench], ids=lambda job: job.__name__)
def test_a_flag_that_cannot_be_read_says_what_it_must_be(job, capsys):
    parser = argparse.ArgumentParser()
    job.add_arguments(parser)
    typed = [action for action in parser._actions if action.type]
    assert typed
    for action in typed:
        for text in ("", "x\0", "~no such user/x"):
            with pytest.raises(argparse.ArgumentTypeError, match=r"is not|must be|write \./~"):
                action.type(text)


@pytest.mark.parametrize("words", [["reproduce", "--seeds", "x"], ["reproduce", "--seeds", "1"]])
def test_too_few_seeds(words, capsys):
    with pytest.raises(SystemExit):
        main(words)
    told = capsys.readouterr().err
    assert f"{words[-1]} is not a whole number of at least 2; one seed alone says nothing of its spread" in told


def test_all_commands_are_tried(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    listed = [line.split()[0] for line in capsys.readouterr().out.splitlines() if line.startswith("    ")]
    assert [name for name in listed if name in COMMANDS] == COMMANDS


@pytest.mark.parametrize("code", [errno.EPIPE, errno.ENOSPC, None])
def test_a_training_is_finished_whatever_becomes_of_its_output(monkeypatch, folder, tmp_path, code):
    """Standard output fails after some signs, standard error at once; or there are none."""
    files = [text_file(Failing(code, room)) for room in (100, 0)] if code else [None, None]
    with streams(monkeypatch, *files):
        status = main(["mnist", "--data", str(folder), "--out", str(tmp_path), *SHORT])
    assert status == (1 if code == errno.ENOSPC else 0)
    results = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
    assert results["finished"]
    names = ["figure1.png", "results.json", "weights-batch.npz", "weights-none.npz"]
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == names


def test_a_mistake_keeps_its_status_when_it_cannot_be_told(monkeypatch, tmp_path):
    for words, expected in ((["mnist", "--frob"], 2), (["predict", str(tmp_path)], 2), (["--version"], 1)):
        with streams(monkeypatch, text_file(Failing(errno.ENOSPC)), text_file(Failing(errno.ENOSPC))):
            try:
                status = main(words)
            except SystemExit as end:
                status = end.code
        assert status == expected


def shell(line):
    """Run a line in a shell, where $minidl is the command."""
    environment = os.environ | {"minidl": f"{sys.executable} -m minidl"}
    return subprocess.run(["bash", "-c", line], env=environment, capture_output=True, text=True, encoding="utf-8")


@POSIX
@pytest.mark.parametrize(
    ("line", "out", "err", "status"),
    [
        ("$minidl reproduce --list | true; echo ${PIPESTATUS[0]}", "0\n", "", 0),
        ("$minidl reproduce --list >&-", "", "", 0),
        ("$minidl mnist --frob 2>&-", "", "", 2),
    ],
)
def test_in_a_shell(line, out, err, status):
    done = shell(line)
    assert (done.stdout, done.stderr, done.returncode) == (out, err, status)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="a device of Linux")
def test_on_a_full_device():
    done = shell("$minidl --version > /dev/full")
    assert (done.stderr, done.returncode) == (f"minidl: no more can be printed ({os.strerror(errno.ENOSPC)})\n", 1)


@POSIX
def test_closed_numbers_are_not_given_to_files_of_results(tmp_path):
    program = (
        "from minidl.system.terminal import printing; import os, sys\n"
        "with printing():\n"
        f"    assert os.open({str(tmp_path / 'results')!r}, os.O_CREAT | os.O_WRONLY) > 2\n"
        "    os.write(2, b'to nobody')\n"
    )
    command = f'exec "{sys.executable}" -c "$0" 0<&- 1>&- 2>&-'
    assert subprocess.run(["bash", "-c", command, program], timeout=60).returncode == 0
    assert (tmp_path / "results").read_bytes() == b""
