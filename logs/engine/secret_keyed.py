"""Secrets that their key gives away: `password=…`, `"token": "…"`, `密码为…`, `the password is …`, `--password …`."""

from __future__ import annotations

import re

from logs.engine.masking import B
from logs.engine.secret_checks import is_nothing, kind_of, kind_of_key
from logs.engine.secret_finder import Finder, Match, Verdict

WORDS = (
    r"(?i-u:pass(?:word|wd|phrase|code)s?|pwd|pass|jwt|token|secret|credentials?|authorization|amz-signature"
    r"|(?:access|secret|api|app|account|signing|encryption|master|shared|subscription|license|private)[_ .-]?key"
    r"|(?:access|secret)[_-]?id|masterauth|session|sessid|connect[.]sid|cookie|(?:verif(?:y|ication)|sms)[_ -]?code"
    rf"|{B}(?:sid|otp|cvv|ak|sk))"
)
CHINESE_WORDS = "(?:密码|口令|令牌|[密秘]钥|私钥|凭证|授权码|验证码|动态码|会话(?:ID|id|标识|号))"
# A telling word with what follows it in the same name; what stands before it, the judge looks up.
KEY = rf"(?:{WORDS}[0-9A-Za-z_.-]{{0,24}}(?: (?i-u:id|value|key){B})?|{CHINESE_WORDS}[值串码号]?)"
TRIGGER = (
    rf"{WORDS}[0-9A-Za-z_.-]*(?: (?i-u:id|value|key))?"
    r"""(?:["'`\\&\])>”%]|\s*[:=：＝>-]|\s?(?i-u:is|was|are|has|will|set|reset|changed|updated|for|of) """
    r"""|\s?[已被将重设修更变改为成是]"""
    r"""|\s[A-Za-z_@#!$%*+/"'`-]*[0-9])"""
    f"|{CHINESE_WORDS}"
)

QUOTE = r"""(?:\\*["'`]|&quot;)"""
EQUALS = r"\s{0,4}(?:=>|:=|->|[:=：＝]|\\u003[dD]|%3[dD])\s{0,4}"
ENGLISH = (
    r"\s(?:(?:for|of) [^\s:]+ )?(?:(?i-u:is|was|are|has been|will be)(?: now)?"
    r"(?: (?i-u:set|reset|changed|updated) to| generated for [^\s:]+:)?|(?i-u:set|reset|changed|updated) to):?\s"
)
CHINESE = r"\s?(?:已被?|被|将|重新)?(?:重置|设置|修改|设定|更新|变更|[改设])?[为成是][:：]?\s{0,2}"
# {"name": "DB_PASSWORD", "value": "…"}, of Kubernetes, OTLP and HAR
NAMED = rf"{QUOTE},\s?{QUOTE}value{QUOTE}\s?:\s?(?:\{{\s?{QUOTE}stringValue{QUOTE}\s?:\s?)?"
LINK = rf"(?:{QUOTE}?[\])”]?(?:{EQUALS}(?:\[\s?)?|{ENGLISH}|{CHINESE})|{NAMED})"
GRAPH = r"!#$%*+\-./0-9:=?@A-Z^_a-z~"
BARE = rf"""[{GRAPH}](?:[{GRAPH}(\[{{|]|[)\]}}][0-9A-Za-z]|\\[^\s"'`nrtu\\])*"""
# A quoted value ends at the like of its opening quote, or with the text; inside, quotes may be escaped once more.
VALUE = (
    r"""(?s:"(?:[^"\\]|\\.)*|'(?:[^'\\]|\\.)*|`[^`]*|[“‘「『【][^”’」』】]*|\\"(?:[^"\\]|\\\\(?:\\.|[^\\]))*"""
    rf"""|\\{{2,7}}"[^"\\]*|\\'[^'\\]*|&quot;[^&]*|{BARE})"""
)
DIGITED = rf"[A-Za-z_@#!$%*+/-]*[0-9][{GRAPH}]+"  # with nothing between key and value, it must hold a digit

KEYED = rf"(?P<k>{KEY}{LINK})(?P<v>{VALUE})"
KEYED_INSIDE = re.compile(KEYED.replace("(?i-u:", "(?i:").replace(B, r"\b"), re.ASCII)
LONGEST_INSIDE = 500

BESIDE = (
    rf"(?P<k>{WORDS}[0-9A-Za-z_.-]*(?: (?i-u:id|value|key){B})?(?:\s{QUOTE}?|{QUOTE})"
    rf"|{CHINESE_WORDS}[值串码号]?\s?(?:{QUOTE}|[“「『【])?)(?P<v>{DIGITED})"
)

NAME_BEFORE = re.compile(r"[0-9A-Za-z_.-]*$")
NAME = re.compile(KEY.replace("(?i-u:", "(?i:").replace(B, r"\b"), re.ASCII)
OPENED = re.compile(rf"{QUOTE}|[“‘「『【]")
CLOSED = re.compile(rf"{QUOTE}[\])]?\s*[:=,]")
PROSE = re.compile(f"(?:{ENGLISH}|{CHINESE})$".replace("(?i-u:", "(?i:"))
PAIR = re.compile(r"[A-Za-z_.-]+[=:][^=]")


def judge_keyed(match: Match) -> Verdict:
    """Judge a key that is linked to its value by a sign, by words, or by nothing."""
    found = NAME.match(match.kept)
    if not found:
        return None
    name, link = found.group(), match.kept[found.end() :]
    opened = OPENED.match(match.value)
    start = opened.end() if opened else 0
    value, prose = match.value[start:], bool(PROSE.search(link))
    if opened:
        if not value or (value[0] in " ,:}])" and not CLOSED.search(link)):
            return None  # the quote closes what stands before the key
    elif prose:
        value = value.rstrip(".:")
    key = NAME_BEFORE.search(match.before).group() + name  # type: ignore[union-attr]
    if not kind_of_key(key, listed=True) or (not opened and link[-1:].isspace() and PAIR.match(value)):
        return judge_inside(value[:LONGEST_INSIDE], start)
    how = how_linked(link, quoted=opened is not None, prose=prose)
    kind = kind_of(key, value, how, match.after, listed=bool(opened) and link.rstrip().endswith("["))
    return (kind, start, start + len(value)) if kind else None


def judge_inside(value: str, start: int) -> Verdict:
    """Judge what the value of another key, from `start` on, holds: tokenInfo="token=…"."""
    inside = KEYED_INSIDE.search(value)
    if not inside:
        return None
    verdict = judge_keyed(Match(inside["k"], inside["v"], value[: inside.start()], value[inside.end() :]))
    offset = start + inside.start("v")
    return (verdict[0], offset + verdict[1], offset + verdict[2]) if verdict else None


def how_linked(link: str, *, quoted: bool, prose: bool) -> str:
    """Return the link of `is_secret`."""
    if quoted:
        return "="
    if prose:
        return "is" if link.isascii() else "为"
    if not link.strip(" \t\"'`\\“「『【"):
        return " "
    return ":" if ":" in link else "="


def judge_named(match: Match) -> Verdict:
    """Judge what an option or an element names, whatever it looks like."""
    kind = kind_of_key(match.kept.strip(" \t,<>[(\"'\\-"))
    return (kind, 0, len(match.value)) if kind and not is_nothing(match.value) else None


KINDS = ("password", "token", "jwt", "access-key", "api-key", "private-key", "session")
FINDERS = (
    Finder(KINDS, TRIGGER, rf"(?P<k><[0-9A-Za-z_:.-]{{0,40}}{KEY}>)(?P<v>[^<]+)(?P<z></)", judge_named),
    Finder(KINDS, TRIGGER, rf"""(?P<k>(?:^|[\s"'\[,(])--?{KEY}\s{QUOTE}?)(?P<v>{BARE})""", judge_named),
    Finder(KINDS, TRIGGER, KEYED, judge_keyed),
    Finder(KINDS, TRIGGER, BESIDE, judge_keyed),
)
