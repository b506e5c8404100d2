"""What a registration must have, and how it is frozen: hashed, with its time, in a file beside the notebooks."""

import copy
import datetime
import hashlib
import json
import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from minidl.lab.course import _progress
from minidl.lab.course.capstone._code import code_of
from minidl.lab.course.capstone._rule import WORDS
from minidl.system.files import write_atomically

__all__ = [
    "FEWEST_RATES",
    "FEWEST_SEEDS",
    "Fault",
    "Frozen",
    "digest",
    "freeze",
    "frozen",
    "is_number",
    "is_text",
    "mark_ran",
    "weak_points",
]

FEWEST_SEEDS, FEWEST_RATES, MOST = 5, 3, 1000
FIELDS = {
    "question": "a text that ends in a question mark",
    "arms": "a dict of two arms: name → a dict of their settings",
    "difference": "a pair of arms (a, b): the study measures a − b",
    "measure": "the name of what the verdict is about, an entry of what a run returns",
    "tuned_by": "the name of what rates are chosen by, another entry",
    "rates": f"a dict: arm → the list of learning rates to try, {MOST:,} at most",
    "tuning_seeds": f"a list of seeds to choose rates with, {MOST:,} at most",
    "seeds": f"a list of seeds for the results, {MOST:,} at most",
    "margin": "a number: the smallest difference that anyone would care about; 0 if any counts",
    "prediction": f"one of {', '.join(map(repr, WORDS))}",
}
_FILE = "registrations.json"
_session: dict[str, dict[str, Any]] = {}  # where there are no notebooks to keep a file beside


class Fault(NamedTuple):
    """What is wrong with a registration or a report: its kind, and a sentence that says where and what to do."""

    kind: str
    sentence: str


class Frozen(NamedTuple):
    """A registration as it was frozen, with the digest of its code, the time (UTC), and a digest of all three."""

    name: str
    registration: dict[str, Any]
    code: str | None
    at: str
    digest: str
    ran: bool

    @property
    def intact(self) -> bool:
        """Return whether the digest still fits: nobody has edited the file by hand."""
        return self.digest == digest(self.registration, self.code, self.at)


def weak_points(registration: Any) -> list[Fault]:
    """List what is wrong with a registration, before anything has run; an empty list if it can be frozen.

    registration  a dict with the entries of `FIELDS`, and no others
    """
    if not isinstance(registration, Mapping):
        return [Fault("form", f"The registration is a {type(registration).__name__}; it should be a dict.")]
    missing = [f"{key!r} ({FIELDS[key]})" for key in FIELDS if key not in registration or registration[key] is ...]
    if missing:
        return [Fault("form", f"It lacks {missing[0]}{f', and {len(missing) - 1} more' if missing[1:] else ''}.")]
    unknown = [key for key in registration if key not in FIELDS]
    if unknown:
        return [Fault("form", f"There is no entry {_short(unknown[0])}; there are {', '.join(FIELDS)}.")]
    wrong = [key for key in FIELDS if not _FORMS[key](registration[key])]
    if wrong:
        said = f"{wrong[0]} is {_short(registration[wrong[0]])}; it should be {FIELDS[wrong[0]]}."
        return [Fault("form", said)]
    try:
        json.dumps(registration["arms"], allow_nan=False)
    except (TypeError, ValueError) as error:
        said = f"The settings of an arm cannot be kept ({error}): use texts, finite numbers, lists and dicts of these."
        return [Fault("form", said)]
    return _matches(registration) or _design(registration)


def _matches(registration):
    """Faults in how the entries fit together."""
    arms, pair, rates = registration["arms"], list(registration["difference"]), registration["rates"]
    if sorted(pair) != sorted(arms):
        return [Fault("form", f"The difference is of {pair[0]!r} and {pair[1]!r}; the arms are {', '.join(arms)}.")]
    if sorted(rates) != sorted(arms):
        return [Fault("form", f"There are rates for {', '.join(rates)}; the arms are {', '.join(arms)}.")]
    if arms[pair[0]] == arms[pair[1]]:
        return [Fault("form", "Both arms have the same settings, so there is nothing to compare.")]
    taken = {"arm", "stage", "lr", "seed"} & {key for settings in arms.values() for key in settings}
    if taken:
        return [Fault("form", f"A setting is called {min(taken)!r}, which the study sets itself; rename it.")]
    return []


def _design(registration):
    """Faults that make a result worthless however it comes out."""
    faults, seeds, tuning = [], registration["seeds"], registration["tuning_seeds"]
    if len(set(seeds)) < FEWEST_SEEDS:
        faults.append(Fault("seeds", f"There are {len(set(seeds))} different seeds for the results; with fewer than "
                                     f"{FEWEST_SEEDS} the 95 % interval is too wide to say anything."))  # fmt: skip
    elif len(set(seeds)) < len(seeds) or len(set(tuning)) < len(tuning):
        faults.append(Fault("seeds", "A seed is there twice; the same run again is no new evidence."))
    both = sorted(set(seeds) & set(tuning))
    if both:
        faults.append(Fault("seeds", f"Seed {both[0]} chooses rates and is in the results: the rate was chosen because it "
                                     "suits this seed. Use others for choosing."))  # fmt: skip
    faults += _grids(registration["rates"])
    if registration["tuned_by"] == registration["measure"]:
        faults.append(Fault("grids", f"Rates are chosen by {registration['measure']!r}, which is also the result: the best "
                                     "of several looks good by luck. Choose by images that were held out."))  # fmt: skip
    return faults


def _grids(rates):
    counts = {arm: len(set(grid)) for arm, grid in rates.items()}
    least, most = min(counts, key=counts.__getitem__), max(counts, key=counts.__getitem__)
    if counts[least] != counts[most]:
        said = f"The arm {most!r} may choose from {counts[most]} rates, and {least!r} from {counts[least]}"
        return [Fault("grids", f"{said}: the one with more tries is the better tuned. Give both as many.")]
    if counts[least] < FEWEST_RATES:
        said = f"Each arm has {counts[least]} different rates; with fewer than {FEWEST_RATES} the best is always at an edge."
        return [Fault("grids", said)]
    return []


# ---- forms ---------------------------------------------------------------------------------------------------------------


def is_text(value: Any) -> bool:
    """Return whether a value is a text with something in it."""
    return isinstance(value, str) and bool(value.strip())


def is_number(value: Any, low: float = -math.inf) -> bool:
    """Return whether a value is a finite int or float of at least `low`, and no bool."""
    try:
        return isinstance(value, int | float) and not isinstance(value, bool) and low <= float(value) < math.inf
    except OverflowError:  # an int that no float can hold
        return False


def _is_list(value, each, least=1):
    if not isinstance(value, list | tuple | range):
        return False
    head = value[: MOST + 1]  # a range may be endless
    return least <= len(head) <= MOST and all(each(item) for item in head)


def _is_seed(value):
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63


def _is_table(value, each):
    return isinstance(value, dict) and len(value) == 2 and all(is_text(k) and each(v) for k, v in value.items())


_FORMS: dict[str, Callable[[Any], bool]] = {
    "question": lambda v: is_text(v) and v.strip().endswith("?"),
    "arms": lambda v: _is_table(v, lambda settings: isinstance(settings, dict) and all(map(is_text, settings))),
    "difference": lambda v: _is_list(v, is_text) and len(v) == 2,
    "measure": is_text,
    "tuned_by": is_text,
    "rates": lambda v: _is_table(v, lambda grid: _is_list(grid, lambda lr: is_number(lr) and lr > 0)),
    "tuning_seeds": lambda v: _is_list(v, _is_seed),
    "seeds": lambda v: _is_list(v, _is_seed),
    "margin": lambda v: is_number(v, 0),
    "prediction": lambda v: isinstance(v, str) and v in WORDS,
}


def _short(value):
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"


# ---- freezing ------------------------------------------------------------------------------------------------------------


def freeze(name: str, registration: dict[str, Any], run: Callable[[dict], dict] | None = None) -> Frozen:
    """Freeze a registration under a name, with the code of its runs, in the file registrations.json beside the notebooks.

    Until the first run is finished it may be frozen anew. After that, what was frozen stays: the same again changes nothing,
    another one is refused. Where there are no notebooks, it is kept for this session.

    run     the function that will make the runs; its source, and that of functions and constants it uses, are frozen too
    Errors  ValueError for a registration with weak points; for one that differs from what has run; for a damaged file
    """
    if not is_text(name):
        raise ValueError(f"freeze: the name is {_short(name)}; it must be a text")
    faults = weak_points(registration)
    if faults:
        raise ValueError(f"freeze: {faults[0].sentence} The registration must be sound before it is frozen")
    plain = json.loads(json.dumps(_plain(registration), allow_nan=False))
    code, kept = None if run is None else code_of(run), _load()
    old = _frozen(name, kept)
    if old and (old.registration, old.code) == (plain, code):
        return old
    if old and old.ran:
        changed = [key for key in FIELDS if old.registration.get(key) != plain[key]] or ["the code of the run"]
        raise ValueError(
            f"freeze: {name!r} was frozen at {old.at} and has run; now {' and '.join(changed)} would change. What is known "
            "cannot be predicted: freeze this one under another name, and mention both in the report; it must "
            "not replace the first"
        )
    at = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
    _keep(Frozen(name, plain, code, at, digest(plain, code, at), False))
    return frozen(name)


def frozen(name: str) -> Frozen:
    """Return what was frozen under a name.

    Errors  ValueError for a name that nothing was frozen under, and for a damaged file
    """
    kept = _load()
    found = _frozen(name, kept)
    if found is None:
        raise ValueError(
            f"frozen: there is no registration {name!r}; there are {', '.join(kept) or 'none'}; freeze it before it runs"
        )
    return found


def mark_ran(name: str) -> None:
    """Note that the first run of a registration is finished: from now on it stays."""
    now = frozen(name)
    if not now.ran:
        _keep(now._replace(ran=True))


def _plain(registration):
    return {
        key: list(value) if isinstance(value, tuple | range) else copy.deepcopy(value)
        for key, value in registration.items()
    } | {"rates": {arm: list(grid) for arm, grid in registration["rates"].items()}}


def digest(registration: dict[str, Any], code: str | None, at: str) -> str:
    """Return hex digits that change with a registration, its code and its time."""
    text = json.dumps([registration, code, at], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _load():
    """Name → entry, of the file and of this session.

    Errors  ValueError for a file that is damaged: a registration cannot be made again
    """
    path, kept = _progress.beside(_FILE), {}
    if path.is_file():
        try:
            kept = json.loads(path.read_text(encoding="utf-8"))
            if not isinstance(kept, dict) or not all(isinstance(_frozen(name, kept), Frozen) for name in kept):
                raise ValueError("it does not hold registrations")
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise ValueError(
                f"frozen: {path.name} is damaged ({error}); mend it, or delete it to start again"
            ) from None
    return kept | _session


def _frozen(name, kept):
    if name not in kept:
        return None
    entry = kept[name]
    return Frozen(name, *(entry[field] for field in Frozen._fields[1:]))


def _keep(entry):
    data = {field: getattr(entry, field) for field in Frozen._fields[1:]}
    if not _progress.lessons_here():
        _session[entry.name] = data
        return
    text = json.dumps(_load() | {entry.name: data}, indent=2, ensure_ascii=False)
    write_atomically(_progress.beside(_FILE), text.encode())
