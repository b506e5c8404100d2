"""The folder that the user names: the files are in it, or in a folder of their own in it."""

import re

import pytest

from minidl.data._files import DataError
from minidl.data.cifar import cifar10, cifar100
from minidl.data.mnist import mnist
from tests.data.fake_cifar import ARCHIVES, FILES10, assert_is_fake
from tests.data.fakes import NAMES, PLAIN, assert_is_fake_mnist, fill

pytestmark = pytest.mark.usefixtures("alone")


def test_one_folder_may_hold_all_datasets(tmp_path, monkeypatch):
    fill(tmp_path / "mnist", PLAIN)
    fill(tmp_path / "cifar10", FILES10)
    fill(tmp_path / "cifar100", {"cifar-100-binary.tar.gz": ARCHIVES["cifar-100-binary.tar.gz"]})
    monkeypatch.setenv("MINIDL_DATA", str(tmp_path))
    assert_is_fake_mnist(mnist(), "mnist, but not the original")
    assert_is_fake(cifar10(), "cifar10")
    assert_is_fake(cifar100(), "cifar100")


def test_files_in_the_folder_itself_come_first(tmp_path, monkeypatch):
    for folder in (tmp_path / "all", tmp_path / "all" / "mnist", tmp_path / "all" / "cifar10"):
        folder.mkdir()
    monkeypatch.setenv("MINIDL_DATA", str(fill(tmp_path / "all", {**PLAIN, **FILES10})))
    assert_is_fake_mnist(mnist(), "all")
    assert_is_fake(cifar10(), "cifar10")


def test_an_incomplete_folder_of_its_own_is_named(tmp_path):
    fill(tmp_path / "mnist", {NAMES[0]: PLAIN[NAMES[0]]})
    with pytest.raises(DataError, match=rf"the folder .*mnist lacks {NAMES[1]}, {NAMES[2]}, {NAMES[3]}; put"):
        mnist(tmp_path)


def test_a_file_named_like_the_dataset_is_no_folder(tmp_path):
    (tmp_path / "mnist").touch()
    with pytest.raises(DataError, match=re.escape(f"the folder {tmp_path} lacks")):
        mnist(tmp_path)


def test_a_folder_that_contains_itself(tmp_path):
    try:
        (tmp_path / "cifar10").symlink_to(tmp_path)
    except OSError:
        pytest.skip("this system lets only administrators make links")
    with pytest.raises(DataError, match="lacks"):
        cifar10(tmp_path)
    assert_is_fake(cifar10(fill(tmp_path, FILES10)), "cifar10")
