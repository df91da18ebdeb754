"""Templates for people and programs: list, preview, edit, merge, split; who may, and what is on record."""

from __future__ import annotations

import pytest
from django.db import transaction

from logs import templates
from logs.models import Template, TemplateChange

LINES = ["opened for user root", "opened for user bin", "opened for user news", "closed", "耗时300ms"]


@pytest.fixture(autouse=True)
def _afresh():
    templates.forget()
    yield
    templates.forget()


@pytest.fixture
def mined(ours):
    """Templates of `ours` by text, beside the one that every tenant has."""
    with transaction.atomic():
        templates.match(ours.project.pk, LINES)
    return {row.text: row for row in Template.objects.filter(project=ours.project, merged_into=None)}


def decide(client, row, verb="decide", **decision):
    return client.post(f"/api/v1/templates/{row.pk}/{verb}/", decision, format="json")


def test_a_list_can_be_narrowed(api, mined):
    client = api("viewer")
    found = client.get("/api/v1/templates/?project=ours&merged=false&search=user").data["results"]
    assert [row["text"] for row in found] == ["opened for user <*>"]
    assert found[0]["number"] == str(mined["opened for user <*>"].number)
    assert len(client.get("/api/v1/templates/?merged=true").data["results"]) == 2


def test_a_preview_changes_nothing(api, mined):
    row = mined["opened for user <*>"]
    answer = decide(api("engineer"), row, "preview", action="split", pattern="opened for user root")
    assert answer.status_code == 200
    assert answer.data == [
        {"example": "opened for user root", "before": "opened for user <*>", "after": "opened for user root"}
    ]
    assert not TemplateChange.objects.exists()


def test_a_decision_is_made_and_recorded(api, mined):
    client, row = api("engineer"), mined["closed"]
    assert decide(client, row, action="edit", pattern="closed <*>").data["text"] == "closed <*>"
    [change] = client.get(f"/api/v1/templates/{row.pk}/changes/").data["results"]
    assert (change["action"], change["before"], change["after"]) == ("edit", "closed", "closed <*>")
    assert change["set_by"] == "engineer"


def test_a_merge_names_the_target(api, mined):
    target = mined["耗时<*>"]
    answer = decide(api("engineer"), mined["closed"], action="merge", into=target.pk)
    assert answer.status_code == 200 and answer.data["merged_into"] == target.pk


@pytest.mark.parametrize("verb", ["preview", "decide"])
def test_who_may_not_is_told_so(api, mined, verb):
    row = mined["closed"]
    assert decide(api("reviewer"), row, verb, action="edit", pattern="x y").status_code == 403
    assert decide(api("stranger"), row, verb, action="edit", pattern="x y").status_code == 404


@pytest.mark.parametrize(
    "decision", [{"action": "edit", "pattern": "<*>"}, {"action": "merge"}, {"action": "delete"}, {"action": "split"}]
)
def test_what_makes_no_sense_is_refused_with_a_reason(api, mined, decision):
    answer = decide(api("engineer"), mined["closed"], **decision)
    assert answer.status_code == 400 and answer.data["detail"]


def test_a_template_of_strangers_is_no_target(api, mined, theirs):
    answer = decide(api("engineer"), mined["closed"], action="merge", into=theirs.template.pk)
    assert answer.status_code == 400
    assert "theirs" not in str(answer.data)


# --- console ------------------------------------------------------------------------------------------------------


def test_the_page_previews_and_does_an_edit(browser, mined):
    client, row = browser("engineer"), mined["opened for user <*>"]
    page = client.get(f"/admin/logs/template/{row.pk}/change/", {"action": "edit", "pattern": "opened for user root"})
    text = page.content.decode()
    assert "2 known masked lines would move" in text and "opened for user bin" in text
    assert not TemplateChange.objects.exists()
    answer = client.post(f"/admin/logs/template/{row.pk}/do/edit/", {"pattern": "opened for user root"}, follow=True)
    assert "lines from now on" in answer.content.decode()
    row.refresh_from_db()
    assert row.fixed == "opened for user root" and row.edited_by.username == "engineer"


def test_the_page_tells_why_not(browser, mined):
    page = browser("engineer").get(
        f"/admin/logs/template/{mined['closed'].pk}/change/", {"action": "edit", "pattern": "<*>"}
    )
    assert "needs a word" in page.content.decode()


def test_the_page_merges_and_splits_again(browser, mined):
    client, row, target = browser("engineer"), mined["closed"], mined["耗时<*>"]
    answer = client.post(f"/admin/logs/template/{row.pk}/do/merge/", {"into": f"#{target.pk}"}, follow=True)
    assert f"/template/{target.pk}/" in answer.request["PATH_INFO"] and "closed" in answer.content.decode()
    client.post(f"/admin/logs/template/{row.pk}/do/split/", {"pattern": ""})
    row.refresh_from_db()
    assert row.merged_into is None


def test_a_viewer_sees_no_forms(browser, mined):
    page = browser("viewer").get(f"/admin/logs/template/{mined['closed'].pk}/change/").content.decode()
    assert "closed" in page and "Preview" not in page


def test_the_list_shows_what_is_not_merged(browser, mined):
    client = browser("viewer")
    text = client.get("/admin/logs/template/").content.decode()
    assert "opened for user &lt;*&gt;" in text and "opened for user bin" not in text
    assert client.get("/admin/logs/template/?merged=yes").content.decode().count("/change/") >= 2
