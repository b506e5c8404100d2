"""The networks for scenes: shapes, weights that do not depend on the norm, gradients, and statistics that stay fixed."""

import numpy as np
import pytest

from minidl import Tensor, nn
from minidl import functional as F
from minidl.lab.scenes import (
    FrozenBatchNorm,
    SceneNet,
    centre_loss,
    centre_targets,
    detector,
    draw_scenes,
    freeze,
    pixels,
    segmenter,
)
from minidl.lab.scenes.nets import NORMS
from minidl.optim import Adam, update_bn
from minidl.replay import Replay
from tests.lab.scenes.test_draw import shapes


def rng(seed=0):
    return np.random.default_rng(seed)


def images(n=2, side=16):
    return rng(1).uniform(-1, 1, (n, side, side, 1)).astype(np.float32)


def test_pixels_go_from_minus_one_to_one():
    got = pixels(np.array([0, 255], np.uint8))
    np.testing.assert_array_equal(got, np.float32([-1, 1]))
    assert got.dtype == np.float32


@pytest.mark.parametrize("norm", NORMS)
def test_shapes_and_equal_weights_with_any_norm(norm):
    net, other = (SceneNet(3, 1, name, (4, 8, 8), rng(5)) for name in (norm, "batch"))
    assert net(Tensor(images(2, 16))).shape == (2, 16, 16, 3)
    assert SceneNet(3, 4, norm, (4, 8, 8))(Tensor(images(2, 24))).shape == (2, 6, 6, 3)
    weights = [[m.weight.data for m in model.modules() if isinstance(m, nn.Conv2d)] for model in (net, other)]
    assert len(weights[0]) == 10
    for a, b in zip(*weights, strict=True):
        np.testing.assert_array_equal(a, b)
    biased = [m.bias is not None for m in net.modules() if isinstance(m, nn.Conv2d)]
    assert sum(biased) == (8 if norm == "none" else 1)


def test_norms_are_what_they_are_called():
    kinds = {"batch": nn.BatchNorm, "group": nn.GroupNorm}
    for name, kind in kinds.items():
        norms = [m for m in SceneNet(3, 1, name).modules() if isinstance(m, nn.BatchNorm | nn.GroupNorm)]
        assert len(norms) == 7
        assert all(isinstance(norm, kind) for norm in norms)
    groups = {(m.num_groups, m.num_channels) for m in SceneNet(3, 1, "group").modules() if isinstance(m, nn.GroupNorm)}
    assert groups == {(2, 8), (4, 16), (8, 32)}
    made = [m for m in SceneNet(3, 1, lambda channels: nn.LayerNorm(channels)).modules() if isinstance(m, nn.LayerNorm)]
    assert len(made) == 7


def test_the_start_says_background_and_no_centres():
    quiet = segmenter(5)
    quiet.head.weight.data[...] = 0
    share = F.softmax(quiet.eval()(Tensor(images()))).data
    np.testing.assert_allclose(share[..., 0], 0.9, rtol=1e-5)
    quiet = detector(5)
    quiet.head.weight.data[...] = 0
    output = quiet.eval()(Tensor(images())).data
    np.testing.assert_allclose(1 / (1 + np.exp(-output[..., :5])), 0.01, rtol=1e-4)
    np.testing.assert_array_equal(output[..., 5:], np.broadcast_to(np.float32([1, 1, 0, 0]), output[..., 5:].shape))


@pytest.mark.parametrize("task", ["segmentation", "detection"])
def test_networks_learn_a_few_scenes(task):
    scenes = draw_scenes(shapes(), 4, classes=(1, 8), objects=(1, 2), scraps=0)
    net, targets, loss_of = (
        (segmenter(2, "group", rng()), scenes.masks, F.cross_entropy) if task == "segmentation"
        else (detector(2, "group", rng()), centre_targets(scenes.objects, 4, 2), centre_loss)
    )  # fmt: skip
    optimizer, step, losses = Adam(net.parameters(), 0.02), Replay(net, loss_of), []
    for _ in range(40):
        optimizer.zero_grad()
        losses.append(step(pixels(scenes.images), targets))
        optimizer.step()
    assert step.why_not is None
    assert losses[-1] < 0.4 * losses[0]


# ---- frozen statistics ---------------------------------------------------------------------------------------------------


def test_frozen_statistics_are_those_of_the_inputs_layer_by_layer():
    net = freeze(SceneNet(3, 1, "batch", (4, 8, 8), rng()), images(6))
    norms = [m for m in net.modules() if isinstance(m, FrozenBatchNorm)]
    assert len(norms) == 7
    assert not any(isinstance(m, nn.BatchNorm) for m in net.modules())
    seen = []
    handles = [norm.register_forward_hook(lambda _, __, y: seen.append(y.data)) for norm in norms]
    net(Tensor(images(6)))
    for y in seen:
        np.testing.assert_allclose(y.mean((0, 1, 2)), 0, atol=0.05)
        np.testing.assert_allclose(y.var((0, 1, 2)), 1, atol=0.15)  # biased, of a running variance that is not
    for handle in handles:
        handle.remove()


def test_frozen_statistics_never_change_and_gamma_and_beta_learn():
    net = freeze(SceneNet(3, 1, "batch", (4, 8, 8), rng()), images(6))
    norm = next(m for m in net.modules() if isinstance(m, FrozenBatchNorm))
    before = [buffer.copy() for buffer in net.buffers()]
    same = net.train()(Tensor(images(2))).data, net.eval()(Tensor(images(2))).data
    np.testing.assert_array_equal(*same)
    net.train()(Tensor(images(2) * 3)).sum().backward()
    assert (norm.weight.grad != 0).any()
    assert (norm.bias.grad != 0).any()
    update_bn([images(3) * 5], net)
    for old, new in zip(before, net.buffers(), strict=True):
        np.testing.assert_array_equal(old, new)
    assert "running_mean" in str(list(net.state_dict()))


def test_a_frozen_norm_is_batch_norm_in_evaluation():
    norm = nn.BatchNorm(3)
    norm(Tensor(rng().normal(2, 3, (50, 3)).astype(np.float32)))
    x = Tensor(rng(1).normal(size=(5, 3)).astype(np.float32))
    frozen = FrozenBatchNorm(norm)
    np.testing.assert_array_equal(frozen(x).data, norm.eval()(x).data)
    assert frozen.weight is norm.weight
    assert not np.may_share_memory(frozen.running_mean, norm.running_mean)
    assert "FrozenBatchNorm(3, eps=1e-05)" in repr(frozen)


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: SceneNet(0), ValueError, "outputs is 0; it must be"),
        (lambda: SceneNet(3, 2), ValueError, "stride is 2; it must be 1, .* or 4"),
        (lambda: SceneNet(3, norm="layer"), ValueError, "norm is 'layer'; it must be one of 'batch', 'group', 'none'"),
        (lambda: SceneNet(3, norm=None), ValueError, "norm is None; it must be"),
        (lambda: SceneNet(3, norm=["batch"]), ValueError, r"norm is \['batch'\]; it must be"),
        (lambda: SceneNet(3, widths=(4, 8)), ValueError, r"widths are \(4, 8\); they must be three"),
        (lambda: SceneNet(3, widths=(4, 8, 0)), ValueError, "a width is 0; it must be"),
        (lambda: SceneNet(3)(Tensor(images(2, 12))), ValueError, r"x is \(2, 12, 12, 1\); it must be .* multiples of 8"),
        (lambda: SceneNet(3)(Tensor(images(2)[0])), ValueError, r"x is \(16, 16, 1\); it must be"),
        (lambda: SceneNet(3)(Tensor(images(0))), ValueError, r"x is \(0, 16, 16, 1\); it must be"),
        (lambda: SceneNet(3)(images()), TypeError, "x is a ndarray, not a Tensor; wrap it"),
        (lambda: segmenter(0), ValueError, "classes is 0; it must be"),
        (lambda: detector(1.5), ValueError, "classes is 1.5; it must be"),
        (lambda: pixels(np.zeros(3)), ValueError, r"images are float64; they must be bytes"),
        (lambda: freeze(SceneNet(3, norm="group"), images()), ValueError, "SceneNet has no BatchNorm .*; it must"),
        (lambda: FrozenBatchNorm(nn.LayerNorm(3)), TypeError, "norm is LayerNorm.* it must be a BatchNorm that tracks"),
        (lambda: FrozenBatchNorm(nn.BatchNorm(3, track_running_stats=False)), TypeError, "a BatchNorm that tracks"),
    ],
)  # fmt: skip
def test_errors_teach(call, error, text):
    with pytest.raises(error, match=text):
        call()
