"""The notifier `email`: one message in plain text for all alerts, by a mail server of one's own.

A password leaves only over TLS, whose certificate is verified. `Message-ID` is the same however often the same alerts
are sent, which many mail servers use to drop doubles.
"""

from __future__ import annotations

import re
import smtplib
import socket
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Any, Literal

from analysis.engine.lines import cut, shown
from analysis.notifiers import text
from analysis.notifiers.text import Tongue
from analysis.notifiers.webhook import key
from duolog import addresses
from duolog.addresses import AddressRefused
from duolog.plugins.options import option
from duolog.plugins.points import Notifier, Rate
from duolog.plugins.types import Alert, NotDelivered, Reason

SECONDS = 10.0
"""Seconds that each step of the dialogue with a server may take."""
MOST = 200
"""Alerts of a message."""
ADDRESS = re.compile(r"[^\s@<>,;:\"()]+@[^\s@<>,;:\"()]+", re.ASCII)


@dataclass(frozen=True)
class Options:
    """The mail server, who may send there, from whom and to whom."""

    host: str = option(label=Reason("Mail server"), target=True)
    sender: str = option(label=Reason("Sender"), hint=Reason("Such as duolog@example.com."))
    recipients: tuple[str, ...] = option(
        label=Reason("Recipients"), hint=Reason("Addresses, with commas between them.")
    )
    port: int = option(587, label=Reason("Port"), target=True)
    security: Literal["starttls", "tls", "none"] = option(
        "starttls",
        label=Reason("Encryption"),
        hint=Reason("starttls on port 587, tls from the first byte on port 465; a password needs one of them."),
        target=True,
    )
    user: str = option("", label=Reason("User"), hint=Reason("Empty: it asks for none."))
    password: str = option("", label=Reason("Password"), secret=True)
    language: Tongue = option("", label=Reason("Language"))

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[A-Za-z0-9.:_-]+", self.host):
            raise ValueError(Reason("host is no name of a mail server"))
        if not 0 < self.port < 65536:
            raise ValueError(Reason("port is no number from 1 to 65535"))
        if not self.recipients:
            raise ValueError(Reason("recipients is empty; name an address"))
        for address in (self.sender, *self.recipients):
            if not ADDRESS.fullmatch(address):
                raise ValueError(Reason("%(address)s is no address of the form name@example.com", address=address))
        if self.user and self.security == "none":
            raise ValueError(Reason("a password is not sent without encryption; choose starttls or tls"))


class Email(Notifier):
    """Sends one message to all recipients."""

    Options = Options
    rate = Rate(messages=30, burst=5)

    def send(self, alerts: Sequence[Alert]) -> None:
        """Send it; a recipient that the server refuses is told, though the others have got it."""
        host = self.options.host
        try:
            refused = self._send(message(alerts, self.options))
        except AddressRefused as error:
            raise NotDelivered(error.reason) from None
        except smtplib.SMTPRecipientsRefused as error:
            refused = error.recipients
        except smtplib.SMTPResponseException as error:
            told = error.smtp_error.decode("utf-8", "replace") if isinstance(error.smtp_error, bytes) else ""
            reason = Reason(
                "%(host)s answers %(status)s: %(said)s", host=host, status=error.smtp_code, said=_said(told)
            )
            raise NotDelivered(reason, permanent=error.smtp_code >= 500) from None
        except smtplib.SMTPNotSupportedError as error:  # no STARTTLS, no AUTH
            reason = Reason("%(host)s cannot be used: %(error)s", host=host, error=_said(str(error)))
            raise NotDelivered(reason, permanent=True) from None
        except (smtplib.SMTPException, OSError, UnicodeError) as error:
            reason = Reason("%(host)s cannot be reached: %(error)s", host=host, error=_said(str(error)))
            raise NotDelivered(reason) from None
        if refused:
            final = all(code >= 500 for code, _said in refused.values())
            told = ", ".join(f"{name}: {code}" for name, (code, _said) in refused.items())
            # Those that were taken would get it twice.
            final = final or len(refused) < len(self.options.recipients)
            raise NotDelivered(Reason("these recipients were refused: %(said)s", said=_said(told)), permanent=final)

    def _send(self, mail: EmailMessage) -> dict[str, tuple[int, bytes]]:
        options, context = self.options, ssl.create_default_context()
        server: smtplib.SMTP
        if options.security == "tls":
            server = _GuardedTls(options.host, options.port, timeout=SECONDS, context=context)
        else:
            server = _Guarded(options.host, options.port, timeout=SECONDS)
        with server:
            if options.security == "starttls":
                server.starttls(context=context)
            if options.user:
                server.login(options.user, options.password)
            return server.send_message(mail, options.sender, list(options.recipients))


class _Guarded(smtplib.SMTP):
    """Connects to addresses that are open to users."""

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        return addresses.connect(host, port, timeout=timeout)


class _GuardedTls(smtplib.SMTP_SSL):
    """The same, encrypted from the first byte."""

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        return self.context.wrap_socket(addresses.connect(host, port, timeout=timeout), server_hostname=host)


def message(alerts: Sequence[Alert], options: Any) -> EmailMessage:
    """Return the mail."""
    language, told = options.language, text.words(options.language)
    first = f": {text.heading(alerts[0], language)}" if len(alerts) == 1 else ""
    parts = ["\n".join([*text.lines(alert, language), *([alert.url] if alert.url else [])]) for alert in alerts[:MOST]]
    if len(alerts) > MOST:
        parts.append(told["more"].format(len(alerts) - MOST))
    mail = EmailMessage()
    mail["Subject"] = text.lead(alerts, language) + first
    mail["From"], mail["To"] = options.sender, ", ".join(options.recipients)
    mail["Date"] = format_datetime(datetime.now(UTC))
    mail["Message-ID"] = f"<{key(alerts)}@{options.sender.partition('@')[2]}>"
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content("\n\n".join(parts) + "\n")
    return mail


def _said(words: str) -> str:
    return cut(shown(words), 300)
