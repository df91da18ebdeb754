"""Numbers of people and things in China: ID numbers, mobiles, bank cards, licence plates."""

from __future__ import annotations

import re

from logs.engine.masking import B
from logs.engine.secret_checks import is_bank_card, is_id_card
from logs.engine.secret_finder import FRONT, Finder, Match, Verdict, finder

# Coarse on purpose: each digit told from the others makes a cold automaton dearer, and every batch starts cold.
TRIGGER = (
    r"(?:^|[^0-9A-Za-z_.-]|\\[nrt]|[A-Za-z]\.)(?:1[0-9]{10}(?:[^0-9]|$|[0-9]{6})|[2-9][0-9]{12}"
    r"|[0-9]{3}[ -][0-9]{4}[ -][0-9]{4}|[0-9]{4}[ -][0-9]{4}[ -][0-9]{4}[ -]|[0-9]{6}[ -][0-9]{8}[ -][0-9])"
    r"|\+[0-9]{2}-1"
)
PHONE = rf"(?P<k>(?:{B}|\\[nrt])(?:(?:\+|00)?86[ -]?)?)(?P<v>1[3-9][0-9](?:[0-9]{{8}}|[ -][0-9]{{4}}[ -][0-9]{{4}})){B}"
MONTH_DAY = "(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])"
NUMBER = (
    rf"{FRONT}(?P<v>[1-8][0-9]{{5}}[ -]?(?:18|19|20)[0-9]{{2}}{MONTH_DAY}[ -]?[0-9]{{3}}[0-9Xx]"
    r"|[2-69][0-9]{13,18}|[2-69][0-9]{3}(?:[ -][0-9]{4}){3}(?:[ -]?[0-9]{1,3})?)"
    rf"{B}"
)
# GA 36-2018: province, office, then five signs, or six on cars without an engine or with two
PROVINCE = "京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼"
PLATE = (
    rf"[{PROVINCE}][A-HJ-NP-Z][·• -]?"
    r"(?:[A-HJK][0-9A-HJ-NP-Z][0-9]{4}|[0-9]{5}[A-HJK]|[0-9A-HJ-NP-Z]{4}[0-9A-HJ-NP-Z挂学警港澳])"
)

# Numbers of eleven digits are also sizes and times, and one of sixteen may be an id in hexadecimal.
NUMBER_BEFORE = re.compile(
    r"(?:(?i:size|bytes?|length|(?<!ac)count|offset|total|nanos?|micros|timestamp|sequence|position|capacity|memory|elapsed"
    r"|duration|latency|balance|version|(?:span|trace|parent|request|block|blk|thread|process|partition|order|trade|serial|invoice|waybill)"
    r"(?:[_ -]?(?:id|no|number|sn))?)"
    r"|(?<![A-Za-z])(?i:[nuµm]s|len|time|ts|seq|pos|mem|free|used|usage|rss|heap|cost|took|amount)"
    r"|[a-z](?:Ns|Us|Ms|Ts|Len|Time|Seq|Pos|Mem|Used)|耗时|大小|字节|偏移量?|长度|总数|订单号?|单号|流水号?)"
    r"""["']?\s?[:=：]?\s?["']?$"""
)
UNIT_AFTER = re.compile(
    r"\s?(?:(?:bytes?|[kmgt]i?b|[nuµm]s|nanos|rows|records)(?![A-Za-z])|[次条]|字节|[毫微纳]秒)", re.IGNORECASE
)
GLUED_AFTER = re.compile(r"[-.]?[0-9]|-[0-9A-Za-z]")
MOBILE = re.compile("1(?:3[0-9]|4[014-9]|5[0-35-9]|6[2567]|7[0-8]|8[0-9]|9[0-35-9])")


def stands_alone(match: Match) -> bool:
    """Tell whether a number is no part of a longer one, of a name or of a decimal, and no size or time."""
    if GLUED_AFTER.match(match.after) or UNIT_AFTER.match(match.after):
        return False
    if match.kept:
        return True
    before = match.before[-24:]
    if before.endswith(("-", "_", "$", "#", "&")) or (before.endswith(".") and not before[-2:-1].isalpha()):
        return False
    return not NUMBER_BEFORE.search(before)


def judge_number(match: Match) -> Verdict:
    """Judge a number of 14 to 19 signs: a resident's ID, a bank card, or neither."""
    number = match.value.replace(" ", "").replace("-", "")
    kind = "id-card" if len(number) == 18 and is_id_card(number) else "bank-card" if is_bank_card(number) else ""
    return (kind, match.value_start, match.value_end) if kind and stands_alone(match) else None


def is_phone(match: Match) -> bool:
    """Tell whether eleven digits are a Chinese mobile's: a prefix in use, and no other number."""
    return stands_alone(match) and MOBILE.match(match.value) is not None


def is_plate(match: Match) -> bool:
    """Tell whether letters and digits after a province are a plate: two letters at most, and nothing more to it."""
    number = match.value[2:].lstrip("·• -")
    letters = sum(character.isascii() and character.isalpha() for character in number)
    if letters > 2 or re.match("[0-9A-Za-z_-]", match.after):
        return False
    return not (match.value[0] == "新" and match.before.endswith(tuple("更最刷重全创革翻")))


FINDERS = (
    Finder(("id-card", "bank-card"), TRIGGER, NUMBER, judge_number),
    finder("phone", TRIGGER, PHONE, is_phone),
    finder("plate", f"[{PROVINCE}][A-HJ-NP-Z]", PLATE, is_plate),
)
