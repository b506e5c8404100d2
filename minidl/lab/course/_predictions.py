"""Predictions, kept in a file from before a result is seen until after."""

import json
import os
from typing import Any

from minidl.system.files import as_path, write_atomically
from minidl.system.terminal import say

__all__ = ["predict", "predictions", "recall"]


def _file():
    """Return the file in the folder that the notebook runs in, or another where notebooks are run for all readers."""
    return as_path("predict", os.environ.get("MINIDL_PREDICTIONS") or "predictions.json")


def predict(**answers: Any) -> dict[str, Any]:
    """Keep predictions in the file predictions.json here: `predict(speedup=3)`; returns all that are kept.

    The first answer to a question stays: a prediction changed after the result is no prediction. To start again, delete
    the file. An answer `...` is not kept.
    Errors  TypeError for answers that are not numbers, texts or lists of them
    """
    kept = predictions()
    new = {question: answer for question, answer in answers.items() if answer is not ... and question not in kept}
    try:
        text = json.dumps(kept | new, indent=2)
    except TypeError as error:
        raise TypeError(f"predict: {error}; a prediction must be a number, a text or a list of them") from None
    if new:
        write_atomically(_file(), text.encode())
    return kept | new


def predictions() -> dict[str, Any]:
    """Return all predictions kept here; an empty dict if there are none."""
    path = _file()
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def recall(question: str, found: Any) -> None:
    """Print a prediction and what was found."""
    kept = predictions()
    mine = f"you predicted {kept[question]}" if question in kept else "you kept no prediction"
    say(f"{question}: {mine}; found {found}")
