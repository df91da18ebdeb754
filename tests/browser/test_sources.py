"""Lines arrive and findings appear before one's eyes, in a real Chromium."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from tenants import EVIL, make_tenant

from analysis.models import Finding
from detection.models import Score
from duolog.models import ApiToken
from duolog.plugins.types import BadRecord
from logs import storage
from logs.engine.chunks import Lines
from logs.models import RejectedRecord, Source

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def send(source: Source, text: str, bad: int = 0) -> None:
    """Store a line as a receiver would."""
    rejected = [BadRecord(n, "not valid JSON", f'{{"msg": {n} {EVIL}') for n in range(bad)]
    lines = Lines([text], [1764000000.0], ["shop"], ["info"], [""], [0])
    storage.store(source, lines, rejected, receiver="ingest", redacted=Counter({"email": 1}))


def test_from_a_new_source_to_its_first_line(page: Any, tmp_path: Path) -> None:
    tenant = make_tenant("ours")
    page.goto("/admin/logs/source/")
    page.get_by_role("link", name="New source").click()
    page.fill("[name=name]", "checkout")
    page.get_by_role("button", name="Make the source").click()
    page.wait_for_selector("text=Send your first logs")
    source = Source.objects.get(name="checkout")
    assert source.project == tenant.project
    page.screenshot(path=tmp_path / "empty.png", full_page=True)
    page.fill("input[name=name]", "vector@web-1")
    page.get_by_role("button", name="Issue a token").click()
    text = page.inner_text("p.copied")
    assert text.startswith("duo_") and text in page.inner_text("details[open] pre")
    assert ApiToken.objects.get(name="vector@web-1").source == "checkout"
    page.locator("summary:has-text('rsyslog')").focus()
    page.keyboard.press("Enter")
    assert f'pwd="{text}"' in page.inner_text("details[open] pre")
    page.screenshot(path=tmp_path / "token.png", full_page=True)
    send(source, "the first line", bad=2)
    page.wait_for_selector("text=the first line")
    assert "Last batch" in page.inner_text("#live")
    page.goto(page.url.replace("token/", "change/"))
    assert text not in page.content()
    page.screenshot(path=tmp_path / "arrived.png", full_page=True)
    page.get_by_role("button", name="Replay record").first.click()
    page.wait_for_selector("text=1 record is a line now.")
    page.get_by_role("button", name="Delete all").click()
    page.wait_for_selector("text=1 record is deleted.")
    assert not RejectedRecord.objects.filter(receipt__source=source).exists()
    page.get_by_role("link", name="Change", exact=True).click()
    page.select_option("[name=by]", "count")
    page.fill("[name=stride]", "50")
    page.screenshot(path=tmp_path / "form.png", full_page=True)
    page.get_by_role("button", name="Save").click()
    page.wait_for_selector("text=a stride is at most as long as its window")
    page.fill("[name=stride]", "5")
    page.get_by_role("button", name="Save").click()
    page.wait_for_selector("text=20 lines are a sequence, and a new one begins every 5 lines.")


def test_what_is_shown_is_not_drawn_anew_for_nothing(page: Any) -> None:
    tenant = make_tenant("ours")
    page.goto(f"/admin/logs/source/{tenant.source.pk}/change/")
    with page.expect_response("**/live/*"):
        pass
    page.wait_for_selector("#live input[name=seen]", state="attached")
    page.evaluate("document.querySelector('#live section').dataset.mark = 'kept'")
    with page.expect_response(lambda got: "/live/" in got.url and got.status == 204):
        pass
    assert page.locator("#live section[data-mark=kept]").count() == 1


@pytest.mark.parametrize("path", ["", "analysis/finding/"])
def test_a_finding_appears_without_a_reload(page: Any, path: str, tmp_path: Path) -> None:
    tenant = make_tenant("ours")
    page.goto(f"/admin/{path}")
    page.evaluate("window.same = true")
    score = Score.objects.create(scan=tenant.scan, sequence=tenant.sequences[2], value=0.77, anomalous=True)
    made = Finding.objects.create(project="ours", score=score, sequence=score.sequence, model="m")
    page.wait_for_selector(f"a:text-is('#{made.pk}')")
    assert page.evaluate("window.same")
    page.screenshot(path=tmp_path / "findings.png")


def test_a_list_that_somebody_walks_through_stays_until_they_leave(page: Any) -> None:
    tenant = make_tenant("ours")
    page.goto("/admin/analysis/finding/")
    page.focus("#result_list tbody a")
    score = Score.objects.create(scan=tenant.scan, sequence=tenant.sequences[2], value=0.77, anomalous=True)
    made = Finding.objects.create(project="ours", score=score, sequence=score.sequence, model="m")
    page.wait_for_selector(f"#newest:has-text('#{made.pk}')")
    assert page.locator("#result_list").get_by_text(f"#{made.pk}").count() == 0
    assert page.evaluate("document.activeElement.closest('#result_list') !== null")


def test_pages_of_a_source_fit_a_phone(page: Any, tmp_path: Path) -> None:
    tenant = make_tenant("ours")
    send(tenant.source, "x" * 300, bad=3)
    page.set_viewport_size({"width": 390, "height": 844})
    for number, path in enumerate(
        ["logs/source/", f"logs/source/{tenant.source.pk}/change/", f"logs/source/{tenant.source.pk}/edit/",
         "start/source/", "analysis/finding/"]
    ):  # fmt: skip
        page.goto(f"/admin/{path}")
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        page.screenshot(path=tmp_path / f"phone-{number}.png", full_page=True)
        assert wide <= 0, path
