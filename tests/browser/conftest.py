"""A page in a real Chromium, for tests with a live server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
PASSWORD = "a long password"


@pytest.fixture
def page(live_server: Any, monkeypatch: pytest.MonkeyPatch, settings: Any) -> Iterator[Any]:
    """A page that is logged in as a site admin; any error of a script or a request fails the test."""
    playwright = pytest.importorskip("playwright.sync_api")
    if not CHROMIUM.exists():
        pytest.skip(f"no Chromium at {CHROMIUM}")
    from django.contrib.auth.models import User
    from django.db import connection

    # The server's threads keep no connection, or the test database could not be dropped.
    monkeypatch.setitem(connection.settings_dict, "CONN_MAX_AGE", 0)
    # Playwright runs an event loop in this thread, and Django would refuse to query beside it.
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
    User.objects.create_superuser("root", password=PASSWORD)
    errors: list[str] = []
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        tab = browser.new_page(base_url=live_server.url, locale="en-US", viewport={"width": 1280, "height": 900})
        tab.on("pageerror", lambda error: errors.append(f"{tab.url}: {error}"))
        tab.on("console", lambda said: errors.append(f"{tab.url}: {said.text}") if said.type == "error" else None)
        tab.on("response", lambda got: errors.append(f"{got.url}: {got.status}") if got.status >= 400 else None)
        tab.on("request", lambda sent: errors.append(sent.url) if not sent.url.startswith(local(live_server)) else None)
        tab.goto("/")
        tab.fill("input[name=username]", "root")
        tab.fill("input[name=password]", PASSWORD)
        tab.press("input[name=password]", "Enter")
        tab.wait_for_url("**/admin/")
        yield tab
        browser.close()
    assert not errors


@pytest.fixture
def account(page: Any, live_server: Any) -> Iterator[Callable[..., Any]]:
    """A page of somebody else, in a session of their own."""
    from django.contrib.auth.models import User
    from django.test import Client

    from duolog.models import Membership

    opened = []

    def make(name: str, role: str = "reviewer", locale: str = "en-US") -> Any:
        user = User.objects.create_user(name, is_staff=True)
        Membership.objects.create(user=user, project="mine", role=role)
        client = Client()
        client.force_login(user)
        context = page.context.browser.new_context(
            base_url=live_server.url, locale=locale, viewport={"width": 1440, "height": 900}
        )
        context.add_cookies([{"name": "sessionid", "value": client.cookies["sessionid"].value, "url": live_server.url}])
        tab = context.new_page()
        tab.errors = []
        tab.on("pageerror", lambda error: tab.errors.append(str(error)))
        tab.on("response", lambda got: tab.errors.append(f"{got.url}: {got.status}") if got.status >= 400 else None)
        opened.append(tab)
        return tab

    yield make
    for tab in opened:
        assert tab.errors == []
        tab.context.close()


def local(live_server: Any) -> tuple[str, ...]:
    """Addresses that a page may load from."""
    return live_server.url, "data:", "blob:"
