"""What the lessons import: checked exercises, the ledger's results, pages that move. The notebooks are in /lessons."""

from minidl.lab.course._check import check, hint, progress
from minidl.lab.course._predictions import predict, predictions, recall
from minidl.lab.course._setting import digits, ledger, pick, quick
from minidl.lab.course.show import show
from minidl.lab.course.widgets import explore

__all__ = [
    "check", "digits", "explore", "hint", "ledger", "pick", "predict", "predictions", "progress", "quick", "recall", "show",
]  # fmt: skip
