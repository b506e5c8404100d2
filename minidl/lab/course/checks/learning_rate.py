"""Checks of lesson 11 (learning rate): a rate for longer weights, how weights grow, and where weight decay stops that."""

import numpy as np

from minidl.lab.course._check import Wrong, array, ask, compare, exercise
from minidl.lab.course.invariance import equilibrium as at_rest

__all__ = ["equilibrium", "growth", "matching_rate"]


@exercise(
    "matching_rate",
    hints=(
        "After a step w − ηg, the network is what its direction makes it. By what angle does the step turn w?",
        "The weights are a times as long, and the gradient is g/a. Which rate makes the step a times as long as before?",
        "Solve η′·(g/a) = a·(η·g) for η′.",
    ),
)
def matching_rate(answer):
    """Longer weights need a rate that grows with the square of their length, to take the same course."""
    for lr, a in np.random.default_rng().uniform([0.1, 1.5], [2, 9], (4, 2)):
        compare(
            f"the rate for lr = {lr:.3g} and a = {a:.3g}",
            ask(answer, float(lr), float(a)),
            lr * a * a,
            instead={
                "the loss does not notice a, but the step does: the gradient is shorter and the weights are longer": lr,
                "this makes up for the shorter gradient; the weights are also longer, so the same step turns them less": (
                    lr * a
                ),
                "this is the wrong way round: the gradient is already a times *shorter*": lr / a,
                "this is the wrong way round: longer weights turn less, so they need larger steps": lr / (a * a),
                "one factor of a too many: one for the gradient, one for the length": lr * a**3,
                "only a is squared: the rate itself goes in once": (lr * a) ** 2,
                "the rate is missing; the answer is a multiple of `lr`": a * a,
            },
            hint="Draw w, and a step at right angles to it; then the same with a vector twice as long.",
        )


@exercise(
    "growth",
    hints=(
        "w and the step ηg make a right angle. How long is the third side of that triangle?",
        "‖w − ηg‖² = ‖w‖² + (the square of the step's length). The next step starts from there.",
        "Keep ‖w‖² from step to step, not ‖w‖: each step adds one square. Take the root only for what you return.",
    ),
)
def growth(answer):
    """Steps at right angles add their squares: weights before batch norm can only grow."""
    start, gradients, norms, lr = _descent(np.random.default_rng())
    got = array("‖w‖ after each step", ask(answer, start, gradients, lr), norms.shape)
    squares = np.cumsum(gradients**2)
    if got.shape == ():
        raise Wrong(f"This is one number; return ‖w‖ after each of the {len(norms)} steps.")
    if got.ndim == 1 and 0 < len(got) < len(norms):
        raise Wrong(
            f"There are {len(got)} numbers for {len(norms)} steps; return ‖w‖ after each step, the last one, too."
        )
    if got.shape == (len(norms) + 1,):
        raise Wrong(
            f"There is one number too many: return ‖w‖ after each of the {len(norms)} steps, without the start."
        )
    compare(
        "‖w‖ after each step",
        got,
        norms,
        tol=1e-6,
        instead={
            "the lengths are added; w and a step make a right angle, so their *squares* add up": start
            + lr * np.cumsum(gradients),
            "the lengths are subtracted; a step at right angles leads away from 0, whatever its sign": start
            - lr * np.cumsum(gradients),
            "it does not change; a step at right angles leads away from 0": np.full(len(norms), start),
            "the rate is squared too, as it is a part of the step's length": np.sqrt(start**2 + lr * squares),
            "the rate is missing; a step is η times the gradient": np.sqrt(start**2 + squares),
            "each step starts from w_0 again; it starts where the last one ended": np.sqrt(
                start**2 + (lr * gradients) ** 2
            ),
            "the start is missing": lr * np.sqrt(squares),
            "these are the squares; take the root": start**2 + lr**2 * squares,
            "the start is not squared": np.sqrt(start + lr**2 * squares),
            "this is ‖w‖ *before* each step": np.append(start, norms[:-1]),
            "this adds up the gradients and squares the sum; each step has its own right angle, so add up squares": (
                np.sqrt(start**2 + (lr * np.cumsum(gradients)) ** 2)
            ),
        },
        hint="Pythagoras, once for each step.",
    )


def _descent(generator, steps=12):
    """Descend on a function of a vector's direction alone: ‖w‖ at the start, ‖g‖ and ‖w‖ of each step, the rate."""
    size = int(generator.integers(5, 9))
    matrix, w, lr = (
        generator.standard_normal((size, size)),
        generator.standard_normal(size),
        generator.uniform(0.2, 0.6),
    )
    start, gradients, norms = float(np.linalg.norm(w)), [], []
    for _ in range(steps):
        length = np.linalg.norm(w)
        u = w / length
        slope = (matrix + matrix.T) @ u + np.cos(u)  # of u·Mu + Σ sin u
        g = (slope - u * (u @ slope)) / length
        w = w - lr * g
        gradients.append(np.linalg.norm(g))
        norms.append(np.linalg.norm(w))
    return start, np.array(gradients), np.array(norms), float(lr)


@exercise(
    "equilibrium",
    hints=(
        "In one step decay multiplies ‖w‖² by (1 − ηλ)². What does the gradient add to it, by `growth`?",
        "The gradient at length ‖w‖ is g̃/‖w‖. Set what is taken, about 2ηλ‖w‖², equal to what is added, η²‖g̃‖²/‖w‖².",
        "2ηλ‖w‖² = η²‖g̃‖²/‖w‖²: solve it for ‖w‖.",
    ),
)
def equilibrium(answer):
    """Under batch norm weight decay sets the length of the weights, and so the size of the steps."""
    draws = np.random.default_rng().uniform([0.05, 1e-4, 2.0], [0.4, 1e-3, 50.0], (4, 3))
    for lr, decay, squared in draws.tolist():
        ratio = lr * squared / decay
        compare(
            f"‖w‖ at rest for lr = {lr:.3g}, decay = {decay:.2g}, squared = {squared:.3g}",
            ask(answer, lr, decay, squared),
            at_rest(lr, decay, squared),
            tol=1e-3,
            instead={
                "this is ‖w‖² (or ‖w‖, if the gradient did not shrink as the weights grow; but it does, as 1/‖w‖)": (
                    ratio / 2
                )
                ** 0.5,
                "this is ‖w‖⁴; take its fourth root": ratio / 2,
                "the 2 is missing: decay takes 2ηλ of ‖w‖², since ‖w‖ loses ηλ of itself": ratio**0.25,
                "the rate is missing: the step adds η²‖g‖², decay takes ηλ, so one η is left": (squared / decay / 2)
                ** 0.25,
                "upside down: more decay makes shorter weights": (2 * decay / lr / squared) ** 0.25,
                "one η too many: decay, too, is multiplied by the rate": (lr * ratio / 2) ** 0.25,
                "`squared` is the square already": (ratio * squared / 2) ** 0.25,
                "the 2 is on the wrong side: it belongs to what decay takes": (2 * ratio) ** 0.25,
                "decay takes 2ηλ of ‖w‖², not 4ηλ": (ratio / 4) ** 0.25,
            },
            hint="Set what a step adds to ‖w‖² equal to what decay takes from it.",
        )
