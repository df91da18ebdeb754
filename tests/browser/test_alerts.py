"""Alerts on the console, by keyboard, in a real Chromium."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from alert_receiver import Says, receiving
from tenants import make_tenant

from analysis.models import Channel

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def test_a_channel_is_set_up_tested_and_given_a_route(page: Any, tmp_path: Path, settings: Any) -> None:
    settings.PRIVATE_ADDRESSES = ["127.0.0.1"]
    make_tenant("ours").channel.delete()
    with receiving(Says(200, b'{"errcode":310000,"errmsg":"sign not match"}')) as receiver:
        page.goto("/admin/")
        page.get_by_role("link", name="Alerts").click()
        page.wait_for_selector("text=Nobody is told of anomalies yet")
        page.screenshot(path=tmp_path / "empty.png", full_page=True)
        page.get_by_role("link", name="DingTalk").press("Enter")
        page.fill("[name=name]", "oncall")
        page.fill("[name=option-url]", f"{receiver.url}/robot/send?access_token=ding-token-1")
        page.fill("[name=option-secret]", "SEC-of-ours")
        page.screenshot(path=tmp_path / "new.png", full_page=True)
        page.press("[name=option-secret]", "Enter")
        page.get_by_role("button", name="Send a test message").press("Enter")
        page.wait_for_selector("text=has not arrived: 127.0.0.1 did not take it")
        receiver.answers = [Says(200, b'{"errcode":0}')]
        page.get_by_role("button", name="Send a test message").press("Enter")
        page.wait_for_selector("text=has arrived")
        page.locator("summary", has_text="Add a route").press("Enter")
        page.fill("[name=service]", "pay-*")
        page.fill("[name=begin]", "22:00")
        page.fill("[name=end]", "06:30")
        page.screenshot(path=tmp_path / "channel.png", full_page=True)
        page.get_by_role("button", name="Add it").press("Enter")
        page.wait_for_selector("text=every day, 22:00–06:30 (UTC)")
        page.get_by_role("link", name="All of it").click()
        page.wait_for_selector("text=What was told")
        page.screenshot(path=tmp_path / "list.png", full_page=True)
        page.set_viewport_size({"width": 390, "height": 800})
        page.screenshot(path=tmp_path / "phone.png", full_page=True)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert Channel.objects.get().routes.count() == 2
    assert "SEC-of-ours" not in page.content() and "ding-token-1" not in page.content()
