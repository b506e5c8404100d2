"""A folder of checkpoints in which something else has such a name; and checkpoints where no file can be replaced."""

import os
import stat

import numpy as np
import pytest

from minidl import checkpoint
from minidl.checkpoint import Checkpoints

ARRAYS = {"w": np.ones(3)}


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_folder_named_like_a_checkpoint_is_none(tmp_path):
    """It is neither deleted nor loaded, wherever its step lies."""
    folders = [f"step-{step:09d}.npz" for step in (1, 50)]
    for name in folders:
        (tmp_path / name).mkdir()
    checkpoints = Checkpoints(tmp_path, keep=1)
    assert checkpoints.newest_step() is None
    assert checkpoints.latest() is None
    for step in (10, 20):
        checkpoints.save(step, ARRAYS)
    assert names(tmp_path) == sorted([*folders, "step-000000020.npz"])
    assert checkpoints.newest_step() == 20
    assert checkpoints.latest()[0] == 20


def test_a_folder_in_the_place_of_the_next_checkpoint_loses_nothing(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(10, ARRAYS)
    (tmp_path / "step-000000020.npz").mkdir()
    with pytest.raises(IsADirectoryError, match=r"save: .*step-000000020\.npz is a folder; name a file"):
        checkpoints.save(20, ARRAYS)
    assert checkpoints.latest()[0] == 10


@pytest.mark.skipif(os.name != "posix", reason="devices and links of Unix")
def test_a_checkpoint_takes_the_place_of_no_device_and_no_link(tmp_path):
    checkpoint.save("/dev/null", ARRAYS)
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)
    link, target = tmp_path / "link.npz", tmp_path / "target.npz"
    link.symlink_to(target)
    checkpoint.save(link, ARRAYS)
    assert link.is_symlink()
    assert checkpoint.load(target)[0]["w"].tolist() == [1, 1, 1]


@pytest.mark.parametrize("length", [255, 65_000])
def test_a_long_name_comes_back(tmp_path, length):
    checkpoint.save(tmp_path / "m.npz", {"β" * (length // 2): np.ones(3)})
    assert list(checkpoint.load(tmp_path / "m.npz")[0]) == ["β" * (length // 2)]
