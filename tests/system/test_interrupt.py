"""Ctrl-C while a command loads ends it without a traceback; programs that import minidl are left alone."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import minidl

ROOT = Path(minidl.__file__).parents[1]
SCRIPT = "import sys\nfrom minidl.lab.commands.main import main\nsys.exit(main())\n"
pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals are a thing of Unix")


@pytest.fixture
def run(tmp_path):
    def run(module, *words):
        """Run a program in which somebody presses Ctrl-C while this module is being imported."""
        place = tmp_path / f"{module}.py"
        place.write_text("import os, signal, time\nos.kill(os.getpid(), signal.SIGINT)\ntime.sleep(1)\n")
        (tmp_path / "minidl").write_text(SCRIPT)
        (tmp_path / "other").write_text(SCRIPT)
        environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])}
        return subprocess.run(
            [sys.executable, *words], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60
        )

    return run


@pytest.mark.parametrize(
    "words", [("-m", "minidl", "--version"), ("-X", "dev", "-m", "minidl"), ("minidl", "--version")]
)
@pytest.mark.parametrize("module", ["numba", "matplotlib", "scipy"])
def test_a_command_that_loads_ends_without_a_word(run, module, words):
    done = run(module, *words, "reproduce", "--list")
    if done.returncode == -signal.SIGINT:
        assert done.stderr == ""
    else:  # it needs this module later, or not at all
        assert "Traceback" not in done.stderr


def test_numba_is_loaded_early(run):
    assert run("numba", "-m", "minidl", "--version").returncode == -signal.SIGINT


@pytest.mark.parametrize("words", [("-c", "import minidl"), ("other", "minidl"), ("-m", "other", "minidl")])
def test_another_program_gets_its_keyboard_interrupt(run, words, tmp_path):
    (tmp_path / "other.py").write_text("import minidl")
    assert "KeyboardInterrupt" in run("numba", *words).stderr


def test_a_command_that_has_loaded_handles_ctrl_c_itself(tmp_path):
    (tmp_path / "minidl").write_text(
        "from minidl.lab.commands import lessons\n"
        "import os, signal, time, sys\n"
        "def run(args):\n    os.kill(os.getpid(), signal.SIGINT)\n    time.sleep(1)\n"
        "lessons.run = run\n"
        "from minidl.lab.commands.main import main\n"
        "sys.exit(main(['lessons']))\n"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, str(tmp_path / "minidl")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (130, "\nstopped at once; everything written so far is intact\n")
