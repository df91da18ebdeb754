"""`detect` on files and streams, with nothing stored."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import connection

from logs.models import Sequence
from workers.models import Run

ROOT = Path(__file__).parents[2]


@pytest.fixture
def file(shop: Any, tmp_path: Path) -> Path:
    """The stored sequences as a file, without their labels."""
    rows = Sequence.objects.filter(dataset__name="shop").order_by("pk")
    lines = [json.dumps({"sequence_id": row.key, "log_entries": row.entries}) for row in rows]
    path = tmp_path / "shop.jsonl.gz"
    path.write_bytes(gzip.compress("\n".join([*lines[:5], '{"broken', *lines[5:]]).encode()))
    return path


def detect(capsys: Any, *arguments: object) -> tuple[list[dict[str, Any]], str]:
    capsys.readouterr()
    call_command("detect", *map(str, arguments), "--json")
    out, err = capsys.readouterr()
    return [json.loads(line) for line in out.splitlines()], err


def test_blame_can_be_had_fast(file: Path, capsys: Any) -> None:
    slow, fast = (detect(capsys, file, "--explain", how)[0] for how in ("counterfactual", "fast"))
    flagged = [(one, other) for one, other in zip(slow, fast, strict=True) if one["anomalous"] and one["blame"]]
    assert flagged and all(one["score"] == other["score"] for one, other in flagged)
    for _, other in flagged:
        assert sum(each["weight"] for each in other["blame"]) == pytest.approx(1, abs=1e-4)
    assert any(one["blame"] != other["blame"] for one, other in flagged)


def test_each_sequence_is_one_object_with_blame_for_the_anomalous(file: Path, capsys: Any) -> None:
    runs = Run.objects.count()
    rows, err = detect(capsys, file)
    rows_stored = Sequence.objects.filter(dataset__name="shop").order_by("pk").prefetch_related("labels")
    stored = {row.key: row for row in rows_stored}
    assert [row["sequence_id"] for row in rows] == list(stored)
    right = sum(row["anomalous"] == bool(stored[row["sequence_id"]].labels.get().value) for row in rows)
    assert right >= 0.95 * len(rows)
    for row in rows:
        assert row.keys() == {"sequence_id", "score", "anomalous", "blame", "flips"}
        weights = [each["weight"] for each in row["blame"]]
        assert weights == sorted(weights, reverse=True)
        assert all(0 <= each["line"] < len(stored[row["sequence_id"]].entries) for each in row["blame"])
        assert not weights or (row["anomalous"] and sum(weights) == pytest.approx(1, abs=1e-4))
        assert row["anomalous"] or not row["flips"]
        assert set(row["flips"]) < set(range(len(stored[row["sequence_id"]].entries)))
    assert any(row["blame"] for row in rows)
    assert any(row["flips"] for row in rows)
    assert "1 rows made no sense" in err
    assert Run.objects.count() == runs


def test_people_see_the_anomalous_ones_with_their_most_suspicious_lines(file: Path, capsys: Any) -> None:
    rows, _ = detect(capsys, file)
    call_command("detect", str(file))
    out, err = capsys.readouterr()
    flagged = [row["sequence_id"] for row in rows if row["anomalous"]]
    shown = [line.split()[0] for line in out.splitlines() if line and not line.startswith(" ")]
    assert shown == flagged
    assert f"{len(flagged)} of 300 sequences are anomalous (shop-moe:1" in err
    told = {line for row in Sequence.objects.filter(dataset__name="shop", key__in=flagged) for line in row.entries}
    below = [line for line in out.splitlines() if line.startswith(" ") and "no single line stands out" not in line]
    assert below
    assert all(line.split(maxsplit=2)[2] in told for line in below)


def test_plain_text_is_cut_as_asked(shop: Any, tmp_path: Path, capsys: Any) -> None:
    log = tmp_path / "app.log"
    log.write_text("\n".join(f"INFO request={n % 3} step {n}" for n in range(45)), encoding="utf-8")
    for arguments, expected in (([], 3), (["--window", 10], 5), (["--session", r"request=(\d)"], 3)):
        rows, _ = detect(capsys, log, *arguments)
        assert len(rows) == expected
    assert [row["sequence_id"] for row in rows] == ["0", "1", "2"]


def test_a_stream_is_scored_while_it_flows(shop: Any, until: Any) -> None:
    """The process has read only part of its input when the first answers come."""
    environment = os.environ | {"DATABASE_URL": database_url(), "REDIS_URL": settings.CELERY_BROKER_URL}
    with subprocess.Popen(
        [sys.executable, "manage.py", "detect", "-", "--window", "2", "--json"],
        cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdin and process.stdout
        process.stdin.write("INFO a\nINFO b\nERROR c\nERROR d\n")
        process.stdin.flush()
        began = time.monotonic()
        rows = [json.loads(process.stdout.readline()) for _ in range(2)]
        assert time.monotonic() - began < 60
        assert process.poll() is None
        process.stdin.write("INFO e\n")
        process.stdin.close()
        rows.append(json.loads(process.stdout.readline()))
        assert process.wait(30) == 0
    assert [row["sequence_id"][-1] for row in rows] == ["0", "1", "2"]


def test_whoever_reads_our_output_may_stop(file: Path) -> None:
    environment = os.environ | {"DATABASE_URL": database_url(), "REDIS_URL": settings.CELERY_BROKER_URL}
    command = f"{sys.executable} manage.py detect {file} --json | head -n 1"
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert (done.returncode, len(done.stdout.splitlines())) == (0, 1)
    assert "Traceback" not in done.stderr


def test_bad_arguments_are_refused_with_code_2(shop: Any) -> None:
    with pytest.raises(CommandError) as refused:
        call_command("detect", "x", "--window", "5", "--session", "a")
    assert "not allowed with" in str(refused.value)


def database_url() -> str:
    from urllib.parse import urlsplit

    return urlsplit(settings.SERVICES.database_url)._replace(path=f"/{connection.settings_dict['NAME']}").geturl()
