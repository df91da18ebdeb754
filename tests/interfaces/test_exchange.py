"""Items of review leave for Label Studio and doccano, and come back as verdicts."""

from __future__ import annotations

import io
import json
from typing import Any
from xml.etree import ElementTree as Xml

import pytest
from django.contrib.auth.models import User
from tenants import EVIL
from verdicts import asked, people, say

from analysis import exchange
from analysis.models import Item, Verdict

EXPORT, IMPORT, CONFIG = (f"/api/v1/review-items/{name}/" for name in ("export", "import", "labelling-config"))
LINES = ("INFO 开始", f"ERROR {EVIL} 😀", "end")


@pytest.fixture(autouse=True)
def empty(ours: Any) -> None:
    """Our project has no items but those of the tests."""
    ours.item.delete()


def recorded() -> list[tuple[int, bool, str, list[int]]]:
    return list(Verdict.objects.order_by("id").values_list("item", "anomalous", "type", "lines"))


def export(client: Any, form: str, project: str = "ours") -> bytes:
    answer = client.get(EXPORT, {"project": project, "form": form})
    assert answer.status_code == 200 and answer.streaming
    assert "attachment" in answer.headers["Content-Disposition"]
    return b"".join(answer.streaming_content)


def send(client: Any, content: bytes, project: str = "ours") -> Any:
    return client.post(IMPORT, {"project": project, "file": io.BytesIO(content)}, format="multipart")


def test_what_people_say_there_becomes_verdicts_once(api: Any, ours: Any) -> None:
    first, second, third = asked(3, entries=LINES)
    client = api("reviewer")
    tasks = json.loads(export(client, "label-studio"))
    assert [each["data"]["item"] for each in tasks] == [first.pk, second.pk, third.pk]
    assert [line["text"] for line in tasks[0]["data"]["lines"]] == list(LINES)
    mark = {"start": "1", "end": 1, "startOffset": 0, "endOffset": 3, "paragraphlabels": ["cause"]}
    tasks[0]["annotations"] = [
        {
            "result": [
                {"from_name": "class", "value": {"choices": ["anomalous"]}},
                {"from_name": "type", "value": {"choices": [EVIL]}},
                {"from_name": "cause", "value": mark},
            ]
        }
    ]
    tasks[1]["annotations"] = [{"result": [{"from_name": "class", "value": {"choices": ["normal"]}}]}]
    told = send(client, json.dumps(tasks).encode()).json()
    assert told == {"recorded": 2, "unchanged": 0, "unanswered": 1, "failed": 0, "errors": []}
    assert recorded() == [(first.pk, True, EVIL, [1]), (second.pk, False, "", [])]
    told = send(client, export(client, "doccano")).json()
    assert told == {"recorded": 0, "unchanged": 2, "unanswered": 1, "failed": 0, "errors": []}
    told = send(client, export(client, "label-studio")).json()
    assert (told["recorded"], told["unchanged"]) == (0, 2)


def test_review_stays_blind(api: Any, ours: Any) -> None:
    """Of what is not settled, one gets one's own verdicts; of what is, all."""
    ann, bob = people("ann", "bob")
    mine, other, settled, merged, muted = asked(5)
    client = api("reviewer")
    me = User.objects.get(username="reviewer")
    say(mine, me, "timeout")
    say(mine, ann, "secret-type")
    say(other, ann, "secret-type")
    say(settled, ann, "disk", seconds=3.0)
    say(settled, bob, "", adjudication=True)
    say(settled, me, "gone", round=7)
    for item, changed in (
        (settled, {"state": "dismissed"}), (merged, {"merged_into": mine}), (muted, {"state": "muted"}),
    ):  # fmt: skip
        Item.objects.filter(pk=item.pk).update(**changed)
    rows = {row["item"]: row["label"] for row in map(json.loads, export(client, "doccano").splitlines())}
    assert rows == {mine.pk: ["anomalous", "timeout"], other.pk: [], settled.pk: ["normal"]}
    raw = export(client, "label-studio")
    assert b"secret-type" not in raw
    (*_, task) = json.loads(raw)
    assert [each.get("lead_time") for each in task["annotations"]] == [3.0, None]


def test_rows_that_cannot_be_taken_cost_no_other(api: Any, ours: Any, theirs: Any) -> None:
    good, settled = asked(2)
    Item.objects.filter(pk=settled.pk).update(state="confirmed")
    (foreign,) = asked(1, project="theirs")
    rows = [
        {"id": foreign.pk, "text": "a", "label": ["normal"]},
        {"id": settled.pk, "text": "a", "label": ["normal"]},
        {"id": good.pk, "text": "a", "label": ["normal", "disk"]},
        {"id": good.pk, "text": "a", "label": ["disk"]},
    ]
    client = api("reviewer")
    told = send(client, "\n".join(map(json.dumps, rows)).encode()).json()
    assert (told["recorded"], told["failed"]) == (1, 3)
    reasons = [(each["row"], each["reason"]) for each in told["errors"]]
    assert reasons[0] == (1, "the project has no such item")
    assert reasons[1][0] == 2 and "it is confirmed now" in reasons[1][1]
    assert "contradict" in reasons[2][1]
    assert recorded() == [(good.pk, True, "disk", [])]
    again = client.post(
        IMPORT, {"project": "ours", "file": io.BytesIO(b"[3]")}, format="multipart",
        headers={"accept-language": "zh-hans"},
    )  # fmt: skip
    assert "JSON" in again.json()["errors"][0]["reason"]


def test_a_request_takes_so_many_rows(api: Any, ours: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, most in (("MOST", 3), ("PAGE", 2), ("TOLD", 1)):
        monkeypatch.setattr(exchange, name, most)
    items = asked(5)
    client = api("reviewer")
    assert len(json.loads(export(client, "label-studio"))) == 5
    rows = [json.dumps({"id": item.pk, "text": "a", "label": "normal"}) for item in items]
    told = send(client, "\n".join(rows).encode()).json()
    assert (told["recorded"], told["failed"], told["errors"][0]["row"]) == (3, 1, 4)
    told = send(client, b"1\n2\n").json()
    assert (told["failed"], len(told["errors"])) == (2, 1)


def test_the_labelling_config_offers_the_types_of_the_project(api: Any, ours: Any) -> None:
    answer = api("reviewer").get(CONFIG, {"project": "ours"})
    assert answer.headers["Content-Type"] == "application/xml"
    offered = [each.get("value") for each in Xml.fromstring(answer.content).findall("Choices[@name='type']/Choice")]
    assert {"timeout", "慢查询"} <= set(offered)


@pytest.mark.parametrize(("role", "status"), [("stranger", 404), ("viewer", 403), ("reviewer", 200)])
def test_it_is_for_reviewers(api: Any, ours: Any, role: str, status: int) -> None:
    client = api(role)
    assert client.get(EXPORT, {"project": "ours", "form": "doccano"}).status_code == status
    assert client.get(CONFIG, {"project": "ours"}).status_code == status
    assert send(client, b"[]").status_code == status


def test_nonsense_is_refused(api: Any, ours: Any) -> None:
    client = api("reviewer")
    for query in ({}, {"project": "ours"}, {"project": "ours", "form": "prodigy"}, {"form": "doccano"}):
        assert client.get(EXPORT, query).status_code == 400
    assert client.get(CONFIG).status_code == 400
    assert client.post(IMPORT, {"project": "ours"}, format="multipart").status_code == 400
