"""Checks of lesson 18 (capstone): a rule for four words, faults in reports, a registration, a report."""

import inspect

import numpy as np

from minidl.lab.course import capstone
from minidl.lab.course._check import Wrong, ask, exercise
from minidl.lab.course.capstone import KINDS, WORDS

# The ends of an interval, in margins: inside and outside of each edge of the rule, and near enough to tell apart what is
# nearly the rule.
ENDS = (
    (1.05, 2), (0.97, 3), (0.1, 3), (-0.1, 3), (-0.8, 0.9), (-1.2, 0.9), (0.2, 0.8), (-3, -1.1), (-3, -0.97), (-0.9, 1.1),
    (-2.5, 2.5), (-0.8, -0.2), (-1.8, 0.3), (0.95, 2.9), (0.737, 2.737),
)  # fmt: skip


def _words(low, high, margin):
    return "larger" if low > margin else "smaller" if high < -margin else (
        "about equal" if -margin <= low and high <= margin else "open"
    )  # fmt: skip


def _rule(t=None, level=0.975, ddof=1, root=True, judge=_words):
    """A rule that is nearly right: with other ends of the interval, or other words for them."""
    from scipy.stats import t as student

    def decide(differences, margin):
        n = len(differences)
        half = (student.ppf(level, n - 1) if t is None else t) * differences.std(ddof=ddof) / (n**0.5 if root else 1)
        return judge(differences.mean() - half, differences.mean() + half, margin)

    return decide


def _around_zero(low, high, margin):
    return "larger" if low > 0 else "smaller" if high < 0 else _words(low, high, margin)


def _not_seen(low, high, margin):
    return (
        "larger" if low > margin else "smaller" if high < -margin else "open" if low > 0 or high < 0 else "about equal"
    )


def _never_open(low, high, margin):
    return "larger" if low > margin else "smaller" if high < -margin else "about equal"


def _two_sided(low, high, margin):
    return "about equal" if low <= 0 <= high else "larger" if low > 0 else "smaller"


def _by_mean(low, high, margin):
    mean = (low + high) / 2
    return "larger" if mean > margin else "smaller" if mean < -margin else "about equal"


def _equal_by_mean(low, high, margin):
    word = _words(low, high, margin)
    return word if word in ("larger", "smaller") else "about equal" if abs(low + high) / 2 <= margin else "open"


def _upside_down(low, high, margin):
    word = _words(low, high, margin)
    return {"larger": "smaller", "smaller": "larger"}.get(word, word)


NEARLY = {
    "there is no interval in this: the mean alone counts, and any mean is on some side": {"judge": _by_mean},
    "the margin does not count for 'larger' and 'smaller': a difference that nobody cares about is called one": {
        "judge": _around_zero
    },
    "whatever is not a difference is called 'about equal'; an interval that reaches beyond the margin knows too little for "
    "that, and its word is 'open'": {"judge": _never_open},
    "an interval that contains 0 is called 'about equal', however wide it is; all of it must lie within the margin": {
        "judge": _not_seen
    },
    "this only asks whether the interval contains 0; it must be compared with the margin": {"judge": _two_sided},
    "'about equal' is decided by the mean; the whole interval must lie within the margin": {"judge": _equal_by_mean},
    "'larger' and 'smaller' are the wrong way round": {"judge": _upside_down},
    "the interval is mean ± 1.96 standard errors; with few seeds the spread is uncertain, too, and Student's t takes more, "
    "by the number of seeds": {"t": 1.96},
    "the interval leaves out 5 % at each end, so it is one of 90 %; that of 95 % leaves out 2.5 % at each": {
        "level": 0.95
    },
    "the interval is mean ± one standard error, which holds the truth in about two of three studies; 95 % takes Student's t "
    "times as much": {"t": 1.0},
    "the interval is mean ± 2.78 standard errors, which is right for five seeds alone; t depends on their number": {
        "t": 2.776
    },
    "the squares are divided by n; the spread of a sample needs n − 1 (ddof=1)": {"ddof": 0},
    "the interval is that of one seed; the mean of n is surer, by √n": {"root": False},
}


@exercise(
    "decide",
    hints=(
        "Where are the two ends of the 95 % interval, and which marks on the axis must they be compared with?",
        "t_interval(differences) of minidl.lab.study.statistics gives mean, low and high. The marks are −margin "
        "and margin; 0 plays no part.",
        "larger: margin < low.  smaller: high < −margin.  about equal: −margin ≤ low and high ≤ margin.  Else open.",
    ),
)
def decide(answer):
    """A rule with four words: it can also say that two arms are about equal, and that it does not know."""
    generator = np.random.default_rng()
    cases = []
    for i, (low, high) in enumerate(ENDS):
        margin, n = float(generator.uniform(0.2, 0.6)), (9, 7, 5)[i % 3]
        cases.append((_with_interval(margin * low, margin * high, n, generator), margin))
    cases += [
        (_with_interval(low, high, 6, generator), 0.0) for low, high in ((0.05, 2), (-0.05, 2), (-2, 0.05), (-2, -0.1))
    ]
    got = [ask(answer, differences, margin) for differences, margin in cases]
    for word in got:
        if not isinstance(word, str) or word not in WORDS:
            said = repr(word) if isinstance(word, str) else f"a {type(word).__name__}"
            raise Wrong(f"Your function returns {said}; it should return one of {', '.join(map(repr, WORDS))}.")
    if got == [capstone.decide(*case) for case in cases]:
        return
    for misconception, parts in NEARLY.items() if len(set(got)) > 1 else ():
        if got == [_rule(**parts)(*case) for case in cases]:
            raise Wrong(f"In this rule {misconception}.")
    for word, (differences, margin) in zip(got, cases, strict=True):
        if word != capstone.decide(differences, margin):
            low, high = _ends(differences)
            raise Wrong(
                f"For the differences {np.round(differences, 3).tolist()} and the margin {margin:.2f} it says "
                f"{word!r}. Their interval is {low:.2f} to {high:.2f}, so it is {capstone.decide(differences, margin)!r}."
            )


def _with_interval(low, high, n, generator):
    """Return n differences whose 95 % interval is that."""
    from scipy.stats import t as student

    noise = generator.standard_normal(n)
    noise = (noise - noise.mean()) / noise.std(ddof=1)
    return (low + high) / 2 + noise * (high - low) / 2 / student.ppf(0.975, n - 1) * n**0.5


def _ends(differences):
    from minidl.lab.study.statistics import t_interval

    return t_interval(differences)[1:]


INNOCENT = {
    "seeds": "all seeds that were registered are in the records, there are five or more, and none of them chose a rate",
    "grids": "both arms could choose from as many rates",
    "edge": "each chosen rate lies between two others that were tried",
    "changed": "the registration is what was frozen",
    "zero": "it claims no difference whose interval contains 0",
    "rule": "its verdict is what the rule gives",
}
WHERE = {
    "seeds": "Compare the seeds of the registration with the records.",
    "grids": "Look at what each arm could choose from.",
    "edge": "Look at which of the rates were chosen.",
    "changed": "Read the line that begins with “now”.",
    "zero": "Compare the verdict with the ends of the interval.",
    "rule": "Not to see a difference is not to see that there is none: compare the interval with the margin.",
}


@exercise(
    "referee",
    hints=(
        "Of each study: what was promised, and in which line would one see that it was not kept?",
        "Go through the kinds in their order for each submission: seeds against seeds, number of rates against "
        "number of rates, chosen rate against the row of rates, “now” against “registered”, verdict against the "
        "interval and the margin.",
        "In one submission nothing is wrong. A result that says “open”, and a prediction that failed, are not faults.",
    ),
)
def referee(answer):
    """You find in a report what its author did not see, or hoped that you would not."""
    if not isinstance(answer, dict):
        raise Wrong(
            f"The answer is a {type(answer).__name__}; it should be a dict: number of a submission → kind of fault."
        )
    known = capstone.submissions()
    for number in answer:
        if number not in known:
            raise Wrong(f"There is no submission {number!r:.40}; they have the numbers 1 to {len(known)}.")
    for number, submission in known.items():
        told = answer.get(number, ...)
        if told is ... or told is None:
            raise Wrong(f"Submission {number} has no verdict yet; it should be one of {', '.join(map(repr, KINDS))}.")
        if not isinstance(told, str) or told not in KINDS:
            said = repr(told) if isinstance(told, str) else f"a {type(told).__name__}"
            raise Wrong(f"Submission {number}: there is no kind {said}; there are {', '.join(map(repr, KINDS))}.")
        faults = capstone.audit(*submission)
        kind = faults[0].kind if faults else "nothing"
        if told == kind:
            continue
        if told == "nothing":
            raise Wrong(f"Submission {number} has a fault that you let pass. {WHERE[kind]}")
        if {told, kind} == {"zero", "rule"}:
            now = "claims a difference" if kind == "zero" else "claims that there is none"
            raise Wrong(f"Submission {number}: the verdict is wrong, and not in this way. It {now}.")
        raise Wrong(f"Submission {number} is not guilty of {told!r}: {INNOCENT[told]}.")


@exercise(
    "registration",
    hints=(
        "Which two arms differ in exactly the thing that you ask about, and in nothing else?",
        "Begin with a copy of the worked example's dict. Change the question and the settings of the arms, then "
        "your function; think about margin and prediction last.",
        "Five seeds or more; other seeds to choose rates; as many rates for each arm; rates chosen by held-out images; the "
        "prediction one of the rule's four words.",
    ),
)
def registration(mine, run):
    """A question that a result can answer, and everything decided that could be decided later to please you."""
    faults = capstone.weak_points(mine)
    if faults:
        raise Wrong(faults[0].sentence)
    if not callable(run):
        raise Wrong(f"run is a {type(run).__name__}; it should be a function: run(config) returns a dict.")
    if getattr(getattr(run, "__code__", None), "co_names", ()) == ("NotImplementedError",):
        ask(run, {})  # the stub: not attempted
    try:
        inspect.signature(run).bind({})
    except TypeError:
        raise Wrong("Your run cannot be called with one argument, the dict of a run's settings.") from None
    except ValueError:
        pass  # of some built-in functions nobody knows the parameters


@exercise(
    "report",
    hints=(
        "What did you promise to report, before you knew it?",
        "my_study.rate(arm), my_study.interval() and my_study.word() have the numbers and the word. Round as "
        "you like, within a tenth of the half-width.",
        "The report is a dict with the entries of capstone.FIELDS. came_true compares the word with your "
        "prediction; not_shown is a list of sentences.",
    ),
)
def report(my_study, mine, report):
    """A study that was registered, run and reported, each as promised. Whether its prediction came true does not matter."""
    if not isinstance(my_study, capstone.Study):
        raise Wrong(f"The study is a {type(my_study).__name__}; it should be what capstone.conduct returns.")
    faults = capstone.audit(my_study, report, mine)
    if faults:
        more = f" (And {len(faults) - 1} more.)" if faults[1:] else ""
        raise Wrong(f"{faults[0].sentence}{more}")
