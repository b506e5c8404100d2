"""A program of a user who checks types: `make lint` has mypy read it, and `test_typing.py` runs it.

Lines with `type: ignore` are mistakes that mypy must find: it complains where there is none to ignore.
"""

from typing import Any

import numpy as np

import minidl
from minidl import Tensor, checkpoint, data, gradcheck, nn, optim, probe, replay, train
from minidl import functional as F
from minidl.lab import models


class Residual(nn.Module):
    """x + two layers of it."""

    def __init__(self, features: int, generator: np.random.Generator):
        self.body = nn.Sequential(nn.Linear(features, features, generator=generator), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x) * 0.5


def report(step: int, loss: float) -> bool:
    """Go on."""
    return step > 100 and loss > 0


def program(folder: str) -> tuple[float, float]:
    """Train, look inside, save and load; returns the last loss and the accuracy."""
    rng = minidl.manual_seed(0)
    images = rng.standard_normal((40, 6)).astype(np.float32)
    labels = rng.integers(0, 3, 40)
    model = nn.Sequential(nn.BatchNorm(6), Residual(6, rng), nn.Linear(6, 3, generator=rng))
    optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    schedule = optim.StepLR(optimizer, 2)
    loader = data.DataLoader(images, labels, batch_size=8, shuffle=True, generator=rng)
    with probe.Probe(model, ["2"], every=1) as looking:
        loss = train.train_one_epoch(model, loader, optimizer, after_step=looking.step, quiet=True, callback=report)
    records: list[dict[str, Any]] = looking.records()
    assert records
    products: int = minidl.summary(model, (2, 6)).total["multiply_adds"]
    assert products > 0
    again = replay.Replay(model)
    value: float = again(images, labels)
    assert value > 0
    reason: str | None = again.why_not
    assert reason
    schedule.step()
    checkpoint.save(f"{folder}/state.npz", {"model": model.state_dict(), "lr": schedule.get_last_lr()})
    state, _ = checkpoint.load(f"{folder}/state.npz")
    model.load_state_dict(state["model"])
    steps, spread = looking.series("2", "output", "std")
    assert len(steps) == len(spread) == 5
    return loss, train.evaluate(model, images, labels).accuracy


def arithmetic() -> np.ndarray:
    """Operators and operations keep the type Tensor; numbers and arrays may stand on either side."""
    x = Tensor(np.ones((2, 3)), requires_grad=True)
    y: Tensor = (2 * x + np.ones(3) - x / 4) ** 2 @ np.ones((3, 2))
    z: Tensor = F.softmax(y[:, :1].reshape(2).T).max() + y.mean(0, keepdim=True).sum()
    with minidl.detect_anomaly():
        z.backward()
    gradient: np.ndarray | None = x.grad
    assert gradient is not None
    assert x.shape == (2, 3)
    error: float = gradcheck.gradcheck(F.tanh, np.ones(3))
    assert error < 1e-6
    return gradient


def mistakes() -> None:
    """Never run: what a type checker finds before it is."""
    nn.Linear("3", 4)  # type: ignore[arg-type]
    F.relu(np.ones(3))  # type: ignore[arg-type]
    optim.SGD(3, 0.1)  # type: ignore[arg-type]
    models.paper_mlp(norm=True)  # type: ignore[arg-type]
    minidl.manual_seed("a")  # type: ignore[arg-type]
    F.dropout(Tensor(1.0), 0.5, True, generator=3)  # type: ignore[arg-type]
    Tensor(1.0).sum(axis="rows")  # type: ignore[arg-type]
