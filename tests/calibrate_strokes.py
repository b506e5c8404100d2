"""How hard are the digits of `strokes`, and what do they look like? Measures what datasets/README.md states.

    python -m tests.calibrate_strokes                               up to ten minutes
    python -m tests.calibrate_strokes --data mnist                  the same for MNIST, to compare with
    python -m tests.calibrate_strokes --picture datasets/strokes.png

Every network reads binarised pixels (threshold 0.5) and is trained by plain SGD, batch 60, learning rate 0.1.
"""

import argparse
from statistics import mean, stdev

import numpy as np

from minidl import Tensor, nn
from minidl import functional as F
from minidl.data.loader import DataLoader
from minidl.data.mnist import mnist
from minidl.data.strokes import strokes
from minidl.lab.models import paper_mlp
from minidl.optim import SGD
from minidl.system.progress import progress
from minidl.train import evaluate

EVERY = 500  # steps between two looks at the test set
NETWORKS = {
    "linear": (20_000, lambda rng: nn.Sequential(nn.Linear(784, 10))),
    "paper's, BN": (50_000, lambda rng: paper_mlp("batch", generator=rng)),
    "paper's, no BN": (50_000, lambda rng: paper_mlp("none", generator=rng)),
}


def main():
    """Measure, or draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", choices=["strokes", "mnist"], default="strokes")
    parser.add_argument("--seeds", type=int, default=3, help="training runs of each network")
    parser.add_argument("--picture", metavar="PATH", help="draw a grid of digits instead")
    options = parser.parse_args()
    digits = strokes() if options.data == "strokes" else mnist()
    if options.picture:
        draw_grid(digits.train, options.picture)
        return
    print(f"{digits.source}: test accuracy in %, mean ± standard deviation of {options.seeds} runs")
    for name, (steps, build) in NETWORKS.items():
        runs = [test_accuracies(build, digits, steps, seed) for seed in range(options.seeds)]
        print(f"{name:14}  {report(runs)}", flush=True)


def test_accuracies(build, digits, steps, seed):
    """Train one network; its test accuracy, in %, after every EVERY steps."""
    rng = np.random.default_rng(seed)
    (x, y), (x_test, y_test) = [(binary(images), labels) for images, labels in digits]
    model = build(rng)
    optimizer = SGD(model.parameters(), lr=0.1)
    batches = DataLoader(x, y, batch_size=60, shuffle=True, drop_last=True, generator=rng)
    accuracies, step = [], 0
    with progress(desc="training", total=steps, unit="step") as bar:
        while step < steps:
            for images, labels in batches:
                optimizer.zero_grad()
                F.cross_entropy(model(Tensor(images)), labels).backward()
                optimizer.step()
                step += 1
                if step % EVERY == 0:
                    accuracies.append(100 * evaluate(model, x_test, y_test).accuracy)
                    bar.update(EVERY)
                if step == steps:
                    break
    return accuracies


def binary(images):
    """Pixels (N, 784) as 0 or 1, float32."""
    return (images.reshape(len(images), -1) > 127).astype(np.float32)


def report(runs):
    """Accuracy at some steps, and the first look at which it was 95 % or more."""
    looks = [look for look in (2_000, 5_000, 10_000, 20_000, 50_000) if look <= EVERY * len(runs[0])]
    parts = [f"{look:,}: {spread([run[look // EVERY - 1] for run in runs])}" for look in looks]
    firsts = [next((str(EVERY * (i + 1)) for i, a in enumerate(run) if a >= 95), "never") for run in runs]
    return "   ".join([*parts, "95 % at step " + ", ".join(firsts)])


def spread(values):
    """Mean ± standard deviation."""
    return f"{mean(values):.2f} ± {stdev(values) if len(values) > 1 else 0:.2f}"


def draw_grid(split, path, rows=2, columns=24, scale=2):
    """Save a PNG with `rows` rows of each digit."""
    from matplotlib.image import imsave

    lines = []
    for digit in range(10):
        chosen = split.images[split.labels == digit][: rows * columns]
        lines += list(chosen.reshape(rows, columns, 28, 28))
    grid = 255 - np.block([list(line) for line in lines])
    imsave(path, grid.repeat(scale, axis=0).repeat(scale, axis=1), cmap="gray", vmin=0, vmax=255)


if __name__ == "__main__":
    main()
