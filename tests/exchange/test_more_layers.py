"""Layers that came after the paper, from and to PyTorch."""

import numpy as np
import pytest

from minidl import Tensor, exchange, nn
from tests.exchange.architectures import torch
from tests.exchange.test_structures import images, random_vectors
from tests.exchange.test_torch import assert_agree, assert_near


def test_a_network_of_the_newer_layers():
    """Transposed convolution, group norm, SiLU, leaky ReLU and upsampling, in a Sequential whose image is flattened."""
    torch.manual_seed(2)
    theirs = torch.nn.Sequential(
        torch.nn.Conv2d(2, 4, 3), torch.nn.GroupNorm(2, 4), torch.nn.SiLU(), torch.nn.ConvTranspose2d(4, 6, 2, 2),
        torch.nn.InstanceNorm2d(6, affine=True), torch.nn.LeakyReLU(0.2), torch.nn.Upsample(scale_factor=2),
        torch.nn.AvgPool2d(2), torch.nn.Flatten(), torch.nn.Linear(6 * 6 * 4, 3),
    )  # fmt: skip
    ours = nn.Sequential(
        nn.Conv2d(2, 4, 3), nn.GroupNorm(2, 4), nn.SiLU(), nn.ConvTranspose2d(4, 6, 2, 2), nn.GroupNorm(6, 6),
        nn.LeakyReLU(0.2), nn.Upsample(2), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(6 * 6 * 4, 3),
    )  # fmt: skip
    assert_agree(random_vectors(theirs), ours, images(5, 4, 2))
    assert_agree(random_vectors(theirs), ours, images(5, 4, 2), example=images(5, 4, 2, batch=1))


def test_an_embedding():
    theirs, ours = torch.nn.Embedding(5, 3, padding_idx=1), nn.Embedding(5, 3, padding_idx=1)
    exchange.torch.load_state_dict(ours, theirs.state_dict())
    numbers = np.array([[4, 0], [1, 2]])
    np.testing.assert_array_equal(ours(Tensor(numbers)).data, theirs(torch.from_numpy(numbers)).detach().numpy())
    assert_near(exchange.torch.state_dict(ours), theirs.state_dict())


@pytest.mark.parametrize("affine", [True, False])
def test_groups_of_flattened_features_have_other_members_there(affine):
    model = nn.Sequential(nn.Conv2d(2, 4, 3), nn.Flatten(), nn.GroupNorm(2, 24, affine=affine), nn.Linear(24, 3))
    with pytest.raises(ValueError, match=r"a GroupNorm follows a Flatten|cannot be followed through group_norm"):
        exchange.torch.state_dict(model)
    with pytest.raises(ValueError, match="cannot be followed through group_norm"):
        exchange.torch.state_dict(model, example=images(5, 4, 2))
