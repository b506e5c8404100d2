"""A picture of what led to a tensor: `tensor.graph()`. Text for a terminal, SVG for a notebook, both written here.

First the graph is copied down as a list of entries, parents before results; the text is that list. For the picture each
entry gets a row (how far it is from the result) and a place in it, so that few lines cross and most run straight.
"""

import weakref
from html import escape

import numpy as np

from minidl.autograd.engine import parents_first

__all__ = ["Graph"]

_MOST = 200  # nodes that a picture can hold and still be read
_SIGNS = {"add": "+", "sub": "-", "mul": "*", "truediv": "/", "pow": "**", "matmul": "@", "matmul_nd": "@"}


class Graph:
    """What led to a tensor, to look at: `print(graph)` anywhere, a picture in a notebook.

    Take it before `backward()`, which frees the operations it walks. A graph that was taken before keeps watching: show
    it again after `backward()` and it has the gradients, those of intermediate results too (it keeps one number of each).
    A single number is shown as it is, the gradient of an array by its norm. Of a large graph only the 200 nodes nearest
    to the result are shown.

    names    {name: tensor} for tensors to be shown with a name
    Raises ValueError if a named tensor is not in the graph.
    """

    def __init__(self, root, names=None):
        nodes = _nearest_first(root)
        _check_names(names or {}, nodes)
        shown = nodes[:_MOST]
        self.hidden = len(nodes) - len(shown)
        names = {id(tensor): name for name, tensor in (names or {}).items()}
        entries = {node: _Entry(node, names.get(id(node))) for node in shown}
        for entry in entries.values():
            entry.parents = [entries.get(parent) for parent in entry.node._parents]
        self.entries = parents_first(entries[root], _shown_parents)

    def __repr__(self):
        labels, lines = {None: "…"}, []
        for entry in self.entries:
            if entry.is_plain_number and entry is not self.entries[-1]:
                labels[entry] = _number(entry.node.data)  # stands in the line of its user
                continue
            labels[entry] = entry.name or f"#{len(lines) + 1}"
            lines.append((labels[entry], entry.made_by(labels), entry.holds, entry.gradient))
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        rows = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines]
        return "\n".join([row.rstrip() for row in rows] + self._remarks())

    def _repr_svg_(self):
        return _draw(self.entries, self._remarks())

    def _remarks(self):
        remarks = []
        if self.hidden:
            remarks.append(f"… {self.hidden:,} more nodes, further from the result, are not shown")
        if any(entry.freed for entry in self.entries):
            remarks.append("what led to a freed result is gone: backward() was here; take .graph() before it")
        return remarks


class _Entry:
    """One node of the graph as it was when the picture was taken."""

    def __init__(self, node, name):
        self.node, self.name, self.op = node, name, node.op
        self.parents = []  # entries, in the order of the operands; None for one that is not shown
        self.needs_grad = node.requires_grad
        self.kind = "operation" if self.op else "leaf" if self.needs_grad else "constant"
        self.freed = self.op is not None and not node._parents
        self.arrived = ""  # the gradient of an operation's result, which the node itself does not keep
        if self.op and not self.freed:
            this = weakref.ref(self)  # a strong one would close a cycle: entry, node, hook, entry
            node.register_hook(lambda grad: _note(this(), grad))

    @property
    def is_plain_number(self):
        return self.kind == "constant" and self.name is None and self.node.data.size == 1

    @property
    def holds(self):
        """The shape, and the value if it is one number."""
        data = self.node.data
        if data.size != 1:
            return str(data.shape)
        return f"{data.shape} {_number(data)}" if data.ndim else _number(data)

    @property
    def gradient(self):
        return self.arrived if self.node.grad is None else _gradient(self.node.grad)

    def made_by(self, labels):
        """How one would write it: `x @ w`, `mean(a)`."""
        if self.op is None:
            return self.kind
        if self.freed:
            return "freed"
        operands = [labels[parent] for parent in self.parents]
        if self.op in _SIGNS:
            return f"{operands[0]} {_SIGNS[self.op]} {operands[1]}"
        return f"{self.op}({', '.join(operands)})"


def _note(entry, grad):
    if entry is not None:
        entry.arrived = _gradient(grad)


def _gradient(grad):
    return f"grad {_number(grad)}" if grad.size == 1 else f"‖grad‖ {np.linalg.norm(grad):.4g}"


def _number(array):
    value = array.item()
    if isinstance(value, float) and not (value.is_integer() and abs(value) < 1e6):
        return f"{value:.4g}"
    return f"{value:.0f}" if isinstance(value, float) else str(value)


def _nearest_first(root):
    nodes, seen = [root], {root}
    for node in nodes:  # grows meanwhile
        for parent in node._parents:
            if parent not in seen:
                seen.add(parent)
                nodes.append(parent)
    return nodes


def _check_names(names, nodes):
    known = {id(node) for node in nodes}
    strangers = [name for name, tensor in names.items() if id(tensor) not in known]
    if strangers and not any(node.op and not node._parents for node in nodes):
        raise ValueError(f"graph: {', '.join(strangers)} had no part in this tensor; name only tensors that led to it")


def _shown_parents(entry):
    return [parent for parent in reversed(entry.parents) if parent is not None]


# ---- where everything goes ---------------------------------------------------------------------------------------------

_GAP, _BETWEEN_ROWS, _MARGIN, _TRUNK = 24, 46, 14, 14
_PULL = {"operation": 2, "trunk": 1, "leaf": 0.01, "constant": 0.01}  # operations line up, and leaves stand aside


class _Place:
    """A place in a row: an entry's card, or the trunk of lines that pass through on their way to later users."""

    def __init__(self, entry, row, kind):
        self.row, self.kind, self.pull = row, kind, _PULL[kind]
        self._entry = weakref.ref(entry)  # places and lines form cycles, which would keep the tensors for a while
        self.width, self.height = (_TRUNK, 0) if kind == "trunk" else _card_size(entry)
        self.above, self.below = [], []  # lines to the rows beside this one
        self.x = self.y = 0.0  # the centre

    entry = property(lambda self: self._entry())
    top = property(lambda self: self.y - self.height / 2)
    bottom = property(lambda self: self.y + self.height / 2)


class _Line:
    """A connection between places in neighbouring rows, from x = start to x = end."""

    def __init__(self, upper, lower):
        self.upper, self.lower = upper, lower
        self.start = self.end = 0.0
        upper.below.append(self)
        lower.above.append(self)


def _arrange(entries):
    """The rows of places, the result's row last, with all x and y set."""
    distance = dict.fromkeys(entries, 0)  # the longest way to the result, so that parents stand above all their users
    for entry in reversed(entries):
        for parent in filter(None, entry.parents):
            distance[parent] = max(distance[parent], distance[entry] + 1)
    last = max(distance.values())
    rows = [[] for _ in range(last + 1)]
    trunks = {entry: [_Place(entry, last - distance[entry], entry.kind)] for entry in entries}
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
        trunk.append(_Place(trunk[0].entry, trunk[-1].row + 1, "trunk"))
        rows[trunk[-1].row].append(trunk[-1])
        _Line(trunk[-2], trunk[-1])
    _Line(trunk[user.row - 1 - trunk[0].row], user)


def _sort_rows(rows, down):
    """Order each row by where its neighbours in the row above (or below) are."""
    for row in rows if down else reversed(rows):
        row.sort(key=lambda place: _wish(place, down))
        for position, place in enumerate(row):
            place.x = position - len(row) / 2


def _straighten(rows, down):
    for row in rows if down else reversed(rows):
        _set_apart(row, [_wish(place, down) for place in row])


def _wish(place, down):
    """Where a place would stand if it were alone in its row: in the middle of its neighbours above (or below)."""
    neighbours = [line.upper for line in place.above] if down else [line.lower for line in place.below]
    if not neighbours:
        return place.x
    return sum(n.x * n.pull for n in neighbours) / sum(n.pull for n in neighbours)


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
    top = _MARGIN
    for row in rows:
        height = max(place.height for place in row)
        for place in row:
            place.x, place.y = place.x - leftmost + _MARGIN, top + height / 2
            if place.kind == "trunk":
                place.height = height
        top += height + _BETWEEN_ROWS


def _attach(place):
    """Spread the ends of the lines over a card's upper and lower edge."""
    for line, x in zip(sorted(place.above, key=lambda line: line.upper.x), _ends(place, len(place.above)), strict=True):
        line.end = x
    for line, x in zip(sorted(place.below, key=lambda line: line.lower.x), _ends(place, len(place.below)), strict=True):
        line.start = x


def _ends(place, n):
    step = 0 if place.kind == "trunk" else min(36, place.width / (n + 1))
    return [place.x + (i - (n - 1) / 2) * step for i in range(n)]


# ---- drawing -----------------------------------------------------------------------------------------------------------

# Colours that stand on white and on black alike: cards bring their own light ground, all else is of middle tone.
_INK, _MUTED, _LINE, _GRADIENT = "#1f2937", "#6b7280", "#8b95a5", "#ea580c"
_GRADIENT_INK, _GRADIENT_GROUND = "#b43403", "#ffedd5"
_CARDS = {  # fill, border, radius of the corners
    "leaf": ("#dbeafe", "#2563eb", 4),
    "constant": ("#f1f3f5", "#9aa3af", 4),
    "operation": ("#ffffff", "#6b7280", 16),
}
_FONT = "ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace"
_LETTER = 0.61  # a letter's width, for a size of 1


def _card_lines(entry):
    """(text, size, weight, colour) from top to bottom, without the gradient."""
    title = _SIGNS.get(entry.op, entry.op) or entry.name
    if title is None:
        return [(entry.holds, 13, "normal", _INK)]
    if entry.op is None or entry.name is None:
        return [(title, 14, "bold", _INK), (entry.holds, 12, "normal", _MUTED)]
    return [(title, 14, "bold", _INK), (f"{entry.name}: {entry.holds}", 12, "normal", _INK)]


def _card_size(entry):
    lines = _card_lines(entry)
    if entry.gradient:
        lines.append((entry.gradient, 12, "normal", _GRADIENT_INK))
    width = max(len(text) * size * _LETTER for text, size, _, _ in lines)
    return max(80.0, width + 30, 18 * len(entry.parents)), 14.0 + 18 * len(lines) + 5 * bool(entry.gradient)


def _draw(entries, remarks):
    places = [place for row in _arrange(entries) for place in row]
    width = max(place.x + place.width / 2 for place in places) + _MARGIN
    height = max(place.bottom for place in places) + _MARGIN
    parts = [_lines_to(place, walked=bool(entries[-1].arrived)) for place in places]
    parts += [_card(place) for place in places if place.kind != "trunk"]
    for remark in remarks:
        parts.append(_text(_MARGIN, height + 4, remark, 12, "normal", _LINE, anchor="start"))
        width, height = max(width, len(remark) * 12 * _LETTER + 2 * _MARGIN), height + 20
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.0f} {height:.0f}" style="max-width: 100%; height: auto" role="img" '
        f'font-family="{_FONT}"><title>computation graph</title>{"".join(parts)}</svg>'
    )


def _lines_to(place, walked):
    """The lines from the row above to a place: data downwards and, where one has come, the gradient upwards."""
    parts = []
    for line in place.above:
        came_back = walked and line.upper.entry.gradient  # a leaf may also have one from elsewhere
        lane = 4 if came_back else 0
        parts.append(_curve(line, -lane, _LINE))
        if place.kind != "trunk":
            parts.append(_arrow(line.end - lane, place.top, 1, _LINE))
        if came_back:
            parts.append(_curve(line, lane, _GRADIENT))
        if came_back and line.upper.kind != "trunk":
            parts.append(_arrow(line.start + lane, line.upper.bottom, -1, _GRADIENT))
    if None in place.entry.parents and place.kind != "trunk":
        parts.append(_path(f"M{place.x:.1f} {place.top:.1f}v-24", _LINE, dashed=True))
    return "".join(parts)


def _curve(line, lane, colour):
    start, end, top, bottom = line.start + lane, line.end + lane, line.upper.bottom, line.lower.top
    flat = max(-1.0, min(1.0, (start - end) / 60))  # where lines run level, lanes lie above each other, not beside
    middle = (top + bottom) / 2 + lane * flat
    through = f"V{line.lower.bottom:.1f}" if line.lower.kind == "trunk" else ""
    d = f"M{start:.1f} {top:.1f}C{start:.1f} {middle:.1f} {end:.1f} {middle:.1f} {end:.1f} {bottom:.1f}{through}"
    return _path(d, colour)


def _path(d, colour, dashed=False):
    dashes = ' stroke-dasharray="3 4"' if dashed else ""
    return f'<path d="{d}" fill="none" stroke="{colour}" stroke-width="1.6"{dashes}/>'


def _arrow(x, y, direction, colour):
    return f'<path d="M{x:.1f} {y:.1f}l-4 {-8 * direction}h8z" fill="{colour}"/>'


def _card(place):
    entry, left = place.entry, place.x - place.width / 2
    fill, border, radius = _CARDS[place.kind]
    dashes = ' stroke-dasharray="4 3"' if place.kind == "constant" else ""
    parts = [_box(left, place.top, place.width, place.height, radius, fill, f'stroke="{border}"{dashes}')]
    for i, line in enumerate(_card_lines(entry)):
        parts.append(_text(place.x, place.top + 21 + 18 * i, *line))
    if entry.gradient:
        parts.append(_box(left + 6, place.bottom - 26, place.width - 12, 20, min(radius, 10), _GRADIENT_GROUND))
        parts.append(_text(place.x, place.bottom - 12, entry.gradient, 12, "normal", _GRADIENT_INK))
    return "".join(parts)


def _box(x, y, width, height, radius, fill, border=""):
    return (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" rx="{radius}" fill="{fill}" '
        f'stroke-width="1.5" {border}/>'
    )


def _text(x, y, text, size, weight, colour, anchor="middle"):
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" font-weight="{weight}" '
        f'fill="{colour}">{escape(text)}</text>'
    )
