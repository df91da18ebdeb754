r"""Where secrets may stand in a line: Rust regexes, and for each a judge that looks closer at what it matched.

A pattern keeps its group `k` (a key, a quote, a header) and its group `z`; what is secret lies in `v`. No Unicode word
boundary, for the reason given in `masking.py`; `B` also lies between a Chinese character and a digit. Lines are often
JSON, or hold some, so a quote may stand behind backslashes, and `\n` before a number.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass

from logs.engine.masking import B
from logs.engine.secret_checks import is_bank_card, is_id_card, is_nothing, is_secret, kind_of_key


@dataclass(frozen=True)
class Match:
    """A place that a pattern found: what it keeps, what may be secret, and up to 80 characters on either side."""

    kept: str
    value: str
    before: str
    after: str


# A judge tells the kind and which part of the value is secret (from, to), or None.
Verdict = tuple[str, int, int] | None


@dataclass(frozen=True)
class Finder:
    """A pattern for Rust's regex, which is linear in the text, the kinds it may find, and its judge."""

    kinds: frozenset[str]
    pattern: str
    judge: Callable[[Match], Verdict]


def whole(kind: str, fits: Callable[[Match], bool] = lambda match: True) -> Callable[[Match], Verdict]:
    """Return a judge that takes the whole value if it fits."""
    return lambda match: (kind, 0, len(match.value)) if fits(match) else None


# ---- a key and its value

KEY = (
    r"(?:(?i-u:pass(?:word|wd|phrase|code)s?|passwd|pwd|pass|jwt|token|secret|credentials?|authorization|amz-signature"
    r"|(?:access|secret|api|app|account|signing|encryption|master|shared|subscription|storage|license|private)[_ .-]?key"
    r"|(?:access|secret)[_-]?id|masterauth|session|sessid|connect\.sid|cookie|(?:verif(?:y|ication)|sms)[_ -]?code"
    rf"|{B}(?:sid|otp|cvv|ak|sk)){B}?[0-9A-Za-z_.-]{{0,24}}(?: (?i-u:id|value|key){B})?"
    r"|(?:密码|口令|令牌|[密秘]钥|私钥|凭证|授权码|验证码|动态码|会话(?:ID|id|标识|号))[值串码号]?)"
)
QUOTE = r"""\\*["'`]"""
EQUALS = r"\s{0,4}(?:=>|:=|->|[:=：＝]|\\u003[dD]|%3[dD])\s{0,4}"
ENGLISH = (
    r"\s(?:(?:for|of) [^\s:]{1,64} )?(?:(?i-u:is|was|are|has been|will be)(?: now)?"
    r"(?: (?i-u:set|reset|changed|updated) to| generated for [^\s:]{1,64}:)?|(?i-u:set|reset|changed|updated) to):?\s"
)
CHINESE = r"\s?(?:[已被将]|已被|重新)?(?:重置|设置|修改|设定|更新|变更|[改设])?[为成是][:：]?\s{0,2}"
LINK = rf"""(?:{QUOTE}|&quot;)?[\])”]?(?:{EQUALS}(?:\[\s?)?|{ENGLISH}|{CHINESE})|{QUOTE},\s?{QUOTE}[vV]alue{QUOTE}\s?:\s?"""
GRAPH = r"!#$%*+\-./0-9:=?@A-Z^_a-z~"
BARE = rf"""[{GRAPH}](?:[{GRAPH}(\[{{|]|[)\]}}][0-9A-Za-z]|\\[^\s"'`nrtu\\])*"""
VALUE = (
    r"""(?s:"(?:[^"\\]|\\.)*|'(?:[^'\\]|\\.)*|`[^`]*|[“‘「『【][^”’」』】]*|\\"(?:[^"\\]|\\\\(?:\\.|[^\\]))*"""
    rf"""|\\{{2,7}}"[^"\\]*|\\'[^'\\]*|&quot;[^&]*|{BARE})"""
)
STRONG = rf"[A-Za-z_@#!$%*+/=-]*[0-9](?:[{GRAPH}])+"  # with nothing between key and value, it must hold a digit
KEYED = rf"(?P<k>{KEY}(?:{LINK}))(?P<v>{VALUE})"
BESIDE = rf"(?P<k>{KEY}\s?{QUOTE}?)(?P<v>{STRONG})"
OPTION = rf"""(?P<k>(?:^|[\s"'\[,(])--?{KEY}\s{QUOTE}?)(?P<v>{BARE})"""
ELEMENT = rf"(?P<k><[0-9A-Za-z_:.-]{{0,40}}{KEY}>)(?P<v>[^<]+)(?P<z></)"

NAME_BEFORE = re.compile(r"[0-9A-Za-z_.-]*$")
NAME = re.compile(rf"{KEY.replace('(?i-u:', '(?i:').replace(B, r'(?<![0-9A-Za-z_])')}")
QUOTES = re.compile(r"""(?:\\*["'`]|&quot;|[“‘「『【])""")
CLOSED = re.compile(rf"(?:{QUOTE}|&quot;)\]?\s?(?:[:=,])")
PAIR = re.compile(r"[A-Za-z_.-]+[=:]")
PROSE = re.compile(rf"(?:{ENGLISH}|{CHINESE})$".replace("(?i-u:", "(?i:"))
ENDED_SENTENCE = ".!?,:"


def key_of(match: Match, name: str) -> str:
    """Return a key with the words that stand before the telling one."""
    return NAME_BEFORE.search(match.before).group() + name  # type: ignore[union-attr]


def judge_keyed(match: Match) -> Verdict:
    """Judge a key that is linked to its value by a sign, by words, or by nothing."""
    found = NAME.match(match.kept)
    if not found:
        return None
    opened = QUOTES.match(match.value)
    start = opened.end() if opened else 0
    value, link = match.value[start:], match.kept[found.end() :]
    bare = opened is None
    kind = kind_of_key(key_of(match, found.group()), listed=not bare and link.endswith(("[", "[ ")))
    prose = PROSE.search(link)
    if bare and (prose or ":" in link):
        value = value.rstrip(ENDED_SENTENCE)
    how = "=" if not bare and not (prose and not value) else "is" if prose else ":" if ":" in link and '"' not in link else "="
    if not link.strip():
        how = " "
    if not bare and not CLOSED.search(link) and (not value or value[0] in " ,:}])"):
        return None  # the quote closes what stands before the key
    if (bare and not link.strip() and PAIR.match(value)) or (found.group().lower() == "pass" and value.isdigit()):
        return None
    return (kind, start, start + len(value)) if kind and is_secret(kind, value, how, match.after) else None


def judge_named(match: Match) -> Verdict:
    """Judge what an option or an element names, whatever it looks like."""
    found = NAME.search(match.kept)
    kind = kind_of_key(match.kept.strip(" <>\"'-")) if found else ""
    return (kind, 0, len(match.value)) if kind and not is_nothing(match.value) else None


SCHEMES = r"(?i-u:bearer|basic|digest|token|apikey|negotiate|aws4-hmac-sha256|hmac|oss|aws)"
HEADER = (
    rf"(?P<k>(?i-u:authorization)(?:{QUOTE})?{EQUALS}\[?(?:{QUOTE})?(?:{SCHEMES}\s+)?)"
    r"""(?P<v>[^\s"',;\\\])]+(?:,\s?[A-Za-z]+=(?:\\*"[^"\\]*\\*"|[^\s"',\\]+))*)"""
)
COOKIES = (
    rf"""(?P<k>(?i-u:cookie)(?:{QUOTE})?{EQUALS}\[?(?:{QUOTE})?)"""
    r"""(?P<v>[0-9A-Za-z_.%*-]{1,64}=[^\s;,"'\\\]]+(?:;\s?[0-9A-Za-z_.%*-]{1,64}(?:=[^\s;,"'\\\]]*)?)*)"""
)
PEM = (
    r"(?P<k>-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----(?:\s|\\+[nr])*)"
    r"(?P<v>(?:[^-]|-{1,4}[^-])*(?:[0-9A-Za-z+/=]))"
)
USER_INFO = (
    r"""(?P<k>:(?:\\?/){2}[^\s/:@"'<>\\]*:)(?P<v>[^\s/"'<>\\]+)(?P<z>@)"""
)


def is_basic(match: Match) -> bool:
    """Tell whether text is base64 of a name, a colon and a password."""
    try:
        return b":" in base64.b64decode(match.value + "=" * (-len(match.value) % 4), validate=True)
    except binascii.Error:
        return False


# ---- shapes of their own

API_KEY = (
    rf"{B}(?:sk-[0-9A-Za-z_-]{{20,}}|[sr]k_(?:live|test)_[0-9A-Za-z]{{16,}}|gh[pousr]_[0-9A-Za-z]{{30,}}|github_pat_[0-9A-Za-z_]{{22,}}"
    r"|glpat-[0-9A-Za-z_-]{20,}|xox[abeoprs]-[0-9A-Za-z-]{10,}|xapp-[0-9A-Za-z-]{20,}|AIza[0-9A-Za-z_-]{35}|hf_[0-9A-Za-z]{30,}"
    r"|npm_[0-9A-Za-z]{36}|pypi-AgE[0-9A-Za-z_-]{40,}|SG\.[0-9A-Za-z_-]{20,24}\.[0-9A-Za-z_-]{40,46}|shp(?:at|ss|ca)_[0-9a-f]{32}"
    r"|dop_v1_[0-9a-f]{64}|gsk_[0-9A-Za-z]{40,}|hv[sb]\.[0-9A-Za-z_-]{24,}|ya29\.[0-9A-Za-z_-]{20,}|[0-9]{8,10}:AA[0-9A-Za-z_-]{33})"
)
ACCESS_KEY = (
    rf"{B}(?:(?:AKIA|ASIA|AROA|AIDA)[0-9A-Z]{{16}}|LTAI[0-9A-Za-z]{{12,26}}|AKID[0-9A-Za-z]{{13,40}}|ALTAK-?[0-9A-Za-z]{{18,24}}"
    rf"|AKLT[0-9A-Za-z_-]{{16,44}}|JDC_[0-9A-Z]{{24,32}}){B}"
)
JWT = rf"{B}eyJ[0-9A-Za-z_-]{{8,}}(?:\.[0-9A-Za-z_-]*){{2,4}}"
EMAIL = (
    r"(?P<v>[0-9A-Za-z](?:[0-9A-Za-z._+-]*[0-9A-Za-z_+-])?(?:@|%40)[0-9A-Za-z](?:[0-9A-Za-z-]*[0-9A-Za-z])?"
    r"(?:\.[0-9A-Za-z](?:[0-9A-Za-z-]*[0-9A-Za-z])?)*\.[A-Za-z]{2,24})"
)
NO_DOMAINS = frozenset("png jpg jpeg gif svg webp ico css js ts map json xml html service socket timer target mount device slice scope path localdomain".split())  # fmt: skip
FRONT = rf"(?:{B}|\\[nrt])"  # after an escaped line break in JSON
PHONE = rf"(?P<k>{FRONT}(?:(?:\+|00)?86[ -]?)?)(?P<v>1[3-9][0-9](?:[0-9]{{8}}|[ -][0-9]{{4}}[ -][0-9]{{4}})){B}"
ID_CARD = (
    rf"(?P<k>{FRONT})(?P<v>[1-8][0-9]{{5}}[ -]?(?:18|19|20)[0-9]{{2}}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])[ -]?[0-9]{{3}}[0-9Xx]){B}"
)
CARD = (
    rf"(?P<k>{FRONT})(?P<v>[2-69][0-9]{{13,18}}|[2-69][0-9]{{3}}(?:[ -][0-9]{{4}}){{3}}(?:[ -]?[0-9]{{1,3}})?"
    rf"|3[47][0-9]{{2}}[ -][0-9]{{6}}[ -][0-9]{{5}}){B}"
)
PLATE = (
    r"[京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼][A-HJ-NP-Z][·• -]?"
    r"(?:[A-HJK][0-9A-HJ-NP-Z][0-9]{4}|[0-9]{5}[A-HJK]|[0-9A-HJ-NP-Z]{4}[0-9A-HJ-NP-Z挂学警港澳])"
)
IP = rf"{B}(?:(?:[0-9]{{1,3}}\.){{3}}[0-9]{{1,3}}{B}|[0-9a-fA-F]{{0,4}}(?::[0-9a-fA-F]{{0,4}}){{2,7}}(?:[0-9.]{{7,15}})?)"

# Numbers of eleven digits are also sizes and times.
MEASURE_BEFORE = re.compile(
    r"(?:size|bytes?|len|length|count|offset|total|nanos?|micros|[nuµm]s|time|timestamp|ts|seq|sequence|pos(?:ition)?|capacity"
    r"|mem|memory|free|used|usage|rss|heap|elapsed|duration|latency|cost|took|amount|balance|version|耗时|大小|字节|偏移量?|长度|总数)"
    r"""["']?\s?[:=：]?\s?["']?$""",
    re.IGNORECASE,
)
MEASURE_AFTER = re.compile(r"\s?(?:bytes?|[kmgt]?i?b|[nuµm]s|nanos|rows|records|次|条|字节|[毫微纳]秒)(?![A-Za-z])", re.IGNORECASE)
MOBILE = re.compile("1(?:3[0-9]|4[014-9]|5[0-35-9]|6[2567]|7[0-8]|8[0-9]|9[0-35-9])")


def stands_alone(match: Match) -> bool:
    """Tell whether a number is no part of a longer one, of a name or of a decimal."""
    if not match.kept and match.before.endswith(("-", "_", ".", "$", "#", "&")):
        return False
    return not re.match(r"[-.]?[0-9]|-[0-9A-Za-z]", match.after)


def digits(match: Match) -> str:
    """Return a number without what groups its digits."""
    return match.value.replace(" ", "").replace("-", "")


def is_phone(match: Match) -> bool:
    """Tell whether eleven digits are a Chinese mobile's: a prefix in use, and no size or time."""
    if not stands_alone(match) or not MOBILE.match(match.value):
        return False
    return not (MEASURE_BEFORE.search(match.before) or MEASURE_AFTER.match(match.after))


def is_email(match: Match) -> bool:
    """Tell an address from a file's, a unit's or a package's name, and from the login of a repository."""
    local, _, domain = match.value.replace("%40", "@").partition("@")
    labels = domain.lower().split(".")
    if labels[-1] in NO_DOMAINS or (labels[0].isdigit() and labels[1].isdigit()) or local in ("git", "hg", "svn"):
        return False
    return not match.before.endswith(("://", "@", "/"))


def is_plate(match: Match) -> bool:
    """Tell whether letters and digits after a province are a plate (GA 36-2018): not too many letters, nothing on."""
    number = match.value.lstrip("".join(match.value[:1]))[1:].lstrip("·• -")
    letters = sum(character.isascii() and character.isalpha() for character in number)
    if letters > 2 or re.match("[0-9A-Za-z_-]", match.after) or match.before[-2:] == "阿里":
        return False
    return not (match.value[0] in "新" and match.before[-1:] in tuple("更最刷重全创革翻"))


def is_ip(match: Match) -> bool:
    """Tell whether text is an IP address and no version."""
    try:
        ipaddress.ip_address(match.value)
    except ValueError:
        return False
    return len(match.value) > 3 and not re.search(r"(?:[vV]|version\W{0,3}|[0-9.])$", match.before)


def of(kind: str, pattern: str, fits: Callable[[Match], bool] = lambda match: True) -> Finder:
    """Return a finder of one kind."""
    return Finder(frozenset({kind}), pattern if "(?P<v>" in pattern else f"(?P<v>{pattern})", whole(kind, fits))


KEYED_KINDS = frozenset({"password", "token", "jwt", "access-key", "api-key", "private-key", "session"})
# In this order: what a finder has redacted is no text to the ones after it.
FINDERS = (
    of("private-key", PEM),
    of("password", USER_INFO, lambda match: not is_nothing(match.value)),
    of("token", HEADER, lambda match: is_secret("token", match.value, ":", "")),
    of("session", COOKIES, lambda match: not is_nothing(match.value.partition("=")[2])),
    of("jwt", JWT),
    of("api-key", API_KEY, lambda match: any(character.isdigit() for character in match.value)),
    of("access-key", ACCESS_KEY),
    Finder(KEYED_KINDS, ELEMENT, judge_named),
    Finder(KEYED_KINDS, KEYED, judge_keyed),
    Finder(KEYED_KINDS, OPTION, judge_named),
    Finder(KEYED_KINDS, BESIDE, judge_keyed),
    of("token", rf"(?P<k>{B}(?i-u:bearer)\s+)(?P<v>[0-9A-Za-z._~+/=-]{{16,}})", lambda m: is_secret("token", m.value, " ", "")),
    of("password", rf"(?P<k>{B}(?i-u:basic)\s+)(?P<v>[0-9A-Za-z+/]{{8,}}={{0,2}})", is_basic),
    of("password", rf"(?P<k>{B}(?i-u:identified by|sshpass -p|requirepass|masterauth)\s(?:{QUOTE})?)(?P<v>[^\s'\"`\\;]+)"),
    of("password", rf"(?P<k>{B}curl\s(?:[^\n]*?\s)?-u\s?{QUOTE}?[^\s:'\"]{{1,64}}:)(?P<v>[^\s'\"\\]+)"),
    of("password", r"(?P<k>[0-9A-Za-z_.-]{1,64}:)(?P<v>[^\s:/@'\"]+)(?P<z>@(?:tcp|unix|udp)\()"),
    of("email", EMAIL, is_email),
    of("id-card", ID_CARD, lambda match: stands_alone(match) and is_id_card(digits(match))),
    of("bank-card", CARD, lambda match: stands_alone(match) and is_bank_card(digits(match))),
    of("phone", PHONE, is_phone),
    of("plate", PLATE, is_plate),
    of("ip", IP, is_ip),
)
KINDS = tuple(dict.fromkeys(kind for finder in FINDERS for kind in sorted(finder.kinds)))
