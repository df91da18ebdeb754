"""GELF datagrams: whole, packed, in chunks, and chunks that never come."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from duolog.plugins.types import BadRecord
from logs.engine import gelf
from logs.engine.gelf_chunks import MOST_WAITING, Assembler

MESSAGE = b'{"version":"1.1","host":"h","short_message":"' + "订单".encode() * 200 + b'"}'


def chunks(data: bytes, size: int = 100, identity: bytes = b"12345678") -> list[bytes]:
    parts = [data[at : at + size] for at in range(0, len(data), size)]
    return [b"\x1e\x0f" + identity + bytes([number, len(parts)]) + part for number, part in enumerate(parts)]


@pytest.mark.parametrize("pack", [bytes, gzip.compress, zlib.compress])
@given(order=st.randoms())
def test_chunks_in_any_order(pack: Callable[[bytes], bytes], order: object) -> None:
    parts = chunks(pack(MESSAGE), 20)
    order.shuffle(parts)  # type: ignore[attr-defined]
    assembler = Assembler()
    told = [assembler.add(part, "a", 0.0) for part in parts]
    assert told == [None] * (len(parts) - 1) + [MESSAGE]
    assert assembler.dropped == 0


def test_two_senders_with_the_same_id() -> None:
    assembler = Assembler()
    parts = chunks(MESSAGE)
    assert [assembler.add(part, peer, 0.0) for part in parts[:-1] for peer in "ab"] == [None] * 2 * (len(parts) - 1)
    assert assembler.add(parts[-1], "a", 0.0) == assembler.add(parts[-1], "b", 0.0) == MESSAGE


def test_a_chunk_that_comes_twice() -> None:
    assembler = Assembler()
    parts = chunks(MESSAGE)
    assert [assembler.add(part, "a", 0.0) for part in [*parts[:-1], parts[0], parts[-1]]][-1] == MESSAGE


def test_what_is_late_is_dropped_and_counted() -> None:
    assembler = Assembler()
    parts = chunks(MESSAGE)
    assembler.add(parts[0], "a", 0.0)
    assert [assembler.add(part, "a", 5.1) for part in parts[1:]] == [None] * (len(parts) - 1)
    assert assembler.dropped == 1


def test_memory_is_bounded() -> None:
    assembler = Assembler()
    for number in range(MOST_WAITING + 10):
        assembler.add(chunks(MESSAGE, identity=number.to_bytes(8))[0], "a", 0.0)
    assert len(assembler._waiting) == MOST_WAITING
    assert assembler.dropped == 10


@pytest.mark.parametrize(
    "datagram", [b"\x1e\x0f", b"\x1e\x0f12345678\x00\x00x", b"\x1e\x0f12345678\x05\x05x", b"\x1e\x0f12345678\x00\xffx"]
)
def test_what_is_no_chunk(datagram: bytes) -> None:
    assert isinstance(Assembler().add(datagram, "a", 0.0), BadRecord)


def test_a_bomb() -> None:
    told = Assembler(1000).add(gzip.compress(bytes(1 << 20)), "a", 0.0)
    assert isinstance(told, BadRecord)
    assert "unpacks to more than" in told.reason


@given(st.binary(max_size=60))
def test_any_bytes(data: bytes) -> None:
    message = Assembler().add(data, "a", 0.0)
    if message is not None:
        batch = gelf.read([(message, "a")])
        assert len(batch.texts) + len(batch.rejected) == 1


def test_the_address_stands_in_for_the_host() -> None:
    batch = gelf.read([(b'{"short_message":"x"}', "10.0.0.9"), (b'{"short_message":"x","host":"h"}', "10.0.0.9")])
    assert batch.attributes == ['{"host":"10.0.0.9"}', '{"host":"h"}']
