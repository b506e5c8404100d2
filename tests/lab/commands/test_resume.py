"""A run that is killed, stopped or cheated by its disk, and resumed, ends with the bits of one that nothing happened to."""

import gzip
import json
import os
import random
import shlex
import shutil
import signal
import subprocess
import sys
import time

import pytest

from minidl.lab.commands.main import main
from minidl.lab.paper import fig1

EVERY = 50
FLAGS = ["--steps", "1500", "--batch-size", "10", "--threads", "1", "--checkpoint-every", str(EVERY)]
SHORT = ["--steps", "40", "--batch-size", "10", "--threads", "1", "--checkpoint-every", "15"]
POSIX = pytest.mark.skipif(os.name != "posix", reason="signals are a thing of Unix")


def outcome(out):
    """Everything that a run leaves and that must not depend on what happened to it."""
    results = json.loads((out / "results.json").read_text())
    del results["run"]
    return results, {path.name: path.read_bytes() for path in sorted(out.glob("weights-*.npz"))}


def litter(out):
    return [path for path in out.rglob("*") if path.name.endswith(".part")]


def saved(out):
    """The checkpoints in a folder, the newest of each arm last."""
    return sorted(out.glob("checkpoints/*/step-*.npz"))


@pytest.fixture(scope="module")
def command(folder):
    def command(out, *flags):
        return ["mnist", "--data", str(folder), "--out", str(out), *flags]

    return command


@pytest.fixture(scope="module")
def undisturbed(command, tmp_path_factory):
    """What each list of flags leads to when nothing happens."""
    known = {}

    def run(flags):
        key = tuple(flags)
        if key not in known:
            out = tmp_path_factory.mktemp("undisturbed")
            assert main(command(out, *flags)) == 0
            known[key] = outcome(out)
        return known[key]

    return run


# ---- killed ----------------------------------------------------------------------------------------------------------


class Life:
    """A process that trains, from its start to its end."""

    def __init__(self, arguments, program=("-m", "minidl")):
        self.process = subprocess.Popen(
            [sys.executable, *program, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def wait_until(self, happened):
        """Whether it happened while the process lived."""
        while self.process.poll() is None:
            if happened():
                return True
            time.sleep(0.002)
        return False

    def kill(self):
        """As `end`; the exit status is -SIGKILL unless the process was quicker."""
        self.process.kill()
        return self.end()

    def end(self):
        """The exit status, and what was printed."""
        printed, _ = self.process.communicate()
        return self.process.returncode, printed


@POSIX
@pytest.mark.parametrize("kills", [10, pytest.param(100, marks=pytest.mark.full)])
def test_killed_at_random_moments(kills, command, undisturbed, tmp_path):
    """A run that is quicker than we are, which a busy machine makes slow, is followed by another, until there were enough
    kills; each run must end with the same bits."""
    expected, rng, landed, runs = undisturbed(FLAGS), random.Random(kills), 0, 0
    while landed < kills:
        out, runs = tmp_path / str(runs), runs + 1
        arguments = command(out, *FLAGS, "--resume")
        for seconds in (0.2, 1.0):  # before there is anything to go on from
            with Life(arguments):
                time.sleep(rng.random() * seconds)
        in_this_run = kill_again_and_again(arguments, out, rng, kills - landed)
        assert in_this_run, "a whole run, and no kill landed in it"
        landed += in_this_run
        status, printed = Life(arguments).end()
        assert status == 0, printed
        assert "continues after step" in printed or "nothing to do" in printed
        assert outcome(out) == expected


def kill_again_and_again(arguments, out, rng, most):
    """Start, kill soon after the first new checkpoint, start again …; returns how many kills landed while it trained."""
    for landed in range(most):
        before = saved(out)
        life = Life(arguments)
        if life.wait_until(lambda before=before: saved(out) != before):
            time.sleep(rng.random() * 0.15)
        status, printed = life.kill()
        if status != -signal.SIGKILL:
            assert status == 0, printed
            return landed
    return most


DIES_IN_A_WRITE = """
import os, signal, sys
from minidl.lab.commands.main import main

left = int(sys.argv[1])

def fsync(descriptor, real=os.fsync):
    global left
    left -= 1
    if left == 0:
        if os.path.isfile(f"/proc/self/fd/{descriptor}"):
            os.ftruncate(descriptor, os.fstat(descriptor).st_size // 2)  # as if half of it had arrived
        os.kill(os.getpid(), signal.SIGKILL)
    real(descriptor)

os.fsync = fsync
sys.exit(main(sys.argv[2:]))
"""


IN_THE_RESULTS = 2 + 2 * (4 + 4) + 2 * 3 + 1  # checkpoints after 0, 15, 30 and 40 steps; weights and figure before


@POSIX
@pytest.mark.parametrize(
    "at",
    [
        pytest.param(3, marks=pytest.mark.full, id="in the first checkpoint"),
        pytest.param(5, id="in the second checkpoint"),
        pytest.param(6, marks=pytest.mark.full, id="right after the second checkpoint"),
        pytest.param(IN_THE_RESULTS, id="in the results"),
    ],
)
def test_killed_inside_a_write(at, command, undisturbed, tmp_path):
    """Each write forces first the file to the disk, then its folder. The first write is the test for a writable folder."""
    arguments = command(tmp_path, *SHORT, "--resume")
    status, printed = Life([str(at), *arguments], program=("-c", DIES_IN_A_WRITE)).end()
    assert status == -signal.SIGKILL, printed
    assert len(litter(tmp_path)) == at % 2
    assert not (tmp_path / "results.json").exists()
    status, printed = Life(arguments).end()
    assert status == 0
    assert ("continues after step" in printed) == (at > 3)
    assert outcome(tmp_path) == undisturbed(SHORT)
    assert not litter(tmp_path)


# ---- stopped ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def interrupt(monkeypatch):
    """Press Ctrl-C before the n-th training step of the process, `times` times."""

    def at(n, times=1):
        done, do_step = [], fig1.Training.do_step

        def step(training):
            done.append(training.step)
            if len(done) == n:
                for _ in range(times):
                    signal.raise_signal(signal.SIGINT)
            do_step(training)

        monkeypatch.setattr(fig1.Training, "do_step", step)
        return done

    return at


@pytest.mark.parametrize("at", [1, 22, 41, 60])  # at once; in the first arm; at the start of the second; in it
def test_stopped_and_resumed(at, command, undisturbed, interrupt, monkeypatch, tmp_path, capfd):
    before = signal.getsignal(signal.SIGINT)
    with monkeypatch.context():
        interrupt(at)
        assert main(command(tmp_path, *SHORT)) == 130
    monkeypatch.undo()
    told = capfd.readouterr()
    assert "stopping after this step" in told.err
    assert told.out.splitlines()[-1] == shlex.join([*sys.orig_argv, "--resume"])
    assert signal.getsignal(signal.SIGINT) is before
    results, weights = outcome(tmp_path)
    assert results["finished"] is False
    assert set(results["arms"]) == ({"none"} if at <= 40 else {"none", "batch"})
    assert results["arms"]["none"]["steps"] == list(range(min(at, 40) + 1))
    assert set(weights) == {f"weights-{norm}.npz" for norm in results["arms"]}
    assert (tmp_path / "figure1.png").stat().st_size > 10_000
    assert main(command(tmp_path, *SHORT, "--resume")) == 0
    assert ("with batch norm: starts over: nothing of it was saved yet" in capfd.readouterr().out) == (at <= 40)
    assert outcome(tmp_path) == undisturbed(SHORT)


def test_stopped_twice_at_once(command, undisturbed, interrupt, tmp_path, monkeypatch, capfd):
    interrupt(22, times=2)
    assert main(command(tmp_path, *SHORT)) == 130
    assert "stopped at once; everything written so far is intact" in capfd.readouterr().err
    monkeypatch.undo()
    assert main(command(tmp_path, *SHORT, "--resume")) == 0
    assert "continues after step 15" in capfd.readouterr().out
    assert outcome(tmp_path) == undisturbed(SHORT)


@POSIX
def test_stopped_by_a_signal_from_outside(command, tmp_path):
    flags = ["--steps", "1000000", *FLAGS[2:]]  # which nobody will ever finish
    with Life(command(tmp_path, *flags)) as life:
        assert life.wait_until(lambda: saved(tmp_path)), life.end()
        life.process.send_signal(signal.SIGINT)
        status, printed = life.end()
    assert status == 130, printed
    assert "Traceback" not in printed
    assert outcome(tmp_path)[0]["finished"] is False
    assert (tmp_path / "figure1.png").exists()


# ---- resumed, or not -------------------------------------------------------------------------------------------------


def test_resume_with_nothing_saved_starts_anew(command, undisturbed, tmp_path, capsys):
    assert main(command(tmp_path, *SHORT, "--resume")) == 0
    assert "without batch norm: starts over: nothing of it was saved yet" in capsys.readouterr().out
    assert outcome(tmp_path) == undisturbed(SHORT)


def test_resume_on_a_finished_run_changes_nothing(command, tmp_path, capsys):
    assert main(command(tmp_path, *SHORT)) == 0
    before = {path: (path.stat().st_mtime_ns, path.is_dir() or path.read_bytes()) for path in tmp_path.rglob("*")}
    del before[tmp_path / "results.json"]  # its folder's time moves with the test for a writable folder
    assert main(command(tmp_path, *SHORT, "--resume")) == 0
    assert "nothing to do" in capsys.readouterr().out
    assert {path: (path.stat().st_mtime_ns, path.is_dir() or path.read_bytes()) for path in before} == before


@pytest.mark.parametrize("lost", ["results.json", "figure1.png", "weights-batch.npz"])
def test_a_finished_run_that_lost_a_file_gets_it_again(command, undisturbed, interrupt, lost, tmp_path):
    assert main(command(tmp_path, *SHORT)) == 0
    before = (tmp_path / lost).read_bytes()
    (tmp_path / lost).unlink()
    steps = interrupt(0)
    assert main(command(tmp_path, *SHORT, "--resume")) == 0
    assert steps == []
    assert outcome(tmp_path) == undisturbed(SHORT)
    assert lost == "results.json" or (tmp_path / lost).read_bytes() == before


@pytest.mark.parametrize("flags", [["--lr", "0.2"], ["--seed", "1"], ["--steps", "41"], ["--batch-size", "11"]])
def test_other_settings_are_another_run(command, undisturbed, interrupt, flags, tmp_path, capsys):
    assert main(command(tmp_path, *SHORT)) == 0
    assert main(command(tmp_path, *SHORT, *flags, "--resume")) == 0
    assert "no checkpoint has these settings" in capsys.readouterr().out
    assert outcome(tmp_path) == undisturbed([*SHORT, *flags])


@pytest.mark.parametrize("name", ["train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1"])
def test_other_data_is_another_run(name, folder, command, tmp_path, capsys):
    """Other by one pixel or one label, in files of the same name and size."""
    data = tmp_path / folder.name
    shutil.copytree(folder, data)
    arguments = [*command(tmp_path / "out", *SHORT), "--data", str(data), "--norm", "none"]
    assert main(arguments) == 0
    path = data / f"{name}-ubyte.gz"
    values = bytearray(gzip.decompress(path.read_bytes()))
    values[-1] = 1 - min(values[-1], 1)
    path.write_bytes(gzip.compress(values))
    capsys.readouterr()
    assert main([*arguments, "--resume"]) == 0
    assert "no checkpoint has these settings and data" in capsys.readouterr().out


def test_another_version_of_minidl_is_another_run(command, monkeypatch, interrupt, tmp_path, capsys):
    interrupt(22)
    assert main(command(tmp_path, *SHORT)) == 130
    monkeypatch.undo()
    monkeypatch.setattr("minidl.__version__", "0.0.1")
    capsys.readouterr()
    assert main(command(tmp_path, *SHORT, "--resume")) == 0
    assert "without batch norm: starts over: no checkpoint has these settings" in capsys.readouterr().out


def test_a_finished_arm_serves_a_run_of_both(command, undisturbed, interrupt, tmp_path):
    assert main(command(tmp_path, *SHORT, "--norm", "none")) == 0
    steps = interrupt(0)
    assert main(command(tmp_path, *SHORT, "--resume")) == 0
    assert steps == list(range(40))  # of the other arm
    assert outcome(tmp_path) == undisturbed(SHORT)


def test_without_resume_an_unfinished_run_is_set_aside(command, undisturbed, interrupt, monkeypatch, tmp_path, capsys):
    interrupt(22)
    main(command(tmp_path, *SHORT))
    monkeypatch.undo()
    old = [path.name for path in saved(tmp_path)]
    assert main(command(tmp_path, *SHORT)) == 0
    aside = next(tmp_path.glob("checkpoints/none-*.old"))
    assert f"the unfinished run (step 22) is now in {aside}" in capsys.readouterr().out
    assert sorted(path.name for path in aside.iterdir()) == old
    assert outcome(tmp_path) == undisturbed(SHORT)
    assert main(command(tmp_path, *SHORT)) == 0  # over a finished one there is nothing to say
    assert "unfinished" not in capsys.readouterr().out
    interrupt(13)
    main(command(tmp_path, *SHORT))
    monkeypatch.undo()
    assert main(command(tmp_path, *SHORT)) == 0
    assert "the unfinished run (step 13) is now in" in capsys.readouterr().out
    assert list(tmp_path.glob("checkpoints/none-*.old")) == [aside]  # the last such run only
    assert max(path.name for path in aside.iterdir()) == "step-000000013.npz"


# ---- a disk that cheats ----------------------------------------------------------------------------------------------


@pytest.fixture
def stopped(command, interrupt, monkeypatch, tmp_path):
    """A run that was stopped after 33 steps of the second arm, its checkpoints after 30 and 33 steps still there."""
    interrupt(40 + 33)
    assert main(command(tmp_path, *SHORT)) == 130
    monkeypatch.undo()
    checkpoints = sorted(tmp_path.glob("checkpoints/batch-*/step-*.npz"))
    assert [path.name for path in checkpoints] == ["step-000000030.npz", "step-000000033.npz"]
    return checkpoints


def cut(path):
    path.write_bytes(path.read_bytes()[:-1000])


def flip(path):
    damaged = bytearray(path.read_bytes())
    damaged[len(damaged) // 2] ^= 0x10
    path.write_bytes(damaged)


def empty(path):
    path.write_bytes(b"")


@pytest.mark.parametrize("damage", [cut, flip, empty])
def test_after_a_damaged_checkpoint_the_one_before_is_used(damage, stopped, command, undisturbed, tmp_path, capsys):
    damage(stopped[1])
    capsys.readouterr()
    assert main(command(tmp_path, *SHORT, "--resume")) == 0
    told = capsys.readouterr()
    assert f"{stopped[1]} is damaged" in told.err
    assert "step-000000033.npz.damaged" in told.err
    assert "with batch norm: continues after step 30" in told.out
    assert outcome(tmp_path) == undisturbed(SHORT)


def test_when_all_are_damaged_it_starts_anew(stopped, command, undisturbed, tmp_path, capsys):
    for path in stopped:
        cut(path)
    capsys.readouterr()
    assert main(command(tmp_path, *SHORT, "--resume")) == 0
    told = capsys.readouterr()
    assert all(str(path) in told.err for path in stopped)
    assert "with batch norm: starts over" in told.out
    assert outcome(tmp_path) == undisturbed(SHORT)


def test_a_full_disk_leaves_the_last_good_one_and_training_goes_on(command, undisturbed, monkeypatch, tmp_path, capsys):
    from minidl.system import files

    def full(path, data, write=files.write_atomically):
        if path.name in ("step-000000030.npz", "step-000000040.npz"):
            raise OSError(28, "No space left on device")
        write(path, data)

    monkeypatch.setattr("minidl.checkpoint.write_atomically", full)
    assert main(command(tmp_path, *SHORT)) == 0
    told = capsys.readouterr().err
    assert told.count("No space left on device") == 4
    assert "no checkpoint of step 30" in told
    assert {path.name for path in saved(tmp_path)} == {"step-000000000.npz", "step-000000015.npz"}
    assert outcome(tmp_path) == undisturbed(SHORT)


NO_ROOM = """
import resource, sys
from minidl.lab.commands.main import main

resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
sys.exit(main(sys.argv[1:]))
"""


@POSIX
def test_a_disk_that_really_refuses(command, undisturbed, tmp_path):
    """The system lets no file grow beyond 100,000 bytes, a fourth of a checkpoint."""
    out = tmp_path / "out"
    undisturbed(SHORT)  # so that there is nothing to compile, whose cache would be refused too
    status, printed = Life(command(out, *SHORT), program=("-c", NO_ROOM)).end()
    assert status == 2, printed
    assert printed.count("no checkpoint of step") == 8
    assert "cannot write the results" in printed
    assert [path for path in out.rglob("*") if path.is_file()] == []
    assert main(command(out, *SHORT, "--resume")) == 0
    assert outcome(out) == undisturbed(SHORT)


def test_a_disk_too_full_for_the_results_says_how_to_go_on(command, undisturbed, monkeypatch, tmp_path, capsys):
    def full(path, data):
        raise OSError(28, "No space left on device", str(path))

    with monkeypatch.context() as patch:
        patch.setattr("minidl.lab.plot._style.write_atomically", full)
        assert main(command(tmp_path, *SHORT)) == 2
    told = capsys.readouterr()
    assert "No space left on device" in told.err
    assert "--resume" in told.err
    assert "test accuracy after" in told.out  # what cannot be written is printed all the same
    assert main(command(tmp_path, *SHORT, "--resume")) == 0
    assert outcome(tmp_path) == undisturbed(SHORT)
