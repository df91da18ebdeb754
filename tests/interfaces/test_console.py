"""The console: what its pages say, and that nothing changes without a POST by somebody who may."""

from __future__ import annotations

import re

import pytest
from django.contrib.messages import get_messages

from duolog.models import ApiToken
from workers.models import Run


def page(client, path: str) -> str:
    """Return a page's HTML."""
    answer = client.get(f"/admin/{path}")
    assert answer.status_code == 200, path
    return str(answer.content.decode())


def test_log_lines_are_text_wherever_they_stand(browser, ours):
    client = browser("engineer")
    pages = [
        f"workers/run/{ours.run.pk}/change/",
        f"workers/run/{ours.run.pk}/live/",
        f"logs/dataset/{ours.dataset.pk}/change/",
        f"detection/scan/{ours.scan.pk}/change/",
        "analysis/finding/",
        f"analysis/finding/{ours.finding.pk}/change/",
    ]
    for path in pages:
        html = page(client, path)
        assert "<script>alert" not in html, path
    assert "&lt;script&gt;alert" in page(client, f"analysis/finding/{ours.finding.pk}/change/")


def test_a_running_run_refreshes_itself_and_a_finished_one_does_not(browser, ours):
    client = browser("engineer")
    live = page(client, f"workers/run/{ours.run.pk}/live/")
    assert 'hx-trigger="every 1s"' in live
    assert 'max="10" value="3"' in live
    assert "a line" in live and "polyline" in live and "Cancel" in live
    Run.objects.update(status="succeeded")
    done = page(client, f"workers/run/{ours.run.pk}/live/")
    assert "hx-trigger" not in done and "Run again" in done


def test_a_run_is_cancelled_by_post_only(browser, ours):
    client, path = browser("engineer"), f"/admin/workers/run/{ours.run.pk}/do/cancel/"
    assert client.get(path).status_code == 405
    assert client.post(path).status_code == 302
    ours.run.refresh_from_db()
    assert ours.run.cancel_at


def test_csrf_is_enforced(person, ours):
    from django.test import Client

    client = Client(enforce_csrf_checks=True)
    client.force_login(person("owner"))
    assert client.post(f"/admin/workers/run/{ours.run.pk}/do/cancel/").status_code == 403
    assert client.post("/api/v1/runs/", {}, content_type="application/json").status_code == 403


def test_a_viewer_sees_no_buttons_and_may_not_press_them(browser, ours):
    client = browser("viewer")
    assert "Cancel" not in page(client, f"workers/run/{ours.run.pk}/change/")
    assert "Confirm" not in page(client, f"analysis/finding/{ours.finding.pk}/change/")
    assert client.post(f"/admin/workers/run/{ours.run.pk}/do/cancel/").status_code == 403
    assert client.post(f"/admin/analysis/finding/{ours.finding.pk}/do/confirm/").status_code == 403


@pytest.mark.parametrize("name", ["workers/run", "detection/scan", "analysis/finding", "detection/modelversion"])
def test_rows_cannot_be_edited_added_or_deleted_even_by_root(browser, ours, name):
    row = {"run": ours.run, "scan": ours.scan, "finding": ours.finding, "modelversion": ours.version}[
        name.split("/")[1]
    ]
    client = browser("root")
    assert client.get(f"/admin/{name}/add/").status_code == 403
    assert client.post(f"/admin/{name}/{row.pk}/delete/", {"post": "yes"}).status_code == 403
    client.post(f"/admin/{name}/{row.pk}/change/", {"project": "stolen"})
    row.refresh_from_db()
    assert row.project == "ours"


def test_a_root_cause_is_named_by_the_numbers_that_stand_beside_the_lines(browser, ours):
    sequence, client = ours.finding.score.sequence, browser("viewer")
    for given, shown in (([0, 2], "1, 3"), (["db"], "db")):
        sequence.meta = {"root_cause": given}
        sequence.save(update_fields=["meta"])
        html = page(client, f"analysis/finding/{ours.finding.pk}/change/")
        assert shown in re.sub(r"\s+", " ", html).split("root_cause")[1][:300]


def test_a_finding_leads_to_the_next_open_one(browser, ours):
    from analysis.models import Finding
    from detection.models import Score

    score = Score.objects.create(scan=ours.scan, sequence=ours.sequences[2], value=0.8, anomalous=True)
    other = Finding.objects.create(project="ours", score=score, sequence=score.sequence, model="m")
    client = browser("reviewer")
    answer = client.post(f"/admin/analysis/finding/{other.pk}/do/dismiss/")
    assert answer.url == f"/admin/analysis/finding/{ours.finding.pk}/change/"
    client.post(f"/admin/analysis/finding/{ours.finding.pk}/do/confirm/")
    assert set(Finding.objects.values_list("state", flat=True)) == {"confirmed", "dismissed"}


def test_the_most_suspicious_line_is_hottest(browser, ours):
    html = page(browser("viewer"), f"analysis/finding/{ours.finding.pk}/change/")
    assert 'id="line-2" class="heat-10"' in html
    assert "75 %" in html and "25 %" in html


def test_a_version_shows_which_goals_it_met(browser, ours):
    html = page(browser("viewer"), f"detection/modelversion/{ours.version.pk}/change/")
    assert html.count("goal met") == 3
    assert html.count("goal missed") == 1  # precision .80, goal .85


def test_a_version_is_promoted(browser, ours):
    ours.version.aliases.all().delete()
    browser("engineer").post(f"/admin/detection/modelversion/{ours.version.pk}/do/promote/")
    assert ours.version.aliases.get().alias == "champion"


def test_the_sample_browser_searches_and_filters(browser, ours):
    client, path = browser("viewer"), f"logs/dataset/{ours.dataset.pk}/change/"
    assert all(f"row {number}" in page(client, path) for number in range(4))
    found = page(client, f"{path}?q=row+2")
    assert "row 2" in found and "row 1" not in found
    assert "row 1" in page(client, f"{path}?label=anomalous")
    assert "row 0" not in page(client, f"{path}?label=anomalous&q=row")
    assert "odd" in page(client, path)  # the quarantined row's reason
    assert client.get(f"/admin/{path}?after=x&label=odd&q=%00").status_code == 200


@pytest.mark.parametrize(
    ("job", "data"),
    [
        ("generate", {"dataset": "new", "count": 5, "seed": 0, "kind": "sequences", "language": "zh"}),
        ("generate", {"dataset": "new", "count": 5, "seed": 0, "kind": "analysis", "language": "pairs"}),
        ("split", {"strategy": "template", "train": 2, "validation": 1, "test": 0, "seed": 0}),
        ("fit-detector", {"detector": "moe"}),
        ("scan", {"explain": "counterfactual"}),
        ("evaluate", {"part": "test"}),
        ("choose-threshold", {"part": "test", "threshold": "rate=0.1"}),
    ],
)
def test_forms_queue_runs(browser, ours, job, data):
    client = browser("engineer")
    page(client, f"start/{job}/")
    sent = {"into": ours.project.pk, "dataset": ours.dataset.pk, "model": ours.version.pk} | data
    answer = client.post(f"/admin/start/{job}/", sent)
    assert answer.status_code == 302, answer.context["form"].errors
    run = Run.objects.get(job=job, status="queued")
    assert (run.project, run.created_by.username) == ("ours", "engineer")
    assert answer.url == f"/admin/workers/run/{run.pk}/change/"


def test_analysis_sets_are_generated_and_come_in_pairs(browser, ours):
    sent = {"into": ours.project.pk, "dataset": "inc", "count": 4, "seed": 0, "kind": "analysis", "language": "pairs"}
    client = browser("engineer")
    assert "analysis sets" in str(client.post("/admin/start/generate/", sent | {"kind": "sequences"}).content)
    client.post("/admin/start/generate/", sent)
    options = Run.objects.get(job="generate", status="queued").options
    assert (options["kind"], options["options"]) == ("analysis", {"language": "pairs"})


def test_a_form_shows_what_the_job_refuses(browser, ours):
    sent = {"dataset": ours.dataset.pk, "strategy": "random", "train": 0, "validation": 0, "test": 3, "seed": 0}
    answer = browser("engineer").post("/admin/start/split/", sent)
    assert answer.status_code == 200
    assert answer.context["form"].non_field_errors()


def test_a_new_token_is_shown_once(browser):
    client = browser("viewer")
    answer = client.post("/admin/duolog/apitoken/add/", {"name": "ci", "expires_at_0": "", "expires_at_1": ""})
    (message,) = [str(each) for each in get_messages(answer.wsgi_request)]
    assert "duo_" in message
    token = ApiToken.objects.get()
    assert token.user.username == "viewer"
    assert token.name in page(client, "duolog/apitoken/")
    assert "duo_" not in page(client, "duolog/apitoken/")


def test_the_overview_says_what_to_do_next(browser, ours):
    client = browser("root")
    assert "What to do next" not in page(client, "")
    ours.scan.delete()
    assert "/admin/start/scan/" in page(client, "")
    ours.version.changes.all().delete()  # a version that was live is kept, or the record would have a gap
    ours.version.delete()
    assert "/admin/start/fit-detector/" in page(client, "")
    ours.source.delete()
    ours.dataset.delete()
    assert "/admin/start/import-data/" in page(client, "")


def test_the_plugin_page_has_a_column_for_each_worker(browser, ours):
    from workers.models import Worker

    plugin = {"group": "duolog.formats", "name": "only-there", "distribution": "x", "version": "1"}
    Worker.objects.create(
        name="gpu@host", host="host", pid=1, device="H", queues=["gpu"],
        plugins=[plugin | {"status": "broken", "error": "<b>boom</b>", "value": "a:b"}],
    )  # fmt: skip
    html = page(browser("viewer"), "workers/worker/plugins/")
    assert "gpu@host" in html and "only-there" in html and "plugin-broken" in html
    assert "&lt;b&gt;boom" in html and "<b>boom" not in html
    assert "jsonl" in html


@pytest.mark.parametrize(("language", "word"), [("en", "Findings"), ("zh-hans", "异常发现")])
def test_both_languages(browser, ours, language, word):
    client = browser("viewer")
    client.post("/i18n/setlang/", {"language": language})
    assert word in page(client, "")
