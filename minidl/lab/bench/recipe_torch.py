"""The recipe of `minidl cifar` in PyTorch: eager, in its own layout (N, C, H, W), or with channels last in memory.

Written as its users would, and after the public code of Jordan 2024. The same numbers are drawn (order, mirroring, shifts),
so that the losses of the first steps can be compared.
"""

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

__all__ = ["Recipe", "build", "start"]

_AT_ONCE = 500  # images that are evaluated together
_ORDER = {
    1: (0,),
    2: (1, 0),
    4: (3, 2, 0, 1),
}  # of a weight's axes: (kh, kw, C, O) → (O, C, kh, kw), (in, out) → (out, in)


def start(variant, threads):
    """Use that many threads."""
    torch.set_num_threads(threads)
    return {"versions": {"torch": torch.__version__}, "instructions": {"ATen": torch.backends.cpu.get_cpu_capability()}}


def build(case, arrays, variant):
    """Build the training."""
    return Recipe(case, variant)


def _network(widths, classes, norm, pool):
    def block(c, o, first=()):
        conv = nn.Conv2d(c, o, 3, padding=1, bias=not norm)
        return [conv, *first, *([nn.BatchNorm2d(o, eps=1e-12, momentum=0.4)] if norm else []), nn.GELU()]

    layers, c = [nn.Conv2d(3, 24, 2), nn.GELU()], 24
    for width in widths:
        layers += [*block(c, width, [nn.MaxPool2d(pool, 2)]), *block(width, width)]
        c = width
    return nn.Sequential(*layers, nn.MaxPool2d(3), nn.Flatten(), nn.Linear(c, classes, bias=False))


class Recipe:
    """The training of the command."""

    def __init__(self, case, variant):
        self.settings, self.recipe = case["settings"], case["recipe"]
        self.size = self.settings["batch_size"]
        if self.settings["norm"] not in ("batch", "none"):
            raise ValueError(f"the recipe in PyTorch has no norm {self.settings['norm']!r}; use batch or none")
        with np.load(case["file"]) as file:
            arrays = {name: file[name] for name in file.files}
        self.images, self.test_images = (_channels_first(arrays[f"{part}_images"]) for part in ("train", "test"))
        self.labels, self.test_labels = (torch.from_numpy(arrays[f"{part}_labels"]) for part in ("train", "test"))
        self.mean, self.std = (torch.from_numpy(arrays[name]).float().view(1, 3, 1, 1) for name in ("mean", "std"))
        self.mirrored_first = arrays["mirrored_first"]
        self.layout = torch.channels_last if variant == "channels-last" else torch.contiguous_format
        self.model = _network(
            self.settings["widths"],
            case["classes"],
            self.settings["norm"] == "batch",
            3 if self.settings["mirror"] else 2,
        )
        self._take_weights(arrays)
        self._tie([torch.from_numpy(arrays[name]) for name in sorted(arrays) if name.startswith("pairs")])
        self.model.to(memory_format=self.layout)
        self._make_optimizers()
        self.done, self.order = 0, (None, None)

    def _take_weights(self, arrays):
        with torch.no_grad():
            for name, parameter in self.model.named_parameters():
                if f"weight {name}" in arrays:  # a batch norm's γ is not
                    array = arrays[f"weight {name}"]
                    parameter.copy_(torch.from_numpy(np.ascontiguousarray(array.transpose(_ORDER[array.ndim]))))
        for module in self.model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.weight.requires_grad = False  # it stays 1
        self.model[0].weight.requires_grad = False

    def _tie(self, pairs):
        """Which channels each array exchanges when images are mirrored: as its input, and as its output."""
        self.tied, incoming = [], None
        for layer in self.model if pairs else ():
            if isinstance(layer, nn.Conv2d):
                outgoing = pairs.pop(0)
                if incoming is not None:
                    self.tied.append((layer.weight, lambda w, i=incoming, o=outgoing: w.flip(3)[:, i][o]))
                if layer.bias is not None:
                    self.tied.append((layer.bias, lambda b, o=outgoing: b[o]))
                incoming = outgoing
            elif isinstance(layer, nn.BatchNorm2d):
                per_channel = (layer.bias, layer.running_mean, layer.running_var)
                self.tied += [(array, lambda b, o=incoming: b[o]) for array in per_channel]
            elif isinstance(layer, nn.Linear):
                self.tied.append((layer.weight, lambda w, i=incoming: w[:, i]))

    @torch.no_grad()
    def _average(self, gradients):
        for array, mirrored in self.tied:
            array = array.grad if gradients else array
            if array is not None:
                array.add_(mirrored(array)).mul_(0.5)

    def _make_optimizers(self):
        settings, recipe = self.settings, self.recipe
        share = self.size / (1024 * (1 + 1 / (1 - recipe["momentum"])))
        lr, decay = settings["lr"] * share, settings["decay"] * share
        self.filters = [m.weight for m in self.model.modules() if isinstance(m, nn.Conv2d) and m.weight.requires_grad]
        fast = [self.model[0].bias, *(m.bias for m in self.model.modules() if isinstance(m, nn.BatchNorm2d))]
        elsewhere = {id(p) for p in (*fast, *self.filters)}
        others = [p for p in self.model.parameters() if p.requires_grad and id(p) not in elsewhere]
        groups = [(fast, lr * settings["bias_lr"]), (others, lr)]
        groups = [{"params": part, "lr": rate, "weight_decay": decay / rate} for part, rate in groups]
        self.optimizers = [
            torch.optim.SGD(groups, lr=lr, momentum=recipe["momentum"], nesterov=True),
            _Muon(self.filters, settings["muon_lr"], recipe["muon_momentum"], recipe["muon_steps"]),
        ]
        points = list(zip(*self.recipe["schedule"], strict=True))

        def factor(step):
            return float(np.interp(step, *points))

        self.schedules = [torch.optim.lr_scheduler.LambdaLR(optimizer, factor) for optimizer in self.optimizers]

    def _batch(self):
        per_epoch = len(self.labels) // self.size
        epoch, place = divmod(self.done, per_epoch)
        seed = self.settings["seed"]
        if self.order[0] != epoch:
            self.order = epoch, np.random.default_rng([seed, 1, epoch]).permutation(len(self.labels))
        chosen = self.order[1][place * self.size : (place + 1) * self.size]
        mirrored = torch.from_numpy(self.mirrored_first[chosen] ^ (epoch % 2 == 1))
        x = self._normalised(self.images[torch.from_numpy(chosen)])
        x = torch.where(mirrored.view(-1, 1, 1, 1), x.flip(-1), x)
        by, generator = self.settings["shift"], np.random.default_rng([seed, 2, self.done])
        shifts = generator.integers((-by, -by), (by + 1, by + 1), (len(chosen), 2))
        x = _shifted(x, torch.from_numpy(shifts), by)
        if self.settings["cutout"]:
            centres = torch.from_numpy(generator.integers(0, x.shape[2:], (len(chosen), 2)))
            x = torch.where(
                _covered(centres, self.settings["cutout"], x.shape[2:]), self._normalised(self.mean.round()), x
            )
        return x.contiguous(memory_format=self.layout), self.labels[torch.from_numpy(chosen)]

    def _normalised(self, images):
        return (images.float() - self.mean) / self.std

    def step(self):
        """Do one training step."""
        self.model[0].bias.requires_grad = self.done < self.recipe["bias_epochs"] * (len(self.labels) // self.size)
        self.model.train()
        x, labels = self._batch()
        logits = self.model(x) / 9
        loss = F.cross_entropy(logits, labels, label_smoothing=self.settings["label_smoothing"])
        self.model.zero_grad()
        loss.backward()
        self._average(gradients=True)
        if self.settings["norm"] != "none":
            self._keep_length()
        for optimizer, schedule in zip(self.optimizers, self.schedules, strict=True):
            optimizer.step()
            schedule.step()
        self._average(gradients=False)
        self.done += 1
        self.loss = loss.item()

    @torch.no_grad()
    def _keep_length(self):
        for weight in self.filters:
            weight.mul_(len(weight) ** 0.5 / weight.norm())

    def check(self):
        """Return the loss of the last step."""
        return [self.loss]

    @torch.no_grad()
    def result(self, least):
        """Train on until at least so many steps are done; returns their number, the last loss, and the accuracy."""
        with torch.enable_grad():
            while self.done < least:
                self.step()
        self.model.eval()
        right = 0
        for i in range(0, len(self.test_labels), _AT_ONCE):
            x = self._normalised(self.test_images[i : i + _AT_ONCE]).contiguous(memory_format=self.layout)
            right += int((self.model(x).argmax(1) == self.test_labels[i : i + _AT_ONCE]).sum())
        return {"steps": self.done, "loss": self.loss, "accuracy": right / len(self.test_labels)}


class _Muon(torch.optim.Optimizer):
    """Muon for filters (O, C, kh, kw), which torch's own does not take; in float32, so that losses can be compared."""

    def __init__(self, params, lr, momentum, steps):
        super().__init__(params, {"lr": lr, "momentum": momentum, "steps": steps})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                if "momentum_buffer" not in self.state[p]:
                    self.state[p]["momentum_buffer"] = torch.zeros_like(p)
                buffer = self.state[p]["momentum_buffer"]
                buffer.lerp_(p.grad, 1 - group["momentum"])
                update = p.grad.lerp(buffer, group["momentum"])
                rows = update.reshape(len(update), -1)
                ratio = max(1, rows.shape[0] / rows.shape[1]) ** 0.5
                p.sub_(_orthogonalised(rows, group["steps"]).reshape(p.shape), alpha=group["lr"] * ratio)


def _orthogonalised(matrix, steps, a=3.4445, b=-4.775, c=2.0315):
    x = matrix / matrix.norm().clamp(min=1e-7)
    wide = x.shape[0] <= x.shape[1]
    x = x if wide else x.T
    for _ in range(steps):
        g = x @ x.T
        x = a * x + (b * g + c * g @ g) @ x
    return x if wide else x.T


def _shifted(x, shifts, by):
    """Each image moved by its own whole numbers of pixels, borders reflected: as many crops as there are shifts."""
    padded, moved = F.pad(x, (by,) * 4, mode="reflect"), torch.empty_like(x)
    height, width = x.shape[2:]
    for down in range(-by, by + 1):
        for right in range(-by, by + 1):
            which = (shifts[:, 0] == down) & (shifts[:, 1] == right)
            moved[which] = padded[which, :, by + down : by + down + height, by + right : by + right + width]
    return moved


def _covered(centres, size, shape):
    """Which pixels a square around each image's centre covers: (N, 1, H, W)."""
    down, right = (
        (torch.arange(n) >= first[:, None]) & (torch.arange(n) < first[:, None] + size)
        for n, first in zip(shape, (centres - size // 2).T, strict=True)
    )
    return (down[:, :, None] & right[:, None, :])[:, None]


def _channels_first(images):
    return torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2)))
