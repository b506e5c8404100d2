"""Every public function refuses what it cannot do: it names itself, says what it got, and what would be right.

One table for all, in `error_table.py`. A function that is public and not in the table fails the test, and so does a
parameter of an operation, a layer or an optimizer that no message speaks of.
"""

import inspect
import re

import pytest

import minidl
from minidl import Tensor, checkpoint, data, exchange, gradcheck, nn, optim, probe, replay, train
from minidl import functional as F
from minidl.lab import models, plot
from minidl.nn import init
from tests.whole.error_table import TABLE

ERRORS = (ValueError, TypeError, RuntimeError, IndexError, KeyError, FloatingPointError, OSError)

# Public things that nothing can be wrong with, or that refuse nothing by nature.
HARMLESS = {
    "concatenate": "the same function as cat", "default_generator": "takes nothing", "get_num_threads": "takes nothing",
    "is_grad_enabled": "takes nothing", "nn.Identity": "hands on anything",
    "data.Graph": "what a file says", "data.cora": "takes nothing", "data.citeseer": "takes nothing",
    "data.Text": "what a file says", "data.docstrings": "takes nothing",
    "data.cache_dir": "takes nothing", "data.DataError": "an error", "checkpoint.CheckpointError": "an error",
    "gradcheck.GradientError": "an error", "exchange.onnx.NotExported": "an error", "train.Evaluation": "a pair of results",
    "train.stop_on_interrupt": "takes nothing",
    "probe.saturated": "a class, known or not, and an array", "plot.caption": "any text",
    "models.initialise": "what its caller made", "models.spare_generator": "takes nothing",
    "plot.describe": "any figure",
    "plot.label": "an axes and texts", "plot.png": "matplotlib refuses", "plot.save": "matplotlib and the disk refuse",
    "Tensor.detach": "takes nothing", "Tensor.exp": "takes nothing",
    "Tensor.log": "takes nothing; NumPy warns below 0", "Tensor.numel": "takes nothing", "Tensor.graph": "names of any kind",
    "Tensor.retain_grad": "takes nothing",
}  # fmt: skip
PUBLIC = {"": minidl, "F.": F, "nn.": nn, "init.": init, "nn.utils.": nn.utils, "optim.": optim, "data.": data,
          "gradcheck.": gradcheck,
          "models.": models, "train.": train, "probe.": probe, "checkpoint.": checkpoint,
          "plot.": plot, "replay.": replay, "exchange.torch.": exchange.torch, "exchange.onnx.": exchange.onnx}  # fmt: skip
CASES = [(name, action, pattern) for name, cases in TABLE.items() for action, pattern in cases]
FIX = re.compile(r"; .|must|define|missing|pass ", re.DOTALL)


@pytest.mark.parametrize(
    ("name", "action", "pattern"), CASES, ids=[f"{name}-{i}" for i, (name, *_) in enumerate(CASES)]
)
def test_the_error_teaches(name, action, pattern, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ERRORS) as caught:
        action()
    message = str(caught.value)
    assert re.match(pattern, message, re.DOTALL), message
    assert FIX.search(message), f"no word of what would be right: {message}"
    assert not list(tmp_path.iterdir())


def public_names():
    for prefix, module in PUBLIC.items():
        yield from (prefix + name for name in module.__all__ if callable(getattr(module, name)))
    yield from (
        f"Tensor.{name}" for name in dir(Tensor) if name[0] != "_" and inspect.isfunction(getattr(Tensor, name))
    )


def test_every_public_thing_is_in_the_table():
    names = set(public_names())
    missing, gone = names - set(TABLE) - set(HARMLESS), (set(TABLE) | set(HARMLESS)) - names
    assert not missing, f"add what they refuse to TABLE in error_table.py: {', '.join(sorted(missing))}"
    assert not gone, f"these are in error_table.py, and not public: {', '.join(sorted(gone))}"
    assert not set(TABLE) & set(HARMLESS)


# Parameters whose message has other words, or that refuse nothing themselves.
UNSPOKEN = {
    "F.dropout(training)",
    "nn.fold_batch_norm(model)", "nn.fuse(model)", "nn.Parameter(data)", "nn.BatchNormReLUMaxPool2d(eps)",
    "nn.BatchNormReLUMaxPool2d(momentum)", "nn.ResidualReLU(shortcut)",
}  # fmt: skip


def test_some_message_speaks_of_every_parameter():
    silent = set()
    for name, cases in TABLE.items():
        prefix, _, function = name.rpartition(".")
        if prefix not in ("F", "nn", "optim"):
            continue
        told = " ".join(pattern for _, pattern in cases)
        for parameter in inspect.signature(getattr(PUBLIC[f"{prefix}."], function)).parameters.values():
            named = isinstance(parameter.default, bool) or parameter.kind == parameter.VAR_POSITIONAL
            if not named and parameter.name not in told:
                silent.add(f"{name}({parameter.name})")
    assert silent == UNSPOKEN
