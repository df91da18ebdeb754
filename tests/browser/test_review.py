"""Items are reviewed in a real Chromium with the keyboard alone, and on a phone."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from reviewing import blind
from scenes import shop

from analysis.models import Item

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

QUEUE = "/admin/analysis/item/"
SOON = 0.1
"""Seconds within which the next item is there."""


def number(page: Any) -> int:
    """The number of the item that is shown."""
    return int(page.locator(".sheet").get_attribute("data-item"))


def press(page: Any, *keys: str) -> None:
    for key in keys:
        page.keyboard.press(key)


def begin(page: Any) -> None:
    """Start reviewing, by keyboard."""
    page.goto(QUEUE)
    page.locator("#begin").press("Enter")
    page.wait_for_url(re.compile(r"/review/\d+/"))


def gone_on(page: Any, item: int) -> None:
    """Wait until another item is shown, or the queue, where none is left."""
    page.wait_for_function(
        "item => document.querySelector('.sheet')?.dataset.item !== String(item)", arg=item, polling=10
    )


def test_screens(page: Any, account: Any, tmp_path: Path) -> None:
    items = shop(30)
    Item.objects.filter(pk=items[2].pk).update(doubted=True)
    blind(2)
    ada = account("ada", "engineer")
    ada.goto(QUEUE)
    ada.screenshot(path=tmp_path / "queue.png")
    begin(ada)
    ada.wait_for_timeout(800)
    ada.screenshot(path=tmp_path / "review.png")
    press(ada, "?")
    ada.screenshot(path=tmp_path / "help.png")
    press(ada, "Escape", "0")
    ada.screenshot(path=tmp_path / "types.png")
