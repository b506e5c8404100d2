"""Checks of lesson 15 (clinic): eight diagnoses, each against the patient's chart; eight cures, each by running it again."""

from dataclasses import fields
from itertools import pairwise

import numpy as np

from minidl import nn
from minidl.lab.course import clinic
from minidl.lab.course._check import Wrong, ask, exercise
from minidl.lab.course.broken_runs import PATIENTS
from minidl.lab.course.clinic_run import PartError, Parts, is_norm
from minidl.system.terminal import say

__all__ = ["cures", "diagnoses"]

_NEAR = 2.0  # points of accuracy: as far from that of a run that is well as a cured one may be
_LEAST = 0.95  # of the training images, in each epoch
_PARTS = tuple(field.name for field in fields(Parts))


@exercise(
    "diagnoses",
    hints=(
        "What went wrong: the weights, the statistics, or the test images? Which column of the table answers that?",
        "Fresh statistics that bring the accuracy all the way back: the weights are right, so look at how the statistics "
        "moved. Own statistics alone: the test images are not like those trained on. Neither: look at the training, and at "
        "shipping.",
        "Fresh statistics bring three all the way back. In one of them the statistics end, in one they jump at the dotted "
        "line, in one they follow every batch. Own statistics alone bring two back, and one of those was well "
        "before it began. Of the other three, one is well until it is shipped, and one has a loss that falls to almost 0 "
        "again and again.",
    ),
)
def diagnoses(answer):
    """You can tell eight ways to break batch norm apart by what they leave in the plots."""
    claims = _claims(answer)
    charts = clinic.ward().charts
    wrong = []
    for letter, (illness, _) in claims.items():
        if illness != PATIENTS[letter][0]:
            against = clinic.contradiction(illness, charts[letter])
            wrong.append(f"{letter} is not {illness!r}: {against or 'compare it with the other patients once more'}.")
    if wrong:
        raise Wrong(" ".join(wrong))
    missing = [letter for letter in PATIENTS if letter not in claims]
    if missing:
        raise Wrong(f"What you have is right. There is no diagnosis for {', '.join(missing)} yet.")
    told = clinic.telling(charts)
    for letter, (illness, first) in claims.items():
        most = max(told[letter].values())
        best = [name for name, count in told[letter].items() if count == most]
        mine = told[letter][first]
        judged = "nothing tells more" if mine == most else f"{' or '.join(best)} would have told it from {most}"
        say(f"  {letter}, {illness}: {first} tells it from {mine} of the other 7; {judged}")


def _filled(what, answer, form):
    """Refuse what is no dict, and a dict with nothing in it."""
    if not isinstance(answer, dict) or not answer:
        is_now = "empty" if isinstance(answer, dict) else f"a {type(answer).__name__}"
        raise Wrong(f"{what} is {is_now}; it should be {form}.")


def _claims(answer):
    """Letter → (illness, number looked at first), as the answer has them."""
    form = '{"A": ("accumulation", "loss"), …}: for each patient the illness, and the number that you looked at first'
    _filled("The answer", answer, f"a dict, {form}")
    for letter, claim in answer.items():
        if not isinstance(letter, str) or letter not in PATIENTS:
            raise Wrong(f"There is no patient {letter!r:.40}; there are {', '.join(PATIENTS)}.")
        if not isinstance(claim, tuple | list) or len(claim) != 2 or not all(isinstance(part, str) for part in claim):
            raise Wrong(f"{letter} should have two texts: {form}.")
        for text, known, what in zip(claim, (clinic.ILLNESSES, clinic.NUMBERS), ("illness", "number"), strict=True):
            if text not in known:
                raise Wrong(f"{letter}: there is no {what} {text!r:.60}; there are {', '.join(map(repr, known))}.")
    return answer


@exercise(
    "cures",
    hints=(
        "Which line of the broken part would you change? What does the illness's name say of it?",
        "A: the mode in which held-out images are read. B: how many images the norm sees at once. C: what the training did "
        "to its images; `in_inputs`, in the module of `HandNorm`, does that. D and G: which images make a batch. F: the "
        "share of the *new* batch. H: the mode of what is frozen.",
        "E: s·x + t = s·(x + t/s). Add t/s before the convolution pads with zeros, fold s alone into its weights: no bias "
        "changes. That is a layer more, x + t/s, in the norm's place.",
    ),
)
def cures(answer):
    """Each patient runs again with your part in the place of the broken one, and reads as well as a healthy run."""
    _filled("The answer", answer, 'a dict of dicts: {"A": {"step": my_function}, …}')
    for letter, parts in answer.items():
        _well_formed(letter, parts)
    ward = clinic.ward()
    for letter, parts in answer.items():
        _judge(ward, letter, parts)
    missing = [letter for letter in PATIENTS if letter not in answer]
    if missing:
        raise Wrong(f"Those that you treated are cured. There is no cure for {', '.join(missing)} yet.")


def _well_formed(letter, parts):
    if not isinstance(letter, str) or letter not in PATIENTS:
        raise Wrong(f"There is no patient {letter!r:.40}; there are {', '.join(PATIENTS)}.")
    _filled(f"What you have for {letter}", parts, 'a dict, {"step": my_function}')
    for name, part in parts.items():
        if name not in _PARTS:
            raise Wrong(f"{letter}: a run has no part {name!r:.40}; its parts are {', '.join(_PARTS)}.")
        if not callable(part):
            raise Wrong(f"{letter}: {name} is a {type(part).__name__}; it should be a function.")


def _judge(ward, letter, parts):
    """Run a patient with the learner's parts; Wrong if it is not well after that."""

    def treated():
        try:
            return ward.treat(letter, parts)
        except PartError as error:
            raise Wrong(f"{error}.") from None

    try:
        found, aim = ask(treated), ward.aim(letter)
    except Wrong as wrong:
        raise Wrong(f"{letter}: {wrong}") from None
    illness = PATIENTS[letter][0]
    if found.seen < _LEAST * len(ward.data.labels):
        raise Wrong(
            f"{letter}: your epochs have {found.seen:,.0f} of {len(ward.data.labels):,} images; a cure trains on nearly all."
        )
    if not any(is_norm(layer) for layer in found.model.modules()):
        raise Wrong(f"{letter}: no layer keeps running statistics any more. To take BN away is no cure; mend the part.")
    if illness == "BN before padding":
        _folded(letter, found)
    reached = float(found.test[-1])
    if reached < aim - _NEAR:
        before = float(ward.charts[letter].test[-1])
        still = clinic.contradiction(illness, found)
        why = (
            f" Its chart no longer looks like {illness!r}: {still}." if still else f" It still looks like {illness!r}."
        )
        raise Wrong(
            f"{letter} reads {reached:.1f} %, before {before:.1f} %; without the illness it is {aim:.1f} %.{why}"
        )
    if "rehearse" in parts and not np.allclose(found.rehearsed, found.held, rtol=0, atol=0.5):
        raise Wrong(
            f"{letter}: rehearse returns {found.rehearsed[-1] / 100:.3f} at the end, and in evaluation mode the network "
            f"reads {found.held[-1] / 100:.3f} of the held-out images right: return that share, from 0 to 1."
        )


def _folded(letter, found):
    """Refuse what is shipped with a norm, or with its scale in a layer of its own."""
    if any(is_norm(m) or isinstance(m, nn.BatchNorm) for m in found.shipped.modules()):
        raise Wrong(f"{letter}: the device has no batch norm, and what you ship has one. It must be folded, rightly.")
    pairs = pairwise(found.model.modules())
    trained = [conv.weight.data for norm, conv in pairs if is_norm(norm) and isinstance(conv, nn.Conv2d)]
    shipped = [m.weight.data for m in found.shipped.modules() if isinstance(m, nn.Conv2d)]
    if any(np.array_equal(one, other) for one in trained for other in shipped):
        raise Wrong(
            f"{letter}: a convolution after a norm has the weights it was trained with, so what scaled its inputs is still "
            "a layer of its own: batch norm under another name. Fold s into the weights."
        )
