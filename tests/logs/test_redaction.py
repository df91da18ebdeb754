"""Secrets leave a line, everything else stays, and redacting twice changes nothing."""

from __future__ import annotations

import gzip
import json
import re
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from logs.engine.masking import mask
from logs.engine.redaction import DEFAULTS, Redactor, Rule, Strategy
from logs.engine.secret_kinds import KINDS

REDACTOR = Redactor()
EVERYTHING = Redactor([Rule(kind) for kind in KINDS])
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJmZHNlX21pY3JvIn0.4MzSHbzQFCYZbwFTbGOiAhZJbqGlSEGkmDTTyjUNhOY"


def one(text: str, redactor: Redactor = REDACTOR) -> str:
    return redactor.redact([text])[0][0]


@pytest.mark.parametrize(
    ("line", "redacted"),
    [
        ("login password=hunter2 user=bob", "login password=[REDACTED:password] user=bob"),
        ("DB_PASSWORD: s3cret!, next", "DB_PASSWORD: [REDACTED:password], next"),
        ("用户登录密码为Abc@123，请修改", "用户登录密码为[REDACTED:password]，请修改"),
        ("口令：“a b,c”", "口令：“[REDACTED:password]”"),
        ("the new password is hunter2.", "the new password is [REDACTED:password]."),
        ("LoginRequest(user=bob, password=abc)", "LoginRequest(user=bob, password=[REDACTED:password])"),
        ("password changed from abc1 to abc2", "password changed from [REDACTED:password] to [REDACTED:password]"),
        ("密码由abc1改为abc2，完成", "密码由[REDACTED:password]改为[REDACTED:password]，完成"),
        ("【令牌】8f14e45fceea167a5a36", "【令牌】[REDACTED:token]"),
        ("token(8f14e45fceea167a5a36)", "token([REDACTED:token])"),
        ("[('password', 'abc123')]", "[('password', '[REDACTED:password]')]"),
        ("<pwd a='b'>abc</pwd>", "<pwd a='b'>[REDACTED:password]</pwd>"),
        ("AKIAIOSFODNN7EXAMPLE/abcdefghijklmnopqrstuvwxyz0123", "[REDACTED:access-key]/[REDACTED:access-key]"),
        ("run --password abc -v", "run --password [REDACTED:password] -v"),
        ("<pwd>abc</pwd>", "<pwd>[REDACTED:password]</pwd>"),
        ("GET /a?token=abcdef12&x=1", "GET /a?token=[REDACTED:token]&x=1"),
        ("body={\\u0022a\\u0022:1} password\\u003dabc1", "body={\\u0022a\\u0022:1} password\\u003d[REDACTED:password]"),
        ('tokenInfo="token=abc123def"', 'tokenInfo="token=[REDACTED:token]"'),
        ("redis://:pw1@h:6379/0 https://u:p%40@h/x", "redis://:[REDACTED:password]@h:6379/0 https://u:[REDACTED:password]@h/x"),
        ("Authorization: Bearer abcdefgh12345678", "Authorization: Bearer [REDACTED:token]"),
        ("Cookie: sid=a1b2; theme=dark", "Cookie: [REDACTED:session]"),
        ("jsessionid=0A1B2C3D4E5F; x", "jsessionid=[REDACTED:session]; x"),
        (f"got {JWT}!", "got [REDACTED:jwt]!"),
        ("key AKIAIOSFODNN7EXAMPLE used", "key [REDACTED:access-key] used"),
        ("使用LTAI5tAbCdEfGhIjKlMn1234访问", "使用[REDACTED:access-key]访问"),
        ("ghp_0123456789abcdefghijABCDEFGHIJ012345", "[REDACTED:api-key]"),
        (
            "-----BEGIN RSA PRIVATE KEY-----\\nMIIE/x+y=\\n-----END RSA PRIVATE KEY-----",
            "-----BEGIN RSA PRIVATE KEY-----\\n[REDACTED:private-key]-----END RSA PRIVATE KEY-----",
        ),
        ("mail li.si+x@mail.example.cn ok", "mail [REDACTED:email] ok"),
        ("a\\n13812345678\\tNo.13812345678", "a\\n[REDACTED:phone]\\tNo.[REDACTED:phone]"),
        ("mysql -uroot -phunter2 shop", "mysql -uroot -p[REDACTED:password] shop"),
        ("curl -u a:b http://h", "curl -u a:[REDACTED:password] http://h"),
        ("身份证11010519491231002X通过", "身份证[REDACTED:id-card]通过"),
        ("call +86 13812345678 or 139-1234-5678", "call +86 [REDACTED:phone] or [REDACTED:phone]"),
        ("卡号6222021234567890128余额不足", "卡号[REDACTED:bank-card]余额不足"),
        ("card 4111 1111 1111 1111 declined", "card [REDACTED:bank-card] declined"),
        ("车辆京A12345驶离, 粤B·D12345入场", "车辆[REDACTED:plate]驶离, [REDACTED:plate]入场"),
        ('at a.B: bad {"password":123456,"n":1} x', 'at a.B: bad {"password":"[REDACTED:password]","n":1} x'),
        ('INFO raw="{\\"pwd\\":\\"a b\\",\\"n\\":1}"', 'INFO raw="{\\"pwd\\":\\"[REDACTED:password]\\",\\"n\\":1}"'),
    ],
)  # fmt: skip
def test_what_becomes_of_a_line(line: str, redacted: str) -> None:
    assert one(line) == redacted


@pytest.mark.parametrize(
    "line",
    [
        "081109 203518 143 INFO dfs.DataNode: Receiving block blk_-1608999687919862906 src: /10.250.19.102:54106",
        "TraceID: 9e8a820408225258ebe1050dd8d91d8c SpanID: 1800e2de3287b1c6",
        "[instance: a015cf14-84bb-4156-a48d-7c4824ac7a9d] commit 9f4ef63a64f992df0798e78af5893b04890de923",
        "Failed password for root from 10.0.0.1 port 22 ssh2",
        "password changed for user bob2; the password is incorrect; Invalid password: too short",
        "密码错误，剩余3次 密码为空 密码：错误 请输入密码：",
        "password=****** password=null password= token=${TOKEN} secret: <redacted>",
        "Unexpected token < in JSON at position 403; max_tokens=256 token_type=bearer",
        "Session: 30546174_2573138554 initialized, session opened for user root, sessionid=0x14f05578bd80001",
        "wtoken = AppWindowToken{9f4ef63 token=Token{a64f992 ActivityRecord}}",
        "order_no=4111111111111111 trace: 4111111111111111 订单号4111111111111111",
        "order 6222021234567890129 id 110105194912310021 size=13812345678 bytes elapsed 18812345678ns 0.13812345678",
        "lodash@4.17.21 getty@tty1.service a/logo@2x.png git@github.com:a/b com.a.B@1a2b3c",
        "更新A12345条 阿里云ECS12345 version 1.2.3.4 2026-11-23 19:00:00,123 in 300ms at 1764000000000",
        "http://10.0.0.1:8080/a@b http://example.com:80/x?y=a@b",
    ],
)
def test_what_only_looks_like_a_secret_stays(line: str) -> None:
    assert one(line) == line


def test_a_batch_keeps_its_order_and_its_kinds_are_counted() -> None:
    lines = ["a", "password=abc", "b", "13812345678 和 13912345678", '{"token":"abcdef12"}', ""]
    redacted, counts = REDACTOR.redact(lines)
    assert redacted[:3] == ["a", "password=[REDACTED:password]", "b"]
    assert redacted[3:] == ["[REDACTED:phone] 和 [REDACTED:phone]", '{"token":"[REDACTED:token]"}', ""]
    assert counts == {"password": 1, "phone": 2, "token": 1}
    assert REDACTOR.redact([]) == ([], {})


def test_ip_addresses_only_where_asked_for() -> None:
    line = "from 10.3.4.5:80 to 2001:db8::1, std::add v1.2.3.4 at 12:30:45 00:1a:2b:3c:4d:5e"
    assert one(line) == line
    assert one(line, EVERYTHING) == line.replace("10.3.4.5", "[REDACTED:ip]").replace("2001:db8::1", "[REDACTED:ip]")
    assert [rule.kind for rule in DEFAULTS] == [kind for kind in KINDS if kind != "ip"]


def test_a_hash_keeps_equal_values_equal_and_needs_its_key() -> None:
    rules = [Rule("phone", Strategy.HASH), Rule("password", Strategy.DROP)]
    lines = ["a 13812345678 b", "138-1234-5678 c", "13912345678", "password=abc1 x"]
    (first, second, third, dropped), _ = Redactor(rules, b"key").redact(lines)
    token = re.fullmatch(r"a (\[phone:[0-9a-f]{12}\]) b", first).group(1)  # type: ignore[union-attr]
    assert second == f"{token} c"
    assert third != token
    assert dropped == "password=[-] x"
    assert Redactor(rules, b"other").redact(lines)[0][0] != first
    assert mask([first]) == ["a [phone:<*>] b"]
    with pytest.raises(ValueError, match="hashing needs a key"):
        Redactor(rules)


def test_rules_of_users_go_first_and_may_be_anything_rust_takes() -> None:
    rules = [*DEFAULTS, Rule("employee", Strategy.MASK, r"(?i)emp-\d{6}"), Rule("ticket", Strategy.DROP, r"#\d+")]
    redacted, counts = Redactor(rules).redact(["EMP-123456 has #42", '{"工号":"\\u0045mp-123456","emp-123456":1}'])
    assert redacted == ["[REDACTED:employee] has [-]", '{"工号":"[REDACTED:employee]","[REDACTED:employee]":1}']
    assert counts == {"employee": 3, "ticket": 1}


@pytest.mark.parametrize(
    ("kind", "pattern", "problem"),
    [
        ("Emp", "a", "no name of a rule"),
        ("phone", r"\d+", "built in"),
        ("telephone", "", "needs a pattern"),
        ("own", "a(b", "is invalid"),
        ("own", "a)|(b", "is invalid"),
        ("own", r"(?<=x)a", "is invalid"),
        ("own", r"(a)\1", "is invalid"),
        ("own", "(?P<v>a)", "names a group"),
        ("own", "(?x)a # b", "is invalid"),
        ("own", "a*", "empty text"),
        ("own", "a" * 1001, "at most 1000"),
        ("own", r"(?:\w{1,200}x){100}", "is invalid"),
        ("own", r"(?:a|b|.).{0,900}(?:\w.{0,900}!)", "too slow"),
    ],
)
def test_a_bad_rule_is_refused_when_it_is_made(kind: str, pattern: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        Rule(kind, pattern=pattern)


def test_two_rules_of_one_name_and_unknown_strategies_are_refused() -> None:
    with pytest.raises(ValueError, match="no strategy"):
        Rule("phone", "encrypt")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="same name"):
        Redactor([*DEFAULTS, Rule("phone")])


@pytest.mark.parametrize(
    ("attributes", "redacted"),
    [
        ({"user.phone": "13812345678"}, {"user.phone": "[REDACTED:phone]"}),
        ({"db.password": 'a"b\\c'}, {"db.password": "[REDACTED:password]"}),
        ({"x": "password=", "y": "z"}, {"x": "password=", "y": "z"}),
        ({"msg": 'body={"password":",a"}'}, {"msg": 'body={"password":"[REDACTED:password]"}'}),
        ({"msg": '{"a":{"pwd":"x"}}'}, {"msg": '{"a":{"pwd":"[REDACTED:password]"}}'}),
        ({"password": 12, "ok": 1.50}, {"password": "[REDACTED:password]", "ok": 1.50}),
        ({"phone": 13812345678}, {"phone": "[REDACTED:phone]"}),
        ({"password": None, "token": True, "secret": ""}, {"password": None, "token": True, "secret": ""}),
        ({"tokens": ["abcdef1", "abcdef2"]}, {"tokens": ["[REDACTED:token]", "[REDACTED:token]"]}),
        ({"tokens": 12345678}, {"tokens": 12345678}),
        ([{"name": "A_PASSWORD", "value": "x"}], [{"name": "A_PASSWORD", "value": "[REDACTED:password]"}]),
        ({"密码": "x", "line": "a\n13812345678"}, {"密码": "[REDACTED:password]", "line": "a\n[REDACTED:phone]"}),
        ({"set-cookie": ["theme=dark; Path=/"]}, {"set-cookie": ["[REDACTED:session]"]}),
        ({"header.authorization": "Bearer abcdef1"}, {"header.authorization": "[REDACTED:token]"}),
    ],
)  # fmt: skip
@pytest.mark.parametrize("ascii_only", [True, False])
def test_json_stays_json_and_only_values_change(attributes: Any, redacted: Any, ascii_only: bool) -> None:
    text = one(json.dumps(attributes, ensure_ascii=ascii_only))
    assert json.loads(text) == redacted
    if attributes == redacted:
        assert text == json.dumps(attributes, ensure_ascii=ascii_only)


def test_what_surrounds_a_value_in_json_stays_byte_for_byte() -> None:
    line = '{ "b" : 1.50, "a":"\\u4e2d\\/", "a" :"x", "password":  "abc" }'
    assert one(line) == line.replace("abc", "[REDACTED:password]")


PARTS = r"""password=abc1|密码为abc1|"token":"abcdef12"|13812345678|a@b.cn|sk-abcdefghij0123456789|京A12345
|[REDACTED:phone]|[phone:0123456789ab]|[-]|Cookie: a=b
|4111111111111111|://u:p@|Authorization: Bearer |{"password":"|"}|[|\
|token|pass|=|:| is |1|'|--secret x1 |<pwd>|</|“|tokens|,|;|&"""
SECRETS = st.sampled_from([*PARTS.replace("\n|", "|").split("|"), "\n", "\ud800"])
TEXTS = st.lists(SECRETS | st.text(max_size=8), max_size=8).map("".join)
OWN = Redactor([*DEFAULTS, Rule("own", pattern=r"[a-c]+1|\bx"), Rule("drop", Strategy.DROP, "b|o{2}")])
HASHING = Redactor([Rule(kind, Strategy.HASH) for kind in KINDS], b"k")


@pytest.mark.parametrize("redactor", [REDACTOR, EVERYTHING, OWN, HASHING], ids=["defaults", "all", "own", "hash"])
@settings(max_examples=150, deadline=None)
@given(texts=st.lists(TEXTS, max_size=5))
@example(texts=["password=" + "\ud800", '{"a":"\\ud800 password=x1"}', "[" * 5000, '{"a":' * 3000])
def test_redacting_twice_changes_nothing(redactor: Redactor, texts: list[str]) -> None:
    once, _ = redactor.redact(texts)
    assert len(once) == len(texts)
    twice, counts = redactor.redact(once)
    assert twice == once
    assert not counts


SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS
KEYS = st.sampled_from(["password", "x", "user.phone", "tokens", "name", "value", "密码"]) | TEXTS
DOCUMENTS = st.recursive(SCALARS, lambda each: st.lists(each, max_size=3) | st.dictionaries(KEYS, each, max_size=3))


def shape(value: Any) -> Any:
    if isinstance(value, dict):
        return [shape(each) for each in value.values()]
    return [shape(each) for each in value] if isinstance(value, list) else value in (None, True, False)


@settings(max_examples=150, deadline=None)
@given(document=st.dictionaries(KEYS, DOCUMENTS, min_size=1, max_size=4), ascii_only=st.booleans())
def test_a_redacted_document_has_the_same_structure(document: dict[str, Any], ascii_only: bool) -> None:
    pairs = json.loads(one(json.dumps(document, ensure_ascii=ascii_only)), object_pairs_hook=lambda found: found)
    plain = json.loads(json.dumps(document), object_pairs_hook=lambda found: found)
    assert str(shape([[list(pair) for pair in pairs]])).count("[") == str(
        shape([[list(pair) for pair in plain]])
    ).count("[")


@settings(max_examples=300, deadline=None)
@given(
    st.text(alphabet=st.characters(categories=["L", "P", "Z"], exclude_characters="@:=：＝为是成>/'\"-"), max_size=80)
)
def test_words_alone_are_no_secret(text: str) -> None:
    assert one(text) == text


@settings(max_examples=300, deadline=None)
@given(st.lists(st.text(alphabet="0123456789abcdef-._: ", max_size=12) | TEXTS, max_size=6).map("password=".join))
def test_the_trigger_lets_through_whatever_a_finder_finds(line: str) -> None:
    always = Redactor()
    always.triggers = [""]
    assert one(line) == one(line, always)


UNITS = ["a", "1", "a@", '"', "\\", "://", "[", '{"a":', "eyJ.", "138 ", "token: ", "token", "token“", "密码“ "]


@pytest.mark.parametrize("unit", [*UNITS, "password='", "password=“${ ", "<token>", "密码由a", "curl -ua:", "--token "])
def test_a_long_line_takes_a_second_and_not_hours(unit: str) -> None:
    line = unit * (250_000 // len(unit.encode()))
    began = time.process_time()
    (plain, marked), _ = REDACTOR.redact([line, f"password=abc1 {line}"])
    assert time.process_time() - began < 10
    assert "abc1" not in marked
    assert REDACTOR.redact([plain])[0] == [plain]


SYSTEMS = [
    "Android",
    "Apache",
    "BGL",
    "HDFS",
    "HPC",
    "Hadoop",
    "HealthApp",
    "OpenStack",
    "Proxifier",
    "Spark",
    "Windows",
]


@pytest.mark.parametrize("system", SYSTEMS)
def test_real_logs_without_secrets_stay_as_they_are(shared_data: Path, system: str) -> None:
    file = shared_data / "loghub_2k" / system / f"{system}_2k.log.gz"
    lines = gzip.decompress(file.read_bytes()).decode("utf-8", "replace").splitlines()
    assert REDACTOR.redact(lines) == (lines, {})
