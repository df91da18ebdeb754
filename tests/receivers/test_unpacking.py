"""Packed bodies: every encoding shippers use, several in a row, and bombs that are never in memory."""

from __future__ import annotations

import gzip
import subprocess
import sys
import zlib
from collections.abc import Callable

import cramjam
import pytest
from hypothesis import given
from hypothesis import strategies as st

from duolog.plugins.types import Refused
from logs.engine.unpack import UNPACKERS, unpack


def _raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "deflate": zlib.compress,
    "zlib": zlib.compress,
    "zstd": lambda data: bytes(cramjam.zstd.compress(data)),
    "snappy": lambda data: bytes(cramjam.snappy.compress_raw(data)),
    "x-snappy-framed": lambda data: bytes(cramjam.snappy.compress(data)),
    "lz4": lambda data: bytes(cramjam.lz4.compress(data)),
}
BOMB = """
import resource, sys
from duolog.plugins.types import Refused
from logs.engine.unpack import unpack
body = sys.stdin.buffer.read()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    unpack(body, sys.argv[1], 8 << 20)
except Refused as refused:
    print(refused.status, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_all_are_tested() -> None:
    assert PACKERS.keys() == UNPACKERS.keys()


@pytest.mark.parametrize("name", sorted(PACKERS))
@given(data=st.binary(max_size=5000))
def test_round_trip_up_to_the_limit(name: str, data: bytes) -> None:
    packed = PACKERS[name](data)
    assert unpack(packed, name, max(len(data), 1)) == data
    if len(data) > 1:
        with pytest.raises(Refused) as told:
            unpack(packed, name, len(data) - 1)
        assert told.value.status == 413


@pytest.mark.parametrize("name", sorted(PACKERS))
def test_a_bomb_is_never_in_memory(name: str) -> None:
    """A gigabyte of nothing, unpacked to 8 MiB at most: the process grows by little more."""
    if name.startswith(("snappy", "x-snappy", "lz4")):
        body = PACKERS[name](bytes(256 << 20))  # packs 20 to 250 times only
    else:
        body = PACKERS[name](bytes(1 << 30))
    done = subprocess.run(
        [sys.executable, "-c", BOMB, name], input=body, capture_output=True, check=True, timeout=60,
        env={"PYTHONPATH": ":".join(sys.path)},
    )  # fmt: skip
    status, kib = done.stdout.split()
    assert status == b"413"
    assert int(kib) < 48 << 10


def test_several_in_a_row() -> None:
    body = PACKERS["zstd"](gzip.compress(b"lines"))
    assert unpack(body, "gzip, zstd") == b"lines"
    assert unpack(b"lines", "identity") == unpack(b"lines", "") == b"lines"


@pytest.mark.parametrize("pack", [gzip.compress, zlib.compress])
def test_one_of_two_that_are_named(pack: Callable[[bytes], bytes]) -> None:
    """Some libraries say gzip,deflate and pack once."""
    assert unpack(pack(b"lines"), "gzip,deflate") == b"lines"


def test_what_senders_do_with_standards() -> None:
    assert unpack(_raw_deflate(b"lines"), "deflate") == b"lines"
    assert unpack(PACKERS["x-snappy-framed"](b"lines"), "snappy") == b"lines"
    assert unpack(gzip.compress(b"one ") + gzip.compress(b"two") + bytes(8), "gzip") == b"one two"
    assert unpack(PACKERS["zstd"](b"one ") + PACKERS["zstd"](b"two"), "zstd") == b"one two"


@pytest.mark.parametrize("name", sorted(PACKERS))
def test_torn_bodies_are_refused(name: str) -> None:
    packed = PACKERS[name](b"a line that is long enough " * 20)
    for end in range(1, len(packed) - 1):
        if name == "x-snappy-framed" and end == 10:
            continue  # nothing but its header: an empty stream
        with pytest.raises(Refused) as told:
            unpack(packed[:end], name)
        assert told.value.status == 400


def test_an_unknown_one_is_named() -> None:
    with pytest.raises(Refused, match=r"br is not known; use one of deflate, gzip, .*zstd") as told:
        unpack(b"x", "br")
    assert told.value.status == 415


def test_a_million_empty_members_end() -> None:
    assert unpack(gzip.compress(b"") * 100_000, "gzip") == b""
