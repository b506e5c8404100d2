"""What a learner has done so far, kept in the file progress.json beside the notebooks."""

import contextlib
import json
import os
import re
from pathlib import Path
from typing import Any

from minidl.system.files import as_path, write_atomically
from minidl.system.terminal import say

__all__ = ["beside", "exercises_here", "lessons_here", "load", "note", "report"]

_LESSON = re.compile(r"\d\d[a-z]?_\w+\.ipynb")
_A_ROW = 6  # exercises in a line; a lesson has fewer, but where there are no notebooks they all come together
_session: dict[str, dict[str, Any]] = {}  # what could not be kept, or need not be, as there are no notebooks


def beside(name: str) -> Path:
    """Return a file's place: in the folder that the notebook runs in, or another where notebooks are run for all readers."""
    predictions = as_path("progress", os.environ.get("MINIDL_PREDICTIONS") or "predictions.json")
    return predictions if name == predictions.name else predictions.with_name(name)


def lessons_here() -> list[Path]:
    """List the notebooks of lessons in the folder of the progress file, in their order."""
    with contextlib.suppress(OSError):
        return sorted(path for path in beside("progress.json").parent.iterdir() if _LESSON.fullmatch(path.name))
    return []


def exercises_here() -> dict[str, list[str]]:
    """Return lesson → its exercises in their order, as the notebooks here tell; one that cannot be read has none."""
    found = {}
    for path in lessons_here():
        names: list[str] = []
        with contextlib.suppress(OSError, ValueError, TypeError, AttributeError, KeyError):
            for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
                tags = cell.get("metadata", {}).get("tags", [])
                names += [tag.removeprefix("exercise:") for tag in tags if tag.startswith("exercise:")]
        found[path.stem] = names
    return found


def load() -> dict[str, dict[str, Any]]:
    """Return what is kept: "exercises", name → "pass" or "fail"; "found", question → what was found.

    A file that is damaged, or has something else in it, counts as empty: losing marks must not keep anyone from working.
    """
    kept: dict[str, dict[str, Any]] = {"exercises": {}, "found": {}}
    with contextlib.suppress(OSError, ValueError, RecursionError):
        read = json.loads(beside("progress.json").read_text(encoding="utf-8"))
        for part in kept:
            if isinstance(read, dict) and isinstance(read.get(part), dict):
                kept[part] |= {key: value for key, value in read[part].items() if isinstance(value, str)}
    for part in kept:
        kept[part] |= _session.get(part, {})
    return kept


def note(part: str, key: str, value: str) -> None:
    """Keep that an exercise was passed or tried, or what was found; a pass stays. Where nothing can be written, for now."""
    if part == "exercises" and load()[part].get(key) == "pass":
        return
    _session.setdefault(part, {})[key] = value
    if not lessons_here():
        return
    with contextlib.suppress(OSError):
        write_atomically(beside("progress.json"), json.dumps(load(), indent=2, ensure_ascii=False).encode())


def report(known: list[str], predicted: dict[str, Any]) -> None:
    """Print the exercises of each lesson with their marks, the predictions, and what comes next."""
    kept, here = load(), exercises_here()
    lessons = here or {"exercises": known}
    marks = {"pass": "✔", "fail": "✘"}
    for lesson, names in lessons.items():
        done = [f"{marks.get(kept['exercises'].get(name, ''), '○')} {name}" for name in names]
        rows = ["   ".join(done[i : i + _A_ROW]) for i in range(0, len(done), _A_ROW)] or ["no exercises"]
        say("\n".join(f"{'' if i else lesson:16} {row}" for i, row in enumerate(rows)))
    everything = [(lesson, name) for lesson, names in lessons.items() for name in names]
    left = [(lesson, name) for lesson, name in everything if kept["exercises"].get(name) != "pass"]
    say(f"passed: {len(everything) - len(left)} of {len(everything)} exercises")
    for question, answer in predicted.items():
        found = kept["found"].get(question)
        say(f"prediction {question}: you said {answer}; " + ("open" if found is None else f"found {found}"))
    if not left:
        say("next: a question of your own")
        return
    lesson, name = left[0]
    say(f"next: {name}" + (f", in lesson {lesson}" if here else "") + f'. Stuck? hint("{name}")')
