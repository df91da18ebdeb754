"""The console of sources: what each role sees and may do, and what a page says of a stream."""

from __future__ import annotations

import re
from collections import Counter
from datetime import UTC, date, datetime, timedelta

import pytest
import yaml

from detection.models import Scan
from duolog import access, shippers
from duolog.models import ApiToken
from duolog.plugins.types import BadRecord
from logs import storage
from logs.engine.chunks import Lines
from logs.models import PendingChunk, RejectedRecord, Source


def page(client, path: str) -> str:
    """Return a page's HTML."""
    answer = client.get(f"/admin/{path}")
    assert answer.status_code == 200, path
    return str(answer.content.decode())


@pytest.fixture
def address(ours):
    """Where the page of our source is."""
    return f"logs/source/{ours.source.pk}/"


@pytest.mark.parametrize(
    ("role", "shown", "hidden"),
    [
        (
            "viewer",
            ["1 rejected record", "Reviewers of the project can read them"],
            ["a raw line", "ours text", "/do/"],
        ),
        ("reviewer", ["a raw line", "ours text", "Ask an engineer"], ["ours shipper", "/do/", "/token/", "/edit/"]),
        ("engineer", ["a raw line", "ours text", "ours shipper", "Issue a token", "/edit/", "Replay all"], []),
    ],
)
def test_each_role_sees_what_is_its_own(browser, ours, address, role, shown, hidden):
    html = page(browser(role), f"{address}change/")
    assert [text for text in shown if text not in html] == []
    assert [text for text in hidden if text in html] == []
    assert "<script>alert" not in html


@pytest.mark.parametrize("path", ["edit/", "token/", "do/replay/", "do/discard/", "do/revoke/"])
def test_only_engineers_of_the_project_change_something(browser, ours, theirs, address, path):
    reviewer, owner = browser("reviewer"), browser("owner")
    assert reviewer.post(f"/admin/{address}{path}", {"newest": 10**9}).status_code == 403
    assert owner.post(f"/admin/logs/source/{theirs.source.pk}/{path}", {"newest": 10**9}).status_code == 404
    assert owner.get(f"/admin/logs/source/{theirs.source.pk}/live/").status_code == 404
    assert RejectedRecord.objects.count() == 2 and ApiToken.objects.count() == 2


def test_a_source_is_made_in_our_projects_only(browser, ours, theirs):
    client = browser("engineer")
    assert "Theirs" not in page(client, "start/source/")
    sent = {"project": ours.project.pk, "name": "app", "by": "gap", "key": "", "seconds": "60", "days": "3"}
    answer = client.post("/admin/start/source/", sent)
    made = Source.objects.get(name="app")
    assert answer.url == f"/admin/logs/source/{made.pk}/change/"
    assert (made.rule["by"], made.rule["seconds"], made.days, made.judged) == ("gap", 60, 3, False)
    assert made.dataset.name == "live-app"
    assert "there" not in str(client.post("/admin/start/source/", sent | {"project": theirs.project.pk}).headers)
    again = client.post("/admin/start/source/", sent)
    assert "has a source app already" in again.content.decode()
    assert Source.objects.count() == 3
    assert browser("viewer").get("/admin/start/source/").status_code == 404


def test_a_wrong_rule_is_told_in_the_readers_language(browser, ours, address):
    client = browser("engineer")
    sent = {"by": "session", "key": "", "judged": "on"}
    assert "a session needs a key" in client.post(f"/admin/{address}edit/", sent).content.decode()
    client.post("/i18n/setlang/", {"language": "zh-hans"})
    assert "会话需要键" in client.post(f"/admin/{address}edit/", sent).content.decode()
    assert client.post(f"/admin/{address}edit/", sent | {"key": "(a) (b)"}).status_code == 200
    ours.source.refresh_from_db()
    assert ours.source.rule == {}


def test_the_form_offers_models_of_the_project_and_the_page_tells_who_judges(browser, ours, theirs, address):
    client = browser("engineer")
    assert 'value="m:1"' in page(client, f"{address}edit/")
    assert "m:1</a>" in page(client, f"{address}change/")
    ours.source.model = "gone"
    ours.source.save()
    html = page(client, f"{address}change/")
    assert "gone" in html.split("judged by")[1][:300]
    assert 'value="gone" selected' in page(client, f"{address}edit/")
    client.post(f"/admin/{address}edit/", {"by": "session", "key": "trace_id", "model": "m"})
    assert "nobody" in page(client, f"{address}change/").split("judged by")[1][:100]


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ({}, "same trace_id are a sequence, which ends after 10 s of silence. Lines without one"),
        ({"by": "gap", "key": ""}, "A sequence ends after 10 s"),
        ({"by": "gap", "key": r"(50%\d)"}, r"same (50%\d) are"),
        ({"by": "time", "key": "", "seconds": 60}, "The lines of each 60 s"),
        ({"by": "time", "key": "service", "stride": 2.5}, "Of each service: The lines of 10 s are"),
        ({"by": "count", "key": "", "lateness": 0}, "Each 20 lines are a sequence. Lines may come 0 s late"),
        ({"by": "count", "key": "", "stride": 5}, "a new one begins every 5 lines"),
    ],
)
def test_a_rule_is_told_in_words(browser, ours, address, rule, said):
    Source.objects.filter(pk=ours.source.pk).update(rule=rule)
    assert said in page(browser("viewer"), f"{address}change/")


def test_buttons_replay_and_delete_what_stood_there(browser, ours, address):
    client = browser("engineer")
    empty = Lines([], [], [], [], [], [])
    for text in ("one", "two", "three", "four"):
        storage.store(ours.source, empty, [BadRecord(1, "odd", text)], receiver="x", redacted=Counter())
    keys = list(RejectedRecord.objects.order_by("pk").values_list("pk", flat=True))
    client.post(f"/admin/{address}do/replay/", {"record": keys[1]})
    assert storage.newest(ours.source, 1)[0].text == "one"
    client.post(f"/admin/{address}do/discard/", {"record": keys[2]})
    client.post(f"/admin/{address}do/replay/", {"newest": keys[3]})  # what came later, nobody has seen
    assert list(RejectedRecord.objects.values_list("text", flat=True)) == ["four"]
    assert {line.text for line in storage.newest(ours.source, 2)} == {"three", "ours text <script>alert('x')</script>"}
    for nothing in ({}, {"record": "x"}, {"newest": ""}):
        client.post(f"/admin/{address}do/discard/", nothing)
    assert RejectedRecord.objects.count() == 1


def test_a_token_is_shown_in_the_answer_and_never_again(browser, ours, address):
    client = browser("engineer")
    answer = client.post(f"/admin/{address}token/", {"name": "web-1"})
    (text,) = set(re.findall(r"duo_[\w-]{20,}", answer.content.decode()))
    assert "no-store" in answer["Cache-Control"]
    assert answer.content.decode().count(text) == len(shippers.KNOWN) + 1
    token = access.find_token(text, shipper=True)
    assert token is not None and (token.project, token.source, token.user.username) == ("ours", "ours-web", "engineer")
    html = page(client, f"{address}change/")
    assert text not in html and "web-1" in html
    assert "ours / ours-web" in page(client, "duolog/apitoken/")
    client.post(f"/admin/{address}do/revoke/", {"token": token.pk})
    assert access.find_token(text, shipper=True) is None
    assert client.get(f"/admin/{address}token/").status_code == 405


def test_a_token_of_another_source_is_not_revoked_here(browser, ours, theirs, address):
    other = ApiToken.objects.get(project="theirs")
    assert browser("owner").post(f"/admin/{address}do/revoke/", {"token": other.pk}).status_code == 404
    assert ApiToken.objects.filter(pk=other.pk).exists()


def test_a_token_without_a_source_is_listed_with_the_default_one(browser, ours):
    source = Source.objects.create(project=ours.project, name="default", dataset=ours.dataset)
    access.issue_token(user=ApiToken.objects.get().user, name="nameless", project="ours")
    assert "nameless" in page(browser("engineer"), f"logs/source/{source.pk}/change/")


def test_an_empty_source_says_how_to_send_to_it(browser, ours):
    source = Source.objects.create(project=ours.project, name="new", dataset=ours.dataset)
    html = page(browser("viewer"), f"logs/source/{source.pk}/change/")
    assert "Send your first logs" in html and "http://testserver/in/ours/api/v1/ingest" in html
    assert "Nothing has arrived yet" in html
    assert "Nothing has arrived yet" not in page(browser("reviewer"), f"logs/source/{ours.source.pk}/change/")


def test_a_time_that_no_calendar_has_breaks_no_page(browser, ours, address):
    storage.store(ours.source, Lines(["odd"], [9e11], [""], [""], [""], [0]), [], receiver="x", redacted=Counter())
    assert "odd" in page(browser("reviewer"), f"{address}change/")


def test_what_is_shown_already_is_not_sent_again(browser, ours, address):
    client = browser("viewer")
    html = page(client, f"{address}live/")
    (seen,) = re.findall(r'name="seen" value="(\w+)"', html)
    assert client.get(f"/admin/{address}live/?seen={seen}").status_code == 204
    storage.store(ours.source, Lines(["x"], [1.0], [""], [""], [""], [0]), [], receiver="x", redacted=Counter())
    assert client.get(f"/admin/{address}live/?seen={seen}").status_code == 200
    seen = re.findall(r'name="seen" value="(\w+)"', page(client, "live/"))[0]
    assert client.get(f"/admin/live/?seen={seen}").status_code == 204


def test_the_list_tells_how_sources_keep_up(browser, ours):
    storage.store(
        ours.source, Lines(["x"] * 3, [1.0] * 3, [""] * 3, [""] * 3, [""] * 3, [0] * 3), [], receiver="x",
        redacted=Counter(),
    )  # fmt: skip
    PendingChunk.objects.update(received_at=datetime.now(UTC) - timedelta(minutes=2))
    html = re.sub(r"<[^>]+>|\s+", " ", page(browser("viewer"), "logs/source/"))
    assert re.search(r"ours-web +Ours +4 +4 +3 \(2:00 min\) +0 +0", html)


# --- findings and scans -----------------------------------------------------------------------------------------


def test_a_list_of_findings_hears_of_newer_ones_of_its_projects(browser, ours, theirs):
    client = browser("viewer")
    newer = f"/admin/analysis/finding/newer/?after={ours.finding.pk}"
    assert client.get(newer).status_code == 204
    answer = client.get("/admin/analysis/finding/newer/?after=0")
    assert f"after={ours.finding.pk}" in answer.content.decode()
    assert answer["HX-Trigger-After-Settle"] == "findings"
    ours.finding.delete()
    assert "They appear here as soon as there are" in page(client, "analysis/finding/")
    assert client.get("/admin/analysis/finding/newer/?after=0").status_code == 204


def test_who_polls_the_api_gets_newer_findings_oldest_first(api, ours, theirs):
    from analysis.models import Finding
    from detection.models import Score

    made = []
    for sequence in ours.sequences[2:]:
        score = Score.objects.create(scan=ours.scan, sequence=sequence, value=0.8, anomalous=True)
        made.append(Finding.objects.create(project="ours", score=score, sequence=sequence, model="m").pk)
    client = api("viewer")

    def asked(**query):
        return [row["id"] for row in client.get("/api/v1/findings/", query).data["results"]]

    assert asked(after=ours.finding.pk) == made
    assert asked(after=made[0]) == made[1:]
    assert asked(after=made[1]) == []
    assert asked() == [*made[::-1], ours.finding.pk]
    assert client.get("/api/v1/findings/?after=x").status_code == 400
    assert client.get("/api/v1/findings/?after=-1").status_code == 400


def test_a_live_scan_says_so(browser, api, ours, address):
    live = Scan.objects.create(
        project="ours", version=ours.version, dataset=ours.dataset, threshold=0.5, sequences=9, anomalous=2,
        day=date(2026, 11, 25),
    )  # fmt: skip
    client = browser("viewer")
    html = page(client, f"detection/scan/{live.pk}/change/")
    assert "m:1 × ours-logs, live, 2026-11-25" in html and "keeps the scores of anomalous sequences only" in html
    assert "keeps the scores" not in page(client, f"detection/scan/{ours.scan.pk}/change/")
    assert "live, 2026-11-25" in page(client, "detection/scan/")
    for query, rows in (("yes", 1), ("no", 1)):
        html = page(client, f"detection/scan/?live={query}")
        assert ("live, 2026-11-25" in html, html.count("data-row")) == (query == "yes", rows)
    assert "2 anomalous of 9" in page(client, f"{address}change/")
    rows = api("reviewer").get("/api/v1/scans/?day=2026-11-25").data["results"]
    assert [(row["id"], row["day"]) for row in rows] == [(live.pk, "2026-11-25")]


# --- settings of shippers ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "port", "tls"),
    [("https://logs.example/in/shop", 443, True), ("http://127.0.0.1:8000/in/shop", 8000, False)],
)
def test_settings_are_complete(url, port, tls):
    found = {one.name: one for one in shippers.settings(url, "duo_secret")}
    for one in found.values():
        assert "duo_secret" in one.text and "$" not in one.text, one.name
        if one.file.endswith((".yaml", ".yml")):
            assert yaml.safe_load(one.text), one.name
    (output,) = yaml.safe_load(found["Fluent Bit"].text)["pipeline"]["outputs"]
    assert (output["port"], output["tls"], output["uri"]) == (port, tls, "/in/shop/api/v1/ingest")
    assert yaml.safe_load(found["Filebeat"].text)["output.elasticsearch"]["hosts"] == [
        url.replace("example/", "example:443/")
    ]
    compile(found["Python logging"].text, "settings", "exec")
