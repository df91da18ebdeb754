"""The demo's collector reads what processes write, and cuts it into windows."""

from __future__ import annotations

import time

from duolog.demo.collector import Collector
from duolog.demo.outage import AFTERMATH_SECONDS, Fault, Moment


def test_only_new_finished_lines_are_read_and_windows_cover_them(tmp_path):
    web, database = tmp_path / "web.log", tmp_path / "postgres.log"
    web.write_text("written before\n")
    database.touch()
    collector = Collector({"web": web, "postgres": database})
    since = time.time()
    collector.start()
    deadline = time.monotonic() + 10
    seen: list[str] = []
    with web.open("a") as stream, database.open("a") as other:
        while len(seen) < 3 and time.monotonic() < deadline:
            if not seen:  # until the collector stands at the end of the files, nothing it should see is written
                stream.write("GET /\n")
                stream.flush()
            elif len(seen) == 1:
                other.write("FATAL: 数据库\nhalf a l")
                other.flush()
            else:
                other.write("ine\n")
                other.flush()
            time.sleep(0.3)
            seen = [line for w in collector.windows(since, time.time() + 1, 0.5) for line in w.entries]
            seen = list(dict.fromkeys(seen))
    collector.stop()
    assert seen == ["web: GET /", "postgres: FATAL: 数据库", "postgres: half a line"]


def test_a_window_is_explained_by_a_fault_that_struck_in_it_or_shortly_before():
    moment = Moment(Fault("worker", "kill", lambda stack: None), at=100.0)
    assert moment.explains(99, 101)
    assert moment.explains(100 + AFTERMATH_SECONDS - 1, 120)
    assert not moment.explains(90, 99.9)
    assert not moment.explains(100 + AFTERMATH_SECONDS + 1, 130)
