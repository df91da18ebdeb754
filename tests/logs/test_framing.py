"""Messages in a stream: however the bytes are cut, the messages are the same."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from duolog.plugins.types import BadRecord
from logs.engine.framing import HEADER, Framer

MOST = 4000
ONE = (
    st.binary(min_size=1, max_size=30).map(lambda data: b"<13>" + data.replace(b"\n", b" "))
    | st.just(b"<13>" + b"x" * (MOST + HEADER + 50))
)  # fmt: skip


def frame(message: bytes, counted: bool) -> bytes:
    return b"%d %s" % (len(message), message) if counted else message + b"\n"


def feed(data: bytes, cuts: list[int], **options: object) -> list[bytes | str]:
    framer = Framer(most=MOST, **options)  # type: ignore[arg-type]
    found = []
    at = 0
    for cut in [*sorted(cut % (len(data) + 1) for cut in cuts), len(data)]:
        found += framer.feed(data[at:cut])
        at = cut
    found += framer.finish()
    return [one if isinstance(one, bytes) else f"{one.reason}: {one.excerpt}" for one in found]


@given(st.lists(st.tuples(ONE, st.booleans()), max_size=6), st.lists(st.integers(0), max_size=12), st.integers(0, 20))
def test_cut_anywhere(messages: list[tuple[bytes, bool]], cuts: list[int], torn: int) -> None:
    data = b"".join(frame(*each) for each in messages)
    data = data[: len(data) - torn] if torn < len(data) else data
    assert feed(data, cuts) == feed(data, [])


@given(st.binary(max_size=200), st.lists(st.integers(0), max_size=12), st.booleans())
def test_any_bytes(data: bytes, cuts: list[int], counted: bool) -> None:
    assert feed(data, cuts, counted=counted) == feed(data, [], counted=counted)


@given(st.lists(st.tuples(ONE, st.booleans()), max_size=6))
def test_each_message_comes_out(messages: list[tuple[bytes, bool]]) -> None:
    found = feed(b"".join(frame(*each) for each in messages), [])
    assert len(found) == len(messages)
    for (message, _), one in zip(messages, found, strict=True):
        if len(message) > MOST + HEADER:
            assert isinstance(one, str)
        else:
            assert one == message.rstrip(b"\r\n\0")


def test_both_framings_on_one_connection() -> None:
    assert feed(b"5 <1>ab<2>cd\n6 <3>e\nf\r\n<4>last", []) == [b"<1>ab", b"<2>cd", b"<3>e\nf", b"<4>last"]


def test_numbers_that_count_nothing() -> None:
    assert feed(b"2026-11-25 plain\n1234567890 x\n", []) == [b"2026-11-25 plain", b"1234567890 x"]


def test_a_torn_message_is_told() -> None:
    framer = Framer()
    assert framer.feed(b"10 <1>ab") == []
    (torn,) = framer.finish()
    assert isinstance(torn, BadRecord)
    assert torn.reason == "the connection ended within a message"


def test_memory_is_bounded() -> None:
    framer = Framer(most=1000)
    for _ in range(1000):
        framer.feed(b"x" * 1000)
        assert len(framer._buffer) <= 1000 + HEADER + 1000
    assert framer.feed(b"\n<1>next\n") == [b"<1>next"]


@pytest.mark.parametrize("end", [b"\0", b"\n"])
def test_gelf_ends_with_nul(end: bytes) -> None:
    framer = Framer(counted=False, end=end)
    assert framer.feed(b'{"a":1}' + end + b'5 {"b":2}' + end) == [b'{"a":1}', b'5 {"b":2}']
