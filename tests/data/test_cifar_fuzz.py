"""Reading CIFAR's files that somebody damaged, or made up: the images that are there or a DataError, in little memory."""

import gzip
import io

import pytest

from minidl.data._files import DataError
from minidl.data.cifar_file import FORMAT10, FORMAT100, parse_archive, parse_records
from tests.data.fake_cifar import ARCHIVES, FILES10, FILES100, NAMES10, NAMES100, archive
from tests.fuzz import attempt, damaged

# Bytes: pieces of a mebibyte, what they are joined to, what gzip needs, and what measures the coverage.
MEMORY = 5_000_000


def read_file(content, form):
    return attempt(lambda: parse_records(io.BytesIO(content), "damaged", form), DataError, MEMORY)


def read_archive(content, form, names):
    return attempt(lambda: parse_archive(io.BytesIO(content), "damaged", form, names), DataError, MEMORY)


PLAIN = {
    "CIFAR-10": (FILES10["data_batch_2.bin"], FORMAT10),
    "CIFAR-100": (FILES100["train.bin"], FORMAT100),
}


@pytest.mark.parametrize("cases", [1000, pytest.param(10_000, marks=pytest.mark.full)])
@pytest.mark.parametrize("dataset", PLAIN)
def test_random_damage_to_a_file_is_refused_or_did_no_harm(cases, dataset):
    whole, form = PLAIN[dataset]
    refused = 0
    for content in damaged(whole, cases):
        was_refused, read = read_file(content, form)
        refused += was_refused
        if not was_refused:  # there is no checksum: a pixel, or a label, may be another
            assert read.tobytes() == content
            assert (read[:, : len(form.classes)] < form.classes).all()
    assert 0.2 * cases < refused < cases


ZIPPED = {
    "CIFAR-10": (ARCHIVES["cifar-10-binary.tar.gz"], FORMAT10, NAMES10, FILES10),
    "CIFAR-100": (ARCHIVES["cifar-100-binary.tar.gz"], FORMAT100, NAMES100, FILES100),
}


@pytest.mark.parametrize("cases", [400, pytest.param(10_000, marks=pytest.mark.full)])
@pytest.mark.parametrize("dataset", ZIPPED)
def test_random_damage_to_an_archive_is_refused_or_did_no_harm(cases, dataset):
    whole, form, names, files = ZIPPED[dataset]
    refused = 0
    for content in damaged(whole, cases):
        was_refused, read = read_archive(content, form, names)
        refused += was_refused
        if not was_refused:  # gzip has a checksum
            assert {name: records.tobytes() for name, records in read.items()} == files
    assert refused > 0.9 * cases


@pytest.mark.parametrize("cases", [400, pytest.param(10_000, marks=pytest.mark.full)])
@pytest.mark.parametrize("zipped", [True, False])
def test_random_damage_inside_an_archive_is_refused_or_was_in_the_pixels(cases, zipped):
    """The headers of an archive have checksums, the files in it have none."""
    whole = archive(FILES10, zipped=False)
    for content in damaged(whole, cases):
        content = gzip.compress(content, 1) if zipped else content
        was_refused, read = read_archive(content, FORMAT10, NAMES10)
        if was_refused:
            continue
        assert set(read) == set(NAMES10)
        for records in read.values():
            assert records.shape[1:] == (3073,)
            assert records[:, 0].max() < 10
