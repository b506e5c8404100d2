"""Where everything goes in a picture of a graph (`picture.py`) or a network (`anatomy/`), so that few lines cross."""

import weakref
from typing import Any

__all__ = ["MARGIN", "Entry", "arrange"]

MARGIN = 14
_GAP, _BETWEEN_ROWS, _TRUNK = 24, 46, 14
_PULL = {
    "operation": 2,
    "trunk": 1,
    "leaf": 0.01,
    "constant": 0.01,
    "port": 2,
}  # operations line up, and leaves stand aside


class Entry:
    """What is to be placed: entries in `parents` stand above it, None is one that is not shown.

    kind            "operation", "leaf", "constant", or "port": where lines come into a box, or leave it
    size            width and height
    enter, leave    where lines come in and go out, if not in the middle: to the right of it
    """

    parents: list[Any]
    kind: str
    size: tuple[float, float]
    enter = leave = 0.0
    on_top = False  # whether it stands in the first row


class Place:
    """A place in a row: an entry's card, or the trunk of lines that pass through on their way to later users."""

    enter = leave = 0.0

    def __init__(self, entry, row, kind):
        self.row, self.kind, self.pull = row, kind, _PULL[kind]
        self._entry = weakref.ref(entry)  # places and lines form cycles, which would keep the tensors for a while
        self.width, self.height = (_TRUNK, 0) if kind == "trunk" else entry.size
        if kind != "trunk":
            self.enter, self.leave = entry.enter, entry.leave
        self.above, self.below = [], []  # lines to the rows beside this one
        self.x = self.y = 0.0  # the centre
        self.row_top = self.row_bottom = 0.0

    entry = property(lambda self: self._entry())
    top = property(lambda self: self.y - self.height / 2)
    bottom = property(lambda self: self.y + self.height / 2)


class Line:
    """A connection between places in neighbouring rows, from x = start to x = end."""

    def __init__(self, upper, lower):
        self.upper, self.lower = upper, lower
        self.start = self.end = 0.0
        upper.below.append(self)
        lower.above.append(self)


def arrange(entries):
    """Return the rows of places for entries, parents first: the results' row last, with all x and y set."""
    distance = dict.fromkeys(entries, 0)  # the longest way to the result, so that parents stand above all their users
    for entry in reversed(entries):
        for parent in filter(None, entry.parents):
            distance[parent] = max(distance[parent], distance[entry] + 1)
    last = max(distance.values())
    distance.update((entry, last) for entry in entries if entry.on_top)
    rows = [[] for _ in range(last + 1)]
    trunks = {entry: [Place(entry, last - distance[entry], entry.kind)] for entry in entries}
    for entry in entries:
        rows[last - distance[entry]].append(trunks[entry][0])
    for entry in entries:
        for parent in filter(None, entry.parents):
            _connect(trunks[parent], trunks[entry][0], rows)
    for sweep in range(8):
        _sort_rows(rows, down=sweep % 2 == 0)
    for sweep in range(24):
        _straighten(rows, down=sweep % 2 == 0)
    _stack(rows)
    for place in (place for row in rows for place in row):
        _attach(place)
    return rows


def _connect(trunk, user, rows):
    """A line from an entry to a user. All its users in later rows share one trunk."""
    while trunk[-1].row < user.row - 1:
        trunk.append(Place(trunk[0].entry, trunk[-1].row + 1, "trunk"))
        rows[trunk[-1].row].append(trunk[-1])
        Line(trunk[-2], trunk[-1])
    Line(trunk[user.row - 1 - trunk[0].row], user)


def _sort_rows(rows, down):
    """Order each row by where its neighbours in the row above (or below) are."""
    for row in rows if down else reversed(rows):
        row.sort(key=lambda place: _wish(place, down))
        for position, place in enumerate(row):
            place.x = position - len(row) / 2


def _straighten(rows, down):
    for row in rows if down else reversed(rows):
        _set_apart(row, [_wish(place, down, straight=1) for place in row])


def _wish(place, down, straight=0):
    """Where a place would stand if it were alone in its row: in the middle of its neighbours above (or below).

    straight    1: so that the lines run straight, where they do not come in at the middle
    """
    neighbours = [line.upper for line in place.above] if down else [line.lower for line in place.below]
    if not neighbours:
        return place.x
    at = sum((n.x + straight * (n.leave if down else n.enter)) * n.pull for n in neighbours)
    return at / sum(n.pull for n in neighbours) - straight * (place.enter if down else place.leave)


def _set_apart(row, wishes):
    """Put each place as near to its wish as the order and the widths allow (least squares: pool what collides)."""
    lefts, groups, left = [], [], 0.0
    for place, wish in zip(row, wishes, strict=True):
        lefts.append(left + place.width / 2)
        left += place.width + _GAP
        groups.append((wish - lefts[-1], place.pull, 1))
        while len(groups) > 1 and groups[-2][0] > groups[-1][0]:
            (b, pull_b, n_b), (a, pull_a, n_a) = groups.pop(), groups.pop()
            groups.append(((a * pull_a + b * pull_b) / (pull_a + pull_b), pull_a + pull_b, n_a + n_b))
    shifts = [shift for shift, _, n in groups for _ in range(n)]
    for place, left, shift in zip(row, lefts, shifts, strict=True):
        place.x = left + shift


def _stack(rows):
    """Turn positions into a picture's: everything right of and below the margin."""
    leftmost = min(place.x - place.width / 2 for row in rows for place in row)
    top = MARGIN
    for row in rows:
        height = max(place.height for place in row)
        for place in row:
            place.x, place.y = place.x - leftmost + MARGIN, top + height / 2
            place.row_top, place.row_bottom = top, top + height
            if place.kind in ("trunk", "port"):
                place.height = height
        top += height + _BETWEEN_ROWS


def _attach(place):
    """Spread the ends of the lines over a card's upper and lower edge."""
    above, below = (
        sorted(place.above, key=lambda line: line.upper.x),
        sorted(place.below, key=lambda line: line.lower.x),
    )
    for line, x in zip(above, _ends(place, len(above)), strict=True):
        line.end = x + place.enter
    for line, x in zip(below, _ends(place, len(below)), strict=True):
        line.start = x + place.leave


def _ends(place, n):
    step = 0 if place.kind == "trunk" else min(36, place.width / (n + 1))
    return [place.x + (i - (n - 1) / 2) * step for i in range(n)]
