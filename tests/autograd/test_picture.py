"""The picture of a graph: its text, its SVG, and what it may not do to the graph."""

import gc
import weakref
from itertools import pairwise
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minidl import Tensor, cat
from minidl import functional as F
from minidl.autograd.layout import arrange
from minidl.autograd.picture import _GRADIENT, _MOST, LINE
from tests.helpers import modest

CHAIN = 50_000


def example():
    """loss = (w·x + b − 1)² with w·x + b = −5."""
    x, w, b = Tensor(2.0), Tensor(-3.0, requires_grad=True), Tensor(1.0, requires_grad=True)
    z = x * w + b
    loss = (z - 1) ** 2
    return loss, {"x": x, "w": w, "b": b, "z": z, "loss": loss}


def lines(graph):
    return [" ".join(line.split()) for line in str(graph).splitlines()]


def svg(graph):
    """The picture, parsed (which it must survive), as (all elements, the texts in it)."""
    root = ElementTree.fromstring(graph._repr_svg_())
    elements = [(element.tag.split("}")[1], element) for element in root.iter()]
    return [(tag, element.attrib) for tag, element in elements], [e.text for tag, e in elements if tag == "text"]


# --- text -------------------------------------------------------------------------------------------------------------


def test_text_reads_like_the_code_that_made_it():
    loss, names = example()
    assert str(loss.graph(**names)) == "\n".join(
        [
            "x     constant  2",
            "w     leaf      -3",
            "#3    x * w     -6",
            "b     leaf      1",
            "z     #3 + b    -5",
            "#6    z - 1     -6",
            "loss  #6 ** 2   36",
        ]
    )
    assert repr(loss.graph()) == str(loss.graph())


def test_gradients_appear_after_backward_also_those_in_the_middle():
    loss, names = example()
    graph = loss.graph(**names)
    loss.backward()
    assert lines(graph) == [
        "x constant 2",
        "w leaf -3 grad -24",
        "#3 x * w -6 grad -12",
        "b leaf 1 grad -12",
        "z #3 + b -5 grad -12",
        "#6 z - 1 -6 grad -12",
        "loss #6 ** 2 36 grad 1",
    ]
    names["w"].grad = None
    assert lines(graph)[1] == "w leaf -3"  # of leaves it shows what is there now


def test_arrays_show_their_shape_and_the_norm_of_their_gradient():
    x, w = Tensor(np.ones((4, 2))), Tensor(np.ones((2, 3)), requires_grad=True)
    b = Tensor(np.zeros(1), requires_grad=True)
    y = F.sigmoid(x @ w + b).mean()
    graph = y.graph(w=w)
    y.backward()
    norm = f"{np.linalg.norm(w.grad):.4g}"
    assert lines(graph)[:2] == ["#1 constant (4, 2)", f"w leaf (2, 3) ‖grad‖ {norm}"]
    assert lines(graph)[3] == f"#4 leaf (1,) 0 grad {b.grad.item():.4g}"
    assert lines(graph)[-2].startswith("#6 sigmoid(#5) (4, 3) ‖grad‖ 0.2887")  # ‖1/12 · ones(4, 3)‖


def test_a_tensor_used_many_times_stands_there_once():
    x = Tensor(3.0, requires_grad=True)
    y = x * x
    assert lines((y + x - y).graph(x=x, y=y)) == ["x leaf 3", "y x * x 9", "#3 y + x 12", "#4 #3 - y 3"]


def test_operations_are_written_as_one_calls_them():
    x, w = Tensor(np.ones((2, 2)), requires_grad=True), Tensor(np.ones((3, 2, 2)), requires_grad=True)
    for y, expected in [
        (x / 2, "x / 2"),
        (2 - x, "2 - x"),
        (0.5**x, "0.5 ** x"),
        (-x, "neg(x)"),
        (x @ x, "x @ x"),
        (x @ w, "x @ #2"),
        (x.max(0), "max(x)"),
        (x[0], "getitem(x)"),
        (x.T, "permute(x)"),
        (cat([x, x]), "cat(x, x)"),
        (F.linear(x, x), "linear(x, x)"),
    ]:
        assert f" {expected} (" in lines(y.graph(x=x))[-1]


def test_constants_leaves_and_numbers_alone():
    assert lines(Tensor(np.ones(3)).graph()) == ["#1 constant (3,)"]
    assert lines(Tensor(np.ones(3), requires_grad=True).graph()) == ["#1 leaf (3,)"]
    assert lines(Tensor(2.5).graph()) == ["#1 constant 2.5"]
    x = Tensor(2.5)
    assert lines(x.graph(x=x)) == ["x constant 2.5"]
    assert lines(Tensor(np.array([True])).graph()) == ["#1 constant (1,) True"]
    assert lines((Tensor(1.0) * 2).graph()) == ["#1 constant 2"]  # nothing was recorded


def test_numbers_are_short():
    for number, expected in [
        (0.123456, "0.1235"),
        (50001, "50001"),
        (-3, "-3"),
        (1e-9, "1e-09"),
        (123456789, "1.235e+08"),
    ]:
        assert lines(Tensor(np.array(float(number))).graph())[0].split()[-1] == expected
    assert lines(Tensor(np.array(np.nan)).graph()) == ["#1 constant nan"]
    assert lines(Tensor(np.array(np.inf)).graph()) == ["#1 constant inf"]
    assert lines(Tensor(np.array(123456789)).graph()) == ["#1 constant 123456789"]


# --- names ------------------------------------------------------------------------------------------------------------


def test_any_name_can_be_given():
    x = Tensor(1.0, requires_grad=True)
    y = x * 2
    assert lines(y.graph(self=x, names=y)) == ["self leaf 1", "names self * 2 2"]
    assert lines(y.graph(**{"fc1.weight": x})) == ["fc1.weight leaf 1", "#2 fc1.weight * 2 2"]


def test_a_name_for_something_else_is_an_error():
    x, other = Tensor(1.0, requires_grad=True), Tensor(1.0)
    for stranger in (other, np.ones(3), 1.0, None):
        with pytest.raises(ValueError, match=r"graph: w had no part in this tensor; name only tensors that led to it"):
            (x * 2).graph(x=x, w=stranger)


# --- graphs that were freed, and large ones -------------------------------------------------------------------------------


def test_after_backward_there_is_a_word_about_what_is_gone():
    loss, names = example()
    loss.backward()
    graph = loss.graph(**names)  # names of what is gone are no error
    assert lines(graph)[0] == "loss freed 36"
    assert "backward() was here; take .graph() before it" in lines(graph)[1]
    assert any("take .graph() before it" in text for text in svg(graph)[1])


def test_a_part_that_was_freed():
    x = Tensor(2.0, requires_grad=True)
    y = x * x
    y.backward()
    assert lines((y + x).graph(x=x, y=y))[:3] == ["y freed 4", "x leaf 2 grad 4", "#3 y + x 6"]


def test_a_large_graph_is_cut_and_says_so():
    x = Tensor(1.0, requires_grad=True)
    y = x
    for _ in range(CHAIN):
        y = y + 1
    graph = y.graph()
    remark = f"… {2 * CHAIN + 1 - _MOST:,} more nodes, further from the result, are not shown"
    assert lines(graph)[-1] == remark
    assert lines(graph)[0].startswith("#1 … + ")
    assert lines(graph)[-2].endswith(f"+ 1 {CHAIN + 1}")
    elements, texts = svg(graph)
    assert texts[-1] == remark
    assert sum(tag == "rect" for tag, _ in elements) == _MOST
    with pytest.raises(ValueError, match="had no part"):
        y.graph(stranger=Tensor(1.0))
    y.graph(x=x)  # it had part, though it is not shown
    y.backward()
    assert lines(graph)[0].endswith("grad 1")


@pytest.mark.parametrize(("leaves", "hidden"), [(_MOST - 1, 0), (_MOST, 1), (3 * _MOST, 2 * _MOST + 1)])
def test_a_wide_graph_is_cut_at_the_same_number(leaves, hidden):
    graph = cat([Tensor(np.ones(1), requires_grad=True) for _ in range(leaves)]).graph()
    assert graph.hidden == hidden
    assert len(graph.entries) == leaves + 1 - hidden
    assert str(graph).count("leaf") == leaves - hidden


def test_many_ways_through_few_nodes():
    y = x = Tensor(1.0, requires_grad=True)
    for _ in range(20):
        y = y + y  # 2²⁰ ways
    assert y.graph(x=x).hidden == 0
    assert len(lines(y.graph())) == 21


# --- what taking a picture must not do ------------------------------------------------------------------------------------


def test_watching_changes_no_gradient():
    plain, watched = example(), example()
    graphs = [watched[0].graph(**watched[1]) for _ in range(2)]
    plain[0].backward()
    watched[0].backward()
    for name in ("w", "b"):
        assert plain[1][name].grad == watched[1][name].grad
    assert watched[1]["z"].grad is None
    assert lines(graphs[0]) == lines(graphs[1])
    assert not watched[1]["w"]._hooks  # parameters live long: nothing is left on them


def test_a_picture_and_its_graph_go_without_garbage_collection():
    gc.collect()
    gc.disable()
    try:
        loss, names = example()
        z = weakref.ref(names.pop("z"))
        graph = loss.graph(w=names["w"])
        repr(graph), graph._repr_svg_()
        del loss, names
        assert z() is not None  # the picture keeps it
        del graph
        assert z() is None
    finally:
        gc.enable()


def test_a_picture_that_is_gone_does_not_disturb_backward():
    loss, names = example()
    loss.graph()
    loss.backward()
    assert names["w"].grad == -24


# --- SVG --------------------------------------------------------------------------------------------------------------


def test_svg_has_a_card_for_each_node_and_gradients_after_backward():
    loss, names = example()
    graph = loss.graph(**names)
    for walked in (False, True):
        elements, texts = svg(graph)
        cards = [attributes for tag, attributes in elements if tag == "rect" and "stroke" in attributes]
        assert len(cards) == 9
        assert sum("stroke-dasharray" in card for card in cards) == 3  # x and two numbers are constants
        assert len({card["fill"] for card in cards}) == 3
        assert {"x", "w", "b", "*", "+", "-", "**", "z: -5", "loss: 36", "-3"} <= set(texts)
        assert ("grad -24" in texts) == walked
        colours = [attributes.get("stroke") for tag, attributes in elements if tag == "path"]
        assert colours.count(LINE) == 8  # two operands of four operations
        assert colours.count(_GRADIENT) == (5 if walked else 0)  # of which five ask for a gradient
        loss.backward() if not walked else None


def test_svg_escapes_names():
    x = Tensor(1.0, requires_grad=True)
    name = "<b>&\"'</b>"
    y = x * 2
    for tensor in (x, y):
        _, texts = svg(y.graph(**{name: tensor}))
        assert any(text.startswith(name) for text in texts)


def test_svg_is_the_same_every_time_and_stands_alone():
    loss, names = example()
    picture = loss.graph(**names)._repr_svg_()
    assert picture == loss.graph(**names)._repr_svg_()
    assert picture.startswith('<svg xmlns="http://www.w3.org/2000/svg"')
    assert "id=" not in picture  # two pictures on one page cannot disturb each other
    assert "nan" not in picture


def check_layout(graph):
    """Parents above users, no card on another, lines from card to card, everything inside."""
    rows = arrange(graph.entries)
    attributes = svg(graph)[0][0][1]
    width, height = float(attributes["width"]), float(attributes["height"])
    for row in rows:
        for place in row:
            assert 0 < place.x - place.width / 2 < place.x + place.width / 2 < width
            assert 0 < place.top < place.bottom < height
            for line in place.above:
                assert line.upper.bottom < place.top
                assert line.upper.row == place.row - 1
                assert abs(line.start - line.upper.x) < line.upper.width / 2
                assert abs(line.end - place.x) < place.width / 2
        for left, right in pairwise(row):
            assert left.x + left.width / 2 < right.x - right.width / 2
    cards = {place.entry: place for row in rows for place in row if place.kind != "trunk"}
    assert len(cards) == len(graph.entries)
    for entry, place in cards.items():
        found = [line.upper.entry for line in place.above]
        assert sorted(map(id, found)) == sorted(id(parent) for parent in entry.parents if parent is not None)


@given(program=st.lists(st.tuples(st.integers(0, 99), st.integers(0, 99), st.booleans()), min_size=1, max_size=25))
@modest
def test_layout_of_random_graphs(program):
    tensors = [Tensor(np.ones(3), requires_grad=True), Tensor(2.0, requires_grad=True), Tensor(np.ones((2, 3)))]
    for i, j, both in program:
        a, b = tensors[i % len(tensors)], tensors[j % len(tensors)]
        tensors.append(a + b if both else a * 2)
    y = tensors[-1] + tensors[0]
    graph = y.graph(y=y)
    check_layout(graph)
    y.backward(np.ones(y.shape))
    check_layout(graph)


def test_layout_of_a_network_and_of_lines_that_pass_by():
    rng = np.random.default_rng(0)
    w, h = Tensor(rng.standard_normal((3, 3)), requires_grad=True), Tensor(rng.standard_normal((5, 3)))
    for _ in range(30):
        h = F.tanh(h @ w) + w[0]
    check_layout(h.graph(w=w))
    trunks = [place for row in arrange(h.graph().entries) for place in row if place.kind == "trunk"]
    assert len(trunks) < 4 * 30  # users of one tensor share a trunk; lines of their own would need hundreds


def test_layout_of_a_short_way_beside_a_long_one():
    x = Tensor(1.0, requires_grad=True)
    for first, second in [(x * 2, ((x * 3 + 1) * 5 + 2)), (x**2 + 1, ((x * 3 + x) * x + 2))]:
        check_layout((first + second).graph(x=x))
        check_layout((second + first).graph(x=x))


def test_no_gradient_flows_in_the_picture_of_a_graph_that_was_not_walked():
    x = Tensor(1.0, requires_grad=True)
    (x * 3).backward()
    picture = (x * 2).graph(x=x)._repr_svg_()
    assert "grad 3" in picture  # x has one, but not from here
    assert _GRADIENT not in picture


def test_a_chain_runs_straight_down():
    x = Tensor(1.0, requires_grad=True)
    y = x
    for _ in range(50):
        y = y * 2 + 1
    graph = y.graph()
    centres = [place.x for row in arrange(graph.entries) for place in row if place.kind == "operation"]
    assert max(centres) - min(centres) < 60
