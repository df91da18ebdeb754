"""A finding is explained before one's eyes, in a real Chromium: by a worker, in both languages, line by line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tenants import EVIL, make_tenant

from analysis.models import AnomalyReport, Finding
from logs.models import Sequence
from workers.models import Run

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

LINES = [
    "checkout-7 INFO order 4711 accepted, 3 items",
    "checkout-7 WARN payment-gateway did not answer within 3000 ms, attempt 1",
    "checkout-7 WARN payment-gateway did not answer within 3000 ms, attempt 2",
    f"checkout-7 ERROR order 4711 failed: {EVIL} \x1b[31mtimeout\x1b[0m",
    "checkout-7 INFO order 4711 rolled back",
]
TEXTS = {
    "en": {
        "summary": "Order 4711 failed because payment-gateway did not answer within 3000 ms, twice, in lines 2 and 3.",
        "root_cause": "payment-gateway was slow or not reachable; line 4 says “timeout”.",
        "recommendations": ["Look at the health of payment-gateway.", "Search its log for “order 4711”."],
    },
    "zh": {
        "summary": "订单 4711 失败：payment-gateway 两次未在 3000 ms 内应答，见第2、3行。",
        "root_cause": "payment-gateway 响应缓慢或不可达；第4行写明“timeout”。",
        "recommendations": ["检查 payment-gateway 的健康状态。", "在其日志中查找“order 4711”。"],
    },
}


def explained(tenant: Any) -> Finding:
    """A finding with a whole report, grounded as a run would."""
    import msgspec

    from analysis.engine import grounding, schema
    from duolog.plugins.types import LogSequence

    finding = tenant.finding
    Sequence.objects.filter(pk=finding.sequence_id).update(
        entries=LINES, length=len(LINES), times=[1764000000 + 3 * number for number in range(len(LINES))]
    )
    tenant.finding.score.__class__.objects.filter(pk=finding.score_id).update(blame=[0, 0.3, 0.25, 0.4, 0.05])
    evidence = [{"line": 2, "quote": "payment-gateway did not answer"}, {"line": 4, "quote": f"failed: {EVIL}"}]
    told = {
        "version": 1, "anomalous": True, "category": "网络", "type": "timeout", "severity": "high", "confidence": 0.92,
        "evidence": [*evidence, {"line": 1, "quote": "disk full"}], "texts": TEXTS, "grounded": 1.0,
    }  # fmt: skip
    found = grounding.check(schema.from_json(told), LogSequence("s", tuple(LINES)))
    AnomalyReport.objects.filter(finding=finding).update(
        severity="high", category="网络", evidence=evidence, texts=schema.as_json(found.report)["texts"],
        claims=[msgspec.to_builtins(each) for each in found.claims], grounded=found.share, confidence=0.92,
        prompt_tokens=812, completion_tokens=214, seconds=2.4,
    )  # fmt: skip
    return finding


def access(page: Any, key: str) -> None:
    """Press an access key; `press` of Playwright leaves out the text of the letter, by which browsers know it."""
    told = {"type": "keyDown", "modifiers": 1, "key": key, "code": f"Key{key.upper()}", "text": key}
    page.context.new_cdp_session(page).send("Input.dispatchKeyEvent", told | {"unmodifiedText": key})


def test_a_finding_is_explained_before_your_eyes(page: Any, worker: None, tmp_path: Path) -> None:
    finding = explained(make_tenant("ours"))
    AnomalyReport.objects.all().delete()
    Run.objects.update(status="succeeded")
    page.goto(f"/admin/analysis/finding/{finding.pk}/change/")
    page.wait_for_selector("text=No analyst has explained this finding yet.")
    page.screenshot(path=tmp_path / "empty.png", full_page=True)
    access(page, "x")
    page.wait_for_selector("text=is being explained")
    page.evaluate("window.same = true")
    page.wait_for_selector("#report .lead")
    assert page.evaluate("window.same")
    page.screenshot(path=tmp_path / "came.png", full_page=True)
    assert "rules" in page.inner_text("#report .tiles")
    assert page.locator("#report").get_attribute("hx-trigger") is None
    link = page.locator("#report .told a").first
    target = link.get_attribute("href")
    link.click()
    page.wait_for_url(f"**{target}")
    assert page.evaluate("line => document.querySelector(line).matches(':target')", target)
    page.get_by_role("link", name="中文").click()
    page.wait_for_selector("#report .told[lang=zh-Hans]")
    assert EVIL in page.inner_text("#line-4")


def test_a_report_is_read_in_both_languages_and_followed_to_its_lines(page: Any, tmp_path: Path) -> None:
    finding = explained(make_tenant("ours"))
    Run.objects.update(status="succeeded")
    path = f"/admin/analysis/finding/{finding.pk}/change/"
    page.goto(path)
    page.screenshot(path=tmp_path / "report-en.png", full_page=True)
    assert page.locator("#report .told a", has_text="payment-gateway").count() >= 1
    page.evaluate("window.same = true")
    page.get_by_role("link", name="中文").click()
    page.wait_for_selector("#report :text('见第')")
    page.screenshot(path=tmp_path / "switched.png")
    assert page.evaluate("window.same") and "did not answer within" not in page.inner_text("#report .told")
    page.locator("#report .told a", has_text="timeout").click()
    page.wait_for_url("**#line-4")
    assert EVIL in page.inner_text("#line-4")
    page.locator("#report summary").first.focus()
    page.keyboard.press("Enter")
    page.wait_for_selector("#report s:has-text('disk full')")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_report_fits_a_phone_and_the_list_a_screen(page: Any, scheme: str, tmp_path: Path) -> None:
    finding = explained(make_tenant("ours"))
    Run.objects.update(status="succeeded")
    page.emulate_media(color_scheme=scheme)
    paths = [f"/admin/analysis/finding/{finding.pk}/change/", "/admin/analysis/finding/", "/admin/usage/"]
    for width in (1280, 390):
        page.set_viewport_size({"width": width, "height": 844})
        for number, path in enumerate(paths):
            page.goto(path)
            page.screenshot(path=tmp_path / f"{scheme}-{width}-{number}.png", full_page=True)
            assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0, (
                path
            )
