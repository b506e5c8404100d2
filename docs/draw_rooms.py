"""Draw the layers of minidl, from the imports in its source: `python docs/draw_rooms.py` writes docs/rooms.svg.

A layer is a folder of `minidl/`, or a file beside the folders. An arrow leads from a layer to one that it imports from.
Arrows that follow from others are omitted: `nn` imports `functional`, which imports `ops`, so there is none from `nn` to
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
    "anatomy": ("a network's layers,", "listed and drawn"),
    "replay": ("a step's kernel calls,", "repeated"),
    "exchange": ("from and to PyTorch,", "safetensors, ONNX"),
    "checkpoint": ("saving a run,", "and resuming it"),
    "gradcheck": ("is a gradient right?", ""),
    "data": ("datasets, batches,", "augmentation"),
    "nn": ("modules, layers,", "folding, fusing"),
    "optim": ("SGD, schedules,", "averages of weights"),
    "functional": ("the operations under", "their public names"),
    "ops": ("every operation:", "forward and backward"),
    "tensor": ("the operators,", "each with its gradient"),
    "autograd": ("how backward()", "works"),
    "kernels": ("arrays in, arrays filled;", "all of Numba"),
    "system": ("files, terminal,", "machine"),
}
COLUMN = {"lab": 2.5, "anatomy": 6, "gradcheck": 0, "probe": 1, "replay": 2, "train": 3, "checkpoint": 5, "exchange": 5,
          "data": 4, "nn": 1.5, "optim": 2.7, "functional": 1.5, "ops": 1.5, "tensor": 1.5, "autograd": 0.9, "kernels": 2.2,
          "system": 4}  # fmt: skip
WIDE = {"lab": 6, "tensor": 2}  # columns, where it is not one
WIDTH, HEIGHT, ACROSS, DOWN, EDGE = 150, 62, 18, 46, 24


def imports(root=ROOT):
    """Return layer → the layers that it imports from. The package itself, which re-exports what is in it, is not one."""
    found = {}
    for path in sorted(root.rglob("*.py")):
        layer = path.relative_to(root).with_suffix("").parts[0]
        if layer not in LEFT_OUT:
            names = {name for name in _imported(path) if (root / name).is_dir() or (root / f"{name}.py").is_file()}
            found.setdefault(layer, set()).update(names - LEFT_OUT - {layer})
    return found


def _imported(path):
    """Yield the second parts of the names of the minidl modules that a file imports, wherever in the file."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        yield from (name.split(".")[1] for name in names if name.startswith("minidl."))


def arrows(graph):
    """List pairs (layer, layer below) that no longer path already implies."""
    below = {}

    def reach(layer):
        if layer not in below:
            below[layer] = set()  # also ends a circle
            below[layer] = set(graph[layer]).union(*(reach(other) for other in graph[layer]))
        return below[layer]

    return [
        (layer, other)
        for layer in graph
        for other in sorted(graph[layer])
        if not any(other in reach(between) for between in graph[layer] - {other})
    ]


def floors(graph):
    """List the layers from the top to the bottom, each as high as those that import it allow."""
    above = {layer: [other for other in graph if layer in graph[other]] for layer in graph}
    depth = {}

    def depth_of(layer):
        if layer not in depth:
            depth[layer] = 1 + max((depth_of(other) for other in above[layer]), default=-1)
        return depth[layer]

    for layer in graph:
        depth_of(layer)
    lowest = max(depth.values())
    for layer in graph:
        if not graph[layer]:
            depth[layer] = lowest  # the ground floor: what needs nothing else
    return [[layer for layer in graph if depth[layer] == d] for d in range(lowest + 1)]


def draw(graph):
    """Return the drawing as SVG."""
    missing = set(graph) - set(COLUMN)
    if missing:
        raise ValueError(f"{', '.join(missing)}: give the layer its two lines in WHAT and a place in COLUMN")
    rows, step = floors(graph), WIDTH + ACROSS
    width = 2 * EDGE + 7 * step - ACROSS
    height = 2 * EDGE + len(rows) * (HEIGHT + DOWN) - DOWN + 34
    boxes = {}
    for depth, row in enumerate(rows):
        for layer in row:
            wide = WIDE.get(layer, 1) * step - ACROSS
            middle = EDGE + WIDTH / 2 + COLUMN[layer] * step
            boxes[layer] = (middle - wide / 2, EDGE + depth * (HEIGHT + DOWN), wide)
    parts = [_arrow(boxes, *pair) for pair in arrows(graph)] + [_box(layer, *box) for layer, box in boxes.items()]
    return "\n".join((_head(width, height), *parts, _legend(height), "</svg>\n"))


def _head(width, height):
    return f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" \
font-family="system-ui, sans-serif" text-anchor="middle">
<title>The layers of minidl: an arrow leads from a layer to one that it imports from</title>
<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">\
<path d="M0 0L8 4L0 8z" fill="#57606a"/></marker></defs>
<rect width="{width}" height="{height}" rx="8" fill="#ffffff"/>"""


def _box(layer, left, top, wide):
    middle = left + wide / 2
    fill, line = ("#ddf0e4", "#1f7a4d") if layer in CORE else ("#eef1f5", "#8a94a0")
    texts = [t for t in WHAT[layer] if t]
    name = layer if (ROOT / layer).is_dir() else f"{layer}.py"
    name += "/" if name == layer else ""
    lines = [" ".join(texts)] if layer in WIDE else texts
    first = top + (22 if len(lines) == 2 else 28)
    said = "".join(
        f'<text x="{middle:g}" y="{first + 17 + 14 * i:g}" font-size="12" fill="#3d444d">{text}</text>'
        for i, text in enumerate(lines)
    )
    return (
        f'<rect x="{left:g}" y="{top:g}" width="{wide:g}" height="{HEIGHT}" rx="6" fill="{fill}" stroke="{line}"/>'
        f'<text x="{middle:g}" y="{first:g}" font-size="15" font-weight="600" fill="#1f2328">{name}</text>{said}'
    )


def _arrow(boxes, layer, other):
    """Draw an arrow from the bottom of a box to the top of another, each end leaning towards the other box."""
    (left, top, wide), (left_below, top_below, wide_below) = boxes[layer], boxes[other]
    middle, middle_below = left + wide / 2, left_below + wide_below / 2
    start = middle_below if layer == "lab" else middle + _lean(middle_below - middle, wide)
    end = middle_below + _lean(start - middle_below, wide_below)
    top += HEIGHT
    bend = min(60, (top_below - top) / 2)
    return (
        f'<path d="M{start:g} {top:g}C{start:g} {top + bend:g} {end:g} {top_below - bend:g} {end:g} {top_below - 1:g}" '
        'fill="none" stroke="#57606a" stroke-width="1.3" marker-end="url(#tip)"/>'
    )


def _lean(distance, wide):
    """Return how far from the middle of a box an arrow ends that comes from so far away."""
    return max(-0.45 * wide, min(0.45 * wide, distance * wide / WIDTH / 4))


def _legend(height):
    y = height - EDGE
    return (
        f'<rect x="{EDGE}" y="{y - 12}" width="16" height="16" rx="3" fill="#ddf0e4" stroke="#1f7a4d"/>'
        f'<text x="{EDGE + 24}" y="{y + 1}" font-size="13" fill="#3d444d" text-anchor="start">'
        "the core: what you read (with data/loader.py, without ops/fused.py)</text>"
    )


if __name__ == "__main__":
    Path(__file__).with_name("rooms.svg").write_text(draw(imports()), encoding="utf-8")
