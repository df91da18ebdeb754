"""The notifier `feishu`: a custom bot of Feishu (飞书) or Lark, signed.

Source: https://open.feishu.cn/document/client-docs/bot-v3/add-custom-bot. Its signature is not DingTalk's: seconds and
secret are the key there, the message is empty, and it stands in the body. What logs say is `plain_text`, in which
nothing is a mention, a link or a format.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from analysis.notifiers import http, text
from analysis.notifiers.text import Tongue
from duolog.plugins.options import option
from duolog.plugins.points import Notifier, Rate
from duolog.plugins.types import Alert, Reason

MOST = 20 << 10
"""Bytes of a request's body."""
BUSY = frozenset({9499, 11232, 11233, 11247})
WRONG = frozenset({19001, 19002, 19021, 19022, 19024, 19036})
"""No such token, a message that is odd, a signature or address or keyword that is refused."""


@dataclass(frozen=True)
class Options:
    """The bot's webhook, and the key of its signature if the bot is set to check one."""

    url: str = option(
        label=Reason("Address of the webhook"),
        hint=Reason("Such as https://open.feishu.cn/open-apis/bot/v2/hook/…"),
        secret=True,
    )
    secret: str = option(
        "",
        label=Reason("Key of the signature"),
        hint=Reason("Empty for a bot that checks keywords (Duolog is one) or addresses instead."),
        secret=True,
    )
    language: Tongue = option("", label=Reason("Language"))

    def __post_init__(self) -> None:
        http.checked(self.url)


class Feishu(Notifier):
    """Sends one card for all alerts."""

    Options = Options
    # 100 a minute and 5 a second; and not when everybody sends: error 11232.
    rate = Rate(messages=100, burst=3, quiet=15.0)

    def send(self, alerts: Sequence[Alert]) -> None:
        """Sign and send it."""
        signed = {}
        if self.options.secret:
            stamp = str(int(time.time()))
            signed = {"timestamp": stamp, "sign": sign(self.options.secret, stamp)}
        message = signed | {"msg_type": "interactive", "card": card(alerts, self.options.language)}
        http.post_to_bot(http.checked(self.options.url), message, code="code", busy=BUSY, wrong=WRONG)


def sign(secret: str, stamp: str) -> str:
    """Return base64 of HMAC-SHA256 of nothing, under a key of the seconds, a line break and the secret."""
    return base64.b64encode(hmac.new(f"{stamp}\n{secret}".encode(), b"", hashlib.sha256).digest()).decode()


def card(alerts: Sequence[Alert], language: Tongue) -> dict[str, Any]:
    """Return the card: an element an alert, as many as fit, and how many more there are."""
    told = text.words(language)
    elements = [_element(alert, language) for alert in alerts]
    more = _text(told["more"].format(len(alerts)))
    empty = {
        "config": {"wide_screen_mode": True},
        "header": {"title": _text(text.lead(alerts, language))["text"], "template": text.colour(alerts)},
        "elements": [],
    }
    sizes = [len(http.encoded(element)) + 1 for element in elements]
    signature = 200
    count = text.kept(sizes, MOST - len(http.encoded(empty)) - signature, len(http.encoded(more)) + 1)
    left = [_text(told["more"].format(len(elements) - count))] if count < len(elements) else []
    return empty | {"elements": elements[:count] + left}


def _element(alert: Alert, language: Tongue) -> dict[str, Any]:
    found = _text("\n".join(text.lines(alert, language)))
    if not alert.url:
        return found
    label = {"tag": "plain_text", "content": text.words(language)["open"]}
    return found | {"extra": {"tag": "button", "type": "default", "text": label, "url": alert.url}}


def _text(words: str) -> dict[str, Any]:
    return {"tag": "div", "text": {"tag": "plain_text", "content": words}}
