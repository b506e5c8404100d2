"""The drawing of a network: what is on it, who is connected with whom, where everything stands."""

from xml.etree import ElementTree

import numpy as np
import pytest

import minidl
from minidl import Tensor, cat, nn
from minidl import functional as F
from minidl.anatomy import flow
from minidl.anatomy.flow import Box, Unit
from minidl.lab.models import paper_mlp
from tests.anatomy.networks import Block, ResNet8, conv_net


def text(model, *example):
    return [line.rstrip() for line in str(model.graph(*example)).splitlines()]


def edges(model, *example):
    """Pairs of units, by name or title, in the order of drawing."""
    found = model.graph(*example)._flow

    def called(unit):
        return unit.name or unit.title

    units = [thing for thing in found.order if isinstance(thing, Unit)]
    return [(called(value.unit), called(unit)) for unit in units for value in unit.operands]


def svg(graph):
    root = ElementTree.fromstring(graph._repr_svg_())
    elements = [(element.tag.split("}")[1], element.attrib, element.text) for element in root.iter()]
    return elements, [content for tag, _, content in elements if tag == "text"]


class Functional(nn.Module):
    """Operations, a parameter of its own, and layers; the input is used three times."""

    def __init__(self):
        self.fc = nn.Linear(4, 4)
        self.scale = nn.Parameter(np.ones(4, np.float32))
        self.drop = nn.Dropout(0.5)

    def forward(self, x):
        y = F.relu(self.fc(x)) * self.scale
        return self.drop(cat([x, y], 1)) - x.sum() * 0.5


# ---- text --------------------------------------------------------------------------------------------------------------


def test_a_chain_is_one_line_for_each_layer():
    assert text(nn.Sequential(nn.Linear(4, 3), nn.ReLU()), (2, 4)) == [
        "●     input   (2, 4)",
        "●  0  Linear  (2, 3)",
        "●  1  ReLU    (2, 3)",
        "●     output",
    ]


def test_residual_branches_leave_and_join():
    assert text(Block(3, 3), (1, 4, 4, 3)) == [
        "●                   input      (1, 4, 4, 3)",
        "├─╮",
        "│ ●  conv1          Conv2d     (1, 4, 4, 3)",
        "│ ●  bn1            BatchNorm  (1, 4, 4, 3)",
        "│ ●  relu           ReLU       (1, 4, 4, 3)",
        "│ ●  conv2          Conv2d     (1, 4, 4, 3)",
        "│ ●  bn2            BatchNorm  (1, 4, 4, 3)",
        "├─╯",
        "●                   +          (1, 4, 4, 3)",
        "●    relu (call 2)  ReLU       (1, 4, 4, 3)",
        "●                   output",
    ]


def test_both_branches_may_have_layers_and_boxes_are_indented():
    lines = text(nn.Sequential(Block(3, 6, 2)), (1, 4, 4, 3))
    assert lines[1] == "│    0                  Block"
    assert lines[2] == "├─╮"
    assert lines[8:13] == [
        "│ │    0.shortcut       Sequential",
        "● │      0.shortcut.0   Conv2d      (1, 2, 2, 6)",
        "● │      0.shortcut.1   BatchNorm   (1, 2, 2, 6)",
        "├─╯",
        "●                       +           (1, 2, 2, 6)",
    ]


def test_operations_between_modules_and_the_parameters_they_take():
    assert text(Functional(), (2, 4)) == [
        "●           input    (2, 4)",
        "├─╮",
        "│ ●  fc     Linear   (2, 4)",
        "│ ●         relu     (2, 4)",
        "│ ●  scale  *        (2, 4)",
        "├─┤",
        "│ ●         cat      (2, 8)",
        "│ ●  drop   Dropout  (2, 8)",
        "● │         sum      ()",
        "● │         *        ()",
        "├─╯",
        "●           -        (2, 8)",
        "●           output",
    ]


def test_rails_of_three_that_cross():
    class Net(nn.Module):
        def forward(self, x):
            a, b, c = x + 1, x * 2, x - 3
            return c * a + b

    assert text(Net(), (1, 2)) == [
        "●      input   (1, 2)",
        "├─╮",
        "│ ●    +       (1, 2)",
        "├─┼─╮",
        "│ │ ●  *       (1, 2)",
        "● │ │  -       (1, 2)",
        "├─╯ │",
        "●   │  *       (1, 2)",
        "├───╯",
        "●      +       (1, 2)",
        "●      output",
    ]
    assert len(text(nn.Sequential(Net(), Net()), (1, 2))) == 4  # modules without modules: one line each


# ---- who is connected with whom ------------------------------------------------------------------------------------------


def test_edges_of_a_residual_block():
    assert edges(Block(3, 3), (1, 4, 4, 3)) == [
        ("input", "conv1"), ("conv1", "bn1"), ("bn1", "relu"), ("relu", "conv2"), ("conv2", "bn2"), ("bn2", "+"),
        ("input", "+"), ("+", "relu (call 2)"), ("relu (call 2)", "output"),
    ]  # fmt: skip


def test_edges_of_operations():
    found = edges(Functional(), (2, 4))
    assert [pair for pair in found if pair[0] == "input"] == [("input", "fc"), ("input", "cat"), ("input", "sum")]
    assert ("relu", "scale") in found  # the product with the parameter
    assert ("drop", "-") in found


def test_a_layer_that_hands_on_its_input_is_in_the_chain():
    model = nn.Sequential(nn.Dropout(0.5), nn.Identity(), nn.Linear(2, 2)).eval()
    assert edges(model, (1, 2)) == [("input", "0"), ("0", "1"), ("1", "2"), ("2", "output")]


def test_what_a_branch_hands_on_first_is_not_what_the_shortcut_takes():
    class Residual(nn.Module):
        def __init__(self):
            self.body = nn.Sequential(nn.Identity(), nn.Linear(2, 2))

        def forward(self, x):
            return x + self.body(x)

    found = edges(Residual(), (1, 2))
    assert ("input", "+") in found
    assert ("body.0", "+") not in found

    class Passing(nn.Module):
        def __init__(self):
            self.body = nn.Sequential(nn.Identity(), nn.Identity())

        def forward(self, x):
            return self.body(x) * 2

    assert ("body.1", "*") in edges(Passing(), (1, 2))


class Inner(nn.Module):
    """Two inputs, of which the second is used late; two results, and a third that is left as an attribute."""

    def __init__(self):
        self.a, self.b = nn.Linear(2, 3), nn.Linear(2, 3)

    def forward(self, x, y):
        self.between = self.a(x)
        return {"sum": F.relu(F.relu(self.between)) + self.b(y), "other": [self.b(y)]}


class TwoInputs(nn.Module):
    def __init__(self):
        self.inner = Inner()

    def forward(self, x, y):
        made = self.inner(x, y * 2)
        return made["sum"] * made["other"][0] + self.inner.between, made["sum"]


def test_several_inputs_and_outputs_and_what_is_taken_from_within_a_box():
    graph = TwoInputs().graph((1, 2), (1, 2))
    found = edges(TwoInputs(), (1, 2), (1, 2))
    assert ("input 1", "inner.a") in found
    assert ("*", "inner.b (call 2)") in found
    assert ("inner.a", "+") in found
    assert [pair for pair in found if pair[1] == "output"] == [("+", "output"), ("+", "output")]
    svg(graph)
    frame = next(thing for thing in graph._flow.order if isinstance(thing, Box))
    assert (frame.name, frame.title) == ("inner", "Inner")


# ---- pictures ------------------------------------------------------------------------------------------------------------


def rectangles(graph):
    """(x, y, width, height) of cards, of boxes, and of shapes on lines."""
    elements, _ = svg(graph)
    cards, frames, shapes = [], [], []
    for tag, attributes, _ in elements:
        if tag == "rect":
            place = tuple(float(attributes[key]) for key in ("x", "y", "width", "height"))
            kind = frames if "fill-opacity" in attributes else shapes if attributes["stroke"] == "none" else cards
            kind.append(place)
    return cards, frames, shapes


def overlap(a, b):
    return a[0] < b[0] + b[2] and b[0] < a[0] + a[2] and a[1] < b[1] + b[3] and b[1] < a[1] + a[3]


def inside(a, b):
    return b[0] < a[0] and b[1] <= a[1] and a[0] + a[2] < b[0] + b[2] and a[1] + a[3] <= b[1] + b[3]


PICTURES = {
    "mlp": (lambda: paper_mlp(sizes=(8, 5, 5, 3)), (2, 8)), "conv": (conv_net, (2, 8, 8, 1)),
    "residual": (lambda: ResNet8(), (2, 8, 8, 3)), "functional": (Functional, (2, 4)),
    "views": (lambda: nn.AveragedViews(nn.Sequential(nn.Conv2d(3, 4, 3), nn.GlobalAvgPool2d())), (1, 6, 6, 3)),
    "boxes in boxes": (lambda: nn.Sequential(nn.Sequential(nn.Sequential(nn.ReLU()))), (1, 2)),
}  # fmt: skip


@pytest.mark.parametrize("name", PICTURES)
def test_nothing_lies_on_anything_and_boxes_hold_what_is_theirs(name):
    make, shape = PICTURES[name]
    graph = make().graph(shape)
    cards, frames, shapes = rectangles(graph)
    units = [thing for thing in graph._flow.order if isinstance(thing, Unit)]
    assert len(cards) == len(units)
    assert len(frames) == len(graph._flow.order) - len(units)
    for i, a in enumerate(cards):
        assert not any(overlap(a, b) for b in cards[:i])
        assert all(inside(a, frame) or not overlap(a, frame) for frame in frames)
    for i, a in enumerate(frames):
        assert all(inside(a, b) or inside(b, a) or not overlap(a, b) for b in frames[:i])
    assert not any(overlap(shape, card) for shape in shapes for card in cards)
    elements, _ = svg(graph)
    width, height = (float(elements[0][1][key]) for key in ("width", "height"))
    assert all(min(x, y) > 0 and x + w < width and y + h < height for x, y, w, h in [*cards, *frames])


@pytest.mark.parametrize("make", [lambda: ResNet8().graph((2, 8, 8, 3)), lambda: TwoInputs().graph((1, 2), (1, 2))])
def test_lines_lead_from_card_to_card_through_the_edges_of_boxes(make):
    """What comes to the upper edge of a box goes on inside from the same point, and nothing inside begins elsewhere."""
    elements, _ = svg(make())
    cards, frames, _ = rectangles(make())
    paths = [attributes["d"] for tag, attributes, _ in elements if tag == "path" and attributes["fill"] == "none"]
    starts = [tuple(map(float, d[1:].split("V")[0].split())) for d in paths]
    ends = [(float(d.split("C")[1].split()[4]), float(d.rsplit("V", 1)[1])) for d in paths]
    for x, y, wide, high in frames:
        coming = [end[0] for end in ends if abs(end[1] - y) < 0.2 and x < end[0] < x + wide]
        going = [start[0] for start in starts if abs(start[1] - y) < 0.2 and x < start[0] < x + wide]
        assert coming
        assert going
        assert all(min(abs(a - b) for b in coming) < 6 for a in going)
        assert all(min(abs(a - b) for b in going) < 6 for a in coming)
        assert any(abs(start[1] - y - high) < 0.2 for start in starts)
    edge_of = [y for _, y, _, _ in [*cards, *frames]]
    assert all(
        min(abs(end[1] - y) for y in edge_of) < 0.2 or any(abs(end[1] - s[1]) < 0.2 for s in starts) for end in ends
    )


def test_the_words_of_a_picture():
    _, words = svg(ResNet8().graph((2, 8, 8, 3)))
    assert {"input", "output", "+", "Conv2d", "weight (3, 3, 3, 4)", "(2, 8, 8, 4)", "blocks.0", "Block", "conv1",
            "shortcut", "relu (call 2)", "(2, 10)"} <= set(words)  # fmt: skip
    assert words.count("+") == 3
    assert words.count("Block") == 3


def test_a_picture_escapes_names_and_stands_alone():
    model = nn.Sequential()
    setattr(model, "<b>&\"'", nn.Sequential(nn.ReLU()))
    picture = model.graph((1, 2))._repr_svg_()
    assert "<b>&\"'" in svg(model.graph((1, 2)))[1]
    assert picture.startswith('<svg xmlns="http://www.w3.org/2000/svg"')
    assert "id=" not in picture
    assert "nan" not in picture
    assert picture == model.graph((1, 2))._repr_svg_()
    graph = model.graph((1, 2))
    assert graph._repr_svg_() == graph._repr_svg_()


def test_the_main_path_of_a_residual_network_runs_straight():
    cards, _, _ = rectangles(Block(3, 3).graph((1, 4, 4, 3)))
    middles = [x + wide / 2 for x, _, wide, _ in cards]
    assert max(middles) - min(middles) < 120


# ---- large, and strange ------------------------------------------------------------------------------------------------


def test_of_a_large_network_modules_are_closed_before_anything_is_left_out(monkeypatch):
    monkeypatch.setattr(flow, "MOST", 20)
    graph = ResNet8().graph((2, 8, 8, 3))
    assert not graph._flow.hidden
    titles = [thing.title for thing in graph._flow.order]
    assert titles == ["input", "Sequential", "Block", "Block", "Block", "GlobalAvgPool2d", "Linear", "output"]
    assert edges(ResNet8(), (2, 8, 8, 3))[:3] == [("input", "stem"), ("stem", "blocks.0"), ("blocks.0", "blocks.1")]

    class Long(nn.Module):
        def forward(self, x):
            for _ in range(50):
                x = x + 1
            return x

    graph = Long().graph((1, 2))
    assert str(graph).splitlines()[-1] == "… 31 more modules and operations are not shown"
    assert svg(graph)[1][-1] == "… 31 more modules and operations are not shown"
    assert len(rectangles(graph)[0]) == 20


def test_networks_without_layers_without_operations_without_results():
    class Nothing(nn.Module):
        def forward(self, x):
            return None

    class Constant(nn.Module):
        def forward(self, x):
            return Tensor(np.ones(2, np.float32)) * 2

    assert text(nn.Sequential(), (1, 2)) == ["●  input   (1, 2)", "●  output"]
    assert text(Nothing(), (1, 2)) == ["●  input  (1, 2)"]
    assert text(nn.Linear(2, 3), (1, 2))[1].split() == ["●", "weight,", "bias", "linear", "(1,", "3)"]
    for model in (nn.Sequential(), Nothing(), Constant(), nn.Sequential(Nothing()), nn.Sequential(Constant())):
        svg(model.graph((1, 2)))
        assert str(model.graph((1, 2)))


def test_the_graph_is_that_of_the_summary():
    model = nn.Sequential(nn.Linear(2, 3))
    assert str(minidl.summary(model, (1, 2)).graph) == str(model.graph((1, 2))) == repr(model.graph((1, 2)))
