"""How alerts are worded and fitted: two languages, harmless in markdown, cut by bytes.

What a line of a log says is text: it mentions nobody, links nowhere and formats nothing. Markdown of bots differs from
bot to bot and knows no escape, so its signs are told by their full-width forms (Unicode's U+FF01 to U+FF5E), which look
like them and are none.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC
from typing import Literal

from analysis.engine.lines import shown
from duolog.plugins.types import Alert, Language

Tongue = Literal["", "zh", "en"]
"""The option `language`; "" is filled in with the site's (`analysis.channels`)."""
ELLIPSIS = "…"
TITLE, NAME, SUMMARY = 240, 120, 900
"""Bytes of an alert's parts at most, so that one alert fits the smallest message there is."""
SIGNS = {ord(sign): chr(ord(sign) + 0xFEE0) for sign in "!#*<>@[\\]_`|~"}
COLOURS = {"critical": "red", "high": "red", "medium": "orange", "low": "blue"}
WORDS: dict[Language, dict[str, str]] = {
    "en": {
        "alerts": "{} alerts", "alert": "1 alert", "resolved": "{} resolved", "is_resolved": "resolved",
        "low": "low", "medium": "medium", "high": "high", "critical": "critical", "": "severity unknown",
        "service": "service {}", "project": "project {}", "sequences": "{} sequences", "sequence": "1 sequence",
        "since": "since {}", "until": "until {}", "open": "Open it", "more": "… and {} more", "join": ", ",
        "colon": ": ",
    },
    "zh": {
        "alerts": "{} 条告警", "alert": "1 条告警", "resolved": "{} 条已解决", "is_resolved": "已解决",
        "low": "低", "medium": "中", "high": "高", "critical": "危急", "": "严重程度未知",
        "service": "服务 {}", "project": "项目 {}", "sequences": "{} 个序列", "sequence": "1 个序列",
        "since": "始于 {}", "until": "止于 {}", "open": "查看", "more": "…还有 {} 条", "join": "，", "colon": "：",
    },
}  # fmt: skip


def words(language: Tongue) -> dict[str, str]:
    """Return the words of a language."""
    return WORDS[language or "en"]


def size(text: str) -> int:
    """Return how many bytes a text has in UTF-8."""
    return len(text.encode())


def cut(text: str, room: int) -> str:
    """Return a text of at most `room` bytes of UTF-8 (3 or more): whole characters, and … for those left out."""
    data = text.encode()
    if len(data) <= room:
        return text
    return data[: room - size(ELLIPSIS)].decode("utf-8", "ignore") + ELLIPSIS


def kept(sizes: Sequence[int], room: int, more: int) -> int:
    """Return how many of the first pieces fit into `room`; `more` is kept free if they are not all of them."""
    if sum(sizes) <= room:
        return len(sizes)
    used = more
    for number, each in enumerate(sizes):
        used += each
        if used > room:
            return number
    raise AssertionError("unreachable")


def harmless(text: str) -> str:
    """Return a text on one line that no markdown takes for markup, a mention or a link."""
    return shown(text).translate(SIGNS).replace("://", ":／／")


def lead(alerts: Sequence[Alert], language: Tongue) -> str:
    """Return what a message is about: `Duolog · 3 alerts, 1 resolved`; bots that ask for a keyword find it there."""
    told = words(language)
    over = sum(alert.kind == "resolved" for alert in alerts)
    firing = len(alerts) - over
    counts = [told["alert" if firing == 1 else "alerts"].format(firing)] if firing else []
    counts += [told["resolved"].format(over)] if over else []
    return f"Duolog · {told['join'].join(counts)}"


def heading(alert: Alert, language: Tongue, plain: Callable[[str], str] = shown) -> str:
    """Return how bad it is, or that it is over, and what it is."""
    told = words(language)
    state = told["is_resolved"] if alert.kind == "resolved" else told.get(alert.severity, alert.severity)
    return cut(plain(f"{state}{told['colon']}{alert.title}"), TITLE)


def facts(alert: Alert, language: Tongue, plain: Callable[[str], str] = shown) -> str:
    """Return where it is, how often and since when."""
    told = words(language)
    found = [told["service"].format(cut(plain(alert.service), NAME))] if alert.service else []
    found.append(told["project"].format(cut(plain(alert.project), NAME)))
    found.append(told["sequence" if alert.count == 1 else "sequences"].format(alert.count))
    found.append(told["since"].format(f"{alert.started.astimezone(UTC):%Y-%m-%d %H:%M} UTC"))
    if alert.ended:
        found.append(told["until"].format(f"{alert.ended.astimezone(UTC):%Y-%m-%d %H:%M} UTC"))
    return " · ".join(found)


def summary(alert: Alert, language: Tongue, plain: Callable[[str], str] = shown) -> str:
    """Return what an analyst says of it, in this language or else in another; "" if nobody has said anything."""
    text = alert.summary.get(language or "en") or next(iter(alert.summary.values()), "")
    return cut(plain(text), SUMMARY)


def lines(alert: Alert, language: Tongue, plain: Callable[[str], str] = shown) -> list[str]:
    """Return an alert as lines of text."""
    found = [heading(alert, language, plain), facts(alert, language, plain), summary(alert, language, plain)]
    return [line for line in found if line]


def markdown(alerts: Sequence[Alert], language: Tongue, *, room: int, gap: str) -> str:
    """Return a message in the markdown of Chinese bots, of at most `room` bytes; `gap` ends a line."""
    told = words(language)
    parts = [f"#### {harmless(lead(alerts, language))}"]
    for alert in alerts:
        first, *rest = lines(alert, language, harmless)
        rest += [f"[{told['open']}]({alert.url})"] if alert.url else []
        parts.append(gap.join([f"**{first}**", *rest]))
    between = f"{gap}{gap}" if gap == "\n" else gap
    more = f"{between}{told['more'].format(len(alerts))}"
    count = kept([size(part) + size(between) for part in parts], room, size(more))
    text = between.join(parts[:count])
    left = len(parts) - count
    return text + between + told["more"].format(left) if left else text


def colour(alerts: Sequence[Alert]) -> str:
    """Return the colour of the worst that is firing; green if nothing is."""
    firing = {alert.severity for alert in alerts if alert.kind == "firing"}
    found = (COLOURS[severity] for severity in COLOURS if severity in firing)
    return next(found, "orange" if firing else "green")
