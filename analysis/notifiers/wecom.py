"""The notifier `wecom`: a bot of a group in WeCom (企业微信). It knows no signature: its address is the key.

Source: https://developer.work.weixin.qq.com/document/path/91770.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from analysis.notifiers import http, text
from analysis.notifiers.text import Tongue
from duolog.plugins.options import option
from duolog.plugins.points import Notifier, Rate
from duolog.plugins.types import Alert, Reason

MOST = 4096
"""Bytes of a message's markdown (else 40058)."""
BUSY = frozenset({-1, 45009, 45033})
WRONG = frozenset({40008, 40058, 93000, 93004, 93008})
"""A message that is odd, no such key, a bot that is no longer in a group."""


@dataclass(frozen=True)
class Options:
    """The bot's webhook, which is its key."""

    url: str = option(
        label=Reason("Address of the webhook"),
        hint=Reason("Such as https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=…"),
        secret=True,
    )
    language: Tongue = option("", label=Reason("Language"))

    def __post_init__(self) -> None:
        if "key=" not in http.checked(self.url):
            raise ValueError(Reason("the address of the webhook holds no key"))


class WeCom(Notifier):
    """Sends one markdown message for all alerts."""

    Options = Options
    rate = Rate(messages=20, burst=5)

    def send(self, alerts: Sequence[Alert]) -> None:
        """Send it."""
        content = text.markdown(alerts, self.options.language, room=MOST, gap="\n")
        message = {"msgtype": "markdown", "markdown": {"content": content}}
        http.post_to_bot(http.checked(self.options.url), message, code="errcode", busy=BUSY, wrong=WRONG)
