"""Secrets that their key gives away: `password=…`, `"token": "…"`, `密码为…`, `the password is …`, `--password …`."""

from __future__ import annotations

import re
import string

from logs.engine.masking import B
from logs.engine.secret_checks import kind_of, kind_of_key
from logs.engine.secret_finder import CONTEXT, Finder, Match, Verdict

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
    r"""|[\s\[(<][A-Za-z_@#!$%*+/"'`-]*[0-9])"""
    f"|{CHINESE_WORDS}"
)

QUOTE = r"""(?:\\*["'`]|&quot;)"""
EQUALS = r"\s{0,4}(?:=>|:=|->|[:=：＝]|\\u003[dD]|%3[dD])\s{0,4}"
ENGLISH = (
    r"\s(?:(?:for|of) (?:user |account )?[^\s:]+(?::| (?i-u:is|was|=))|(?i-u:is|was|are|has been|will be)(?: now)?"
    r"(?: (?i-u:set|reset|changed|updated) to| generated for [^\s:]+:)?"
    r"|(?i-u:set|reset|changed|updated)(?: from(?: [^\s]+ to)?| to)):?\s"
)
CHINESE = (
    r"\s?(?:(?:已经?)?[被将]?(?:重新)?(?:重置|设置|修改|设定|更新|变更|[改设])?[为成是]了?"
    r"|[由从](?:\s?[!-~]+\s?(?:修改|变更|更新|重置|改)[为成到])?)[:：]?\s{0,2}"
)
# {"name": "DB_PASSWORD", "value": "…"}, of Kubernetes, OTLP and HAR
NAMED = rf"{QUOTE},\s?{QUOTE}value{QUOTE}\s?:\s?(?:\{{\s?{QUOTE}stringValue{QUOTE}\s?:\s?)?"
NOTE = r"(?:[(（][^()（）]{1,12}[)）])?"  # 密码(明文)：
LINK = (
    rf"(?:{QUOTE}?[\])”]?{NOTE}(?:{EQUALS}(?:\[\s?)?|{ENGLISH}|{CHINESE})|{NAMED}|{QUOTE},\s?"
    r"|】?\s?[\[(（<]?)"
)

# The value is read here and not by the pattern, whose automaton would double for it; each place is read but once.
# A quoted value ends at the like of its opening quote, or with the text; inside, quotes may be escaped once more.
GRAPH = r"!#$%*+\-./0-9:=?@A-Z^_a-z~"
BARE = re.compile(rf"""[{GRAPH}](?:[{GRAPH}(\[{{|]|[)\]}}][0-9A-Za-z]|\\[^\s"'`nrtu\\])*+""")
OPENED = re.compile(r"""\\*["'`]|&quot;|[“‘「『【]""")
QUOTED = re.compile(
    r""""[^"\\]*+(?:\\.[^"\\]*+)*+|'[^'\\]*+(?:\\.[^'\\]*+)*+|`[^`]*+|[“‘「『【][^”’」』】]*+|&quot;[^&]*+"""
    r"""|\\"[^"\\]*+(?:\\\\(?:\\.|[^\\])[^"\\]*+)*+|\\'[^'\\]*+|\\++["'`][^"'`\\]*+""",
    re.DOTALL,
)
DIGITED = re.compile(rf"[A-Za-z_@#!$%*+/-]*[0-9][{GRAPH}]+")  # with nothing between key and value, it holds a digit
TAG_END = re.compile("[^<>]{0,200}?(?:>|&gt;)")
ELEMENT = re.compile(r"[^<&]++(?=</|&lt;/)")

# password changed from abc123 to …: the new one goes first, the old one the next time
CHANGED = re.compile(r"(?<=from )[!-~]+(?= to)|(?<=[由从])[!-~]+?(?=\s?(?:修改|变更|更新|重置|改))")

NAME_SIGNS = string.ascii_letters + string.digits + "_.-"
CLOSED = re.compile(rf"{QUOTE}[\])]?\s*[:=,]")
PROSE = re.compile(f"(?:{ENGLISH}|{CHINESE})$".replace("(?i-u:", "(?i:"))
PAIR = re.compile(r"[A-Za-z_.-]+[=:][^=]")


def judge(match: Match) -> Verdict:
    """Judge a key that is linked to its value by a sign, by words, or by nothing."""
    text, name, link, at = match.text, match.kept, match.text[match.value_end : match.end], match.end
    before = match.before
    key = before[len(before.rstrip(NAME_SIGNS)) :] + name
    if not kind_of_key(key, listed=True):
        return None  # but what it holds may: tokenInfo="token=…"
    if before.rstrip(NAME_SIGNS + ":").endswith(("<", "&lt;")) and (tag := TAG_END.match(text, match.value_end)):
        return verdict(key, "=", ELEMENT.match(text, tag.end()))
    opened = OPENED.match(text, at)
    if not link.strip(" \t[(（<】") or link.rstrip().endswith(","):
        if link and key.startswith("-") and not opened:  # --password abc
            return verdict(key, "=", BARE.match(text, at))
        alone = link or opened or not name.isascii()
        return verdict(key, " ", DIGITED.match(text, opened.end() if opened else at)) if alone else None
    if opened:
        first = text[opened.end() : opened.end() + 1]
        if not first or (first in " ,:}])" and not CLOSED.match(link)):
            return None  # the quote closes what stands before the key
        return verdict(key, "=", QUOTED.match(text, at), opened=opened, listed=link.rstrip().endswith("["))
    if not (found := BARE.match(text, at)):
        return verdict(key, "is", CHANGED.search(text, match.value_end, at))
    if link[-1].isspace() and PAIR.match(text, at):
        return None
    prose = PROSE.search(link)
    how = ("is" if link.isascii() else "为") if prose else ":" if ":" in link else "="
    return verdict(key, how, found, trimmed=".:" if prose else "")


def verdict(
    key: str,
    how: str,
    found: re.Match[str] | None,
    *,
    opened: re.Match[str] | None = None,
    trimmed: str = "",
    listed: bool = False,
) -> Verdict:
    """Return whether what was read is a secret, without its opening quote and the signs that may end a sentence."""
    if not found:
        return None
    text, start = found.string, opened.end() if opened else found.start()
    end = start + len(text[start : found.end()].rstrip(trimmed)) if trimmed else found.end()
    return kind_of(key, text[start:end], how, text[end : end + CONTEXT], listed=listed), start, end


KINDS = ("password", "token", "jwt", "access-key", "api-key", "private-key", "session")
FINDERS = (Finder(KINDS, TRIGGER, rf"(?P<k>{KEY})(?P<z>{LINK})", judge),)
