"""The notifier `dingtalk`: a custom bot of DingTalk (钉钉), signed.

Source: https://open.dingtalk.com/document/orgapp/custom-robot-access. Whoever sends more than 20 messages in a minute
is not heard for ten.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote_plus

from analysis.notifiers import http, text
from analysis.notifiers.text import Tongue
from duolog.plugins.options import option
from duolog.plugins.points import Notifier, Rate
from duolog.plugins.types import Alert, Reason

MOST = 20_000
"""Bytes of a text (else 460101)."""
BUSY = frozenset({-1, 90030, 130101, 130102, 410100})
WRONG = frozenset({300001, 300005, 310000, 400101, 400102, 400105, 400106, 460101})
"""No such token, signature or keyword or IP address that is refused, a bot that is stopped, a message that is odd."""


@dataclass(frozen=True)
class Options:
    """The bot's webhook, and the key of its signature if the bot is set to check one."""

    url: str = option(
        label=Reason("Address of the webhook"),
        hint=Reason("Such as https://oapi.dingtalk.com/robot/send?access_token=…"),
        secret=True,
    )
    secret: str = option(
        "",
        label=Reason("Key of the signature"),
        hint=Reason("Begins with SEC; empty for a bot that checks keywords (Duolog is one) or addresses instead."),
        secret=True,
    )
    language: Tongue = option("", label=Reason("Language"))

    def __post_init__(self) -> None:
        if "access_token=" not in http.checked(self.url):
            raise ValueError(Reason("the address of the webhook holds no access_token"))


class DingTalk(Notifier):
    """Sends one markdown message for all alerts; nobody is mentioned."""

    Options = Options
    rate = Rate(messages=20, burst=5)

    def send(self, alerts: Sequence[Alert]) -> None:
        """Sign and send it."""
        language = self.options.language
        title = text.lead(alerts, language)
        told = text.markdown(alerts, language, room=MOST, gap="\n\n")
        message = {
            "msgtype": "markdown",
            "markdown": {"title": title, "text": told},
            "at": {"atMobiles": [], "isAtAll": False},
        }
        url = http.checked(self.options.url)
        if self.options.secret:
            stamp = str(int(time.time() * 1000))
            url += f"&timestamp={stamp}&sign={quote_plus(sign(self.options.secret, stamp))}"
        http.post_to_bot(url, message, code="errcode", busy=BUSY, wrong=WRONG)


def sign(secret: str, stamp: str) -> str:
    """Return base64 of HMAC-SHA256 under the key `secret`, of the milliseconds, a line break and the secret."""
    found = hmac.new(secret.encode(), f"{stamp}\n{secret}".encode(), hashlib.sha256)
    return base64.b64encode(found.digest()).decode()
