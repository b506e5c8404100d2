"""Predictions are kept, and the first one stays."""

import json

import pytest

from minidl.lab.course import notebooks, predict, predictions, recall


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_first_answer_stays(folder):
    assert predict(speed=3, shift="no") == {"speed": 3, "shift": "no"}
    assert predict(speed=9, start="c") == {"speed": 3, "shift": "no", "start": "c"}
    assert predictions() == json.loads((folder / "predictions.json").read_text()) == predict()


def test_a_notebook_that_is_built_leaves_the_predictions_of_its_folder_alone(folder):
    nbformat = pytest.importorskip("nbformat")
    predict(speed=5)
    code = "from minidl.lab.course import predict, recall\npredict(shift=1)\nrecall('speed', 2)"
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)])
    notebooks.execute(notebook, folder)
    assert "you kept no prediction" in notebook.cells[0].outputs[0].text
    assert predictions() == {"speed": 5}


def test_dots_are_no_answer(folder):
    assert predict(speed=...) == {}
    assert not list(folder.iterdir())
    predict(speed=2)
    assert predictions() == {"speed": 2}


def test_what_cannot_be_kept_is_refused_and_nothing_written(folder):
    with pytest.raises(TypeError, match=r"^predict: .*; a prediction must be a number, a text or a list"):
        predict(speed=print)
    assert not list(folder.iterdir())


def test_recall_prints_both(capsys):
    predict(speed=3)
    recall("speed", 2)
    recall("shift", "yes")
    assert capsys.readouterr().out.splitlines() == [
        "speed: you predicted 3; found 2", "shift: you kept no prediction; found yes",
    ]  # fmt: skip
