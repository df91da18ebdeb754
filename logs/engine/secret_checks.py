"""What tells a secret from what only looks like one: check digits, names of keys, values that are no secret."""

from __future__ import annotations

import re
from datetime import date
from functools import lru_cache

# GB 11643-1999: weights of the first 17 digits, and the check character of their sum modulo 11.
WEIGHTS = tuple(2 ** (17 - place) % 11 for place in range(17))
PROVINCES = re.compile("1[1-5]|2[123]|3[1-7]|4[1-6]|5[0-4]|6[1-5]|71|8[123]")


def is_id_card(number: str) -> bool:
    """Tell whether 18 characters are a Chinese resident's ID number (GB 11643): province, date, check character."""
    if not PROVINCES.match(number):
        return False
    try:
        date(int(number[6:10]), int(number[10:12]), int(number[12:14]))
    except ValueError:
        return False
    total = sum(int(digit) * weight for digit, weight in zip(number[:17], WEIGHTS, strict=True))
    return number[17].upper() == "10X98765432"[total % 11]


# Issuers' prefixes with the lengths of their numbers (ISO/IEC 7812); 95 and 60 are older Chinese debit cards.
ISSUERS = re.compile(
    r"62\d{14,17}|4(?:\d{15}|\d{18})|(?:5[1-5]|2[2-7])\d{14}|3[47]\d{13}|3(?:0[0-5]|[68]\d)\d{11}"
    r"|35(?:2[89]|[3-8]\d)\d{12}|6(?:0|4[4-9]|5)\d{13,17}|95\d{14,17}"
)


def is_bank_card(number: str) -> bool:
    """Tell whether digits are a card's: a known issuer, its length, the Luhn check digit (ISO/IEC 7812-1)."""
    if not ISSUERS.fullmatch(number) or len(set(number)) < 2:
        return False
    total = sum(sum(divmod(int(digit) * (1 + place % 2), 10)) for place, digit in enumerate(reversed(number)))
    return total % 10 == 0


# The last words of a key, run together, and what its value is then; the first that fits wins.
ENDINGS = (
    ("jwt", r"jwt(?:token)?"),
    ("private-key", r"privatekey|私钥"),
    ("access-key", r"(?:access|secret)key(?:id|secret)?|accessid|secretid|^[as]k|[密秘]钥"),
    ("api-key", r"(?:api|app|account|signing|encryption|master|shared|subscription|license)key"),
    ("session", r"sess(?:ion)?(?:id|key)?|^sid|connectsid|cookies?|会话(?:id|标识|号)"),
    (
        "token",
        r"(?<!max)(?<!min)(?<!num)(?<!total)(?<!page)(?<!prompt)(?<!next)(?<!continuation)(?<!cancellation)token",
    ),
    ("token", r"secrets?|credentials?|authorization|amzsignature|令牌|凭证|授权码"),
    ("password", r"pass(?:word|wd|phrase|code)s?|pwd|(?:^|user|require|db|root|ftp|ssh|my|login|key|store)pass"),
    ("password", r"^(?:otp|cvv)|masterauth|(?:verif(?:y|ication)|sms)code|密码|口令|验证码|动态码"),
)
KEYS = tuple((kind, re.compile(f"(?:{ending})$")) for kind, ending in ENDINGS)
WORD = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|[一-鿿]+")
# What may follow the telling word; any other word makes the key one about secrets (token_count, passwordEncoder).
SUFFIXES = re.compile(
    "value|text|plain|raw|str|string|header|new|old|current|confirm|confirmation|hash|md5|base64|enc|encoded|encrypted"
    "|cipher|ciphertext|[值串码号]"
)
LISTS = ("tokens", "令牌列表")  # counted as often as listed: secrets only where a list of strings follows


@lru_cache(maxsize=4096)  # logs have few keys
def kind_of_key(key: str, *, listed: bool = False) -> str:
    """Return the kind of secret that a key's value is by the key's name, or ""; `listed` if the value is in a list."""
    words = [word.lower() for word in WORD.findall(key[-100:])]
    while len(words) > 1 and SUFFIXES.fullmatch(words[-1]):
        words.pop()
    name = "".join(words)
    if name in ("ak", "sk") and len(key) > 2:  # sk-SK is a locale
        return ""
    if name.endswith(LISTS):
        return "token" if listed else ""
    return next((kind for kind, ending in KEYS if ending.search(name)), "")


WORDS_FOR_NOTHING = """null none nil undefined empty blank true false yes no ok on off 0 1 invalid valid expired failed
failure success successful required missing incorrect error wrong unknown n/a na rejected denied mismatch mismatched
short long weak too not is was must should cannot changed reset set unset updated loaded enabled disabled refreshed
revoked hidden masked redacted filtered removed omitted token string str text input type sha1 sha256 sha512 md5 utf8
base64 bcrypt scrypt argon2 bearer basic digest jwt oauth2 ldap kerberos deprecated negotiate apikey aws4-hmac-sha256
oss"""
NOTHING = frozenset(WORDS_FOR_NOTHING.split())
PLACEHOLDERS = (
    r"\$\{.*|\{\{.*|\$\(.*|\$[A-Z_]+|%\(?\w*\)?[sdvrq@]|%[A-Z_]+%|<[^<>]*>?|\[[A-Z_]+\]",  # filled in later
    r"\[?[A-Z ]*(?:REDACTED|FILTERED|MASKED)[^\]]*\]?|[^0-9A-Za-z]*|.{0,4}\*{3,}.{0,4}|[xX]{3,}",  # redacted before
    r"[0-9]{4}[-/][0-9]{2}[-/][0-9]{2}.*|(?:/[a-z_.-]+){2,}/?|[a-z+]+://.*",  # dates, paths, URLs
    r"[A-Za-z_][A-Za-z_.]*[(\[].*",  # code, in a traceback
)
PLACEHOLDER = re.compile("|".join(PLACEHOLDERS), re.DOTALL)
# Token{a64f992 of Android, android.os.Binder@2bd79ce of Java
OBJECT = re.compile(r"[A-Za-z_.$]+[{(\[].*|(?:[A-Za-z_$]+\.)+[A-Za-z_$]+(?:@[0-9a-f]+)?")
RESOURCE = re.compile(r"[a-z][a-z0-9]*(?:[-./][a-z0-9]+)+")  # default-token-x7v2p of Kubernetes
MANNER = re.compile("[位个天次]|字符|小时|分钟|类型|格式|加密|编码|算法|模式|方式|认证|策略|字段|参数")  # 密码为AES加密


def is_nothing(value: str) -> bool:
    """Tell whether a value stands for a secret without being one: null, ****, ${PASSWORD}, "expired", a date, a URL."""
    return value.lower().strip(" .!?:") in NOTHING or PLACEHOLDER.fullmatch(value) is not None


DIGIT, LETTER, SYMBOL = re.compile("[0-9]"), re.compile("[A-Za-z]"), re.compile("[^0-9A-Za-z]")
ENDS = re.compile(r"\s*$|[^\s.]|\s\s|\s+[\w.-]{1,40}[=:]")  # the value ends a sentence or a list's item


COUNTED = re.compile("(?i:pass|(?:.*[^a-z])?(?:passwords|secrets|credentials))")  # pass: 12 fail: 0


def kind_of(key: str, value: str, link: str = "=", after: str = "", *, listed: bool = False) -> str:
    """Return the kind of secret that a value is by its key, or "" if it is none.

    Args:
        key: with what stands before and after the telling word: spring.datasource.password, tokenValue, 用户密码.
        value: without quotes.
        link: "=" (also in quotes, JSON, XML, an option), ":" (bare, after a colon), "is" and "为" (prose of either
            language), or " " (nothing between).
        after: what follows the value in the text.
        listed: if the value is in a list.
    """
    kind = kind_of_key(key, listed=listed)
    if not kind or is_nothing(value) or (value.isdigit() and COUNTED.fullmatch(key)):
        return ""
    if value.startswith(("/", "~")) and key.lower().endswith("pwd"):  # the working directory
        return ""
    digit, letter = bool(DIGIT.search(value)), bool(LETTER.search(value))
    if kind == "password":
        return kind if is_password(value, link, after, digit=digit, letter=letter) else ""
    if kind == "session":  # numbers of sessions are no secret, and a handle such as 0x1f is none
        cookies = "=" in value and "cookie" in key.lower()
        return kind if cookies or (len(value) >= 8 and digit and letter and not value.startswith("0x")) else ""
    if OBJECT.fullmatch(value):
        return ""
    if link == "=":
        return kind if len(value) >= 4 and (kind not in ("access-key", "api-key") or " " not in value) else ""
    if link == " ":
        return kind if len(value) >= 16 and letter and digit and not RESOURCE.fullmatch(value) else ""
    return kind if len(value) >= 8 and letter and (digit or (len(value) >= 16 and not value.islower())) else ""


def is_password(value: str, link: str, after: str, *, digit: bool, letter: bool) -> bool:
    """Tell whether a value is a password, the surer of it the closer the link."""
    match link:
        case "=":
            return True
        case ":":
            return (
                (digit and (letter or len(value) >= 4))
                or bool(SYMBOL.search(value.strip(".!?:-")))
                or bool(letter and ENDS.match(after))
            )
        case "is":
            return len(value) >= 4 and (digit or bool(SYMBOL.search(value[:-1])))
        case "为":
            return len(value) >= 4 and not MANNER.match(after)
    return len(value) >= 6 and digit and letter
