"""A picture of what led to a tensor: `tensor.graph()`. Text for a terminal, SVG for a notebook, both written here.

First the graph is copied down as a list of entries, parents before results; the text is that list. `layout.py` finds a
place for each in the picture. What draws cards, lines and letters is used for pictures of networks too.
"""

import weakref
from html import escape

import numpy as np

from minidl.autograd.engine import parents_first
from minidl.autograd.layout import MARGIN, Entry, arrange

__all__ = ["CARDS", "INK", "LETTER", "LINE", "MUTED", "SIGNS", "Graph", "arrow", "box", "curve", "path", "svg", "text"]

_MOST = 200  # nodes that a picture can hold and still be read
SIGNS = {"add": "+", "sub": "-", "mul": "*", "truediv": "/", "pow": "**", "matmul": "@", "matmul_nd": "@"}


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


class _Entry(Entry):
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
    def size(self):
        """Width and height of the card."""
        lines = _card_lines(self)
        if self.gradient:
            lines.append((self.gradient, 12, "normal", _GRADIENT_INK))
        width = max(len(text) * size * LETTER for text, size, _, _ in lines)
        return max(80.0, width + 30, 18 * len(self.parents)), 14.0 + 18 * len(lines) + 5 * bool(self.gradient)

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
        if self.op in SIGNS:
            return f"{operands[0]} {SIGNS[self.op]} {operands[1]}"
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
    return reversed(entry.parents)  # some are None


# ---- drawing -----------------------------------------------------------------------------------------------------------

# Colours that stand on white and on black alike: cards bring their own light ground, all else is of middle tone.
INK, MUTED, LINE, _GRADIENT = "#1f2937", "#6b7280", "#8b95a5", "#ea580c"
_GRADIENT_INK, _GRADIENT_GROUND = "#b43403", "#ffedd5"
CARDS = {  # fill, border, radius of the corners
    "leaf": ("#dbeafe", "#2563eb", 4),
    "constant": ("#f1f3f5", "#9aa3af", 4),
    "operation": ("#ffffff", "#6b7280", 16),
}
_FONT = "ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace"
LETTER = 0.61  # a letter's width, for a size of 1


def _card_lines(entry):
    """(text, size, weight, colour) from top to bottom, without the gradient."""
    title = SIGNS.get(entry.op, entry.op) or entry.name
    if title is None:
        return [(entry.holds, 13, "normal", INK)]
    if entry.op is None or entry.name is None:
        return [(title, 14, "bold", INK), (entry.holds, 12, "normal", MUTED)]
    return [(title, 14, "bold", INK), (f"{entry.name}: {entry.holds}", 12, "normal", INK)]


def _draw(entries, remarks):
    places = [place for row in arrange(entries) for place in row]
    width = max(place.x + place.width / 2 for place in places) + MARGIN
    height = max(place.bottom for place in places) + MARGIN
    parts = [_lines_to(place, walked=bool(entries[-1].arrived)) for place in places]
    parts += [_card(place) for place in places if place.kind != "trunk"]
    for remark in remarks:
        parts.append(text(MARGIN, height + 4, remark, 12, "normal", LINE, anchor="start"))
        width, height = max(width, len(remark) * 12 * LETTER + 2 * MARGIN), height + 20
    return svg(width, height, "computation graph", parts)


def svg(width, height, title, parts):
    """Return a picture of the parts that the functions below make."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.0f} {height:.0f}" style="max-width: 100%; height: auto" role="img" '
        f'font-family="{_FONT}"><title>{escape(title)}</title>{"".join(parts)}</svg>'
    )


def _lines_to(place, walked):
    """The lines from the row above to a place: data downwards and, where one has come, the gradient upwards."""
    parts = []
    for line in place.above:
        came_back = walked and line.upper.entry.gradient  # a leaf may also have one from elsewhere
        lane = 4 if came_back else 0
        parts.append(curve(line, -lane, LINE))
        if place.kind != "trunk":
            parts.append(arrow(line.end - lane, place.top, 1, LINE))
        if came_back:
            parts.append(curve(line, lane, _GRADIENT))
        if came_back and line.upper.kind != "trunk":
            parts.append(arrow(line.start + lane, line.upper.bottom, -1, _GRADIENT))
    if None in place.entry.parents and place.kind != "trunk":
        parts.append(path(f"M{place.x:.1f} {place.top:.1f}v-24", LINE, dashed=True))
    return "".join(parts)


def curve(line, lane, colour):
    """Return a line of `layout.py`, moved to the right by `lane`."""
    start, end, top, bottom = line.start + lane, line.end + lane, line.upper.row_bottom, line.lower.row_top
    flat = max(-1.0, min(1.0, (start - end) / 60))  # where lines run level, lanes lie above each other, not beside
    middle = (top + bottom) / 2 + lane * flat
    through = line.lower.bottom if line.lower.kind == "trunk" else line.lower.top
    return path(
        f"M{start:.1f} {line.upper.bottom:.1f}V{top:.1f}C{start:.1f} {middle:.1f} {end:.1f} {middle:.1f} {end:.1f} "
        f"{bottom:.1f}V{through:.1f}",
        colour,
    )


def path(d, colour, dashed=False):
    """Return a stroke along d."""
    dashes = ' stroke-dasharray="3 4"' if dashed else ""
    return f'<path d="{d}" fill="none" stroke="{colour}" stroke-width="1.6"{dashes}/>'


def arrow(x, y, direction, colour):
    """Return an arrow's head with its tip at (x, y), which points down (1) or up (−1)."""
    return f'<path d="M{x:.1f} {y:.1f}l-4 {-8 * direction}h8z" fill="{colour}"/>'


def _card(place):
    entry, left = place.entry, place.x - place.width / 2
    fill, border, radius = CARDS[place.kind]
    dashes = ' stroke-dasharray="4 3"' if place.kind == "constant" else ""
    parts = [box(left, place.top, place.width, place.height, radius, fill, f'stroke="{border}"{dashes}')]
    for i, line in enumerate(_card_lines(entry)):
        parts.append(text(place.x, place.top + 21 + 18 * i, *line))
    if entry.gradient:
        parts.append(box(left + 6, place.bottom - 26, place.width - 12, 20, min(radius, 10), _GRADIENT_GROUND))
        parts.append(text(place.x, place.bottom - 12, entry.gradient, 12, "normal", _GRADIENT_INK))
    return "".join(parts)


def box(x, y, width, height, radius, fill, border=""):
    """Return a rectangle with round corners; (x, y) is its upper left."""
    return (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" rx="{radius}" fill="{fill}" '
        f'stroke-width="1.5" {border}/>'
    )


def text(x, y, text, size, weight, colour, anchor="middle"):
    """Return a line of letters, safe from what they may mean in XML."""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" font-weight="{weight}" '
        f'fill="{colour}">{escape(text)}</text>'
    )
