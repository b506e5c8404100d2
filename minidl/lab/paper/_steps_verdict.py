"""What the runs of the claim `steps` say: speed-ups to the plain network's best, and a verdict for each of six sentences."""

import math
from typing import NamedTuple

import numpy as np

from minidl.lab.paper._reach import arrival, smoothed, speed_up, times
from minidl.lab.paper._steps_arms import stacked
from minidl.lab.study.claim import Verdict
from minidl.lab.study.statistics import Interval, paired, t_interval

__all__ = ["CHANCE_LIKE", "LONG", "SENTENCES", "Curves", "Sentence", "judge", "verdict"]

LONG = ("plain", "BN, own rate", "BN-x5")  # arms that are also run with four times the steps
SEVENFOLD = 7.0
CHANCE_LIKE = 0.2  # below this a network has not begun to learn
SENTENCES = (
    "batch norm alone gets there in fewer steps",
    "with five times the rate and the bundle it does so at least seven times as fast",
    "batch norm's best is higher",
    "of networks with sigmoids only those with batch norm train",
    "(ours) against a plain network with the rest of the bundle, tuned, that lead remains",
    "(§4.2.3) six networks with batch norm are better than one, and than six plain ones",
)
Z = 1.959964  # of a 95 % normal interval, for thousands of images


class Curves:
    """The runs of one network and one stage: the target, when each arm reaches it, and its best accuracy.

    The target is the mean, over seeds, of the plain arm's highest smoothed accuracy.
    """

    def __init__(self, result, stage="final", network=""):
        self.name = stacked if network == "stack" else str
        self._runs: dict[str, dict[int, np.ndarray]] = {}
        for run in result.where(stage=stage).runs:
            self._runs.setdefault(run.config["arm"], {})[run.config["seed"]] = np.array(run.record["accuracy"])
            if run.config["arm"] == self.name("plain"):
                self.budget = run.config["steps"]
                self.at = times(self.budget, run.config["first"])
        self.target = float(np.mean(list(self.best("plain").values())))

    def curves(self, arm):
        """Return the smoothed accuracies of an arm, a row for each seed."""
        return np.array([smoothed(curve) for _, curve in sorted(self._of(arm).items())])

    def best(self, arm):
        """Return the highest smoothed accuracy, seed → accuracy."""
        return {seed: float(smoothed(curve).max()) for seed, curve in sorted(self._of(arm).items())}

    def arrivals(self, arm):
        """Return the steps to the target, seed → steps, or nan."""
        return {seed: arrival(self.at, curve, self.target) for seed, curve in sorted(self._of(arm).items())}

    def speed(self, arm, against="plain"):
        """Return the SpeedUp of an arm, over the seeds that both have."""
        return speed_up(*_both(self.arrivals(against), self.arrivals(arm)), self.budget)

    def own(self, arm):
        """Return the SpeedUp where each seed's target is the plain network's best of that seed, which it always reaches."""
        found = []
        for seed, best in self.best("plain").items():
            if seed in self._of(arm):
                found.append([arrival(self.at, self._of(name)[seed], best) for name in ("plain", arm)])
        return speed_up(*np.array(found).T, self.budget)

    def gain(self, arm, against="plain"):
        """Return by how much an arm's best is higher, an Interval over the seeds that both have."""
        return paired(*_both(self.best(arm), self.best(against)))

    def _of(self, arm):
        return self._runs[self.name(arm)]


def _both(one, other):
    seeds = [seed for seed in one if seed in other]
    return np.array([one[seed] for seed in seeds]), np.array([other[seed] for seed in seeds])


class Sentence(NamedTuple):
    """One of `SENTENCES`, its word, and its number."""

    text: str
    word: str
    number: str


def judge(result):
    """Return a Sentence for each of `SENTENCES`."""
    curves = Curves(result)
    found = (
        _alone(curves),
        _sevenfold(curves),
        _higher(curves),
        _sigmoids(curves),
        _remains(curves),
        _together(result),
    )
    return [Sentence(text, *rest) for text, rest in zip(SENTENCES, found, strict=True)]


def _slower(curves, arm):
    """Whether an arm is slower than the plain one; an arm that never arrives is, if its best is lower, too."""
    speed = curves.speed(arm)
    return speed.slower or (speed.never and curves.gain(arm).below_zero)


def _alone(curves):
    speed, own = curves.speed("BN"), curves.speed("BN, own rate")
    if speed.faster:
        word = "reproduced"
    elif own.faster:
        word = "partly"
    else:
        word = "contradicted" if _slower(curves, "BN") and not own.faster else "not at this scale"
    return word, (
        f"{speed.text()} at the plain network's rate ({curves.own('BN').text()} to each seed's own best), {own.text()} at "
        "its own"
    )


def _sevenfold(curves):
    speed = curves.speed("BN-x5")
    if speed.faster:
        word = "reproduced" if speed.mean >= SEVENFOLD else "partly"
    else:
        word = "contradicted" if _slower(curves, "BN-x5") else "not at this scale"
    return word, (
        f"{speed.text()}, {curves.own('BN-x5').text()} to each seed's own best; with 30 times the rate "
        f"{curves.speed('BN-x30').text()}"
    )


def _higher(curves):
    gain, bundle = curves.gain("BN, own rate"), curves.gain("BN-x30")
    if gain.above_zero:
        word = "reproduced"
    elif bundle.above_zero:
        word = "partly"
    else:
        word = "contradicted" if gain.below_zero else "not at this scale"
    matched = curves.gain("BN, retuned", "plain, retuned")
    return word, (
        f"{_points(gain)} points at its own rate; BN-x5 {_points(curves.gain('BN-x5'))}; BN-x30 {_points(bundle)}; with the "
        f"rest of the bundle, rate and decay of its own on both sides {_points(matched)}"
    )


def _sigmoids(curves):
    batch = curves.best("BN-x5-Sigmoid")
    without = {arm: curves.best(arm) for arm in ("sigmoid", "sigmoid, standardised")}
    leads = [curves.gain("BN-x5-Sigmoid", arm) for arm in without]
    trained = min(batch.values()) >= curves.target / 2
    stuck = max(max(best.values()) for best in without.values()) < CHANCE_LIKE
    if trained and stuck:
        word = "reproduced"
    elif all(lead.above_zero for lead in leads):
        word = "partly"
    else:
        word = "contradicted" if any(lead.below_zero for lead in leads) else "not at this scale"
    told = ", ".join(f"{t_interval(list(best.values())).text(1, 100)} % {arm}" for arm, best in without.items())
    return word, f"best {t_interval(list(batch.values())).text(1, 100)} % with batch norm; {told} without"


def _remains(curves):
    speed, plain = curves.speed("BN-x5", "tuned plain"), curves.speed("BN-x5")
    if speed.faster:
        word = "reproduced" if speed.mean >= SEVENFOLD else "partly"
    else:
        slower = speed.slower or (speed.never and curves.gain("BN-x5", "tuned plain").below_zero)
        word = "contradicted" if slower else "not at this scale"
    share = ""
    if plain.faster:  # then BN-x5 arrived with every seed
        most = "at most " if plain.at_least else ""
        share = f", {most}{100 * math.log(speed.mean) / math.log(plain.mean):.0f} % of the logarithm".replace("-", "−")
    retuned = curves.gain("plain, retuned", "tuned plain")
    return word, (
        f"{speed.text()}, of {plain.text()} against the plain network{share}; the tuned plain network itself "
        f"{curves.speed('tuned plain').text()}. With a decay of its own it is {_points(retuned)} points better, BN-x5 "
        f"{curves.speed('BN-x5', 'plain, retuned').text()} against it, and the same recipe with batch norm "
        f"{curves.speed('BN, retuned', 'plain, retuned').text()}"
    )


def _together(result):
    """Six against the mean of the six, and against six others, over the test images."""
    batch, plain = (_answers(result, arm) for arm in ("BN, own rate", "plain"))
    gain = _over_images(batch["together"] - batch["alone"])
    more = _over_images(batch["together"] - plain["together"])
    other = _over_images(plain["together"] - plain["alone"])
    if gain.above_zero:
        word = "reproduced" if more.above_zero else "partly"
    else:
        word = "contradicted" if gain.below_zero else "not at this scale"
    return word, (
        f"{_points(gain)} points over one; {_points(more)} over six plain ones, which gain {_points(other)} over one of them"
    )


def _answers(result, arm):
    """Of each test image, the share of single networks that are right, and whether all together are."""
    run = result.where(stage="ensemble", arm=arm).runs[0]
    return {
        "alone": np.array([int(digit) for digit in run.record["alone"]]) / run.config["members"],
        "together": np.array([int(digit) for digit in run.record["together"]], dtype=float),
    }


def _over_images(differences):
    """Mean and 95 % interval of one number for each image: what another draw of images would change."""
    mean = float(differences.mean())
    half = Z * float(differences.std(ddof=1)) / math.sqrt(differences.size)
    return Interval(mean, mean - half, mean + half)


def _points(interval):
    return interval.text(2, 100, sign=True)


def verdict(result):
    """Judge the four sentences of the paper; the fifth and the sixth are reported beside them."""
    sentences, curves = judge(result), Curves(result)
    words = [sentence.word for sentence in sentences[:4]]
    if all(word == "reproduced" for word in words):
        word = "reproduced"
    elif any(word in ("reproduced", "partly") for word in words):
        word = "partly"
    else:
        word = "contradicted" if "contradicted" in words else "not at this scale"
    said = " ".join(f"({i}) {s.text}: {s.word}, {s.number}." for i, s in enumerate(sentences, 1))
    return Verdict(
        word,
        f"all changes {curves.speed('BN-x5').text()}, batch norm alone {curves.speed('BN').text()}, against a plain "
        f"network with the other six {curves.speed('BN-x5', 'tuned plain').text()}; of four sentences {_count(words)}",
        f"The target is {100 * curves.target:.1f} %, the plain network's own best. {said} {_elsewhere(result)}",
        {
            "sentences": {s.text: [s.word, s.number] for s in sentences},
            "target": curves.target,
            **{
                f"speed of {arm}": curves.speed(arm)[:3]
                for arm in ("BN", "BN, own rate", "BN-x5", "BN-x30", "tuned plain", "plain, retuned", "BN, retuned")
            },
            "speed of BN-x5 to each seed's own best": curves.own("BN-x5")[:3],
            "speed of BN-x5 against tuned plain": curves.speed("BN-x5", "tuned plain")[:3],
            "gain of BN, own rate": curves.gain("BN, own rate"),
        },
    )


def _count(words):
    return ", ".join(f"{words.count(word)} {word}" for word in dict.fromkeys(words))


def _elsewhere(result):
    """The same with the other network, and with four times the steps."""
    stack, long = Curves(result, network="stack"), Curves(result, "long")
    arms = {"batch norm alone": "BN", "BN-x5": "BN-x5", "the tuned plain network": "tuned plain"}
    told = ", ".join(f"{name} {stack.speed(arm).text()}" for name, arm in arms.items())
    longer = ", ".join(f"{arm} {long.speed(arm).text()}, best {_points(long.gain(arm))} points" for arm in LONG[1:])
    return (
        f"With the plain stack of convolutions (target {100 * stack.target:.1f} %): {told}; BN-x5 against the tuned plain "
        f"one {stack.speed('BN-x5', 'tuned plain').text()}. With four times the steps (target {100 * long.target:.1f} %): "
        f"{longer}."
    )
