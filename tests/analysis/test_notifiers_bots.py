"""DingTalk, Feishu, WeCom and Slack: signatures and limits byte by byte, and success that is none."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import time
from collections.abc import Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs, unquote_plus, urlsplit

import pytest
from alert_receiver import Receiver, Says, Seen, alert, receiving
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from analysis.notifiers import dingtalk, feishu, slack, text
from duolog.plugins import guard, registry
from duolog.plugins.options import OptionsError
from duolog.plugins.types import Alert, NotDelivered

OK = {
    "slack": b"ok",
    "dingtalk": b'{"errcode":0,"errmsg":"ok"}',
    "feishu": b'{"StatusCode":0,"StatusMessage":"success","code":0,"data":{},"msg":"success"}',
    "wecom": b'{"errcode":0,"errmsg":"ok"}',
}
PATH = {
    "slack": "/services/T0/B0/slack-key-1",
    "dingtalk": "/robot/send?access_token=ding-token-1",
    "feishu": "/open-apis/bot/v2/hook/feishu-token-1",
    "wecom": "/cgi-bin/webhook/send?key=wecom-key-1",
}
SECRET = "SECb1d7f/+=&密"
BOTS = list(OK)
HOSTILE = (
    "@all @everyone <!channel> <!here> <@U123> <at id=all></at> <@zhangsan> [click](http://evil.example/x) "
    '![i](https://evil.example/i.png) **bold** `code` # head\n> quote\n- [ ] x <font color="warning">w</font> '
    "https://evil.example :boom: ~s~ |t| \u202e\x1b[2J"
)


@pytest.fixture(autouse=True)
def _near(settings):
    settings.PRIVATE_ADDRESSES = ["127.0.0.1"]


@contextmanager
def bot(name: str, *answers: Says):
    with receiving(*(answers or [Says(200, OK[name])])) as receiver:
        yield receiver


def send(name: str, receiver: Receiver, alerts: Sequence[Alert], **options: Any) -> Seen:
    given_ = {"url": receiver.url + PATH[name], "language": "zh", **options}
    guard.call(registry.create("duolog.notifiers", name, given_), "send", alerts)
    return receiver.seen[-1]


def told(name: str, body: bytes) -> str:
    """What people read of a message."""
    message = json.loads(body)
    if name == "dingtalk":
        return message["markdown"]["text"]
    if name == "wecom":
        return message["markdown"]["content"]
    if name == "feishu":
        return "\n".join(one["text"]["content"] for one in message["card"]["elements"])
    return "\n".join(one["text"]["text"] for one in message["blocks"] if "text" in one)


# --- signatures -------------------------------------------------------------------------------------------------


def test_dingtalk_signs_milliseconds_and_secret_with_the_secret_in_the_address():
    with bot("dingtalk") as receiver:
        seen = send("dingtalk", receiver, [alert()], secret=SECRET)
    query = parse_qs(urlsplit(seen.path).query, strict_parsing=True)
    assert list(query) == ["access_token", "timestamp", "sign"]
    (stamp,) = query["timestamp"]
    assert abs(int(stamp) - time.time() * 1000) < 60_000
    wanted = base64.b64encode(hmac.digest(SECRET.encode(), f"{stamp}\n{SECRET}".encode(), "sha256")).decode()
    assert query["sign"] == [wanted]
    raw = re.search(r"sign=([^&]*)$", seen.path)
    assert raw and unquote_plus(raw[1]) == wanted and not set(raw[1]) & set("+/=")
    message = seen.json
    assert list(message) == ["msgtype", "markdown", "at"]
    assert message["at"] == {"atMobiles": [], "isAtAll": False}
    assert message["markdown"]["title"] == "Duolog · 1 条告警"
    assert message["markdown"]["text"].startswith(
        "#### Duolog · 1 条告警\n\n**高：timeout (超时异常)**\n\n服务 checkout · "
    )


def test_feishu_signs_nothing_with_seconds_and_secret_in_the_body():
    with bot("feishu") as receiver:
        seen = send("feishu", receiver, [alert()], secret=SECRET)
    assert seen.path == PATH["feishu"]
    message = seen.json
    assert list(message) == ["timestamp", "sign", "msg_type", "card"]
    assert abs(int(message["timestamp"]) - time.time()) < 60
    key = f"{message['timestamp']}\n{SECRET}".encode()
    assert message["sign"] == base64.b64encode(hmac.new(key, b"", hashlib.sha256).digest()).decode()
    assert message["msg_type"] == "interactive"
    assert message["card"]["header"] == {
        "title": {"tag": "plain_text", "content": "Duolog · 1 条告警"}, "template": "red",
    }  # fmt: skip


def test_the_two_signatures_are_known_ones_and_differ():
    """Worked out by openssl: printf 'STAMP\\nSECRET' | openssl dgst -sha256 -hmac SECRET -binary | base64."""
    assert dingtalk.sign("SECtest", "1700000000000") == hmac_base64(b"SECtest", b"1700000000000\nSECtest")
    assert feishu.sign("test", "1700000000") == hmac_base64(b"1700000000\ntest", b"")
    assert dingtalk.sign("test", "1700000000") != feishu.sign("test", "1700000000")


def hmac_base64(key: bytes, message: bytes) -> str:
    """RFC 2104, by hand."""
    pad = key.ljust(64, b"\0")
    inner = hashlib.sha256(bytes(one ^ 0x36 for one in pad) + message).digest()
    return base64.b64encode(hashlib.sha256(bytes(one ^ 0x5C for one in pad) + inner).digest()).decode()


@pytest.mark.parametrize("name", ["dingtalk", "feishu"])
def test_without_a_secret_nothing_is_signed(name):
    with bot(name) as receiver:
        seen = send(name, receiver, [alert()])
    assert "sign" not in seen.path and "sign" not in seen.json


def test_wecom_and_slack_are_sent_what_they_ask_for():
    with bot("wecom") as receiver:
        seen = send("wecom", receiver, [alert()])
    assert (seen.path, list(seen.json)) == (PATH["wecom"], ["msgtype", "markdown"])
    assert seen.json["markdown"]["content"].splitlines() == [
        "#### Duolog · 1 条告警", "", "**高：timeout (超时异常)**",
        "服务 checkout · 项目 shop · 12 个序列 · 始于 2026-11-25 10:30 UTC", "结算服务调用库存服务超时。",
        "[查看](https://duolog.example.com/admin/analysis/finding/1/change/)",
    ]  # fmt: skip
    with bot("slack") as receiver:
        seen = send("slack", receiver, [alert()], language="en")
    message = seen.json
    assert message["text"] == "Duolog · 1 alert: high: timeout (超时异常)"
    assert [block["type"] for block in message["blocks"]] == ["header", "section", "context"]
    assert message["blocks"][2]["elements"][0]["text"].startswith("<https://duolog.example.com/")


# --- success that is none ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "body", "after", "permanent"),
    [
        ("dingtalk", b'{"errcode":310000,"errmsg":"sign not match"}', None, True),
        ("dingtalk", b'{"errcode":130101,"errmsg":"send too fast"}', 60.0, False),
        ("dingtalk", b'{"errcode":12345,"errmsg":"?"}', None, False),
        ("feishu", b'{"code":19021,"msg":"sign match fail"}', None, True),
        ("feishu", b'{"code":11232,"msg":"frequency limited"}', 60.0, False),
        ("wecom", b'{"errcode":93000,"errmsg":"invalid webhook url"}', None, True),
        ("wecom", b'{"errcode":45009,"errmsg":"api freq out of limit"}', 60.0, False),
        ("wecom", b"<html>a gateway says hello</html>", None, False),
        ("wecom", b'{"errmsg":"ok"}', None, False),
        ("wecom", b'{"errcode":false}', None, False),
        ("wecom", b'["errcode", 0]', None, False),
        ("wecom", b"", None, False),
        ("slack", b"invalid_token", None, False),
    ],
)  # fmt: skip
def test_an_answer_of_200_may_be_a_failure(name, body, after, permanent):
    with bot(name, Says(200, body)) as receiver, pytest.raises(NotDelivered) as found:
        send(name, receiver, [alert()])
    assert (found.value.retry_after, found.value.permanent) == (after, permanent)
    assert body.decode()[:40] in found.value.reason


@pytest.mark.parametrize("name", BOTS)
def test_no_reason_tells_the_key(name):
    key = re.split("[/=]", PATH[name])[-1]
    for said in (
        Says(404, f"no {PATH[name]} here: {key}".encode()),
        Says(200, f'{{"errcode":1,"x":"{key}"}}'.encode()),
    ):
        with bot(name, said) as receiver, pytest.raises(NotDelivered) as found:
            send(name, receiver, [alert()])
        assert key not in f"{found.value.reason} {found.value!r} {found.value.__context__!r}"
    with pytest.raises(NotDelivered) as found:
        send(name, receiver, [alert()])
    assert key not in found.value.reason and "cannot be reached" in found.value.reason


@pytest.mark.parametrize("name", ["dingtalk", "wecom"])
def test_an_address_without_its_key_is_refused(name):
    with pytest.raises(OptionsError, match="holds no"):
        registry.create("duolog.notifiers", name, {"url": "https://oapi.example.com/robot/send"})


# --- limits -----------------------------------------------------------------------------------------------------

WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=400) | st.text('超时 😀"\\\n<&', max_size=1500)
ALERTS = st.lists(
    st.builds(
        lambda title, service, summary, kind, severity, number: alert(
            number, title=title, service=service, summary={"zh": summary}, kind=kind, severity=severity
        ),
        WORDS, WORDS, WORDS, st.sampled_from(["firing", "resolved"]), st.sampled_from(["", "low", "critical"]),
        st.integers(1, 10**9),
    ),
    min_size=1,
    max_size=70,
)  # fmt: skip


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=200), st.integers(3, 300))
def test_a_text_is_cut_between_characters(words, room):
    found = text.cut(words, room)
    assert len(found.encode()) <= room
    if found != words:
        assert len(words.encode()) > room and found.endswith("…") and words.startswith(found[:-1])
        # Not one character more would have fitted.
        assert len((words[: len(found)] + "…").encode()) > room


@pytest.mark.parametrize("room", range(3, 16))
def test_chinese_at_the_border(room):
    found = text.cut("结算服务超时", room)
    assert found == "结算服务超时"[: (room - 3) // 3] + "…"


@given(st.lists(st.integers(0, 50), max_size=30), st.integers(20, 300))
def test_as_many_pieces_are_kept_as_fit(sizes, room):
    count = text.kept(sizes, room, 20)
    assert sum(sizes[:count]) + (20 if count < len(sizes) else 0) <= room
    if count < len(sizes):
        assert sum(sizes) > room and sum(sizes[: count + 1]) + 20 > room


@given(ALERTS)
@examples(deadline=None, max_examples=60)
def test_no_message_is_longer_than_its_bot_takes(alerts):
    for language in ("zh", "en"):
        for room, gap in ((4096, "\n"), (20_000, "\n\n")):
            assert len(text.markdown(alerts, language, room=room, gap=gap).encode()) <= room
        card = feishu.card(alerts, language)
        whole = {"timestamp": "1700000000", "sign": "=" * 44, "msg_type": "interactive", "card": card}
        assert len(json.dumps(whole, ensure_ascii=False, separators=(",", ":")).encode()) <= 20 << 10
        blocks = slack.message(alerts, language)["blocks"]
        assert len(blocks) <= 50
        assert all(len(one["text"]["text"]) <= 3000 for one in blocks if "text" in one)
        assert len(blocks[0]["text"]["text"]) <= 150


@pytest.mark.parametrize("name", BOTS)
def test_what_is_left_out_is_counted_and_the_first_is_there(name):
    many = [alert(number, title=f"异常{number:03d}" + "长" * 200, summary={"zh": "很" * 3000}) for number in range(120)]
    with bot(name) as receiver:
        seen = send(name, receiver, many, **({"secret": SECRET} if name in ("dingtalk", "feishu") else {}))
    words = told(name, seen.body)
    shown = [number for number in range(120) if f"异常{number:03d}" in words]
    assert shown == list(range(len(shown))) and 1 <= len(shown) < 120
    assert f"…还有 {120 - len(shown)} 条" in words
    limit = {"wecom": 4096, "dingtalk": 20_000, "feishu": 20 << 10, "slack": 1 << 20}[name]
    size = len(seen.body) if name in ("feishu", "slack") else len(words.encode())
    assert limit * 0.5 < size <= limit or name == "slack"


@pytest.mark.parametrize("name", BOTS)
def test_a_line_of_a_log_mentions_nobody_links_nowhere_and_formats_nothing(name):
    with bot(name) as receiver:
        seen = send(name, receiver, [alert(title=HOSTILE, service=HOSTILE[:100], summary={"zh": HOSTILE}, url="")])
    words, body = told(name, seen.body), seen.json
    assert "evil.example" in words  # it is there, as text
    assert not set(words) & {"\u202e", "\x1b"}
    if name in ("dingtalk", "wecom"):
        lines = [line.removeprefix("#### ").removeprefix("**").removesuffix("**") for line in words.split("\n")]
        assert not re.search(r"[@<>`*\[\]#!|~_]|://", "".join(lines))
    elif name == "slack":
        assert "<" not in words and "&lt;!channel&gt;" in words
        assert {one["text"]["type"] for one in body["blocks"] if "text" in one} == {"plain_text"}
        assert "<" not in body["text"] and body["parse"] == "none" and body["mrkdwn"] is False
    else:
        tags = re.findall(r'"tag": "(\w+)"', json.dumps(body))
        assert set(tags) == {"div", "plain_text"}


@pytest.mark.parametrize("name", BOTS)
@pytest.mark.parametrize("language", ["zh", "en"])
def test_a_digest_is_in_one_language_and_tells_what_is_over(name, language):
    both = [alert(1), alert(2, kind="resolved", title="slow query", ended=alert().started)]
    with bot(name) as receiver:
        words = told(name, send(name, receiver, both, language=language).body)
    wanted = {
        "zh": ["高：timeout", "已解决：slow query", "结算服务", "服务 checkout", "止于 2026-11-25"],
        "en": ["high: timeout", "resolved: slow query", "Checkout waits", "service checkout", "until 2026-11-25"],
    }  # fmt: skip
    assert [each for each in wanted[language] if each not in words] == []
    assert (
        text.lead(both, language)
        == {"zh": "Duolog · 1 条告警，1 条已解决", "en": "Duolog · 1 alert, 1 resolved"}[language]
    )
