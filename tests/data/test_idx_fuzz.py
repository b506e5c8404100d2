"""Reading IDX files that somebody damaged, or made up: an array of what is there or a DataError, in little memory."""

import gzip
import io
import math

import numpy as np
import pytest

from minidl.data.idx import DataError, parse_idx
from tests.data.test_idx import PLAIN, ZIPPED, header
from tests.fuzz import attempt, damaged

LARGE = gzip.compress(header(300, 28, 28) + bytes(300 * 28 * 28), mtime=0)
MEMORY = 3_500_000  # bytes: pieces of a mebibyte, what they are joined to, and what gzip needs


@pytest.mark.parametrize("cases", [1000, pytest.param(10_000, marks=pytest.mark.full)])
@pytest.mark.parametrize("whole", [PLAIN, ZIPPED, LARGE], ids=["plain", "gzip", "gzip, larger"])
def test_random_damage_is_refused_or_did_no_harm(cases, whole):
    refused, right = 0, parse_idx(io.BytesIO(whole), "whole")
    for content in damaged(whole, cases):
        was_refused, read = attempt(lambda: parse_idx(io.BytesIO(content), "damaged"), DataError, MEMORY)  # noqa: B023
        refused += was_refused
        if was_refused:
            continue
        assert read.dtype == np.uint8
        if whole is PLAIN:  # has no checksum: a value, or the order of the axes, may be another
            assert read.size < len(content)
        else:
            np.testing.assert_array_equal(read, right)
    assert 0.3 * cases < refused < cases


@pytest.mark.parametrize(
    ("sizes", "there"),
    [((60,), 10**8), ((2**31,), 1000), ((2**31 - 1,), 10**7), ((1, 2, 3, 4), 10**8), ((2**16, 2**15), 10**5)],
)
def test_a_body_of_another_size_than_declared(sizes, there):
    """Memory is bounded by the smaller of the two: what the header declares, and what really comes out."""
    content = gzip.compress(header(*sizes) + bytes(there), compresslevel=1)
    most = 2 * min(math.prod(sizes), there) + MEMORY
    refused, _ = attempt(lambda: parse_idx(io.BytesIO(content), "bomb"), DataError, most)
    assert refused
