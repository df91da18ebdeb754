"""The notifier `alertmanager`: Prometheus' Alertmanager, which then groups, silences and passes on as it is set up to.

Source: its OpenAPI, https://github.com/prometheus/alertmanager/blob/main/api/v2/openapi.yaml. It forgets what is not
told again, so firing alerts are, and each says until when it holds: a Duolog that is gone leaves nothing burning.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from analysis.notifiers import http
from analysis.notifiers.text import Tongue
from analysis.notifiers.webhook import moment, notes
from duolog.plugins.options import option
from duolog.plugins.points import Notifier, Rate
from duolog.plugins.types import Alert, Reason

HOLDS = timedelta(minutes=5)
"""How long a firing alert holds unless it is told again; Alertmanager's own `resolve_timeout` by default."""


@dataclass(frozen=True)
class Options:
    """Where Alertmanager is, and who may post there, if it asks."""

    url: str = option(
        label=Reason("Address"),
        hint=Reason("Of Alertmanager itself, such as http://alertmanager:9093; everybody in the project can read it."),
        target=True,
    )
    user: str = option("", label=Reason("User"), hint=Reason("Empty: it asks for none."))
    password: str = option("", label=Reason("Password"), secret=True)
    language: Tongue = option("", label=Reason("Language"))

    def __post_init__(self) -> None:
        if any(sign in http.checked(self.url) for sign in "?#"):
            raise ValueError(Reason("the address holds a ? or #, which have no place there"))


class Alertmanager(Notifier):
    """Posts all alerts as one array."""

    Options = Options
    rate = Rate(messages=120, burst=10)
    repeat = 120.0

    def send(self, alerts: Sequence[Alert]) -> None:
        """Post them, firing or resolved."""
        holds = datetime.now(UTC) + HOLDS
        told = [
            {
                "labels": dict(alert.labels),
                "annotations": notes(alert, self.options.language),
                "startsAt": moment(alert.started),
                "endsAt": moment(alert.ended or holds),
                "generatorURL": alert.url,
            }
            for alert in alerts
        ]
        headers = {}
        if self.options.user:
            named = b64encode(f"{self.options.user}:{self.options.password}".encode()).decode()
            headers["Authorization"] = f"Basic {named}"
        http.post(f"{http.checked(self.options.url).rstrip('/')}/api/v2/alerts", http.encoded(told), headers=headers)
