"""A drawing of a network: `model.graph(example)`. Text for a terminal, SVG for a notebook.

`flow.py` says what there is and who gets what from whom. Each call that has units in it becomes a box with a picture of its
own, laid out like that of a tensor's graph; values come in at ports on its upper edge and leave at ports on its lower one.
"""

from typing import Any

from minidl.anatomy.flow import Box, Flow, ways_up
from minidl.anatomy.rails import rails
from minidl.anatomy.trace import Trace
from minidl.autograd.layout import MARGIN, Entry, arrange
from minidl.autograd.picture import CARDS, INK, LETTER, LINE, MUTED, arrow, box, curve, svg, text

__all__ = ["Network"]

_LABEL, _TITLE = 11, 30  # the size of the letters of a shape; the height of a box's title


class Network:
    """A network as one batch flowed through it: `print(network)` anywhere, a picture in a notebook.

    Cards    one for each call of a module that calls no other, and for each operation between modules; with the names of
             modules as in `state_dict`, and of parameters that an operation takes
    Boxes    modules with others in them
    Lines    values, with their shapes; what is added to a later one runs beside what leads there
    Of a large network first what is in its modules is left out, and then all but the first 300 cards.
    """

    def __init__(self, trace: Trace):
        self._flow = Flow(trace)

    def __repr__(self) -> str:
        return "\n".join([*rails(self._flow), *self._remarks()])

    def _repr_svg_(self) -> str:
        root = _Level(self._flow)
        width, height, parts = root.width, root.height, list(root.parts(0, 0))
        for remark in self._remarks():
            parts.append(text(MARGIN, height + 4, remark, 12, "normal", LINE, anchor="start"))
            width, height = max(width, len(remark) * 12 * LETTER + 2 * MARGIN), height + 20
        return svg(width, height, "network", parts)

    def _remarks(self):
        return [f"… {self._flow.hidden:,} more modules and operations are not shown"] if self._flow.hidden else []


class _Card(Entry):
    """A unit."""

    def __init__(self, unit: Any):
        self.parents: list[Any] = []
        self.unit, self.kind = unit, "operation"
        self.shape = " ".join(map(str, dict.fromkeys(unit.shapes)))
        widths = [len(line) * size * LETTER for line, size, *_ in self.lines]
        widest = max(*widths, len(self.shape) * _LABEL * LETTER - 12, 0)
        self.size = max(64.0, widest + 26), 13.0 + 18 * len(self.lines)

    @property
    def lines(self):
        """(text, size, weight, colour) from top to bottom."""
        unit = self.unit
        name = _below(unit.above, unit.name) if unit.kind == "module" else unit.name
        small = [(line, 12, "normal", MUTED) for line in (name, unit.detail) if line]
        return [(unit.title, 14, "bold", INK), *small]

    def parts(self, place):
        """Draw the card, and the shape on the line that leaves it."""
        operation, left = self.unit.kind == "op", place.x - place.width / 2
        fill, border, radius = CARDS[
            {"module": "leaf", "op": "operation"}.get(self.unit.kind, "constant")
        ]  # as in the graph of a tensor: what has numbers of its own, what computes, what is given
        yield box(left, place.top, place.width, place.height, radius if operation else 5, fill, f'stroke="{border}"')
        for i, line in enumerate(self.lines):
            yield text(place.x, place.top + 20 + 18 * i, *line)
        if place.below and self.shape:
            wide = len(self.shape) * _LABEL * LETTER + 10
            yield box(place.x - wide / 2, place.bottom + 5, wide, 17, 8, "#f1f3f5", 'stroke="none"')
            yield text(place.x, place.bottom + 17, self.shape, _LABEL, "normal", MUTED)


class _Port(Entry):
    """Where a value comes into a box, or leaves it."""

    kind, size = "port", (14.0, 0.0)

    def __init__(self, parent=None):
        self.on_top = parent is None
        self.parents = [] if parent is None else [parent]

    def parts(self, place):
        """Draw the rest of the line to the edge of the box: nothing, as a port is on it."""
        return ()


class _Frame(Entry):
    """A box: a title, and a picture inside."""

    kind = "operation"

    def __init__(self, frame: Box):
        self.frame, self.parents = frame, []
        self.entries: list[Any] = []
        self.ports_in: dict[Any, _Port] = {}
        self.ports_out: dict[Any, _Port] = {}

    def out(self, value, maker):
        """Let a value, which an entry in here has made, out of the box; returns where it then comes from."""
        if value not in self.ports_out:
            self.ports_out[value] = _Port(maker)
        return self

    def measure(self):
        """Lay out what is inside, and find where lines come in and go out."""
        self.rows = arrange([*self.ports_in.values(), *self.entries, *self.ports_out.values()])
        places = [place for row in self.rows for place in row]
        self.at = {place.entry: place for place in places if place.kind != "trunk"}
        wide = max(len(line) for line in self.title) * 12 * LETTER + 20
        first = min((self.at[port].x for port in self.ports_in.values()), default=wide)
        left = max(0.0, wide - first)  # so that the title is beside the lines that come in
        up = MARGIN if self.ports_in else MARGIN - _TITLE
        for place in places:
            place.x, place.y = place.x + left, place.y - up
            place.row_top, place.row_bottom = place.row_top - up, place.row_bottom - up
            for line in place.above:
                line.start, line.end = line.start + left, line.end + left
        width = max(place.x + place.width / 2 for place in places) + MARGIN
        self.size = max(width, wide), max(place.bottom for place in places) + (0 if self.ports_out else MARGIN)
        self.enter = self._middle(self.ports_in.values())
        self.leave = self._middle(self.ports_out.values())

    @property
    def title(self):
        """Name and type."""
        return _below(self.frame.above, self.frame.name), self.frame.title

    def _middle(self, ports):
        xs = [self.at[port].x for port in ports]
        return sum(xs) / len(xs) - self.size[0] / 2 if xs else 0.0

    def parts(self, place):
        """Draw the box and what is in it."""
        left = place.x - place.width / 2
        look = f'stroke="{LINE}" stroke-dasharray="5 4" fill-opacity="0.08"'
        yield box(left, place.top, place.width, place.height, 8, LINE, look)
        for i, (line, weight) in enumerate(zip(self.title, ("bold", "normal"), strict=True)):
            yield text(left + 10, place.top + 17 + 15 * i, line, 12, weight, LINE, anchor="start")
        yield from _drawn(self.rows, left, place.top)


class _Level:
    """The whole picture: entries for what is in the network, and in each box, with what they get."""

    def __init__(self, flow: Flow):
        self._frames = {flow.root: _Frame(flow.root)}
        self._cards: dict[Any, _Card] = {}
        for thing in flow.order:
            entry: Any = _Frame(thing) if isinstance(thing, Box) else _Card(thing)
            (self._frames if isinstance(thing, Box) else self._cards)[thing] = entry
            self._frames[thing.above].entries.append(entry)
        for unit, card in self._cards.items():
            card.parents += [self._source(value, unit.above) for value in unit.operands]
        for frame in list(self._frames)[:0:-1]:  # from the inside to the outside, without the network's own
            self._frames[frame].measure()
        self._rows = arrange(self._frames[flow.root].entries)
        places = [place for row in self._rows for place in row]
        self.width = max(place.x + place.width / 2 for place in places) + MARGIN
        self.height = max(place.bottom for place in places) + MARGIN

    def parts(self, dx, dy):
        """Draw everything."""
        return _drawn(self._rows, dx, dy)

    def _source(self, value, frame):
        """The entry in a box's picture from which a value comes; ports are made on the way there."""
        around = ways_up(value.unit.above)
        if frame in around:  # made in here: by a unit, or in a box, out of whose port it comes
            entry: Any = self._cards[value.unit]
            for inner in around[: around.index(frame)]:
                entry = self._frames[inner].out(value, entry)
            return entry
        this = self._frames[frame]
        if value not in this.ports_in:
            this.ports_in[value] = _Port()
            this.parents.append(self._source(value, frame.above))
        return this.ports_in[value]


def _below(frame, name):
    """The name of what is in a box, as it is called there: the box around it says the rest."""
    return name.removeprefix(f"{frame.name}.") if frame is not None else name


def _drawn(rows, dx, dy):
    """Draw the lines and the entries of a picture, moved by dx and dy."""
    places = [place for row in rows for place in row]
    for place in places:
        if isinstance(place.entry, _Frame) and place.kind != "trunk":
            for line, port in zip(place.above, place.entry.ports_in.values(), strict=True):
                line.end = place.x - place.width / 2 + place.entry.at[port].x
    lines = [line for place in places for line in place.above]
    for place in places:
        place.x, place.y = place.x + dx, place.y + dy
        place.row_top, place.row_bottom = place.row_top + dy, place.row_bottom + dy
    for line in lines:
        line.start, line.end = line.start + dx, line.end + dx
    for line in lines:
        yield curve(line, 0, LINE)
        if line.lower.kind == "operation" and not isinstance(line.lower.entry, _Frame):
            yield arrow(line.end, line.lower.top, 1, LINE)
    for place in places:
        if place.kind != "trunk":
            yield from place.entry.parts(place)
