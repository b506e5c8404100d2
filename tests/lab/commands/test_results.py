"""When the results in a folder count as those of this very run, finished."""

import json

import pytest

from minidl.lab.commands._results import is_finished

HEAD = {"minidl": "1", "settings": {"steps": 3}, "data": {"source": "bars"}}
RESULTS = HEAD | {"finished": True, "arms": {"none": {}}, "run": {}}


@pytest.fixture
def folder(tmp_path):
    for name in ("figure1.png", "weights-none.npz"):
        (tmp_path / name).touch()
    (tmp_path / "results.json").write_text(json.dumps(RESULTS))
    return tmp_path


def test_finished_means_the_same_run_with_all_its_files(folder):
    assert is_finished(folder, HEAD, ["none"])
    assert not is_finished(folder, HEAD | {"minidl": "2"}, ["none"])
    assert not is_finished(folder, HEAD, ["none", "batch"])
    (folder / "weights-none.npz").unlink()
    assert not is_finished(folder, HEAD, ["none"])


DEEP = "[" * 100_000


@pytest.mark.parametrize(
    "content", ["", "null", "[]", "3", "{}", '{"arms": 3}', DEEP, "\xff", "{" + json.dumps(RESULTS)]
)
def test_what_is_no_result_is_a_run_that_is_not_finished(folder, content):
    (folder / "results.json").write_text(content, encoding="latin-1")
    assert not is_finished(folder, HEAD, ["none"])


def test_a_stopped_run_and_an_empty_folder(folder, tmp_path):
    (folder / "results.json").write_text(json.dumps(RESULTS | {"finished": False}))
    assert not is_finished(folder, HEAD, ["none"])
    assert not is_finished(tmp_path / "absent", HEAD, ["none"])
