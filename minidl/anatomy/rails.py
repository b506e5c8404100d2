"""A network as text: one line for each unit, and beside it rails on which values run, branch and join."""

from minidl.anatomy.flow import Box, Flow, Unit

__all__ = ["rails"]

# What a rail looks like, by where it leads: up, down, left, right.
_SIGNS = {"ud": "│", "ur": "╰", "ul": "╯", "dr": "╭", "dl": "╮", "udr": "├", "udl": "┤", "lr": "─", "udlr": "┼", "ulr": "┴",
          "dlr": "┬", "u": "│", "d": "│", "r": "─", "l": "─"}  # fmt: skip


def rails(flow: Flow) -> list[str]:
    """Return the lines of text of a network's flow."""
    waiting: dict = {}  # unit → how many others will take something from it
    for unit in flow.order:
        for giver in _givers(unit) if isinstance(unit, Unit) else ():
            waiting[giver] = waiting.get(giver, 0) + 1
    lines = []  # (rails, name, type, shape)
    lanes: list = []  # on each rail the unit whose values run there, or None
    for thing in flow.order:
        indent = "  " * thing.above.depth
        if isinstance(thing, Box):
            lines.append((_running(lanes), f"{indent}{thing.name}", thing.title, ""))
            continue
        at, joint = _place(lanes, thing, waiting)
        if joint:
            lines.append((joint, "", "", ""))
        shapes = " ".join(map(str, dict.fromkeys(thing.shapes)))
        lines.append((_running(lanes, at), f"{indent}{thing.name}", thing.title, shapes))
        if not waiting.get(thing):
            lanes[at] = None
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    filled = [(i, width) for i, width in enumerate(widths) if width]
    return ["  ".join(f"{line[i]:{width}}" for i, width in filled).rstrip() for line in lines]


def _givers(unit):
    return list(dict.fromkeys(value.unit for value in unit.operands))


def _place(lanes, unit, waiting):
    """Give a unit a rail; returns its number, and what the rails look like above it, where some branch or join."""
    before = [lane is not None for lane in lanes]
    taken = [i for i, lane in enumerate(lanes) if lane in _givers(unit)]
    ended = []
    for i in taken:
        waiting[lanes[i]] -= 1
        if not waiting[lanes[i]]:
            ended.append(i)
    for i in ended:
        lanes[i] = None
    at = ended[0] if ended else next((i for i, lane in enumerate(lanes) if lane is None), len(lanes))
    if at == len(lanes):
        lanes.append(None)
    lanes[at] = unit
    if taken in ([], [at]):
        return at, ""
    joined = [*taken, at]
    signs = []
    for i, lane in enumerate(lanes):
        level = min(joined) <= i <= max(joined)
        ways = "u" * (i < len(before) and before[i]) + "d" * (lane is not None)
        ways += "l" * (level and i > min(joined)) + "r" * (level and i < max(joined))
        signs.append(_SIGNS.get(ways, " ") + ("─" if "r" in ways else " "))
    return at, "".join(signs).rstrip()


def _running(lanes, at=None):
    return "".join("● " if i == at else "│ " if lane is not None else "  " for i, lane in enumerate(lanes)).rstrip()
