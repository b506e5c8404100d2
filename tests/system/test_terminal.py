"""Printing never fails: not for signs that a terminal lacks, not for streams that are closed, full or missing."""

import contextlib
import errno
import io
import os
import sys
import unicodedata
from pathlib import Path
from types import SimpleNamespace

import pytest

import minidl
from minidl.system.progress import progress
from minidl.system.terminal import SafeStream, note, printing, readable, safe, say

ENCODINGS = ["cp1252", "ascii", "latin-1", "cp437", "utf-8"]


class Failing(io.RawIOBase):
    """A file that takes some bytes, and then fails with an error of the system."""

    def __init__(self, code, room=0):
        self.code, self.room, self.taken = code, room, b""

    def writable(self):
        return True

    def write(self, data):
        if len(self.taken) + len(data) > self.room:
            raise OSError(self.code, os.strerror(self.code))
        self.taken += bytes(data)
        return len(data)


def refuse(*_):
    raise RuntimeError("no")


def odd(**attributes):
    """A stream of somebody's own making, which can write, and what it is given."""
    return SimpleNamespace(**({"write": len} | attributes))


def closed(stream):
    stream.close()
    return stream


ODD_STREAMS = {
    "none": lambda: None,
    "a number": lambda: 5,
    "an object": object,
    "closed": lambda: closed(io.StringIO()),
    "write alone": odd,
    "isatty raises": lambda: odd(isatty=refuse),
    "isatty gives nothing": lambda: odd(isatty=lambda: None),
    "write raises": lambda: odd(write=refuse),
    "flush raises": lambda: odd(flush=refuse, fileno=refuse),
    "a terminal whose write raises": lambda: odd(write=refuse, fileno=refuse, isatty=lambda: True),
    "a terminal whose flush raises": lambda: odd(flush=refuse, fileno=lambda: None, isatty=lambda: True),
    "a terminal that is no file": lambda: odd(isatty=lambda: True),
    "an unknown encoding": lambda: odd(encoding="no-such-encoding"),
    "an encoding that is a number": lambda: odd(encoding=7),
}


@contextlib.contextmanager
def streams(monkeypatch, out=None, err=None):
    """Standard output and error of our own, left without the error that a failing file gives when it is closed."""
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)
    yield
    for stream in (out, err):
        with contextlib.suppress(Exception):
            stream.close()


def text_file(raw, encoding="utf-8"):
    return io.TextIOWrapper(io.BufferedWriter(raw, 64), encoding=encoding)


@pytest.mark.parametrize(
    ("text", "encoding", "expected"),
    [
        ("γ = 0.5 ± 0.1 × 3 ≤ √σ² …", "ascii", "gamma = 0.5 +/- 0.1 x 3 <= sqrtsigma^2 ..."),
        ("γ = 0.5 ± 0.1 × 3 ≤ √σ² …", "latin-1", "gamma = 0.5 ± 0.1 × 3 <= sqrtsigma² ..."),
        ("γ = 0.5 ± 0.1 × 3 ≤ √σ² …", "cp1252", "gamma = 0.5 ± 0.1 × 3 <= sqrtsigma² …"),
        ("γ = 0.5 ± 0.1 × 3 ≤ √σ² …", "utf-8", "γ = 0.5 ± 0.1 × 3 ≤ √σ² …"),
        ("−1 – 2 → ∞", "ascii", "-1 - 2 -> inf"),
        ("10⁻¹² xᵢ, ½", "ascii", "10^-12 x_i, 1/2"),
        ("x̂, Σ, Φ, λ, 3 µs", "ascii", "x_hat, Sigma, Phi, lambda, 3 us"),
        ("✔ ok, ✘ bad, ○ open", "cp1252", "ok ok, x bad, o open"),
        ("▄▀█", "cp437", "▄▀█"),
        ("▄▀█", "ascii", '_"#'),
        ("naïve Œuvre, Grüße", "ascii", "naive ?uvre, Grusse"),
        ("数 \U0001f600 \udcff", "ascii", "? ? ?"),
        ("a file \udcff", "utf-8", "a file ?"),
        ("γ", None, "γ"),
    ],
)
def test_stand_ins(text, encoding, expected):
    assert readable(text, encoding) == expected


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_every_sign_of_the_package_can_be_read(encoding):
    """No question mark for any sign that the source holds, and so could print."""
    signs = {sign for path in Path(minidl.__file__).parent.rglob("*.py") for sign in path.read_text(encoding="utf-8")}
    unknown = {sign for sign in signs - {"?"} if "?" in readable(sign, encoding)}
    assert not {(sign, unicodedata.name(sign)) for sign in unknown}


def test_a_stream_prints_what_it_can():
    file = io.BytesIO()
    stream = safe(io.TextIOWrapper(file, encoding="ascii"))
    print("β ≥ 0", file=stream, flush=True)
    assert file.getvalue().split() == b"beta >= 0".split()
    assert stream.encoding == "ascii"
    assert not stream.isatty()
    assert safe(stream) is stream


def test_a_missing_stream_swallows_everything():
    stream = safe(None)
    print("nobody hears this", file=stream, flush=True)
    assert not stream.isatty()
    assert not stream.failed()


def test_a_stream_that_was_closed_is_passed_over():
    file = io.StringIO()
    file.close()
    stream = safe(file)
    assert not stream.isatty()
    print("too late", file=stream, flush=True)


@pytest.mark.parametrize(("code", "failed"), [(errno.EPIPE, False), (errno.ENOSPC, True), (errno.EIO, True)])
def test_a_stream_that_fails_is_written_to_no_more(code, failed):
    raw, told = Failing(code, room=100), []
    file = text_file(raw)
    stream = SafeStream(file, told.append)
    for i in range(100):
        print(f"line {i}", file=stream, flush=True)
    assert stream.failed() is failed
    assert raw.taken.startswith(b"line 0")
    assert len(told) == failed  # once, or never
    assert all(os.strerror(code) in line for line in told)
    with contextlib.suppress(OSError):
        file.close()


def test_streams_are_given_back(monkeypatch):
    out, err = io.StringIO(), io.StringIO()
    with streams(monkeypatch, out, err):
        with contextlib.suppress(KeyError), printing():
            print("said")
            raise KeyError
        assert (sys.stdout, sys.stderr) == (out, err)
        assert out.getvalue() == "said\n"


def test_a_full_disk_is_told_of_on_standard_error(monkeypatch):
    err = io.StringIO()
    with streams(monkeypatch, text_file(Failing(errno.ENOSPC)), err):
        with printing() as output:
            print("a result", flush=True)
            print("another", flush=True)
            assert output.failed()
        assert err.getvalue() == f"minidl: no more can be printed ({os.strerror(errno.ENOSPC)})\n"


def test_nobody_hears_of_anything(monkeypatch):
    with streams(monkeypatch), printing() as output:
        print("to nobody")
        print("nor here", file=sys.stderr)
        assert not output.failed()


def test_a_line_outside_of_a_command(monkeypatch):
    file = io.BytesIO()
    with streams(monkeypatch, io.TextIOWrapper(file, encoding="ascii", newline="\n")):
        say("✔ γ")
        sys.stdout.flush()
        assert file.getvalue() == b"ok gamma\n"
    with streams(monkeypatch):
        say("✔")


@pytest.mark.parametrize("make", ODD_STREAMS.values(), ids=ODD_STREAMS)
def test_odd_streams_stop_nothing(monkeypatch, make):
    """Neither a bar, in a loop or moved by hand, nor a line outside of a command, nor a command's."""
    with streams(monkeypatch, make(), make()):
        assert list(progress(range(50), desc="σ²", mininterval=0, miniters=1)) == list(range(50))
        with progress(desc="by hand", total=10, mininterval=0) as bar:
            bar.update(4)
            bar.set_postfix_str("✔")
        say("✔ γ")
        note("✔ γ")
        with printing():
            print("✔ γ", flush=True)
            print("✔ γ", file=sys.stderr, flush=True)


@pytest.mark.parametrize("encoding", ["no-such-encoding", 7, "hex"])
def test_an_encoding_that_python_does_not_know_is_left_alone(encoding):
    assert readable("γ", encoding) == "γ"


def test_a_stream_that_can_only_write_gets_every_line(monkeypatch):
    written = []
    with streams(monkeypatch, odd(write=written.append), odd(write=written.append)):
        say("one")
        note("two")
        print("three", file=safe(sys.stderr), flush=True)
    assert "".join(written) == "one\ntwo\nthree\n"


def test_a_loader_whose_length_is_not_known_is_walked_through():
    class Endless(list):
        def __len__(self):
            raise NotImplementedError

    assert list(progress(Endless([1, 2]), desc="counting")) == [1, 2]


@pytest.mark.parametrize("code", [errno.EPIPE, errno.ENOSPC, None])
def test_progress_goes_on_without_standard_error(monkeypatch, code):
    with streams(monkeypatch, None, code and text_file(Failing(code, room=64), "ascii")):
        assert list(progress(range(50), desc="σ²", mininterval=0, miniters=1)) == list(range(50))
        with progress(desc="by hand", total=10) as bar:
            bar.update(4)
            assert bar.n == 4


def test_progress_goes_on_in_a_terminal_that_is_closed(monkeypatch):
    raw = io.BufferedWriter(Failing(errno.EIO, room=64))
    file = io.TextIOWrapper(raw, "ascii", errors="backslashreplace")  # as Python's standard error has it
    file.isatty = lambda: True
    with streams(monkeypatch, None, file):
        assert list(progress(range(50), desc="σ²", mininterval=0, miniters=1)) == list(range(50))
