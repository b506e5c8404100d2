"""What the lessons stand on: exercises that are checked, the ledger's results, quick mode, and the notebooks themselves."""

from minidl.lab.course._check import check
from minidl.lab.course._predictions import predict, predictions, recall
from minidl.lab.course._setting import digits, ledger, pick, quick
from minidl.lab.course.widgets import explore

__all__ = ["check", "digits", "explore", "ledger", "pick", "predict", "predictions", "quick", "recall"]
