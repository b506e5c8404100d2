"""minidl.summary: memory, measured in the graph, and where fusing applies."""

import numpy as np

import minidl
from minidl import Tensor, nn
from tests.anatomy.networks import ResNet8, conv_net

RNG = np.random.default_rng(0)


def kept(model, *example):
    return {row["name"]: row["kept_bytes"] for row in minidl.summary(model, *example).rows}


def test_memory_is_what_the_graph_holds():
    """ReLU's output and Linear's, and x, of 6 rows; Flatten's result is a view, and the loss's arrays are not there."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(8, 5), nn.ReLU(), nn.Linear(5, 2))
    table = minidl.summary(model, (6, 4, 2))
    assert [row["kept_bytes"] for row in table.rows] == [0, 0, 6 * 5 * 4, 6 * 5 * 4, 6 * 2 * 4]
    assert table.total["input_bytes"] == 6 * 8 * 4
    assert minidl.summary(model.to(np.float64), (6, 4, 2)).total["kept_bytes"] == 2 * table.total["kept_bytes"]


def test_memory_depends_on_mode_and_on_who_needs_a_gradient():
    model = nn.Sequential(nn.Linear(8, 8), nn.Dropout(0.5), nn.Linear(8, 2))
    assert kept(model, (4, 8))["1"] == 2 * 4 * 8 * 4  # the result and the mask
    assert kept(model.eval(), (4, 8))["1"] == 0
    model.requires_grad_(False)
    assert sum(kept(model, (4, 8)).values()) == 0
    model[2].bias.requires_grad = True
    assert list(kept(model, (4, 8)).values()) == [0, 4 * 8 * 4, 0, 4 * 2 * 4]  # its input, and its result


def test_batch_norm_keeps_its_result_and_its_statistics():
    assert kept(nn.Sequential(nn.Linear(3, 3), nn.BatchNorm(3)), (5, 3))["1"] == 5 * 3 * 4 + 2 * 3 * 4


def test_what_a_dead_end_computes_is_not_kept():
    class Net(nn.Module):
        def __init__(self):
            self.used, self.unused = nn.Linear(3, 3), nn.Linear(3, 50)

        def forward(self, x):
            self.unused(x)
            return self.used(x), [self.used(x).detach()]

    found = [(row["name"], row["kept_bytes"]) for row in minidl.summary(Net(), (2, 3)).rows]
    assert found == [("", 0), ("unused", 0), ("used", 24), ("used", 0)]  # the last one's result is detached


def test_memory_against_what_is_freed_with_the_graph():
    """All arrays that go when the output goes, found by weak references to every array that NumPy's own results own."""
    model, x = ResNet8(), Tensor(RNG.standard_normal((2, 8, 8, 3)).astype(np.float32))
    table = minidl.summary(model, x)
    y = model(x)
    held, todo, seen = {}, [y], set()
    state = {id(array) for array in (*(p.data for p in model.parameters()), *model.buffers(), x.data)}
    while todo:
        node = todo.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        cells = node._backward.__closure__ or () if node._backward else ()
        found = [node.data, *(cell.cell_contents for cell in cells)]
        for value in list(found):
            found += value if isinstance(value, tuple) else []
        for array in found:
            while isinstance(array, np.ndarray) and isinstance(array.base, np.ndarray):
                array = array.base
            if isinstance(array, np.ndarray) and id(array) not in state:
                held[id(array)] = array.nbytes
        todo += node._parents
    assert table.total["kept_bytes"] == sum(held.values())
    assert table.total["input_bytes"] == x.data.nbytes


# ---- fusing ------------------------------------------------------------------------------------------------------------


def test_where_fusing_applies():
    model = conv_net()
    table = minidl.summary(model, (2, 8, 8, 1))
    found = [(row["name"], row["fuses_with"]) for row in table.rows if row["fuses_with"]]
    assert found == [(name, run) for run in (["1", "2", "3"], ["5", "6", "7"]) for name in run]
    assert "nn.fuse joins 1 + 2 + 3; 5 + 6 + 7" in str(table)
    changed = [i for i, (a, b) in enumerate(zip(model, nn.fuse(model), strict=True)) if type(a) is not type(b)]
    assert changed == [1, 2, 3, 5, 6, 7]
    assert "nn.fuse" not in str(minidl.summary(nn.fuse(model), (2, 8, 8, 1)))
    with model[2].register_forward_hook(lambda *args: None):
        assert "nn.fuse joins 5 + 6 + 7" in str(minidl.summary(model, (2, 8, 8, 1)))
