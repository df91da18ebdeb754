"""Redaction on the console, by keyboard, in a real Chromium."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from tenants import make_tenant

from logs import storage
from logs.engine.chunks import Lines
from logs.models import RedactionRule

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def test_rules_are_set_tried_and_deleted_by_keyboard(page: Any, tmp_path: Path) -> None:
    tenant = make_tenant("ours")
    counts = Counter({"email": 1234, "phone": 56, "badge": 7})
    storage.store(tenant.source, Lines([], [], [], [], [], []), [], receiver="x", redacted=counts)
    page.goto("/admin/")
    page.get_by_role("link", name="Redaction").click()
    page.wait_for_url("**/redaction/ours/")
    page.get_by_role("button", name="Measure recall and precision").press("Enter")
    page.wait_for_selector("text=planted secrets found")
    page.get_by_label("What becomes of E-mail addresses").select_option("hash")
    page.get_by_role("button", name="Save E-mail addresses").press("Enter")
    page.wait_for_selector("text=It holds for lines that come from now on")
    assert RedactionRule.objects.get(kind="email").strategy == "hash"
    page.fill("[name=kind]:visible", "employee")
    page.fill("[name=pattern]", "emp-(?=x)")
    page.press("[name=pattern]", "Enter")
    page.wait_for_selector("text=the pattern is invalid")
    page.fill("[name=pattern]", r"(?i)emp-\d{6}")
    page.press("[name=pattern]", "Enter")
    page.wait_for_selector("th:has-text('employee')")
    page.fill("[name=text]", "EMP-123456 wrote to a@example.com\nand nobody else")
    page.get_by_role("button", name="Redact it").press("Enter")
    page.wait_for_selector("pre:has-text('[REDACTED:employee] wrote to [email:')")
    page.screenshot(path=tmp_path / "tried.png", full_page=True)
    page.get_by_role("button", name="Measure recall and precision").press("Enter")
    page.wait_for_selector("text=planted secrets found")
    assert page.evaluate(
        "(table => table.scrollWidth <= table.parentElement.clientWidth)(document.querySelector('table'))"
    )
    page.screenshot(path=tmp_path / "wide.png", full_page=True)
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.screenshot(path=tmp_path / "phone.png", full_page=True)
    page.get_by_role("button", name="Delete employee").press("Enter")
    page.wait_for_selector("text=The rule is deleted.")
    assert not RedactionRule.objects.filter(kind="employee").exists()
