"""Secrets with a form of their own: headers, URLs, PEM, JWT, keys that say whose they are; addresses."""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re

from logs.engine.masking import B
from logs.engine.secret_checks import is_nothing, kind_of
from logs.engine.secret_finder import FRONT, Finder, Match, Verdict, finder
from logs.engine.secret_keyed import EQUALS, QUOTE

SCHEME = r"(?i-u:bearer|basic|digest|token|apikey|negotiate|aws4-hmac-sha256|hmac|oss|aws)"
PARAMETER = r"""[A-Za-z]+=(?:\\*"[^"\\]*\\*"|[^\s"',\\]+)"""
AUTHORIZATION = (
    rf"(?P<k>(?i-u:authorization){QUOTE}?{EQUALS}\[?{QUOTE}?(?:{SCHEME}\s+)?)"
    rf"(?P<v>{PARAMETER}(?:,\s?{PARAMETER})*" + r"""|[^\s"',;\\\])]+)"""
)
COOKIES = (
    rf"(?P<k>(?i-u:cookie){QUOTE}?{EQUALS}\[?{QUOTE}?)"
    r"""(?P<v>[0-9A-Za-z_.%*-]+=[^\s;,"'\\\]]+(?:;\s?[0-9A-Za-z_.%*-]+(?:=[^\s;,"'\\\]]*)?)*)"""
)
PEM = (
    r"(?P<k>-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----(?:\s|\\+[nr])*)"
    r"(?P<v>[0-9A-Za-z+/](?:[^-]|-{1,4}[^-])*[0-9A-Za-z+/=])"
)
USER_INFO = r"""(?P<k>:(?:\\?/){2}[^\s/:@"'<>\\]*:)(?P<v>[^\s/"'<>\\]+)(?P<z>@)"""
GO_USER_INFO = r"""(?P<k>[0-9A-Za-z_.-]+:)(?P<v>[^\s:/@'"]+)(?P<z>@(?:tcp|unix|udp)\()"""
ORACLE_USER_INFO = r"""(?P<k>:thin:[^\s/:@"']+/)(?P<v>[^\s/@"']+)(?P<z>@)"""
# sshpass -p '…', mysql -u root -p…, docker login -p …, curl -u name:…, IDENTIFIED BY '…'
COMMAND = (
    rf"(?P<k>{B}(?:(?i-u:requirepass|masterauth)\s|sshpass -p ?|redis-cli\s(?:[^\n]*?\s)?-a "
    r"|docker login\s(?:[^\n]*?\s)?-p |mysql(?:dump|admin)?\s(?:[^\n]*?\s)?-p"
    rf"""|curl\s(?:[^\n]*?\s)?-u ?{QUOTE}?[^\s:'"]+:))"""
    r"""(?P<v>\\?'[^'\\]+|\\?"[^"\\]+|[^\s'"`\\;]+)"""
)
SQL = rf"(?P<k>{B}(?i-u:identified by|password)\s\\?')(?P<v>[^'\\]+)"
COMMANDS = "(?i-u:requirepass|masterauth)|sshpass|redis-cli|docker login|mysql|curl"
# Of webhooks, and what signs a URL
IN_URL = (
    r"(?P<k>hooks\.slack\.com/services/|webhook/send\?key=|/bot/v2/hook/|[?&](?i-u:(?:x-amz-|x-oss-|q-)?signature|sig)=)"
    r"""(?P<v>[^\s&"'<>\\)]{6,})"""
)
OPENING = re.compile(r"""\\?["']|""")


def judge_command(match: Match) -> Verdict:
    """Take what a command is given, without its quote."""
    start = match.value_start + OPENING.match(match.value).end()  # type: ignore[union-attr]
    return None if is_nothing(match.text[start : match.value_end]) else ("password", start, match.value_end)


def is_credential(match: Match) -> bool:
    """Tell whether what follows the name of the header is a credential: anything after a scheme."""
    if match.kept[-1:].isspace() and not match.kept.rstrip().endswith((":", "=")):
        return len(match.value) >= 4 and not is_nothing(match.value)
    return kind_of("token", match.value, ":") != ""


def has_value(match: Match) -> bool:
    """Tell whether a value is no placeholder."""
    return not is_nothing(match.value)


def is_basic(match: Match) -> bool:
    """Tell whether text is base64 of a name, a colon and a password (RFC 7617)."""
    try:
        return b":" in base64.b64decode(match.value + "=" * (-len(match.value) % 4), validate=True)
    except binascii.Error:
        return False


# Prefixes that services give their keys; the list of github.com/gitleaks/gitleaks is longer, and of rarer ones.
PREFIXED = (
    "sk-[0-9A-Za-z_-]{20,}", "[sr]k_(?:live|test)_[0-9A-Za-z]{16,}", "gh[pousr]_[0-9A-Za-z]{30,}",
    "github_pat_[0-9A-Za-z_]{22,}", "glpat-[0-9A-Za-z_-]{20,}", "xox[abeoprs]-[0-9A-Za-z-]{10,}",
    "xapp-[0-9A-Za-z-]{20,}", "AIza[0-9A-Za-z_-]{35}", "hf_[0-9A-Za-z]{30,}", "npm_[0-9A-Za-z]{36}",
    "pypi-AgE[0-9A-Za-z_-]{40,}", r"SG\.[0-9A-Za-z_-]{20,24}\.[0-9A-Za-z_-]{40,46}", "shp(?:at|ss|ca)_[0-9a-f]{32}",
    "dop_v1_[0-9a-f]{64}", "gsk_[0-9A-Za-z]{40,}", r"hv[sb]\.[0-9A-Za-z_-]{24,}", r"ya29\.[0-9A-Za-z_-]{20,}",
    "[0-9]{8,10}:AA[0-9A-Za-z_-]{33}",
)  # fmt: skip
PREFIXES = (
    r"sk-|[sr]k_live_|[sr]k_test_|gh[pousr]_|github_pat_|glpat-|xox[abeoprs]-|xapp-|AIza|hf_|npm_|pypi-|SG\."
    r"|shp[asc]|dop_v1_|gsk_|hv[sb]\.|ya29\.|:AA"
)
# AWS, Aliyun, Tencent Cloud, Baidu Cloud, Volcengine, JD Cloud
ACCESS_KEY = (
    r"(?:(?:AKIA|ASIA|AROA|AIDA)[0-9A-Z]{16}|LTAI[0-9A-Za-z]{12,26}|AKID[0-9A-Za-z]{13,40}|ALTAK-?[0-9A-Za-z]{18,24}"
    r"|AKLT[0-9A-Za-z_-]{16,44}|JDC_[0-9A-Z]{24,32})"
)
AFTER_ACCESS_KEY = rf"(?P<k>{B}{ACCESS_KEY}[:/,| ]\s?)(?P<v>[0-9A-Za-z/+]{{30,40}}){B}"
ACCESS_KEYS = "AKIA|ASIA|AROA|AIDA|LTAI|AKID|ALTAK|AKLT|JDC_"


def has_digit(match: Match) -> bool:
    """Tell a key from words with hyphens, or in capitals."""
    return any(character.isdigit() for character in match.value)


SHAPES = (
    finder("private-key", "PRIVATE KEY", PEM),
    finder("password", r":(?:\\?/){2}[^\s/@]*@", USER_INFO, has_value),
    finder("password", r"@(?:tcp|unix|udp)\(", GO_USER_INFO, has_value),
    finder("password", ":thin:", ORACLE_USER_INFO, has_value),
    finder("token", "(?i-u:authoriz)", AUTHORIZATION, is_credential),
    finder(
        "token",
        "(?i-u:bearer)",
        rf"(?P<k>{B}(?i-u:bearer)[:=]?\s+)(?P<v>[0-9A-Za-z._~+/=-]{{16,}})",
        lambda match: kind_of("token", match.value, " ") != "",
    ),
    finder("password", "(?i-u:basic )", rf"(?P<k>{B}(?i-u:basic)\s+)(?P<v>[0-9A-Za-z+/]{{8,}}={{0,2}})", is_basic),
    finder("session", "(?i-u:cookie)", COOKIES, lambda match: not is_nothing(match.value.partition("=")[2])),
    finder("password", "(?i-u:identified by|password) ", SQL, has_value),
    Finder(("password",), COMMANDS, COMMAND, judge_command),
    finder("token", r"hooks\.slack|webhook/send|/bot/v2/hook/|[?&](?i-u:x-|q-|sig)", IN_URL, has_value),
    finder("jwt", "eyJ", rf"{FRONT}(?P<v>eyJ[0-9A-Za-z_-]{{8,}}(?:\.[0-9A-Za-z_-]*){{2,4}})"),
    finder("api-key", PREFIXES, f"{FRONT}(?P<v>{'|'.join(PREFIXED)})", has_digit),
    finder("access-key", ACCESS_KEYS, AFTER_ACCESS_KEY, has_digit),
    finder("access-key", ACCESS_KEYS, rf"{FRONT}(?P<v>{ACCESS_KEY}){B}", has_digit),
)

LABEL = "[0-9A-Za-z](?:[0-9A-Za-z-]*[0-9A-Za-z])?"
EMAIL = rf"[0-9A-Za-z](?:[0-9A-Za-z._+-]*[0-9A-Za-z_+-])?(?:@|%40){LABEL}(?:\.{LABEL})*\.[A-Za-z]{{2,24}}"
NO_DOMAINS = re.compile(  # files, units of systemd
    "png|jpe?g|gif|svg|webp|ico|css|js|ts|map|json|xml|html?|txt|log|service|socket|timer|target|mount|device|slice|scope"
    "|path|localdomain"
)
IP = (
    r"(?P<k>^|[^0-9A-Za-z:._-])"
    r"(?P<v>(?:[0-9]{1,3}\.){3}[0-9]{1,3}|[0-9a-fA-F]{0,4}(?::[0-9a-fA-F]{0,4}){2,7}(?:[0-9.]{7,15})?)"
)


def is_email(match: Match) -> bool:
    """Tell an address from the name of a file, a unit or a package, and from the login of a repository."""
    local, _, domain = match.value.replace("%40", "@").partition("@")
    labels = domain.lower().split(".")
    if (
        NO_DOMAINS.fullmatch(labels[-1])
        or (labels[0].isdigit() and labels[1].isdigit())
        or local in ("git", "hg", "svn")
    ):
        return False
    return not match.before.endswith(("//", "@"))


def is_ip(match: Match) -> bool:
    """Tell whether text is an IP address and no version."""
    try:
        ipaddress.ip_address(match.value)
    except ValueError:
        return False
    return len(match.value) > 3 and not re.match(r"[0-9A-Za-z_]|\.[0-9]", match.after)


ADDRESSES = (
    finder("email", r"[0-9A-Za-z_+-](?:@|%40)[0-9A-Za-z-]+\.[0-9A-Za-z]", EMAIL, is_email),
    finder("ip", r"[0-9]\.[0-9]{1,3}\.[0-9]|:[0-9a-fA-F]{0,4}:", IP, is_ip),
)
