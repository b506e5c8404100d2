"""NumPy and Numba are enough to train a network and to keep it; every other library is loaded where it is used."""

import subprocess
import sys
import textwrap
from pathlib import Path

import minidl

ROOT = Path(minidl.__file__).parents[1]

# What a program may import here: Python's own, NumPy, Numba and what Numba stands on, and minidl.
BLOCK = """
import sys
ENOUGH = {"minidl", "numpy", "numba", "llvmlite"} | sys.stdlib_module_names
refused = []

class Refuse:
    def find_spec(name, path=None, target=None):
        if name.partition(".")[0] not in ENOUGH:
            refused.append(name)
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Refuse)
"""


def run(program, *flags):
    """Run a program where nothing else can be imported; returns its standard output, and checks that it says no more."""
    program = BLOCK + textwrap.dedent(program)
    command = [sys.executable, *flags, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=600)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_the_block_blocks():
    program = """
        for name in ("scipy", "tqdm"):
            try:
                __import__(name)
            except ModuleNotFoundError:
                print("no", name)
        """
    assert run(program) == "no scipy\nno tqdm\n"


def test_import_asks_for_nothing_else_and_says_nothing():
    """Nor does minidl ask for what it has a use for elsewhere. (Numba itself looks which SciPy there is.)"""
    program = """
        import minidl
        from minidl import checkpoint, data, functional, gradcheck, nn, optim, probe, replay, train
        assert not any(name.startswith("minidl.anatomy") for name in sys.modules)  # `minidl.summary` waits for its first use
        print(sorted(name for name in refused if name.partition(".")[0] in {
            "threadpoolctl", "matplotlib", "tqdm", "pooch", "PIL", "joblib", "distributed", "IPython"
        }))
        """
    assert run(program, "-W", "error") == "[]\n"


def test_a_network_is_trained_and_kept_with_numpy_and_numba(tmp_path):
    program = f"""
        import minidl, numpy as np
        from minidl import Tensor, checkpoint, functional as F, nn, optim
        from minidl.data import DataLoader
        from minidl.gradcheck import gradcheck
        from minidl.probe import Probe
        from minidl.replay import Replay
        from minidl.train import evaluate, train_one_epoch

        generator = np.random.default_rng(0)
        x, y = generator.normal(size=(60, 6)).astype("float32"), generator.integers(0, 3, 60)
        model = nn.Sequential(nn.Linear(6, 8, bias=False), nn.BatchNorm(8), nn.ReLU(), nn.Linear(8, 3))
        optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        before = evaluate(model, x, y).loss
        for _ in range(5):
            train_one_epoch(model, DataLoader(x, y, batch_size=20, shuffle=True), optimizer, quiet=True)
        after = evaluate(model, x, y).loss
        assert after < before, (before, after)

        step = Replay(model)
        for _ in range(4):
            optimizer.zero_grad()
            step(x, y)
            optimizer.step()
        assert step.why_not is None, step.why_not

        path = {str(tmp_path / "weights.npz")!r}
        checkpoint.save(path, model.state_dict(), {{"steps": 15}})
        print(minidl.summary(model, (5, 6)).total["multiply_adds"], len(model.graph((5, 6))._repr_svg_()) > 1000)
        arrays, settings = checkpoint.load(path)
        assert settings == {{"steps": 15}}
        loss = evaluate(model, x, y).loss
        for parameter in model.parameters():
            parameter.data[...] = 0
        model.load_state_dict(arrays)
        assert evaluate(model, x, y).loss == loss
        print("trained")
        """
    assert run(program) == "360 True\ntrained\n"
