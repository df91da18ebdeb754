"""The notifier `webhook`: the body of Alertmanager's webhook, version 4, signed; bridges made for that one work.

Source of the form: https://prometheus.io/docs/alerting/latest/configuration/#webhook_config and Alertmanager's
`template.Data`. Receivers check `X-Signature` (docs/alerts.md), and drop what they have seen by `Idempotency-Key`.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from analysis.notifiers import http, text
from analysis.notifiers.text import Tongue
from duolog.plugins.options import option
from duolog.plugins.points import Notifier, Rate
from duolog.plugins.types import Alert, Reason

MOST = 200
"""Alerts of a message; of more it says how many there were."""
NEVER = "0001-01-01T00:00:00Z"
"""How Alertmanager says that something has not ended."""


@dataclass(frozen=True)
class Options:
    """Where to send to, with what key to sign, and the language of annotations."""

    url: str = option(
        label=Reason("Address"),
        hint=Reason("Such as https://example.com/hook; it often holds a key, so nobody can read it again."),
        secret=True,
    )
    secret: str = option(
        label=Reason("Key of the signature"),
        hint=Reason("The receiver checks the header X-Signature with it; at least 8 characters."),
        secret=True,
    )
    language: Tongue = option("", label=Reason("Language"))

    def __post_init__(self) -> None:
        http.checked(self.url)
        if len(self.secret) < 8:
            raise ValueError(Reason("the key of the signature has fewer than 8 characters"))


class Webhook(Notifier):
    """Sends all alerts as one document."""

    Options = Options
    rate = Rate(messages=60, burst=10)

    def send(self, alerts: Sequence[Alert]) -> None:
        """POST the document, with its signature and a key that the same alerts always have."""
        body = http.encoded(document(alerts, self.options.language))
        headers = {"X-Signature": signature(self.options.secret, body), "Idempotency-Key": key(alerts)}
        http.post(http.checked(self.options.url), body, headers=headers)


def signature(secret: str, body: bytes) -> str:
    """Return the value of `X-Signature`: HMAC-SHA256 of the body's very bytes, in hexadecimal."""
    return f"sha256={hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()}"


def key(alerts: Sequence[Alert]) -> str:
    """Return what the same alerts have in common however often they are sent."""
    return hashlib.sha256("\n".join(sorted(alert.id for alert in alerts)).encode()).hexdigest()[:32]


def document(alerts: Sequence[Alert], language: Tongue) -> dict[str, Any]:
    """Return alerts as Alertmanager's webhook tells them."""
    told = [_alert(alert, language) for alert in alerts[:MOST]]
    firing = any(alert.kind == "firing" for alert in alerts)
    projects = {"project": alerts[0].project} if alerts else {}
    groups = ",".join(f'{name}="{value}"' for name, value in projects.items())
    return {
        "version": "4",
        "groupKey": f"{{}}:{{{groups}}}",
        "truncatedAlerts": max(0, len(alerts) - MOST),
        "status": "firing" if firing else "resolved",
        "receiver": "duolog",
        "groupLabels": projects,
        "commonLabels": _common([one["labels"] for one in told]),
        "commonAnnotations": _common([one["annotations"] for one in told]),
        "externalURL": "/".join(alerts[0].url.split("/")[:3]) if alerts else "",
        "alerts": told,
    }


def notes(alert: Alert, language: Tongue) -> dict[str, str]:
    """Return what people read about an alert."""
    return {
        "summary": text.heading(alert, language),
        "description": text.summary(alert, language) or text.facts(alert, language),
    }


def moment(at: datetime) -> str:
    """Return a time as RFC 3339 has it."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def fingerprint(labels: Mapping[str, str]) -> str:
    """Return Prometheus' name of a set of labels: FNV-1a, 64 bits, of names and values in order, 0xFF after each."""
    found = 0xCBF29CE484222325
    for name, value in sorted(labels.items()):
        for byte in b"%s\xff%s\xff" % (name.encode(), value.encode()):
            found = (found ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return f"{found:016x}"


def _alert(alert: Alert, language: Tongue) -> dict[str, Any]:
    labels = dict(alert.labels)
    return {
        "status": alert.kind,
        "labels": labels,
        "annotations": notes(alert, language),
        "startsAt": moment(alert.started),
        "endsAt": moment(alert.ended) if alert.ended else NEVER,
        "generatorURL": alert.url,
        "fingerprint": fingerprint(labels),
    }


def _common(found: Sequence[Mapping[str, str]]) -> dict[str, str]:
    first, *rest = found or [{}]
    return {name: value for name, value in first.items() if all(other.get(name) == value for other in rest)}
