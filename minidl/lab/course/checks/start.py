"""Checks of lesson 00 (start): predictions, and when a curve reaches a target."""

import numpy as np

from minidl.lab.course._check import Wrong, ask, exercise, number

_SHIFT = ("yes", "no", "depends")


@exercise(
    "predictions",
    hints=(
        "What would a network without any help reach, if it learns nothing at all?",
        "A prediction is useful if a result can disagree with it. Take the numbers that you would bet on; "
        "nobody grades them.",
        "The forms: two numbers in percent between 10 and 100, one number above 0, and one of the three "
        "words in quotes.",
    ),
)
def predictions(plain, batch, speedup, shift):
    """Four numbers and words that a result can prove wrong; that is all a prediction needs."""
    for name, value in (("plain", plain), ("batch", batch), ("speedup", speedup)):
        if (
            isinstance(value, bool)
            or not isinstance(value, int | float | np.integer | np.floating)
            or not abs(value) < 1e9
        ):
            raise Wrong(f"{name} is {value!r}; it should be one number, without a unit.")
    for name, value in (("plain", plain), ("batch", batch)):
        if 0 < value <= 1:
            raise Wrong(f"{name} is {value}: that looks like a fraction; say it in percent, from 0 to 100.")
        if not 5 <= value <= 100:
            raise Wrong(
                f"{name} is {value} %: with ten digits, blind guessing alone gives about 10 %; 100 is the most."
            )
    if speedup <= 0:
        raise Wrong(f"speedup is {speedup}: it divides two numbers of steps; 1 means no difference, below 1 slower.")
    if str(shift).strip().lower() not in _SHIFT:
        raise Wrong(f"shift is {shift!r}; it should be one of {', '.join(map(repr, _SHIFT))}, which a test can decide.")


@exercise(
    "reach",
    hints=(
        "At which places of the array `accuracies` is the target reached? NumPy answers for all places at once.",
        "Comparing an array with a number gives an array of True and False; np.flatnonzero gives the places"
        " of True. What is in it if there are none?",
        "first place = min{i : accuracies[i] ≥ target}; the answer is the step *at* that place, and None if"
        " the set is empty.",
    ),
)
def reach(answer):
    """The first step at which a curve reaches its target, and None for a curve that never does."""
    rng = np.random.default_rng()
    curve = np.array([0.1, 0.3, 0.5, 0.7, 0.9, 0.6, 0.2])  # first, next, highest and last above 0.5 are all different
    silent = 0
    for draw in range(20):
        accuracies = curve if draw == 0 else rng.permutation(curve)
        steps = np.cumsum(rng.integers(20, 400, curve.size))
        target = 0.5 if draw == 0 else float(accuracies[rng.integers(1, curve.size)])
        got = ask(answer, steps, accuracies, target)
        silent += got is None
        if got is not None:
            _judge(number("The answer", got), steps, accuracies, target)
    if silent == 20:
        raise Wrong("Your function returns None each time, also for curves that get there: is there a `return`?")
    if silent:
        raise Wrong(
            "You say never, where a curve gets there. Is it exactly at the target there (reaching means ≥, not >), or does "
            "your loop return None before it has seen the whole curve?"
        )
    got = ask(answer, steps, accuracies, 0.95)
    if got is not None:
        if isinstance(got, str | list | tuple | np.ndarray) or (isinstance(got, float) and got != got):
            raise Wrong(f"This curve never reaches its target, and the answer is {got!r:.40}; it should be None.")
        got = number("The answer", got)
        why = "; NumPy's argmax of all False is 0" if got == steps[0] else ""
        raise Wrong(f"This curve never reaches its target, and the answer is {got:g}, not None{why}.")


def _judge(got, steps, accuracies, target):
    there = np.flatnonzero(accuracies >= target)
    first, want = there[0], steps[there[0]]
    if got == want:
        return
    if got == first:
        raise Wrong(f"{got:g} is the place in the array; the training step there is {want}.")
    if got == steps[there[-1]]:
        raise Wrong(f"{got:g} is the last step at or above the target; the first is {want}.")
    if got == steps[accuracies.argmax()]:
        raise Wrong(f"{got:g} is the step of the highest accuracy; the target is reached first at {want}.")
    later = np.flatnonzero(accuracies > target)
    if later.size and got == steps[later[0]]:
        raise Wrong(f"At step {want} the curve is exactly at the target, which counts as reached: ≥, not >.")
    raise Wrong(f"The curve first reaches its target at step {want}, and the answer is {got:g}.")
