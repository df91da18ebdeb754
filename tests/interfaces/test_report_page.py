"""Console: reports on a finding's page and in the list, who may ask for one, and what they took."""

from __future__ import annotations

from typing import Any

import pytest
from tenants import EVIL

from analysis.engine.citing import Piece, pieces
from analysis.models import AnomalyReport, Finding
from workers.models import Run

PAGE = "/admin/analysis/finding/{}/change/"
TEXTS = {
    "en": {
        "summary": "Line 2 says “row 1” twice.",
        "root_cause": "cart-service did not answer.",
        "recommendations": ["Look for “row 1”."],
    },
    "zh": {
        "summary": "第2行两次出现“row 1”。",
        "root_cause": "cart-service 未响应。",
        "recommendations": ["查看“row 1”。"],
    },
}


def claim(language: str, field: str, kind: str, text: str, *lines: int) -> dict[str, Any]:
    """What grounding says of a claim; without lines it was struck."""
    return {
        "language": language, "field": field, "kind": kind, "text": text, "found": bool(lines), "lines": list(lines)
    }  # fmt: skip


@pytest.fixture
def told(ours: Any) -> AnomalyReport:
    """A report in both languages, of whose claims one was struck."""
    row = AnomalyReport.objects.get(finding=ours.finding)
    row.texts, row.grounded = TEXTS, 0.75
    row.claims = [
        claim(language, "summary", kind, text, 1)
        for language in TEXTS
        for kind, text in [("line", "2"), ("quote", "row 1")]
    ]
    row.claims += [claim("en", "root_cause", "name", f"db-{EVIL}"), claim("en", "recommendations", "quote", "row 1", 1)]
    row.save()
    return row


def html(client: Any, path: str) -> str:
    """Return a page."""
    answer = client.get(path)
    assert answer.status_code == 200
    return str(answer.content.decode())


def test_words_that_stand_in_a_line_link_to_it() -> None:
    cited = {
        ("line", "2"): 1,
        ("name", "cart-service"): 0,
        ("number", "30s"): 3,
        ("line", "4"): 3,
    }
    text = "Lines 2 and 4: cart-service waited 30 s, not 300 s, for “x”."
    cut = pieces(text, cited)
    assert "".join(piece.text for piece in cut) == text
    assert [piece for piece in cut if piece.line] == [
        Piece("2", 2), Piece("4", 4), Piece("cart-service", 1), Piece("30", 4)
    ]  # fmt: skip
    assert pieces("", {}) == []


def test_a_report_is_told_in_the_language_of_whoever_looks_and_in_the_other(browser: Any, ours: Any, told: Any) -> None:
    client, path = browser("viewer"), PAGE.format(ours.finding.pk)
    page = html(client, path)
    assert '<a href="#line-2">row 1</a>' in page and 'Line <a href="#line-2">2</a> says' in page
    assert "did not answer" in page and "未响应" not in page and "application (应用) · timeout" in page
    assert "1 claim struck" in page and "db-&lt;script&gt;" in page and "<script>alert" not in page
    assert "75 %" in page and "critical" not in page
    assert "未响应" in html(client, f"{path}?in=zh")
    part = html(client, f"/admin/analysis/finding/{ours.finding.pk}/report/?in=zh")
    assert "未响应" in part and "did not answer" not in part
    chinese = client.get(path, HTTP_ACCEPT_LANGUAGE="zh-hans").content.decode()
    for word in ("分析报告", "根因", "处置建议", "证据", "置信度", "未响应", "应用 · timeout"):
        assert word in chinese, word
    for word in ("Root cause", "Evidence", "confidence", "did not answer"):
        assert word not in chinese, word


def test_strangers_see_no_report_and_viewers_ask_for_none(browser: Any, ours: Any, theirs: Any) -> None:
    client = browser("viewer")
    assert "Explain again" not in html(client, PAGE.format(ours.finding.pk))
    assert client.get(f"/admin/analysis/finding/{theirs.finding.pk}/report/").status_code == 404
    assert client.post(f"/admin/analysis/finding/{theirs.finding.pk}/do/explain/").status_code == 404
    assert client.post(f"/admin/analysis/finding/{ours.finding.pk}/do/explain/").status_code == 403
    assert client.post("/admin/analysis/finding/explain/", {"project": "ours"}).status_code == 403
    assert client.post("/admin/analysis/finding/explain/", {"project": "theirs"}).status_code == 404
    assert "Explain all" not in html(client, "/admin/analysis/finding/")
    selected = {"action": "explain_selected", "_selected_action": [ours.finding.pk]}
    client.post("/admin/analysis/finding/", selected)
    assert not Run.objects.filter(job="explain").exists()


def test_a_reviewer_asks_once_and_watches(browser: Any, ours: Any) -> None:
    AnomalyReport.objects.all().delete()
    client, path = browser("reviewer"), PAGE.format(ours.finding.pk)
    assert "No analyst has explained" in html(client, path)
    for _ in range(2):
        assert (
            client.post(f"/admin/analysis/finding/{ours.finding.pk}/do/explain/", {"analyst": "rules"}).status_code
            == 302
        )
    run = Run.objects.get(job="explain")
    assert (run.options["findings"], run.options["analyst"]) == ([ours.finding.pk], "rules")
    assert run.created_by.username == "reviewer"
    waits = html(client, path)
    assert 'hx-trigger="every 500ms"' in waits and "do/explain" not in waits

    Run.objects.filter(pk=run.pk).update(status="running")
    AnomalyReport.objects.create(finding=ours.finding, analyst="rules", run=run, draft=f"so far {EVIL}")
    part = f"/admin/analysis/finding/{ours.finding.pk}/report/"
    writes = html(client, part)
    assert "so far &lt;script&gt;" in writes and "rules is writing" in writes
    seen = writes.split("seen=")[1].split("&")[0]
    assert client.get(f"{part}?seen={seen}").status_code == 204

    Run.objects.filter(pk=run.pk).update(status="failed", error="the line is dead")
    AnomalyReport.objects.all().delete()
    failed = html(client, f"{part}?seen={seen}")
    assert "the line is dead" in failed and "do/explain" in failed and "every 500ms" not in failed


def test_a_failed_report_says_why_and_the_newest_replaces_the_older(browser: Any, ours: Any, told: Any) -> None:
    client, path = browser("reviewer"), PAGE.format(ours.finding.pk)
    AnomalyReport.objects.create(finding=ours.finding, state="failed", analyst="rules", error="too long")
    page = html(client, path)
    assert "too long" in page and "did not answer" in page
    AnomalyReport.objects.create(finding=ours.finding, state="done", analyst="m:2", anomalous=False, texts=TEXTS)
    page = html(client, path)
    assert "The analyst calls this normal." in page and "1 older report" in page and "too long" not in page


def test_remote_analysts_are_offered_where_lines_may_leave(browser: Any, ours: Any, settings: Any) -> None:
    settings.ANALYST_OPTIONS = {"remote-echo": {}}
    client, path = browser("reviewer"), PAGE.format(ours.finding.pk)
    assert "remote-echo" not in html(client, path)
    type(ours.project).objects.filter(pk=ours.project.pk).update(remote_analysts=True)
    assert '<option value="remote-echo">' in html(client, path)


def test_the_list_tells_the_newest_verdict_and_is_narrowed_by_it(browser: Any, ours: Any) -> None:
    client, path = browser("reviewer"), "/admin/analysis/finding/"
    score = ours.scan.scores.create(sequence=ours.sequences[2], value=0.8, anomalous=True, blame=[0, 0, 1])
    bare = Finding.objects.create(project="ours", score=score, sequence=score.sequence, model="m")
    AnomalyReport.objects.create(
        finding=ours.finding, state="done", analyst="rules", severity="critical", category="网络"
    )
    page = html(client, path)
    assert "critical" in page and "network (网络)" in page

    def shown(query: str) -> list[int]:
        return sorted(row.pk for row in client.get(f"{path}?{query}").context["cl"].result_list)

    assert shown("severity=critical") == shown("category=网络") == [ours.finding.pk]
    assert shown("severity=high") == shown("severity=normal") == []
    assert shown("severity=none") == [bare.pk]
    client.post(path, {"action": "explain_selected", "_selected_action": [ours.finding.pk, bare.pk]})
    assert Run.objects.get(job="explain").options["findings"] == [bare.pk, ours.finding.pk]
    client.post(f"{path}explain/", {"project": ""})
    assert Run.objects.filter(job="explain", options__findings=[]).count() == 1


def test_pages_cost_the_same_however_many_reports(browser: Any, ours: Any, django_assert_max_num_queries: Any) -> None:
    client = browser("root")
    AnomalyReport.objects.bulk_create(
        [AnomalyReport(finding=ours.finding, state="done", analyst="rules", texts=TEXTS) for _ in range(30)]
    )
    for path in ("/admin/analysis/finding/", PAGE.format(ours.finding.pk), "/admin/usage/"):
        client.get(path)
        with django_assert_max_num_queries(22):
            assert client.get(path).status_code == 200


def test_usage_is_for_engineers_and_owners_change_what_may_leave(browser: Any, ours: Any, theirs: Any) -> None:
    assert browser("reviewer").get("/admin/usage/").status_code == 403
    page = html(browser("engineer"), "/admin/usage/")
    assert "0.2500" in page and "stay here" in page and "Theirs" not in page
    change = f"/admin/logs/project/{ours.project.pk}/change/"
    assert change not in page
    assert change in html(browser("owner"), "/admin/usage/")
