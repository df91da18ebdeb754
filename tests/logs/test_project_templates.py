"""Templates of a project: stored with the lines, the same in all processes, counted, and changed by people."""

from __future__ import annotations

import threading

import pytest
from django.db import connection, transaction

from logs import template_edits, templates
from logs.models import Project, Template, TemplateChange
from workers.jobs import JobFailed

LINES = ["opened for user root", "opened for user bin", "opened for user news", "closed", "耗时300ms"]


@pytest.fixture(autouse=True)
def _afresh(settings):
    templates.forget()
    yield
    templates.forget()


@pytest.fixture
def project(transactional_db):
    return Project.objects.create(slug="ours", name="Ours").pk


@pytest.fixture
def user(transactional_db):
    from django.contrib.auth.models import User

    return User.objects.create_user("zoe")


def match(project, lines):
    with transaction.atomic():
        return templates.match(project, lines)


def elsewhere(project, lines):
    """Match in what is another process as far as templates go."""
    here, templates._known = templates._known, type(templates._known)()
    try:
        return match(project, lines)
    finally:
        templates._known = here


def row(project, line):
    [number] = match(project, [line])
    return templates.resolve(project, [number])[number]


def test_every_committed_line_has_its_template(project):
    numbers = match(project, LINES)
    found = templates.resolve(project, numbers)
    assert [found[each].text for each in numbers] == ["opened for user <*>"] * 3 + ["closed", "耗时<*>"]
    assert len({found[each].pk for each in numbers}) == 3


def test_known_lines_write_nothing(project, django_assert_num_queries):
    match(project, LINES)
    with transaction.atomic(), django_assert_num_queries(0):
        templates.match(project, LINES)


def test_templates_of_a_rolled_back_batch_are_stored_by_the_next(project):
    with pytest.raises(RuntimeError), transaction.atomic():
        templates.match(project, LINES)
        raise RuntimeError
    assert not Template.objects.exists()
    numbers = match(project, LINES)
    assert set(templates.resolve(project, numbers)) == set(numbers)


def test_a_restart_finds_the_same_numbers(project):
    numbers = match(project, LINES)
    templates.forget()
    assert match(project, LINES) == numbers
    assert match(project, ["opened for user zoe"]) == numbers[:1]


def test_another_process_agrees_and_learns(project):
    assert elsewhere(project, LINES) == match(project, LINES)
    elsewhere(project, ["said a", "said b", "quite new"])
    templates._known[project].read_at -= templates.REFRESH
    before = Template.objects.count()
    match(project, ["quite new"])
    assert Template.objects.count() == before


def test_evidence_of_two_processes_merges_in_the_table(project):
    elsewhere(project, ["opened for user root", "opened for user bin"])
    match(project, ["opened for user news"])
    assert Template.objects.filter(merged_into=None).count() == 1
    assert Template.objects.count() == 3


def test_writers_at_the_same_time_store_each_template_once(project):
    lines = [f"{chr(97 + number)}{chr(98 + number)} happened" for number in range(20)]
    failed = []

    def write(turn):
        try:
            known = templates.Known(templates.Miner())
            for start in range(0, 20, 5):
                with transaction.atomic():
                    part = lines[start : start + 5][::turn]
                    known.miner.match(part)
                    templates._save(project, known.miner.export(known.miner.changed))
        except Exception as error:  # noqa: BLE001 - told by the test
            failed.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=write, args=(turn,)) for turn in (1, -1, 1, -1)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(30)
    assert not failed
    assert Template.objects.count() == 20


def test_threads_that_find_new_templates_in_long_transactions_do_not_block_each_other_for_good(project):
    failed, gate = [], threading.Barrier(4)

    def store(turn):
        try:
            gate.wait(10)
            for start in range(5):
                with transaction.atomic():  # twice in one transaction: the lock of the first is held in the second
                    templates.match(project, [f"{chr(97 + start)}{chr(97 + turn)} came", "both know this"])
                    templates.match(project, [f"{chr(97 + start)}{chr(97 + turn)} went", "and this"])
        except Exception as error:  # noqa: BLE001 - told by the test
            failed.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=store, args=(turn,), daemon=True) for turn in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(30)
    assert not failed and not any(each.is_alive() for each in threads)
    templates.flush(project)
    assert sum(Template.objects.values_list("lines", flat=True)) == 80


def test_lines_are_counted_once_committed(project):
    match(project, ["closed"] * 7)
    with pytest.raises(RuntimeError), transaction.atomic():
        templates.match(project, ["closed"] * 5)
        raise RuntimeError
    templates.flush(project)
    assert Template.objects.get().lines == 7


def test_projects_have_templates_of_their_own(project):
    other = Project.objects.create(slug="theirs", name="Theirs").pk
    assert match(project, ["closed"]) == match(other, ["closed"])
    assert Template.objects.count() == 2
    Project.objects.get(pk=other).delete()
    assert Template.objects.get().project_id == project


def test_beyond_the_limit_lines_share_a_template(project, settings):
    settings.MAX_TEMPLATES = 2
    numbers = match(project, ["start", "stop", "other", "another"])
    assert numbers[2:] == [0, 0]
    assert templates.resolve(project, numbers)[0].text == "<*>"


def test_lines_that_are_no_text_can_be_stored(project):
    lines = ["\x00\x01\x02", "half \ud800 a pair", "", "x" * 100_000]
    numbers = match(project, lines)
    assert set(templates.resolve(project, numbers)) == set(numbers)


# --- people -------------------------------------------------------------------------------------------------------


def test_an_edit_moves_what_its_preview_shows(project, user):
    match(project, LINES)
    template = row(project, "opened for user root")
    wanted = template_edits.plan(template, "edit", pattern="opened for user root")
    moves = template_edits.preview(wanted)
    assert {move.example for move in moves} == {"opened for user bin", "opened for user news"}
    assert {(move.before, move.after) for move in moves} == {(template, None)}
    template_edits.apply(template, "edit", pattern="opened for user root", user=user)
    assert row(project, "opened for user root") == template
    assert row(project, "opened for user bin") != template
    assert row(project, "opened for user root").text == "opened for user root"


def test_an_edit_with_no_text_gives_the_mined_one_back(project, user):
    match(project, LINES)
    template = row(project, "opened for user root")
    template_edits.apply(template, "edit", pattern="opened for <*>", user=user)
    assert row(project, "opened for group wheel") == template
    template_edits.apply(template, "edit", user=user)
    assert row(project, "opened for user eve").text == "opened for user <*>"


def test_a_merge_is_followed_by_old_and_new_lines(project, user):
    [old, _] = match(project, ["start now", "stop now"])
    target = row(project, "stop now")
    template_edits.apply(row(project, "start now"), "merge", into=target, user=user)
    assert templates.resolve(project, [old])[old] == target
    assert row(project, "start now") == target
    with pytest.raises(JobFailed, match="one already"):
        template_edits.plan(target, "merge", into=Template.objects.get(number=old))


def test_merges_never_make_a_chain(project, user):
    match(project, ["aa x", "bb x", "cc x"])
    first, second, third = (row(project, line) for line in ("aa x", "bb x", "cc x"))
    template_edits.apply(first, "merge", into=second, user=user)
    template_edits.apply(second, "merge", into=third, user=user)
    assert set(Template.objects.exclude(pk=third.pk).values_list("merged_into", flat=True)) == {third.pk}
    assert row(project, "aa x") == third


def test_a_split_takes_what_fits_its_text(project, user):
    match(project, LINES)
    template = row(project, "opened for user root")
    wanted = template_edits.plan(template, "split", pattern="opened for user root")
    assert {move.example for move in template_edits.preview(wanted)} == {"opened for user root"}
    made = template_edits.apply(template, "split", pattern="opened for user root", user=user)
    assert row(project, "opened for user root") == made
    assert row(project, "opened for user bin") == template


def test_a_merged_template_can_become_one_again_and_stays_it(project, user):
    match(project, LINES)
    [merged] = Template.objects.filter(merged_into__isnull=False)[:1]
    line = merged.examples[0]
    template_edits.apply(merged, "split", user=user)
    assert row(project, line) == merged
    match(project, ["opened for user x", "opened for user yy", "opened for user zz"])
    assert row(project, line) == merged


def test_every_change_is_on_record(project, user):
    match(project, LINES)
    template = row(project, "closed")
    template_edits.apply(template, "edit", pattern="closed it", user=user)
    change = TemplateChange.objects.get()
    assert (change.template, change.action, change.before, change.after) == (template, "edit", "closed", "closed it")
    assert change.set_by == user and change.set_at
    template.refresh_from_db()
    assert template.edited_by == user and template.edited_at


@pytest.mark.parametrize("pattern", ["<*>", "<*> : <*>", "x\0y", "x" * 5000])
def test_a_text_that_makes_no_sense_is_refused(project, pattern):
    match(project, LINES)
    with pytest.raises(JobFailed):
        template_edits.plan(row(project, "closed"), "edit", pattern=pattern)


def test_no_two_templates_have_the_same_text_by_hand(project, user):
    match(project, LINES)
    template_edits.apply(row(project, "closed"), "edit", pattern="closed <*>", user=user)
    with pytest.raises(JobFailed, match="merge"):
        template_edits.plan(row(project, "opened for user root"), "edit", pattern="closed <*>")


def test_a_merge_stays_in_the_project(project, user):
    other = Project.objects.create(slug="theirs", name="Theirs").pk
    match(project, ["closed"])
    match(other, ["open"])
    with pytest.raises(JobFailed, match="same project"):
        template_edits.plan(row(project, "closed"), "merge", into=row(other, "open"))
