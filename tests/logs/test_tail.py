"""Files that are followed: every line is stored once, whatever happens to the file or to us."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from duolog.plugins.types import LogBatch, Receipt, Refused
from logs import tail
from logs.tail import Tail


@dataclass
class Store:
    """Keeps lines; the same key is stored once. `dies` raises after the commit, as a kill before the answer would."""

    texts: list[str] = field(default_factory=list)
    batches: list[LogBatch] = field(default_factory=list)
    keys: set[bytes] = field(default_factory=set)
    dies: int = -1
    refuses: int = 0

    def __call__(self, key: bytes, batch: LogBatch) -> Receipt:
        if self.refuses:
            self.refuses -= 1
            raise Refused(503, "busy")
        if key not in self.keys:
            self.keys.add(key)
            self.texts += batch.texts
            self.batches.append(batch)
        self.dies -= 1
        if self.dies == 0:
            raise KeyboardInterrupt
        return Receipt("r", len(batch.texts), len(batch.rejected))


class Folder:
    """A log file, and what follows it."""

    def __init__(self, path: Path) -> None:
        self.log, self.state, self.store = path / "shop.log", path / "state.json", Store()
        self.tail: Tail | None = None

    def write(self, *lines: str, end: str = "\n") -> None:
        with self.log.open("a", encoding="utf-8") as stream:
            stream.write("".join(line + end for line in lines))

    def follow(self, max_line: int = 1 << 20) -> None:
        """Go on, in a new process if there is none."""
        self.tail = self.tail or Tail([str(self.log)], self.store, self.state, max_line=max_line)
        while self.tail.step():
            pass

    def stop(self) -> None:
        assert self.tail
        self.tail.close()
        self.tail = None


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def test_lines_come_with_time_level_and_place(folder: Folder) -> None:
    folder.write("2026-11-25 08:00:00 ERROR 数据库连接超时", "plain", "", "\tat com.example.Main", end="\r\n")
    folder.follow()
    batch = folder.store.batches[0]
    assert batch.texts == ["2026-11-25 08:00:00 ERROR 数据库连接超时", "plain", "\tat com.example.Main"]
    assert (batch.times, batch.levels, batch.services) == ([1795593600.0, None, None], ["error", "", ""], ["shop"] * 3)
    place = json.loads(batch.attributes[1])
    data = folder.log.read_bytes()
    assert place["log.file.path"] == str(folder.log)
    assert data[int(place["log.offset"]) :].startswith(b"plain\r\n")


def test_a_line_is_taken_when_it_ends(folder: Folder) -> None:
    folder.write("one", "tw")
    with folder.log.open("r+b") as stream:
        stream.truncate(6)
    folder.follow()
    assert folder.store.texts == ["one"]
    folder.write("o")
    folder.follow()
    assert folder.store.texts == ["one", "two"]


def test_equal_lines_are_all_kept(folder: Folder) -> None:
    for _ in range(3):
        folder.write("heartbeat")
        folder.follow()
    assert folder.store.texts == ["heartbeat"] * 3


def test_a_file_may_come_later(folder: Folder) -> None:
    folder.follow()
    folder.write("one")
    folder.follow()
    assert folder.store.texts == ["one"]


@pytest.mark.parametrize("restart", [False, True])
def test_rotation_by_renaming(folder: Folder, restart: bool) -> None:
    folder.write("one")
    folder.follow()
    folder.write("two")
    if restart:
        folder.stop()
    folder.log.rename(folder.log.with_suffix(".log.1"))
    folder.write("three")
    folder.follow()
    with folder.log.with_suffix(".log.1").open("a") as late:  # its writer has not noticed yet
        late.write("late\n")
    folder.follow()
    assert sorted(folder.store.texts) == ["late", "one", "three", "two"]


@pytest.mark.parametrize("restart", [False, True])
@pytest.mark.parametrize("more", [["four"], ["four, which is longer than all that was there before", "five"]])
def test_truncation(folder: Folder, restart: bool, more: list[str]) -> None:
    folder.write("one", "two", "three")
    folder.follow()
    if restart:
        folder.stop()
    shutil.copy(folder.log, folder.log.with_suffix(".1"))
    os.truncate(folder.log, 0)
    folder.write(*more)
    folder.follow()
    assert folder.store.texts == ["one", "two", "three", *more]


def test_a_moved_file_is_let_go_when_it_is_silent(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.write("one")
    folder.follow()
    folder.write("unfinished", end="")
    folder.log.rename(folder.log.with_suffix(".1"))
    folder.write("two")
    monkeypatch.setattr(tail, "LINGER", -1.0)
    folder.follow()
    assert sorted(folder.store.texts) == ["one", "two", "unfinished"]
    folder.follow()
    assert folder.tail
    assert len(folder.tail.files) == 1


@pytest.mark.parametrize("dies", range(1, 8))
def test_death_between_commit_and_its_note(folder: Folder, monkeypatch: pytest.MonkeyPatch, dies: int) -> None:
    monkeypatch.setattr(tail, "PIECE", 64)
    lines = [f"line {number}" for number in range(50)]
    folder.store.dies = dies
    for line in lines:
        folder.write(line)
        try:
            folder.follow(max_line=63)
        except KeyboardInterrupt:
            folder.stop()
    folder.write("more", "lines")
    folder.follow(max_line=63)
    assert folder.store.texts == [*lines, "more", "lines"]


def test_a_line_that_is_too_long_is_rejected_whole(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tail, "PIECE", 64)
    folder.write("one", "x" * 1000, end="\n")
    folder.write("y" * 500, end="")
    folder.follow(max_line=63)
    folder.write("y", "two")
    folder.follow(max_line=63)
    assert folder.store.texts == ["one", "two"]
    assert [reason.reason for batch in folder.store.batches for reason in batch.rejected] == [
        "the line has 1001 bytes; at most 63 are taken",
        "the line has 502 bytes; at most 63 are taken",
    ]


def test_an_overloaded_store_is_asked_again(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tail, "AGAIN", 0.01)
    folder.store.refuses = 3
    folder.write("one")
    folder.follow()
    assert folder.store.texts == ["one"]


def test_gb18030(folder: Folder) -> None:
    folder.log.write_bytes("数据库连接超时\n".encode("gb18030"))
    folder.follow()
    assert folder.store.texts == ["数据库连接超时"]


def test_positions_of_other_files_are_kept(folder: Folder) -> None:
    folder.write("one")
    folder.follow()
    folder.stop()
    other = folder.log.with_name("other.log")
    other.write_text("two\n")
    second = Tail([str(other)], folder.store, folder.state)
    while second.step():
        pass
    second.close()
    folder.follow()
    assert folder.store.texts == ["one", "two"]


def test_times_without_a_zone_are_local(folder: Folder) -> None:
    folder.write(
        "2026-11-25 08:00:00 a", "2026-11-25T08:00:00Z b", "25/Nov/2026:08:00:00 +0100 c", "2026-07-01 08:00:00 d"
    )
    folder.tail = Tail([str(folder.log)], folder.store, folder.state, zone="Europe/Berlin")
    folder.follow()
    assert folder.store.batches[0].times == [1795590000.0, 1795593600.0, 1795590000.0, 1782885600.0]


def test_syslogs_times_are_not_taken_for_last_years(folder: Folder) -> None:
    """Here it may be tomorrow already."""
    now = datetime.now(ZoneInfo("Pacific/Kiritimati")).replace(microsecond=0)
    folder.write(f"{now:%b %d %H:%M:%S} host app: x")
    folder.tail = Tail([str(folder.log)], folder.store, folder.state, zone="Pacific/Kiritimati")
    folder.follow()
    assert folder.store.batches[0].times == [now.timestamp()]
