"""How the teams of the shop write their logs: six house styles, each with its layout, frames and field names.

A phrase told in two styles gives two templates, so a style that is left out of training tests what a model makes of
logs whose templates it never saw.
"""

from __future__ import annotations

from dataclasses import dataclass

from training.generators.shop.catalog import Language, Phrase

QUOTED = frozenset({"session", "peer", "ip", "host", "table", "volume", "pod", "topic", "version", "path", "coupon",
                    "waybill", "warehouse"})  # fmt: skip
"""Fields that are no numbers, and so are quoted where the style quotes."""
CONSTANT = (
    "date", "trace", "thread", "path", "status", "order", "user", "sku", "count", "money", "code", "usual", "ip",
    "host", "peer", "queue", "score", "memory", "percent", "version", "table", "volume", "pod", "topic", "offset",
    "session", "coupon", "waybill", "warehouse",
)  # fmt: skip
"""Values that stay the same throughout a request."""
PER_LINE = ("minute", "second", "thousandth", "ms", "total", "wait", "attempt")
"""Values of a line: its time, where `minute` is hours and minutes, and what it tells of times."""
MARKS = {name: chr(0xE000 + place) for place, name in enumerate(CONSTANT + PER_LINE)}
"""A character that no log line holds (Unicode keeps it for private use) stands for each value."""
KNOWN_AS = {
    "user": ("userId", "user_id", "uid"),
    "order": ("orderId", "order_id", "orderNo"),
    "sku": ("skuId", "sku_id", "item"),
    "money": ("amount", "amount_cny", "total"),
    "ms": ("cost_ms", "duration_ms", "elapsed_ms"),
    "wait": ("timeout_ms", "waited_ms", "after_ms"),
    "total": ("cost_ms", "duration_ms", "elapsed_ms"),
    "ip": ("clientIp", "remote_addr", "from"),
    "code": ("errCode", "error_code", "code"),
    "path": ("uri", "path", "url"),
}
"""Names of a field in styles of Java, Go and Python; other fields keep theirs."""


@dataclass(frozen=True)
class Style:
    """One way to write: `prefix`, stamp, `layout`. The texts hold {placeholders}; `names` is for KNOWN_AS."""

    name: str
    prefix: str
    layout: str
    day: str  # between day and time
    fraction: str  # between seconds and milliseconds
    levels: dict[str, str]
    field: str
    names: int
    quote: bool
    start: tuple[str, str]  # zh, en
    done: tuple[str, str]
    opening: str = ""
    closing: str = ""

    def form(self, service: str, phrase: Phrase, wording: int, language: Language, kind: str, callee: str) -> str:
        """Return a line, a MARK standing for each value."""
        fields = [*phrase.fields, *(["ms"] if kind == "done" else [])]
        stamp = "{date}" + self.day + "{minute}{second}" + self.fraction + "{thousandth}"
        return self.prefix + stamp.format(**MARKS) + self.layout.format(
            trace=MARKS["trace"], thread=MARKS["thread"], service=service,
            level=self.levels.get(phrase.level, phrase.level),
            message=self.message(phrase, wording, language, kind, callee), fields=self._fields(fields),
        )  # fmt: skip

    def message(self, phrase: Phrase, wording: int, language: Language, kind: str = "say", callee: str = "") -> str:
        """Return the words of a phrase; `kind` is start, done (both of an operation) or say."""
        text: str = getattr(phrase, language)[wording]
        if kind != "say":
            text = getattr(self, kind)[language == "en"].format(op=text)
        return text.replace("{callee}", callee)

    def _fields(self, fields: list[str]) -> str:
        shown = []
        for name in fields:
            known = KNOWN_AS.get(name, (name,) * 3)[self.names]
            value = f'"{MARKS[name]}"' if self.quote and name in QUOTED else MARKS[name]
            shown.append(self.field.format(name=known, value=value))
        return self.opening + ("" if self.opening == "" else ", ").join(shown) + self.closing


_LOWER = {level: level.lower() for level in ("DEBUG", "INFO", "WARN", "ERROR")}

STYLES = (
    Style(
        "spring", "", " {level} [{service},{trace}] --- [http-nio-8080-exec-{thread}] {message}{fields}",
        " ", ".", {"INFO": " INFO", "WARN": " WARN"}, " {name}={value}", 0, False,
        ("开始{op}", "begin to {op}"), ("{op}完成", "{op} completed"),
    ),
    Style(
        "dubbo", "[", "] [{level}] [{service}] [DubboServerHandler-{thread}] [traceId:{trace}] {message}{fields}",
        " ", ".", {}, ", {name}:{value}", 0, False,
        ("进入方法: {op}", "enter: {op}"), ("方法返回: {op}成功", "return: {op} succeeded"),
    ),
    Style(
        "zap", '{"ts":"',
        'Z","level":"{level}","service":"{service}","trace_id":"{trace}","goroutine":{thread},"msg":"{message}"{fields}}}',
        "T", ".", _LOWER, ',"{name}":{value}', 1, True,
        ("{op}: started", "{op}: started"), ("{op}: finished", "{op}: finished"),
    ),
    Style(
        "logfmt", "time=",
        'Z level={level} service={service} trace_id={trace} worker={thread} msg="{message}"{fields}',
        "T", ".", _LOWER, " {name}={value}", 1, True,
        ("发起{op}", "calling {op}"), ("{op} ok", "{op} ok"),
    ),
    Style(
        "python", "", " {level} {service} worker-{thread} trace={trace} | {message}{fields}",
        " ", ",", {"WARN": "WARNING"}, "{name}={value}", 2, False,
        ("准备{op}", "about to {op}"), ("已完成: {op}", "done with {op}"), " (", ")",
    ),
    Style(
        "node", "", " {level} {service}#{thread} <{trace}> {message}{fields}",
        "T", ".", _LOWER, "; {name} {value}", 2, False,
        ("{op}处理中", "{op} in progress"), ("{op}处理完毕", "{op} handled"),
    ),
)  # fmt: skip
STYLE_NAMES = tuple(style.name for style in STYLES)
