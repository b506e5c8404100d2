"""Predictions, kept in a file from before a result is seen until after."""

import json
from typing import Any

from minidl.lab.course import _progress
from minidl.system.files import write_atomically
from minidl.system.terminal import say

__all__ = ["predict", "predictions", "recall"]

_FILE = "predictions.json"


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
        write_atomically(_progress.beside(_FILE), text.encode())
    return kept | new


def predictions() -> dict[str, Any]:
    """Return all predictions kept here; an empty dict if there are none.

    Errors  ValueError for a file that is damaged: yours to mend or to delete, as predictions cannot be made again
    """
    path = _progress.beside(_FILE)
    if not path.is_file():
        return {}
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(
            f"predictions: {path.name} is damaged ({error}); mend it, or delete it to start again"
        ) from None
    if not isinstance(kept, dict):
        raise ValueError(
            f"predictions: {path.name} holds a {type(kept).__name__}, not questions with answers; delete it"
        )
    return kept


def recall(question: str, found: Any) -> None:
    """Print a prediction and what was found."""
    kept = predictions()
    mine = f"you predicted {kept[question]}" if question in kept else "you kept no prediction"
    say(f"{question}: {mine}; found {found}")
    _progress.note("found", question, str(found))
