"""Write the golden vectors: what PyTorch computes for the operations of minidl.

Regenerate with

    pip install torch==2.13
    python tests/golden/make_golden.py

and commit the .npz files beside this script. The tests read those and never import torch. Everything is float64 and
seeded, so the same version of torch writes the same numbers.

Layouts are converted here, at the door:

    images            torch (N, C, H, W)      minidl (N, H, W, C)
    Linear weight     torch (out, in)         minidl (in, out)
    conv weight       torch (O, C, kh, kw)    minidl (kh, kw, C, O)

One file a family, with entries named "case/array". In a case of an operation, `y` is the output, `grad_y` the cotangent
that was sent backward and `grad_<name>` the gradient of the input `<name>`; the other entries are inputs and options.
"""

from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

HERE = Path(__file__).parent


def main():
    torch.set_num_threads(1)
    families = {
        "linear": linear_cases,
        "conv2d": conv_cases,
        "pool": pool_cases,
        "activation": activation_cases,
        "loss": loss_cases,
        "batch_norm": batch_norm_cases,
        "layer_norm": layer_norm_cases,
        "sgd": sgd_cases,
        "schedules": schedule_cases,
        "training": training_cases,
        "adam": adam_cases,
        "later_schedules": later_schedule_cases,
        "clip": clip_cases,
    }
    for seed, (family, cases) in enumerate(families.items()):
        rng = np.random.default_rng(seed)
        arrays = {f"{case}/{name}": array for case, entries in cases(rng) for name, array in entries.items()}
        np.savez_compressed(HERE / f"{family}.npz", **arrays)
        print(f"{family}.npz: {len(arrays)} arrays, {(HERE / f'{family}.npz').stat().st_size} bytes")


# --- from minidl's layout to torch's and back ------------------------------------------------------------------------


def same(array):
    return array


def channels_first(images):
    return np.moveaxis(images, -1, 1) if images.ndim == 4 else images


def channels_last(images):
    return np.moveaxis(images, 1, -1) if images.ndim == 4 else images


def linear_weight_to_torch(weight):
    return weight.T


def conv_weight_to_torch(weight):
    return weight.transpose(3, 2, 0, 1)


def conv_weight_from_torch(weight):
    return weight.transpose(2, 3, 1, 0)


IMAGES = (channels_first, channels_last)
LINEAR_WEIGHT = (linear_weight_to_torch, linear_weight_to_torch)
CONV_WEIGHT = (conv_weight_to_torch, conv_weight_from_torch)
PLAIN = (same, same)


def record(rng, f, inputs, layouts, out=channels_last):
    """Run f on torch tensors, send a random cotangent backward, and return every array in minidl's layout.

    inputs: name -> array in minidl's layout, or None. layouts: name -> (to torch, from torch).
    """
    tensors = {}
    for name, array in inputs.items():
        to_torch, _ = layouts.get(name, PLAIN)
        tensors[name] = None if array is None else torch.tensor(to_torch(array).copy(), requires_grad=True)
    y = f(**tensors)
    grad_y = torch.tensor(rng.standard_normal(tuple(y.shape)))
    y.backward(grad_y)
    entries = {name: array for name, array in inputs.items() if array is not None}
    entries["y"] = out(y.detach().numpy())
    entries["grad_y"] = out(grad_y.numpy())
    for name, tensor in tensors.items():
        if tensor is not None:
            _, from_torch = layouts.get(name, PLAIN)
            entries[f"grad_{name}"] = from_torch(tensor.grad.numpy())
    return {name: np.array(array, order="C") for name, array in entries.items()}


# --- operations ------------------------------------------------------------------------------------------------------


def linear_cases(rng):
    shapes = [((5, 3), 4, True), ((1, 1), 1, True), ((7, 5), 3, False), ((2, 3, 5), 4, True), ((33, 17), 9, True)]
    for x_shape, n_out, with_bias in shapes:
        inputs = {
            "x": rng.standard_normal(x_shape),
            "weight": rng.standard_normal((x_shape[-1], n_out)),
            "bias": rng.standard_normal(n_out) if with_bias else None,
        }
        case = f"{'x'.join(map(str, x_shape))}-{n_out}-{'bias' if with_bias else 'plain'}"
        yield case, record(rng, F.linear, inputs, {"weight": LINEAR_WEIGHT}, out=same)


def conv_cases(rng):
    # image (N, H, W, C), kernel (kh, kw, O), stride, padding, bias
    settings = [
        ((2, 6, 6, 3), (3, 3, 4), (1, 1), (0, 0), True),
        ((2, 6, 5, 3), (3, 3, 4), (1, 1), (1, 1), True),
        ((2, 7, 8, 2), (3, 3, 3), (2, 2), (1, 1), True),
        ((1, 8, 7, 2), (3, 2, 5), (2, 3), (0, 1), False),
        ((3, 5, 5, 4), (1, 1, 6), (1, 1), (0, 0), True),
        ((3, 6, 5, 4), (1, 1, 2), (2, 2), (0, 0), False),
        ((2, 4, 5, 3), (4, 5, 2), (1, 1), (0, 0), True),
        ((1, 9, 9, 1), (5, 5, 2), (3, 3), (2, 2), True),
        ((2, 3, 3, 2), (3, 3, 2), (1, 1), (2, 2), True),
        ((2, 1, 9, 2), (1, 3, 3), (1, 2), (0, 1), True),
        ((1, 8, 8, 2), (2, 2, 3), (3, 3), (0, 0), True),
    ]
    layouts = {"x": IMAGES, "weight": CONV_WEIGHT}
    for x_shape, (kernel_h, kernel_w, n_out), stride, padding, with_bias in settings:
        inputs = {
            "x": rng.standard_normal(x_shape),
            "weight": rng.standard_normal((kernel_h, kernel_w, x_shape[-1], n_out)),
            "bias": rng.standard_normal(n_out) if with_bias else None,
        }

        def conv(x, weight, bias, stride=stride, padding=padding):
            return F.conv2d(x, weight, bias, stride=stride, padding=padding)

        entries = record(rng, conv, inputs, layouts)
        size = "x".join(map(str, x_shape))
        case = f"{size}-k{kernel_h}x{kernel_w}-s{stride[0]}x{stride[1]}-p{padding[0]}x{padding[1]}"
        yield case, {**entries, "stride": np.array(stride), "padding": np.array(padding)}


def pool_cases(rng):
    # image, kernel, stride (None: the kernel)
    settings = [
        ((2, 6, 6, 3), (2, 2), None),
        ((2, 7, 5, 3), (2, 2), None),
        ((1, 8, 9, 2), (3, 3), (2, 2)),
        ((2, 7, 7, 1), (3, 2), (1, 2)),
        ((3, 5, 5, 2), (1, 1), (2, 2)),
        ((2, 4, 6, 2), (4, 6), None),
        ((1, 9, 9, 2), (2, 2), (3, 3)),
    ]
    for x_shape, kernel, stride in settings:
        for name, op in {"max_pool2d": F.max_pool2d, "avg_pool2d": F.avg_pool2d}.items():

            def pool(x, op=op, kernel=kernel, stride=stride):
                return op(x, kernel, stride)

            entries = record(rng, pool, {"x": rng.standard_normal(x_shape)}, {"x": IMAGES})
            entries["kernel_size"] = np.array(kernel)
            if stride is not None:
                entries["stride"] = np.array(stride)
            case = f"{name}-{'x'.join(map(str, x_shape))}-k{kernel[0]}x{kernel[1]}"
            yield f"{case}-s{stride[0]}x{stride[1]}" if stride else case, entries
    for x_shape in [(2, 3, 4, 5), (1, 1, 1, 1), (3, 7, 7, 2)]:
        entries = record(rng, lambda x: x.mean((2, 3)), {"x": rng.standard_normal(x_shape)}, {"x": IMAGES}, out=same)
        yield f"global_avg_pool2d-{'x'.join(map(str, x_shape))}", entries


def activation_cases(rng):
    ops = {
        "relu": torch.relu,
        "sigmoid": torch.sigmoid,
        "tanh": torch.tanh,
        "gelu": F.gelu,
        "softmax": lambda x: F.softmax(x, dim=-1),
        "log_softmax": lambda x: F.log_softmax(x, dim=-1),
    }
    for name, op in ops.items():
        for x_shape in [(7,), (5, 10), (2, 3, 4, 5)]:
            for scale in (1, 10):
                entries = record(rng, op, {"x": scale * rng.standard_normal(x_shape)}, {}, out=same)
                yield f"{name}-{'x'.join(map(str, x_shape))}-times{scale}", entries


def loss_cases(rng):
    for n_examples, n_classes in [(6, 4), (1, 10), (37, 10), (5, 2)]:
        for smoothing in (0.0, 0.1, 0.4):
            labels = rng.integers(0, n_classes, n_examples)

            def loss(logits, labels=labels, smoothing=smoothing):
                return F.cross_entropy(logits, torch.tensor(labels), label_smoothing=smoothing)

            entries = record(rng, loss, {"logits": 3 * rng.standard_normal((n_examples, n_classes))}, {}, out=same)
            case = f"cross_entropy-{n_examples}x{n_classes}-smooth{smoothing}"
            yield case, {**entries, "labels": labels, "label_smoothing": np.array(smoothing)}
    for shape in [(1,), (6, 4), (2, 3, 5)]:
        inputs = {"x": rng.standard_normal(shape), "target": rng.standard_normal(shape)}
        case = f"mse_loss-{'x'.join(map(str, shape))}"
        yield case, record(rng, lambda x, target: F.mse_loss(x, target), inputs, {}, out=same)


def batch_norm_cases(rng):
    # shape, training, affine, running statistics kept, momentum, eps
    settings = [
        ((6, 3), True, True, True, 0.1, 1e-5),
        ((2, 4), True, True, True, 0.1, 1e-5),
        ((7, 1), True, False, True, 0.3, 1e-3),
        ((9, 5), True, True, False, 0.1, 1e-5),
        ((3, 4, 5, 2), True, True, True, 0.1, 1e-5),
        ((1, 3, 2, 4), True, True, True, 1.0, 1e-5),
        ((2, 1, 3, 1), True, False, True, 0.0, 1e-5),
        ((41, 7), True, True, True, 0.01, 0.1),
        ((6, 3), False, True, True, 0.1, 1e-5),
        ((1, 3), False, True, True, 0.1, 1e-3),
        ((3, 4, 5, 2), False, True, True, 0.1, 1e-5),
        ((2, 3, 3, 4), False, False, True, 0.1, 1e-5),
    ]
    for shape, training, affine, keeps, momentum, eps in settings:
        channels = shape[-1]
        inputs = {
            "x": 2 * rng.standard_normal(shape) + rng.standard_normal(channels),
            "weight": rng.standard_normal(channels) if affine else None,
            "bias": rng.standard_normal(channels) if affine else None,
        }
        start_mean, start_var = rng.standard_normal(channels), rng.uniform(0.5, 2, channels)
        running_mean = torch.tensor(start_mean) if keeps else None
        running_var = torch.tensor(start_var) if keeps else None

        def norm(x, weight, bias, mean=running_mean, var=running_var, options=(training, momentum, eps)):
            return F.batch_norm(x, mean, var, weight, bias, *options)

        entries = record(rng, norm, inputs, {"x": IMAGES})
        entries |= {"training": np.array(training), "momentum": np.array(momentum), "eps": np.array(eps)}
        if keeps:
            entries |= {"running_mean": start_mean, "running_var": start_var}
            entries |= {"new_running_mean": running_mean.numpy(), "new_running_var": running_var.numpy()}
        parts = ["x".join(map(str, shape)), "train" if training else "eval", "affine" if affine else "plain"]
        yield "-".join([*parts, f"momentum{momentum}" if keeps else "untracked"]), entries


def layer_norm_cases(rng):
    for shape, eps in [((5, 8), 1e-5), ((1, 2), 1e-3), ((2, 3, 7), 1e-5), ((2, 3, 4, 5), 1e-5), ((9, 33), 0.1)]:
        inputs = {
            "x": 2 * rng.standard_normal(shape) + 1,
            "weight": rng.standard_normal(shape[-1]),
            "bias": rng.standard_normal(shape[-1]),
        }

        def norm(x, weight, bias, eps=eps):
            return F.layer_norm(x, weight.shape, weight, bias, eps)

        entries = record(rng, norm, inputs, {}, out=same)
        yield "x".join(map(str, shape)), {**entries, "eps": np.array(eps)}


# --- training --------------------------------------------------------------------------------------------------------


def sgd_cases(rng):
    """Ten steps on gradients that are given, so that only the optimiser is tested. `path[t]`: after step t + 1."""
    grads = rng.standard_normal((10, 3, 2))
    start = rng.standard_normal((3, 2))
    settings = [
        {"lr": 0.1},
        {"lr": 0.1, "momentum": 0.9},
        {"lr": 0.1, "momentum": 0.9, "dampening": 0.5},
        {"lr": 0.1, "momentum": 0.9, "nesterov": True},
        {"lr": 0.1, "weight_decay": 0.05},
        {"lr": 0.1, "momentum": 0.8, "weight_decay": 0.05},
        {"lr": 0.1, "momentum": 0.8, "dampening": 0.1, "weight_decay": 0.05},
        {"lr": 0.1, "momentum": 0.8, "nesterov": True, "weight_decay": 0.05},
    ]
    for options in settings:
        parameter = torch.tensor(start.copy(), requires_grad=True)
        optimizer = torch.optim.SGD([parameter], **options)
        path = []
        for grad in grads:
            parameter.grad = torch.tensor(grad)
            optimizer.step()
            path.append(parameter.detach().numpy().copy())
        case = "-".join(f"{name}{value}" for name, value in options.items())
        numbers = {name: np.array(value) for name, value in options.items()}
        yield case, {"start": start, "grads": grads, "path": np.array(path), **numbers}


def schedule_cases(rng):
    """The learning rate during each of the first steps: `lrs[t]` is what step t uses, from base lr 0.5."""
    schedulers = torch.optim.lr_scheduler
    settings = [
        ("StepLR", {"step_size": 7, "gamma": 0.3}, 30),
        ("StepLR", {"step_size": 1, "gamma": 0.9}, 10),
        ("CosineAnnealingLR", {"T_max": 20}, 21),
        ("CosineAnnealingLR", {"T_max": 15, "eta_min": 0.01}, 16),
        ("LinearLR", {"start_factor": 0.1, "end_factor": 1.0, "total_iters": 8}, 15),
        ("LinearLR", {"start_factor": 1.0, "end_factor": 0.05, "total_iters": 12}, 20),
    ]
    for name, options, steps in settings:
        optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.5)
        scheduler = getattr(schedulers, name)(optimizer, **options)
        lrs = []
        for _ in range(steps):
            lrs.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            scheduler.step()
        case = "-".join([name, *(f"{option}{value}" for option, value in options.items())])
        yield case, {"base_lr": np.array(0.5), "lrs": np.array(lrs), **{k: np.array(v) for k, v in options.items()}}


def training_cases(rng):
    """Twenty steps of Linear(6, 8) - BatchNorm(8) - Sigmoid - Linear(8, 3) with cross-entropy.

    `start_<name>` and `end_<name>` are its state before and after, under the names of torch's Sequential
    ("0.weight" ... "3.bias", "1.running_mean" ...). `images[t]`, `labels[t]`, `losses[t]` are the batch and the loss of
    step t; `eval_logits` is what the trained network answers, in evaluation mode, to the last batch.
    """
    images, labels = rng.standard_normal((20, 10, 6)), rng.integers(0, 3, (20, 10))
    for options in [{"lr": 0.5}, {"lr": 0.2, "momentum": 0.9, "weight_decay": 0.01, "nesterov": True}]:
        torch.manual_seed(0)
        layers = [torch.nn.Linear(6, 8), torch.nn.BatchNorm1d(8), torch.nn.Sigmoid(), torch.nn.Linear(8, 3)]
        net = torch.nn.Sequential(*layers).double()
        optimizer = torch.optim.SGD(net.parameters(), **options)
        entries = {f"start_{name}": array for name, array in state(net).items()}
        losses = []
        for batch, label in zip(torch.tensor(images), torch.tensor(labels), strict=True):
            optimizer.zero_grad()
            loss = F.cross_entropy(net(batch), label)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        entries |= {f"end_{name}": array for name, array in state(net).items()}
        net.eval()
        entries["eval_logits"] = net(torch.tensor(images[-1])).detach().numpy()
        entries |= {"images": images, "labels": labels, "losses": np.array(losses)}
        entries |= {name: np.array(value) for name, value in options.items()}
        yield "sgd" if len(options) == 1 else "nesterov-decay", entries


def adam_cases(rng):
    """As `sgd_cases`, for Adam and AdamW; the name of a case begins with that of its optimiser."""
    grads = rng.standard_normal((12, 3, 2)) * np.array([1, 1e-3])
    start = rng.standard_normal((3, 2))
    settings = [
        {},
        {"lr": 0.1, "betas": (0.8, 0.95), "eps": 1e-3},
        {"lr": 0.1, "betas": (0.0, 0.0)},
        {"lr": 0.05, "weight_decay": 0.1},
        {"lr": 0.05, "betas": (0.5, 0.6), "amsgrad": True},
        {"lr": 0.05, "weight_decay": 0.2, "maximize": True, "amsgrad": True},
    ]
    for kind in ("Adam", "AdamW"):
        for options in settings:
            parameter = torch.tensor(start.copy(), requires_grad=True)
            optimizer = getattr(torch.optim, kind)([parameter], **options)
            path = []
            for step, grad in enumerate(grads):
                parameter.grad = torch.tensor(grad)
                if step == 6:  # as a schedule does
                    optimizer.param_groups[0]["lr"] *= 0.5
                optimizer.step()
                path.append(parameter.detach().numpy().copy())
            kept = {name: value.numpy() for name, value in optimizer.state[parameter].items()}
            case = "-".join([kind, *(f"{name}{value}" for name, value in options.items())])
            numbers = {name: np.array(value) for name, value in options.items()}
            yield case, {"start": start, "grads": grads, "path": np.array(path), **numbers, **kept}


def later_schedule_cases(rng):
    """As `schedule_cases`; `momenta[t]` is SGD's momentum in step t. After step 4 each rate is doubled by hand."""
    schedulers = torch.optim.lr_scheduler

    def warm_up(optimizer):
        parts = [schedulers.LinearLR(optimizer, 0.2, 1.0, 5), schedulers.CosineAnnealingLR(optimizer, 10, 0.01)]
        return schedulers.SequentialLR(optimizer, parts, [5])

    def three(optimizer):
        parts = [
            schedulers.ExponentialLR(optimizer, 0.9), schedulers.MultiStepLR(optimizer, [2, 4], 0.5),
            schedulers.LinearLR(optimizer, 1.0, 0.1, 6),
        ]  # fmt: skip
        return schedulers.SequentialLR(optimizer, parts, [3, 9])

    makers = {
        "ExponentialLR": lambda optimizer: schedulers.ExponentialLR(optimizer, 0.9),
        "MultiStepLR": lambda optimizer: schedulers.MultiStepLR(optimizer, [3, 8, 8, 12], 0.5),
        "OneCycleLR": lambda optimizer: schedulers.OneCycleLR(optimizer, 0.3, total_steps=15),
        "OneCycleLR-linear": lambda optimizer: schedulers.OneCycleLR(
            optimizer, 0.3, epochs=3, steps_per_epoch=5, pct_start=0.5, anneal_strategy="linear", base_momentum=0.7
        ),
        "OneCycleLR-three": lambda optimizer: schedulers.OneCycleLR(
            optimizer,
            0.3,
            total_steps=15,
            three_phase=True,
            div_factor=10.0,
            final_div_factor=100.0,
            cycle_momentum=False,
        ),
        "SequentialLR": warm_up,
        "SequentialLR-three": three,
    }
    for case, make in makers.items():
        for by_hand in (False, True):
            optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.5, momentum=0.9)
            scheduler, lrs, momenta = make(optimizer), [], []
            for step in range(15):
                lrs.append(optimizer.param_groups[0]["lr"])
                momenta.append(optimizer.param_groups[0]["momentum"])
                if by_hand and step == 4:
                    optimizer.param_groups[0]["lr"] *= 2
                optimizer.step()
                if step < 14:
                    scheduler.step()
            yield f"{case}{'-by-hand' if by_hand else ''}", {"lrs": np.array(lrs), "momenta": np.array(momenta)}


def clip_cases(rng):
    """Gradients of three parameters before, and after `clip_grad_norm_` or `clip_grad_value_`."""
    grads = [rng.standard_normal(shape) for shape in [(4, 3), (5,), ()]]
    for norm_type in (2.0, 1.0, 3.5, float("inf")):
        for max_norm in (0.0, 0.7, 1e3):
            parameters = with_gradients(grads)
            total = torch.nn.utils.clip_grad_norm_(parameters, max_norm, norm_type)
            entries = {"max_norm": np.array(max_norm), "norm_type": np.array(norm_type), "total": total.numpy()}
            yield f"norm-{norm_type}-{max_norm}", entries | clipped(grads, parameters)
    parameters = with_gradients(grads)
    torch.nn.utils.clip_grad_value_(parameters, 0.4)
    yield "value", {"clip_value": np.array(0.4)} | clipped(grads, parameters)


def with_gradients(grads):
    parameters = [torch.zeros(grad.shape, dtype=torch.float64, requires_grad=True) for grad in grads]
    for parameter, grad in zip(parameters, grads, strict=True):
        parameter.grad = torch.tensor(grad)
    return parameters


def clipped(grads, parameters):
    before = {f"before_{i}": np.array(grad) for i, grad in enumerate(grads)}
    return before | {f"after_{i}": parameter.grad.numpy() for i, parameter in enumerate(parameters)}


def state(net):
    arrays = {name: tensor.numpy().copy() for name, tensor in net.state_dict().items()}
    return {name: array.T.copy() if array.ndim == 2 else array for name, array in arrays.items()}


if __name__ == "__main__":
    main()
