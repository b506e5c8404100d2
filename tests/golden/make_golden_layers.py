"""Write the golden vectors of the layers that came after the paper: a second script beside `make_golden.py`, and like it.

    pip install torch==2.13
    python tests/golden/make_golden_layers.py

Where PyTorch has no such operation (batch renormalization, ghost batches) its autograd differentiates the formula.
"""

import numpy as np
import torch
from make_golden import HERE, IMAGES, record, same
from torch.nn import functional as F


def main():
    torch.set_num_threads(1)
    families = {
        "group_norm": group_norm_cases,
        "rectifiers": rectifier_cases,
        "embedding": embedding_cases,
        "conv_transpose2d": conv_transpose_cases,
        "interpolate": interpolate_cases,
        "batch_renorm": batch_renorm_cases,
        "ghost_batch_norm": ghost_cases,
        "muon": muon_cases,
    }
    for seed, (family, cases) in enumerate(families.items(), 100):
        rng = np.random.default_rng(seed)
        arrays = {f"{case}/{name}": array for case, entries in cases(rng) for name, array in entries.items()}
        np.savez_compressed(HERE / f"{family}.npz", **arrays)
        print(f"{family}.npz: {len(arrays)} arrays, {(HERE / f'{family}.npz').stat().st_size} bytes")


def transposed_weight_to_torch(weight):
    """(kh, kw, C, O) → (C, O, kh, kw)."""
    return weight.transpose(2, 3, 0, 1)


TRANSPOSED_WEIGHT = (transposed_weight_to_torch, transposed_weight_to_torch)  # twice is once around


def named(shape):
    return "x".join(map(str, shape))


def features(rng, shape, affine=True):
    """x whose channels differ in mean and spread, and a weight and bias."""
    channels = shape[-1]
    return {
        "x": 2 * rng.standard_normal(shape) + rng.standard_normal(channels),
        "weight": rng.standard_normal(channels) if affine else None,
        "bias": rng.standard_normal(channels) if affine else None,
    }


def group_norm_cases(rng):
    settings = [
        ((3, 4, 5, 6), 3, True, 1e-5),
        ((3, 4, 5, 6), 6, True, 1e-5),
        ((3, 4, 5, 6), 1, True, 1e-3),
        ((2, 3, 3, 4), 2, False, 1e-5),
        ((5, 8), 2, True, 1e-5),
        ((1, 12), 3, False, 0.1),
        ((1, 7, 1, 4), 4, True, 1e-5),
    ]
    for shape, groups, affine, eps in settings:

        def norm(x, weight, bias, groups=groups, eps=eps):
            return F.group_norm(x, groups, weight, bias, eps)

        entries = record(rng, norm, features(rng, shape, affine), {"x": IMAGES})
        case = f"{named(shape)}-g{groups}-{'affine' if affine else 'plain'}"
        yield case, {**entries, "num_groups": np.array(groups), "eps": np.array(eps)}


def rectifier_cases(rng):
    for name, op, slope in [
        ("silu", F.silu, None),
        ("leaky_relu", F.leaky_relu, 0.01),
        ("leaky_relu", F.leaky_relu, 0.3),
        ("leaky_relu", F.leaky_relu, -0.5),
    ]:
        for shape in [(7,), (5, 10), (2, 3, 4, 5)]:

            def call(x, op=op, slope=slope):
                return op(x) if slope is None else op(x, slope)

            entries = record(rng, call, {"x": 4 * rng.standard_normal(shape)}, {}, out=same)
            yield (
                f"{name}-{named(shape)}-{slope}",
                entries | ({} if slope is None else {"negative_slope": np.array(slope)}),
            )


def embedding_cases(rng):
    for shape, rows, width, padding in [((9,), 5, 3, None), ((4, 6), 7, 5, 2), ((2, 3, 4), 4, 1, -1), ((), 3, 2, None)]:
        numbers = rng.integers(0, rows, shape)

        def look_up(weight, numbers=numbers, padding=padding):
            return F.embedding(torch.tensor(numbers), weight, padding)

        entries = record(rng, look_up, {"weight": rng.standard_normal((rows, width))}, {}, out=same)
        entries |= {"input": np.array(numbers)} | ({} if padding is None else {"padding_idx": np.array(padding)})
        yield f"{named(shape) or 'one'}-of-{rows}x{width}-{padding}", entries


def conv_transpose_cases(rng):
    # image (N, H, W, C), kernel (kh, kw, O), stride, padding, output_padding, bias
    settings = [
        ((2, 4, 4, 3), (2, 2, 4), (2, 2), (0, 0), (0, 0), True),
        ((2, 3, 4, 3), (3, 3, 2), (2, 2), (1, 1), (1, 1), True),
        ((1, 3, 5, 2), (4, 4, 3), (2, 2), (1, 1), (0, 0), False),
        ((2, 4, 3, 2), (3, 2, 5), (3, 1), (0, 1), (2, 0), True),
        ((2, 3, 3, 4), (1, 1, 2), (2, 3), (0, 0), (1, 2), True),
        ((1, 5, 4, 2), (3, 3, 3), (1, 1), (2, 2), (0, 0), True),
        ((2, 1, 1, 6), (4, 3, 2), (1, 1), (0, 0), (0, 0), False),
        ((1, 4, 4, 1), (2, 2, 1), (3, 3), (0, 0), (0, 1), True),
    ]
    for x_shape, (height, width, out), stride, padding, added, with_bias in settings:
        inputs = {
            "x": rng.standard_normal(x_shape),
            "weight": rng.standard_normal((height, width, x_shape[-1], out)),
            "bias": rng.standard_normal(out) if with_bias else None,
        }

        def conv(x, weight, bias, options=(stride, padding, added)):
            return F.conv_transpose2d(x, weight, bias, *options)

        entries = record(rng, conv, inputs, {"x": IMAGES, "weight": TRANSPOSED_WEIGHT})
        entries |= {"stride": np.array(stride), "padding": np.array(padding), "output_padding": np.array(added)}
        yield f"{named(x_shape)}-k{height}x{width}-s{named(stride)}-p{named(padding)}-o{named(added)}", entries


def interpolate_cases(rng):
    settings = [
        ((2, 3, 4, 3), (2.0, 2.0), "nearest", False),
        ((1, 3, 5, 2), (2.0, 3.0), "nearest", False),
        ((2, 4, 6, 1), (0.5, 1.5), "nearest", False),
        ((2, 3, 4, 3), (2.0, 2.0), "bilinear", False),
        ((1, 3, 5, 2), (2.0, 3.0), "bilinear", False),
        ((2, 7, 5, 2), (0.5, 1.7), "bilinear", False),
        ((2, 3, 4, 3), (2.0, 2.0), "bilinear", True),
        ((1, 1, 6, 2), (3.0, 0.5), "bilinear", True),
        ((2, 2, 1, 2), (4.0, 4.0), "bilinear", False),
    ]
    for shape, scale, mode, corners in settings:

        def resize(x, scale=scale, mode=mode, corners=corners):
            align = corners if mode == "bilinear" else None
            return F.interpolate(x, scale_factor=scale, mode=mode, align_corners=align)

        entries = record(rng, resize, {"x": rng.standard_normal(shape)}, {"x": IMAGES})
        case = f"{mode}-{named(shape)}-by{named(scale)}" + ("-corners" if corners else "")
        yield case, {**entries, "scale_factor": np.array(scale), "align_corners": np.array(corners)}


def batch_renorm_cases(rng):
    # shape, affine, momentum, eps, r_max, d_max
    settings = [
        ((7, 3), True, 0.01, 1e-5, 3.0, 5.0),
        ((7, 3), True, 0.1, 1e-5, 1.0, 0.0),
        ((7, 3), False, 0.5, 1e-3, 1.1, 0.2),
        ((3, 4, 5, 2), True, 0.1, 1e-5, 1.5, 0.5),
        ((2, 3, 3, 4), True, 1.0, 0.1, 100.0, 100.0),
    ]
    for shape, affine, momentum, eps, r_max, d_max in settings:
        start_mean, start_std = rng.standard_normal(shape[-1]), rng.uniform(0.5, 3, shape[-1])
        mean, std = torch.tensor(start_mean), torch.tensor(start_std)

        def renorm(x, weight, bias, mean=mean, std=std, momentum=momentum, eps=eps, r_max=r_max, d_max=d_max):
            rows = torch.movedim(x, 1, -1)
            axes = tuple(range(rows.ndim - 1))
            batch_mean = rows.mean(axes)
            batch_std = (((rows - batch_mean) ** 2).mean(axes) + eps) ** 0.5
            r = (batch_std / std).clamp(1 / r_max, r_max).detach()
            d = ((batch_mean - mean) / std).clamp(-d_max, d_max).detach()
            y = (rows - batch_mean) / batch_std * r + d
            mean += momentum * (batch_mean.detach() - mean)
            std += momentum * (batch_std.detach() - std)
            return torch.movedim(y if weight is None else y * weight + bias, -1, 1)

        entries = record(rng, renorm, features(rng, shape, affine), {"x": IMAGES})
        entries |= {
            "momentum": np.array(momentum),
            "eps": np.array(eps),
            "r_max": np.array(r_max),
            "d_max": np.array(d_max),
        }
        entries |= {"running_mean": start_mean, "running_std": start_std}
        entries |= {"new_running_mean": mean.numpy(), "new_running_std": std.numpy()}
        yield f"{named(shape)}-r{r_max}-d{d_max}", entries


def ghost_cases(rng):
    # shape, examples in a part, where the parts end, momentum
    settings = [
        ((8, 3), 4, [4, 8], 0.1),
        ((7, 3), 3, [3, 7], 0.3),  # a rest of one joins the part before
        ((8, 3), 3, [3, 6, 8], 0.1),
        ((5, 3), 8, [5], 0.1),
        ((5, 2, 3, 2), 2, [2, 4, 5], 0.1),
        ((3, 2, 2, 4), 1, [1, 2, 3], 0.2),
    ]
    for shape, size, ends, momentum in settings:
        mean, var = (torch.tensor(a) for a in (rng.standard_normal(shape[-1]), rng.uniform(0.5, 2, shape[-1])))
        start = {"running_mean": mean.numpy().copy(), "running_var": var.numpy().copy()}

        def ghosts(x, weight, bias, mean=mean, var=var, ends=ends, momentum=momentum):
            parts = torch.tensor_split(x, ends[:-1])
            return torch.cat([F.batch_norm(part, mean, var, weight, bias, True, momentum) for part in parts])

        entries = record(rng, ghosts, features(rng, shape), {"x": IMAGES})
        entries |= start | {"new_running_mean": mean.numpy(), "new_running_var": var.numpy()}
        yield f"{named(shape)}-by{size}", {**entries, "ghost_size": np.array(size), "momentum": np.array(momentum)}


def muon_cases(rng):
    """Twelve steps with given gradients; the rate is halved after six. Products are float64, which PyTorch rounds."""
    settings = [
        ((5, 3), {}),
        ((3, 5), {"lr": 0.1, "weight_decay": 0.0}),
        ((4, 6), {"lr": 0.1, "momentum": 0.6, "nesterov": False, "ns_steps": 3}),
        ((6, 2), {"lr": 0.1, "weight_decay": 0.3, "momentum": 0.0, "adjust_lr_fn": "match_rms_adamw"}),
        ((3, 3), {"lr": 0.1, "ns_coefficients": (1.5, -0.5, 0.0), "ns_steps": 9, "adjust_lr_fn": "original"}),
    ]
    rounded, torch.Tensor.bfloat16 = torch.Tensor.bfloat16, torch.Tensor.clone
    try:
        for shape, options in settings:  # (in, out)
            start, grads = rng.standard_normal(shape), rng.standard_normal((12, *shape))
            parameter = torch.tensor(start.T.copy(), requires_grad=True)
            optimizer = torch.optim.Muon([parameter], **options)
            path = []
            for step, grad in enumerate(grads):
                parameter.grad = torch.tensor(grad.T.copy())
                if step == 6:
                    optimizer.param_groups[0]["lr"] *= 0.5
                optimizer.step()
                path.append(parameter.detach().numpy().T.copy())
            kept = optimizer.state[parameter]["momentum_buffer"].numpy().T
            case = "-".join([named(shape), *(f"{name}{value}" for name, value in options.items())])
            numbers = {name: np.array(value) for name, value in options.items()}
            yield case, {"start": start, "grads": grads, "path": np.array(path), "buffer": kept, **numbers}
    finally:
        torch.Tensor.bfloat16 = rounded


if __name__ == "__main__":
    main()
