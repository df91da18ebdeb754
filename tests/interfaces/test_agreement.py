"""Agreement of reviewers: REST and console, and who sees it."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.contrib.auth.models import User
from tenants import EVIL
from verdicts import asked, people, say

from analysis.models import Verdict

ENDPOINT, PAGE = "/api/v1/agreement/", "/admin/agreement/"


@pytest.fixture
def judged(ours: Any, theirs: Any) -> list[User]:
    """Three people on twelve items, and strangers on one."""
    users = people("ann", "bob", f"cyd{EVIL}")
    for number, item in enumerate(asked(12)):
        kind = "timeout" if number % 3 == 0 else ""
        say(item, users[0], kind, seconds=8.0)
        say(item, users[1], kind if number else "")
        say(item, users[2], kind if number % 2 else EVIL)
    (foreign,) = asked(1, project="theirs")
    say(foreign, people("theirs-zoe", project="theirs")[0], "theirs-type")
    return users


def test_members_read_the_figures_of_their_project(api: Any, judged: list[User]) -> None:
    client = api("viewer")
    told = client.get(ENDPOINT, {"project": "ours"}).json()
    assert (told["verdicts"], told["items"], told["classes"]["shared"], told["classes"]["raters"]) == (36, 12, 12, 3)
    alpha = told["classes"]["alpha"]
    assert alpha["low"] < alpha["value"] < alpha["high"] and alpha["reason"] == ""
    assert told["reviewers"][0]["name"] == "ann" and told["reviewers"][0]["seconds"] == 8.0
    assert {each["type"] for each in told["kinds"]} == {"", "timeout", EVIL}
    assert [(each["first"], each["second"]) for each in told["pairs"]] == [
        (judged[a].pk, judged[b].pk) for a, b in ((0, 1), (0, 2), (1, 2))
    ]
    assert "zoe" not in str(told) and "theirs" not in str(told)


def test_since_leaves_older_verdicts_out_and_nonsense_is_refused(api: Any, judged: list[User]) -> None:
    client = api("viewer")
    Verdict.objects.filter(user=judged[0]).update(created_at="2026-01-01T12:00:00Z")
    assert client.get(ENDPOINT, {"project": "ours", "since": "2026-01-01"}).data["verdicts"] == 36
    told = client.get(ENDPOINT, {"project": "ours", "since": "2026-01-02"}).json()
    assert (told["verdicts"], len(told["reviewers"])) == (24, 2)
    for query in ({}, {"project": "a b"}, {"project": "ours", "since": "yesterday"}):
        assert client.get(ENDPOINT, query).status_code == 400


def test_strangers_do_not_find_it(api: Any, browser: Any, judged: list[User]) -> None:
    assert api("viewer").get(ENDPOINT, {"project": "theirs"}).status_code == 404
    assert api("stranger").get(ENDPOINT, {"project": "ours"}).status_code == 404
    client = browser("engineer")
    assert client.get(PAGE, {"project": "theirs"}).status_code == 404
    assert "theirs" not in client.get(PAGE).content.decode()


def test_a_reason_is_told_in_the_language_of_the_request(api: Any, ours: Any) -> None:
    say(asked(1)[0], people("ann")[0], "")
    client = api("viewer")
    for language, words in (("en", "too few items"), ("zh-hans", "审核项太少")):
        told = client.get(ENDPOINT, {"project": "ours"}, headers={"accept-language": language}).json()
        assert words in told["types"]["alpha"]["reason"]


def test_the_page_shows_what_the_figures_mean(browser: Any, judged: list[User]) -> None:
    page = browser("viewer").get(PAGE).content.decode()
    for words in ("Krippendorff's alpha", "Fleiss' kappa", "By class", "By reviewer", 'class="heat"', "ann", "timeout"):
        assert words.replace("'", "&#x27;") in page or words in page, words
    assert EVIL not in page
    assert "the same on 11 of 12 items" in page
    assert re.search(r"over the \d+ items that \d+ people judged", page)


def test_an_empty_page_says_what_to_do(browser: Any, ours: Any) -> None:
    client = browser("viewer")
    assert "Nobody has judged anything here yet" in client.get(PAGE).content.decode()
    say(asked(1)[0], people("ann")[0], "timeout")
    page = client.get(PAGE).content.decode()
    assert "set the reviewers an item to 2" in page and "By reviewer" in page
    assert client.get(PAGE, {"since": "2026-02-31"}).status_code == 200
    client.cookies["django_language"] = "zh-hans"
    assert "把每个审核项的审核员数设为 2" in client.get(PAGE).content.decode()


def test_without_a_project_there_is_nothing_to_see(browser: Any) -> None:
    assert browser("stranger").get(PAGE).status_code == 403
    assert "There is no project yet" in browser("root").get(PAGE).content.decode()


def test_the_menu_leads_there(browser: Any, ours: Any) -> None:
    assert f'href="{PAGE}"' in browser("viewer").get("/admin/").content.decode()
