"""REST: a whole review by API alone, so that another console could be built upon it."""

from __future__ import annotations

import pytest
from reviewing import opened

from analysis.models import Item

pytestmark = pytest.mark.django_db
ITEMS = "/api/v1/review-items/"
SAYS = {"anomalous": True, "type": "超时异常", "lines": [1], "note": "slow", "seconds": 3.5}


@pytest.fixture
def item(ours):
    opened(["order 17 failed", "order 18 failed"], project="ours", service="pay")
    return Item.objects.get(service="pay")


def post(client, path, status=200, **body):
    answer = client.post(f"{ITEMS}{path}/", body)
    assert answer.status_code == status, answer.data
    return answer.data


def test_claim_draft_verdict_and_undo(api, item):
    client = api("reviewer")
    got = post(client, "claim", project="ours", service="pay")
    assert (got["id"], got["findings_count"], got["given"], got["reviewers"]) == (item.pk, 2, 0, 1)
    assert got["entries"] == ["begin", "order 18 failed"]
    assert client.put(f"{ITEMS}{item.pk}/draft/", {"draft": {"note": "hm"}}).status_code == 204
    assert post(client, "claim", project="ours", service="pay")["draft"] == {"note": "hm"}
    said = post(client, f"{item.pk}/verdict", round=1, **SAYS)
    assert (said["state"], said["type"]) == ("confirmed", "超时异常")
    assert [(each["user"], each["lines"], each["note"]) for each in said["verdicts"]] == [("reviewer", [1], "slow")]
    assert client.post(f"{ITEMS}claim/", {"project": "ours", "service": "pay"}).status_code == 204
    assert post(client, "undo", project="ours")["state"] == "open"


def test_blind_review_hides_what_others_say_until_it_is_settled(api, item):
    eve = api("engineer")
    assert eve.put("/api/v1/review-policies/ours/", {"reviewers": 2}).data["reviewers"] == 2
    ada, bob = api("reviewer"), api("owner")
    post(ada, f"{item.pk}/verdict", **SAYS)
    post(ada, f"{item.pk}/comments", 201, text="I know this one")
    seen = bob.get(f"{ITEMS}{item.pk}/").data
    assert (seen["given"], seen["verdicts"]) == (1, [])
    assert bob.get(f"{ITEMS}{item.pk}/comments/").data == []
    disputed = post(bob, f"{item.pk}/verdict", anomalous=False)
    assert (disputed["state"], len(disputed["verdicts"])) == ("disputed", 2)
    assert len(bob.get(f"{ITEMS}{item.pk}/comments/").data) == 1
    assert post(eve, "claim", project="ours", settle=True)["id"] == item.pk
    settled = post(eve, f"{item.pk}/verdict", anomalous=False)
    assert (settled["state"], settled["verdicts"][-1]["adjudication"]) == ("dismissed", True)


def test_a_conflict_answers_409_and_says_what_happened(api, item):
    client = api("reviewer")
    post(client, f"{item.pk}/verdict", **SAYS)
    answer = client.post(f"{ITEMS}{item.pk}/verdict/", SAYS)
    assert answer.status_code == 409
    assert "confirmed" in answer.data["detail"]


def test_filters(api, item):
    client = api("reviewer")
    assert len(client.get(ITEMS, {"service": "pay", "mine": True}).data["results"]) == 1
    assert client.get(ITEMS, {"owner": "me"}).data["results"] == []
    post(client, f"{item.pk}/assign", owner="reviewer")
    assert len(client.get(ITEMS, {"owner": "me"}).data["results"]) == 1
    post(client, f"{item.pk}/verdict", **SAYS)
    assert client.get(ITEMS, {"mine": True, "service": "pay"}).data["results"] == []
    assert client.get(ITEMS, {"state": "confirmed"}).data["results"][0]["owner"] == "reviewer"
    events = [event["action"] for event in client.get(f"{ITEMS}{item.pk}/events/").data]
    assert events == ["settled", "judged", "assigned", "opened"]


def test_merge_and_reopen(api, item):
    opened(["disk is full"], project="ours", service="pay")
    other = Item.objects.exclude(pk=item.pk).get(service="pay")
    client = api("reviewer")
    assert post(client, "merge", items=[other.pk], into=item.pk)["findings_count"] == 3
    post(client, "merge", 400, items=[999_999], into=item.pk)
    post(client, f"{item.pk}/verdict", **SAYS)
    assert post(client, f"{item.pk}/reopen")["round"] == 2


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"anomalous": True, "lines": [7]},
        {"anomalous": False, "type": "超时异常"},
        {"anomalous": True, "lines": [-1]},
        {"anomalous": True, "note": "x" * 10_001},
    ],
)
def test_a_verdict_that_makes_no_sense_is_refused(api, item, body):
    assert api("reviewer").post(f"{ITEMS}{item.pk}/verdict/", body).status_code == 400


@pytest.mark.parametrize("path", ["claim", "undo", "{}/verdict", "{}/hold", "{}/reopen", "{}/assign", "{}/comments"])
def test_viewers_look_and_strangers_see_nothing(api, item, path):
    body = {"project": "ours", "anomalous": True, "owner": None, "text": "x"}
    for role, status in (("viewer", 403), ("stranger", 404)):
        assert api(role).post(f"{ITEMS}{path.format(item.pk)}/", body).status_code == status


def test_only_engineers_change_how_a_project_reviews(api, ours):
    assert api("viewer").get("/api/v1/review-policies/ours/").data["control_share"] == 0.05
    assert api("reviewer").put("/api/v1/review-policies/ours/", {"reviewers": 3}).status_code == 403
    assert api("stranger").get("/api/v1/review-policies/ours/").status_code == 404
    assert api("engineer").put("/api/v1/review-policies/ours/", {"reviewers": 0}).status_code == 400
