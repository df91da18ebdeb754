"""A person walks through the console in a real Chromium: every page, both languages, live progress, the keyboard."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tenants import make_tenant

from workers.models import Line, Run

LISTS = [
    "", "analysis/finding/", "workers/run/", "logs/source/", "logs/dataset/", "detection/modelversion/",
    "detection/scan/", "logs/template/", "workers/worker/", "workers/worker/plugins/", "logs/project/",
    "duolog/apitoken/", "duolog/apitoken/add/", "auth/user/", "auth/user/add/", "duolog/membership/",
    "duolog/membership/add/", "usage/",
    *(f"start/{job}/" for job in ("import-data", "generate", "split", "fit-detector", "scan", "evaluate")),
    "start/measure-gap/", "start/source/",
    "start/choose-threshold/", "detection/modelversion/compare/",
]  # fmt: skip

pytestmark = [
    pytest.mark.browser,
    pytest.mark.django_db(transaction=True),
]


def pages(tenant: Any) -> list[str]:
    """Addresses of the tenant's own pages."""
    rows = {
        "analysis/finding": tenant.finding, "workers/run": tenant.run, "logs/dataset": tenant.dataset,
        "detection/modelversion": tenant.version, "detection/scan": tenant.scan, "logs/project": tenant.project,
        "logs/source": tenant.source,
        "logs/template": tenant.template,
    }  # fmt: skip
    return [f"{name}/{row.pk}/change/" for name, row in rows.items()]


def test_every_page_in_both_languages(page, tmp_path):
    tenant = make_tenant("ours")
    Run.objects.update(status="succeeded")  # a finished run asks for nothing in the background
    for language, word in [("en", "Findings"), ("zh-hans", "异常发现")]:
        page.goto("/admin/")
        page.locator("div[x-data='{ openUserLinks: false }'] > div").click()
        page.locator(f"form:has(input[name=language][value='{language}']) button").click()
        page.wait_for_load_state()
        assert word in page.inner_text("#nav-sidebar-apps")
        for number, path in enumerate([*LISTS, *pages(tenant)]):
            answer = page.goto(f"/admin/{path}")
            assert answer.status == 200, path
            shot = page.screenshot(path=tmp_path / f"{language}-{number}-{path.replace('/', '-')}.png")
            assert len(shot) > 5000, path
    page.goto("/api/docs/")
    page.wait_for_selector("text=/api/v1/runs/")


def test_a_run_moves_before_your_eyes(page, until):
    run = make_tenant("ours").run
    page.goto(f"/admin/workers/run/{run.pk}/change/")
    bar = page.locator("#live progress")
    assert bar.get_attribute("value") == "3"
    Run.objects.filter(pk=run.pk).update(done=7)
    Line.objects.create(run=run, attempt=1, at=run.created_at, text="<b>loss</b> falls")
    page.wait_for_selector("#live progress[value='7']")
    assert "<b>loss</b> falls" in page.inner_text("#live .log")
    page.focus("#cancel")
    page.wait_for_timeout(1500)  # the part of the page is drawn anew, and the keyboard must not lose its place
    assert page.evaluate("document.activeElement.id") == "cancel"
    page.keyboard.press("Enter")
    page.wait_for_selector("text=asked to stop")
    until(lambda: Run.objects.get(pk=run.pk).cancel_at)
    Run.objects.filter(pk=run.pk).update(status="cancelled", finished_at=run.created_at)
    page.wait_for_selector("#again")
    assert page.locator("#live").get_attribute("hx-get") is None


def test_a_finding_is_confirmed_by_keyboard(page):
    finding = make_tenant("ours").finding
    page.goto(f"/admin/analysis/finding/{finding.pk}/change/")
    hot, cold = (
        page.locator(f"#line-{number}").evaluate("row => getComputedStyle(row).backgroundColor") for number in (2, 1)
    )
    assert hot != cold
    page.get_by_role("button", name="Confirm").focus()
    page.keyboard.press("Enter")
    page.wait_for_selector(".status.state-confirmed")
    finding.refresh_from_db()
    assert finding.state == "confirmed"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_fit_a_phone(page, scheme):
    tenant = make_tenant("ours")
    Run.objects.update(status="succeeded")
    page.set_viewport_size({"width": 390, "height": 844})
    page.emulate_media(color_scheme=scheme)
    for path in ["", *pages(tenant)]:
        page.goto(f"/admin/{path}")
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide <= 0, path


def test_an_upload_is_looked_at_changed_and_imported(page: Any, tmp_path: Path, settings: Any) -> None:
    settings.HOME = tmp_path
    tenant = make_tenant("ours")
    log = tmp_path / "app.log"
    log.write_text("".join(f"2026-11-23 19:00:{n:02d} job={n % 3} 启动\n" for n in range(30)), encoding="gb18030")
    page.goto("/admin/start/import-data/")
    page.select_option("[name=into]", value=str(tenant.project.pk))
    page.fill("[name=dataset]", "mine")
    page.set_input_files("[name=file]", log)
    page.get_by_role("button", name="Upload and look at it").click()
    page.get_by_text("gb18030").wait_for()
    page.fill("[name=set-session]", r"job=(\d)")
    page.get_by_role("button", name="Look again").click()
    page.wait_for_url("**set-session=job**")
    assert page.locator("details.sequence").count() == 3
    page.get_by_role("button", name="Import", exact=True).click()
    page.wait_for_url("**/workers/run/**")
    assert Run.objects.get(job="import-data").options["options"] == {"session": r"job=(\d)"}
