"""What is seen at a moment, in words: computed from the packed data, so that each sentence is true of its moment."""

import numpy as np

__all__ = ["few", "sentence", "sentences"]

GUESSING = 15  # percent; a network that gives one answer to all digits reads about 10 right
_SAID = {"none": "without BN", "batch": "with BN", "start": "from the good start"}
_COUNT = {2: "two", 3: "three"}


def sentences(net):
    """Return the sentence of each moment of a packed network."""
    return [sentence(net, at) for at in range(len(net["steps"]))]


def sentence(net, at):
    """Say what is seen at one moment of a packed network; numbers are means over the seeds."""
    accuracy = {arm["id"]: np.array(arm["acc"])[:, at] for arm in net["arms"]}
    right = _listed([f"{values.mean():.1f} % ({_SAID[name]})" for name, values in accuracy.items()])
    steps = net["steps"][at]
    when = "Before training" if steps == 0 else f"After {steps:,} step{'s' * (steps > 1)}"
    return f"{when} the network reads {right} of the test digits right. {_compared(accuracy)} {_inside(net, at)}"


def _compared(accuracy):
    """Who guesses; and of two that have learned something, whether one is ahead in every seed."""
    guessing = [name for name, values in accuracy.items() if values.max() < GUESSING]
    learned = [name for name in accuracy if name not in guessing]
    if not learned:
        return "That is guessing."
    texts = []
    if guessing:
        texts.append(f"Still guessing: the network {_listed([_SAID[name] for name in guessing])}.")
    if len(learned) > 1:
        first, second = ("batch", "start") if "start" in learned and "batch" in learned else learned[:2]
        texts.append(_lead(first, second, accuracy[first] - accuracy[second]))
    return " ".join(texts)


def _lead(first, second, ahead):
    seeds = f"all {_COUNT.get(len(ahead), len(ahead))} seeds"
    if (ahead > 0).all():
        return f"The network {_SAID[first]} is ahead of the one {_SAID[second]} in {seeds}."
    if (ahead < 0).all():
        return f"The network {_SAID[second]} is ahead of the one {_SAID[first]} in {seeds}."
    return f"Which is ahead, the network {_SAID[first]} or the one {_SAID[second]}, depends on the seed."


def _inside(net, at):
    """What has become of the signal in the last layer, and how much of it is flat."""
    last = net["layers"][-1]
    where = f"layer {last}" if last.isdigit() else f"the {last} layer"
    found = []
    for arm in net["arms"]:
        signal, flat = _at(net, arm, "signal", at), few(_at(net, arm, "sat", at)[:, -1].mean())
        found.append((_SAID[arm["id"]], few(100 * (signal[:, -1] / signal[:, 0]).mean()), flat))
    (name, share, flat), *others = found
    first = f"{name} the signal is {share} % of the first layer's and {flat} % of the {net['unit']}s are {net['off']}"
    return f"In {where}: {', '.join([first, *(f'{name} {share} % and {flat} %' for name, share, flat in others)])}."


def _at(net, arm, what, at):
    """A quantity of an arm at a moment, (seeds, layers)."""
    return np.array(arm[what])[:, at]


def _listed(texts):
    return texts[0] if len(texts) == 1 else f"{', '.join(texts[:-1])} and {texts[-1]}"


def few(value):
    """Write a percentage with few digits; the page's script does the same."""
    if value >= 9.95:
        return f"{value:.0f}"
    if value >= 0.095 or value == 0:
        return f"{value:.1f}".removesuffix(".0")
    return "less than 0.001" if value < 0.001 else f"{value:.3f}".rstrip("0")
