"""What learners get wrong in lesson 18."""

import numpy as np
from scipy.stats import t as student

from minidl.lab.course import capstone
from minidl.lab.study.statistics import t_interval

SOUND = capstone.submissions()[2]
TRUTH = {1: "edge", 2: "nothing", 3: "seeds", 4: "rule", 5: "changed", 6: "zero", 7: "grids"}


def by_mean(differences, margin):
    mean = np.mean(differences)
    return "larger" if mean > margin else "smaller" if mean < -margin else "about equal"


def by_zero(differences, margin):
    _, low, high = t_interval(differences)
    return "larger" if low > 0 else "smaller" if high < 0 else "about equal"


def without_margin(differences, margin):
    _, low, high = t_interval(differences)
    if low > 0 or high < 0:
        return "larger" if low > 0 else "smaller"
    return "about equal" if -margin <= low and high <= margin else "open"


def never_open(differences, margin):
    _, low, high = t_interval(differences)
    return "larger" if low > margin else "smaller" if high < -margin else "about equal"


def normal(differences, margin):
    half = 1.96 * np.std(differences, ddof=1) / len(differences) ** 0.5
    low, high = np.mean(differences) - half, np.mean(differences) + half
    if low > margin or high < -margin:
        return "larger" if low > margin else "smaller"
    return "about equal" if low >= -margin and high <= margin else "open"


def of_the_population(differences, margin):
    n = len(differences)
    mean, _, high = t_interval(differences)
    half = (high - mean) * ((n - 1) / n) ** 0.5
    return _words(mean - half, mean + half, margin)


def of_90_percent(differences, margin):
    half = student.ppf(0.95, len(differences) - 1) * np.std(differences, ddof=1) / len(differences) ** 0.5
    return _words(np.mean(differences) - half, np.mean(differences) + half, margin)


def of_one_error(differences, margin):
    half = np.std(differences, ddof=1) / len(differences) ** 0.5
    return _words(np.mean(differences) - half, np.mean(differences) + half, margin)


def _words(low, high, margin):
    if low > margin or high < -margin:
        return "larger" if low > margin else "smaller"
    return "about equal" if low >= -margin and high <= margin else "open"


def run(config):
    return {"validation": 90.0, "test": 90.0}


GOOD = {
    "question": "Does a read more digits than b?",
    "arms": {"a": {"norm": "batch"}, "b": {"norm": "none"}},
    "difference": ("a", "b"),
    "measure": "test",
    "tuned_by": "validation",
    "rates": {"a": (0.1, 0.3, 1.0), "b": (0.1, 0.3, 1.0)},
    "tuning_seeds": (1000, 1001),
    "seeds": range(5),
    "margin": 0.2,
    "prediction": "larger",
}


def but(**changes):
    return GOOD | changes


def reported(**changes):
    return SOUND.study, SOUND.registration, SOUND.report | changes


WRONG = {
    "decide": [
        ((by_mean,), "the mean alone counts"),
        ((by_zero,), "whether the interval contains 0"),
        ((without_margin,), "the margin does not count"),
        ((never_open,), "its word is 'open'"),
        ((normal,), "1.96 standard errors"),
        ((of_the_population,), "needs n − 1"),
        ((of_90_percent,), "5 % at each end"),
        ((of_one_error,), "one standard error"),
        ((lambda d, m: "equal",), "it should return one of"),
        ((lambda d, m: "open",), "Their interval is"),
    ],
    "referee": [
        ((dict.fromkeys(TRUTH, "nothing"),), "a fault that you let pass"),
        ((TRUTH | {2: "zero"},), "it claims no difference"),
        ((TRUTH | {2: "rule"},), "its verdict is what the rule gives"),
        ((TRUTH | {4: "nothing"},), "Not to see a difference"),
        ((TRUTH | {4: "zero"},), "It claims that there is none"),
        ((TRUTH | {6: "rule"},), "It claims a difference"),
        ((TRUTH | {7: "edge"},), "lies between two others"),
        (({1: "edge"},), "Submission 2 has no verdict"),
        ((TRUTH | {8: "edge"},), "There is no submission 8"),
        (({"1": "edge"},), "There is no submission '1'; they have the numbers 1 to 7"),
        ((TRUTH | {3: "fraud"},), "there is no kind 'fraud'"),
    ],
    "registration": [
        ((but(seeds=(0, 1, 2)), run), "with fewer than 5"),
        ((but(seeds=range(1000, 1006)), run), "chooses rates and is in the results"),
        ((but(seeds=(0, 1, 2, 3, 4, 4)), run), "A seed is there twice"),
        ((but(rates={"a": (0.1, 0.2, 0.3, 0.5), "b": (0.1, 0.2, 0.3)}), run), "the one with more tries"),
        ((but(rates={"a": (0.1, 0.3), "b": (0.1, 0.3)}), run), "the best is always at an edge"),
        ((but(tuned_by="test"), run), "looks good by luck"),
        ((but(prediction="better"), run), "prediction is 'better'"),
        ((but(question="BN is better."), run), "ends in a question mark"),
        ((but(arms={"a": {"norm": "batch"}, "b": {"norm": "batch"}}), run), "nothing to compare"),
        ((but(difference=("a", "c")), run), "The difference is of 'a' and 'c'"),
        (({key: value for key, value in GOOD.items() if key != "margin"}, run), "It lacks 'margin'"),
        ((GOOD, "run"), "it should be a function"),
        ((GOOD, lambda lr, seed: {}), "with one argument"),
    ],
    "report": [
        (reported(verdict="larger"), "the interval contains 0"),
        (reported(verdict="about equal"), "more than these seeds know"),
        (reported(difference=0.37), "the records give"),
        (reported(difference=-0.07), "first minus second"),
        (reported(half_width=0.05), "The report says half_width"),
        (reported(seeds=10), "says 10 seeds"),
        (reported(rates={"warm-up": 1.0, "plain start": 0.3}), "by the records it chose 0.3"),
        (reported(prediction="open"), "'larger' was registered"),
        (reported(came_true=True), "did not come true"),
        (reported(not_shown=[]), "Nothing stands under"),
        (reported(not_shown=["Much."]), "not said in a sentence"),
        ((SOUND.study, SOUND.registration | {"margin": 0.5}, SOUND.report), "was changed after the run"),
        *(
            ((s.study, s.registration, s.report), message)
            for s, message in zip(
                (capstone.submissions()[i] for i in (1, 3, 7)),
                ("the largest of the rates it tried", "is not in the records", "the better tuned"),
                strict=True,
            )
        ),
    ],
}  # fmt: skip
