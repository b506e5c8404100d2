"""Module: finding what is inside, modes, state, and what a network looks like."""

import copy

import numpy as np
import pytest

import minidl
from minidl import Tensor, nn
from minidl.nn import Parameter


class Weights(nn.Module):
    """A parameter as an attribute, in a list and in a tuple; and things that are none. No super().__init__()."""

    def __init__(self):
        self.scale = Parameter(np.ones(2))
        self.list = [Parameter(np.zeros(3)), "not a parameter", Parameter(np.zeros(4))]
        self.tuple = (Parameter(np.zeros(5)),)
        self.constant = Tensor(np.ones(6))
        self.none = None


class Tree(nn.Module):
    """Modules as attributes, in lists and in tuples, two levels deep."""

    def __init__(self):
        self.head = nn.Linear(2, 3)
        self.blocks = [nn.Sequential(nn.Linear(3, 4), nn.BatchNorm(4)), nn.ReLU()]
        self.pair = (nn.Linear(4, 5, bias=False), nn.Dropout())

    def forward(self, x):
        for layer in (self.head, *self.blocks, *self.pair):
            x = layer(x)
        return x


def names(pairs):
    return [name for name, _ in pairs]


def assert_same_state(a, b):
    assert list(a) == list(b)
    for name in a:
        assert a[name].dtype == b[name].dtype
        np.testing.assert_array_equal(a[name], b[name])


def small(bias=True):
    return nn.Sequential(nn.Linear(3, 4, bias=bias), nn.BatchNorm(4), nn.Sigmoid(), nn.Linear(4, 2))


# ---- what is inside --------------------------------------------------------------------------------------------------


def test_parameters_are_found_in_attributes_lists_and_tuples():
    module = Weights()
    assert names(module.named_parameters()) == ["scale", "list.0", "list.2", "tuple.0"]
    assert [p.data.size for p in module.parameters()] == [2, 3, 4, 5]
    assert next(module.parameters()) is module.scale


def test_names_are_dotted_paths():
    tree = Tree()
    assert names(tree.named_children()) == ["head", "blocks.0", "blocks.1", "pair.0", "pair.1"]
    assert names(tree.named_modules()) == [
        "", "head", "blocks.0", "blocks.0.0", "blocks.0.1", "blocks.1", "pair.0", "pair.1",
    ]  # fmt: skip
    assert names(tree.named_parameters()) == [
        "head.weight", "head.bias", "blocks.0.0.weight", "blocks.0.0.bias", "blocks.0.1.weight", "blocks.0.1.bias",
        "pair.0.weight",
    ]  # fmt: skip
    assert names(tree.named_buffers()) == [
        "blocks.0.1.running_mean", "blocks.0.1.running_var", "blocks.0.1.num_batches_tracked",
    ]  # fmt: skip
    assert names(tree.named_modules("net"))[:2] == ["net", "net.head"]
    assert dict(tree.named_modules())["blocks.0.1"] is tree.blocks[0][1]
    assert list(tree.children()) == [tree.head, *tree.blocks, *tree.pair]
    assert len(list(tree.modules())) == 8
    assert len(list(tree.buffers())) == 3


def test_shared_parts_count_once_under_their_first_name():
    layer = nn.Linear(3, 3)
    twice = nn.Sequential(layer, nn.ReLU(), layer)
    assert names(twice.named_modules()) == ["", "0", "1"]
    assert names(twice.named_parameters()) == ["0.weight", "0.bias"]
    tied = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    tied[1].weight = tied[0].weight
    assert names(tied.named_parameters()) == ["0.weight", "0.bias", "1.bias"]
    assert list(tied.state_dict()) == ["0.weight", "0.bias", "1.bias"]
    x = Tensor(np.ones((2, 3), np.float32))
    assert twice(x).op == "linear"  # it is applied twice all the same
    np.testing.assert_array_equal(twice(x).data, layer(nn.ReLU()(layer(x))).data)


def test_a_parameter_is_a_tensor_that_requires_a_gradient():
    array = np.ones((2, 3))
    parameter = Parameter(array)
    assert isinstance(parameter, Tensor)
    assert parameter.requires_grad
    np.testing.assert_array_equal(parameter.data, array)
    with pytest.raises(TypeError, match="only floats have gradients"):
        Parameter(np.arange(3))


def test_what_is_assigned_later_is_found_and_what_is_replaced_is_gone():
    module = Weights()
    module.extra = nn.Linear(1, 1)
    module.scale = None
    assert names(module.named_parameters()) == ["list.0", "list.2", "tuple.0", "extra.weight", "extra.bias"]


# ---- acting on all of it ---------------------------------------------------------------------------------------------


def test_train_and_eval_reach_every_module():
    tree = Tree()
    assert all(module.training for module in tree.modules())
    assert tree.eval() is tree
    assert not any(module.training for module in tree.modules())
    tree.blocks[0].train()
    assert [module.training for module in tree.modules()] == [False, False, True, True, True, False, False, False]
    assert tree.train() is tree
    assert all(module.training for module in tree.modules())
    assert not tree.train(False).training
    assert nn.Linear(1, 1).training  # other objects of the class are not affected


def test_apply_visits_children_before_their_parent():
    tree, seen = Tree(), []
    assert tree.apply(seen.append) is tree
    assert seen == [tree.head, *tree.blocks[0], tree.blocks[0], tree.blocks[1], *tree.pair, tree]


def test_zero_grad_forgets_all_gradients():
    model = small()
    model(Tensor(np.ones((3, 3), np.float32))).sum().backward()
    assert all(p.grad is not None for p in model.parameters())
    model.zero_grad()
    assert all(p.grad is None for p in model.parameters())


def test_frozen_parameters_get_no_gradient():
    model = small()
    assert model[0].requires_grad_(False) is model[0]
    x = Tensor(np.random.default_rng(0).standard_normal((5, 3)).astype(np.float32))
    (model(x) ** 2).sum().backward()
    assert [p.grad is None for p in model.parameters()] == [True, True, False, False, False, False]
    model.requires_grad_()
    (model(x) ** 2).sum().backward()
    assert all(p.grad is not None for p in model.parameters())


def test_to_changes_parameters_and_float_buffers():
    model, x = small(), np.random.default_rng(0).standard_normal((5, 3))
    model(Tensor(x.astype(np.float32))).sum().backward()
    before = model.state_dict()
    assert model.to(np.float64) is model
    for name, array in model.state_dict().items():
        assert array.dtype == (int if name == "1.num_batches_tracked" else np.float64)
        np.testing.assert_array_equal(array, before[name])
    assert all(p.grad is None for p in model.parameters())  # it would be of the old type
    assert model(Tensor(x)).dtype == np.float64
    assert model.to("float32")(Tensor(x.astype(np.float32))).dtype == np.float32


@pytest.mark.parametrize("dtype", [int, np.float16, bool, "int64"])
def test_to_refuses_what_cannot_be_trained(dtype):
    model = small()
    before = model.state_dict()
    with pytest.raises(TypeError, match="float32 or float64"):
        model.to(dtype)
    assert_same_state(model.state_dict(), before)


# ---- hooks -----------------------------------------------------------------------------------------------------------


def test_hooks_are_called_in_order_with_module_inputs_and_output():
    layer, x, seen = nn.ReLU(), Tensor(np.array([-1.0, 2.0])), []
    layer.register_forward_hook(lambda *args: seen.append(("first", *args)))
    layer.register_forward_hook(lambda *args: seen.append(("second", *args)))
    y = layer(x)
    assert seen == [("first", layer, (x,), y), ("second", layer, (x,), y)]


def test_what_a_hook_returns_replaces_the_output_for_those_that_follow():
    layer, x, seen = nn.ReLU(), Tensor(np.array([-1.0, 2.0])), []
    layer.register_forward_hook(lambda module, inputs, output: output * 10)
    layer.register_forward_hook(lambda module, inputs, output: seen.append(output.data))
    np.testing.assert_array_equal(layer(x).data, [0, 20])
    np.testing.assert_array_equal(seen[0], [0, 20])


def test_hooks_can_be_removed():
    layer, x, seen = nn.ReLU(), Tensor(np.ones(2)), []
    handle = layer.register_forward_hook(lambda *args: seen.append("a"))
    layer.register_forward_hook(lambda *args: seen.append("b"))
    layer(x)
    handle.remove()
    handle.remove()  # a second time does nothing
    layer(x)
    with layer.register_forward_hook(lambda *args: seen.append("c")):
        layer(x)
    layer(x)
    assert "".join(seen) == "ab" + "b" + "bc" + "b"
    with pytest.raises(ZeroDivisionError), layer.register_forward_hook(lambda *args: 1 / 0):
        layer(x)
    layer(x)  # gone after an exception too


def test_a_hook_may_remove_itself():
    layer, x, seen = nn.ReLU(), Tensor(np.ones(2)), []

    def once(module, inputs, output):
        seen.append("once")
        handle.remove()

    handle = layer.register_forward_hook(once)
    layer.register_forward_hook(lambda *args: seen.append("always"))
    layer(x)
    layer(x)
    assert seen == ["once", "always", "always"]


def test_hooks_belong_to_one_module():
    first, second, seen = nn.ReLU(), nn.ReLU(), []
    first.register_forward_hook(lambda *args: seen.append("first"))
    second(Tensor(np.ones(2)))
    assert seen == []


# ---- the rest --------------------------------------------------------------------------------------------------------


def test_deepcopy_is_independent():
    model = small()
    x = Tensor(np.random.default_rng(0).standard_normal((5, 3)).astype(np.float32))
    twin = copy.deepcopy(model)
    assert_same_state(twin.state_dict(), model.state_dict())
    before = twin.state_dict()
    for parameter in model.parameters():
        parameter.data += 1
    model(x)
    assert_same_state(twin.state_dict(), before)
    twin(x).sum().backward()
    assert all(p.grad is not None for p in twin.parameters())
    assert all(p.grad is None for p in model.parameters())


def test_deepcopy_keeps_sharing_inside_the_copy():
    layer = nn.Linear(3, 3)
    twin = copy.deepcopy(nn.Sequential(layer, layer))
    assert twin[0] is twin[1]
    assert twin[0] is not layer


def test_repr_shows_structure_settings_and_counts():
    model = nn.Sequential(nn.Linear(784, 100, bias=False), nn.Sequential(nn.BatchNorm(100), nn.Sigmoid()))
    lines = repr(model).splitlines()
    assert [" ".join(line.split()) for line in lines] == [
        "Sequential( 78,600 parameters",
        "(0): Linear(784, 100, bias=False) 78,400 parameters",
        "(1): Sequential( 200 parameters",
        "(0): BatchNorm(100, eps=1e-05, momentum=0.1) 200 parameters",
        "(1): Sigmoid()",
        ")",
        ")",
    ]
    assert [len(line) - len(line.lstrip()) for line in lines] == [0, 2, 2, 4, 4, 2, 0]
    counted = [line for line in lines if "parameters" in line]
    assert len({len(line) for line in counted}) == 1  # the counts stand under each other


def test_repr_counts_own_and_shared_parameters_once():
    class Scaled(nn.Module):
        def __init__(self):
            self.scale = Parameter(np.ones(7))
            self.first = self.second = nn.Linear(2, 3, bias=False)

    assert "13 parameters" in repr(Scaled()).splitlines()[0]


def test_sequential_is_a_list_of_modules():
    model = small()
    assert len(model) == 4
    assert list(model) == [model[0], model[1], model[2], model[3]]
    assert model[-1] is model[3]
    assert isinstance(model[1:3], nn.Sequential)
    assert list(model[1:3]) == [model[1], model[2]]
    assert names(model[1:3].named_children()) == ["0", "1"]
    x = Tensor(np.ones((2, 3), np.float32))
    assert nn.Sequential()(x) is x
    with pytest.raises(IndexError):
        model[4]
    with pytest.raises(TypeError, match="layer 1 is a function"):
        nn.Sequential(nn.ReLU(), minidl.functional.relu)


def test_identity_returns_its_input():
    x = Tensor(np.ones(3))
    assert nn.Identity()(x) is x


def test_a_module_without_forward_says_so():
    class Empty(nn.Module):
        pass

    with pytest.raises(TypeError, match=r"Empty: define forward\(self, x\)"):
        Empty()(Tensor(np.ones(1)))


def test_modules_may_take_several_inputs():
    class Sum(nn.Module):
        def forward(self, a, b):
            return a + b

    np.testing.assert_array_equal(Sum()(Tensor(np.ones(2)), Tensor(np.ones(2))).data, [2, 2])
