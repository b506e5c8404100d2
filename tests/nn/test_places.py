"""What may take the place of a parameter, a buffer or a module; and where layers are found, or refused."""

import copy
from collections import OrderedDict, deque

import numpy as np
import pytest

from minidl import Tensor, nn, optim
from minidl import functional as F
from minidl.nn import Parameter
from minidl.nn.replace import replace_child
from minidl.probe import Probe
from tests.nn.test_module import names

f32 = np.float32


class Holder(nn.Module):
    def __init__(self, **things):
        for name, thing in things.items():
            setattr(self, name, thing)


# ---- what takes a place ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value",
    [
        lambda w: Tensor(w.data, requires_grad=True),
        lambda w: Tensor(w.data),
        lambda w: w * 0.5,
        lambda w: w.data,
        lambda w: w.data.tolist(),
        lambda w: 1.0,
    ],
)
@pytest.mark.parametrize("before", ["held", "None"])
def test_only_a_parameter_takes_a_parameters_place(value, before):
    layer = nn.Linear(2, 3)
    weight = layer.weight
    if before == "None":
        layer.weight = None
    with pytest.raises(
        TypeError, match=r"Linear: got a \w+ as 'weight', the place of a parameter: it must be an nn.Para"
    ):
        layer.weight = value(weight)
    assert layer.weight is (weight if before == "held" else None)
    layer.weight = Parameter(weight * 0.5)
    assert names(layer.named_parameters()) == ["weight", "bias"]


@pytest.mark.parametrize(
    ("layer", "name"),
    [
        (nn.Linear(2, 2, bias=False), "bias"),
        (nn.Conv2d(1, 1, 3, bias=False), "bias"),
        (nn.BatchNorm(2, affine=False), "bias"),
        (nn.BatchNorm(2, affine=False), "weight"),
    ],
)
def test_a_parameter_that_was_left_out_keeps_its_place(layer, name):
    with pytest.raises(TypeError, match=f"as '{name}', the place of a parameter"):
        setattr(layer, name, Tensor(np.zeros(2, f32), requires_grad=True))
    setattr(layer, name, Parameter(np.zeros(2, f32)))
    assert name in layer.state_dict()


def test_only_an_array_takes_a_buffers_place():
    norm = nn.BatchNorm(2)
    for bad in (Tensor(np.zeros(2, f32)), [0, 0], 3, "a"):
        with pytest.raises(TypeError, match=r"as 'running_mean', the place of a buffer: it must be a NumPy array"):
            norm.running_mean = bad
    norm.running_mean = np.full(2, 7, f32)
    norm.num_batches_tracked = norm.num_batches_tracked + 1  # for NumPy a number, and no array
    assert norm.state_dict()["running_mean"].tolist() == [7, 7]
    assert norm.state_dict()["num_batches_tracked"] == 1
    norm.running_var = None
    assert names(norm.named_buffers()) == ["running_mean", "num_batches_tracked"]
    assert norm.to("float64").running_mean.dtype == np.float64


def test_only_a_module_takes_a_modules_place():
    model = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
    with pytest.raises(TypeError, match=r"Sequential: got a function as '1', the place of a module: it must be"):
        setattr(model, "1", F.relu)
    setattr(model, "1", nn.Tanh())
    assert isinstance(model[1], nn.Tanh)
    setattr(model, "1", None)
    assert len(model) == 1


def test_parameters_modules_and_buffers_replace_each_other():
    norm = nn.BatchNorm(2)
    norm.running_mean, norm.weight = Parameter(np.zeros(2)), nn.Linear(2, 2)
    assert names(norm.named_parameters()) == ["bias", "running_mean", "weight.weight", "weight.bias"]
    assert names(norm.named_buffers()) == ["running_var", "num_batches_tracked"]


def test_what_is_deleted_leaves_no_place():
    norm = nn.BatchNorm(2)
    del norm.running_mean, norm.weight
    assert list(norm.state_dict()) == ["bias", "running_var", "num_batches_tracked"]
    norm.weight = norm.running_mean = 3
    with pytest.raises(AttributeError):
        del norm.nothing


def test_ordinary_attributes_hold_anything():
    holder = Holder(x=None)
    for value in (Tensor(np.ones(2), requires_grad=True), 3, F.relu, [1], np.ones(2), None):
        holder.x = value
        assert holder.x is value


def test_buffers_are_registered_under_new_names():
    layer = nn.Module()
    layer.register_buffer("count", None)
    assert layer.state_dict() == {}
    layer.count = np.array(0)
    layer.register_buffer("count", np.array(5))  # once more: it is still one buffer
    assert layer.state_dict() == {"count": 5}
    for name in ("", "a.b", "forward", "training"):
        with pytest.raises(ValueError, match="must be that of a new attribute of Module, without a dot"):
            layer.register_buffer(name, None)


def test_copies_keep_their_places():
    for twin in (copy.deepcopy(nn.Linear(2, 2)), copy.copy(nn.Linear(2, 2))):
        with pytest.raises(TypeError, match="the place of a parameter"):
            twin.bias = np.zeros(2)


# ---- where layers are found ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "path"),
    [
        (lambda x: [[x]], "a.0.0"),
        (lambda x: ([1, (x,)],), "a.0.1.0"),
        (lambda x: {"left": x}, "a.left"),
        (lambda x: {1: [{"b": x}]}, "a.1.0.b"),
        (lambda x: OrderedDict(left=x), "a.left"),
        (lambda x: deque([None, x]), "a.1"),
    ],
)
def test_layers_and_parameters_inside_containers_are_found(value, path):
    holder = Holder(a=value(nn.Linear(2, 3)))
    assert names(holder.named_modules()) == ["", path]
    assert list(holder.state_dict()) == [f"{path}.weight", f"{path}.bias"]
    assert list(Holder(a=value(Parameter(np.ones(2)))).state_dict()) == [path]
    holder.eval()
    assert not dict(holder.named_modules())[path].training
    replace_child(holder, path, nn.BatchNorm(3))
    assert [type(child) for child in holder.children()] == [nn.BatchNorm]


def test_what_is_put_into_a_list_later_is_found():
    holder = Holder(layers=[], named={})
    holder.layers.append(nn.Linear(2, 2))
    holder.named["x"] = [Parameter(np.ones(1))]
    assert list(holder.state_dict()) == ["named.x.0", "layers.0.weight", "layers.0.bias"]


def test_a_probe_looks_into_containers():
    class Net(Holder):
        def forward(self, x):
            return self.blocks["first"][0](x)

    net = Net(blocks={"first": [nn.Linear(2, 2)]})
    optimizer = optim.SGD(net.parameters(), lr=0.1)
    with Probe(net, "blocks.first.0", every=1) as probe:
        net(Tensor(np.ones((3, 2), f32))).sum().backward()
        optimizer.step()
        probe.step()
    assert probe.series("blocks.first.0", "update", "mean")[1][0] < 0


@pytest.mark.parametrize("kind", [set, frozenset])
@pytest.mark.parametrize("thing", [lambda: nn.Linear(2, 2), lambda: Parameter(np.ones(2)), lambda: (nn.Linear(2, 2),)])
def test_sets_have_no_order_and_are_refused(kind, thing):
    for value in (kind([thing()]), [kind([thing()])]):
        holder = Holder(a=value)
        for look in (holder.state_dict, lambda: list(holder.parameters())):  # noqa: B023
            with pytest.raises(
                TypeError, match=rf"Module: a(\.0)? is a {kind.__name__}, which has no order; it must be a"
            ):
                look()
    assert Holder(a=kind([1, "b"])).state_dict() == {}


def test_a_plain_tensor_beside_parameters_is_refused():
    holder = Holder(a=[Parameter(np.ones(2)), Parameter(np.ones(2))])
    for bad in (Tensor(np.ones(2), requires_grad=True), holder.a[1] * 0.5):
        holder.a[1] = bad
        with pytest.raises(
            TypeError, match=r"Module: a holds parameters and a plain Tensor; it must be wrapped: nn.Para"
        ):
            list(holder.parameters())
    holder.a[1] = Tensor(np.ones(2))  # a constant
    assert list(holder.state_dict()) == ["a.0"]


def test_two_things_of_one_name_are_refused():
    holder = Holder(a={1: Parameter(np.ones(1)), "1": Parameter(np.ones(2))})
    with pytest.raises(
        ValueError, match=r"state_dict: two things are named \['a.1'\]; each must have a name of its own"
    ):
        holder.state_dict()


def test_a_list_that_holds_itself():
    items = [nn.Linear(2, 2)]
    items.append(items)
    assert list(Holder(a=items).state_dict()) == ["a.0.weight", "a.0.bias"]


# ---- a child that holds its parent -----------------------------------------------------------------------------------


def test_a_child_may_hold_its_parent():
    parent = Holder(child=nn.Linear(2, 2))
    parent.child.parent = parent
    assert names(parent.named_modules()) == ["", "child"]
    assert names(parent.named_parameters()) == ["child.weight", "child.bias"]
    assert not parent.eval().child.training
    assert parent.to("float64").child.weight.dtype == np.float64
    seen = []
    parent.apply(seen.append)
    assert seen == [parent.child, parent]
    assert "see above" in repr(parent)
    assert list(copy.deepcopy(parent).state_dict()) == ["child.weight", "child.bias"]
    with pytest.raises(ValueError, match="is the same layer as child"):
        nn.fold_batch_norm(parent)
    assert isinstance(nn.fuse(parent), Holder)
    parent.child = nn.ReLU()
    parent.child.parent = parent
    assert isinstance(nn.fold_batch_norm(parent), Holder)


def test_apply_calls_once_for_what_is_shared():
    layer, seen = nn.ReLU(), []
    nn.Sequential(layer, layer).apply(seen.append)
    assert len(seen) == 2
