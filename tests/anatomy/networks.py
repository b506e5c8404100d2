"""Networks that the tests of `anatomy` look into."""

import numpy as np

from minidl import nn


class Block(nn.Module):
    """A residual block as in ResNet: two convolutions beside a shortcut."""

    def __init__(self, n_in, n_out, stride=1):
        options = {"bias": False, "generator": np.random.default_rng(0)}
        self.conv1, self.bn1 = nn.Conv2d(n_in, n_out, 3, stride, 1, **options), nn.BatchNorm(n_out)
        self.conv2, self.bn2 = nn.Conv2d(n_out, n_out, 3, 1, 1, **options), nn.BatchNorm(n_out)
        self.relu, self.shortcut = nn.ReLU(), None
        if n_in != n_out or stride != 1:
            self.shortcut = nn.Sequential(nn.Conv2d(n_in, n_out, 1, stride, **options), nn.BatchNorm(n_out))

    def forward(self, x):
        y = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        return self.relu(y + (x if self.shortcut is None else self.shortcut(x)))


class ResNet8(nn.Module):
    """A stem, three blocks, a classifier; `width` channels at first."""

    def __init__(self, width=4):
        rng = np.random.default_rng(0)
        conv = nn.Conv2d(3, width, 3, padding=1, bias=False, generator=rng)
        self.stem = nn.Sequential(conv, nn.BatchNorm(width), nn.ReLU())
        self.blocks = [Block(width, width), Block(width, 2 * width, 2), Block(2 * width, 4 * width, 2)]
        self.pool, self.fc = nn.GlobalAvgPool2d(), nn.Linear(4 * width, 10, generator=rng)

    def forward(self, x):
        x = self.stem(x)
        for block in self.blocks:
            x = block(x)
        return self.fc(self.pool(x))


def conv_net():
    """Two convolutions as in `mnist_conv`, with batch norm, ReLU and pooling after each; few channels."""
    rng = np.random.default_rng(0)
    return nn.Sequential(
        nn.Conv2d(1, 3, 3, padding=1, bias=False, generator=rng), nn.BatchNorm(3), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(3, 4, 3, padding=1, bias=False, generator=rng), nn.BatchNorm(4), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(16, 5, generator=rng),
    )  # fmt: skip


class Restless(nn.Module):
    """A module that changes all it can while it computes, and may raise in the end."""

    def __init__(self, fails=False):
        self.fails, self.count, self.seen = fails, 0, []
        self.settings = {"depth": {"least": 1}}
        self.generator = np.random.default_rng(3)
        self.linear, self.norm = nn.Linear(4, 4, generator=np.random.default_rng(0)), nn.BatchNorm(4)
        self.drop = nn.Dropout(0.5)  # draws from minidl's own generator
        self.register_buffer("largest", np.zeros(4, np.float32))

    def forward(self, x):
        self.count += 1
        self.seen.append(x)
        self.settings["depth"]["least"] = 7
        self.settings["last"] = x
        self.new = "attribute"
        self.largest[...] = x.data.max(0)
        self.linear.weight.data *= 2
        self.linear.weight.grad = np.ones((4, 4), np.float32)
        self.linear.bias.requires_grad = False
        self.norm.eval()
        noise = self.generator.standard_normal(x.shape).astype(np.float32)
        noise = noise + np.random.random() + np.random.default_rng(0).random()  # noqa: NPY002
        self.drop.register_forward_hook(lambda *args: None)
        y = self.drop(self.norm.train()(self.linear(x + noise)))
        if self.fails:
            raise ZeroDivisionError("in the middle")
        return y
