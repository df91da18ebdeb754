"""Sequences judged as they close: a batch at a time, each once, with the score in the transaction that notes it."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from datetime import UTC, datetime

from django.db import connection
from django.db.models import F

from detection import line_vectors, scan, shadow, versions
from detection.models import ModelVersion, NewScore, Scan, Score
from detection.scan import Findings
from detection.versions import VersionError
from duolog.plugins.registry import PluginError
from duolog.plugins.types import NullContext
from logs import datasets
from logs.models import Dataset, Sequence, Source, UnjudgedSequence
from workers import runs, streams
from workers.store import ArtifactDamaged

logger = logging.getLogger(__name__)

BATCH = 1024
COLD = 400
"""Sequences from which a project without a model gets one that needs no labels."""
WAITING = 20_000
"""Sequences of a source that wait for a model; of more, the oldest are never judged."""

TAKE = """
    DELETE FROM logs_unjudgedsequence WHERE sequence_id IN (
        SELECT sequence_id FROM logs_unjudgedsequence WHERE source_id = %s
        ORDER BY sequence_id LIMIT %s FOR UPDATE SKIP LOCKED
    ) RETURNING sequence_id
"""
FORGET = """
    DELETE FROM logs_unjudgedsequence WHERE source_id = %(source)s AND sequence_id <= (
        SELECT sequence_id FROM logs_unjudgedsequence WHERE source_id = %(source)s
        ORDER BY sequence_id DESC OFFSET %(kept)s LIMIT 1
    )
"""


def due() -> Iterable[int]:
    """Return the sources with closed sequences that nobody has judged."""
    return UnjudgedSequence.objects.order_by().values_list("source", flat=True).distinct()


@streams.stage("judge", due=due, after="sequence")
def judge(pk: int) -> bool:
    """Score the next sequences of a source; return whether more wait.

    Two workers may judge the same source: each takes other rows. One that dies gives its rows back.
    """
    source = Source.objects.select_related("project", "dataset").get(pk=pk)
    if (version := _model(source)) is None:
        with connection.cursor() as cursor:
            cursor.execute(FORGET, {"source": pk, "kept": WAITING})
        return False
    with connection.cursor() as cursor:
        cursor.execute(TAKE, [pk, BATCH])
        taken = [sequence for (sequence,) in cursor]
    if not taken:
        return False
    ctx = NullContext()
    stored = datasets.read_stored(Sequence.objects.filter(pk__in=taken))
    scored = scan.score_batch(versions.load(version), [each.sequence for each in stored], ctx)
    found = Findings()
    for each in scored:
        if each.anomalous:
            found.add(each)
    live = _add(version, source.dataset, found, len(scored))
    if challenger := shadow.challenger(version, ctx):
        challenger.judge(scored, ctx)
        _add(challenger.version, source.dataset, challenger.found, challenger.scored, challenger.anomalous, live)
    return UnjudgedSequence.objects.filter(source=pk).exists()


def _model(source: Source) -> ModelVersion | None:
    """Return the version that judges a source, ready to score, or None while there is none."""
    project = source.project.slug
    try:
        version = versions.resolve(project=project, ref=source.model)
        versions.load(version)
        line_vectors.ready(version.encoder)
    except VersionError as error:
        if source.model:
            logger.warning("source=%s: %s", source, error)
        else:
            _begin(source)
        return None
    except (PluginError, ArtifactDamaged) as error:
        logger.warning("source=%s: %s", source, error)
        return None
    return version


def _begin(source: Source) -> None:
    """Have a detector without labels fitted once there is enough to learn from: how most users begin."""
    if Sequence.objects.filter(dataset=source.dataset)[:COLD].count() < COLD:
        return
    runs.enqueue(
        job="fit-detector",
        options={"dataset": source.dataset.name, "detector": "neighbours"},
        project=source.project.slug,
        key=f"cold-start-{source.pk}",
    )


def _add(
    version: ModelVersion,
    dataset: Dataset,
    found: Findings,
    sequences: int,
    anomalous: int | None = None,
    shadow_of: Scan | None = None,
) -> Scan:
    """Add to the day's live scan of a version and dataset, and say which scores are news."""
    day = datetime.now(UTC).date()
    live, _ = Scan.objects.get_or_create(
        version=version,
        dataset=dataset,
        day=day,
        threshold=version.threshold,
        shadow_of=shadow_of,
        defaults={"project": version.project, "sequences": 0, "anomalous": 0},
    )
    scan.add(live, found)
    more = len(found.blame) if anomalous is None else anomalous
    Scan.objects.filter(pk=live.pk).update(sequences=F("sequences") + sequences, anomalous=F("anomalous") + more)
    if shadow_of is None and found.sequences:
        fresh = Score.objects.filter(scan=live, sequence__in=list(found.sequences)).values_list("pk", flat=True)
        NewScore.objects.bulk_create(NewScore(score_id=each) for each in fresh)
    return live
