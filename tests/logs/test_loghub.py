"""Loghub's data as they are published: HDFS with its label file, BGL and Thunderbird with their label column."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pytest

from duolog.plugins.options import OptionsError
from duolog.plugins.types import BadRecord
from logs.files import open_records

HDFS = """081109 203518 143 INFO dfs.DataNode$DataXceiver: Receiving block blk_-1 src: /10.250.19.102:54106
081109 203519 145 INFO dfs.FSNamesystem: BLOCK* ask 10.251.1.1:50010 to delete blk_2 blk_-1 blk_3
081109 203520 143 WARN dfs.DataNode$DataXceiver: Exception in receiveBlock for block blk_2
java.io.IOException: Connection reset by peer
\tat sun.nio.ch.FileDispatcher.read0(Native Method)
081109 203521 143 INFO dfs.DataNode$PacketResponder: PacketResponder 0 for block blk_-1 terminating
"""
TABLE = """LineId,Date,Time,Pid,Level,Component,Content,EventId,EventTemplate
1,081109,203518,143,INFO,dfs.DataNode,Receiving block blk_-1 src: /10.0.0.1,E5,Receiving block <*> src: <*>
2,081109,203519,145,INFO,dfs.FSNamesystem,"ask to delete blk_2, blk_-1",E7,ask to delete <*>
"""
LABELS = "BlockId,Label\nblk_-1,Normal\nblk_2,Anomaly\n"
BGL = """- 1117838570 2005.06.03 R02-M1 2005-06-03-15.42.50.675872 R02-M1 RAS KERNEL INFO cache parity error corrected
- 1117838573 2005.06.03 R02-M2 2005-06-03-15.42.53.276129 R02-M2 RAS KERNEL INFO cache parity error corrected
KERNDTLB 1117838976 2005.06.03 R02-M1 2005-06-03-15.49.36.156884 R02-M1 RAS KERNEL FATAL data TLB error interrupt
- 1117838978 2005.06.03 R02-M2 2005-06-03-15.49.38.026704 R02-M2 RAS KERNEL INFO fine
"""


def read(path: Path, **options: Any) -> tuple[str, list[Any]]:
    opened = open_records(path, options=options)
    return opened.format, list(opened.records)


@pytest.mark.parametrize("name", ["HDFS.log", "HDFS.log.gz"])
@pytest.mark.parametrize("place", [".", "preprocessed"])
def test_raw_hdfs_is_grouped_by_block_and_labelled(tmp_path: Path, name: str, place: str) -> None:
    (tmp_path / place).mkdir(exist_ok=True)
    (tmp_path / place / "anomaly_label.csv").write_text(LABELS)
    (tmp_path / name).write_bytes(gzip.compress(HDFS.encode()) if name.endswith("gz") else HDFS.encode())
    lines = HDFS.split("\n")
    for path in (tmp_path / name, tmp_path):  # the file, or the folder as it was downloaded
        format, made = read(path)  # noqa: A001
        assert format == "hdfs"
        assert {one.id: (one.label, len(one.entries)) for one in made} == {
            "blk_-1": (0, 3), "blk_2": (1, 2), "blk_3": (None, 1),
        }  # fmt: skip
        assert made[1].entries == (lines[1], "\n".join(lines[2:5]))


def test_structured_hdfs_as_text_or_templates(tmp_path: Path) -> None:
    (tmp_path / "anomaly_label.csv").write_text(LABELS)
    (tmp_path / "HDFS.log_structured.csv").write_text(TABLE)
    format, (first, second) = read(tmp_path / "HDFS.log_structured.csv")  # noqa: A001
    assert format == "hdfs"
    assert (first.id, first.label) == ("blk_-1", 0)
    assert first.entries == ("Receiving block blk_-1 src: /10.0.0.1", "ask to delete blk_2, blk_-1")
    assert first.times == (1226262918.0, 1226262919.0)
    assert (second.id, second.label, len(second.entries)) == ("blk_2", 1, 1)
    _, (first, _) = read(tmp_path / "HDFS.log_structured.csv", templates=True)
    assert first.entries[0] == "Receiving block <*> src: <*>"


def test_a_label_file_that_is_wrong_or_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "HDFS.log").write_text(HDFS)
    (tmp_path / "mine.csv").write_text("BlockId,Label\nblk_-1,odd\n")
    with pytest.raises(OptionsError, match=r"mine\.csv:2: 'blk_-1,odd' is not a block and Normal or Anomaly"):
        read(tmp_path / "HDFS.log", labels="mine.csv")
    with pytest.raises(OptionsError, match=r"there is no file other\.csv beside the log"):
        read(tmp_path / "HDFS.log", labels="other.csv")
    for outside in ("../mine.csv", str(tmp_path / "mine.csv")):
        with pytest.raises(OptionsError, match="in the same folder"):
            read(tmp_path / "HDFS.log", labels=outside)


def test_bgl_windows_are_as_bad_as_their_worst_line_and_do_not_show_it(tmp_path: Path) -> None:
    (tmp_path / "BGL.log").write_text(BGL + "torn li\n")
    format, made = read(tmp_path / "BGL.log", window=2)  # noqa: A001
    assert format == "bgl"
    bad = [one for one in made if isinstance(one, BadRecord)]
    assert [(one.row, one.reason) for one in bad] == [(5, "it does not begin with label, Unix time, date and node")]
    normal, anomalous = (one for one in made if not isinstance(one, BadRecord))
    assert (normal.label, normal.type, anomalous.label, anomalous.type) == (0, None, 1, "KERNDTLB")
    assert anomalous.entries[0].startswith("1117838976 2005.06.03 R02-M1")
    assert anomalous.times == (1117838976.0, 1117838978.0)
    assert "KERNDTLB" not in "".join(anomalous.entries)


def test_bgl_by_node_or_minutes(tmp_path: Path) -> None:
    (tmp_path / "BGL.log").write_text(BGL)
    assert [(one.id, one.label) for one in read(tmp_path / "BGL.log", node=True)[1]] == [("R02-M1", 1), ("R02-M2", 0)]
    assert [len(one.entries) for one in read(tmp_path / "BGL.log", seconds=300)[1]] == [2, 2]


def test_the_real_samples_are_recognised(shared_data: Path) -> None:
    for name, kind, least in (
        ("HDFS/HDFS_2k.log.gz", "hdfs", 1900),
        ("HDFS/HDFS_2k.log_structured.csv.gz", "hdfs", 1900),
        ("BGL/BGL_2k.log.gz", "bgl", 100),
        ("Spark/Spark_2k.log.gz", "text", 90),
        ("Linux/Linux_2k.log_structured.csv.gz", "csv", 100),
    ):
        format, made = read(shared_data / "loghub_2k" / name)  # noqa: A001
        assert (format, len(made) >= least) == (kind, True)
        assert not [one for one in made if isinstance(one, BadRecord)]
    bgl = read(shared_data / "loghub_2k" / "BGL" / "BGL_2k.log.gz", window=1)[1]
    assert sum(one.label for one in bgl) == 143
