"""Users have Duolog connect to no private network, whatever a name stands for, and at whichever moment."""

from __future__ import annotations

import socket
from typing import Any

import pytest
from alert_receiver import alert, receiving

from duolog import addresses
from duolog.addresses import AddressRefused
from duolog.plugins import guard, registry
from duolog.plugins.types import NotDelivered

PRIVATE = [
    "127.0.0.1", "127.1.2.3", "0.0.0.0", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.100.100.200",
    "224.0.0.1", "255.255.255.255", "::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "ff02::1",
    "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "2002:7f00:1::",
]  # fmt: skip
PUBLIC = ["1.1.1.1", "8.8.8.8", "203.119.24.1", "2606:4700:4700::1111", "64:ff9b::808:808"]


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """What names stand for: the addresses of a name are given one look after the other, the last one for ever."""
    known: dict[str, list[str]] = {}
    real = socket.getaddrinfo

    def look(host: Any, port: Any, *args: Any, **kwargs: Any) -> Any:
        if host not in known:
            return real(host, port, *args, **kwargs)
        found = known[host].pop(0) if len(known[host]) > 1 else known[host][0]
        return real(found, port, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", look)
    return known


@pytest.mark.parametrize("address", PRIVATE)
def test_private_addresses_are_closed(settings, address):
    settings.PRIVATE_ADDRESSES = []
    assert not addresses.is_open("bot.example.com", address)


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_open(settings, address):
    settings.PRIVATE_ADDRESSES = []
    assert addresses.is_open("bot.example.com", address)


def test_operators_allow_networks_and_hosts(settings):
    settings.PRIVATE_ADDRESSES = ["10.1.0.0/16", "alerts.internal", "fd00::/8"]
    assert addresses.is_open("x", "10.1.2.3") and addresses.is_open("x", "::ffff:10.1.2.3")
    assert addresses.is_open("Alerts.Internal.", "192.168.0.9")
    assert addresses.is_open("x", "fd00::5")
    assert not addresses.is_open("x", "10.2.0.1") and not addresses.is_open("evil-alerts.internal", "192.168.0.9")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "2130706433", "0x7f.1", "0"])
def test_no_spelling_of_loopback_is_connected_to(settings, host):
    settings.PRIVATE_ADDRESSES = []
    with receiving() as receiver:
        port = int(receiver.url.rpartition(":")[2])
        with pytest.raises((AddressRefused, OSError)):
            addresses.connect(host, port, timeout=2)
        channel = registry.create(
            "duolog.notifiers", "webhook", {"url": f"http://{host}:{port}/", "secret": "long enough"}
        )
        with pytest.raises(NotDelivered):
            guard.call(channel, "send", [alert()])
    assert receiver.seen == []


def test_the_reason_says_who_can_allow_it(settings):
    settings.PRIVATE_ADDRESSES = []
    with pytest.raises(AddressRefused, match=r"localhost is (127.0.0.1|::1), .* DUOLOG_PRIVATE_ADDRESSES"):
        addresses.connect("localhost", 1, timeout=2)


def test_a_name_that_changes_between_two_looks_gains_nothing(settings, names):
    """DNS rebinding: the first look is judged, and there is no second one."""
    settings.PRIVATE_ADDRESSES = ["127.0.0.2"]
    with receiving() as receiver:
        port = int(receiver.url.rpartition(":")[2])
        channel = registry.create(
            "duolog.notifiers", "webhook", {"url": f"http://rebind.test:{port}/", "secret": "long enough"}
        )
        # What is judged (127.0.0.2, where nobody listens) is what is connected to.
        names["rebind.test"] = ["127.0.0.2", "127.0.0.1"]
        with pytest.raises(NotDelivered, match="refused"):
            guard.call(channel, "send", [alert()])
        with pytest.raises(NotDelivered, match="private network"):
            guard.call(channel, "send", [alert()])
    assert receiver.seen == []


def test_a_redirect_leads_nowhere(settings):
    from alert_receiver import Says

    settings.PRIVATE_ADDRESSES = ["127.0.0.1"]
    with receiving() as inner, receiving(Says(307, b"", {"Location": f"{inner.url}/secret"})) as outer:
        channel = registry.create("duolog.notifiers", "webhook", {"url": outer.url, "secret": "long enough"})
        with pytest.raises(NotDelivered, match="answers 307") as told:
            guard.call(channel, "send", [alert()])
    assert told.value.permanent and inner.seen == []


def test_proxies_of_the_environment_are_not_asked(settings, monkeypatch):
    settings.PRIVATE_ADDRESSES = ["127.0.0.1"]
    with receiving() as receiver, receiving() as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        guard.call(
            registry.create("duolog.notifiers", "webhook", {"url": receiver.url, "secret": "long enough"}),
            "send",
            [alert()],
        )
    assert (len(receiver.seen), proxy.seen) == (1, [])
