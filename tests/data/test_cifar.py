"""Where the photographs come from: a folder, the cache or the internet; whole or not at all."""

import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from minidl.data._files import DataError
from minidl.data.cache import cache_dir
from minidl.data.cifar import cifar10, cifar100
from tests.data.fake_cifar import (
    ARCHIVES,
    FAKE10,
    FILES10,
    FILES100,
    IN10,
    IN100,
    NAMES10,
    REAL10,
    archive,
    assert_is_fake,
    cifar_module,
    packed,
    photos,
)
from tests.data.fakes import PLAIN, fill

REAL = os.environ.get("MINIDL_DATA")
TAR10, TAR100 = "cifar-10-binary.tar.gz", "cifar-100-binary.tar.gz"
ARCHIVE = {cifar10: TAR10, cifar100: TAR100}

pytestmark = pytest.mark.usefixtures("alone")


@pytest.fixture
def own(alone, monkeypatch):
    """The fakes are no longer the original files."""
    for name in ("_CIFAR10", "_CIFAR100"):
        fake = getattr(cifar_module, name)
        monkeypatch.setattr(cifar_module, name, fake._replace(sha256=tuple(f"{i}" for i in range(len(fake.files)))))


# ---- what comes


def test_classes_have_names():
    assert cifar_module.CIFAR10[3] == "cat"
    for names, n in ((cifar_module.CIFAR10, 10), (cifar_module.CIFAR100, 100), (cifar_module.CIFAR100_COARSE, 20)):
        assert len(set(names)) == len(names) == n
        assert sorted(names) == list(names)


def test_the_result_unpacks_like_the_digits(tmp_path):
    loaded = cifar10(fill(tmp_path / "a", FILES10))
    (x, y), (x_test, y_test) = loaded
    assert (x.shape, y.shape, x_test.shape, y_test.shape) == ((30, 32, 32, 3), (30,), (9, 32, 32, 3), (9,))
    assert repr(loaded) == "Photos(cifar10: train (30, 32, 32, 3), test (9, 32, 32, 3), 10 classes)"
    assert loaded.classes[y[0]] in cifar_module.CIFAR10
    assert loaded.coarse is None


def test_cifar100_has_fine_and_coarse_labels(tmp_path):
    loaded = cifar100(fill(tmp_path / "a", FILES100))
    assert_is_fake(loaded, "cifar100")
    assert_is_fake(loaded.coarse, "cifar100")
    assert (len(loaded.classes), len(loaded.coarse.classes), loaded.coarse.coarse) == (100, 20, None)
    assert loaded.coarse.train.images is loaded.train.images
    assert repr(loaded.coarse) == "Photos(cifar100: train (7, 32, 32, 3), test (3, 32, 32, 3), 20 classes)"


# ---- a folder of the user's

EACH = pytest.mark.parametrize(
    ("load", "files", "tar", "inside"), [(cifar10, FILES10, TAR10, IN10), (cifar100, FILES100, TAR100, IN100)]
)


@EACH
@pytest.mark.parametrize("where", ["", "{op}", "{inside}", "{op}/{inside}"])
@pytest.mark.parametrize("how", ["files", "archive", "unzipped archive", "archive and some files"])
@pytest.mark.usefixtures("own")
def test_a_folder_in_any_form(tmp_path, load, files, tar, inside, where, how):
    folder = tmp_path / "root" / where.format(op=load.__name__, inside=inside)
    content = {
        "files": files,
        "archive": {tar: ARCHIVES[tar]},
        "unzipped archive": {tar.removesuffix(".gz"): archive(files, zipped=False)},
        "archive and some files": {tar: ARCHIVES[tar], **dict(list(files.items())[:1])},
    }[how]
    fill(folder, content)
    name = folder.name + (", but not the original" if folder.name == load.__name__ else "")
    assert_is_fake(load(tmp_path / "root"), name)
    assert_is_fake(load(str(folder)), name)


def test_the_environment_names_the_folder_and_the_argument_wins(tmp_path, monkeypatch):
    changed = {**FILES10, "test_batch.bin": packed(*photos(2, 99, (10,)))}
    monkeypatch.setenv("MINIDL_DATA", str(fill(tmp_path / "own", changed)))
    assert cifar10().test.images.shape == (2, 32, 32, 3)
    assert cifar10().source == "own"
    assert_is_fake(cifar10(fill(tmp_path / "other", FILES10)), "cifar10")


def test_a_folder_without_the_files_is_an_error_and_nothing_is_downloaded(tmp_path, monkeypatch, mirrors):
    asked = mirrors("good")
    monkeypatch.setenv("MINIDL_DATA", str(fill(tmp_path / "digits", PLAIN)))
    names = "data_batch_1.bin, .*, data_batch_5.bin, test_batch.bin"
    with pytest.raises(
        DataError, match=f"cifar10: the folder .*digits lacks {names}; put the 6 .bin files there, or {TAR10}, or unset"
    ):
        cifar10()
    with pytest.raises(
        DataError, match=r"cifar100: the folder .*digits lacks train.bin, test.bin; put the 2 .bin files"
    ):
        cifar100()
    (tmp_path / "digits" / "cifar10").mkdir()
    with pytest.raises(DataError, match=r"the folder .*digits.cifar10 lacks"):
        cifar10()
    assert asked == []


def test_a_folder_that_is_none(tmp_path, monkeypatch):
    with pytest.raises(DataError, match=r"cifar10: cannot list the folder .*absent .*; name an existing folder$"):
        cifar10(tmp_path / "absent")
    monkeypatch.setenv("MINIDL_DATA", str(fill(tmp_path, FILES10) / "test_batch.bin"))
    with pytest.raises(DataError, match=r"cifar100: cannot list .*; name an existing folder, or unset MINIDL_DATA$"):
        cifar100()


@pytest.mark.parametrize("name", ["cifar-10-python.tar.gz", "data_batch_1"])
def test_the_pickled_version_is_not_read(tmp_path, name):
    """It is what torchvision leaves behind, and what most people have."""
    with pytest.raises(
        DataError, match=r"lacks .*, or cifar-10-binary.tar.gz \(the pickled version that is there is not"
    ):
        cifar10(fill(tmp_path, {name: b"\x80\x04"}))


def test_only_the_original_files_vouch_for_what_they_are(tmp_path, monkeypatch):
    folder = fill(tmp_path / "cifar10", FILES10)
    assert cifar10(folder).source == "cifar10"
    assert cifar10(fill(tmp_path / "x", {TAR10: archive(FILES10, zipped=False)})).source == "cifar10"
    for i in range(6):
        other = tuple("0" if i == k else digest for k, digest in enumerate(FAKE10.sha256))
        monkeypatch.setattr(cifar_module, "_CIFAR10", FAKE10._replace(sha256=other))
        assert cifar10(folder).source == "cifar10, but not the original"


def test_the_original_images_in_another_order_are_known(tmp_path, monkeypatch):
    *train, test = FILES10.values()
    contents = [np.frombuffer(content, np.uint8).reshape(-1, 3073) for content in (b"".join(train), test)]
    fake = FAKE10._replace(contents=tuple(cifar_module._content([records]) for records in contents))
    monkeypatch.setattr(cifar_module, "_CIFAR10", fake)
    assert cifar10(fill(tmp_path / "a", FILES10)).source == "cifar10"
    one, two = train[:2]
    moved = {**FILES10, NAMES10[0]: two + one[:3073], NAMES10[1]: one[3073:]}
    assert cifar10(fill(tmp_path / "b", moved)).source == "cifar10, in another order"
    assert cifar10(fill(tmp_path / "c", {**moved, NAMES10[1]: one[6146:]})).source == "c"  # one is missing
    mixed = {**FILES10, NAMES10[0]: one[3073:] + test[:3073], NAMES10[5]: test[3073:] + one[:3073]}
    assert cifar10(fill(tmp_path / "d", mixed)).source == "d"  # a training and a test image changed places


@EACH
@pytest.mark.parametrize("at", [0, -1])
@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda data: data[:-1], "must have a multiple"),
        (lambda data: b"", "is empty"),
        (lambda data: data + b"\0", "must have a multiple"),
        (lambda data: b"<html>", "must have a multiple"),
        (lambda data: b"\xff\xff" + data[2:], "has the (coarse )?label 255"),
    ],
    ids=["cut", "empty", "too long", "web page", "label"],
)
def test_one_damaged_file_stops_everything(tmp_path, load, files, tar, inside, at, damage, message, capfd):
    name = list(files)[at]
    folder = fill(tmp_path / "own", {**files, name: damage(files[name])})
    with pytest.raises(DataError, match=message) as caught:
        load(folder)
    assert str(folder / name) in str(caught.value)
    folder = fill(tmp_path / "packed", {tar: archive({**files, name: damage(files[name])}, inside)})
    with pytest.raises(DataError, match=message) as caught:
        load(folder)
    assert f"{name} in {folder / tar}" in str(caught.value)
    assert capfd.readouterr() == ("", "")


@pytest.mark.usefixtures("own")
@pytest.mark.parametrize(
    ("load", "files", "name", "other"),
    [
        (cifar10, FILES10, "test_batch.bin", "data_batch_1.bin"),
        (cifar10, FILES10, "data_batch_4.bin", "data_batch_2.bin"),
        (cifar100, FILES100, "test.bin", "train.bin"),
    ],
)
def test_a_file_in_anothers_place_is_noticed(tmp_path, load, files, name, other):
    with pytest.raises(DataError, match=f"{name} in .* has the content of {other}; each file must have its own"):
        load(fill(tmp_path, {**files, name: files[other]}))


@pytest.mark.parametrize(
    ("load", "files", "one", "two"),
    [(cifar10, FILES10, NAMES10[2], NAMES10[5]), (cifar100, FILES100, "train.bin", "test.bin")],
)
def test_originals_that_changed_places_are_noticed(tmp_path, load, files, one, two):
    with pytest.raises(DataError, match=f"{one} in .* has the content of {two}; each"):
        load(fill(tmp_path, {**files, one: files[two], two: files[one]}))


def test_the_other_datasets_archive(tmp_path):
    with pytest.raises(DataError, match=r"lacks data_batch_1.bin.*; it must be the archive of CIFAR-10"):
        cifar10(fill(tmp_path, {TAR10: ARCHIVES[TAR100]}))


# ---- cache and internet


@EACH
def test_download_then_cache(mirrors, capfd, load, files, tar, inside):
    asked = mirrors("good")
    assert_is_fake(load(), load.__name__)
    assert asked == [f"/good/{tar}"]
    assert {path.name: path.read_bytes() for path in (cache_dir() / load.__name__).iterdir()} == {tar: ARCHIVES[tar]}
    assert_is_fake(load(), load.__name__)
    assert_is_fake(load(download=False), load.__name__)
    assert len(asked) == 1
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("damage", [lambda data: data[:-1], lambda data: data[:-1] + b"!", lambda data: b""])
def test_a_damaged_archive_in_the_cache_is_downloaded_again(mirrors, damage):
    fill(cache_dir() / "cifar10", {TAR10: damage(ARCHIVES[TAR10])})
    asked = mirrors("good")
    assert_is_fake(cifar10(), "cifar10")
    assert asked == [f"/good/{TAR10}"]
    assert (cache_dir() / "cifar10" / TAR10).read_bytes() == ARCHIVES[TAR10]


def test_without_permission_to_download(mirrors):
    asked = mirrors("good")
    with pytest.raises(DataError, match=f"cifar100: the cache .* lacks {TAR100}; allow the download, or name a folder"):
        cifar100(download=False)
    assert asked == []


@pytest.mark.parametrize(
    ("manners", "reason"),
    [
        ((), ""),
        (("missing",), "HTTP status 404"),
        (("page",), "the server sent something else"),
        (("flood",), "the server sent something else"),
        (("wrong",), "the server sent something else"),
        (("cut",), "no connection"),
    ],
)
@pytest.mark.parametrize("load", [cifar10, cifar100])
def test_without_data_and_network_there_is_one_clear_error(mirrors, capfd, load, manners, reason):
    mirrors(*manners)
    name = load.__name__
    title = name.upper().replace("R1", "R-1")
    advice = rf"; if you have https://.*/{ARCHIVE[load]}, name its folder: {name}\(folder\), or MINIDL_DATA$"
    with pytest.raises(DataError, match=rf"^{name}: could not download {title} \({reason}\){advice}"):
        load()
    assert capfd.readouterr() == ("", "")
    assert not cache_dir().exists()


def test_a_bad_mirror_is_left_for_the_other(mirrors):
    asked = mirrors("wrong", "good")
    assert_is_fake(cifar10(), "cifar10")
    assert asked == [f"/wrong/{TAR10}", f"/good/{TAR10}"]


def test_a_full_disk(mirrors, monkeypatch):
    def refuse(descriptor):
        raise OSError(28, "No space left on device")

    mirrors("good")
    monkeypatch.setattr(os, "fsync", refuse)
    assert_is_fake(cifar10(), "cifar10")
    assert list((cache_dir() / "cifar10").iterdir()) == []


def test_threads_at_once_download_once(mirrors):
    asked = mirrors("slow")
    with ThreadPoolExecutor(4) as pool:
        for loaded in pool.map(lambda _: cifar10(), range(4)):
            assert_is_fake(loaded, "cifar10")
    assert len(asked) == 1


def test_an_interrupt_leaves_nothing(mirrors):
    import _thread

    asked = mirrors("silent")

    def interrupt():
        until = time.monotonic() + 10
        while not asked and time.monotonic() < until:
            time.sleep(0.01)
        _thread.interrupt_main()

    helper = threading.Thread(target=interrupt)
    helper.start()
    with pytest.raises(KeyboardInterrupt):
        cifar10()
    helper.join()
    assert not cache_dir().exists()
    mirrors("good")
    assert_is_fake(cifar10(), "cifar10")


# ---- the real ones


@pytest.mark.skipif(not REAL, reason="MINIDL_DATA is not set")
def test_the_folder_in_the_environment(monkeypatch):
    monkeypatch.setattr(cifar_module, "_CIFAR10", REAL10)
    folders = [Path(REAL), Path(REAL) / "cifar10"]
    if not any((folder / name).exists() for folder in folders for name in (*NAMES10, TAR10)):
        pytest.skip("MINIDL_DATA does not hold CIFAR-10")
    (x, y), (_, y_test) = loaded = cifar10(REAL)
    if len(x) == 50_000:
        assert loaded.source in ("cifar10", "cifar10, in another order")
        assert np.bincount(y).tolist() == [5000] * 10
        assert np.bincount(y_test).tolist() == [1000] * 10
        mean = x.mean(axis=(0, 1, 2)) / 255
        np.testing.assert_allclose(mean, [0.4914, 0.4822, 0.4465], atol=5e-5)  # as it is often quoted
