"""A notifier as a stranger would write it, and ones that do what they must not."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass

from duolog.plugins.options import option
from duolog.plugins.points import Notifier, Rate
from duolog.plugins.types import Alert, NotDelivered, Reason

MOST = 50


@dataclass(frozen=True)
class Options:
    url: str = option(label=Reason("Address"), target=True)
    key: str = option("", label=Reason("Key"), secret=True)


class Pager(Notifier):
    """Posts titles as a JSON list."""

    Options = Options
    options: Options
    rate = Rate(messages=10, burst=2)

    def send(self, alerts: Sequence[Alert]) -> None:
        told = [{"id": alert.id, "title": alert.title[:100], "kind": alert.kind} for alert in alerts[:MOST]]
        request = urllib.request.Request(self.options.url, json.dumps(told).encode(), {"X-Key": self.options.key})
        try:
            with urllib.request.urlopen(request, timeout=5):
                pass
        except urllib.error.HTTPError as error:
            wait = error.headers.get("Retry-After")
            final = error.code < 500 and error.code != 429
            raise NotDelivered(
                f"HTTP {error.code}", retry_after=float(wait) if wait else None, permanent=final
            ) from error
        except OSError as error:
            raise NotDelivered(str(error)) from error


class TalksBack(Pager):
    """Returns what it should raise."""

    def send(self, alerts: Sequence[Alert]) -> None:
        return "not delivered"  # type: ignore[return-value]


class TellsItsKey(Pager):
    """Raises what holds its key."""

    def send(self, alerts: Sequence[Alert]) -> None:
        if alerts[0].title == "gone":
            raise NotDelivered(f"the key {self.options.key} is unknown", permanent=True)
        raise RuntimeError(f"cannot connect with {self.options.key}")
