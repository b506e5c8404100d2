"""Where the text comes from, how it is numbered and split, and what takes its place."""

import ast
import gzip
import os
import threading
from pathlib import Path

import numpy as np
import pytest

import minidl
from minidl.data import DataError, Text, cache_dir, docstrings, shakespeare
from minidl.data._splits import split_text
from tests.data.fakes import PLAY, PLAY_FILE, STAND_IN, fill, shakespeare_module

REAL = os.environ.get("MINIDL_DATA")
ORIGINAL = shakespeare_module._FILE

pytestmark = pytest.mark.usefixtures("alone")


def assert_is_play(text, source):
    assert isinstance(text, Text)
    assert text.decode(np.concatenate(list(text))) == PLAY
    assert text.source == source
    assert text.characters == "".join(sorted(set(PLAY)))


def fell_back(text, capfd):
    """Whether the stand-in came, with one plain line; returns the reason in it."""
    assert text is STAND_IN
    out, err = capfd.readouterr()
    start, end = "minidl: could not download Tiny Shakespeare (", "); using the docstrings of minidl's code instead."
    assert out == ""
    assert err.startswith(start)
    assert err.endswith(" If you have the file, name its folder by MINIDL_DATA\n")
    assert err.count("\n") == 1
    return err[len(start) : err.index(end)]


# ---- numbers and parts


def test_the_parts_follow_each_other():
    train, validation, test = split_text("0123456789" * 20, "made up")
    assert [len(train), len(validation), len(test)] == [180, 10, 10]
    assert train.dtype == validation.dtype == test.dtype == np.int64
    assert train[:12].tolist() == [*range(10), 0, 1]


@pytest.mark.parametrize("length", [20, 21, 39, 100, 1_115_394])
def test_no_part_is_empty_and_nothing_is_lost(length):
    text = split_text("ab\n"[:3] * (length // 3) + "c" * (length % 3), "made up")
    assert sum(map(len, text)) == length
    assert all(map(len, text))


def test_characters_are_numbered_in_their_order():
    text = split_text("zä–a\n𝛾" * 5, "made up")
    assert text.characters == "\nazä–𝛾"
    assert text.encode("a𝛾z\n").tolist() == [1, 5, 2, 0]
    assert text.decode([1, 5, 2, 0]) == "a𝛾z\n"
    assert text.decode(text.encode("")) == text.decode([]) == ""
    assert text.decode(np.array([[1, 5], [2, 0]], np.uint8)) == "a𝛾z\n"
    assert repr(text) == "Text(made up: train / validation / test 27 / 1 / 2, 6 characters)"


@pytest.mark.parametrize("strange", ["q", "é", "\U0001f600", "\ud800", "\0"])
def test_a_strange_character_has_no_number(strange):
    text = split_text("abc\n" * 5, "made up")
    with pytest.raises(ValueError, match=r"Text.encode: the text has no .*; it must be made of its 4 characters"):
        text.encode(f"ab{strange}c")


@pytest.mark.parametrize("given", [None, b"abc", 3, ["a"]])
def test_only_a_text_has_numbers(given):
    with pytest.raises(TypeError, match=f"Text.encode: got a {type(given).__name__}; it must be a text"):
        split_text("abc\n" * 5, "made up").encode(given)


@pytest.mark.parametrize(
    ("numbers", "error", "message"),
    [
        ([4], ValueError, "numbers run from 4 to 4 and there are 4 characters; numbers must be from 0 to 3"),
        ([0, -1], ValueError, "numbers run from -1 to 0"),
        (np.array([2**63], np.uint64), ValueError, "numbers run from 9223372036854775808"),
        ([0.0], TypeError, "numbers are float64; they must be whole numbers"),
        ([True], TypeError, "numbers are bool"),
        ("ab", TypeError, "numbers are <U2"),
        (None, TypeError, "numbers are object"),
    ],
)
def test_numbers_that_no_character_has(numbers, error, message):
    with pytest.raises(error, match=f"Text.decode: {message}"):
        split_text("abc\n" * 5, "made up").decode(numbers)


# ---- a folder of the user's


@pytest.mark.parametrize("name", ["tinyshakespeare.txt", "tinyshakespeare.txt.gz", "input.txt", "input.txt.gz"])
@pytest.mark.parametrize("inside", ["", "text", "shakespeare"])
def test_a_folder_in_any_spelling(tmp_path, monkeypatch, name, inside):
    content = PLAY.encode()
    folder = fill(tmp_path / "own" / inside, {name: gzip.compress(content) if name.endswith("gz") else content})
    assert_is_play(shakespeare(tmp_path / "own"), "shakespeare")
    monkeypatch.setenv("MINIDL_DATA", str(folder))
    assert_is_play(shakespeare(), "shakespeare")


def test_gz_may_be_there_in_name_only(tmp_path):
    assert_is_play(shakespeare(fill(tmp_path / "own", {"input.txt.gz": PLAY.encode()})), "shakespeare")
    assert_is_play(shakespeare(fill(tmp_path / "two", {"input.txt": gzip.compress(PLAY.encode())})), "shakespeare")


def test_only_the_original_is_called_shakespeare(tmp_path):
    other = {"input.txt": PLAY.upper().encode()}
    assert shakespeare(fill(tmp_path / "loud", other)).source == "loud"
    assert shakespeare(fill(tmp_path / "shakespeare", other)).source == "shakespeare, but not the original"
    assert shakespeare(fill(tmp_path / "docstrings", other)).source == "docstrings, but not the original"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "has 0 characters; a text must have at least 20"),
        (b"Ay.\n", "has 4 characters; a text must have at least 20"),
        ("Né à l'été, né en hiver.".encode("latin-1"), "is no text in UTF-8 .* at byte 1"),
        (gzip.compress(PLAY.encode())[:-9], "is cut: its gzip data stops"),
        (gzip.compress(PLAY.encode())[:-8] + bytes(8), "is damaged gzip data"),
    ],
    ids=["empty", "short", "not UTF-8", "gzip cut", "gzip damaged"],
)
def test_a_damaged_file_is_an_error(tmp_path, content, message, capfd):
    with pytest.raises(DataError, match=message) as caught:
        shakespeare(fill(tmp_path / "own", {"input.txt": content}))
    assert str(tmp_path / "own" / "input.txt") in str(caught.value)
    assert capfd.readouterr().err == ""


def test_what_unpacks_to_too_much_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(shakespeare_module, "_MOST_BYTES", 1000)
    with pytest.raises(DataError, match="has more than 1,000 bytes of text"):
        shakespeare(fill(tmp_path / "own", {"input.txt.gz": gzip.compress(bytes(10**6))}))


def test_a_folder_without_the_file(tmp_path, monkeypatch):
    with pytest.raises(DataError, match=r"own lacks tinyshakespeare.txt; put it there, or input.txt, plain or as .gz$"):
        shakespeare(fill(tmp_path / "own", {"other.txt": b"x"}))
    monkeypatch.setenv("MINIDL_DATA", str(tmp_path))
    with pytest.raises(DataError, match="or unset MINIDL_DATA"):
        shakespeare()


# ---- cache, mirror, stand-in


def test_download_then_cache(mirrors, capfd):
    asked = mirrors("missing", "good")
    assert_is_play(shakespeare(), "shakespeare")
    assert asked == ["/missing/input.txt", "/good/input.txt"]
    assert (cache_dir() / "shakespeare" / "input.txt").read_bytes() == PLAY.encode()
    assert_is_play(shakespeare(download=False), "shakespeare")
    assert len(asked) == 2
    assert capfd.readouterr() == ("", "")


def test_a_damaged_file_in_the_cache_is_downloaded_again(mirrors):
    fill(cache_dir() / "shakespeare", {"input.txt": PLAY.upper().encode()[: PLAY_FILE.size]})
    asked = mirrors("good")
    assert_is_play(shakespeare(), "shakespeare")
    assert asked == ["/good/input.txt"]


def test_docstrings_take_its_place_and_a_line_says_so(mirrors, capfd):
    mirrors("missing", "wrong")
    assert fell_back(shakespeare(quiet=True), capfd) == "HTTP status 404, the server sent something else"
    mirrors()
    assert fell_back(shakespeare(), capfd) == ""


def test_without_permission_to_download(mirrors, capfd):
    asked = mirrors("good")
    with pytest.raises(DataError, match=r"shakespeare lacks input.txt; allow the download, or name a folder"):
        shakespeare(download=False)
    assert asked == []
    assert capfd.readouterr() == ("", "")


def test_threads_at_once_download_once(mirrors):
    asked = mirrors("slow")
    found = []
    threads = [threading.Thread(target=lambda: found.append(shakespeare())) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 3
    assert asked == ["/slow/input.txt"]


def test_docstrings_are_the_same_each_time_and_are_those_of_the_code():
    text = docstrings()
    whole = text.decode(np.concatenate(list(text)))
    assert text.source == "docstrings"
    assert whole.startswith(ast.get_docstring(ast.parse(Path(minidl.__file__).read_text(encoding="utf-8"))))
    assert ast.get_docstring(ast.parse(Path(shakespeare_module.__file__).read_text(encoding="utf-8"))) in whole
    assert len(whole) > 100_000
    assert whole.count("\n") > 1000
    again = docstrings()
    assert again.characters == text.characters
    assert all(map(np.array_equal, text, again))


def test_without_sources_there_are_no_docstrings(tmp_path, monkeypatch):
    monkeypatch.setattr(shakespeare_module, "__file__", str(tmp_path / "data" / "shakespeare.py"))
    with pytest.raises(DataError, match=r"docstrings: .* has no source files; install minidl from its sources"):
        docstrings()


@pytest.mark.skipif(not REAL, reason="MINIDL_DATA is not set")
def test_the_original_file(monkeypatch):
    monkeypatch.setattr(shakespeare_module, "_FILE", ORIGINAL)
    try:
        text = shakespeare(REAL)
    except DataError:
        pytest.skip("MINIDL_DATA has no text")
    if text.source == "shakespeare":
        assert [len(part) for part in text] == [1_003_854, 55_770, 55_770]
        assert len(text.characters) == 65
        assert text.decode(text.train[:14]) == "First Citizen:"
