"""Mail, to a real server on loopback: what arrives, how it is protected on its way, and what a refusal means."""

from __future__ import annotations

import email
import socket
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword
from alert_receiver import alert
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from duolog.plugins import guard, registry
from duolog.plugins.options import OptionsError
from duolog.plugins.types import NotDelivered

PASSWORD = "mail-passw0rd"


class Box:
    """Takes mail for everybody but those whom it does not know."""

    def __init__(self) -> None:
        self.mails: list[tuple[str, list[str], EmailMessage]] = []
        self.data = "250 ok"

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:
        if address.startswith("nobody"):
            return "550 no such mailbox"
        if address.startswith("full"):
            return "452 the mailbox is full"
        envelope.rcpt_tos.append(address)
        return "250 ok"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        told = email.message_from_bytes(envelope.content, policy=default)
        assert isinstance(told, EmailMessage)
        self.mails.append((envelope.mail_from, envelope.rcpt_tos, told))
        return self.data


def _check(server: Any, session: Any, envelope: Any, mechanism: str, told: Any) -> AuthResult:
    good = isinstance(told, LoginPassword) and (told.login, told.password) == (b"duolog", PASSWORD.encode())
    return AuthResult(success=good, handled=good)


def free() -> int:
    """A port that nobody listens on; the controller cannot choose one itself."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate of localhost that nobody but the tests trusts, and its key."""
    folder = tmp_path_factory.mktemp("tls")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(x509.random_serial_number()).not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    (folder / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return folder / "cert.pem", folder / "key.pem"


@pytest.fixture(params=["starttls", "tls"])
def server(request: pytest.FixtureRequest, certificate: tuple[Path, Path], monkeypatch: Any) -> Iterator[Any]:
    """A mail server that wants TLS and a password."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    ways = {
        "starttls": {"tls_context": context, "require_starttls": True},
        "tls": {"ssl_context": context, "auth_require_tls": False},
    }
    box = Box()
    made = Controller(
        box, hostname="127.0.0.1", port=free(), auth_required=True, authenticator=_check, **ways[request.param]
    )
    made.start()
    options = {
        "host": "localhost", "port": made.port, "security": request.param,
        "user": "duolog", "password": PASSWORD, "sender": "duolog@example.com",
        "recipients": "ops@example.com, oncall@example.com", "language": "zh",
    }  # fmt: skip
    yield box, options
    made.stop()


@pytest.fixture
def plain() -> Iterator[Any]:
    """A mail server that asks for nothing."""
    box = Box()
    made = Controller(box, hostname="127.0.0.1", port=free())
    made.start()
    yield (
        box,
        {"host": "localhost", "port": made.port, "security": "none", "sender": "duolog@example.com", "language": "en"},
    )
    made.stop()


@pytest.fixture(autouse=True)
def _near(settings):
    settings.PRIVATE_ADDRESSES = ["localhost"]


def send(options: dict[str, Any], *alerts: Any, **others: Any) -> None:
    guard.call(registry.create("duolog.notifiers", "email", options | others), "send", alerts or (alert(),))


def test_a_mail_arrives_over_tls_with_a_password(server):
    box, options = server
    send(options, alert(1), alert(2, kind="resolved", title="慢查询\r\nBcc: evil@example.com", ended=datetime.now(UTC)))
    ((sender, recipients, mail),) = box.mails
    assert (sender, recipients) == ("duolog@example.com", ["ops@example.com", "oncall@example.com"])
    assert mail["Subject"] == "Duolog · 1 条告警，1 条已解决"
    assert mail["To"] == "ops@example.com, oncall@example.com" and mail["Bcc"] is None
    assert mail["Auto-Submitted"] == "auto-generated"
    body = mail.get_content()
    assert "高：timeout (超时异常)\n服务 checkout" in body and "已解决：慢查询⏎Bcc" in body
    assert "https://duolog.example.com/admin/analysis/finding/1/change/" in body


def test_a_certificate_that_nobody_vouches_for_is_refused(server, monkeypatch):
    box, options = server
    monkeypatch.delenv("SSL_CERT_FILE")
    with pytest.raises(NotDelivered, match=r"(?i)certificate") as told:
        send(options)
    assert not told.value.permanent and not box.mails


def test_a_wrong_password_is_final_and_told_to_nobody(server):
    box, options = server
    with pytest.raises(NotDelivered, match="answers 535") as told:
        send(options, password="wr0ng-password")
    assert told.value.permanent and not box.mails
    assert "wr0ng" not in told.value.reason


def test_one_alert_is_named_in_the_subject_and_doubles_are_known_by_their_id(plain):
    box, options = plain
    for _ in range(2):
        send(options, alert(title="a\nb" + "长" * 300), recipients="ops@example.com")
    send(options, alert(2), recipients="ops@example.com")
    first, again, other = (mail for *_, mail in box.mails)
    assert first["Subject"].startswith("Duolog · 1 alert: high: a⏎b长") and len(first["Subject"].encode()) < 300
    assert first["Message-ID"] == again["Message-ID"] != other["Message-ID"]
    assert first["Message-ID"].endswith("@example.com>")


def test_more_alerts_than_anybody_reads_are_counted(plain):
    box, options = plain
    send(options, *(alert(number) for number in range(210)), recipients="ops@example.com")
    assert "… and 10 more" in box.mails[0][2].get_content()


@pytest.mark.parametrize(
    ("recipients", "permanent", "arrived"),
    [
        ("nobody@example.com", True, 0),
        ("full@example.com", False, 0),
        ("full@example.com,ops@example.com", True, 1),  # again, ops would have it twice
    ],
)
def test_recipients_that_are_refused_are_told(plain, recipients, permanent, arrived):
    box, options = plain
    with pytest.raises(NotDelivered, match=r"refused: (nobody|full)@example.com: (550|452)") as told:
        send(options, recipients=recipients)
    assert (told.value.permanent, len(box.mails)) == (permanent, arrived)


@pytest.mark.parametrize(("said", "permanent"), [("451 later", False), ("554 never", True)])
def test_a_message_that_is_refused(plain, said, permanent):
    box, options = plain
    box.data = said
    with pytest.raises(NotDelivered, match=f"answers {said[:3]}: {said[4:]}") as told:
        send(options, recipients="ops@example.com")
    assert told.value.permanent is permanent


def test_a_server_without_tls_gets_no_mail_that_was_to_be_encrypted(plain):
    box, options = plain
    with pytest.raises(NotDelivered, match="STARTTLS") as told:
        send(options, recipients="ops@example.com", security="starttls")
    assert told.value.permanent and not box.mails


def test_a_private_mail_server_must_be_allowed(plain, settings):
    settings.PRIVATE_ADDRESSES = []
    box, options = plain
    with pytest.raises(NotDelivered, match="DUOLOG_PRIVATE_ADDRESSES"):
        send(options, recipients="ops@example.com")
    assert not box.mails


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"host": "mail example"}, "no name of a mail server"),
        ({"port": 0}, "port"),
        ({"recipients": ""}, "no address"),
        ({"recipients": []}, "recipients is empty"),
        ({"recipients": "ops"}, "'?ops'? is no address"),
        ({"sender": "a@b\r\nBcc: c@d"}, "is no address"),
        ({"security": "none", "user": "u"}, "not sent without encryption"),
    ],
)
def test_options_that_make_no_sense(wrong, said):
    good = {"host": "mail.example.com", "sender": "a@example.com", "recipients": "b@example.com"}
    with pytest.raises(OptionsError, match=said):
        registry.create("duolog.notifiers", "email", good | wrong)
