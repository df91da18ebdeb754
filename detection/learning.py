"""Verdicts that no model has learned from: how many there are, whether it is time to, and the run that does it.

A verdict is what settled an item of review: it may label hundreds of sequences that say the same, and teaches once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import connection
from django.db.models import QuerySet
from django.utils.translation import gettext

from detection import versions
from detection.aliases import CHAMPION
from detection.models import ModelAlias, ModelVersion, Scan
from logs.models import Dataset, Label, Split
from logs.models import Sequence as Row
from workers import runs
from workers.jobs import JobFailed
from workers.models import Run

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser

ALIAS, VERSION, SCAN, DATASET, SEQUENCE, LABEL, SPLIT = (
    model._meta.db_table for model in (ModelAlias, ModelVersion, Scan, Dataset, Row, Label, Split)
)
# `pair`: champions, and the datasets that versions of their name have scanned. `basis`: the division from which the
# newest of these versions learned labels of the dataset.
NEWS = f"""
    WITH pair AS (
        SELECT DISTINCT live.id AS champion, live.project, live.name, scan.dataset_id AS dataset
        FROM {VERSION} live
        JOIN {VERSION} version ON version.project = live.project AND version.name = live.name
        JOIN {SCAN} scan ON scan.version_id = version.id AND scan.shadow_of_id IS NULL
        WHERE live.id = ANY(%(champions)s) AND (%(dataset)s::bigint IS NULL OR scan.dataset_id = %(dataset)s)
    ), basis AS (
        SELECT DISTINCT ON (pair.champion, pair.dataset) pair.champion, pair.dataset, split.revision,
            (version.lineage ->> 'last_label')::bigint AS last,
            ARRAY(SELECT jsonb_object_keys(split.lineage -> 'types')) AS types
        FROM pair
        JOIN {DATASET} dataset ON dataset.id = pair.dataset
        JOIN {VERSION} version ON version.project = pair.project AND version.name = pair.name
            AND version.lineage ->> 'dataset' = dataset.name AND version.lineage ? 'last_label'
        JOIN {SPLIT} split ON split.dataset_id = dataset.id AND split.name = 'train'
            AND split.revision = (version.lineage ->> 'revision')::int
        ORDER BY pair.champion, pair.dataset, version.number DESC
    )
    SELECT pair.champion, pair.dataset, basis.revision, basis.types, label.value, label.type,
        count(DISTINCT coalesce(label.statement::text, label.id::text)), count(DISTINCT label.sequence_id),
        max(label.id)
    FROM pair LEFT JOIN basis USING (champion, dataset)
    JOIN {SEQUENCE} sequence ON sequence.dataset_id = pair.dataset
    JOIN {LABEL} label ON label.sequence_id = sequence.id AND label.source = '{Label.Source.REVIEW}'
        AND label.id > coalesce(basis.last, 0)
    GROUP BY 1, 2, 3, 4, 5, 6 ORDER BY 7 DESC, 6
"""  # noqa: S608 - names of tables


@dataclass(frozen=True, slots=True)
class Kind:
    """Verdicts that say the same: anomalous or not, and of which type; they label so many `sequences`."""

    anomalous: bool
    type: str
    verdicts: int
    sequences: int


@dataclass(frozen=True, slots=True)
class News:
    """What people said about a dataset since the newest version of a champion's name learned from it.

    `revision` is the division that it learned from (None: none of them has learned labels of it), `known` are the types
    that stand in its part train, and `last` is the key of the newest label.
    """

    champion: ModelVersion
    dataset: Dataset
    kinds: tuple[Kind, ...]
    revision: int | None
    known: frozenset[str]
    last: int

    @property
    def verdicts(self) -> int:
        """How many verdicts are new."""
        return sum(kind.verdicts for kind in self.kinds)

    @property
    def sequences(self) -> int:
        """How many sequences they label."""
        return sum(kind.sequences for kind in self.kinds)

    @property
    def suggested(self) -> bool:
        """Whether it is time to learn: enough verdicts, and both labels among them, or a type that nobody knew."""
        if self.verdicts < settings.LEARN_AFTER:
            return False
        both = {kind.anomalous for kind in self.kinds} == {True, False}
        return both or (self.revision is not None and any(kind.type not in self.known for kind in self.kinds))

    @property
    def expected(self) -> dict[str, Any] | None:
        """The points of the champion's learning curve without labels and with at most so many, if it was drawn."""
        points = self.champion.learning.get(self.dataset.name, {}).get("points", [])
        fewer = [point for point in points if 0 < point["labels"] <= self.sequences]
        return {"free": points[0], "few": fewer[-1]} if fewer and points[0]["labels"] == 0 else None


def news(champions: Iterable[ModelVersion], dataset: Dataset | None = None) -> list[News]:
    """Return what is new for each of these champions, of all datasets or of one, the most verdicts first.

    A query, and another one where there is something.
    """
    versions_by_pk = {version.pk: version for version in champions}
    if not versions_by_pk:
        return []
    with connection.cursor() as cursor:
        cursor.execute(NEWS, {"champions": list(versions_by_pk), "dataset": dataset.pk if dataset else None})
        rows = cursor.fetchall()
    grouped: dict[tuple[int, int], list[Sequence[Any]]] = {}
    for row in rows:
        grouped.setdefault((row[0], row[1]), []).append(row)
    datasets = Dataset.objects.in_bulk({pk for _, pk in grouped}) if grouped else {}
    found = [
        News(
            champion=versions_by_pk[champion],
            dataset=datasets[pk],
            kinds=tuple(Kind(bool(value), kind, count, size) for *_, value, kind, count, size, _last in mine),
            revision=mine[0][2],
            known=frozenset(mine[0][3] or {}),
            last=max(row[8] for row in mine),
        )
        for (champion, pk), mine in grouped.items()
    ]
    return sorted(found, key=lambda each: -each.verdicts)


def champions(of: QuerySet[ModelVersion]) -> list[ModelVersion]:
    """Return those detectors of some versions that are the champions of their names."""
    return list(of.filter(kind=versions.DETECTOR, aliases__alias=CHAMPION).defer("plots", "reference"))


def basis(version: ModelVersion, dataset: Dataset) -> ModelVersion | None:
    """Return the newest version of the same name that learned from labels of a dataset; None: there is none."""
    same = ModelVersion.objects.filter(project=version.project, name=version.name, lineage__dataset=dataset.name)
    return same.filter(lineage__has_key="last_label").order_by("-number").first()


def start(version: ModelVersion, dataset: Dataset | None = None, *, user: AbstractBaseUser | None = None) -> Run:
    """Queue the run that learns from the verdicts that are new to a version; asked for twice it is the same run.

    Without a dataset, from those on the one with the most. Raises JobFailed where there are none.
    """
    found = next(iter(news([version], dataset)), None)
    if found is None:
        raise JobFailed(gettext("no verdict is new to %(version)s: review its findings first") % {"version": version})
    return runs.enqueue(
        job="learn",
        options={"dataset": found.dataset.name, "model": str(version)},
        project=version.project,
        user=user,
        key=f"{version.name}:{found.dataset.pk}:{found.last}",
    )
