"""Console: the page of review, and what its script (`static/duolog/review.js`) asks for."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import msgspec
from django.contrib import admin
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import render
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext
from django.views.decorators.http import require_POST, require_safe

from analysis import queue, queue_list, review, review_page, tape
from analysis.models import Item
from analysis.precedents import Past
from analysis.queue_list import Filters
from analysis.review import Said
from detection import experts as routing
from duolog import access
from duolog.models import Role
from duolog.plugins.registry import PluginError
from logs import datasets
from logs.models import Sequence
from workers.jobs import Conflict, JobFailed
from workers.store import ArtifactDamaged

View = Callable[..., HttpResponse]
LONGEST = 3600.0
"""Seconds beyond which nobody was looking any more."""


class Told(msgspec.Struct):
    """What the script tells of an item: a verdict or the draft of one; `skip` are items not to be given next."""

    round: int = 0
    anomalous: bool | None = None
    type: str = ""
    lines: list[int] = []
    note: str = ""
    seconds: float | None = None
    skip: list[int] = []

    @property
    def draft(self) -> dict[str, Any]:
        """What a lease keeps of it."""
        return {"type": self.type[:80], "lines": sorted(set(self.lines))[: tape.MOST], "note": self.note[:10_000]}


_told = msgspec.json.Decoder(Told)


def asked(view: View) -> View:
    """Answer the script's requests that cannot be met with a sentence: 409 where somebody was faster, else 400."""

    @wraps(view)
    def answer(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            return view(request, *args, **kwargs)
        except Conflict as error:
            return JsonResponse({"detail": str(error)}, status=409)
        except (JobFailed, msgspec.DecodeError) as error:
            return JsonResponse({"detail": str(error)}, status=400)

    return require_POST(answer)


# --- the page ---------------------------------------------------------------------------------------------------


@require_safe
def page(request: HttpRequest, number: int) -> HttpResponse:
    """Show an item; the script holds it for whoever may judge it, and then asks for the next one."""
    user, item = access.person(request), _item(request, number)
    filters = Filters.read(request.GET)
    if item.merged_into_id:
        return HttpResponseRedirect(reverse("review", args=[item.merged_into_id]) + filters.address)
    context = {
        **admin.site.each_context(request),
        **review_page.fragment(user, item, request.GET.get("in", "")),
        "title": str(item),
        "is_nav_sidebar_enabled": False,
        "is_fullwidth": "1",
        "filters": filters,
        "every_type": review_page.types_of(item),
        "queue": reverse("admin:analysis_item_changelist") + filters.address,
    }
    return TemplateResponse(request, "duolog/review.html", context)


@asked
def following(request: HttpRequest) -> HttpResponse:
    """Hold the next item and return its fragment; 204 where there is none."""
    return _next(request, _told.decode(request.body))


@asked
def judge(request: HttpRequest, number: int) -> HttpResponse:
    """Keep a verdict, and answer with the fragment of a further item: the next one is there already."""
    user, item, told = access.person(request), _item(request, number, Role.REVIEWER), _told.decode(request.body)
    if told.anomalous is None:
        raise JobFailed(gettext("say whether it is anomalous"))
    seconds = min(max(told.seconds, 0.0), LONGEST) if told.seconds is not None else None
    said = Said(told.anomalous, told.type if told.anomalous else "", tuple(told.lines), told.note, seconds)
    review.judge(user=user, item=item, said=said, seen=told.round)
    return _next(request, told)


@asked
def undo(request: HttpRequest, number: int) -> HttpResponse:
    """Take back the last verdict in the project of this item, and return the fragment of what it was on."""
    item = _item(request, number, Role.REVIEWER)
    back = review.undo(user=access.person(request), project=item.project)
    return _fragment(request, _item(request, back.pk))


@asked
def draft(request: HttpRequest, number: int) -> HttpResponse:
    """Keep what was noted down so far, and the item; 409 where it is not what the page shows any more."""
    user, item, told = access.person(request), _item(request, number, Role.REVIEWER), _told.decode(request.body)
    review.unchanged(item, told.round)
    queue.keep_draft(user=user, item=item, draft=told.draft)
    return HttpResponse(status=204)


@asked
def skip(request: HttpRequest, number: int) -> HttpResponse:
    """Let go of an item, and return the fragment of the next one."""
    queue.release(user=access.person(request), item=_item(request, number, Role.REVIEWER))
    return _next(request, _told.decode(request.body))


@asked
def comment(request: HttpRequest, number: int) -> HttpResponse:
    """Add a comment, and return all that may be seen."""
    user, item = access.person(request), _item(request, number, Role.REVIEWER)
    if text := _told.decode(request.body).note.strip():
        review.comment(user=user, item=item, text=text[:10_000])
    return render(
        request, "duolog/review_comments.html", {"comments": review_page.comments(item, user, review_page.names(item))}
    )


# --- what is loaded later ---------------------------------------------------------------------------------------


@require_safe
def precedents(request: HttpRequest, number: int) -> HttpResponse:
    """Return the items like this one that were decided."""
    item = _item(request, number)
    digest = item.score.scan.version.encoder_digest if item.score else ""
    sequence = next(datasets.read_stored(Sequence.objects.filter(pk=item.sequence_id))).sequence
    found = Past(item.project, list).decided(item, sequence, digest)
    return render(request, "duolog/review_precedents.html", {"found": found})


@require_safe
def experts(request: HttpRequest, number: int) -> HttpResponse:
    """Return which experts of the small model did the work on the sequence."""
    item = _item(request, number)
    try:
        fired, error = (routing.fired(item.score), "") if item.score else ([], "")
    except (JobFailed, PluginError, ArtifactDamaged) as failure:
        fired, error = [], str(failure)
    return render(request, "duolog/review_experts.html", {"fired": fired, "error": error})


@require_safe
def raw(request: HttpRequest, number: int) -> HttpResponse:
    """Return the lines as they are stored, with all that came with them: to engineers and owners."""
    item = _item(request, number, Role.ENGINEER)
    told = {"key": item.sequence.key, "origin": item.sequence.origin, **item.sequence.meta}
    lines = tape.lines(item.sequence.entries, item.sequence.times, None)
    context = {"meta": msgspec.json.format(msgspec.json.encode(told)).decode(), "lines": lines[: tape.MOST]}
    return render(request, "duolog/review_raw.html", context)


# --- helpers ----------------------------------------------------------------------------------------------------


def _item(request: HttpRequest, number: int, role: Role = Role.VIEWER) -> Item:
    item = access.visible(request.user, review_page.whole(Item.objects.all())).filter(pk=number).first()
    if item is None:
        raise Http404
    if role != Role.VIEWER:  # who sees it is one
        access.require(request.user, role, item.project)
    return item


def _next(request: HttpRequest, told: Told) -> HttpResponse:
    user, filters = access.person(request), Filters.read(request.GET)
    items = filters.narrow(user, queue_list.reviewable(request)).exclude(pk__in=told.skip)
    found = queue.claim(user=user, items=items, order=filters.way, settle=filters.state == "disputed")
    return _fragment(request, _item(request, found.pk)) if found else HttpResponse(status=204)


def _fragment(request: HttpRequest, item: Item) -> HttpResponse:
    return render(request, "duolog/review_item.html", review_page.fragment(access.person(request), item))


def patterns(guarded: Callable[[View], View]) -> list[URLPattern]:
    """Return the addresses of review, each behind the console's door."""
    deeds: list[tuple[str, View]] = [
        ("judge", judge), ("undo", undo), ("draft", draft), ("skip", skip), ("comment", comment),
        ("precedents", precedents), ("experts", experts), ("raw", raw),
    ]  # fmt: skip
    return [
        path("review/next/", guarded(following), name="review-next"),
        path("review/<int:number>/", guarded(page), name="review"),
        *(path(f"review/<int:number>/{name}/", guarded(view), name=f"review-{name}") for name, view in deeds),
    ]
