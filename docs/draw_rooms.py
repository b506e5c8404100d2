"""Draw the rooms of minidl, from the imports in its source: `python docs/draw_rooms.py` writes docs/rooms.svg.

A room is a folder of `minidl/`, or a file beside the folders. An arrow leads from a room to one that it imports from. It is
left out where other arrows lead there already: `nn` imports `functional`, which imports `ops`, so there is none from `nn` to
`ops`. Small files with a few functions are left out. A test compares the drawing with the imports.
"""

import ast
from pathlib import Path

__all__ = ["arrows", "draw", "floors", "imports"]

ROOT = Path(__file__).parent.parent / "minidl"
LEFT_OUT = {"__init__", "__main__", "_version", "_arrays", "_numbers", "_python", "random"}
CORE = {"autograd", "tensor", "ops", "functional", "nn", "optim", "train"}  # and data/loader.py
WHAT = {  # in two short lines
    "lab": ("what is built with minidl:", "paper, study, course, bench, plot, commands, models"),
    "train": ("the loop as functions,", "evaluation"),
    "probe": ("what happens inside", "a network"),
    "replay": ("a step's kernel calls,", "repeated"),
    "checkpoint": ("saving a run,", "and going on"),
    "gradcheck": ("is a gradient right?", ""),
    "data": ("datasets, batches", ""),
    "nn": ("modules, layers,", "folding, fusing"),
    "optim": ("SGD, schedules", ""),
    "functional": ("the operations under", "their public names"),
    "ops": ("every operation:", "forward and backward"),
    "tensor": ("the operators,", "each with its gradient"),
    "autograd": ("how backward()", "works"),
    "kernels": ("arrays in, arrays filled;", "all of Numba"),
    "system": ("files, terminal,", "machine"),
}
COLUMN = {"lab": 2.5, "gradcheck": 0, "probe": 1, "replay": 2, "train": 3, "checkpoint": 4, "data": 5, "nn": 1.5,
          "optim": 2.7, "functional": 1.5, "ops": 1.5, "tensor": 1.5, "autograd": 0.9, "kernels": 2.2,
          "system": 4}  # fmt: skip
WIDE = {"lab": 6, "tensor": 2}  # columns, where it is not one
WIDTH, HEIGHT, ACROSS, DOWN, EDGE = 150, 62, 18, 46, 24


def imports(root=ROOT):
    """Room → the rooms that it imports from. The package itself, which hands on what is in it, is no room."""
    found = {}
    for path in sorted(root.rglob("*.py")):
        room = path.relative_to(root).with_suffix("").parts[0]
        if room not in LEFT_OUT:
            names = {name for name in _imported(path) if (root / name).is_dir() or (root / f"{name}.py").is_file()}
            found.setdefault(room, set()).update(names - LEFT_OUT - {room})
    return found


def _imported(path):
    """The second parts of the names of minidl's modules that a file imports, wherever in the file."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        yield from (name.split(".")[1] for name in names if name.startswith("minidl."))


def arrows(graph):
    """Pairs (room, room below) that no longer way says already."""
    below = {}

    def reach(room):
        if room not in below:
            below[room] = set()  # also ends a circle
            below[room] = set(graph[room]).union(*(reach(other) for other in graph[room]))
        return below[room]

    return [
        (room, other)
        for room in graph
        for other in sorted(graph[room])
        if not any(other in reach(between) for between in graph[room] - {other})
    ]


def floors(graph):
    """Lists of rooms from the top to the bottom, each room as high as the rooms that import it allow."""
    above = {room: [other for other in graph if room in graph[other]] for room in graph}
    depth = {}

    def depth_of(room):
        if room not in depth:
            depth[room] = 1 + max((depth_of(other) for other in above[room]), default=-1)
        return depth[room]

    for room in graph:
        depth_of(room)
    lowest = max(depth.values())
    for room in graph:
        if not graph[room]:
            depth[room] = lowest  # the ground floor: what needs nothing else
    return [[room for room in graph if depth[room] == d] for d in range(lowest + 1)]


def draw(graph):
    """The drawing as SVG."""
    missing = set(graph) - set(COLUMN)
    if missing:
        raise ValueError(f"{', '.join(missing)}: give the room its two lines in WHAT and a place in COLUMN")
    rows, step = floors(graph), WIDTH + ACROSS
    width = 2 * EDGE + 6 * step - ACROSS
    height = 2 * EDGE + len(rows) * (HEIGHT + DOWN) - DOWN + 34
    boxes = {}
    for depth, row in enumerate(rows):
        for room in row:
            wide = WIDE.get(room, 1) * step - ACROSS
            middle = EDGE + WIDTH / 2 + COLUMN[room] * step
            boxes[room] = (middle - wide / 2, EDGE + depth * (HEIGHT + DOWN), wide)
    parts = [_arrow(boxes, *pair) for pair in arrows(graph)] + [_box(room, *box) for room, box in boxes.items()]
    return "\n".join((_head(width, height), *parts, _legend(height), "</svg>\n"))


def _head(width, height):
    return f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" \
font-family="system-ui, sans-serif" text-anchor="middle">
<title>The rooms of minidl: an arrow leads from a room to one that it imports from</title>
<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">\
<path d="M0 0L8 4L0 8z" fill="#57606a"/></marker></defs>
<rect width="{width}" height="{height}" rx="8" fill="#ffffff"/>"""


def _box(room, left, top, wide):
    middle = left + wide / 2
    fill, line = ("#ddf0e4", "#1f7a4d") if room in CORE else ("#eef1f5", "#8a94a0")
    texts = [t for t in WHAT[room] if t]
    name = room if (ROOT / room).is_dir() else f"{room}.py"
    name += "/" if name == room else ""
    lines = [" ".join(texts)] if room in WIDE else texts
    first = top + (22 if len(lines) == 2 else 28)
    said = "".join(
        f'<text x="{middle:g}" y="{first + 17 + 14 * i:g}" font-size="12" fill="#3d444d">{text}</text>'
        for i, text in enumerate(lines)
    )
    return (
        f'<rect x="{left:g}" y="{top:g}" width="{wide:g}" height="{HEIGHT}" rx="6" fill="{fill}" stroke="{line}"/>'
        f'<text x="{middle:g}" y="{first:g}" font-size="15" font-weight="600" fill="#1f2328">{name}</text>{said}'
    )


def _arrow(boxes, room, other):
    """From the bottom of a box to the top of another, beginning and ending towards where it goes."""
    (left, top, wide), (left_below, top_below, wide_below) = boxes[room], boxes[other]
    middle, middle_below = left + wide / 2, left_below + wide_below / 2
    start = middle_below if room == "lab" else middle + _lean(middle_below - middle, wide)
    end = middle_below + _lean(start - middle_below, wide_below)
    top += HEIGHT
    bend = min(60, (top_below - top) / 2)
    return (
        f'<path d="M{start:g} {top:g}C{start:g} {top + bend:g} {end:g} {top_below - bend:g} {end:g} {top_below - 1:g}" '
        'fill="none" stroke="#57606a" stroke-width="1.3" marker-end="url(#tip)"/>'
    )


def _lean(distance, wide):
    """How far from a box's middle an arrow ends that comes from there."""
    return max(-0.45 * wide, min(0.45 * wide, distance * wide / WIDTH / 4))


def _legend(height):
    y = height - EDGE
    return (
        f'<rect x="{EDGE}" y="{y - 12}" width="16" height="16" rx="3" fill="#ddf0e4" stroke="#1f7a4d"/>'
        f'<text x="{EDGE + 24}" y="{y + 1}" font-size="13" fill="#3d444d" text-anchor="start">'
        "the core, which one must read (with data/loader.py, without ops/fused.py)</text>"
    )


if __name__ == "__main__":
    Path(__file__).with_name("rooms.svg").write_text(draw(imports()), encoding="utf-8")
