"""What the lessons import: checked exercises, the ledger's results, quick mode. The notebooks are in /lessons."""

from minidl.lab.course._check import check
from minidl.lab.course._predictions import predict, predictions, recall
from minidl.lab.course._setting import digits, ledger, pick, quick
from minidl.lab.course.widgets import explore

__all__ = ["check", "digits", "explore", "ledger", "pick", "predict", "predictions", "quick", "recall"]
