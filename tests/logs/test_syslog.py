"""Syslog messages, as the RFCs and as devices write them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from duolog.plugins.types import LogBatch
from logs.engine import syslog

NOW = datetime(2026, 11, 25, 8, tzinfo=UTC).timestamp()
SHANGHAI = ZoneInfo("Asia/Shanghai")


def read(*messages: bytes | str, now: float = NOW, zone: ZoneInfo = SHANGHAI, max_line: int = 1 << 20) -> LogBatch:
    raw = [one.encode() if isinstance(one, str) else one for one in messages]
    return syslog.read([(one, "10.0.0.9") for one in raw], now=now, zone=zone, max_line=max_line)


def told(message: bytes | str, **options: float) -> tuple[str, str, str, dict[str, str]]:
    batch = read(message, **options)  # type: ignore[arg-type]
    assert not batch.rejected
    return batch.texts[0], batch.services[0], batch.levels[0], json.loads(batch.attributes[0])


def at(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


@pytest.mark.parametrize(
    ("message", "text", "service", "level", "attributes"),
    [
        # RFC 5424, section 6.5
        (
            "<34>1 2003-10-11T22:14:15.003Z mymachine.example.com su - ID47 - \ufeff'su root' failed for lonvick",
            "'su root' failed for lonvick",
            "su",
            "fatal",
            {"facility": "auth", "host": "mymachine.example.com", "msgid": "ID47"},
        ),
        (
            "<165>1 2003-10-11T22:14:15.003Z - evntslog 7 ID47 "
            '[a@32473 iut="3" s="x \\"y\\" \\] \\z"][b c="高"] An event',
            "An event",
            "evntslog",
            "info",
            {
                "facility": "local4",
                "host": "10.0.0.9",
                "pid": "7",
                "msgid": "ID47",
                "a@32473.iut": "3",
                "a@32473.s": 'x "y" ] \\z',
                "b.c": "高",
            },
        ),
        ('<165>1 - h - - - [a@1 b="c"]', "", "", "info", {"facility": "local4", "host": "h", "a@1.b": "c"}),
        ('<165>1 - h a - - [broken b="c" text', '[broken b="c" text', "a", "info", {"facility": "local4", "host": "h"}),
        # RFC 3164, section 5.4
        (
            "<34>Oct 11 22:14:15 mymachine su: 'su root' failed",
            "'su root' failed",
            "su",
            "fatal",
            {"facility": "auth", "host": "mymachine"},
        ),
        (
            "<13>Feb  5 17:32:18 10.0.0.99 Use the BFG!",
            "Use the BFG!",
            "",
            "info",
            {"facility": "user", "host": "10.0.0.99"},
        ),
        ("<13>Feb  5 17:32:18 sshd[12]: x", "x", "sshd", "info", {"facility": "user", "host": "10.0.0.9", "pid": "12"}),
        # devices and libraries
        (
            "<30>2026-11-25T08:00:00+08:00 web nginx: GET /",
            "GET /",
            "nginx",
            "info",
            {"facility": "daemon", "host": "web"},
        ),
        (
            "<189>*Nov 25 2026 08:00:00.123: %LINK-3-UPDOWN: down",
            "down",
            "%LINK-3-UPDOWN",
            "info",
            {"facility": "local7", "host": "10.0.0.9"},
        ),
        ("<11>shop[42]: x: y", "x: y", "shop", "error", {"facility": "user", "host": "10.0.0.9", "pid": "42"}),
        ("<11>error: no space left", "error: no space left", "", "error", {"facility": "user", "host": "10.0.0.9"}),
        ("no priority", "no priority", "", "", {"host": "10.0.0.9"}),
        ("<999>x", "<999>x", "", "", {"host": "10.0.0.9"}),
        (
            "<13>Nov 25 08:00:00 h app: one\n  two\n  three",
            "one\n  two\n  three",
            "app",
            "info",
            {"facility": "user", "host": "h"},
        ),
    ],
)
def test_messages(message: str, text: str, service: str, level: str, attributes: dict[str, str]) -> None:
    assert told(message) == (text, service, level, attributes)


@pytest.mark.parametrize(
    ("stamp", "now", "expected"),
    [
        ("Nov 25 15:59:59", NOW, at("2026-11-25T15:59:59+08:00")),
        ("Nov 25 23:00:00", NOW, at("2026-11-25T23:00:00+08:00")),  # a clock that is ahead
        ("Dec 31 23:59:59", at("2027-01-01T00:00:05+08:00"), at("2026-12-31T23:59:59+08:00")),
        ("Jan  1 00:00:01", at("2026-12-31T23:59:59+08:00"), at("2027-01-01T00:00:01+08:00")),
        ("Dec  1 00:00:00", NOW, at("2025-12-01T00:00:00+08:00")),
        ("Feb 29 12:00:00", NOW, at("2024-02-29T12:00:00+08:00")),
        ("Nov 25 08:00:00.250", NOW, at("2026-11-25T08:00:00.250+08:00")),
        ("2026-11-25T08:00:00", NOW, at("2026-11-25T08:00:00+08:00")),
        ("2026-11-25T08:00:00.5Z", NOW, at("2026-11-25T08:00:00.5+00:00")),
    ],
)
def test_the_year_and_the_zone_that_are_not_named(stamp: str, now: float, expected: float) -> None:
    assert read(f"<13>{stamp} h app: x", now=now).times == [pytest.approx(expected)]


@pytest.mark.parametrize("stamp", ["Foo 25 08:00:00", "Nov 32 08:00:00", "Nov 25 25:00:00"])
def test_a_time_that_is_none(stamp: str) -> None:
    assert read(f"<13>{stamp} h app: x").times == [None]


def test_encodings() -> None:
    message = "<13>Nov 25 08:00:00 交换机 端口: 数据库连接超时"
    for raw in (message.encode(), message.encode("gb18030")):
        text, service, _, about = told(raw)
        assert (text, service, about["host"]) == ("数据库连接超时", "端口", "交换机")
    cut = "<13>Nov 25 08:00:00 h app: 数据".encode()[:-1]  # by a sender's limit
    assert told(cut)[0] == "数\N{REPLACEMENT CHARACTER}"
    batch = read(b"<13>Nov 25 08:00:00 h app: \xff\xfe\xfd", b"<13>x")
    assert (batch.texts, [one.row for one in batch.rejected]) == (["x"], [1])
    assert batch.rejected[0].reason == "it is not valid UTF-8"


def test_several_messages_in_a_datagram() -> None:
    assert syslog.split(b"<13>one\n<14>two\r\n<15>three\n  goes on\n\0") == [
        b"<13>one",
        b"<14>two",
        b"<15>three\n  goes on",
    ]
    assert syslog.split(b"\n") == []


def test_a_message_that_is_too_long_is_rejected() -> None:
    batch = read("<13>" + "x" * 2000, "<13>" + "x" * 20_000, max_line=1000)
    assert batch.texts == []
    assert [one.row for one in batch.rejected] == [1, 2]


@given(st.binary(max_size=120) | st.text(max_size=60).map(lambda text: f"<13>1 - h a - - [{text}".encode()))
def test_any_bytes_are_a_line_or_rejected(raw: bytes) -> None:
    batch = read(raw)
    assert len(batch.texts) + len(batch.rejected) == 1
    "".join(batch.texts + batch.attributes).encode()


def test_hostile_structured_data_takes_no_time() -> None:
    assert read('<13>1 - h a - - [x y="' + "\\" * 100_000, "<13>1 - h a - - " + "[a" * 50_000).texts[0].startswith("[x")
