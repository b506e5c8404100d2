"""What a network is made of, as a table: layers, shapes, parameters, multiply–adds, memory, and what can be fused."""

from html import escape
from typing import Any

from minidl.anatomy.costs import kept_bytes, multiply_adds
from minidl.anatomy.network import Network
from minidl.anatomy.trace import Call, Op, Trace, traced
from minidl.nn import Module, Parameter
from minidl.nn.fuse import fusible

__all__ = ["Summary", "summary"]


def summary(model: Module, *example: Any) -> "Summary":
    """Run a network once on an example, and list what it is made of: `print(minidl.summary(model, (1, 28, 28, 1)))`.

    example    for each input the shape of a batch, to be filled with random numbers; or a batch, an array or a tensor
    Rows       one for each call of a module, inside the row of the call that it was made from; then modules that were not
               called. Numbers are those of the module itself, without what is in it: each column adds up to the total
    Counted    parameters, trainable and frozen: each once, where it is first met, and marked elsewhere. Multiply–adds of
               products and convolutions for the whole batch, done directly (N·in·out; N·H′·W′·O·kh·kw·C); what norms,
               activations and pooling do is not counted. Bytes of parameters and buffers. Bytes kept for the backward pass,
               measured in the graph: results and what backward functions hold, each array once, where it was made
    Mode       the network's own: in evaluation dropout keeps no mask. A batch norm that cannot train on one example is shown
               as in evaluation, with a remark. Afterwards everything is as it was: modes, statistics, generators, gradients,
               hooks, attributes, also if `forward` raises. Hooks run, those of a Probe do not
    Errors     TypeError for what is no Module or no example; what the network's own forward raises
    """
    trace = traced("summary", model, example)
    return Summary(model, trace)


class Summary:
    """What a network is made of: text by `str`, a table in notebooks.

    rows      a list of dicts, say for `pandas.DataFrame(summary.rows)`: "name" as in `state_dict`, "type", "depth",
              "called"; "input" and "output", a shape or a list of several; "trainable", "frozen" and "shared": parameters,
              the last ones counted in an earlier row; "multiply_adds"; "parameter_bytes", "buffer_bytes", "kept_bytes";
              "fuses_with": names of the layers that `nn.fuse` would join with this one
    total     the same sums for the network, and "input_bytes": those of the batch that are kept for the backward pass
    graph     the network, drawn: see `Module.graph`
    """

    def __init__(self, model: Module, trace: Trace):
        by_call, input_bytes = kept_bytes(trace, model)
        self._fusible = _fusible(model)
        self._seen: set[int] = set()
        self.rows: list[dict[str, Any]] = [self._row(call, by_call.get(call, 0)) for call in trace.calls_in_order]
        called = {id(call.module) for call in trace.calls_in_order}
        for name, module in model.named_modules():
            if id(module) not in called and (not any(True for _ in module.children()) or _own(module)):
                self.rows.append(self._row(Call(module, name, above=trace.calls_in_order[0]), 0, called=False))
        summed = "trainable", "frozen", "multiply_adds", "parameter_bytes", "buffer_bytes", "kept_bytes"
        self.total: dict[str, int] = {key: sum(row[key] for row in self.rows) for key in summed}
        self.total["input_bytes"] = input_bytes
        unknown = sorted({op.name for op in trace.ops if multiply_adds(op) is None})
        self.remarks = [trace.remark] if trace.remark else []
        if unknown:
            self.remarks.append(
                f"multiply–adds of operations that minidl does not know are missing: {', '.join(unknown)}"
            )
        self.graph = Network(trace)

    def _row(self, call, kept, called=True):
        module, seen = call.module, self._seen
        new, shared = [], 0
        for parameter in _own(module):
            if id(parameter) in seen:
                shared += parameter.data.size
            else:
                seen.add(id(parameter))
                new.append(parameter)
        buffers = [getattr(module, name) for name in module._buffers]
        buffers = [buffer for buffer in buffers if buffer is not None and id(buffer) not in seen]
        seen.update(map(id, buffers))
        return {
            "name": call.name, "type": type(module).__name__, "depth": call.depth, "called": called,
            "input": _shapes(call.inputs), "output": _shapes(call.outputs),
            "trainable": sum(p.data.size for p in new if p.requires_grad),
            "frozen": sum(p.data.size for p in new if not p.requires_grad), "shared": shared,
            "multiply_adds": sum(multiply_adds(op) or 0 for op in call.inside if isinstance(op, Op)),
            "parameter_bytes": sum(p.data.nbytes for p in new), "buffer_bytes": sum(b.nbytes for b in buffers),
            "kept_bytes": kept, "fuses_with": self._fusible.get(id(module), []),
        }  # fmt: skip

    # ---- as text, as HTML ----------------------------------------------------------------------------------------------

    def __str__(self) -> str:
        (head, *body), sides = _cells(self.rows)
        widths = [max(map(len, column)) for column in zip(head, *body, strict=True)]
        rule = "─" * (sum(widths) + 2 * (len(widths) - 1))
        lines = [
            "  ".join(f"{cell:{side}{width}}" for cell, side, width in zip(row, sides, widths, strict=True)).rstrip()
            for row in (head, *body)
        ]
        return "\n".join([lines[0], rule, *lines[1:], rule, *self._footer()])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        (head, *body), sides = _cells(self.rows, space="\u2003")
        style = 'style="text-align: {}; white-space: nowrap"'
        left = style.format("left")

        def line(tag, cells):
            looks = (style.format("left" if side == "<" else "right") for side in sides)
            return "".join(f"<{tag} {look}>{escape(cell)}</{tag}>" for look, cell in zip(looks, cells, strict=True))

        rows = "".join(f"<tr>{line('td', row)}</tr>" for row in body)
        foot = "".join(f'<tr><td colspan="{len(head)}" {left}>{escape(text)}</td></tr>' for text in self._footer())
        return f"<table><thead><tr>{line('th', head)}</tr></thead><tbody>{rows}</tbody><tfoot>{foot}</tfoot></table>"

    def _footer(self):
        total = self.total
        both, buffers = total["trainable"] + total["frozen"], total["buffer_bytes"]
        lines = [
            f"{both:,} parameters ({total['trainable']:,} trainable, {total['frozen']:,} frozen), "
            f"{total['multiply_adds']:,} multiply–adds for this batch",
            f"memory: parameters {_bytes(total['parameter_bytes'])}"
            + (f", buffers {_bytes(buffers)}" if buffers else "")
            + f"; for the backward pass {_bytes(total['kept_bytes'])}, and {_bytes(total['input_bytes'])} of inputs",
        ]
        groups = list(dict.fromkeys(tuple(names) for names in self._fusible.values()))
        if groups:
            lines.append(f"nn.fuse joins {'; '.join(' + '.join(names) for names in groups)}")
        return lines + self.remarks


def _cells(rows, space="  "):
    """The table as text, the head first, and the sides of its columns; without the columns in which there is nothing."""
    groups = list(dict.fromkeys(tuple(row["fuses_with"]) for row in rows if row["fuses_with"]))
    columns = [
        ("layer", "<", lambda row: space * row["depth"] + (row["name"] or "(network)")),
        ("type", "<", lambda row: row["type"]),
        ("input", "<", lambda row: _text(row["input"]) if row["called"] else "not called"),
        ("output", "<", lambda row: _text(row["output"])),
        ("parameters", ">", lambda row: " + ".join(_parameters(row))),
        ("frozen", ">", lambda row: _number(row["frozen"])),
        ("multiply–adds", ">", lambda row: _number(row["multiply_adds"])),
        ("kept", ">", lambda row: _bytes(row["kept_bytes"]) if row["kept_bytes"] else ""),
        ("nn.fuse", "<", lambda row: f"run {groups.index(tuple(row['fuses_with'])) + 1}" if row["fuses_with"] else ""),
    ]
    filled = [(side, [head, *map(cell, rows)]) for head, side, cell in columns]
    filled = [(side, cells) for side, cells in filled if any(cells[1:])]
    return list(zip(*(cells for _, cells in filled), strict=True)), [side for side, _ in filled]


def _parameters(row):
    """What to write of a row's parameters: trainable ones, and that others were counted before."""
    if row["trainable"]:
        yield f"{row['trainable']:,}"
    if row["shared"]:
        yield "shared"


def _number(value):
    return f"{value:,}" if value else ""


def _text(shapes):
    if shapes is None:
        return ""
    return ", ".join(map(str, shapes)) if isinstance(shapes, list) else str(shapes)


def _bytes(count):
    if count < 1024:
        return f"{count} B"
    power = min(3, (count.bit_length() - 1) // 10)
    return f"{count / 1024**power:,.1f} {('KiB', 'MiB', 'GiB')[power - 1]}"


def _shapes(tensors):
    """A shape, a list of several, or None."""
    shapes = [tuple(tensor.shape) for tensor in tensors]
    return shapes[0] if len(shapes) == 1 else shapes or None


def _own(module):
    """The parameters of a module itself, each once."""
    return list({id(parameter): parameter for _, parameter in module._attributes(Parameter)}.values())


def _fusible(model):
    """Names of the layers that `nn.fuse` would join, for each of them: id → names."""
    names = {id(module): name for name, module in model.named_modules()}
    return {id(layer): [names[id(one)] for one in run] for run in fusible(model) for layer in run}
