"""What a masked line says, apart from how its team lays lines out.

Time, level, component, thread and trace id stand in another order in every house, as plain text, logfmt or JSON. An
encoder that reads them spends most of a vector on the layout, and a message looks new wherever another house logs it.
So the header is read off, and so are trailing fields whose value is masked, since the name alone says little. A line
whose layout is not understood is its own message.

In Python and one line at a time: only distinct masked lines come here, some hundreds of a million raw ones.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from logs.engine.masking import MASK

LEVELS = {
    "TRACE": "DEBUG", "DEBUG": "DEBUG", "INFO": "INFO", "NOTICE": "INFO", "WARN": "WARN", "WARNING": "WARN",
    "ERR": "ERROR", "ERROR": "ERROR", "SEVERE": "ERROR", "CRIT": "FATAL", "CRITICAL": "FATAL", "FATAL": "FATAL",
}  # fmt: skip
"""The names of levels, and the five that are told apart."""

M = re.escape(MASK)
L = f"(?i:{'|'.join(sorted(LEVELS, key=len, reverse=True))})"
END = r"(?:\s+|(?<=\])(?=\S))"  # of a part of a header
# What may stand around level and component: something masked (a time, a process), one word in brackets (a thread) or
# more with something masked (ids), a separator, trace=<*>, worker-<*>
STAMPS = re.compile(
    rf"(?:(?:[\[<(]?{M}[\]>)]?[,.:;|]?|\[(?!{L}\])[^\[\]\s]+\]|\[[^\[\]]*{M}[^\[\]]*\]|---|[-|:*]"
    rf"|(?i:trace|span|req|thread|worker|pid|tid)\w*[=:] ?{M},?|[A-Za-z]+-{M}){END})*"
)
LEVEL = re.compile(rf"\[?(?P<name>{L})\]?:?{END}")
# logger.Name  service-name  Word:  component#7  daemon[412]:  and a bare word before a thread; not SomeException:
COMPONENT = re.compile(
    rf"(?!\S*(?:Exception|Error)\b|{L}\b)"
    rf"(?:[A-Za-z_]\w*(?:[.$/#-][\w$./#-]*\w)+|[A-Z]\w*(?=:\s)|[A-Za-z_][\w()]*(?=\[{M}\]:|#|\s[\w-]+-{M}\s))"
    rf"(?:\[{M}\]|#{M})?(?P<colon>:)?{END}",
    re.ASCII,
)
WORD = re.compile(r"[A-Za-z_][\w.$/-]*\w")
NAMED = re.compile(r"""(?P<name>[A-Za-z_][\w.@-]*)"?[=:]\s?"?(?P<value>(?<=")(?:[^"\\]|\\.)*|[^\s,"{}]+)""")
MESSAGE = re.compile(r'(?:^\{.*"(?:msg|message)"\s*:\s*|\s(?:msg|message)=)"(?P<text>(?:[^"\\]|\\.)+)"')
# "… order_id=<*> path=/a", "… (uid=<*>, item=x)", "…, orderId:<*>" and "…; uid <*>" at the end of a message
NAME, VALUE = r"[A-Za-z_]\w*", r"""(?:"[^"]*"|[^\s,;()"]+)"""
FIELD = re.compile(rf"[ ,;]+\(?{NAME}={VALUE}\)?|, ?{NAME}:{VALUE}|; {NAME} {VALUE}")
FIELDS = re.compile(rf"(?:{FIELD.pattern})+$")


class Statement(NamedTuple):
    """Level (a value of LEVELS) and component of a line, each "" where it names none, and the message."""

    level: str
    component: str
    message: str


def read(line: str) -> Statement:
    """Return what a masked line says; the message is never empty unless the line is."""
    if structured := MESSAGE.search(line):
        return _structured(line, structured)
    at = _skip(line, 0)
    level = LEVEL.match(line, at)
    if not level or (at == 0 and not level["name"].isupper()):  # "error while …" at the very start is a message
        return Statement("", "", _message(line[at:]) or line)
    at = _skip(line, level.end())
    header, component = line[level.end() : at], COMPONENT.match(line, at)
    # In "INFO [stock] order-service is slow" the message begins after the brackets.
    if component and (component["colon"] or not header):
        header, at = component[0], _skip(line, component.end())
    words = WORD.findall(header)
    return Statement(LEVELS[level["name"].upper()], words[0] if words else "", _message(line[at:]) or line)


def _skip(line: str, at: int) -> int:
    stamps = STAMPS.match(line, at)
    return stamps.end() if stamps else at


def _message(text: str) -> str:
    if fields := FIELDS.search(text):
        kept = [field.strip(" ,;()") for field in FIELD.findall(fields[0]) if MASK not in field]
        text = " ".join([text[: fields.start()], *kept])
    return text.removesuffix(" ()").strip()


def _structured(line: str, message: re.Match[str]) -> Statement:
    names = {name.lower(): value for name, value in NAMED.findall(line)}
    level, component = (
        next((names[name] for name in known if name in names), "")
        for known in (("level", "lvl", "severity"), ("service", "logger", "component", "app"))
    )
    kept = [f"{name}={value}" for name, value in NAMED.findall(line[message.end() :]) if MASK not in value]
    return Statement(LEVELS.get(level.upper(), ""), component, " ".join([message["text"], *kept]))
