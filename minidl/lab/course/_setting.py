"""What the lessons share: quick mode, the digits, and the ledger's results."""

import os
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from minidl import data
from minidl.lab.registry import claims
from minidl.lab.study.claim import Claim, Result
from minidl.lab.study.page import load_results

__all__ = ["Entry", "digits", "ledger", "pick", "quick"]

T = TypeVar("T")
_QUICK_TRAIN, _QUICK_TEST = 6_000, 1_000


def quick() -> bool:
    """Return whether the environment variable MINIDL_QUICK asks for short runs, which only show that everything works."""
    return os.environ.get("MINIDL_QUICK", "0") not in ("", "0")


def pick(full: T, short: T) -> T:
    """Return the setting for a full lesson, or the one for quick mode."""
    return short if quick() else full


def digits() -> Any:
    """Load the digits of a lesson, as `data.mnist` gives them; quick mode takes a tenth of them, and downloads nothing."""
    if not quick():
        return data.mnist()
    if not os.environ.get("MINIDL_DATA"):
        return data.strokes(_QUICK_TRAIN, _QUICK_TEST)
    found = data.mnist()
    train, test = (
        type(part)(part.images[:n], part.labels[:n]) for part, n in zip(found, (_QUICK_TRAIN, _QUICK_TEST), strict=True)
    )
    return type(found)(train, test, found.source)


class Entry(NamedTuple):
    """What the ledger knows of a claim: its study, the facts about the run (dict: date, seeds, data …), all runs."""

    claim: Claim
    facts: dict[str, Any]
    result: Result


def ledger(name: str) -> Entry:
    """Load a claim's committed results, from the folder `results` here or in a folder above.

    name    a claim of `minidl reproduce --list`
    Errors  ValueError for an unknown claim; FileNotFoundError, with the command that makes them, if there are none
    """
    known = claims()
    if name not in known:
        raise ValueError(f"ledger: there is no claim {name!r}; there are {', '.join(known)}")
    here = Path.cwd()
    for folder in (here, *here.parents):
        for entry in load_results(folder / "results", [known[name]]):
            return Entry(*entry)
    raise FileNotFoundError(
        f"ledger: no results/{name}.json here or above; make it with: minidl reproduce --claim {name} --out results"
    )
