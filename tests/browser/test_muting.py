"""Mute rules on the console, by keyboard, in a real Chromium."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from items import make_item
from tenants import make_tenant

from analysis.models import Item, MuteRule

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def test_a_rule_is_tried_while_one_types_made_and_ended_by_keyboard(page: Any, tmp_path: Path) -> None:
    make_tenant("ours")
    make_item("ours", entries=["denied user=17"], service="cart", findings=4, state="confirmed")
    item = make_item("ours", entries=["denied user=18 again"], service="cart", findings=3)
    page.goto("/admin/")
    page.get_by_role("link", name="Mute rules").click()
    page.get_by_role("link", name="New mute rule").press("Enter")
    page.wait_for_selector("text=Name a service, a type")
    page.type("[name=service]", "cart")
    page.wait_for_selector("text=This rule would have hidden 1 confirmed incident.")
    page.screenshot(path=tmp_path / "warned.png", full_page=True)
    page.type("[name=expression]", "user=18")
    page.wait_for_selector("#test dd:has-text('3')")
    assert not page.get_by_text("confirmed incident").count()
    page.fill("[name=expression]", "")
    page.wait_for_selector("text=This rule would have hidden 1 confirmed incident.")
    page.get_by_label("Hide what is like them even so").press("Space")
    page.fill("[name=reason]", "the cart is being rebuilt")
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.screenshot(path=tmp_path / "phone.png", full_page=True)
    page.get_by_role("button", name="Mute it").press("Enter")
    page.wait_for_selector("text=The rule holds from now on.")
    assert Item.objects.get(pk=item.pk).state == "muted"
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.screenshot(path=tmp_path / "rule.png", full_page=True)
    page.get_by_role("button", name="End it").press("Enter")
    page.wait_for_selector("text=The rule has ended.")
    assert MuteRule.objects.latest("pk").ended_why == "person"
    page.set_viewport_size({"width": 1280, "height": 900})
    page.goto("/admin/analysis/muterule/")
    page.screenshot(path=tmp_path / "list.png", full_page=True)
