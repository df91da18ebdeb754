"""A checkpoint lets the next attempt go on; a damaged one is not trusted; in the end none is left."""

from __future__ import annotations

from pathlib import Path

import pytest
from counting.jobs import effects

from workers import leases, runs, store, supervise
from workers.context import RunContext
from workers.models import Artifact
from workers.states import Status

pytestmark = pytest.mark.django_db(transaction=True)  # old checkpoints are deleted on commit


def keep(ctx: RunContext, counted: int) -> None:
    ctx.checkpoint(counted, lambda folder: (folder / "counted").write_text(str(counted)) and None)
    leases.renew(ctx)


@pytest.fixture
def lost(claim, expire, due) -> RunContext:
    """A run to 5 that was lost after its checkpoints of steps 1, 2 and 3."""
    ctx = claim(runs.enqueue(job="count", options={"to": 5}))
    for counted in (1, 2, 3):
        keep(ctx, counted)
    expire(ctx.run)
    leases.sweep()
    due(ctx.run)
    return ctx


def files(root: Path) -> list[Path]:
    return [path for path in root.rglob("*") if path.is_file()]


def test_the_next_attempt_starts_from_the_newest_checkpoint(lost: RunContext) -> None:
    supervise.execute(lost.run.pk)
    lost.run.refresh_from_db()
    assert lost.run.result == {"counted": 5, "began_at": 3, "attempt": 2}
    assert effects(lost.run.pk) == 1


def test_only_the_newest_checkpoint_is_kept(lost: RunContext, settings) -> None:
    assert Artifact.objects.get().step == 3
    assert [file.read_text() for file in files(settings.ARTIFACTS)] == ["3"]


def test_no_checkpoint_outlives_its_run(lost: RunContext, settings) -> None:
    supervise.execute(lost.run.pk)
    assert not Artifact.objects.exists()
    assert files(settings.ARTIFACTS) == []


def test_a_damaged_checkpoint_is_not_used(lost: RunContext, settings) -> None:
    (file,) = files(settings.ARTIFACTS)
    file.write_text("4")
    supervise.execute(lost.run.pk)
    lost.run.refresh_from_db()
    assert lost.run.result["began_at"] == 0
    assert lost.run.lines.filter(level="warning", text__contains="differs from what was stored").exists()


def test_artifacts_of_a_run_stay_and_can_be_verified(claim, settings) -> None:
    ctx = claim(runs.enqueue(job="count"))
    keep(ctx, 1)
    made = ctx.artifact("model", lambda folder: (folder / "weights").write_bytes(b"w" * 10) and None)
    assert not Artifact.objects.filter(name="model").exists(), "only with the attempt's next write"
    leases.finish(ctx, None)
    kept = Artifact.objects.get()
    assert (kept.path, kept.sha256, kept.bytes) == (made.path, made.sha256, 10)
    place = store.verify(kept.path, kept.sha256)
    assert files(settings.ARTIFACTS) == [place / "weights"]
    (place / "weights").write_bytes(b"x" * 10)
    with pytest.raises(store.ArtifactDamaged):
        store.verify(kept.path, kept.sha256)


def test_an_artifact_that_the_effect_makes_is_saved_with_it(claim) -> None:
    ctx = claim(runs.enqueue(job="count"))

    def effect() -> dict[str, str]:
        return {"path": ctx.artifact("model", lambda folder: (folder / "weights").touch()).path}

    leases.finish(ctx, effect)
    ctx.run.refresh_from_db()
    assert Artifact.objects.get().path == ctx.run.result["path"]


def test_a_save_that_breaks_leaves_nothing_in_the_store(claim, settings) -> None:
    ctx = claim(runs.enqueue(job="count"))

    def broken(folder: Path) -> None:
        (folder / "half").write_text("half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        ctx.checkpoint(1, broken)
    assert files(settings.ARTIFACTS) == []


def test_the_content_decides_the_hash(settings) -> None:
    def tree(**content: str):
        return lambda folder: [(folder / name).write_text(text) for name, text in content.items()] and None

    def sha256(**content: str) -> str:
        return store.write(folder="x", name="y", save=tree(**content)).sha256

    assert sha256(a="1", b="2") == sha256(b="2", a="1")
    assert len({sha256(a="1", b="2"), sha256(a="12", b=""), sha256(ab="12"), sha256(a="2", b="1"), sha256()}) == 5


@pytest.mark.parametrize("path", ["../outside", "/etc/passwd", "runs/../../outside"])
def test_no_path_leads_out_of_the_store(path: str) -> None:
    with pytest.raises(ValueError, match="outside"):
        store.locate(path)


def test_a_refused_attempt_leaves_no_files(lost: RunContext, settings, claim) -> None:
    claim(lost.run)
    lost.checkpoint(4, lambda folder: (folder / "counted").write_text("4") and None)
    assert lost.run.status == Status.RUNNING
    store.prune(lost.run.pk, lost.attempt)
    assert [file.read_text() for file in files(settings.ARTIFACTS)] == ["3"], "the recorded one is still of use"
