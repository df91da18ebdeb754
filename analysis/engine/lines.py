"""How lines are shown to a model: each on one line and harmless, cut with a mark where they are too long.

What is changed in a line is changed so that it can be seen, and undone in a quote (`original`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import regex

BREAK = "⏎"
# What a terminal, an editor or a reader would not show, and the words by which chat templates and tokenizers of the
# usual models tell turns apart: servers read them inside a message, too.
ODD = regex.compile(
    r"""(?V1)\r?\n | [\p{C}\p{Zl}\p{Zp}--\t]
    | < (?= [|｜] | (?: /?(?:s|think) | bos | eos | pad | unk | mask | sop | eop | eod
        | (?:start|end)_of_\w{1,20} | reserved_\d{1,5} | </?SYS> ) > )
    | \[ (?= /?INST\] | g?MASK\] | /?SYSTEM_PROMPT\] )""",
    regex.VERBOSE,
)


def shown(text: str) -> str:
    """Return a text on one line: line breaks as ⏎, what cannot be seen escaped, and no word that ends a turn."""
    return "".join(told for _raw, told in _pieces(text))


def cut(text: str, room: int) -> str:
    """Return a text of at most `room` characters (30 or more): its middle left out, and the number of them said."""
    if len(text) <= room:
        return text
    left = room - len(f"[… {len(text)} …]")
    head = text[: (left + 1) // 2]
    tail = text[len(text) - left // 2 :].lstrip("<[")  # whose backslash may be in what is left out
    return f"{head}[… {len(text) - len(head) - len(tail)} …]{tail}"


def original(quote: str, line: str) -> str:
    """Return the words of a line that a quote of its shown form stands for; the quote itself if it is not there."""
    if quote in line:
        return quote
    pieces = list(_pieces(line))
    start = "".join(told for _raw, told in pieces).find(quote)
    if start < 0:
        return quote
    found, at = [], 0
    for raw, told in pieces:
        if raw == told:
            found.append(raw[max(0, start - at) : max(0, start + len(quote) - at)])
        elif start < at + len(told) and at < start + len(quote):
            found.append(raw)
        at += len(told)
    return "".join(found)


def fit(texts: Sequence[str], first: Sequence[int], room: int, gap: str) -> str:
    """Return numbered lines (`1: text`, shown already) in at most `room` characters, all of them if that can be.

    Else long lines are cut first, and then lines are left out: those stay that come `first` (0-based), which should be
    the most telling ones, then the ends, then whatever is nearest to them. `gap` tells which are missing, by its
    `{}`: 4 or 4-9; numbers stay what they were. At least one line always stays.
    """
    size = room
    while True:
        told = [f"{number}: {cut(text, max(30, size))}" for number, text in enumerate(texts, 1)]
        if sum(map(len, told)) + len(told) - 1 <= room:
            return "\n".join(told)
        if size < max(200, room // 8):
            break
        size = size * 3 // 4
    order = _order(len(texts), first)
    low, high = 1, len(order)  # the most lines that fit, by bisection: more of them are longer but for a closed gap
    while low < high:
        middle = (low + high + 1) // 2
        if len(_with_gaps(told, sorted(order[:middle]), gap)) <= room:
            low = middle
        else:
            high = middle - 1
    return _with_gaps(told, sorted(order[:low]), gap)


def _pieces(text: str) -> Iterator[tuple[str, str]]:
    """Yield the parts of a text, as they are and as they are shown."""
    at = 0
    for match in ODD.finditer(text):
        if at < match.start():
            yield text[at : match.start()], text[at : match.start()]
        raw = match[0]
        if raw in ("\n", "\r\n"):
            yield raw, BREAK
        elif raw in "<[":
            yield raw, f"\\{raw}"
        else:
            yield raw, raw.encode("unicode-escape", "backslashreplace").decode("ascii")
        at = match.end()
    if at < len(text):
        yield text[at:], text[at:]


def _order(count: int, first: Sequence[int]) -> list[int]:
    """Return all numbers below `count`, by how much they are wanted."""
    ends = [0, count - 1]
    kept = list(dict.fromkeys([*first, *ends]))
    distance = [count] * count
    for number in kept:
        distance[number] = 0
    for number in range(1, count):
        distance[number] = min(distance[number], distance[number - 1] + 1)
    for number in range(count - 2, -1, -1):
        distance[number] = min(distance[number], distance[number + 1] + 1)
    chosen = set(kept)
    return kept + sorted((one for one in range(count) if one not in chosen), key=distance.__getitem__)


def _with_gaps(told: Sequence[str], kept: Sequence[int], gap: str) -> str:
    """Return the lines that are kept, in order, with a line for each run of those that are not."""
    out, at = [], 0
    for number in [*kept, len(told)]:
        if number > at:
            out.append(gap.format(f"{at + 1}-{number}" if number - at > 1 else at + 1))
        if number < len(told):
            out.append(told[number])
        at = number + 1
    return "\n".join(out)
