"""A study of the learner's own: registered and frozen, then run, then a report that is checked against both.

In the order in which they are read: `_rule.py` turns differences into a word, `_registration.py` says what a registration
must have and freezes it, `_study.py` makes the runs with the machinery of the ledger, `_report.py` checks a report, and
`_submissions.py` has reports of others to find the faults in.
"""

from minidl.lab.course.capstone._registration import Fault, Frozen, freeze, frozen, weak_points
from minidl.lab.course.capstone._report import FIELDS, audit, show
from minidl.lab.course.capstone._rule import WORDS, decide
from minidl.lab.course.capstone._study import Study, conduct
from minidl.lab.course.capstone._submissions import KINDS, Submission, submissions

__all__ = [
    "FIELDS", "KINDS", "WORDS", "Fault", "Frozen", "Study", "Submission", "audit", "conduct", "decide", "freeze", "frozen",
    "show", "submissions", "weak_points",
]  # fmt: skip
