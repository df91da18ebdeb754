"""The console of redaction: what each role sees and may do, what was redacted, and how well the rules find secrets."""

from __future__ import annotations

import re
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from logs import redaction_rules, storage
from logs.engine.chunks import Lines
from logs.models import Receipt, RedactionRule

AT = "/admin/redaction/ours/"


def page(client, path: str = AT) -> str:
    """Return a page's HTML."""
    answer = client.get(path)
    assert answer.status_code == 200, path
    return str(answer.content.decode())


def row(html: str, name: str) -> str:
    """Return the words of a kind's row in the table."""
    (found,) = [each for each in re.findall(r"<tr>.*?</tr>", html, re.DOTALL) if f'scope="row">{name}<' in each]
    return " ".join(re.sub(r"<select.*?</select>|<[^>]+>", " ", found, flags=re.DOTALL).split())


def received(source, **counts: int) -> None:
    """Store a batch in which so many values of each kind were redacted."""
    named = Counter({kind.replace("_", "-"): count for kind, count in counts.items()})
    storage.store(source, Lines([], [], [], [], [], []), [], receiver="x", redacted=named)


def rules() -> list[tuple[str, str]]:
    """What our project has set."""
    return list(RedactionRule.objects.filter(project__slug="ours").order_by("kind").values_list("kind", "strategy"))


@pytest.mark.parametrize(
    ("role", "shown", "hidden"),
    [
        ("viewer", ["Engineers of the project can change"], ["<select", "Try the rules", 'name="deed"']),
        ("reviewer", ["Engineers of the project can change"], ["<select", "Try the rules", 'name="deed"']),
        ("engineer", ['aria-label="Save Passwords"', "Try the rules", "A kind of your own"], ["Engineers of"]),
    ],
)
def test_each_role_sees_what_is_its_own(browser, ours, role, shown, hidden):
    html = page(browser(role))
    assert [text for text in [*shown, "ours-staff"] if text not in html] == []
    assert [text for text in hidden if text in html] == []
    assert "<script>alert" not in html and "ours-\\d{6}|x-&lt;script&gt;" in html


@pytest.mark.parametrize("deed", ["set", "add", "delete", "try"])
def test_only_engineers_of_the_project_change_or_try_something(browser, ours, theirs, deed):
    sent = {"deed": deed, "kind": "ours-staff", "strategy": "keep", "pattern": "a", "text": "a"}
    assert browser("reviewer").post(AT, sent).status_code == 403
    assert browser("owner").post("/admin/redaction/theirs/", sent).status_code == 404
    assert rules() == [("ours-staff", "mask")]


def test_the_menu_leads_to_the_page_of_the_only_project_or_to_a_list(browser, ours, theirs):
    client, root = browser("viewer"), browser("root")
    assert 'href="/admin/redaction/"' in page(client, "/admin/")
    assert client.get("/admin/redaction/").url == AT
    received(ours.source, email=1234)
    html = page(root, "/admin/redaction/")
    assert AT in html and "/admin/redaction/theirs/" in html and "1234" in html
    assert root.get("/admin/redaction/nowhere/").status_code == 404


def test_a_strategy_is_set_shown_with_who_set_it_and_taken_back(browser, ours):
    client = browser("engineer")
    assert row(page(client), "E-mail addresses").endswith("by default")
    answer = client.post(AT, {"deed": "set", "kind": "email", "strategy": "hash"}, follow=True)
    assert "It holds for lines that come from now on" in answer.content.decode()
    assert re.search(r"engineer, \w+", row(page(client), "E-mail addresses"))
    owner = browser("owner")
    owner.post(AT, {"deed": "set", "kind": "email", "strategy": "keep"})
    html = page(browser("viewer"))
    assert "keep: do not look for it 0 kept kept owner, " in row(html, "E-mail addresses")
    owner.post(AT, {"deed": "delete", "kind": "email"})
    assert rules() == [("ours-staff", "mask")]
    for odd in ({"kind": "nothing", "strategy": "mask"}, {"kind": "email", "strategy": "eat"}, {"kind": "email"}):
        assert client.post(AT, {"deed": "set", **odd}).status_code == 404
    assert client.post(AT, {"deed": "dance"}).status_code == 404
    for kind in ("email", "a\0b"):
        assert client.post(AT, {"deed": "delete", "kind": kind}).status_code == 404


def test_a_pattern_is_added_and_deleted(browser, ours):
    client = browser("engineer")
    sent = {"deed": "add", "kind": "badge", "pattern": r" B-\d{4}", "strategy": "drop"}
    assert client.post(AT, sent).url == AT
    made = RedactionRule.objects.get(kind="badge")
    assert (made.pattern, made.strategy, made.set_by.username) == (r" B-\d{4}", "drop", "engineer")
    again = client.post(AT, sent).content.decode()
    assert "project ours has a rule for badge already" in again and 'value=" B-\\d{4}"' in again
    assert client.post(AT, {"deed": "delete", "kind": "badge"}).url == AT
    assert rules() == [("ours-staff", "mask")]


def test_a_pattern_that_makes_no_sense_is_told_in_the_readers_language(browser, ours):
    client = browser("engineer")
    sent = {"deed": "add", "kind": "badge", "pattern": "a*", "strategy": "mask"}
    assert "matches an empty text" in client.post(AT, sent).content.decode()
    assert "is built in" in client.post(AT, sent | {"kind": "phone"}).content.decode()
    assert "the pattern is invalid" in client.post(AT, sent | {"pattern": "(?=a)"}).content.decode()
    client.post("/i18n/setlang/", {"language": "zh-hans"})
    assert "空文本" in client.post(AT, sent).content.decode()
    assert rules() == [("ours-staff", "mask")]


def test_what_was_redacted_in_the_last_days_is_counted_by_kind(browser, ours, theirs):
    received(ours.source, email=2, phone=1)
    received(ours.source, email=40, badge=7)
    received(ours.source, email=500)
    Receipt.objects.filter(redacted={"email": 500}).update(received_at=datetime.now(UTC) - timedelta(days=31))
    received(theirs.source, email=9000)
    html = page(browser("viewer"))
    assert "mask: [REDACTED:kind] 42 " in row(html, "E-mail addresses")
    assert "mask: [REDACTED:kind] 1 " in row(html, "Chinese mobile numbers")
    assert row(html, "badge") == "badge not looked for any more 7 - - -"


def test_recall_and_precision_are_shown_at_once_or_when_asked_for_and_kept(browser, ours, monkeypatch):
    client = browser("viewer")
    assert "Measure recall and precision" in page(client)  # its own pattern may be slow
    html = page(client, f"{AT}?measure=1")
    assert re.search(r"recall</dt><dd[^>]*>0\.99", html) and re.search(
        r"planted secrets found</dt><dd>26\d\d / 26", html
    )
    assert re.search(r"1\.0000 1\.0000", row(html, "Chinese mobile numbers"))
    assert "0 harmless lines touched" in re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", html))

    def again(*_):
        raise AssertionError("the same rules were measured twice")

    with monkeypatch.context() as patched:
        patched.setattr(redaction_rules, "measure", again)
        assert "Measure recall and precision" not in page(client)
    RedactionRule.objects.create(project=ours.project, kind="phone", strategy="keep")
    assert "Measure recall and precision" in page(client)
    assert "kept kept" in row(page(client, f"{AT}?measure=1"), "Chinese mobile numbers")
    ours.rule.delete()
    assert "planted secrets found" in page(client)  # what is built in is quick


def test_lines_are_tried_line_by_line_and_stored_nowhere(browser, ours):
    client, lines = browser("engineer"), "  tel 13812345678\r\nours-123456 <b>\r\n\r\nplain"
    before = (Receipt.objects.count(), rules())
    html = client.post(AT, {"deed": "try", "text": lines}).content.decode()
    assert "  tel [REDACTED:phone]\n[REDACTED:ours-staff] &lt;b&gt;\n\nplain</pre>" in html
    assert "Chinese mobile numbers: 1; ours-staff: 1" in html
    assert (Receipt.objects.count(), rules()) == before
    assert "No rule found anything in it." in client.post(AT, {"deed": "try", "text": "plain"}).content.decode()
    assert "This field is required" in client.post(AT, {"deed": "try", "text": ""}).content.decode()
