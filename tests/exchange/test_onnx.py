"""Networks in ONNX: onnxruntime gives minidl's outputs, for every layer and operation; what has no form is named."""

import inspect

import numpy as np
import pytest

import minidl
from minidl import Tensor, cat, exchange, nn
from minidl import functional as F
from minidl.exchange.onnx import NotExported
from minidl.exchange.onnx_ops import FORMS
from minidl.lab import models
from tests.exchange.test_structures import OurResNet
from tests.helpers import JIT

onnx = pytest.importorskip("onnx")
runtime = pytest.importorskip("onnxruntime")


def rng(seed=0):
    return np.random.default_rng(seed)


def images(*shape, batch=2, dtype=np.float32):
    return rng().standard_normal((batch, *shape)).astype(dtype)


def lived_in(model, x, steps=2):
    """A network whose γ, β and statistics are not those of a new one."""
    generator = rng(1)
    for parameter in model.parameters():
        if parameter.ndim == 1:
            parameter.data += 0.3 * generator.standard_normal(parameter.shape).astype(parameter.dtype)
    for _ in range(steps):
        model(Tensor(np.concatenate([x, 0.5 * x + 0.3] if x.dtype.kind == "f" else [x])))
    return model.eval()


def turned(x, layout, back=False):
    if layout == "NHWC" or x.ndim != 4:
        return x
    return x.transpose(0, 2, 3, 1) if back else np.ascontiguousarray(x.transpose(0, 3, 1, 2))


def exported(model, example, path, **options):
    exchange.onnx.export(model, example, path, **options)
    return onnx.load(path)


def assert_same(model, x, path, layout="NHWC", **options):
    """The exported network gives what minidl gives, also for batches of other sizes; returns its graph."""
    graph = exported(model, x, path, layout=layout, **options).graph
    session = runtime.InferenceSession(path, providers=["CPUExecutionProvider"])
    for batch in (x, x[:1], np.concatenate([x, x[::-1], x])):
        expected = model(Tensor(batch)).data
        (found,) = session.run(None, {"input": turned(batch, layout)})
        found = turned(found, layout, back=True)
        assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * (1 + np.abs(expected).max()))
    return graph


def kinds(graph):
    return [node.op_type for node in graph.node]


class Computes(nn.Module):
    """A forward of one's own."""

    def __init__(self, function, **attributes):
        self.function = function
        for name, value in attributes.items():
            setattr(self, name, value)

    def forward(self, *args):
        return self.function(*args)


# ---- every layer ---------------------------------------------------------------------------------------------------------

VECTORS, IMAGES = images(6, batch=4), images(7, 5, 3)
LAYERS = {
    "Linear": [(nn.Linear(6, 4), VECTORS), (nn.Linear(6, 4, bias=False), VECTORS), (nn.Linear(5, 4), images(3, 5)),
               (nn.Linear(5, 4, bias=False), images(3, 5)), (nn.Linear(3, 4), IMAGES)],
    "Conv2d": [(nn.Conv2d(3, 4, 3, padding=1), IMAGES), (nn.Conv2d(3, 4, (3, 2), 2, (2, 1), bias=False), IMAGES),
               (nn.Conv2d(16, 17, 3), images(6, 6, 16))],
    "BatchNorm": [(nn.BatchNorm(3), IMAGES), (nn.BatchNorm(6, eps=0.1), VECTORS), (nn.BatchNorm(5), images(3, 5)),
                  (nn.BatchNorm(3, affine=False), IMAGES), (nn.BatchNorm(3, weight=False, momentum=None), IMAGES),
                  (nn.BatchNorm(3, track_running_stats=False), IMAGES)],
    "BatchNormReLUMaxPool2d": [(nn.fuse(nn.Sequential(nn.BatchNorm(3), nn.ReLU(), nn.MaxPool2d(2))), IMAGES)],
    "LayerNorm": [(nn.LayerNorm(6, eps=0.01), VECTORS), (nn.LayerNorm(3), IMAGES)],
    "ReLU": [(nn.ReLU(), VECTORS), (nn.ReLU(), IMAGES)], "Sigmoid": [(nn.Sigmoid(), IMAGES)],
    "Tanh": [(nn.Tanh(), VECTORS)], "GELU": [(nn.GELU(), VECTORS)], "Identity": [(nn.Identity(), IMAGES)],
    "SiLU": [(nn.SiLU(), IMAGES)], "LeakyReLU": [(nn.LeakyReLU(0.2), VECTORS)],
    "ConvTranspose2d": [(nn.ConvTranspose2d(3, 4, 3), IMAGES),
                        (nn.ConvTranspose2d(3, 2, (3, 2), (2, 3), (1, 0), (1, 2), bias=False), IMAGES)],
    "Embedding": [(nn.Embedding(9, 4, padding_idx=0), np.arange(12).reshape(4, 3) % 9)],
    "Upsample": [(nn.Upsample(2), IMAGES), (nn.Upsample((1.5, 3)), IMAGES), (nn.Upsample((2, 1.5), "bilinear"), IMAGES),
                 (nn.Upsample(2, "bilinear", align_corners=True), IMAGES), (nn.Upsample(0.5, "bilinear"), images(8, 6, 2))],
    "GroupNorm": [(nn.GroupNorm(2, 6), VECTORS), (nn.GroupNorm(3, 3, eps=0.1), IMAGES),
                  (nn.GroupNorm(2, 4, affine=False), images(5, 4)), (nn.GroupNorm(2, 4), images(5, 3, 4))],
    "GroupNormReLU": [(nn.fuse(nn.Sequential(nn.GroupNorm(3, 3), nn.ReLU())), IMAGES)],
    "BatchRenorm": [(nn.BatchRenorm(3, warmup=0, r_steps=0, d_steps=0), IMAGES), (nn.BatchRenorm(6, affine=False), VECTORS)],
    "GhostBatchNorm": [(nn.GhostBatchNorm(3, 2), IMAGES)],
    "Dropout": [(nn.Dropout(0.5), VECTORS)], "Flatten": [(nn.Flatten(), IMAGES), (nn.Flatten(), VECTORS)],
    "MaxPool2d": [(nn.MaxPool2d(2), IMAGES), (nn.MaxPool2d((3, 2), (2, 1)), IMAGES)],
    "AvgPool2d": [(nn.AvgPool2d(2), IMAGES), (nn.AvgPool2d((3, 2), (2, 1)), IMAGES)],
    "GlobalAvgPool2d": [(nn.GlobalAvgPool2d(), IMAGES)],
    "AveragedViews": [(nn.AveragedViews(nn.Sequential(nn.Conv2d(3, 4, 2), nn.Flatten(), nn.Linear(96, 2))), IMAGES)],
    "Residual": [(nn.Residual(nn.Conv2d(3, 3, 3, padding=1)), IMAGES),
                 (nn.Residual(nn.Linear(6, 4), nn.Linear(6, 4)), VECTORS)],
    "ResidualReLU": [(nn.fuse(nn.Sequential(nn.Residual(nn.Conv2d(3, 3, 3, padding=1)), nn.ReLU())), IMAGES)],
    "Sequential": [(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm(4), nn.Sequential(nn.ReLU(), nn.Flatten())), IMAGES)],
}  # fmt: skip
CASES = [(name, i) for name, cases in LAYERS.items() for i in range(len(cases))]


@pytest.mark.parametrize(("name", "case"), CASES)
@pytest.mark.parametrize("layout", ["NHWC", "NCHW"])
def test_every_layer(name, case, layout, tmp_path):
    model, x = LAYERS[name][case]
    # one example has no variance of its own
    x = x if name != "BatchNorm" or getattr(model, "track_running_stats", True) else images(7, 5, 3, batch=3)
    assert_same(lived_in(model, x), x, tmp_path / "m.onnx", layout)


def test_no_layer_is_left_out():
    layers = {n for n in nn.__all__ if inspect.isclass(getattr(nn, n)) and issubclass(getattr(nn, n), nn.Module)}
    assert layers - {"Module", "ModuleList", "ModuleDict"} == set(LAYERS), (  # the last two have no forward
        "give the layer a case here, and its operations a form in exchange/onnx_ops.py"
    )


# ---- every operation -----------------------------------------------------------------------------------------------------

ONE = np.float32(1.5)
OPERATIONS = {
    "add, sub": lambda x: 2 - (x + 1) - x, "mul, div": lambda x: 1 / (x * x + ONE) / 3, "neg": lambda x: -x,
    "pow": lambda x: (x * x + 1) ** 1.5 + 2.0 ** x, "exp, log": lambda x: (x.exp() + 1).log(),
    "to": lambda x: x.to(np.float64).to(np.float32),
    "matmul": lambda x: x @ np.arange(12, dtype=np.float32).reshape(6, 2),
    "matmul of stacks": lambda x: x.reshape(-1, 2, 3) @ x.reshape(-1, 3, 2),
    "matmul with vectors": lambda x: (x @ np.arange(6, dtype=np.float32)) * 2,
    "sum": lambda x: x.sum(1) + x.sum(-1), "sum of all": lambda x: x + x.sum() + x.sum((0, 1), keepdim=True),
    "sum over nothing": lambda x: x.sum(()),
    "mean": lambda x: x.mean(0, keepdim=True) + x.mean((1,), keepdim=True) + x.mean(),
    "max": lambda x: x.max(1, keepdim=True) + x.max(0) + x.max(), "reshape": lambda x: x.reshape(-1, 3, 2).reshape(6, -1),
    "rows of all": lambda x: x.reshape(-1, 3), "T": lambda x: x.T @ x,
    "transpose": lambda x: x.reshape(-1, 2, 3).transpose(0, 2),
    "permute": lambda x: x.reshape(-1, 2, 3).permute(0, -1, 1), "cat": lambda x: cat([x, x * 2], 1) + cat([x, x], -1),
    "softmax": lambda x: F.softmax(x) + F.softmax(x.reshape(-1, 3, 2)).reshape(-1, 6), "log_softmax": F.log_softmax,
    "slices": lambda x: cat([x[:, 1:3], x[:, ::-2], x[:, -2:], x[:, 4:0:-1], x[..., :1], x[:, 3:9]], 1),
    "whole numbers": lambda x: x[:, 2] * x[0, 1] + x[-1][3],
    "new axes": lambda x: x[:, None, 1:3, None] * x[None, 0, :2][:, :, None],
    "lists": lambda x: x[:, [3, 3, 0]] + x[:, np.array([1, -1, 2])], "all": lambda x: x[...] + x[()] + x[:],
    "a parameter of one's own": lambda x: x * nn.Parameter(np.arange(6, dtype=np.float32)),
    "the layers' operations": lambda x: F.gelu(F.tanh(F.sigmoid(F.relu(x)))),
    "detached": lambda x: x.detach() * 2, "tensor of tensor": lambda x: Tensor(x) + 1,
}  # fmt: skip


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_operation(name, tmp_path):
    assert_same(Computes(OPERATIONS[name]), VECTORS, tmp_path / "m.onnx")


IMAGE_OPERATIONS = {
    "residual": lambda conv, x: F.relu(x + conv(x)) * conv(x),
    "one number for each channel": lambda conv, x: conv(x) * conv(x).mean((1, 2), keepdim=True) + np.float32([0, 1, 2]),
    "one number for all": lambda conv, x: conv(x) * 2 + conv(x).max() - np.ones((1, 1, 1, 1), np.float32),
    "layers by hand": lambda conv, x: F.global_avg_pool2d(F.max_pool2d(F.avg_pool2d(conv(x), 2, 1), 2)),
    "a side of a triangle": lambda conv, x: conv(x)[:, ::-1, 1:] - x[:, :, 1:].permute(0, 1, 2, 3),
    "an image in its place": lambda conv, x: cat([conv(x), x], 3) * np.ones((7, 5, 6), np.float32),
}  # fmt: skip


@pytest.mark.parametrize("name", IMAGE_OPERATIONS)
@pytest.mark.parametrize("layout", ["NHWC", "NCHW"])
def test_images_in_both_layouts(name, layout, tmp_path):
    conv = nn.Conv2d(3, 3, 3, padding=1, generator=rng())
    assert_same(Computes(lambda x: IMAGE_OPERATIONS[name](conv, x), conv=conv), IMAGES, tmp_path / "m.onnx", layout)


def test_whole_numbers_go_in(tmp_path):
    pixels = rng().integers(0, 256, (3, 6)).astype(np.uint8)
    assert_same(Computes(lambda x: x / 255 - x.mean(1, keepdim=True)), pixels, tmp_path / "m.onnx")
    counts = rng().integers(0, 9, (3, 6))
    assert_same(Computes(lambda x: x.sum(1) + x.max(1) * 2), counts, tmp_path / "m.onnx")


def test_no_operation_is_left_out():
    """Losses are not what a network answers; an eigenvalue has no form, nor have sparse matrices."""
    methods = {"add", "sub", "mul", "truediv", "pow", "neg", "exp", "log", "to", "matmul", "matmul_nd", "sum", "mean", "max",
               "reshape", "permute", "getitem", "cat"}  # fmt: skip
    none = {"cross_entropy", "mse_loss", "zca_whiten", "dropout", "global_avg_pool2d", "ghost_batch_norm"}
    none |= {"sparse_matmul", "edge_add", "edge_softmax", "edge_sum"}
    assert set(FORMS) == (set(F.__all__) - none) | methods


# ---- networks ------------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not JIT, reason="minutes of plain Python")
@pytest.mark.parametrize("fold", [False, True])
@pytest.mark.parametrize(
    ("make", "shape"),
    [(models.paper_mlp, (784,)), (models.mnist_conv, (28, 28, 1)), (models.cifar_conv, (32, 32, 3)),
     (lambda: nn.fuse(models.mnist_conv()), (28, 28, 1)), (lambda: models.mnist_conv("none"), (28, 28, 1))],
    ids=["paper_mlp", "mnist_conv", "cifar_conv", "fused", "without batch norm"],
)  # fmt: skip
def test_the_reference_networks(make, shape, fold, tmp_path):
    x = images(*shape)
    graph = assert_same(lived_in(make(), x), x, tmp_path / "m.onnx", "NCHW", fold_batch_norm=fold)
    if fold and make is not models.cifar_conv:  # where a max-pooling is between
        assert "BatchNormalization" not in kinds(graph)


@pytest.mark.parametrize("opset", [20, 21, 22, 23, 25])
def test_residual_networks_in_any_version_of_the_operators(opset, tmp_path):
    if opset > 22 and tuple(map(int, runtime.__version__.split(".")[:2])) < (1, 25):
        pytest.skip("this onnxruntime does not know it yet")
    x = images(8, 6, 3)
    graph = assert_same(lived_in(OurResNet(), x), x, tmp_path / "m.onnx", opset=opset)
    assert kinds(graph).count("Transpose") == 2  # at the door, and before what has no pixels any more
    assert onnx.load(tmp_path / "m.onnx").opset_import[0].version == opset


def test_batch_norm_is_folded_wherever_it_follows_a_layer(tmp_path):
    x = images(8, 6, 3)
    model = lived_in(OurResNet(), x)
    graph = assert_same(model, x, tmp_path / "m.onnx", fold_batch_norm=True)
    assert "BatchNormalization" not in kinds(graph)
    weights = {i.name: onnx.numpy_helper.to_array(i) for i in graph.initializer}
    scale = model.bn1.weight.data / np.sqrt(model.bn1.running_var + model.bn1.eps)
    np.testing.assert_allclose(
        weights["conv1.weight"], (model.conv1.weight.data * scale).transpose(3, 2, 0, 1), rtol=1e-5
    )
    assert "conv1.bias" in weights


NOT_FOLDED = {
    "used twice": lambda conv, norm, x: norm(conv(x)) + conv(x).sum() * 0 + (lambda y: norm(y) + y)(conv(x)),
    "no layer before": lambda conv, norm, x: norm(F.relu(conv(x))),
    "statistics of the batch": lambda conv, norm, x: F.batch_norm(conv(x), None, None, None, None, True),
}


@pytest.mark.parametrize("name", NOT_FOLDED)
def test_other_batch_norms_stay(name, tmp_path):
    conv, norm, x = nn.Conv2d(3, 4, 3, generator=rng()), nn.BatchNorm(4), images(5, 5, 3, batch=3)
    lived_in(nn.Sequential(conv, norm), x)
    model = Computes(lambda x: NOT_FOLDED[name](conv, norm, x), conv=conv, norm=norm).eval()
    assert_same(model, x, tmp_path / "m.onnx", fold_batch_norm=True)


def test_names_are_those_of_the_state(tmp_path):
    model = lived_in(OurResNet(), images(8, 6, 3))
    graph = exported(model, images(8, 6, 3), tmp_path / "m.onnx").graph
    weights = {i.name: onnx.numpy_helper.to_array(i) for i in graph.initializer}
    state = {n: a for n, a in model.state_dict().items() if not n.endswith("num_batches_tracked")}
    assert state.keys() <= weights.keys()
    for name, array in state.items():
        np.testing.assert_array_equal(weights[name], array.transpose(3, 2, 0, 1) if array.ndim == 4 else array)


@pytest.mark.parametrize(("layout", "sizes"), [("NHWC", ["batch", 7, 5, 3]), ("NCHW", ["batch", 3, 7, 5])])
def test_the_batch_is_free_and_other_sizes_are_not(layout, sizes, tmp_path):
    proto = exported(nn.Conv2d(3, 4, 3), IMAGES, tmp_path / "m.onnx", layout=layout)
    (given,), (made,) = proto.graph.input, proto.graph.output
    assert (given.name, made.name, proto.producer_name) == ("input", "output", "minidl")
    assert [d.dim_param or d.dim_value for d in given.type.tensor_type.shape.dim] == sizes
    assert made.type.tensor_type.shape.dim[0].dim_param == "batch"


def test_several_inputs_and_outputs(tmp_path):
    model = Computes(lambda x, y: (x + y.sum(1, keepdim=True), [x * y][0]))
    a, b = images(6, batch=3), 2 * images(6, batch=3)
    exchange.onnx.export(model, (a, b), tmp_path / "m.onnx")
    session = runtime.InferenceSession(tmp_path / "m.onnx", providers=["CPUExecutionProvider"])
    found = session.run(["output_0", "output_1"], {"input_0": a, "input_1": b})
    np.testing.assert_allclose(found[0], a + b.sum(1, keepdims=True), rtol=1e-5)
    np.testing.assert_allclose(found[1], a * b)


def test_in_float64(tmp_path):
    assert_same(nn.Linear(6, 2).to(np.float64), images(6, batch=3, dtype=np.float64), tmp_path / "m.onnx")


def test_the_network_is_left_alone(tmp_path):
    model = nn.Sequential(nn.Linear(6, 6), nn.BatchNorm(6), nn.Dropout(0.5, rng(3)))
    seen, before = [], model.state_dict()
    model.register_forward_hook(lambda *_: None)
    state = model[2].generator.bit_generator.state
    with minidl.detect_anomaly():
        exchange.onnx.export(model, VECTORS, tmp_path / "m.onnx")
    assert model.training
    assert model[2].generator.bit_generator.state == state
    assert not seen
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(array, before[name])
    assert not minidl.autograd.engine.is_observed()


def in_place(x):
    x.data[:] = np.abs(x.data)
    return x


def test_names_of_the_state_come_first(tmp_path):
    ones = np.ones(6, np.float32)
    model = Computes(
        lambda x: F.relu(x * model.input + model.Mul), input=nn.Parameter(ones), Mul=nn.Parameter(3 * ones)
    )
    exchange.onnx.export(model, VECTORS, tmp_path / "m.onnx")
    graph = onnx.load(tmp_path / "m.onnx").graph
    assert {i.name for i in graph.initializer} == {"input", "Mul"}
    assert graph.input[0].name == "input_2"


# ---- what is refused -----------------------------------------------------------------------------------------------------

REFUSED = {
    "no form": (lambda x: F.zca_whiten(x, 1.0), r"zca_whiten in the module \(Computes\), called at test_onnx.py:\d+: has"),
    "random": (lambda x: F.dropout(x, 0.5, True), "dropout.*has no form"),
    "all of them": (lambda x: F.mse_loss(F.zca_whiten(x, 1.0), x) + x[x.data > 0].sum(), "zca_wh.*\n.*mse_l.*\n.*getitem"),
    "NumPy": (lambda x: x * np.abs(x.data), r"mul.*its operand of shape \(4, 6\) depends on the input"),
    "a number of the data": (lambda x: x * float(x.data.max()), r"mul.*its operand of shape \(\) depends on the input"),
    "the size of the batch": (lambda x: x * np.float32(1 / len(x)), r"mul.*its operand of shape \(\) depends"),
    "half a batch": (lambda x: x[: len(x) // 2 + 1], "getitem.*its index depends on the input"),
    "two lists": (lambda x: x[np.array([0, 1]), np.array([1, 2])], "getitem.*index with several arrays or numbers"),
    "no operation": (lambda x: Tensor(x.data * 2), "the output is not computed from the input"),
    "a constant": (lambda x: Tensor(np.ones(3, np.float32)), "the output is not computed from the input"),
    "another way": (lambda x: x * 2 if len(x) == 4 else x + 2, "does mul.* for the example and add.* for another batch"),
    "more of it": (lambda x: x * 2 if len(x) == 4 else x * 2 * 2, "does nothing more for the example and mul"),
    "one batch": (lambda x: x + np.ones((4, 6), np.float32), "takes no batch of 9"),
    "in place": (lambda x: in_place(x * 2) + x, r"add.*an operand was changed in place after it was computed"),
    "two free sizes": (lambda x: (x @ x.T).reshape(len(x), 1, len(x)), "several sizes of its result"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_exported_is_named_before_a_file_is_written(name, tmp_path):
    function, why = REFUSED[name]
    with pytest.raises(NotExported, match="(?s)exchange.onnx.export: .*" + why):
        exchange.onnx.export(Computes(function), VECTORS, tmp_path / "m.onnx")
    assert not list(tmp_path.iterdir())


def test_what_is_wrong_is_told_and_an_older_file_stays(tmp_path):
    path, model = tmp_path / "m.onnx", nn.Linear(6, 2)
    path.write_bytes(b"older")
    cases = [
        (lambda: exchange.onnx.export(3, VECTORS, path), TypeError, "model is a int; it must be a minidl Module"),
        (lambda: exchange.onnx.export(model, VECTORS, path, layout="CHWN"), ValueError, "layout is 'CHWN'; it must be"),
        (lambda: exchange.onnx.export(model, VECTORS, path, opset=11), ValueError, "opset is 11; it must be .* from 20"),
        (lambda: exchange.onnx.export(model, VECTORS, path, opset=10**6), ValueError, "opset is 1000000; it must be"),
        (lambda: exchange.onnx.export(model, VECTORS[:0], path), ValueError, r"the example is \(0, 6\); it must be a batch"),
        (lambda: exchange.onnx.export(model, (), path), ValueError, r"the examples are \[\]; there must be one at least"),
        (lambda: exchange.onnx.export(model, (VECTORS, VECTORS[:1]), path), ValueError, "in equal numbers"),
        (lambda: exchange.onnx.export(model, VECTORS[:, :3], path), ValueError, "linear: x is"),
        (lambda: exchange.onnx.export(model, VECTORS.astype(np.float64), path), TypeError, "linear: x is float64"),
        (lambda: exchange.onnx.export(model, "x", path), TypeError, "Tensor: got"),
        (lambda: exchange.onnx.export(model, VECTORS, tmp_path), IsADirectoryError, "is a folder; name a file in it"),
        (lambda: exchange.onnx.export(Computes(lambda x: None), VECTORS, path), TypeError, "forward returned NoneType;"),
    ]  # fmt: skip
    for action, kind, why in cases:
        with pytest.raises(kind, match=why):
            action()
    assert [p.name for p in tmp_path.iterdir()] == ["m.onnx"]
    assert path.read_bytes() == b"older"
