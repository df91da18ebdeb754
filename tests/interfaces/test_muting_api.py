"""Mute rules over REST: tried, made, refused with a reason, ended, and on record."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from items import make_item

from analysis.models import Item, MuteRule

AT = "/api/v1/mute-rules/"


def asked(**names):
    return {"project": "ours", "reason": "known", "expires_at": datetime.now(UTC) + timedelta(days=7), **names}


@pytest.fixture
def items(ours):
    """Three items of a service, one of them a confirmed incident."""
    return [
        make_item("ours", entries=[f"denied {name}"], service="cart", findings=2, state=state)
        for name, state in (("bob", "open"), ("eve", "open"), ("mallory", "confirmed"))
    ]


def test_a_rule_is_tried_made_and_ended(api, items):
    client = api("reviewer")
    draft = {"project": "ours", "service": "cart", "expression": "bob|eve"}
    tried = client.post(f"{AT}back-test/", draft)
    assert tried.status_code == 200
    told = {name: tried.data[name] for name in ("items", "findings", "confirmed", "open", "links", "busiest")}
    assert told == {"items": 2, "findings": 4, "confirmed": 0, "open": 2, "links": [], "busiest": 4}
    assert len(tried.data["per_day"]) == tried.data["days"] + 1
    assert MuteRule.objects.count() == 1  # that of every tenant
    made = client.post(AT, asked(**draft))
    assert made.status_code == 201, made.data
    assert (made.data["created_by"], made.data["hidden"], made.data["back_test"]["items"]) == ("reviewer", 4, 2)
    assert client.get(f"{AT}{made.data['id']}/").data == made.data
    assert Item.objects.filter(state="muted", muted_by=made.data["id"]).count() == 2
    ended = client.post(f"{AT}{made.data['id']}/end/")
    assert (ended.status_code, ended.data["ended_why"]) == (200, "person")
    assert Item.objects.filter(service="cart", state="open").count() == 2
    again = client.post(f"{AT}{made.data['id']}/end/")
    assert again.status_code == 400 and "ended already" in again.json()["detail"]
    history = client.get(f"{AT}{made.data['id']}/history/").data
    assert [(event["user"], event["details"]["did"]) for event in history] == [
        ("reviewer", "person"),
        ("reviewer", "made"),
    ]


@pytest.mark.parametrize(
    ("names", "language", "status", "said"),
    [
        ({}, "en", 400, "names a template"),
        ({}, "zh-hans", 400, "规则"),
        ({"service": "cart"}, "en", 400, "This rule would have hidden 1 confirmed incident."),
        ({"service": "cart"}, "zh-hans", 400, "1 个已确认的事件"),
        ({"service": "cart", "even_so": True}, "en", 201, "cart"),
        ({"service": "cart", "reason": " "}, "en", 400, "reason"),
        ({"service": "cart", "expires_at": "2199-01-01T00:00:00Z"}, "en", 400, "within 365 days"),
        ({"service": "cart", "expires_at": "soon"}, "en", 400, "expires_at"),
        ({"expression": "(?=a)"}, "en", 400, "the pattern is invalid"),
        ({"service": "a\0"}, "en", 400, "service"),
        ({"template": 2**62}, "en", 400, "no such template"),
        ({"template": 2**64}, "en", 400, "template"),
        ({"service": "cart", "project": "elsewhere"}, "en", 404, "not yours"),
    ],
)
def test_what_makes_no_sense_is_refused_with_a_reason(api, items, names, language, status, said):
    answer = api("reviewer").post(AT, asked(**names), "json", HTTP_ACCEPT_LANGUAGE=language)
    assert answer.status_code == status, answer.json()
    assert said in str(answer.json())


def test_a_template_is_named_by_its_id_and_is_one_of_ours(api, ours, theirs):
    client = api("reviewer")
    assert client.post(f"{AT}back-test/", {"project": "ours", "template": theirs.template.pk}).status_code == 400
    assert client.post(f"{AT}back-test/", {"project": "ours", "template": ours.template.pk}).data["items"] == 0


def test_a_list_can_be_narrowed(api, ours):
    client = api("viewer")

    def found(query: str) -> int:
        return len(client.get(f"{AT}?{query}").data["results"])

    assert (found("holds=true"), found("holds=false"), found("service=ours shop"), found("service=x")) == (1, 0, 1, 0)
    assert (found(f"template={ours.template.pk}"), found("project=ours"), found("type=timeout")) == (1, 1, 0)
