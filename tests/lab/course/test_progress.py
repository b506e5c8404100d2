"""What has been done is kept beside the notebooks, whatever happens to the file."""

import json

import pytest

from minidl.lab.course import _check, _progress, check, predict, progress, recall


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """A folder with the notebooks of two lessons, and nothing done."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(_progress, "_session", {})
    for name, exercises in {"00_start": ["predictions", "reach"], "05_algorithm_1": ["stand_out"]}.items():
        cells = [{"metadata": {"tags": [f"exercise:{exercise}"]}} for exercise in exercises]
        (tmp_path / f"{name}.ipynb").write_text(json.dumps({"cells": cells}))
    return tmp_path


def said(capsys):
    progress()
    return capsys.readouterr().out.splitlines()


def bound(m):
    return (m - 1) ** 0.5


def test_shows_what_is_passed_tried_and_left_and_what_comes_next(capsys):
    check("predictions", 60, 90, 3, "yes")
    check("stand_out", lambda m: m)
    check("reach", ...)
    capsys.readouterr()
    lines = said(capsys)
    assert lines[0].split() == ["00_start", "✔", "predictions", "○", "reach"]
    assert lines[1].split() == ["05_algorithm_1", "✘", "stand_out"]
    assert lines[2] == "passed: 1 of 3 exercises"
    assert lines[-1] == 'next: reach, in lesson 00_start. Stuck? hint("reach")'


def test_a_pass_stays_and_is_there_in_the_next_session(capsys, monkeypatch):
    check("stand_out", bound)
    check("stand_out", lambda m: m)
    monkeypatch.setattr(_progress, "_session", {})
    capsys.readouterr()
    assert "✔ stand_out" in said(capsys)[1]


def test_predictions_are_open_until_they_are_recalled(capsys):
    predict(plain=60, speedup=3)
    recall("plain", "11.4 %")
    capsys.readouterr()
    lines = said(capsys)
    assert "prediction plain: you said 60; found 11.4 %" in lines
    assert "prediction speedup: you said 3; open" in lines


def test_all_done(capsys):
    for name in ("predictions", "reach", "stand_out"):
        _progress.note("exercises", name, "pass")
    assert said(capsys)[-1] == "next: a question of your own"


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", '{"exercises": 3}', '{"exercises": {"reach": []}}', "\x00\xff", "[" * 9999]
)
def test_a_damaged_file_counts_as_empty_and_is_written_anew(folder, capsys, text):
    (folder / "progress.json").write_text(text, encoding="latin-1")
    assert said(capsys)[2] == "passed: 0 of 3 exercises"
    check("stand_out", bound)
    assert json.loads((folder / "progress.json").read_text())["exercises"] == {"stand_out": "pass"}


def test_where_nothing_can_be_written_the_session_remembers(folder, capsys, monkeypatch):
    def refuse(*_):
        raise PermissionError("read-only")

    monkeypatch.setattr(_progress, "write_atomically", refuse)
    assert check("stand_out", bound) == _check.PASS
    assert not (folder / "progress.json").exists()
    capsys.readouterr()
    assert "✔ stand_out" in said(capsys)[1]


def test_a_folder_in_the_place_of_the_file_does_no_harm(folder, capsys):
    (folder / "progress.json").mkdir()
    assert check("stand_out", bound) == _check.PASS
    capsys.readouterr()
    assert "✔ stand_out" in said(capsys)[1]


def test_damaged_predictions_are_said_and_left_alone(folder, capsys):
    (folder / "predictions.json").write_text("{")
    assert "predictions.json is damaged" in said(capsys)[0]
    with pytest.raises(ValueError, match="mend it, or delete it"):
        predict(plain=50)
    assert (folder / "predictions.json").read_text() == "{"


def test_a_notebook_that_cannot_be_read_has_no_exercises(folder, capsys):
    (folder / "00_start.ipynb").write_text("{")
    assert said(capsys)[0].split() == ["00_start", "no", "exercises"]


def test_without_notebooks_nothing_is_written(folder, capsys):
    for path in folder.iterdir():
        path.unlink()
    check("stand_out", bound)
    assert not list(folder.iterdir())
    capsys.readouterr()
    lines = said(capsys)
    (passed,) = [i for i, line in enumerate(lines) if line.startswith("passed")]
    assert "✔ stand_out" in "\n".join(lines[:passed])
    assert max(map(len, lines[:passed])) < 120
    assert lines[passed] == f"passed: 1 of {len(_check.names())} exercises"
