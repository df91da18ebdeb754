"""Items to review, and people who do."""

from __future__ import annotations

from django.contrib.auth.models import User

from analysis import findings
from analysis.models import ReviewPolicy
from detection import scan
from detection.models import ModelVersion, Scan
from duolog.models import Membership
from logs import datasets
from logs.models import Sequence
from workers.models import Run


def scanned(lines: list[str], *, project: str = "mine", service: str = "", value: float = 0.9) -> Scan:
    """Store a scan of new sequences, one a line, all of them anomalous."""
    dataset = datasets.get_or_create(project=project, name="d")
    begin = Sequence.objects.count()
    rows = [
        Sequence(dataset=dataset, key=f"s{begin + n}", entries=["begin", line], length=2, meta={"service": service})
        for n, line in enumerate(lines)
    ]
    found = scan.Findings()
    for row in Sequence.objects.bulk_create(rows):
        found.sequences.append(row.pk)
        found.values.append(value)
        found.blame[row.pk] = (0.2, 0.8)
    number = ModelVersion.objects.count() + 1
    version = ModelVersion.objects.create(project=project, name="m", number=number, detector="moe", threshold=0.5)
    run = Run.objects.create(project=project, job="scan")
    return scan.keep(found, version=version, dataset=dataset, part=None, run=run)


def opened(lines: list[str], **more: object) -> None:
    findings.open_for(scanned(lines, **more).pk)  # type: ignore[arg-type]


def person(name: str, role: str = "reviewer") -> User:
    user = User.objects.create_user(name)
    Membership.objects.create(user=user, project="mine", role=role)
    return user


def blind(reviewers: int) -> None:
    ReviewPolicy.objects.create(project="mine", reviewers=reviewers)
