"""A large file passes through without being held."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from django.db import connection

SIZE = 200 << 20
GROWTH = 80 << 20  # chunks, batches, parsers: far less than the file

CODE = """
import json, resource, sys
import django
django.setup()
from duolog.plugins.types import NullContext
from logs import ingest
from logs.files import open_records
from logs.models import Label
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
list(open_records(sys.argv[2]).records)
before = peak()
opened = open_records(sys.argv[1])
count = 0
def records():
    global count
    for count, one in enumerate(opened.records, 1):
        yield one
ingest.stage(records(), source=Label.Source.IMPORT, origin="x", ctx=NullContext())
print(json.dumps({"growth": peak() - before, "count": count}))
"""


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("name", ["large.json", "large.log"])
def test_memory_does_not_grow_with_the_file(tmp_path: Path, name: str) -> None:
    from django.conf import settings

    line = "2026-11-23 19:00:00 order-service INFO 创建订单 userId=%07d " + "x" * 100
    small, large = tmp_path / f"small-{name}", tmp_path / name
    rows = 0
    with large.open("w", encoding="utf-8") as stream:
        if name.endswith(".log"):
            while stream.tell() < SIZE:
                stream.write("\n".join(line % number for number in range(rows, rows + 2000)) + "\n")
                rows += 2000
        else:
            while stream.tell() < SIZE:
                part = [{"sequence_id": f"s{rows + n}", "label": 0, "log_entries": [line % n] * 20} for n in range(200)]
                stream.write(("[" if not rows else ",") + json.dumps(part, ensure_ascii=False)[1:-1])
                rows += 200
            stream.write("]")
    small.write_text('[{"sequence_id": "a", "log_entries": ["x"]}]' if name.endswith(".json") else "a\nb\n")
    url = urlsplit(settings.SERVICES.database_url)._replace(path=f"/{connection.settings_dict['NAME']}").geturl()
    done = subprocess.run(
        [sys.executable, "-c", CODE, str(large), str(small)],
        capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2],
        env=os.environ | {"DATABASE_URL": url, "REDIS_URL": settings.CELERY_BROKER_URL},
    )  # fmt: skip
    seen = json.loads(done.stdout)
    assert seen["count"] == (rows if name.endswith(".json") else rows // 20)
    assert seen["growth"] < GROWTH
