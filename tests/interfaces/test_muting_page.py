"""The console of mute rules: what each role sees and may do, and what the form says before a rule is saved."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from items import make_item

from analysis.models import Event, Item, MuteDay, MuteRule
from logs.models import Template

LIST = "/admin/analysis/muterule/"
NEW, TEST = f"{LIST}new/", f"{LIST}test/"


def page(client, path: str = LIST, **headers) -> str:
    """Return a page's HTML."""
    answer = client.get(path, **headers)
    assert answer.status_code == 200, path
    return str(answer.content.decode())


def words(html: str) -> str:
    """Return what people read of it."""
    return " ".join(re.sub(r"<(script|style).*?</\1>|<[^>]+>", " ", html, flags=re.DOTALL).split())


def sent(**names) -> dict:
    return {"project": "ours", "days": "7", "reason": "known", **names}


@pytest.fixture
def incidents(ours):
    """A service with three confirmed incidents and an open one."""
    for number in range(3):
        make_item("ours", entries=[f"down{'x' * number}"], service="cart", state="confirmed", findings=2)
    return make_item("ours", entries=["start", "denied user=17", "end"], service="cart", type="超时")


def test_the_list_shows_what_a_rule_names_until_when_and_what_it_hides(browser, ours):
    MuteDay.objects.create(rule=ours.mute_rule, day=datetime.now(UTC).date(), findings=3, score=2.7, squares=2.5)
    html = page(browser("viewer"))
    text = words(html)
    assert "service: ours shop; template: ours row &lt;*&gt;" in text and "holds" in text
    assert 'aria-label="findings today / on the busiest day: 3 / 3"' in html
    assert "<script>alert" not in html and "New mute rule" not in html
    assert "New mute rule" in page(browser("reviewer"))


def test_where_there_is_no_rule_it_says_what_they_are_for(browser, ours):
    MuteRule.objects.all().delete()
    assert "Nothing is muted" in page(browser("viewer"))
    assert "没有任何静默" in page(browser("reviewer"), HTTP_ACCEPT_LANGUAGE="zh-hans")


def test_the_list_can_be_narrowed_to_rules_that_hold(browser, ours):
    client, name = browser("viewer"), f"#{ours.mute_rule.pk} ours"
    assert name in page(client, f"{LIST}?holds=yes") and name not in page(client, f"{LIST}?holds=no")


@pytest.mark.parametrize(("language", "said"), [("en", "would have hidden 3 confirmed"), ("zh-hans", "3 个已确认")])
def test_the_form_warns_of_confirmed_incidents_and_leads_to_them(browser, incidents, language, said):
    answer = browser("reviewer").post(TEST, {"project": "ours", "service": "cart"}, HTTP_ACCEPT_LANGUAGE=language)
    html = answer.content.decode()
    assert said in html and 'name="even_so"' in html
    for item in Item.objects.filter(service="cart", state="confirmed"):
        assert f'href="/admin/analysis/finding/{item.findings.latest("pk").pk}/change/"' in html


def test_the_form_says_what_is_wrong_and_what_to_do(browser, incidents):
    client = browser("reviewer")
    assert "the pattern is invalid" in client.post(TEST, {"project": "ours", "expression": "(a"}).content.decode()
    nothing = client.post(TEST, {"project": "ours"}).content.decode()
    assert "Name a service" in nothing and nothing == client.post(TEST, {}).content.decode()
    quiet = client.post(TEST, {"project": "ours", "expression": "user=17"}).content.decode()
    assert "findings 1 items 1 confirmed 0" in words(quiet) and "even_so" not in quiet


def test_the_form_is_filled_with_what_an_item_is(browser, incidents):
    html = page(browser("reviewer"), f"{NEW}?item={incidents.pk}")
    template = Template.objects.get(pattern="start")  # all lines of it are equally suspicious: the first
    for value in ("cart", "超时", f"#{template.pk}"):
        assert f'value="{value}"' in html
    assert "findings 1 items 1 confirmed 0" in words(html)
    plain = page(browser("engineer"), f"{NEW}?project=ours&service=cart&expression=user%3D")
    assert 'value="user="' in plain and "findings 1 items 1" in words(plain)


def test_a_rule_is_made_on_the_page_and_ended_there(browser, incidents):
    client = browser("reviewer")
    refused = client.post(NEW, sent(service="cart")).content.decode()
    assert "would have hidden 3 confirmed incidents" in refused and "Say that you want it even so" in refused
    made = client.post(NEW, sent(service="cart", even_so="on"))
    rule = MuteRule.objects.latest("pk")
    assert made.headers["Location"] == f"{LIST}{rule.pk}/change/"
    assert timedelta(days=6) < rule.expires_at - datetime.now(UTC) < timedelta(days=7)
    html = page(client, made.headers["Location"])
    assert f"#{incidents.pk}" in html and "End it" in html
    assert "made; findings that it would have hidden: 7, items: 4, confirmed: 3" in words(html)
    client.post(f"{LIST}{rule.pk}/do/end/")
    ended = words(page(client, made.headers["Location"]))
    assert "somebody ended it" in ended and "End it" not in ended
    assert Item.objects.get(pk=incidents.pk).state == "open"


def test_drift_is_told_with_its_numbers(browser, ours):
    for figures in ({"findings": 51, "busiest": 10}, {"score": 0.95, "score_before": 0.6}):
        details = {"rule": ours.mute_rule.pk, "did": "drift", "day": "2026-11-25", **figures}
        Event.objects.create(project="ours", action="rule", details=details)
    text = words(page(browser("viewer"), f"{LIST}{ours.mute_rule.pk}/change/"))
    assert "51 findings on 2026-11-25, on the busiest day before it was 10" in text
    assert "mean score 0.95 on 2026-11-25, before it was 0.6" in text


def test_only_reviewers_of_the_project_make_try_or_end_rules(browser, ours, theirs):
    viewer = browser("viewer")
    end = f"{LIST}{ours.mute_rule.pk}/do/end/"
    assert (viewer.get(NEW).status_code, viewer.post(TEST, {}).status_code) == (404, 404)
    assert (viewer.post(NEW, sent(service="x")).status_code, viewer.post(end).status_code) == (404, 403)
    reviewer = browser("reviewer")
    foreign = {"project": "theirs", "service": "theirs shop"}
    assert "theirs" not in reviewer.get(NEW).content.decode()
    assert "Name a service" in reviewer.post(TEST, foreign).content.decode()
    assert reviewer.post(NEW, sent(**foreign)).status_code == 200  # the form again, with an error
    assert "theirs" not in page(reviewer, f"{NEW}?item={theirs.item.pk}")
    assert (
        reviewer.post(TEST, {"project": "ours", "template": f"#{theirs.template.pk}"}).content.decode().count("dl") == 0
    )
    assert reviewer.post(f"{LIST}{theirs.mute_rule.pk}/do/end/").status_code == 404
    assert not MuteRule.objects.exclude(ended_at=None).exists() and MuteRule.objects.count() == 2
