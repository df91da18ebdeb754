"""Rules of redaction over REST: made, changed, deleted, refused with a reason, and tried without a trace."""

from __future__ import annotations

import pytest

from logs import redaction, redaction_rules
from logs.models import RedactionRule

AT = "/api/v1/redaction-rules/"


def test_a_rule_is_made_changed_and_deleted(api, ours):
    client = api("engineer")
    made = client.post(AT, {"project": "ours", "kind": "staff", "strategy": "hash", "pattern": r" E-\d{6}"}, "json")
    assert made.status_code == 201, made.data
    told = (made.data["project"], made.data["pattern"], made.data["set_by"])
    assert told == ("ours", r" E-\d{6}", "engineer") and made.data["set_at"]
    at = f"{AT}{made.data['id']}/"
    assert client.get(at).data == made.data
    other = api("owner").patch(at, {"strategy": "keep", "kind": "x", "project": "theirs"}, "json").data
    assert (other["strategy"], other["kind"], other["project"], other["set_by"]) == ("keep", "staff", "ours", "owner")
    assert other["set_at"] > made.data["set_at"]
    assert client.patch(at, {"pattern": r"E-\d{7}"}, "json").data["pattern"] == r"E-\d{7}"
    assert client.delete(at).status_code == 204
    assert client.get(at).status_code == 404


def test_a_rule_holds_for_lines_that_come(api, ours):
    client = api("engineer")
    for rule in ({"kind": "phone", "strategy": "drop"}, {"kind": "email", "strategy": "keep"}, {"kind": "ip"}):
        assert client.post(AT, {"project": "ours", **rule}, "json").status_code == 201, rule
    (line,), *_ = redaction.redact(ours.project, ["tel 13812345678 a@example.com from 10.1.2.3"], [], [])
    assert line == "tel [-] a@example.com from [REDACTED:ip]"


@pytest.mark.parametrize(
    ("rule", "language", "said"),
    [
        ({"kind": "staff"}, "en", "'staff' is not built in, so it needs a pattern"),
        ({"kind": "staff"}, "zh-hans", "'staff' 不是内置"),
        ({"kind": "phone", "pattern": "a"}, "en", "'phone' is built in"),
        ({"kind": "Staff", "pattern": "a"}, "en", "no name of a rule"),
        ({"kind": "staff", "pattern": "(a"}, "en", "the pattern is invalid"),
        ({"kind": "staff", "pattern": "a*", "strategy": "keep"}, "en", "matches an empty text"),
        ({"kind": "staff", "pattern": "a", "strategy": "eat"}, "en", "eat"),
        ({"kind": "email"}, "en", "project ours has a rule for email already"),
        ({"kind": "email"}, "zh-hans", "项目 ours 已有"),
    ],
)
def test_what_makes_no_sense_is_refused_with_a_reason(api, ours, rule, language, said):
    RedactionRule.objects.create(project=ours.project, kind="email", strategy="drop")
    answer = api("engineer").post(AT, {"project": "ours", **rule}, "json", HTTP_ACCEPT_LANGUAGE=language)
    assert answer.status_code == 400
    assert said in str(answer.json())
    assert RedactionRule.objects.filter(project=ours.project).count() == 2


def test_a_change_that_makes_no_sense_changes_nothing(api, ours):
    row = RedactionRule.objects.create(project=ours.project, kind="staff", pattern="E-1")
    client = api("engineer")
    for wrong in ({"pattern": "("}, {"pattern": ""}, {"strategy": "x"}):
        assert client.patch(f"{AT}{row.pk}/", wrong, "json").status_code == 400, wrong
    row.refresh_from_db()
    assert (row.pattern, row.strategy, row.set_by) == ("E-1", "mask", None)


def test_patterns_of_ones_own_are_bounded(api, ours, monkeypatch):
    monkeypatch.setattr(redaction_rules, "MOST_OWN", 2)  # one is there
    client = api("engineer")
    assert client.post(AT, {"project": "ours", "kind": "a", "pattern": "a1"}, "json").status_code == 201
    assert (
        "no more are allowed"
        in client.post(AT, {"project": "ours", "kind": "b", "pattern": "b1"}, "json").data["detail"]
    )
    assert client.post(AT, {"project": "ours", "kind": "ip"}, "json").status_code == 201


def test_a_preview_redacts_by_the_projects_rules_and_gives_no_stored_hash_away(api, ours):
    RedactionRule.objects.create(project=ours.project, kind="phone", strategy="hash")
    RedactionRule.objects.create(project=ours.project, kind="staff", pattern=r"E-\d+")
    sent = {"project": "ours", "texts": ["  E-17 calls 13812345678", "", "nothing"]}
    answer = api("engineer").post(f"{AT}preview/", sent, "json")
    first, *rest = answer.data["texts"]
    assert first.startswith("  [REDACTED:staff] calls [phone:") and rest == ["", "nothing"]
    assert answer.data["counts"] == {"staff": 1, "phone": 1}
    (stored, *_), *_ = redaction.redact(ours.project, sent["texts"], [], [])
    assert stored != first and len(stored) == len(first)


@pytest.mark.parametrize("texts", [["x"] * 101, ["x" * 10_001], "x", [["x"]], None])
def test_a_preview_is_bounded(api, ours, texts):
    assert api("engineer").post(f"{AT}preview/", {"project": "ours", "texts": texts}, "json").status_code == 400
