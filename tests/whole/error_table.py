"""What every public function refuses: a call, and how its error begins. `test_errors.py` makes the calls."""

import numpy as np

import minidl
from minidl import CSR, Tensor, checkpoint, data, exchange, gradcheck, nn, optim, probe, replay, train
from minidl import functional as F
from minidl.lab import models, plot
from minidl.nn import init

NAN = float("nan")
GRAPH = CSR([0, 2, 2, 3], [0, 1, 1], (3, 2))


def ones(*shape, dtype=np.float32):
    return np.ones(shape, dtype)


def t(*shape, dtype=np.float32):
    return Tensor(ones(*shape, dtype=dtype), requires_grad=True)


def labels(*values):
    return np.array(values)


def sgd(**settings):
    return optim.SGD([t(2)], **{"lr": 0.1} | settings)


def result():
    return t(2) * 1.0


def frozen(tensor):
    tensor.data = tensor.data.copy()
    tensor.data.flags.writeable = False
    return tensor


def holding(value):
    module = nn.ReLU()
    module.held = value
    return module


def with_gradient(parameter, gradient):
    parameter.grad = gradient
    return parameter


def twice():
    loss = result().sum()
    loss.backward()
    loss.backward()


def with_whole_numbers():
    x = t(2)
    x.data = labels(1, 2)
    (x * 1.0).sum().backward()


def after_a_step():
    w = t(2)
    loss = (w * w).sum()
    optim.SGD([with_gradient(w, ones(2))], lr=0.1).step()
    loss.backward()


def with_hook(hook):
    y = result()
    y.register_hook(hook)
    y.backward(ones(2))


async def an_async_function():
    pass


class Returns(nn.Module):
    def __init__(self, value):
        super().__init__()
        self.value = [value]

    def forward(self, x):
        return self.value[0]


def epoch(loss_fn=F.mse_loss, quiet=True, **settings):
    train.train_one_epoch(nn.Linear(2, 2), [(ones(3, 2), ones(3, 2))], sgd(), loss_fn, quiet=quiet, **settings)


def watched(action):
    with minidl.detect_anomaly(), np.errstate(all="ignore"):
        action()


def a_change():
    x = t(2)
    y = x * x
    x.data += 1
    y.backward(ones(2))


def elementwise(name, function):
    return [
        (lambda: function(ones(2)), f"{name}: x is a ndarray, not a Tensor; wrap it"),
        (lambda: function(None), f"{name}: x is a NoneType, not a Tensor"),
        (lambda: function(Tensor(labels(1))), f"{name}: x is int64, not a float type; convert it"),
    ]


def of_numbers(name, method):
    """A reduction: what is wrong with its `dim`."""
    return [
        (lambda: method(t(2, 3), 2), rf"{name}: dim is 2 but the tensor is \(2, 3\); dim must be from -2 to 1"),
        (lambda: method(t(2, 3), "rows"), f"{name}: dim is 'rows' but"),
        (lambda: method(t(2, 3), [0, 0]), rf"{name}: dim is \(0, 0\) but .*; each dimension must be named once"),
        (lambda: method(t(), 0), rf"{name}: dim is 0 but the tensor is \(\); dim must be None"),
    ]


def fans(name, function):
    return [
        (lambda: function(t(2)), rf"{name}: the tensor is \(2,\); it must be a weight"),
        (lambda: function(t(2, 2), generator=0), "generator is 0, a int; it must be a numpy.random.Generator"),
    ]


def pixels():
    return np.random.default_rng(0).standard_normal((4, 8, 8, 3)).astype(np.float32)


def of_images(name, function):
    return [
        (
            lambda: function(ones(4, 8, 8)),
            rf"{name}: images are \(4, 8, 8\); they must be \(N, H, W, C\), and grey ones",
        ),
        (
            lambda: function(labels(1)),
            f"{name}: images are int64; they must be uint8, float32 or float64: images.astype",
        ),
        (lambda: function(None), f"{name}: images are object; they must be"),
    ]


def averages(kind):
    name = kind.__name__
    return [
        (lambda: kind([t(2)]), f"{name}: model is a list; it must be a Module"),
        (lambda: kind(nn.Linear(2, 2)).update(-0.1), f"{name}: decay is -0.1; it must be a number from 0 to 1"),
        (lambda: kind(nn.Linear(2, 2)).update(NAN), f"{name}: decay is nan; it must be"),
        (
            lambda: converted_since(kind(nn.Linear(2, 2))).update(0.5),
            f"{name}: the network has other .*; make a new {name}",
        ),
        (
            lambda: kind(nn.Linear(2, 2)).copy_to(nn.Linear(2, 3)),
            "load_state_dict: this state does not fit Linear; it must",
        ),
        (
            lambda: kind(nn.Linear(2, 2)).load_state_dict({}),
            rf"{name}.load_state_dict: got no state .*; it must be what state",
        ),
        (
            lambda: kind(nn.Linear(2, 2)).load_state_dict(nn.Linear(2, 3).state_dict()),
            rf"{name}.load_state_dict: weight, bias have other shapes or types; they must be",
        ),
    ]


def optimizers(kind):
    """What Adam and AdamW refuse; parameters are refused by what they share with SGD."""
    name = kind.__name__

    def make(**settings):
        return kind([t(2)], **settings)

    def spoilt(**buffer):
        optimizer = kind([with_gradient(t(2), ones(2))])
        optimizer.step()
        state = optimizer.state_dict()
        return make().load_state_dict(state | {"buffers": {0: state["buffers"][0] | buffer}})

    return [
        (lambda: kind([]), f"{name}: there are no parameters to optimise; pass model.parameters()"),
        (lambda: kind([{"params": t(2), "momentum": 1}]), rf"{name}: got a group with \['momentum', 'params'\]; each"),
        (lambda: kind(nn.Linear(2, 2)), f"{name}: params is a Linear; it must be parameters: pass"),
        (lambda: make(lr=-1), f"{name}: lr is -1; it must be a number of at least 0"),
        (lambda: make(eps=NAN), f"{name}: eps is nan; it must be a number of at least 0"),
        (lambda: make(weight_decay=-1), f"{name}: weight_decay is -1; it must be a number of at least 0"),
        (lambda: make(betas=0.9), f"{name}: betas are 0.9; they must be a pair of numbers from 0 to below 1"),
        (lambda: make(betas=(0.9, 1)), rf"{name}: betas are \(0.9, 1\); they must be a pair"),
        (lambda: make(betas=(0.9, "a")), rf"{name}: betas are \(0.9, 'a'\); they must be a pair"),
        (lambda: make(betas=(0.9,)), rf"{name}: betas are \(0.9,\); they must be a pair"),
        (lambda: make(amsgrad=1), f"{name}: amsgrad is 1; it must be True or False"),
        (lambda: make(maximize="no"), f"{name}: maximize is 'no'; it must be True or False"),
        (
            lambda: kind([with_gradient(t(2), ones(3))]).step(),
            rf"{name}: a parameter is \(2,\) but its gradient is \(3,\)",
        ),
        (
            lambda: make().load_state_dict(sgd().state_dict()),
            f"{name}.load_state_dict: got no state of an {name}; it must",
        ),
        (lambda: spoilt(step=0), f"{name}.load_state_dict: got no state of an {name}; it must be what"),
        (lambda: spoilt(step=2.5), f"{name}.load_state_dict: got no state of an {name}; it must be what"),
        (lambda: spoilt(exp_avg=[1, 2]), f"{name}.load_state_dict: got no state of an {name}; it must be what"),
        (lambda: spoilt(exp_avg=ones(3)), f"{name}.load_state_dict: got no state of an {name}; it must be what"),
        (
            lambda: spoilt(exp_avg=ones(3), exp_avg_sq=ones(3)),
            f"{name}.load_state_dict: .* belongs to other parameters; bu",
        ),
        (lambda: spoilt(momentum=ones(2)), f"{name}.load_state_dict: got no state of an {name}; it must be what"),
    ]


def stepped(schedule, steps):
    for _ in range(steps):
        schedule.step()


def clippers(clip):
    """What is refused of the gradients that are to be clipped."""
    name = clip.__name__
    return [
        (lambda: clip(3, 1), f"{name}: got a int; it must be parameters: pass model.parameters()"),
        (lambda: clip([ones(2)], 1), f"{name}: got a ndarray among the parameters; they must be tensors"),
        (
            lambda: clip([Tensor(labels(1, 2))], 1),
            f"{name}: got int64 among the parameters; they must be of float32 or",
        ),
        (
            lambda: clip(with_gradient(t(2), [1, 2]), 1),
            f"{name}: a parameter's gradient is a list; it must be an array",
        ),
        (
            lambda: clip(with_gradient(t(2), ones(2) * 1j), 1),
            f"{name}: a parameter's gradient is of complex64; it must be",
        ),
        (
            lambda: clip(with_gradient(t(2), ones(3)), 1),
            rf"{name}: a parameter is \(2,\) but its gradient is \(3,\); they mu",
        ),
    ]


def added_twice(optimizer):
    optimizer.add_param_group({"params": optimizer.param_groups[0]["params"]})


def updated_bn():
    return [
        (lambda: optim.update_bn([], nn.BatchNorm(2)), "update_bn: the loader gave no batch; a gener"),
        (
            lambda: optim.update_bn(nn.BatchNorm(2), [ones(2, 2)]),
            "update_bn: model is a list; it must be a Module, aft",
        ),
    ]


def converted_since(average):
    average.model.to(np.float64)
    return average


def pool(name, function):
    return [
        (lambda: function(t(4, 4), 2), rf"{name}: x is \(4, 4\); it must be \(N, H, W, C\)"),
        (lambda: function(t(1, 4, 4, 1), 5), rf"{name}: x is .*; it must be .* no smaller than the window \(5, 5\)"),
        (lambda: function(t(1, 4, 4, 1), 0), f"{name}: kernel_size is 0; it must be a whole number of at least 1"),
        (lambda: function(t(1, 4, 4, 1), 2, 1.5), f"{name}: stride is 1.5; it must be a whole number"),
        (lambda: function(ones(1, 4, 4, 1), 2), f"{name}: x is a ndarray, not a Tensor; wrap it"),
    ]


def settings_of_a_pool(name, layer):
    return [
        (lambda: layer(0), f"{name}: kernel_size is 0; it must be a whole number of at least 1"),
        (lambda: layer(2, stride=(1, 0)), rf"{name}: stride is \(1, 0\); it must be"),
    ]


def arithmetic(name, function):
    return [
        (lambda: function(t(2), t(3)), rf"{name}: shapes \(2,\) and \(3,\) do not fit; .* must be equal"),
        (lambda: function(t(2, 3), ones(2)), rf"{name}: shapes \(2, 3\) and \(2,\) do not fit"),
        (lambda: function(t(2), "a"), f"{name}: a tensor and str do not mix; convert it"),
        (lambda: function(t(2), [[1], [1, 2]]), f"{name}: a tensor and list do not mix"),
        (lambda: function(t(2), t(2, dtype=np.float64)), f"{name}: float32 and float64 do not mix; convert one"),
    ]


def fused(x, **changes):
    settings = {"running_mean": ones(3), "running_var": ones(3), "weight": t(3), "bias": t(3)} | changes
    return F.batch_norm_relu_max_pool2d(x, **settings)


def group_norm(name, function):
    return [
        (lambda: function(t(3), 1), rf"{name}: x is \(3,\) and num_groups 1; x must be \(N, C\) or"),
        (lambda: function(t(2, 4), 3), rf"{name}: x is \(2, 4\) and num_groups 3; .* C a multiple of num_groups"),
        (lambda: function(t(2, 0), 1), f"{name}: x is .*; x must be"),
        (lambda: function(t(2, 4), 0), f"{name}: num_groups is 0; it must be a whole number of at least 1"),
        (lambda: function(t(2, 4), 2.0), f"{name}: num_groups is 2.0; it must be a whole number"),
        (lambda: function(t(2, 4), 2, t(3)), rf"{name}: x is .* but weight is \(3,\); it must be \(4,\)"),
        (lambda: function(t(2, 4), 2, t(4), t(2)), rf"{name}: x is .* but bias is \(2,\); it must be"),
        (lambda: function(t(2, 4), 2, ones(4)), f"{name}: weight is a ndarray, not a Tensor; wrap it"),
        (lambda: function(ones(2, 4), 2), f"{name}: x is a ndarray, not a Tensor; wrap it"),
        (lambda: function(t(2, 4), 2, eps=NAN), f"{name}: eps is nan; it must be a number of at least 0"),
    ]


def groups_of(name, layer):
    return [
        (lambda: layer(0, 4), "GroupNorm: num_groups is 0; it must be"),
        (lambda: layer(3, 4), "GroupNorm: num_groups is 3 and num_channels 4; the first must divide the second"),
        (lambda: layer(2, 4.0), "GroupNorm: num_channels is 4.0; it must be"),
        (lambda: layer(2, 4, eps=-1), "GroupNorm: eps is -1; it must be"),
        (lambda: layer(2, 4, affine=None), "GroupNorm: affine is None; it must be True or False"),
        (lambda: layer(2, 4)(t(2, 6)), rf"{name}: x is \(2, 6\); its last size must be 4"),
        (lambda: layer(2, 4)(ones(2, 4)), "group_norm.*: x is a ndarray, not a Tensor; wrap it"),
    ]


def renorm(x=None, **changes):
    settings = {"running_mean": ones(3), "running_std": ones(3), "training": True} | changes
    return F.batch_renorm(t(5, 3) if x is None else x, **settings)


def ghosts(x=None, size=2, **changes):
    settings = {"running_mean": ones(3), "running_var": ones(3), "training": True} | changes
    return F.ghost_batch_norm(t(5, 3) if x is None else x, size, **settings)


def transposed(**options):
    return F.conv_transpose2d(t(1, 3, 3, 1), t(3, 3, 1, 2), **options)


def slopes(name, function):
    return [
        (lambda: function("a"), f"{name}: negative_slope is 'a'; it must be a finite number"),
        (lambda: function(NAN), f"{name}: negative_slope is nan; it must be"),
        (lambda: function(None), f"{name}: negative_slope is None; it must be"),
        (lambda: function(ones(2)), f"{name}: negative_slope is .*; it must be"),
    ]


def scales(name, function):
    return [
        (lambda: function(0), f"{name}: scale_factor is 0; it must be a finite number above 0, or a pair"),
        (lambda: function((2, -1)), rf"{name}: scale_factor is \(2, -1\); it must be"),
        (lambda: function((2, 2, 2)), rf"{name}: scale_factor is \(2, 2, 2\); it must be"),
        (lambda: function("2"), f"{name}: scale_factor is '2'; it must be"),
        (lambda: function(NAN), f"{name}: scale_factor is nan; it must be"),
        (lambda: function(2, "cubic"), f"{name}: mode is 'cubic'; it must be one of 'nearest', 'bilinear'"),
        (lambda: function(2, "bilinear", "yes"), f"{name}: align_corners is 'yes'; it must be True or False"),
        (lambda: function(2, "nearest", True), f"{name}: align_corners is True and mode 'nearest'; it must be False"),
    ]


def photo_report(**changes):
    """Draw the page with some arguments that do not fit."""
    given = {"epochs": [], "filters": ones(2, 2, 3, 4), "images": ones(2, 4, 4, 3, dtype=np.uint8), "labels": labels(0, 1),
             "probabilities": ones(2, 2), "confusion": ones(2, 2), "classes": ("a", "b")}  # fmt: skip
    return plot.photo_report(*(given | changes).values())


def curves(name, function):
    return [(lambda: function({}), f"{name}: runs is empty; it must be a dict")]


SEQUENTIAL = nn.Sequential(nn.ReLU(), nn.Linear(2, 2))

FLAT = nn.Sequential(nn.Flatten(), nn.Linear(192, 2))
TABLE = {
    # ---- tensors -----------------------------------------------------------------------------------------------------
    "Tensor": [
        (lambda: Tensor("abc"), "Tensor: got <U3; convert it to float32"),
        (lambda: Tensor(None), "Tensor: got object; convert it"),
        (lambda: Tensor(ones(2, dtype=np.float16)), "Tensor: got float16; convert it"),
        (lambda: Tensor([[1, 2], [3]]), "Tensor: the data are not a regular grid of numbers .*; make all rows equally"),
        (lambda: Tensor(labels(1), requires_grad=True), "Tensor: only floats have gradients, and this is int64; make it"),
        (lambda: Tensor(ones(2), "yes"), "Tensor: requires_grad is 'yes'; it must be True or False"),
        (lambda: setattr(Tensor(labels(1)), "requires_grad", True), "Tensor: only floats have gradients, .*; make it"),
        (lambda: setattr(result(), "requires_grad", False), "requires_grad: this is the result of mul; .*: take .detach"),
        (lambda: bool(t(2)), r"bool: the tensor has shape \(2,\); it must have one element"),
        (lambda: float(t(2)), r"item: the tensor has shape \(2,\); only a tensor of one element is a number"),
        (lambda: len(t()), "len: the tensor has no dimensions; it must have at least one"),
        (lambda: list(t()), "iter: the tensor has no dimensions; it must have at least one"),
        (lambda: f"{t(2):.2f}", r"format: the tensor has shape \(2,\); it must have one element to be written as '.2f'"),
        (lambda: [1, 2][t()], r"index: the tensor is float32 of shape \(\); it must be one whole number"),
        (lambda: t(2).__setitem__(0, 1.0), "setitem: tensors do not change in place; write to .data"),
        (lambda: t(2, 3)[5], r"getitem: the tensor is \(2, 3\): index 5 is out of bounds .*; indices must be"),
        (lambda: t(2, 3)[1.0:], r"getitem: the tensor is \(2, 3\): 'float' object .*; indices must be"),
        (lambda: t(2, 3)["a"], r"getitem: the tensor is \(2, 3\): only integers"),
        *arithmetic("add", lambda a, b: a + b), *arithmetic("sub", lambda a, b: a - b),
        *arithmetic("mul", lambda a, b: a * b), *arithmetic("div", lambda a, b: a / b),
        *arithmetic("pow", lambda a, b: a**b),
        (lambda: t(2, 3) @ t(2, 3), r"matmul: \(2, 3\) @ \(2, 3\); the last size of the left must equal"),
        (lambda: t(2, 3) @ 2.0, r"matmul: \(2, 3\) @ \(\); the last size"),
        (lambda: t(2, 2, 3) @ t(5, 3, 2), r"matmul of stacks: shapes \(2,\) and \(5,\) do not fit; .* must be equal"),
    ],
    "Tensor.backward": [
        (lambda: t(2).backward(), r"backward: the tensor has shape \(2,\), not one element; reduce it first"),
        (lambda: Tensor([1.0]).sum().backward(), "backward: this tensor does not depend on anything .*; set it on"),
        (lambda: result().backward(ones(3)), r"backward: grad is \(3,\) but the tensor is \(2,\); the two must be the"),
        (lambda: result().backward("abc"), "backward: grad is a str; it must be an array of numbers"),
        (lambda: (with_gradient(t(2), ones(3)) * 1.0).sum().backward(), r"backward: .grad was set to a ndarray of .*must"),
        (with_whole_numbers, "backward: .data was set to int64, which has no gradient; it must be floats"),
        (twice, "backward: part of this graph was walked before, and freed; compute the loss again"),
        (after_a_step, r"backward: mul needs a tensor of shape \(2,\) as it was .*; call backward before that"),
    ],
    "Tensor.register_hook": [
        (lambda: t(2).register_hook(3), "register_hook: got a int; it must be a function"),
        (lambda: with_hook(lambda grad: ones(9)), r"hook: the replacement is \(9,\) but the tensor is \(2,\); the two"),
    ],
    "Tensor.item": [(lambda: t(2).item(), r"item: the tensor has shape \(2,\); only a tensor of one element is a")],
    "Tensor.numpy": [(lambda: t(2).numpy(), r"numpy: the tensor needs a gradient; take .detach\(\)")],
    "Tensor.sum": of_numbers("sum", Tensor.sum),
    "Tensor.mean": [
        *of_numbers("mean", Tensor.mean),
        (lambda: t(0, 3).mean(), r"mean: the tensor is \(0, 3\); there must be at least one number along dim 0"),
    ],
    "Tensor.max": [
        *of_numbers("max", Tensor.max),
        (lambda: t(2, 0).max(1), r"max: the tensor is \(2, 0\); there must be at least one number along dim 1"),
    ],
    "Tensor.reshape": [
        (lambda: t(2, 3).reshape(4), r"reshape: the tensor is \(2, 3\): cannot .* \(4,\); the product of all sizes"),
        (lambda: t(2, 3).reshape(-1, -1), "reshape: .* one unknown dimension"),
        (lambda: t(2, 3).reshape("a"), "reshape: the tensor is"),
    ],
    "Tensor.permute": [
        (lambda: t(2, 3).permute(0, 0), r"permute: dims are \(0, 0\) but the tensor is \(2, 3\); each dimension must"),
        (lambda: t(2, 3).permute(0, 2), r"permute: dim is \(0, 2\) but the tensor is \(2, 3\); dim must be from -2 to 1"),
    ],
    "Tensor.transpose": [(lambda: t(2, 3).transpose(0, 2), r"transpose: dim is \(0, 2\) but the tensor is \(2, 3\)")],
    "Tensor.to": [
        (lambda: t(2).to("int99"), "to: got 'int99'; it must be float32"),
        (lambda: t(2).to(np.float16), "to: got .*float16.*; it must be float32"),
    ],
    "cat": [
        (lambda: minidl.cat([t(2, 3), t(3, 2)]), r"cat: shapes are .* and dim is 0; all sizes but the one of dim must"),
        (lambda: minidl.cat([t(2), t(2)], dim=1), r"cat: dim is 1 but the tensor is \(2,\); dim must be from -1 to 0"),
        (lambda: minidl.cat([t(2), t(2, dtype=np.float64)]), "cat: got types .*; convert them to one"),
        (lambda: minidl.cat([t(2)], dim=[0]), r"cat: dim is \[0\]; it must be a whole number"),
        (lambda: minidl.cat([]), "cat: got a list; it must be a list of at least one tensor"),
        (lambda: minidl.cat(t(2)), "cat: got a Tensor; it must be a list"),
    ],
    "no_grad": [
        (lambda: minidl.no_grad(nn.Linear), "no_grad: got the class Linear; it must be a function: decorate methods"),
        (lambda: minidl.no_grad()(3), "no_grad: got a int; it must be a function"),
        (lambda: minidl.no_grad(an_async_function), "no_grad: an_async_function is async, .*; use `with no_grad"),
    ],
    "detect_anomaly": [
        (lambda: watched(lambda: (t(2) * 0.0).log()), "detect_anomaly: log, called at .* made -inf .* from numbers"),
        (lambda: watched(a_change), "detect_anomaly: the backward of mul, .* changed in place since; change arrays"),
    ],
    "manual_seed": [
        (lambda: minidl.manual_seed(-1), "manual_seed: seed is -1; it must be a whole number of at least 0"),
        (lambda: minidl.manual_seed("a"), "manual_seed: seed is 'a'; it must be"),
    ],
    "set_num_threads": [
        (lambda: minidl.set_num_threads(0), "set_num_threads: got 0; this process can use 1 to"),
        (lambda: minidl.set_num_threads("1"), "set_num_threads: got 1; this process can use"),
        (lambda: minidl.set_num_threads(1.5), "set_num_threads: got 1.5; this"),
    ],
    # ---- operations --------------------------------------------------------------------------------------------------
    "F.zca_whiten": [
        (lambda: F.zca_whiten(t(3)), r"zca_whiten: x is \(3,\); it must be \(m, C\)"),
        (lambda: F.zca_whiten(t(1, 3)), r"zca_whiten: x is \(1, 3\); it must be \(m, C\)"),
        (lambda: F.zca_whiten(t(5, 3), eps=-1), "zca_whiten: eps is -1; it must be a number of at least 0"),
        (lambda: F.zca_whiten(t(5, 3), eps=NAN), "zca_whiten: eps is nan; it must be a number of at least 0"),
        (lambda: F.zca_whiten(t(3, 3), eps=0), r"zca_whiten: x is \(3, 3\), so its covariance"),
    ],
    "F.relu": elementwise("relu", F.relu),
    "F.sigmoid": elementwise("sigmoid", F.sigmoid),
    "F.tanh": elementwise("tanh", F.tanh),
    "F.gelu": elementwise("gelu", F.gelu),
    "F.softmax": [*elementwise("softmax", F.softmax), (lambda: F.softmax(t(2, 0)), r"softmax: x is \(2, 0\); its")],
    "F.log_softmax": [
        *elementwise("log_softmax", F.log_softmax),
        (lambda: F.log_softmax(t()), r"log_softmax: x is \(\); its last axis must hold at least one class"),
    ],
    "F.linear": [
        (lambda: F.linear(t(2, 3), t(2, 3)), r"linear: x is \(2, 3\) but weight is \(2, 3\); x's last size must equal"),
        (lambda: F.linear(t(2, 3), t(3, 4), t(3)), r"linear: bias is \(3,\) but weight is \(3, 4\); bias must be \(4,\)"),
        (lambda: F.linear(t(2, 3), t(3, 4, dtype=np.float64)), "linear: x is float32 but weight is float64; convert one"),
        (
            lambda: F.linear(t(2, 3, dtype=np.float64), t(3, 4)),
            r"linear: x is float64 but weight is float32; convert one: x.to\(np.float32\), or its array by .astype\(np.f",
        ),
        (lambda: F.linear(t(2, 3), ones(3, 4)), "linear: weight is a ndarray, not a Tensor; wrap it"),
        (lambda: F.linear(t(2, 3), None), "linear: weight is a NoneType, not a Tensor"),
    ],
    "F.conv2d": [
        (lambda: F.conv2d(t(2, 3), t(3, 3, 1, 2)), r"conv2d: x is \(2, 3\) but weight is .*; they must be"),
        (lambda: F.conv2d(t(1, 5, 5, 2), t(3, 3, 1, 2)), "conv2d: x is .* but weight is .*; they must be .* the same C"),
        (lambda: F.conv2d(t(1, 5, 5, 1), t(3, 3, 1, 2), t(1)), r"conv2d: bias is \(1,\) but weight is .*; bias must"),
        (lambda: F.conv2d(t(1, 5, 5, 1), t(3, 3, 1, 2), stride=0), "conv2d: stride is 0; it must be a whole number of"),
        (lambda: F.conv2d(t(1, 5, 5, 1), t(3, 3, 1, 2), padding=-1), "conv2d: padding is -1; it must be a whole number"),
        (lambda: F.conv2d(t(1, 2, 2, 1), t(3, 3, 1, 2)), r"conv2d: x is .* with padding .*, smaller than the kernel"),
        (lambda: F.conv2d(t(1, 2, 2, 1), t(0, 3, 1, 2)), r"conv2d: weight is \(0, 3, 1, 2\); all its sizes must be at"),
    ],
    "F.max_pool2d": pool("max_pool2d", F.max_pool2d),
    "F.add_relu": [
        (lambda: F.add_relu(ones(2), t(2)), "add_relu: x is a ndarray, not a Tensor; wrap it"),
        (lambda: F.add_relu(t(2), None), "add_relu: y is a NoneType, not a Tensor"),
        (lambda: F.add_relu(t(2), t(2, dtype=np.float64)), "add_relu: x is float32 but y is float64; convert one"),
        (lambda: F.add_relu(t(2, 1), t(2)), r"add_relu: x is \(2, 1\) but y is \(2,\); they must be equal"),
    ],
    "F.avg_pool2d": pool("avg_pool2d", F.avg_pool2d),
    "F.global_avg_pool2d": [
        (lambda: F.global_avg_pool2d(t(4, 4)), r"global_avg_pool2d: x is \(4, 4\); it must be \(N, H, W, C\)"),
        (lambda: F.global_avg_pool2d(t(4, 0, 2, 1)), "global_avg_pool2d: x is .*; it must be .* at least one pixel"),
    ],
    "F.batch_norm": [
        (
            lambda: F.batch_norm(t(1, 3), None, None, training=True),
            r"batch_norm: x is \(1, 3\), one value for each .* drop_last=True",
        ),
        (lambda: F.batch_norm(t(5), ones(5), ones(5)), r"batch_norm: x is \(5,\); it must be \(N, C\) or"),
        (lambda: F.batch_norm(t(5, 3), ones(4), ones(3)), r"batch_norm: x is \(5, 3\) but running_mean is \(4,\); it"),
        (lambda: F.batch_norm(t(5, 3), ones(3), ones(4)), r"batch_norm: x is \(5, 3\) but running_var is \(4,\); it"),
        (lambda: F.batch_norm(t(5, 3), ones(3), ones(3), t(4), t(3)), r"batch_norm: x is \(5, 3\) but weight is \(4,\)"),
        (lambda: F.batch_norm(t(5, 3), ones(3), ones(3), t(3), t(4)), r"batch_norm: x is \(5, 3\) but bias is \(4,\)"),
        (lambda: F.batch_norm(t(5, 3), ones(3), ones(3), ones(3)), "batch_norm: weight is a ndarray, not a Tensor"),
        (lambda: F.batch_norm(t(5, 3), None, None), "batch_norm: evaluation needs running_mean and running_var; pass"),
        (lambda: F.batch_norm(t(5, 3), ones(3), None), "batch_norm: got one of running_mean and running_var; pass both"),
        (lambda: F.batch_norm(t(5, 3), t(3), t(3)), "batch_norm: running_mean is a float32; it must be a plain array"),
        (lambda: F.batch_norm(t(5, 3), [0] * 3, [1] * 3), "batch_norm: running_mean is a list; it must be a plain array"),
        (lambda: F.batch_norm(t(5, 3), ones(3), labels(1, 1, 1)), "batch_norm: running_var is a int64; it must be"),
        (
            lambda: F.batch_norm(t(5, 3), ones(3, dtype=np.float16), ones(3), training=True),
            "batch_norm: running_mean is a float16; it must be a plain array of floats",
        ),
        (
            lambda: F.batch_norm(t(5, 3), np.broadcast_to(ones(), 3), ones(3), training=True),
            "batch_norm: running_mean is a read-only array; .* it must be writable",
        ),
        (lambda: F.batch_norm(t(5, 3), ones(3), ones(3), eps=-1), "batch_norm: eps is -1; it must be a number of at"),
        (lambda: F.batch_norm(t(5, 3), ones(3), ones(3), eps=NAN), "batch_norm: eps is nan; it must be"),
        (lambda: F.batch_norm(t(5, 3), ones(3), ones(3), momentum=2), "batch_norm: momentum is 2; it must be a number"),
    ],
    "F.batch_norm_relu_max_pool2d": [
        (lambda: fused(t(5, 3)), r"batch_norm_relu_max_pool2d: x is \(5, 3\); it must be \(N, H, W, C\)"),
        (lambda: fused(t(2, 1, 4, 3)), "batch_norm_relu_max_pool2d: x is .*; it must be .* at least 2×2 pixels"),
        (
            lambda: F.batch_norm_relu_max_pool2d(t(2, 4, 4, 0), ones(0), ones(0), None, None),
            "batch_norm_relu_max_pool2d: x is .*; it must be .* and one channel",
        ),
        (lambda: fused(ones(2, 4, 4, 3)), "batch_norm_relu_max_pool2d: x is a ndarray, not a Tensor; wrap it"),
        (lambda: fused(t(2, 4, 4, 3), running_mean=ones(4)), "batch_norm_relu_max_pool2d: x is .* but running_mean is"),
        (
            lambda: fused(t(2, 4, 4, 3), running_var=None),
            "batch_norm_relu_max_pool2d: got one of running_mean and running_var; pass",
        ),
        (lambda: fused(t(2, 4, 4, 3), weight=t(4)), "batch_norm_relu_max_pool2d: x is .* but weight is"),
        (lambda: fused(t(2, 4, 4, 3), bias=t(4)), "batch_norm_relu_max_pool2d: x is .* but bias is"),
        (lambda: fused(t(2, 4, 4, 3), eps=-1), "batch_norm_relu_max_pool2d: eps is -1; it must be"),
        (lambda: fused(t(2, 4, 4, 3), momentum=2), "batch_norm_relu_max_pool2d: momentum is 2; it must be"),
    ],
    "F.layer_norm": [
        (lambda: F.layer_norm(t(5, 3), t(4), t(3)), r"layer_norm: x is \(5, 3\), weight \(4,\), bias \(3,\); the last"),
        (lambda: F.layer_norm(t(5, 3), t(3), None), "layer_norm: bias is a NoneType, not a Tensor"),
        (lambda: F.layer_norm(t(5, 3), t(3), t(3), eps=NAN), "layer_norm: eps is nan; it must be a number of at least 0"),
    ],
    "F.group_norm": group_norm("group_norm", F.group_norm),
    "F.group_norm_relu": group_norm("group_norm_relu", F.group_norm_relu),
    "F.batch_renorm": [
        (lambda: renorm(t(1, 3)), r"batch_renorm: x is \(1, 3\), one value for each feature, .*; use a larger"),
        (lambda: renorm(t(3)), r"batch_renorm: x is \(3,\); it must be \(N, C\)"),
        (lambda: renorm(ones(5, 3)), "batch_renorm: x is a ndarray, not a Tensor; wrap it"),
        (lambda: renorm(running_mean=None), "batch_renorm: running_mean or running_std is None; pass both"),
        (lambda: renorm(running_mean=ones(4)), r"batch_renorm: x is .* but running_mean is \(4,\); it must be"),
        (lambda: renorm(running_std=ones(4)), r"batch_renorm: x is .* but running_std is \(4,\); it must be"),
        (lambda: renorm(running_std=[1] * 3), "batch_renorm: running_std is a list; it must be a plain array"),
        (lambda: renorm(running_std=np.broadcast_to(ones(), 3)), "batch_renorm: running_std is a read-only .* must be"),
        (lambda: renorm(weight=t(4)), r"batch_renorm: x is .* but weight is \(4,\); it must be"),
        (lambda: renorm(bias=t(4)), r"batch_renorm: x is .* but bias is \(4,\); it must be"),
        (lambda: renorm(momentum=2), "batch_renorm: momentum is 2; it must be"),
        (lambda: renorm(eps=NAN), "batch_renorm: eps is nan; it must be"),
        (lambda: renorm(r_max=0.9), "batch_renorm: r_max is 0.9; it must be a number of at least 1"),
        (lambda: renorm(r_max="a"), "batch_renorm: r_max is 'a'; it must be a number"),
        (lambda: renorm(r_max=ones(2)), "batch_renorm: r_max is .*; it must be a number"),
        (lambda: renorm(d_max=-1), "batch_renorm: d_max is -1.*; it must be a number of at least 0"),
        (lambda: renorm(d_max=NAN), "batch_renorm: d_max is nan; it must be"),
    ],
    "F.ghost_batch_norm": [
        (lambda: ghosts(size=0), "ghost_batch_norm: ghost_size is 0; it must be a whole number of at least 1"),
        (lambda: ghosts(size=2.5), "ghost_batch_norm: ghost_size is 2.5; it must be"),
        (lambda: ghosts(batches=-1), "ghost_batch_norm: batches is -1; it must be a whole number of at least 0"),
        (lambda: ghosts(momentum=2), "ghost_batch_norm: momentum is 2; it must be"),
        (lambda: ghosts(size=1), r"ghost_batch_norm: ghost_size is 1 and x is \(5, 3\), one value .*must be larger"),
        (lambda: ghosts(t(1, 3)), r"ghost_batch_norm: x is \(1, 3\), one value for each feature, .*; use a larger"),
        (lambda: ghosts(training=False, running_mean=None, running_var=None), "ghost_batch_norm: evaluation needs run"),
        (lambda: ghosts(running_mean=ones(4)), "ghost_batch_norm: x is .* but running_mean is .*; it must be"),
        (lambda: ghosts(running_var=None), "ghost_batch_norm: got one of running_mean and running_var; pass both"),
        (lambda: ghosts(weight=t(4)), "ghost_batch_norm: x is .* but weight is .*; it must be"),
        (lambda: ghosts(bias=t(4)), "ghost_batch_norm: x is .* but bias is .*; it must be"),
        (lambda: ghosts(momentum=-1), "ghost_batch_norm: momentum is -1; it must be"),
        (lambda: ghosts(eps="a"), "ghost_batch_norm: eps is 'a'; it must be"),
    ],
    "F.conv_transpose2d": [
        (lambda: F.conv_transpose2d(t(2, 3), t(3, 3, 1, 2)), r"conv_transpose2d: x is \(2, 3\) but weight is .*; they must"),
        (lambda: F.conv_transpose2d(t(1, 5, 5, 2), t(3, 3, 1, 2)), "conv_transpose2d: x is .*; they must be .* the same C"),
        (
            lambda: F.conv_transpose2d(t(1, 5, 5, 1), t(3, 3, 1, 2), t(1)),
            r"conv_transpose2d: bias is \(1,\) but weight is .*; bias must be \(2,\)",
        ),
        (lambda: F.conv_transpose2d(t(1, 5, 5, 1), t(0, 3, 1, 2)), "conv_transpose2d: x .* weight .*; all sizes .* must be"),
        (lambda: F.conv_transpose2d(t(1, 0, 5, 1), t(3, 3, 1, 2)), "conv_transpose2d: x .*; all sizes but N must be at"),
        (lambda: transposed(stride=0), "conv_transpose2d: stride is 0; it must be"),
        (lambda: transposed(padding=-1), "conv_transpose2d: padding is -1; it must be"),
        (lambda: transposed(padding=9), "conv_transpose2d: x is .* with padding .*, which leaves no pixel; .* must be"),
        (lambda: transposed(output_padding=1), r"conv_transpose2d: output_padding is 1 and stride \(1, 1\); it must be"),
        (lambda: transposed(output_padding=1.0), "conv_transpose2d: output_padding is 1.0; it must be"),
        (lambda: F.conv_transpose2d(t(1, 5, 5, 1), ones(3, 3, 1, 2)), "conv_transpose2d: weight is a ndarray, not a Tens"),
    ],
    "F.interpolate": [
        (lambda: F.interpolate(t(4, 4), 2), r"interpolate: x is \(4, 4\); it must be \(N, H, W, C\)"),
        (lambda: F.interpolate(ones(1, 4, 4, 1), 2), "interpolate: x is a ndarray, not a Tensor; wrap it"),
        (lambda: F.interpolate(t(1, 0, 4, 1), 2), "interpolate: x is .*; it must be .* at least one pixel"),
        (lambda: F.interpolate(t(1, 4, 4, 1), 0.2), "interpolate: x is .* scale_factor .*, which makes 0×0 .* must be"),
        (lambda: F.interpolate(t(1, 4, 4, 1), 1e300), r"interpolate: x is .*, which makes 1e\+300×.* must be"),
        *scales("interpolate", lambda *how: F.interpolate(t(1, 4, 4, 1), *how)),
    ],
    "CSR": [
        (lambda: CSR([0, 1], [0], 3), "CSR: shape is 3; it must be a pair of whole numbers of at least 0"),
        (lambda: CSR([0, 1], [0], (1, -1)), r"CSR: shape is \(1, -1\); it must be a pair"),
        (lambda: CSR([0, 1], [0], (1, 2.0)), r"CSR: shape is \(1, 2.0\); it must be a pair"),
        (lambda: CSR([0, 1], [0], (2, 2)), "CSR: crow_indices has 2 numbers and there are 2 rows; it must have 3"),
        (lambda: CSR([1, 1], [0], (1, 2)), "CSR: crow_indices goes from 1 to 1 and there are 1 entries; it must begin"),
        (lambda: CSR([0, 2, 1], [0], (2, 2)), "CSR: crow_indices goes from 0 to 1 .* never fall"),
        (lambda: CSR([0, 2], [0], (1, 2)), "CSR: crow_indices goes from 0 to 2 and .* and end with 1"),
        (lambda: CSR([0, 1], [2], (1, 2)), "CSR: col_indices runs from 2 to 2; it must be from 0 to 1"),
        (lambda: CSR([0, 1], [-1], (1, 2)), "CSR: col_indices runs from -1 to -1; it must be"),
        (lambda: CSR([0, 1], [0.0], (1, 2)), "CSR: col_indices is float64; it must be whole numbers: array.astype"),
        (lambda: CSR([0, 1], [[0]], (1, 2)), r"CSR: col_indices is \(1, 1\); it must be one row of whole numbers"),
        (lambda: CSR([False, True], [0], (1, 2)), "CSR: crow_indices is bool; it must be whole numbers"),
        (lambda: CSR.from_coo([0, 1], [0], (2, 2)), "CSR.from_coo: there are 2 rows and 1 columns; each entry has one"),
        (lambda: CSR.from_coo([2], [0], (2, 2)), "CSR.from_coo: rows runs from 2 to 2; it must be from 0 to 1"),
    ],
    "F.sparse_matmul": [
        (lambda: F.sparse_matmul(ones(2, 2), t(2), t(2, 2)), "sparse_matmul: csr is a ndarray; it must be a CSR"),
        (lambda: F.sparse_matmul(GRAPH, ones(3), t(2, 2)), "sparse_matmul: values is a ndarray, not a Tensor; wrap it"),
        (lambda: F.sparse_matmul(GRAPH, t(3, dtype=float), t(2, 2)), "sparse_matmul: x is float32 but values is float64"),
        (lambda: F.sparse_matmul(GRAPH, t(2), t(2, 2)), r"sparse_matmul: values are \(2,\), .* has 3 entries; they must be"),
        (lambda: F.sparse_matmul(GRAPH, t(3), t(2)), r"sparse_matmul: values are .* x is \(2,\) .* must be \(3,\) and"),
        (lambda: F.sparse_matmul(GRAPH, t(3), t(3, 2)), r"sparse_matmul: x is \(3, 2\), .* is \(3, 2\); x must be \(2, 'F'"),
        (lambda: F.sparse_matmul(GRAPH, t(3, 2), t(2, 3, 4)), r"sparse_matmul: x is .*; x must be \(2, 2, 'F'\)"),
    ],
    "F.edge_add": [
        (lambda: F.edge_add(None, t(3), t(2)), "edge_add: csr is a NoneType; it must be a CSR"),
        (lambda: F.edge_add(GRAPH, t(2), t(2)), r"edge_add: row is \(2,\), column is .*; they must be \(3, …\) and \(2, …"),
        (lambda: F.edge_add(GRAPH, t(3, 1), t(2)), r"edge_add: row is \(3, 1\), column is \(2,\)"),
        (lambda: F.edge_add(GRAPH, t(), t(2)), r"edge_add: row is \(\)"),
        (lambda: F.edge_add(GRAPH, t(3), labels(1, 2)), "edge_add: column is a ndarray, not a Tensor; wrap it"),
    ],
    "F.edge_softmax": [
        (lambda: F.edge_softmax(3, t(3)), "edge_softmax: csr is a int; it must be a CSR"),
        (lambda: F.edge_softmax(GRAPH, t(2)), r"edge_softmax: x is \(2,\) and the matrix has 3 entries; x must be \(3, …"),
        (lambda: F.edge_softmax(GRAPH, t()), r"edge_softmax: x is \(\) and"),
        (lambda: F.edge_softmax(GRAPH, Tensor(labels(1, 2, 3))), "edge_softmax: x is int64, not a float type; convert"),
    ],
    "F.edge_sum": [
        (lambda: F.edge_sum(GRAPH, t(4, 2)), r"edge_sum: x is \(4, 2\) and the matrix has 3 entries; x must be"),
        (lambda: F.edge_sum("graph", t(3)), "edge_sum: csr is a str; it must be a CSR"),
        (lambda: F.edge_sum(GRAPH, ones(3)), "edge_sum: x is a ndarray, not a Tensor; wrap it"),
    ],
    "F.embedding": [
        (lambda: F.embedding(ones(2), t(3, 2)), "embedding: input is float32; it must be whole numbers"),
        (lambda: F.embedding(Tensor([1, 2]), t(3, 2)), "embedding: input is float32; it must be whole .*astype"),
        (lambda: F.embedding(np.array([True]), t(3, 2)), "embedding: input is bool; it must be whole numbers"),
        (lambda: F.embedding(None, t(3, 2)), "embedding: input is object; it must be whole numbers"),
        (lambda: F.embedding(labels(3), t(3, 2)), "embedding: input runs from 3 to 3 but weight has 3 rows; input must be"),
        (lambda: F.embedding(labels(0, -1), t(3, 2)), "embedding: input runs from -1 to 0 but .* must be"),
        (lambda: F.embedding(labels(0), t(3)), r"embedding: weight is \(3,\); it must be \(V, D\)"),
        (lambda: F.embedding(labels(0), ones(3, 2)), "embedding: weight is a ndarray, not a Tensor; wrap it"),
        (lambda: F.embedding(labels(0), t(3, 2), 3), "embedding: padding_idx is 3 and there are 3 rows; it must be"),
        (lambda: F.embedding(labels(0), t(3, 2), 1.0), "embedding: padding_idx is 1.0 and .*; it must be a whole number"),
    ],
    "F.silu": elementwise("silu", F.silu),
    "F.leaky_relu": [*elementwise("leaky_relu", F.leaky_relu), *slopes("leaky_relu", lambda a: F.leaky_relu(t(2), a))],
    "F.cross_entropy": [
        (lambda: F.cross_entropy(t(2, 3), ones(2)), "cross_entropy: labels are float32; they must be whole numbers"),
        (lambda: F.cross_entropy(t(2, 3), labels(0, 3)), "cross_entropy: labels run from 0 to 3 but there are 3"),
        (lambda: F.cross_entropy(t(2, 3), labels(0, -1)), "cross_entropy: labels run from -1 to 0 but"),
        (lambda: F.cross_entropy(t(2, 3), labels(0)), r"cross_entropy: logits are \(2, 3\) but labels are \(1,\)"),
        (lambda: F.cross_entropy(t(0, 3), labels().astype(int)), "cross_entropy: .* labels must be .*, and not empty"),
        (lambda: F.cross_entropy(t(2, 3), None), "cross_entropy: labels are object; they must be whole numbers"),
        (lambda: F.cross_entropy(ones(2, 3), labels(0, 1)), "cross_entropy: logits is a ndarray, not a Tensor; wrap it"),
        (lambda: F.cross_entropy(t(2, 3), labels(0, 1), label_smoothing=2), "cross_entropy: label_smoothing is 2; it"),
        (lambda: F.cross_entropy(t(2, 3), labels(0, 1), label_smoothing=NAN), "cross_entropy: label_smoothing is nan"),
    ],
    "F.mse_loss": [
        (lambda: F.mse_loss(t(2, 3), t(3)), r"mse_loss: input is \(2, 3\) but target is \(3,\); they must be equal,"),
        (lambda: F.mse_loss(t(0), t(0)), "mse_loss: .*; they must be equal, not empty"),
        (lambda: F.mse_loss(None, t(2)), "mse_loss: input is a NoneType, not a Tensor"),
        (lambda: F.mse_loss(t(2), "ab"), "mse_loss: target is a str; it must be an array of numbers"),
        (lambda: F.mse_loss(t(2), t(2, dtype=np.float64)), "mse_loss: input is float32 but target is float64; convert"),
    ],
    "F.dropout": [
        (lambda: F.dropout(t(2), 1.5, True), "dropout: p is 1.5; it must be a number from 0 to 1"),
        (lambda: F.dropout(t(2), "a", True), "dropout: p is 'a'; it must be a number"),
        (lambda: F.dropout(ones(2), 0.5, True), "dropout: x is a ndarray, not a Tensor; wrap it"),
        (lambda: F.dropout(t(2), 0.5, True, 3), "generator is 3, a int; it must be a numpy.random.Generator"),
        (lambda: F.dropout(t(2), 0.5, True, np.random.RandomState(0)), "generator is .*, a RandomState; it must"),
    ],
    # ---- layers ------------------------------------------------------------------------------------------------------
    "nn.Linear": [
        (lambda: nn.Linear(0, 3), "Linear: in_features is 0; it must be a whole number of at least 1"),
        (lambda: nn.Linear(2, 3.0), "Linear: out_features is 3.0; it must be a whole number"),
        (lambda: nn.Linear(2, 3, generator=0), "generator is 0, a int; it must be"),
        (lambda: nn.Linear(2, 3)(ones(1, 2)), "linear: x is a ndarray, not a Tensor; wrap it"),
    ],
    "nn.Conv2d": [
        (lambda: nn.Conv2d(0, 2, 3), "Conv2d: in_channels is 0; it must be"),
        (lambda: nn.Conv2d(1, -2, 3), "Conv2d: out_channels is -2; it must be"),
        (lambda: nn.Conv2d(1, 2, (3, 3, 3)), r"Conv2d: kernel_size is \(3, 3, 3\); it must be a whole number .*, or a"),
        (lambda: nn.Conv2d(1, 2, 3, stride=0), "Conv2d: stride is 0; it must be"),
        (lambda: nn.Conv2d(1, 2, 3, padding=-1), "Conv2d: padding is -1; it must be"),
        (lambda: nn.Conv2d(1, 2, 3, generator="a"), "generator is 'a', a str; it must be"),
    ],
    "nn.BatchNorm": [
        (lambda: nn.BatchNorm(0), "BatchNorm: features is 0; it must be"),
        (lambda: nn.BatchNorm(3, eps=-1), "BatchNorm: eps is -1; it must be a number of at least 0"),
        (lambda: nn.BatchNorm(3, momentum=2), "BatchNorm: momentum is 2; it must be a number from 0 to 1"),
        (lambda: nn.BatchNorm(3, weight=t(3)), r"BatchNorm: weight is Tensor\(.*; it must be True or False"),
        (lambda: nn.BatchNorm(3)(t(1, 3)), r"batch_norm: x is \(1, 3\), one value for each feature, .*; use a larger"),
    ],
    "nn.LayerNorm": [
        (lambda: nn.LayerNorm(0), "LayerNorm: features is 0; it must be"),
        (lambda: nn.LayerNorm(3, eps="a"), "LayerNorm: eps is 'a'; it must be a number"),
    ],
    "nn.Dropout": [
        (lambda: nn.Dropout(2), "Dropout: p is 2; it must be a number from 0 to 1"),
        (lambda: nn.Dropout(0.5, generator=1), "generator is 1, a int; it must be"),
    ],
    "nn.Flatten": [(lambda: nn.Flatten()(t()), r"Flatten: x has no dimensions; it must be \(N, …\)")],
    "nn.MaxPool2d": settings_of_a_pool("MaxPool2d", nn.MaxPool2d),
    "nn.AvgPool2d": settings_of_a_pool("AvgPool2d", nn.AvgPool2d),
    "nn.GlobalAvgPool2d": [(lambda: nn.GlobalAvgPool2d()(t(2, 3)), r"global_avg_pool2d: x is \(2, 3\); it must be")],
    "nn.ReLU": elementwise("relu", nn.ReLU()),
    "nn.Sigmoid": elementwise("sigmoid", nn.Sigmoid()),
    "nn.Tanh": elementwise("tanh", nn.Tanh()),
    "nn.GELU": elementwise("gelu", nn.GELU()),
    "nn.GroupNorm": groups_of("GroupNorm", nn.GroupNorm),
    "nn.GroupNormReLU": groups_of("GroupNormReLU", nn.GroupNormReLU),
    "nn.BatchRenorm": [
        (lambda: nn.BatchRenorm(0), "BatchRenorm: features is 0; it must be"),
        (lambda: nn.BatchRenorm(3, eps=-1), "BatchRenorm: eps is -1; it must be"),
        (lambda: nn.BatchRenorm(3, momentum=None), "BatchRenorm: momentum is None; it must be a number from 0 to 1"),
        (lambda: nn.BatchRenorm(3, affine="no"), "BatchRenorm: affine is 'no'; it must be True or False"),
        (lambda: nn.BatchRenorm(3, r_max=0), "BatchRenorm: r_max is 0; it must be a number of at least 1"),
        (lambda: nn.BatchRenorm(3, d_max=NAN), "BatchRenorm: d_max is nan; it must be"),
        (lambda: nn.BatchRenorm(3, warmup=-1), "BatchRenorm: warmup is -1; it must be a whole number of at least 0"),
        (lambda: nn.BatchRenorm(3, warmup=9, r_steps=8), "BatchRenorm: r_steps is 8; it must be .* at least 9"),
        (lambda: nn.BatchRenorm(3, d_steps=10), "BatchRenorm: d_steps is 10; it must be .* at least 5000"),
        (lambda: nn.BatchRenorm(3)(t(1, 3)), r"batch_renorm: x is \(1, 3\), one value for each feature"),
    ],
    "nn.GhostBatchNorm": [
        (lambda: nn.GhostBatchNorm(0, 2), "GhostBatchNorm: features is 0; it must be"),
        (lambda: nn.GhostBatchNorm(3, 0), "GhostBatchNorm: ghost_size is 0; it must be"),
        (lambda: nn.GhostBatchNorm(3, 2, eps=-1), "GhostBatchNorm: eps is -1; it must be"),
        (lambda: nn.GhostBatchNorm(3, 2, momentum=2), "GhostBatchNorm: momentum is 2; it must be"),
        (lambda: nn.GhostBatchNorm(3, 2, affine=1), "GhostBatchNorm: affine is 1; it must be True or False"),
        (lambda: nn.GhostBatchNorm(3, 1)(t(4, 3)), "ghost_batch_norm: ghost_size is 1 and .*; ghost_size must be larger"),
    ],
    "nn.SiLU": elementwise("silu", nn.SiLU()),
    "nn.LeakyReLU": [*elementwise("leaky_relu", nn.LeakyReLU()), *slopes("LeakyReLU", nn.LeakyReLU)],
    "nn.Embedding": [
        (lambda: nn.Embedding(0, 2), "Embedding: num_embeddings is 0; it must be"),
        (lambda: nn.Embedding(2, 2.0), "Embedding: embedding_dim is 2.0; it must be"),
        (lambda: nn.Embedding(2, 2, padding_idx=-3), "Embedding: padding_idx is -3 and there are 2 rows; it must be"),
        (lambda: nn.Embedding(2, 2, generator=0), "generator is 0, a int; it must be"),
        (lambda: nn.Embedding(2, 2)(t(2)), "embedding: input is float32; it must be whole numbers"),
    ],
    "nn.ConvTranspose2d": [
        (lambda: nn.ConvTranspose2d(0, 2, 3), "ConvTranspose2d: in_channels is 0; it must be"),
        (lambda: nn.ConvTranspose2d(1, -2, 3), "ConvTranspose2d: out_channels is -2; it must be"),
        (lambda: nn.ConvTranspose2d(1, 2, 0), "ConvTranspose2d: kernel_size is 0; it must be"),
        (lambda: nn.ConvTranspose2d(1, 2, 3, stride=0), "ConvTranspose2d: stride is 0; it must be"),
        (lambda: nn.ConvTranspose2d(1, 2, 3, padding=-1), "ConvTranspose2d: padding is -1; it must be"),
        (lambda: nn.ConvTranspose2d(1, 2, 3, 2, output_padding=2), "ConvTranspose2d: output_padding is 2 and .*; it must"),
        (lambda: nn.ConvTranspose2d(1, 2, 3, generator="a"), "generator is 'a', a str; it must be"),
    ],
    "nn.Upsample": scales("Upsample", nn.Upsample),
    "nn.Parameter": [
        (lambda: nn.Parameter(labels(1)), "Tensor: only floats have gradients, and this is int64; make it"),
        (lambda: nn.Parameter(SEQUENTIAL[1].weight.T), "Parameter: got a view of another parameter's array; to tie"),
    ],
    "nn.Sequential": [
        (lambda: nn.Sequential(nn.ReLU(), F.relu), "Sequential: layer 1 is a function; it must be a Module"),
        (lambda: nn.Sequential([nn.ReLU()]), "Sequential: layer 0 is a list; it must be a Module"),
        (lambda: SEQUENTIAL[2], "Sequential: index is 2; it must be from -2 to 1"),
    ],
    "nn.Module": [
        (lambda: nn.Module()(t(2)), r"Module: define forward\(self, x\)"),
        (lambda: nn.Linear(2, 2).to(int), "Linear.to: got .*int.*; a network must be float32 or float64"),
        (lambda: nn.Linear(2, 2).load_state_dict({}), "load_state_dict: this state does not fit Linear; .*\n  missing:"),
        (lambda: nn.Linear(2, 2).load_state_dict(None), "load_state_dict: got a NoneType; it must be a dict"),
        (
            lambda: nn.Linear(2, 2, bias=False).load_state_dict({"weight": ones(3, 3), "scale": ones(1)}),
            r"load_state_dict: .*\n  unexpected: scale\n  misshaped: weight: \(3, 3\), expected \(2, 2\)",
        ),
        (lambda: nn.ReLU().register_forward_hook(None), "register_forward_hook: got a NoneType; it must be a function"),
        (lambda: nn.ReLU().register_buffer("x", [1]), "register_buffer: got 'x' and a list; they must be a name and"),
        (lambda: nn.ReLU().register_buffer("forward", ones(1)), "register_buffer: the name is 'forward'; it must be"),
        (lambda: setattr(nn.Linear(2, 2), "weight", t(2, 2)), "Linear: got a Tensor as 'weight', the place of a par.* must"),
        (lambda: setattr(nn.BatchNorm(2), "running_var", [1]), "BatchNorm: got a list as 'running_var', the .* must be a"),
        (lambda: setattr(nn.Sequential(nn.ReLU()), "0", F.relu), "Sequential: got a function as '0', the .* must be an nn"),
        (lambda: holding({nn.ReLU()}).state_dict(), "Module: held is a set, which has no order; it must be a list or"),
        (lambda: holding([nn.Parameter(ones(1)), result()]).state_dict(), "Module: held holds .* plain Tensor; it must be"),
        (
            lambda: holding({1: nn.Parameter(ones(1)), "1": nn.Parameter(ones(1))}).state_dict(),
            r"state_dict: two things are named \['held.1'\]; each must",
        ),
    ],
    "nn.fold_batch_norm": [
        (lambda: nn.fold_batch_norm(None), "fold_batch_norm: got a NoneType; it must be a Module"),
        (lambda: nn.fold_batch_norm(nn.Sequential(nn.ReLU(), nn.BatchNorm(3))), "fold_batch_norm: before 1 comes"),
    ],
    "nn.Residual": [
        (lambda: nn.Residual(F.relu), "Residual: body is a function; it must be a Module: nn.Sequential"),
        (lambda: nn.Residual(None), "Residual: body is a NoneType; it must be a Module"),
        (lambda: nn.Residual(nn.ReLU(), 3), "Residual: shortcut is a int; it must be a Module"),
        (
            lambda: nn.Residual(nn.Linear(2, 1))(t(3, 2)),
            r"Residual: the body's output is \(3, 1\) but x is \(3, 2\); they must be equal: give it a shortcut",
        ),
        (
            lambda: nn.Residual(nn.ReLU(), nn.Linear(2, 3))(t(3, 2)),
            r"Residual: the body's output is \(3, 2\) but the shortcut's output is \(3, 3\); they must be",
        ),
    ],
    "nn.ResidualReLU": [(lambda: nn.ResidualReLU(3), "Residual: body is a int; it must be a Module")],
    "nn.ModuleList": [
        (lambda: nn.ModuleList(nn.ReLU()), "ModuleList: got a ReLU; it must be a list of modules"),
        (lambda: nn.ModuleList(3), "ModuleList: got a int; it must be a list of modules"),
        (lambda: nn.ModuleList([nn.ReLU(), F.relu]), "ModuleList: module 1 is a function; it must be a Module"),
        (lambda: nn.ModuleList().append([nn.ReLU()]), "ModuleList: module 0 is a list; it must be a Module"),
        (lambda: nn.ModuleList([nn.ReLU()])[1], "ModuleList: index is 1; it must be from -1 to 0"),
        (lambda: nn.ModuleList().pop(), "ModuleList: index is -1; it must be left alone: the list is empty"),
        (lambda: nn.ModuleList([nn.ReLU()])(t(2)), "ModuleList: a list cannot be called; call its modules in your forward"),
        (lambda: nn.ModuleList([nn.ReLU()])["0"], "ModuleList: index is '0'; it must be from -1 to 0"),
    ],
    "nn.ModuleDict": [
        (lambda: nn.ModuleDict([nn.ReLU()]), "ModuleDict: got a list; it must be a dict of modules, or pairs"),
        (lambda: nn.ModuleDict({"a": F.relu}), "ModuleDict: 'a' is a function; it must be a Module"),
        (lambda: nn.ModuleDict({"a.b": nn.ReLU()}), "ModuleDict: the name is 'a.b'; it must be a text without dots"),
        (lambda: nn.ModuleDict({"keys": nn.ReLU()}), "ModuleDict: the name is 'keys'; it must be a text"),
        (lambda: nn.ModuleDict({"training": nn.ReLU()}), "ModuleDict: the name is 'training'; it must be a text"),
        (lambda: nn.ModuleDict({1: nn.ReLU()}), "ModuleDict: the name is 1; it must be a text"),
        (lambda: nn.ModuleDict({"a": nn.ReLU()})["b"], '"ModuleDict: there is no \'b\'; it must be one of a'),
        (lambda: nn.ModuleDict({"a": nn.ReLU()})(t(2)), "ModuleDict: a dict cannot be called; call its modules in your fo"),
    ],
    "nn.utils.clip_grad_norm_": [
        *clippers(nn.utils.clip_grad_norm_),
        (lambda: nn.utils.clip_grad_norm_(t(2), -1), "clip_grad_norm_: max_norm is -1; it must be a number of at least 0"),
        (lambda: nn.utils.clip_grad_norm_(t(2), NAN), "clip_grad_norm_: max_norm is nan; it must be a number"),
        (lambda: nn.utils.clip_grad_norm_(t(2), 1, 0), "clip_grad_norm_: norm_type is 0; it must be a number above 0"),
        (lambda: nn.utils.clip_grad_norm_(t(2), 1, "a"), "clip_grad_norm_: norm_type is 'a'; it must be a number"),
        (lambda: nn.utils.clip_grad_norm_(t(2), 1, 2, 1), "clip_grad_norm_: error_if_nonfinite is 1; it must be True or Fa"),
        (
            lambda: nn.utils.clip_grad_norm_(with_gradient(t(2), NAN * ones(2)), 1, error_if_nonfinite=True),
            "clip_grad_norm_: the norm of the gradients is nan, .*; find the NaN or infinity with minidl.detect_anomaly",
        ),
    ],
    "nn.utils.clip_grad_value_": [
        *clippers(nn.utils.clip_grad_value_),
        (lambda: nn.utils.clip_grad_value_(t(2), -1), "clip_grad_value_: clip_value is -1; it must be a number of at least"),
    ],
    "nn.fuse": [(lambda: nn.fuse([nn.ReLU()]), "fuse: got a list; it must be a Module")],
    "nn.BatchNormReLUMaxPool2d": [
        (lambda: nn.BatchNormReLUMaxPool2d(0), "BatchNorm: features is 0; it must be a whole number of at least 1"),
        (lambda: nn.BatchNormReLUMaxPool2d(3)(t(2, 3)), r"batch_norm_relu_max_pool2d: x is \(2, 3\); it must be"),
    ],
    "nn.AveragedViews": [
        (lambda: nn.AveragedViews(F.relu), "AveragedViews: model is a function; it must be a Module"),
        (lambda: nn.AveragedViews(nn.ReLU(), 1.5), "AveragedViews: shift is 1.5; it must be a whole number of at least 0"),
        (lambda: nn.AveragedViews(nn.ReLU())(t(4, 4)), r"AveragedViews: x is \(4, 4\) and shift 1; x must be \(N, H, W"),
        (lambda: nn.AveragedViews(nn.ReLU(), 4)(t(1, 4, 5, 1)), r"AveragedViews: x is .* shift 4; .* smaller than an i"),
    ],
    "init.constant_": [
        (lambda: init.constant_(ones(2), 1), "init: got a ndarray; it must be a parameter"),
        (lambda: init.constant_(frozen(t(2)), 1), r"init: the array of the tensor \(2,\) is read-only; it must be a copy"),
    ],
    "init.uniform_": [
        (lambda: init.uniform_(t(2), 1, 0), "uniform_: a is 1 and b 0; a must not be above b"),
        (lambda: init.uniform_(t(2), generator=0), "generator is 0, a int; it must be"),
    ],
    "init.normal_": [
        (lambda: init.normal_(t(2), std=-1), "normal_: std is -1; it must not be negative"),
        (lambda: init.normal_(t(2), std=NAN), "normal_: std is nan; it must not be"),
    ],
    "init.xavier_uniform_": fans("xavier_uniform_", init.xavier_uniform_),
    "init.xavier_normal_": fans("xavier_normal_", init.xavier_normal_),
    "init.kaiming_uniform_": fans("kaiming_uniform_", init.kaiming_uniform_),
    "init.kaiming_normal_": fans("kaiming_normal_", init.kaiming_normal_),
    "init.orthogonal_": fans("orthogonal_", init.orthogonal_),
    "init.dirac_": [(lambda: init.dirac_(t(2, 2)), r"dirac_: the tensor is \(2, 2\); it must be a convolution's weight")],
    "init.whitening_": [
        (lambda: init.whitening_(t(2, 2), pixels()), r"whitening_: the tensor is \(2, 2\); it must be a convolution's "),
        (lambda: init.whitening_(ones(2, 2, 3, 12), pixels()), "whitening_: the tensor is a ndarray; it must be"),
        (lambda: init.whitening_(t(2, 2, 3, 7), pixels()), "whitening_: the tensor is .*; its last size must be 12, .* 24"),
        (lambda: init.whitening_(t(2, 2, 3, 12), pixels()[0]), r"whitening_: .* images are float32 .*; they must be nu"),
        (lambda: init.whitening_(t(2, 2, 3, 12), pixels()[:0]), "whitening_: .*; they must be .* at least one image"),
        (lambda: init.whitening_(t(2, 2, 1, 4), pixels()), r"whitening_: .*; they must be numbers \(N, H, W, 1\)"),
        (lambda: init.whitening_(t(9, 9, 3, 243), pixels()), "whitening_: .*; they must be .* none smaller than a filter"),
        (lambda: init.whitening_(t(2, 2, 3, 12), pixels() * NAN), "whitening_: images hold NaN or .*; all must be finite"),
        (lambda: init.whitening_(t(2, 2, 3, 12), ones(2, 8, 8, 3), 0), "whitening_: eps is 0, .*; eps must be above 0"),
        (lambda: init.whitening_(t(2, 2, 3, 12), pixels(), -1), "whitening_: eps is -1; it must be a number of at least 0"),
        (lambda: init.whitening_(frozen(t(2, 2, 3, 12)), pixels()), "init: the array of the tensor .* read-only; it mu"),
    ],
    # ---- training ----------------------------------------------------------------------------------------------------
    "optim.SGD": [
        (lambda: optim.SGD([], 0.1), "SGD: there are no parameters to optimise; pass model.parameters()"),
        (lambda: optim.SGD((p for p in ()), 0.1), "SGD: there are no parameters to optimise"),
        (lambda: optim.SGD(nn.Linear(2, 2), 0.1), r"SGD: params is a Linear; it must be parameters: pass"),
        (lambda: optim.SGD([ones(2)], 0.1), "SGD: got a ndarray among the parameters; they must be tensors"),
        (lambda: optim.SGD([SEQUENTIAL[1].weight] * 2, 0.1), "SGD: a parameter appears twice, .*; each must appear once"),
        (lambda: optim.SGD([result()], 0.1), "SGD: got the result of mul among the parameters, .*; parameters must be"),
        (lambda: optim.SGD([{"lr": 1.0}], 0.1), r"SGD: got a group with \['lr'\]; each must be a dict with params"),
        (lambda: optim.SGD([{"params": t(2), "lrr": 1.0}], 0.1), r"SGD: got a group with \['lrr', 'params'\]; each"),
        (lambda: optim.SGD([{"params": t(2)}, t(2)], 0.1), "SGD: got a group that is a Tensor; each must be"),
        (lambda: sgd(lr=-1), "SGD: lr is -1; it must be a number of at least 0"),
        (lambda: sgd(lr="0.1"), "SGD: lr is '0.1'; it must be a number"),
        (lambda: sgd(lr=NAN), "SGD: lr is nan; it must be"),
        (lambda: sgd(momentum=-1), "SGD: momentum is -1; it must be"),
        (lambda: sgd(dampening=NAN), "SGD: dampening is nan; it must be"),
        (lambda: sgd(weight_decay=-0.1), "SGD: weight_decay is -0.1; it must be"),
        (lambda: sgd(nesterov=True), "SGD: nesterov needs a momentum above 0 and a dampening of 0; set both, or leave"),
        (lambda: optim.SGD([with_gradient(t(2), ones(3))], 0.1).step(), r"SGD: a parameter is \(2,\) but its gradient"),
        (lambda: optim.SGD([with_gradient(frozen(t(2)), ones(2))], 0.1).step(), r"SGD: the array .* read-only; it must be"),
        (lambda: sgd().load_state_dict({}), "SGD.load_state_dict: got no state of an SGD; it must be what state_dict"),
        (lambda: sgd().load_state_dict({"groups": [], "buffers": {}}), "SGD.load_state_dict: .* other parameters"),
        (lambda: sgd().load_state_dict({"groups": [{}], "buffers": {}}), "SGD.load_state_dict: got no state of an SGD"),
        (lambda: sgd().load_state_dict(optim.SGD([t(2), t(2)], 0.1).state_dict()), "SGD.load_state_dict: .* other param"),
    ],
    "optim.Optimizer": [
        (lambda: optim.Optimizer([], {"lr": 1}), "Optimizer: there are no parameters to optimise; pass model.parameters()"),
        (lambda: optim.Optimizer(3, {"lr": 1}), "Optimizer: params is a int; it must be parameters: pass model.parame"),
        (lambda: optim.Optimizer([t(2)], {}), r"Optimizer: defaults are \{\}; they must be a dict with lr"),
        (lambda: optim.Optimizer([t(2)], 0.1), "Optimizer: defaults are 0.1; they must be a dict with lr"),
        (lambda: optim.Optimizer([t(2)], {"lr": 1}).step(), r"Optimizer: define step\(self\), or"),
        (lambda: sgd().add_param_group({}), r"SGD: got a group with \[\]; each must be a dict with params"),
        (lambda: sgd().add_param_group([t(2)]), "SGD: got a group that is a list; each must be a dict with params"),
        (lambda: sgd().add_param_group({"params": []}), "SGD: there are no parameters to optimise; pass model.parameters"),
        (lambda: sgd().add_param_group({"params": t(2), "lr": -1}), "SGD: lr is -1; it must be a number of at least 0"),
        (lambda: added_twice(sgd()), "SGD: a parameter appears twice, .*; each must appear once"),
    ],
    "optim.Adam": optimizers(optim.Adam),
    "optim.AdamW": optimizers(optim.AdamW),
    "optim.Muon": [
        (lambda: optim.Muon([]), "Muon: there are no parameters to optimise; pass model.parameters()"),
        (lambda: optim.Muon(nn.Linear(2, 2)), "Muon: params is a Linear; it must be parameters: pass"),
        (lambda: optim.Muon([t(3)]), r"Muon: a parameter is \(3,\); it must have two axes or more: give biases to SGD"),
        (lambda: optim.Muon([t(3, 3)], lr=-1), "Muon: lr is -1; it must be a number of at least 0"),
        (lambda: optim.Muon([t(3, 3)], weight_decay=-1), "Muon: weight_decay is -1; it must be a number of at least 0"),
        (lambda: optim.Muon([t(3, 3)], eps=NAN), "Muon: eps is nan; it must be a number of at least 0"),
        (lambda: optim.Muon([t(3, 3)], momentum=2), "Muon: momentum is 2; it must be a number from 0 to 1"),
        (lambda: optim.Muon([t(3, 3)], nesterov=1), "Muon: nesterov is 1; it must be True or False"),
        (lambda: optim.Muon([t(3, 3)], ns_coefficients=(1, 2)), r"Muon: ns_coefficients are \(1, 2\); they must be three"),
        (lambda: optim.Muon([t(3, 3)], ns_coefficients=(1, 2, NAN)), "Muon: ns_coefficients is nan; it must be a number"),
        (lambda: optim.Muon([t(3, 3)], ns_steps=2.5), "Muon: ns_steps is 2.5; it must be a whole number of at least 0"),
        (lambda: optim.Muon([t(3, 3)], ns_steps=100), "Muon: ns_steps is 100; it must be at most 99"),
        (lambda: optim.Muon([t(3, 3)], adjust_lr_fn="a"), "Muon: adjust_lr_fn is 'a'; it must be None, 'original' or"),
    ],
    "optim.StepLR": [
        (lambda: optim.StepLR(sgd(), 0), "StepLR: step_size is 0; it must be a whole number of at least 1"),
        (lambda: optim.StepLR(None, 1), "StepLR: optimizer is a NoneType; it must be an optim.Optim"),
        (lambda: optim.StepLR(sgd(), 1, gamma=-1), "StepLR: gamma is -1; it must be a number of at least 0"),
        (lambda: optim.StepLR(sgd(), 1).load_state_dict({}), "StepLR.load_state_dict: got no state of a .*; it must be"),
        (
            lambda: optim.StepLR(sgd(), 1).load_state_dict({"last_epoch": 1, "base_lrs": [], "_last_lr": [0.1]}),
            "StepLR.load_state_dict: the rates are of 0 groups, and the optimizer has 1; they must be equal",
        ),
        (
            lambda: optim.StepLR(sgd(), 1).load_state_dict({"last_epoch": -5, "base_lrs": [0.1], "_last_lr": [0.1]}),
            "StepLR.load_state_dict: last_epoch is -5; it must be a whole number of at least 0",
        ),
    ],
    "optim.LambdaLR": [
        (lambda: optim.LambdaLR(sgd(), 3), "LambdaLR: factor is 3; it must be a function"),
        (lambda: optim.LambdaLR(sgd(), lambda t: NAN), "LambdaLR: the learning rate at 0 is nan; it must be at least 0"),
        (lambda: optim.LambdaLR(sgd(), lambda t: None), "LambdaLR: factor gave None at 0; it must be a number"),
        (lambda: optim.LambdaLR([t(2)], float), "LambdaLR: optimizer is a list; it must be an optim.Optim"),
    ],
    "optim.CosineAnnealingLR": [
        (lambda: optim.CosineAnnealingLR(sgd(), 0), "CosineAnnealingLR: T_max is 0; it must be a whole number of"),
        (lambda: optim.CosineAnnealingLR(sgd(), "a"), "CosineAnnealingLR: T_max is 'a'; it must be"),
        (lambda: optim.CosineAnnealingLR(None, 1), "CosineAnnealingLR: optimizer is a NoneType; it must be"),
        (lambda: optim.CosineAnnealingLR(sgd(), 1, eta_min=-1), "CosineAnnealingLR: eta_min is -1; it must be a number"),
    ],
    "optim.LinearLR": [
        (lambda: optim.LinearLR(sgd(), total_iters=0), "LinearLR: total_iters is 0; it must be a whole number of"),
        (lambda: optim.LinearLR(sgd(), start_factor=-1), "LinearLR: start_factor is -1; it must be a number from 0 to 1"),
        (lambda: optim.LinearLR(sgd(), start_factor=0), "LinearLR: start_factor is 0; it must be above 0"),
        (lambda: optim.LinearLR(sgd(), end_factor=1.5), "LinearLR: end_factor is 1.5; it must be a number from 0 to 1"),
        (lambda: optim.LinearLR(None), "LinearLR: optimizer is a NoneType; it must be"),
    ],
    "optim.ExponentialLR": [
        (lambda: optim.ExponentialLR(sgd(), -1), "ExponentialLR: gamma is -1; it must be a number of at least 0"),
        (lambda: optim.ExponentialLR(sgd(), "a"), "ExponentialLR: gamma is 'a'; it must be a number"),
        (lambda: optim.ExponentialLR(None, 1), "ExponentialLR: optimizer is a NoneType; it must be an optim.Optimizer"),
    ],
    "optim.MultiStepLR": [
        (lambda: optim.MultiStepLR(sgd(), 3), "MultiStepLR: milestones is a int; it must be a list"),
        (lambda: optim.MultiStepLR(sgd(), "ab"), "MultiStepLR: milestones is a str; it must be a list"),
        (lambda: optim.MultiStepLR(sgd(), [1.5]), "MultiStepLR: a milestone is 1.5; it must be a whole number of at least"),
        (lambda: optim.MultiStepLR(sgd(), [1], NAN), "MultiStepLR: gamma is nan; it must be a number of at least 0"),
        (lambda: optim.MultiStepLR([], [1]), "MultiStepLR: optimizer is a list; it must be an optim.Optimizer"),
    ],
    "optim.OneCycleLR": [
        (lambda: optim.OneCycleLR(sgd(), 1), "OneCycleLR: its length is not known; give total_steps, or epochs and steps_p"),
        (lambda: optim.OneCycleLR(sgd(), 1, 0), "OneCycleLR: total_steps is 0; it must be a whole number of at least 1"),
        (lambda: optim.OneCycleLR(sgd(), 1, None, 2, 0.5), "OneCycleLR: steps_per_epoch is 0.5; it must be a whole number"),
        (lambda: optim.OneCycleLR(sgd(), 1, None, 0, 5), "OneCycleLR: epochs is 0; it must be a whole number"),
        (lambda: optim.OneCycleLR(sgd(), -1, 9), "OneCycleLR: max_lr is -1; it must be a number of at least 0"),
        (lambda: optim.OneCycleLR(sgd(), [1, 2], 9), "OneCycleLR: max_lr has 2 rates for 1 groups; it must have one"),
        (lambda: optim.OneCycleLR(sgd(), 1, 9, pct_start=2), "OneCycleLR: pct_start is 2; it must be a number from 0 to 1"),
        (lambda: optim.OneCycleLR(sgd(), 1, 9, anneal_strategy="a"), "OneCycleLR: anneal_strategy is 'a'; it must be"),
        (lambda: optim.OneCycleLR(sgd(), 1, 9, base_momentum=-1), "OneCycleLR: base_momentum is -1; it must be a number"),
        (lambda: optim.OneCycleLR(sgd(), 1, 9, max_momentum=2), "OneCycleLR: max_momentum is 2; it must be a number"),
        (lambda: optim.OneCycleLR(sgd(), 1, 9, div_factor=0), "OneCycleLR: div_factor is 0; it must be a number of at lea"),
        (lambda: optim.OneCycleLR(sgd(), 1, 9, final_div_factor=0), "OneCycleLR: final_div_factor is 0; it must be"),
        (lambda: optim.OneCycleLR(sgd(), 1, 9, three_phase=1), "OneCycleLR: three_phase is 1; it must be True or False"),
        (lambda: optim.OneCycleLR(None, 1, 9), "OneCycleLR: optimizer is a NoneType; it must be an optim.Optimizer"),
        (
            lambda: optim.OneCycleLR(optim.Optimizer([t(2)], {"lr": 1}), 1, 9),
            "OneCycleLR: the optimizer has neither momentum nor betas; cycle_momentum must be False",
        ),
        (lambda: stepped(optim.OneCycleLR(sgd(), 1, 2), 3), "OneCycleLR: step 3 is after the last of 2; total_steps must"),
    ],
    "optim.ReduceLROnPlateau": [
        (lambda: optim.ReduceLROnPlateau(None), "ReduceLROnPlateau: optimizer is a NoneType; it must be an optim.Optim"),
        (lambda: optim.ReduceLROnPlateau(sgd(), "low"), "ReduceLROnPlateau: mode is 'low'; it must be"),
        (lambda: optim.ReduceLROnPlateau(sgd(), threshold_mode=1), "ReduceLROnPlateau: threshold_mode is 1; it must be"),
        (lambda: optim.ReduceLROnPlateau(sgd(), factor=2), "ReduceLROnPlateau: factor is 2; it must be a number from 0 to"),
        (lambda: optim.ReduceLROnPlateau(sgd(), factor=1), "ReduceLROnPlateau: factor is 1; it must be below 1"),
        (lambda: optim.ReduceLROnPlateau(sgd(), patience=-1), "ReduceLROnPlateau: patience is -1; it must be a whole numb"),
        (lambda: optim.ReduceLROnPlateau(sgd(), threshold=NAN), "ReduceLROnPlateau: threshold is nan; it must be"),
        (lambda: optim.ReduceLROnPlateau(sgd(), cooldown=0.5), "ReduceLROnPlateau: cooldown is 0.5; it must be a whole"),
        (lambda: optim.ReduceLROnPlateau(sgd(), min_lr=-1), "ReduceLROnPlateau: min_lr is -1; it must be a number of"),
        (lambda: optim.ReduceLROnPlateau(sgd(), min_lr=[0, 0]), "ReduceLROnPlateau: min_lr has 2 rates for 1 groups; it mu"),
        (lambda: optim.ReduceLROnPlateau(sgd(), eps=-1), "ReduceLROnPlateau: eps is -1; it must be a number of at least"),
        (lambda: optim.ReduceLROnPlateau(sgd()).step("low"), "ReduceLROnPlateau: metrics is a str; it must be a number"),
        (lambda: optim.ReduceLROnPlateau(sgd()).load_state_dict({}), "ReduceLROnPlateau.load_state_dict: got no state of"),
    ],
    "optim.SequentialLR": [
        (lambda: optim.SequentialLR(sgd(), [optim.StepLR(sgd(), 1)], [1]), "SequentialLR: 1 schedules need 0"),
        (lambda: optim.SequentialLR(sgd(), [], []), "SequentialLR: 0 schedules need 0 milestones in rising"),
        (lambda: optim.SequentialLR(sgd(), None, []), "SequentialLR: schedulers is a NoneType; it must be a list"),
        (
            lambda: optim.SequentialLR(sgd(), [optim.StepLR(sgd(), 1)], []),
            "SequentialLR: schedule 0 is of another optimizer; it must be of this one",
        ),
    ],
    "optim.PiecewiseLinearLR": [
        (lambda: optim.PiecewiseLinearLR(sgd(), []), r"PiecewiseLinearLR: points are \[\]; they must be pairs \(step, fac"),
        (lambda: optim.PiecewiseLinearLR(sgd(), 3), r"PiecewiseLinearLR: points are 3; they must be pairs"),
        (lambda: optim.PiecewiseLinearLR(sgd(), [0, 1]), r"PiecewiseLinearLR: points are \[0, 1\]; they must be pairs"),
        (lambda: optim.PiecewiseLinearLR(sgd(), [(0.5, 1)]), "PiecewiseLinearLR: the step of a point is 0.5; it must b"),
        (lambda: optim.PiecewiseLinearLR(sgd(), [(3, 1), (3, 0)]), r"PiecewiseLinearLR: the steps .* \[3, 3\]; they mu"),
        (lambda: optim.PiecewiseLinearLR(sgd(), [(0, -1)]), "PiecewiseLinearLR: the factor at 0 is -1; it must be a nu"),
        (lambda: optim.PiecewiseLinearLR(sgd(), [(0, NAN)]), "PiecewiseLinearLR: the factor at 0 is nan; it must be"),
        (lambda: optim.PiecewiseLinearLR(None, [(0, 1)]), "PiecewiseLinearLR: optimizer is a NoneType; it must be an o"),
    ],
    "optim.update_bn": updated_bn(),
    "optim.MovingAverage": averages(optim.MovingAverage),
    "optim.Lookahead": [
        *averages(optim.Lookahead),
        (lambda: optim.Lookahead(holding(nn.Parameter(frozen(t(2))))).update(1.5), "Lookahead: decay is 1.5; it must be a"),
    ],
    "data.random_flip": [
        *of_images("random_flip", data.random_flip),
        (lambda: data.random_flip(pixels(), p=1.5), "random_flip: p is 1.5; it must be a number from 0 to 1"),
        (lambda: data.random_flip(pixels(), 0), "generator is 0, a int; it must be"),
    ],
    "data.alternating_flip": [
        *of_images("alternating_flip", lambda images: data.alternating_flip(images, [0], 0)),
        (lambda: data.alternating_flip(pixels(), [0], 0), r"alternating_flip: positions are int64 of shape \(1,\); the"),
        (lambda: data.alternating_flip(pixels(), [-1] * 4, 0), "alternating_flip: positions are .* at least 0, one for"),
        (lambda: data.alternating_flip(pixels(), range(4), 0.5), "alternating_flip: epoch is 0.5; it must be a whole n"),
        (lambda: data.alternating_flip(pixels(), range(4), 0, -1), "alternating_flip: seed is -1; it must be a whole n"),
    ],
    "data.random_shift": [
        *of_images("random_shift", lambda images: data.random_shift(images, 1)),
        (lambda: data.random_shift(pixels(), 8), "random_shift: shift is 8 and the images are 8×8; it must be smaller"),
        (lambda: data.random_shift(pixels(), -1), "random_shift: shift is -1; it must be a whole number of at least 0,"),
        (lambda: data.random_shift(pixels(), 1, 0), "generator is 0, a int; it must be"),
    ],
    "data.cutout": [
        *of_images("cutout", lambda images: data.cutout(images, 1)),
        (lambda: data.cutout(pixels(), 9), r"cutout: size is \(9, 9\) and the images are 8×8; it must not be larger"),
        (lambda: data.cutout(pixels(), 0), "cutout: size is 0; it must be a whole number of at least 1, or a pair"),
        (lambda: data.cutout(pixels(), 1, value=[1, 2]), r"cutout: value is \[1, 2\]; it must be one, or one for each "),
        (lambda: data.cutout(pixels().astype(np.uint8), 1, value=0.5), "cutout: value is 0.5; it must be .* whole numb"),
        (lambda: data.cutout(pixels(), 1, 0), "generator is 0, a int; it must be"),
    ],
    "data.DataLoader": [
        (lambda: data.DataLoader(), r"DataLoader: the arrays have lengths \[\]; they must be equal, and not 0"),
        (lambda: data.DataLoader(ones(2), ones(3)), r"DataLoader: the arrays have lengths \[2, 3\]; they must be equal"),
        (lambda: data.DataLoader(ones()), "DataLoader: argument 1 is a ndarray, not an array of examples; pass arrays"),
        (lambda: data.DataLoader(ones(2), 64), "DataLoader: argument 2 is 64, not an array .* such as batch_size=64"),
        (lambda: data.DataLoader(None), "DataLoader: argument 1 is a NoneType, not an array of examples; pass arrays"),
        (lambda: data.DataLoader((ones(2), ones(2))), r"DataLoader: argument 1 is a tuple of 2 arrays; pass .*\(x, y\)"),
        (lambda: data.DataLoader([t(2), t(2)]), r"DataLoader: argument 1 is a list of 2 arrays; pass .*np.stack"),
        (lambda: data.DataLoader(ones(2), shuffle="no"), "DataLoader: shuffle is 'no'; it must be True or False"),
        (lambda: data.DataLoader(ones(2), drop_last=None), "DataLoader: drop_last is None; it must be True or False"),
        (lambda: data.DataLoader(ones(2), batch_size=1.5), "DataLoader: batch_size is 1.5; it must be a whole number"),
        (lambda: data.DataLoader(ones(2), batch_size=3, drop_last=True), "DataLoader: no batch of 3 fits into 2"),
        (lambda: data.DataLoader(ones(2), generator=3), "generator is 3, a int; it must be"),
    ],
    "data.draws": [
        (lambda: data.draws(ones(2), ones(3), batch_size=1), r"DataLoader: the arrays have lengths \[2, 3\]; they must be"),
        (lambda: data.draws(ones(2), batch_size=0), "DataLoader: batch_size is 0; it must be a whole number"),
        (lambda: data.draws(ones(2), batch_size=1, generator=3), "generator is 3, a int; it must be"),
    ],
    "data.cifar10": [
        (lambda: data.cifar10("/no such folder"), "cifar10: cannot list the folder /no such folder .*; name"),
        (lambda: data.cifar10("."), "cifar10: the folder . lacks data_batch_1.bin, .*; put the 6 .bin files there, or"),
        (lambda: data.cifar10(""), "cifar10: the path is ''; it must be the name of a file or a folder"),
        (lambda: data.cifar10(download="no"), "cifar10: download is 'no'; it must be True or False"),
        (lambda: data.cifar10(quiet=2), "cifar10: quiet is 2; it must be True or False"),
    ],
    "data.cifar100": [
        (lambda: data.cifar100("/no such folder"), "cifar100: cannot list the folder /no such folder .*; name"),
        (lambda: data.cifar100("."), "cifar100: the folder . lacks train.bin, test.bin; put the 2 .bin files there, or"),
        (lambda: data.cifar100(3), "cifar100: the path is 3, a int; it must be a text or a pathlib.Path"),
        (lambda: data.cifar100(download=None), "cifar100: download is None; it must be True or False"),
    ],
    "data.mnist": [
        (lambda: data.mnist("/no such folder"), "mnist: cannot list the folder /no such folder .*; name"),
        (lambda: data.mnist(""), "mnist: the path is ''; it must be the name of a file or a folder"),
        (lambda: data.mnist(download="no"), "mnist: download is 'no'; it must be True or False"),
        (lambda: data.mnist(quiet=2), "mnist: quiet is 2; it must be True or False"),
    ],
    "data.shakespeare": [
        (lambda: data.shakespeare("/no such folder"), "shakespeare: cannot list the folder /no such folder .*; name"),
        (lambda: data.shakespeare("."), "shakespeare: the folder . lacks tinyshakespeare.txt; put it there, or input.txt"),
        (lambda: data.shakespeare(""), "shakespeare: the path is ''; it must be the name of a file or a folder"),
        (lambda: data.shakespeare(3), "shakespeare: the path is 3, a int; it must be a text or a pathlib.Path"),
        (lambda: data.shakespeare(download="no"), "shakespeare: download is 'no'; it must be True or False"),
        (lambda: data.shakespeare(quiet=2), "shakespeare: quiet is 2; it must be True or False"),
    ],
    "data.read_cifar": [
        (lambda: data.read_cifar("/no such file"), "read_cifar: there is no file /no such file; check the"),
        (lambda: data.read_cifar("x", 1000), "read_cifar: classes is 1000; it must be 10, or for a file of CIFAR-100 20 or"),
        (lambda: data.read_cifar(b""), "read_cifar: the path is ''; it must be the name of a file"),
    ],
    "data.read_graph": [
        (lambda: data.read_graph("/no such file"), "read_graph: there is no file /no such file; check the"),
        (lambda: data.read_graph("/"), "read_graph: / is a folder; name a file of a graph in it"),
        (lambda: data.read_graph(""), "read_graph: the path is ''; it must be the name of a file"),
        (lambda: data.read_graph(None), "read_graph: the path is None"),
        (lambda: data.read_graph(__file__), "read_graph: .*error_table.py is no file of a graph: its first two lines must"),
    ],
    "data.read_idx": [
        (lambda: data.read_idx("/no such file"), "read_idx: there is no file /no such file; check the"),
        (lambda: data.read_idx("a\0b"), r"read_idx: the path is 'a\\x00b'; it must be the name"),
    ],
    "data.strokes": [
        (lambda: data.strokes(seed=-1), "strokes: seed is -1; it must be a whole number of at least 0"),
        (lambda: data.strokes(1, 1, cache=""), "strokes: the path is ''; it must be the name of a file or a folder"),
        (lambda: data.strokes(train=0), "strokes: train is 0; it must be a whole number of at least 1"),
    ],
    "gradcheck.gradcheck": [
        (lambda: gradcheck.gradcheck(lambda x: x.data, ones(2)), "gradcheck: f returned a ndarray; it must return a"),
        (lambda: gradcheck.gradcheck(lambda: t()), "gradcheck: got 0 arrays, .*; all must be above 0"),
        (lambda: gradcheck.gradcheck(F.relu, ones(2), eps=0), "gradcheck: got 1 arrays, directions 3 and eps 0; all"),
    ],
    "gradcheck.jacobian": [
        (lambda: gradcheck.jacobian(lambda x: x.data, ones(2)), "jacobian: f returned a ndarray; it must return a"),
    ],
    "models.paper_mlp": [
        (lambda: models.paper_mlp("layer"), "paper_mlp: norm is 'layer'; it must be"),
        (lambda: models.paper_mlp(sizes=(3,)), r"paper_mlp: sizes are \(3,\); there must be at least two"),
        (lambda: models.paper_mlp(init_std=-1), "normal_: std is -1; it must not be negative"),
    ],
    "models.mnist_conv": [(lambda: models.mnist_conv("x"), "mnist_conv: norm is 'x'; it must be")],
    "models.cifar_net": [
        (lambda: models.cifar_net(norm="layer"), "cifar_net: norm is 'layer'; it must be \"batch\", \"group\" or \"none\""),
        (lambda: models.cifar_net((8, 8)), r"cifar_net: widths are \(8, 8\); there must be three"),
        (lambda: models.cifar_net(generator=3), "generator is 3, a int; it must be"),
    ],
    "models.resnet8": [(lambda: models.resnet8(generator=3), "generator is 3, a int; it must be")],
    "models.cifar_conv": [(lambda: models.cifar_conv(generator=3), "generator is 3, a int; it must be")],
    "summary": [
        (lambda: minidl.summary(F.relu, (1, 2)), "summary: model is a function; it must be a Module"),
        (lambda: minidl.summary(SEQUENTIAL), "summary: there is no example; pass the shape of a batch"),
        (lambda: minidl.summary(SEQUENTIAL, 784), "summary: the example is 784; it must be the shape of a batch, such as"),
        (lambda: minidl.summary(SEQUENTIAL, [(1, 2), (1, 2)]), r"summary: the example is .*; shapes of several .* must be"),
        (lambda: minidl.summary(SEQUENTIAL, (1, -2)), r"summary: the shape is \(1, -2\); its sizes must not be negative"),
        (lambda: minidl.summary(SEQUENTIAL, (10**9, 10**9)), "summary: a batch of shape .* does not fit in memory; it must"),
        (lambda: SEQUENTIAL.graph((1, 3)), r"linear: x is \(1, 3\) but weight is"),
    ],
    "train.train_one_epoch": [
        (lambda: train.train_one_epoch(SEQUENTIAL, [], sgd(), quiet=True), "train_one_epoch: the loader gave no batch"),
        (lambda: train.train_one_epoch(SEQUENTIAL, [ones(3, 2)], sgd(), quiet=True), "train_one_epoch: the loader"),
        (lambda: epoch(lambda y, t: 0.5), "train_one_epoch: loss_fn returned a float; it must return a Tensor"),
        (lambda: epoch(lambda y, t: y.data.mean()), "train_one_epoch: loss_fn returned a float32; it must return a Tensor"),
        (lambda: epoch(lambda y, t: None), "train_one_epoch: loss_fn returned a NoneType; it must return a Tensor"),
        (lambda: epoch(quiet="no"), "train_one_epoch: quiet is 'no'; it must be True or False"),
        (lambda: epoch(callback=3), "train_one_epoch: callback is a int; it must be a function"),
        (lambda: epoch(after_step="x"), "train_one_epoch: after_step is a str; it must be a function"),
    ],
    "train.check_finite": [(lambda: train.check_finite(NAN, 7), "the loss is nan at training step 7: .*; try a smaller")],
    "train.evaluate": [
        (lambda: train.evaluate(SEQUENTIAL, ones(3, 2), [0]), "evaluate: 3 inputs but 1 labels; each"),
        (lambda: train.evaluate(Returns(1.0), ones(3, 2), [0, 1, 0]), "predict_logits: the model returned a float; it must"),
        (lambda: train.evaluate(SEQUENTIAL, ones(3, 2), [0, 1, 0], 2.0), "predict_logits: batch_size is 2.0; it must be a"),
    ],
    "train.predict_logits": [
        (lambda: train.predict_logits(SEQUENTIAL, ones(0, 2)), "predict_logits: there are no inputs; there must be at"),
        (lambda: train.predict_logits(SEQUENTIAL, ones(3, 2), 0), "predict_logits: batch_size is 0; it must be a whole"),
        (lambda: train.predict_logits(SEQUENTIAL, ones(3, 2), 1.5), "predict_logits: batch_size is 1.5; it must be a whole"),
        (lambda: train.predict_logits(Returns(ones(3, 2)), ones(3, 2)), "predict_logits: the model returned a ndarray; it"),
        (lambda: train.predict_logits(Returns((t(3),)), ones(3, 2)), "predict_logits: the model returned a tuple; it must"),
    ],
    "train.update_bn": updated_bn(),
    "probe.Probe": [
        (lambda: probe.Probe(SEQUENTIAL, ["x"]), r"Probe: no layer named \['x'\]; there are \['0', '1'\]"),
        (lambda: probe.Probe(SEQUENTIAL, {"x": F.relu}), "Probe: 'x' is a function; it must be a Module"),
        (lambda: probe.Probe(SEQUENTIAL, ["0"], every=0), "Probe: every is 0, for 1 layers; both must be at least 1"),
        (lambda: probe.Probe(SEQUENTIAL, []), "Probe: every is 100, for 0 layers; both must be"),
        (lambda: probe.Probe(SEQUENTIAL, ["0"], edges=[1, 0]), r"Probe: edges are \[1, 0\]; there must be at least two"),
        (lambda: probe.Probe(SEQUENTIAL, ["0"], jsonl="."), "Probe: . is a folder; name a file in it, such as probe.jsonl"),
        (lambda: probe.Probe(SEQUENTIAL, ["0"], jsonl=3), "Probe: the path is 3, a int; it must be a text or a"),
        (lambda: probe.Probe(SEQUENTIAL, ["0"]).to_jsonl("."), "to_jsonl: . is a folder; name a file in it, such as"),
    ],
    "replay.Replay": [
        (lambda: replay.Replay(F.relu), "Replay: got a function and a function; they must be a Module and a function"),
        (lambda: replay.Replay(SEQUENTIAL, 3), "Replay: got a Sequential and a int; they must be a Module and a function"),
        (lambda: replay.Replay(SEQUENTIAL)(ones(3, 3), labels(0, 0, 0)), r"linear: x is \(3, 3\) but weight is"),
        (lambda: replay.Replay(SEQUENTIAL)(ones(3, 2), labels(0, 9, 0)), "cross_entropy: labels run from 0 to 9 but"),
    ],
    "probe.unit_percentiles": [(lambda: probe.unit_percentiles(ones(0, 3)), r"unit_percentiles: x is \(0, 3\); it")],
    "checkpoint.save": [
        (lambda: checkpoint.save("x.npz", {"model": SEQUENTIAL}), r"save: model is a Sequential; .*:"),
        (lambda: checkpoint.save("x.npz", {}, {"n": np.int64(1)}), r"save: the settings cannot be said in JSON \(.*int64"),
        (lambda: checkpoint.save("x.npz", {}, {"lr": NAN}), "save: the settings cannot .*; it must be made of"),
        (lambda: checkpoint.save("x.npz", {"w" * 70_000: ones(2)}), "save: the name 'w+' … has 70,000 bytes; it must have"),
        (lambda: checkpoint.save("x.npz", {"\ud800": ones(2)}), "save: the name .* is taken, or no name for a file; rename"),
        (lambda: checkpoint.save(".", {}), "save: . is a folder; name a file in it, such as model.npz"),
        (lambda: checkpoint.save("", {}), "save: the path is ''; it must be the name of a file"),
        (lambda: checkpoint.save("a\0b", {}), r"save: the path is 'a\\x00b'; it must be the name"),
        (lambda: checkpoint.save(3, {}), "save: the path is 3, a int; it must be a text or a pathlib.Path"),
        (lambda: checkpoint.save("~nobody here/x", {}), "save: the path is ~nobody here/x, but .*; write ./~nobody"),
    ],
    "checkpoint.load": [
        (lambda: checkpoint.load("/no such file"), "load: there is no file /no such file; check the"),
        (lambda: checkpoint.load("."), "load: . is a folder; name a file in it, or use Checkpoints"),
        (lambda: checkpoint.load(""), "load: the path is ''; it must be the name of a file"),
        (lambda: checkpoint.load(None), "load: the path is None, a NoneType; it must be a text"),
    ],
    "exchange.onnx.export": [
        (lambda: exchange.onnx.export(3, ones(1, 2), "x.onnx"), "exchange.onnx.export: model is a int; it must be a minidl"),
        (lambda: exchange.onnx.export(nn.ReLU(), ones(1, 2), "x", layout="CN"), "exchange.*: layout is 'CN'; it must"),
        (lambda: exchange.onnx.export(nn.ReLU(), ones(1, 2), "x", fold_batch_norm=3), "exchange.*: fold_batch_norm is 3; "),
        (lambda: exchange.onnx.export(nn.ReLU(), ones(1, 2), "."), "exchange.onnx.export: . is a folder; name a file in it"),
        (lambda: exchange.onnx.export(nn.ReLU(), ones(1, 2), ""), "exchange.onnx.export: the path is ''; it must be"),
    ],
    "exchange.torch.state_dict": [
        (lambda: exchange.torch.state_dict(3), "exchange.torch.state_dict: model is a int; it must be a minidl Module"),
        (lambda: exchange.torch.state_dict(FLAT), "exchange.torch.state_dict: .* Flatten to 192 .* 8×8; pass example"),
        (lambda: exchange.torch.state_dict(FLAT, example=ones(0, 192)), r"exchange.*: the example is \(0, 192\); it must"),
        (lambda: exchange.torch.state_dict(FLAT, example=()), r"exchange.*: the examples are \[\]; there must be one"),
    ],
    "exchange.torch.load_state_dict": [
        (lambda: exchange.torch.load_state_dict(3, {}), "exchange.torch.load_state_dict: model is a int; it must be"),
        (lambda: exchange.torch.load_state_dict(nn.ReLU(), 3), "exchange.*: got a int; it must be a dict of arrays by name"),
        (lambda: exchange.torch.load_state_dict(nn.Linear(2, 3), {"weight": ones(2, 3), "b": 1}), r"exchange.*; it must be "
         r"of an .*missing: bias\n  unexpected: b\n  misshaped: weight: \(2, 3\), expected \(3, 2\)$"),
    ],
    "exchange.torch.optimizer_state_dict": [
        (lambda: exchange.torch.optimizer_state_dict(3, nn.ReLU()), "exchange.*: optimizer is a int; it must be an SGD, A"),
        (lambda: exchange.torch.optimizer_state_dict(sgd(), nn.ReLU()), "exchange.*: the optimizer moves .* has not; pass"),
    ],
    "exchange.torch.load_optimizer_state_dict": [
        (lambda: exchange.torch.load_optimizer_state_dict(3, nn.ReLU(), {}), "exchange.*: optimizer is a int; it must be"),
        (lambda: exchange.torch.load_optimizer_state_dict(optim.SGD(FLAT[1].parameters(), 0.1), FLAT[1], {}), "exchange.*: "
         "got no state of PyTorch's SGD .*; it must be"),
    ],
    "checkpoint.Checkpoints": [
        (lambda: checkpoint.Checkpoints(""), "Checkpoints: the path is ''; it must be the name of a file or a folder"),
        (lambda: checkpoint.Checkpoints("x", keep=0), "Checkpoints: keep is 0; it must be a whole number of at least 1"),
        (lambda: checkpoint.Checkpoints("x", keep=1.5), "Checkpoints: keep is 1.5; it must be a whole number"),
        (lambda: checkpoint.Checkpoints("x", run=ones(2)), "Checkpoints: run cannot be said in JSON"),
        (lambda: checkpoint.Checkpoints("x").save(-1, {}), "Checkpoints.save: step is -1; it must be a whole number of"),
        (lambda: checkpoint.Checkpoints("x").save(1.0, {}), "Checkpoints.save: step is 1.0; it must be a whole number"),
    ],
    # ---- pictures ----------------------------------------------------------------------------------------------------
    "plot.accuracy_curves": curves("accuracy_curves", plot.accuracy_curves),
    "plot.loss_curves": curves("loss_curves", plot.loss_curves),
    "plot.update_ratios": [(lambda: plot.update_ratios([0], {}), "update_ratios: .* is empty; it must be a dict")],
    "plot.percentile_bands": [
        (lambda: plot.percentile_bands([0, 1], ones(2, 2)), r"percentile_bands: percentiles is \(2, 2\) but there are"),
        (lambda: plot.percentile_bands([1, 0], ones(2, 3)), "percentile_bands: steps must be finite and increase"),
        (lambda: plot.percentile_bands([0], [[1, 2, 3]], foretold=[1, 2, 3]), r"percentile_bands: foretold: .* is \(3,\)"),
    ],
    "plot.histograms_over_time": [
        (lambda: plot.histograms_over_time([0], ones(1, 3), [0, 1]), r"histograms_over_time: counts is \(1, 3\); 1"),
    ],
    "plot.histogram_grid": [
        (lambda: plot.histogram_grid([0], {}, [0, 1], columns=2), "histogram_grid: grid is empty; it must be a dict"),
    ],
    "plot.slope_zones": [
        (lambda: plot.slope_zones(np.tanh, {}), "slope_zones: inputs is empty; it must be a dict"),
        (lambda: plot.slope_zones(np.tanh, {"a": [NAN]}), "slope_zones: 'a' has no finite number; each of the inputs must"),
    ],
    "plot.batch_table": [
        (lambda: plot.batch_table(None, ones(3), ""), r"batch_table: table is \(3,\); it must be \(m, C\)"),
        (lambda: plot.batch_table(None, ones(2, 3), "", column=3), "batch_table: column is 3 and row None, .* no such"),
    ],
    "plot.batches_of_three": [
        (lambda: plot.batches_of_three(*[ones(2, 4)] * 4), r"batches_of_three: got .*; each must be \(3, batches\)"),
    ],
    "plot.flow": [
        (lambda: plot.flow({"a": (0, 0)}, [("a", "b", "")], ""), r"flow: arrows lead to \['b'\]; there are boxes \['a'\]"),
        (lambda: plot.flow({}, [], ""), "flow: arrows lead to"),
    ],
    "plot.joined": [
        (lambda: plot.joined({}, "", ""), "joined: rows are .*; there must be some, all of one size"),
        (lambda: plot.joined({"a": [1], "b": [1, 2]}, "", ""), "joined: rows are .*; there must be some, all of one size"),
    ],
    "plot.network": [
        (lambda: plot.network([3], ""), r"network: sizes are \[3\], with 0 words .*; there must be two layers"),
        (lambda: plot.network([3, 0], ""), r"network: sizes are \[3, 0\]"),
        (lambda: plot.network([3, 2], "", between=["a", "b"]), "network: .* with 2 words .* a word for each gap"),
    ],
    "plot.contours": [
        (lambda: plot.contours(None, [0, 1], [0, 1], ones(2, 3), "", "", ""), r"contours: values are \(2, 3\), x \(2,\)"),
        (lambda: plot.contours(None, [1, 0], [0, 1], ones(2, 2), "", "", ""), "contours: x and y must be finite and"),
        (lambda: plot.contours(None, [0, 1], [0, 1], ones(2, 2), "", "", "", levels=0), "contours: levels is 0; it must be"),
    ],
    "plot.heat_map": [
        (lambda: plot.heat_map(None, ones(3), "", "", ""), r"heat_map: matrix is \(3,\); it must be \(rows, columns\)"),
        (lambda: plot.heat_map(None, [[NAN]], "", "", ""), "heat_map: matrix is .* with finite numbers only"),
        (lambda: plot.heat_map(None, [[1]], "", "", "", limit=0), "heat_map: limit is 0; it must be above 0"),
    ],
    "plot.roofline": [
        (lambda: plot.roofline({}, 0, 1), "roofline: .*; it must be"),
        (lambda: plot.roofline({"a": {"b": [(1, 2)]}}, 0, 1), "roofline: .* is 0; it must be a number above 0"),
        (lambda: plot.roofline({"a": {"b": [(1, -2)]}}, 1, 1), "roofline: the points of .*; they must be pairs"),
    ],
    "plot.panels": [(lambda: plot.panels(0), "panels: columns is 0 and rows 1; both must be")],
    "plot.lines": [
        (lambda: plot.lines(None, {}, "", "", ""), "lines: runs is empty; it must be a dict"),
        (lambda: plot.lines(None, {"a": ([1, 0], [1, 2])}, "", "", ""), "lines: steps of 'a' must be finite and increase"),
        (lambda: plot.lines(None, {"a": ([0, 1], [1])}, "", "", ""), r"lines: 'a' has 2 steps but values of shape \(1,\)"),
        (lambda: plot.lines(None, {"a": ([0], [1])}, "", "", "", inks=[0, 1]), "lines: there are 2 inks and 1 lines; each"),
    ],
    "plot.ridges": [
        (lambda: plot.ridges(None, [0, 1], ones(2, 1), ["a"], "", ""), r"ridges: shares is \(2, 1\), for 1 names and"),
        (lambda: plot.ridges(None, [1, 0], ones(1, 1, 1), ["a"], "", ""), "ridges: edges do not increase; each must be"),
        (lambda: plot.ridges(None, [0, 1], -ones(1, 1, 1), ["a"], "", ""), "ridges: shares go from -1 to -1; they must"),
    ],
    "plot.strands": [(lambda: plot.strands(None, [0, 1], ones(3, 2), "a", "", ""), "strands: 'a' has 2 steps but values")],
    "plot.unit_bands": [
        (lambda: plot.unit_bands([0, 1], ones(2, 3)), r"unit_bands: percentiles is \(2, 3\) but there are 2 steps; it must"),
        (lambda: plot.unit_bands([0], ones(1, 2, 3), limits=(1, 0)), r"unit_bands: limits are \(1, 0\); the first must be"),
    ],
    "plot.line_grid": [
        (lambda: plot.line_grid({}, "", "", ""), "line_grid: runs is empty; it must be a dict"),
        (lambda: plot.line_grid({"a": {}}, "", "", ""), "lines: runs is empty; it must be a dict"),
        (lambda: plot.line_grid({"a": {"b": ([0], [1])}}, "", "", "", columns=0), "panels: columns is 0 and rows 1"),
        (
            lambda: plot.line_grid({"a": {"b": ([0], [1])}}, "", "", "", legend="b"),
            "line_grid: there is no panel 'b' for the legend; there are a",
        ),
    ],
    "plot.intervals": [
        (lambda: plot.intervals(None, {}, "", ""), "intervals: rows is empty; it must be a dict"),
        (lambda: plot.intervals(None, {"a": [NAN]}, "", ""), "intervals: 'a' has no finite value; each row must have one"),
    ],
    "plot.log_map": [
        (lambda: plot.log_map(None, [[0.0]], "", "", "", bar=""), r"log_map: matrix is \(1, 1\); it must be"),
        (lambda: plot.log_map(None, [[1]], "", "", "", bar="", limits=(0, 1)), "log_map: limits are 0 and 1; they must be"),
    ],
    "plot.dots": [
        (lambda: plot.dots(None, {}, "", "", ""), "dots: groups is empty; it must be a dict"),
        (lambda: plot.dots(None, {"a": ([1], [1, 2])}, "", "", ""), r"dots: 'a' has x \(1,\) and y \(2,\); they must be"),
        (lambda: plot.dots(None, {"a": ([1], [NAN])}, "", "", ""), "dots: 'a' has no finite dot; each group must have one"),
        (lambda: plot.dots(None, {"a": ([1], [1])}, "", "", "", inks=[]), "dots: 1 groups, 0 inks, .*; each group must"),
    ],
    "plot.checks": [
        (lambda: plot.checks(None, {}, ""), "checks: rows is empty; it must be a dict"),
        (lambda: plot.checks(None, {"a": (-1, 2)}, ""), "checks: 'a' is .*; it must be a pair of numbers of at least 0"),
    ],
    "plot.cells": [
        (lambda: plot.cells(None, ones(2, 3), "ab", "ab", "", "", ""), r"cells: .* \(2, 3\), for 2 rows and 2 .* must"),
        (lambda: plot.cells(None, [[NAN]], "a", "a", "", "", ""), r"cells: values are \(1, 1\)"),
        (lambda: plot.cells(None, [[1]], "a", "a", "", "", "", limits=(1, 0)), "cells: limits are 1 and 0; the first must"),
    ],
    "plot.figure1": [(lambda: plot.figure1({}, settings={}, source=""), "figure1: arms is empty; it must be a dict")],
    "plot.images": [
        (lambda: plot.images(ones(2, 3)), r"images: pixels are \(2, 3\); they must be \(N, H, W\)"),
        (lambda: plot.images(ones(2, 3, 3), ["a"]), "images: 1 names for 2 images; there must be one for each"),
        (lambda: plot.images(ones(2, 3, 3), columns=0), "images: columns is 0; it must be at least 1"),
    ],
    "plot.live": [(lambda: plot.live(None), "live: draw is a NoneType; it must be a function that makes a figure")],
    "plot.tallies": [
        (lambda: plot.tallies({}, 1, "", ""), "tallies: rows is empty; it must be a dict"),
        (lambda: plot.tallies({"a": {"x": 2}}, 1, "", ""), r"tallies: 'a' has \[2\]; counts must be from 0 to the total, 1"),
        (lambda: plot.tallies({"a": {"x": 1}, "b": {"y": 1}}, 1, "", ""), "tallies: 'b' has the columns .*; give equal"),
    ],
    "plot.misclassified": [(lambda: plot.misclassified(ones(2, 28, 28), labels(1), ones(2, 10)), "misclassified:")],
    "plot.photo_report": [
        (lambda: photo_report(epochs=[{"epoch": 1}]), "photo_report: a row of epochs must have epoch"),
        (lambda: photo_report(filters=ones(2, 2, 3)), r"photo_report: filters are \(2, 2, 3\); they must be"),
        (lambda: photo_report(images=ones(2, 4, 4)), "photo_report: images are .*; they must be"),
        (lambda: photo_report(confusion=ones(2, 3)), "photo_report: images are .*; they must be"),
    ],
    "plot.prediction": [(lambda: plot.prediction(ones(2), ones(28, 28), ones(10)), "prediction: .*must")],
}  # fmt: skip
