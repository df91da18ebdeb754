"""The notifier `slack`: an incoming webhook of Slack, or of what speaks its protocol (Mattermost).

Source: https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks and /reference/block-kit/blocks. What
logs say stands in blocks of `plain_text`, in which nothing is a mention, a link or a format; &, < and > are told as
entities all the same, as Slack asks for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from analysis.engine.lines import shown
from analysis.notifiers import http, text
from analysis.notifiers.text import Tongue
from duolog.plugins.options import option
from duolog.plugins.points import Notifier, Rate
from duolog.plugins.types import Alert, NotDelivered, Reason

BLOCKS = 50
"""Blocks of a message at most."""


@dataclass(frozen=True)
class Options:
    """The webhook's address, which is its key."""

    url: str = option(
        label=Reason("Address of the webhook"), hint=Reason("Such as https://hooks.slack.com/services/…"), secret=True
    )
    language: Tongue = option("", label=Reason("Language"))

    def __post_init__(self) -> None:
        http.checked(self.url)


class Slack(Notifier):
    """Posts one message for all alerts."""

    Options = Options
    rate = Rate(messages=60, burst=1)

    def send(self, alerts: Sequence[Alert]) -> None:
        """Post it; Slack says `ok`."""
        answer = http.post(http.checked(self.options.url), http.encoded(message(alerts, self.options.language)))
        if answer.strip() != b"ok":
            raise NotDelivered(Reason("Slack did not take it: %(said)s", said=http.said(answer)))


def message(alerts: Sequence[Alert], language: Tongue) -> dict[str, Any]:
    """Return the message: a heading, two blocks an alert, and how many more there are."""
    told, title = text.words(language), text.lead(alerts, language)
    blocks: list[dict[str, Any]] = [{"type": "header", "text": _plain(title)}]
    most = (BLOCKS - 2) // 2
    for alert in alerts[:most]:
        blocks.append({"type": "section", "text": _plain("\n".join(text.lines(alert, language, escaped)))})
        if alert.url:
            link = {"type": "mrkdwn", "text": f"<{alert.url}|{told['open']}>", "verbatim": True}
            blocks.append({"type": "context", "elements": [link]})
    if len(alerts) > most:
        blocks.append({"type": "section", "text": _plain(told["more"].format(len(alerts) - most))})
    # Shown where blocks are not, such as in notifications.
    first = f": {text.heading(alerts[0], language, escaped)}" if len(alerts) == 1 else ""
    return {"text": title + first, "mrkdwn": False, "parse": "none", "unfurl_links": False, "blocks": blocks}


def escaped(words: str) -> str:
    """Return a text on one line, with entities for what Slack reads as the beginning of a mention or a link."""
    return shown(words).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _plain(words: str) -> dict[str, Any]:
    return {"type": "plain_text", "text": words, "emoji": False}
