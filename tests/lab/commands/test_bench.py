"""`minidl bench` as its user meets it, at tiny sizes."""

import json
import os
import subprocess
from pathlib import Path

import pytest

import minidl
from minidl.lab.bench.recipe import RECIPE_PEERS
from minidl.lab.bench.remote import PEERS
from minidl.lab.commands import cifar
from minidl.lab.commands.main import main
from minidl.lab.photos import write_made_up
from tests.helpers import JIT
from tests.lab.bench.fakes import fake

ROOT = Path(minidl.__file__).parents[1]
QUICK = ["bench", "--quick", "--threads", "1"]


@pytest.fixture
def only_fakes(monkeypatch):
    """Of the peers, two are there: one that fails, and one that cannot be found."""
    for name in list(PEERS):
        monkeypatch.delitem(PEERS, name)
    monkeypatch.setitem(PEERS, "eager", fake("torch eager", "refuses"))
    monkeypatch.setitem(PEERS, "jax", fake("jax jit").__class__("jax jit", Path("nowhere"), package="no_such_package"))


def run(out, *flags):
    assert main([*QUICK, "--out", str(out), *flags]) == 0
    return json.loads((out / "bench.json").read_text(), parse_constant=lambda c: pytest.fail(f"{c} is not JSON"))


def test_everything(only_fakes, tmp_path, capsys):
    record = run(tmp_path / "a", "--networks", "mlp", "--ops", "relu", "linear", "--scaling", "mlp")
    printed = capsys.readouterr()
    assert {path.name for path in (tmp_path / "a").iterdir()} == {"bench.json", "bench.md", "roofline.png"}
    for name in ("bench.json", "bench.md", "roofline.png"):
        assert str(tmp_path / "a" / name) in printed.out
    parts = [(entry["part"], entry["name"], entry["batch"]) for entry in record["results"]]
    assert ("networks", "mlp", 8) in parts
    assert {name for part, name, _ in parts if part == "ops"} == {"relu", "linear"}
    assert [batch for part, _, batch in parts if part == "scaling"] == [4, 8, 8]
    assert [name for part, name, _ in parts if part == "limits"] == ["matmul", "copy"] * 2  # first and last
    assert record["limits"]["gflops"] > 0
    assert "fake.cpp:1: error: no compiler" in printed.out  # a peer that fails is told in one line
    assert "not installed, and so left out: no_such_package" in printed.err
    assert "Single operations" in printed.out
    assert "| mlp, batch 8 | minidl, as written |" in (tmp_path / "a" / "bench.md").read_text()


def test_busy_measures_quiet_steps_too_and_leaves_no_process_behind(only_fakes, tmp_path, monkeypatch):
    started, popen = [], subprocess.Popen

    def noted(*args, **kwargs):
        started.append(popen(*args, **kwargs))
        return started[-1]

    monkeypatch.setattr(subprocess, "Popen", noted)
    record = run(tmp_path, "--busy", "mlp")
    assert [entry["part"] for entry in record["results"] if entry["part"] != "limits"] == ["networks", "busy"]
    assert record["arguments"][:2] == ["--busy", "mlp"]
    (other,) = (process for process in started if "while True" in process.args[-1])
    assert other.returncode is not None
    assert "busy / quiet" in (tmp_path / "bench.md").read_text()


def test_no_peers(tmp_path):
    record = run(tmp_path, "--networks", "mlp", "--peers", "none", "--rounds", "3")
    (entry,) = [entry for entry in record["results"] if entry["part"] == "networks"]
    assert list(entry["contenders"]) == ["minidl", "minidl, fused and replayed"]
    assert len(entry["contenders"]["minidl"]["rounds_ms"]) == 3
    assert record["left_out"] == []
    assert record["arguments"] == ["--networks", "mlp", "--peers", "none", "--threads", "1", "--rounds", "3", "--quick"]


def test_against_itself(tmp_path, capsys):
    """The same code twice: both are measured, and their losses agree."""
    record = run(tmp_path, "--networks", "mlp", "--against", str(ROOT))
    (entry,) = [entry for entry in record["results"] if entry["part"] == "networks"]
    this, that = record["ours"]
    assert that == f"minidl of {ROOT.name}"
    assert list(entry["contenders"]) == [this, that, f"{this}, fused and replayed", f"{that}, fused and replayed"]
    for how in ("", ", fused and replayed"):
        assert entry["contenders"][this + how]["against"][that + how]["median"] > 0
    assert record["left_out"] == []
    assert f"speed, {that} = 1" in capsys.readouterr().out
    assert str(ROOT.parent) not in (tmp_path / "bench.json").read_text()


def test_what_is_imported_is_really_the_other_version(tmp_path):
    (tmp_path / "other" / "minidl").mkdir(parents=True)
    (tmp_path / "other" / "minidl" / "__init__.py").write_text("raise ImportError('I am the other one')\n")
    record = run(tmp_path / "out", "--networks", "mlp", "--against", str(tmp_path / "other"))
    assert record["left_out"] == [
        {"contender": f"minidl of other{how}", "case": None, "reason": "ImportError: I am the other one"}
        for how in ("", ", fused and replayed")
    ]


@pytest.mark.parametrize(
    ("flags", "word"),
    [
        (["--against", "no-such-commit"], "neither a folder with minidl in it nor a commit"),
        (["--threads", "100000"], "cores"),
        (["--peers", "jax"], "not installed: pip install no_such_package"),
    ],
)
def test_settings_that_cannot_work(only_fakes, tmp_path, capsys, flags, word):
    assert main([*QUICK, "--out", str(tmp_path), *flags]) == 2
    assert word in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("flags", "word"), [(["--isa", "sse"], "native"), (["--ops", "fft"], "conv2d"), (["--rounds", "0"], "above 0")]
)
def test_wrong_flags(tmp_path, capsys, flags, word):
    with pytest.raises(SystemExit):
        main([*QUICK, "--out", str(tmp_path), *flags])
    assert word in capsys.readouterr().err


def test_without_the_compiler_there_is_nothing_to_measure(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(os.environ, "NUMBA_DISABLE_JIT", "1")
    assert main([*QUICK, "--out", str(tmp_path)]) == 2
    assert "unset it" in capsys.readouterr().err


def test_the_status_tells_that_nothing_was_measured(only_fakes, tmp_path, monkeypatch):
    from minidl.lab.bench import parts
    from minidl.lab.commands import bench

    monkeypatch.setattr(bench, "minidl_at", lambda: fake("minidl", "refuses"))
    monkeypatch.setattr(parts, "fused_and_replayed", lambda ours: fake("minidl, fused and replayed", "refuses"))
    assert main([*QUICK, "--out", str(tmp_path), "--networks", "mlp"]) == 1
    assert json.loads((tmp_path / "bench.json").read_text())["left_out"]


# ---- a recipe ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def stripes(tmp_path_factory, monkeypatch):
    folder = tmp_path_factory.mktemp("stripes")
    write_made_up(folder, 40, 10)
    monkeypatch.setitem(cifar.QUICK, "widths", (4, 4, 4))
    monkeypatch.setitem(cifar.QUICK, "batch_size", 8)
    return folder


@pytest.mark.skipif(not JIT, reason="takes minutes without compiled kernels")
def test_a_recipe(stripes, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(RECIPE_PEERS, "eager", fake("torch eager", "refuses"))
    flags = ["--recipe", "cifar", "--peers", "eager", "--data", str(stripes), "--out", str(tmp_path)]
    assert main([*QUICK, *flags]) == 1  # one is missing in the table
    printed = capsys.readouterr().out
    assert "left out: torch eager: RuntimeError: compilation failed" in printed
    record = json.loads(
        (tmp_path / "recipe.json").read_text(), parse_constant=lambda c: pytest.fail(f"{c} is not JSON")
    )
    assert set(record["results"]) == {"minidl"}
    assert record["results"]["minidl"]["steps"] == 10  # nine, and one that was left of the epoch
    assert len(record["results"]["minidl"]["turns_s"]) == 2
    assert record["arguments"] == ["--recipe", "cifar", "--threads", "1", "--peers", "eager", "--quick"]
    assert record["data"] == stripes.name
    assert (tmp_path / "recipe.md").read_text().startswith(f"fast on {stripes.name}, 1 thread: 2 turns of 2 steps")


@pytest.mark.parametrize(
    ("flags", "word"),
    [
        (["--model", "best"], "--model goes with --recipe cifar"),
        (["--steps", "3"], "--steps goes with --recipe"),
        (["--recipe", "cifar", "--ops", "relu"], "--recipe measures the recipe alone, and --ops is given"),
        (["--recipe", "cifar", "--warm"], "and --warm is given"),
        (["--recipe", "cifar", "--against", "HEAD"], "and --against is given"),
        (
            ["--recipe", "cifar", "--peers", "jax"],
            "--peers names jax, which has no such recipe; use eager,",
        ),
        (["--recipe", "cifar", "--peers", "none", "--rounds", "99"], "do not fit into the 10 steps of this training"),
    ],
)
def test_flags_that_do_not_go_together(stripes, tmp_path, capsys, flags, word):
    data = ["--data", str(stripes)] if "--recipe" in flags else []
    assert main([*QUICK, "--out", str(tmp_path), *flags, *data]) == 2
    assert word in capsys.readouterr().err


def test_a_recipes_peer_that_is_not_installed(stripes, tmp_path, capsys, monkeypatch):
    absent = RECIPE_PEERS["eager"].__class__("torch eager", Path("nowhere"), package="no_such_package")
    monkeypatch.setitem(RECIPE_PEERS, "eager", absent)
    flags = ["--recipe", "cifar", "--peers", "eager", "--data", str(stripes), "--out", str(tmp_path)]
    assert main([*QUICK, *flags]) == 2
    assert "--peers names eager, but torch is not installed" in capsys.readouterr().err
