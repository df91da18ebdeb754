"""Masking: what varies from one occurrence of a line to the next becomes `<*>`.

Masked lines are what is encoded and cached, so the fewer of them the faster, as long as lines that mean different
things stay different: words are left alone, also those that hold a few digits (utf8, sha256, WH3, v1).
One Rust regex, without look-around; `B` is an ASCII word boundary, which also lies between a Chinese character and a
digit. It is kept compiled, and with it the states it has met: polars runs the same engine over a batch, but starts each
call with a cold one, which costs more than a thousand lines.
"""

from __future__ import annotations

from collections.abc import Sequence

import rurex

MASK = "<*>"

B = r"(?-u:\b)"  # a Unicode boundary would put the regex engine on its slow path at the first Chinese character
HEX = "[0-9a-fA-F]"
CLOCK = r"[0-9]{1,2}[:.][0-9]{1,2}[:.][0-9]{1,2}(?:[.,:][0-9]+)?"
ZONE = rf"(?: ?(?:UTC|GMT|CST|Z{B}|[-+][0-9]{{2}}:?[0-9]{{2}}{B}))?"
MONTH = "(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"

# The first alternative that fits at a place wins, so the more specific ones stand first.
PARTS = (
    # 2026-11-23T19:00:00,123+08:00   2005-06-03-15.42.50.675872   2026/11/23   20171223-22:15:29:635
    rf"{B}[0-9]{{4}}[-/.]?[0-9]{{2}}[-/.]?[0-9]{{2}}[T _-]{CLOCK}{ZONE}",
    rf"{B}[0-9]{{4}}[-/.][0-9]{{2}}[-/.][0-9]{{2}}{B}",
    rf"{B}(?:[0-9]{{2}}[-/.]){{1,2}}[0-9]{{2}} {CLOCK}",  # 17/06/09 20:10:41   03-17 16:13:38.859
    r"[0-9]{4}年[0-9]{1,2}月[0-9]{1,2}日(?: ?[0-9]{1,2}[时:点][0-9]{1,2}分?(?:[:]?[0-9]{1,2}秒?)?)?",
    # Sun Dec 04 04:51:09 2005   23 Nov 2026 19:00:00.123   10/Oct/2000:13:55:36 -0700
    rf"{B}(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun),? +)?{MONTH} +[0-9]{{1,2}} +{CLOCK}(?: [0-9]{{4}}{B})?",
    rf"{B}[0-9]{{1,2}}[ /-]{MONTH}[ /-][0-9]{{4}}[ :]{CLOCK}{ZONE}",
    rf"{B}{HEX}{{8}}(?:-{HEX}{{4}}){{3}}-{HEX}{{12}}",  # UUID
    rf"{B}(?:{HEX}{{2}}[:-]){{5}}{HEX}{{2}}{B}",  # MAC address
    rf"{B}(?:[0-9]{{1,3}}\.){{3}}[0-9]{{1,3}}(?::[0-9]+|/[0-9]+)?",  # IPv4, port or net
    rf"{B}[a-fA-F]{{0,3}}[0-9]{HEX}{{0,3}}(?:::?{HEX}{{1,4}}){{2,7}}{B}",  # IPv6
    rf"{B}0[xX]{HEX}+",
    rf"{B}[a-fA-F]*[0-9]{HEX}{{5,}}{B}",  # 9f4ef63, a trace id
    r""""[0-9A-Za-z_.-]*[0-9][0-9A-Za-z_.-]*"|'[0-9A-Za-z_.-]*[0-9][0-9A-Za-z_.-]*'""",  # a quoted name with a digit
    rf"{B}[A-Za-z]+(?:_[A-Za-z]+)*_-?[0-9][0-9A-Za-z_]*",  # blk_-123, application_1445144423722_0020
    rf"{B}[A-Za-z_]+[0-9]{{4,}}[0-9A-Za-z_]*",  # KB2973351, TX20260105001
    rf"{B}[A-Za-z]+[0-9]+[A-Za-z]+[0-9]+[0-9A-Za-z]{{4,}}",  # sess9Xk2pQ7
    rf"{B}[A-Z]{{1,2}}[0-9]{{1,3}}(?:[-:][A-Z]{{1,2}}[0-9]*[A-F]?)+{B}",  # R02-M1-N0-C:J12-U11, a place in a rack
    rf"{B}[0-9]+(?:-[0-9]+)+(?:[.-][0-9A-Za-z-]+)*",  # 220-135-151-1.hinet.net
    rf"{B}[0-9]+(?:[.,:][0-9]+)*%?",  # 3.14, 1,234, 6.1.1.1, 12:30, and the 300 of 300ms; a sign may belong to a name
)
# The tail takes what is left of the word if that still holds a digit: else a second pass could find more in it.
PATTERN = f"(?:{'|'.join(PARTS)})(?:[A-Za-z_]*[0-9][0-9A-Za-z_]*)?"


_pattern = rurex.compile(PATTERN)


def mask(lines: Sequence[str]) -> list[str]:
    """Return the lines, in order, with every variable part replaced by `<*>`; masking twice changes nothing."""
    together = "\n".join(lines)
    if together.count("\n") == len(lines) - 1:  # all at once: nothing in the pattern reaches beyond a line
        masked: list[str] = _pattern.sub(MASK, together).split("\n")
        return masked
    return [_pattern.sub(MASK, line) for line in lines]


def variables(lines: Sequence[str]) -> list[list[str]]:
    """Return, for each line, what `mask` replaces in it, in order."""
    find = _pattern.findall
    return [find(line) for line in lines]
