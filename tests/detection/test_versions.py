"""Model versions: numbers, aliases, references, and what refuses to load."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest
from django.db import connections, transaction

from detection import versions
from detection.models import ModelVersion
from detection.versions import Fitted, VersionError
from duolog.plugins.types import LogSequence, NullContext
from workers import store
from workers.models import Artifact, Run

pytestmark = pytest.mark.django_db(transaction=True)

Propose = Callable[..., ModelVersion]


@pytest.fixture
def propose() -> Propose:
    """Propose a version whose artifact nobody will read."""

    def propose(name: str = "m", project: str = "default") -> ModelVersion:
        run = Run.objects.create(job="fit-detector")
        artifact = Artifact(run=run, attempt=1, name="model", path="runs/x", bytes=0, sha256="0" * 64)
        fitted = Fitted(name, "moe", {}, "none", "0" * 64, 0.5, {}, {}, artifact)
        return versions.propose(fitted, project=project)

    return propose


def test_versions_count_up_and_the_first_becomes_champion(propose: Propose) -> None:
    first, second, other = propose(), propose(), propose("other")
    assert [str(version) for version in (first, second, other)] == ["m:1", "m:2", "other:1"]
    assert versions.resolve(project="default", ref="m") == first
    assert versions.resolve(project="default", ref="m@champion") == first
    assert versions.resolve(project="default", ref="m:2") == second
    versions.point(second, "champion", reason="better")
    assert versions.resolve(project="default", ref="m") == second
    assert propose(project="elsewhere").number == 1


def test_without_a_name_the_champion_that_was_set_last_counts(propose: Propose) -> None:
    with pytest.raises(VersionError, match="no model has been trained yet"):
        versions.resolve(project="default")
    first = propose()
    other = propose("other")
    assert versions.resolve(project="default") == other
    versions.point(first, "champion")
    assert versions.resolve(project="default") == first
    versions.point(other, "candidate")
    assert versions.resolve(project="default") == first


def test_a_bare_name_without_champion_is_its_newest(propose: Propose) -> None:
    propose()
    newest = propose()
    newest.aliases.model.objects.all().delete()
    assert versions.resolve(project="default", ref="m") == newest


@pytest.mark.parametrize("ref", ["m:2", "m:99999999999999999999", "m@next", "n"])
def test_an_unknown_reference_tells_what_there_is(propose: Propose, ref: str) -> None:
    propose()
    propose(project="secret")
    with pytest.raises(VersionError, match=r"known: m:1$"):
        versions.resolve(project="default", ref=ref)


def test_two_runs_that_propose_at_once_get_two_numbers(propose: Propose) -> None:
    together = Barrier(4)

    def race(_: int) -> int:
        try:
            with transaction.atomic():
                together.wait(10)
                return propose().number
        finally:
            connections.close_all()

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(race, range(4))) == [1, 2, 3, 4]


def test_two_evaluations_at_once_are_both_kept(propose: Propose) -> None:
    version, together = propose(), Barrier(4)

    def race(number: int) -> None:
        try:
            together.wait(10)
            versions.measured(version, f"d:{number}", {"f1": number / 4})
        finally:
            connections.close_all()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(race, range(4)))
    version.refresh_from_db()
    assert version.metrics == {f"d:{number}": {"f1": number / 4} for number in range(4)}


@pytest.fixture
def quiet(tmp_path: Path) -> ModelVersion:
    """A version of `neighbours`, fitted on thirty sequences."""
    from detection import line_vectors
    from duolog.plugins.options import as_json

    detector = versions.create("neighbours", {})
    vectors = line_vectors.store("multilingual-e5-small")
    sequences = [LogSequence(f"s{n}", ("connected", "read 5 rows", "closed")[: 1 + n % 3]) for n in range(30)]
    threshold = detector.fit(sequences, [], vectors, NullContext())
    run = Run.objects.create(job="fit-detector")
    kept = store.write(folder=f"runs/{run.pk}/1", name="model-0", save=detector.save)
    artifact = Artifact(run=run, attempt=1, name="model", path=kept.path, bytes=kept.bytes, sha256=kept.sha256)
    options = as_json(detector.options)
    encoder = ("multilingual-e5-small", vectors.digest)
    return versions.propose(
        Fitted("q", "neighbours", options, *encoder, threshold, {}, {}, artifact), project="default"
    )


def test_a_version_is_loaded_once_and_scores(quiet: ModelVersion) -> None:
    loaded = versions.load(quiet)
    usual, odd = LogSequence("a", ("connected", "read 7 rows")), LogSequence("b", ("kernel panic: disk 数据库 lost",))
    low, high = loaded.detector.score([usual, odd], loaded.vectors, NullContext())
    assert low < loaded.threshold <= high
    assert versions.load(ModelVersion.objects.get(pk=quiet.pk)) is loaded


def test_a_damaged_artifact_is_refused(quiet: ModelVersion) -> None:
    file = next(store.locate(quiet.path).iterdir())
    file.write_bytes(file.read_bytes()[:-1] + b"!")
    with pytest.raises(store.ArtifactDamaged, match="differs from what was stored"):
        versions.load(quiet)


def test_another_encoder_is_refused(quiet: ModelVersion) -> None:
    quiet.encoder_digest = "f" * 64
    with pytest.raises(VersionError, match="other weights of the encoder multilingual-e5-small"):
        versions.load(quiet)


def test_an_encoder_that_is_not_to_be_had_is_named(quiet: ModelVersion) -> None:
    quiet.encoder = "/nowhere/bert"
    with pytest.raises(Exception, match="/nowhere/bert"):
        versions.load(quiet)
