"""What every REST endpoint shares: problem documents for errors, and views scoped by project."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, ClassVar

from django.core.exceptions import PermissionDenied
from django.db import DataError
from django.db.models import Model, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404
from django.utils.translation import gettext
from django.views import defaults
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema
from rest_framework import exceptions, serializers, viewsets
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import exception_handler

from duolog import access
from duolog.models import Role
from duolog.plugins.options import OptionsError
from workers.jobs import Conflict, JobFailed

PROBLEM = "application/problem+json"


class TokenScheme(OpenApiAuthenticationExtension):
    """Tells OpenAPI about the token."""

    target_class = "duolog.rest.TokenAuthentication"
    name = "token"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, str]:
        """A plain bearer scheme."""
        return {"type": "http", "scheme": "bearer"}


# --- errors -----------------------------------------------------------------------------------------------------


class Problem(serializers.Serializer[Any]):
    """An error (RFC 9457); `errors` lists what is wrong by field."""

    type = serializers.CharField()
    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField()
    instance = serializers.CharField()
    errors = serializers.DictField(required=False)  # type: ignore[assignment]  # a field that is called errors


class Unprocessable(exceptions.APIException):
    """The request is well-formed, but what it asks for cannot be done."""

    status_code = HTTPStatus.UNPROCESSABLE_ENTITY
    default_code = "unprocessable"


class Conflicting(exceptions.APIException):
    """The request does not fit any more what it speaks of."""

    status_code = HTTPStatus.CONFLICT
    default_code = "conflict"


def problem(exc: Exception, context: dict[str, Any]) -> Response | None:
    """Turn an exception of a view into a problem document (DRF's EXCEPTION_HANDLER)."""
    if isinstance(exc, OptionsError):
        exc = exceptions.ValidationError({"options": [str(exc)]}, code="options")
        exc.status_code = HTTPStatus.UNPROCESSABLE_ENTITY
    elif isinstance(exc, Conflict):
        exc = Conflicting(str(exc))
    elif isinstance(exc, JobFailed):
        exc = exceptions.ValidationError(str(exc), code="job")
    elif isinstance(exc, DataError):  # a NUL character, or a number out of range, that no field could foresee
        exc = exceptions.ValidationError(gettext("A value cannot be stored."))
    elif isinstance(exc, PermissionDenied) and exc.args:
        exc = exceptions.PermissionDenied(str(exc))
    response = exception_handler(exc, context)
    if response is None:
        return None
    code, errors, detail = _describe(exc)
    response.data = _document(context["request"], response.status_code, code=code, detail=detail, errors=errors)
    response.content_type = PROBLEM
    context["request"].accepted_renderer = JSONRenderer()  # also where the answer would have been YAML (the schema)
    return response


def _describe(exc: Exception) -> tuple[str, dict[str, Any] | None, str]:
    """Return code, field errors and a sentence for an exception that DRF knows."""
    if isinstance(exc, Http404):
        return "not_found", None, gettext("There is nothing here, or it is not yours to see.")
    if isinstance(exc, PermissionDenied):
        return "permission_denied", None, gettext("You may not do this.")
    assert isinstance(exc, exceptions.APIException)  # noqa: S101 - exception_handler knows no others
    if isinstance(exc.detail, dict):
        return "invalid", exc.detail, gettext("Some fields are missing or wrong; see “errors”.")
    if isinstance(exc.detail, list):
        return "invalid", None, " ".join(str(part) for part in exc.detail)
    code = getattr(exc.detail, "code", exc.default_code)
    return str(code), None, str(exc.detail)


def _document(
    request: HttpRequest | Request, status: int, *, code: str, detail: str, errors: Any = None
) -> dict[str, Any]:
    document = {
        "type": f"urn:duolog:problem:{code}",
        "title": HTTPStatus(status).phrase,
        "status": int(status),
        "detail": detail,
        "instance": request.path,
    }
    return document | ({"errors": errors} if errors else {})


def page_not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer an unknown address below /api/ with a problem document, any other with a page."""
    if not request.path.startswith("/api/"):
        return defaults.page_not_found(request, exception)
    detail = gettext("There is nothing here, or it is not yours to see.")
    return JsonResponse(_document(request, 404, code="not_found", detail=detail), status=404, content_type=PROBLEM)


def server_error(request: HttpRequest) -> HttpResponse:
    """Answer a failure below /api/ with a problem document that tells nothing about the inside."""
    if not request.path.startswith("/api/"):
        return defaults.server_error(request)
    detail = gettext("Something went wrong here; the server's log tells what.")
    return JsonResponse(_document(request, 500, code="error", detail=detail), status=500, content_type=PROBLEM)


# --- views ------------------------------------------------------------------------------------------------------


class ProjectViewSet(viewsets.GenericViewSet[Any]):
    """Rows of the projects that the caller is a member of; `project_field` leads from a row to its project's slug."""

    project_field: ClassVar[str] = "project"
    ordering: ClassVar[str] = "-id"

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Count strangers and wrong tokens, too: DRF refuses both before it counts."""
        try:
            super().initial(request, *args, **kwargs)
        except (exceptions.NotAuthenticated, exceptions.AuthenticationFailed):
            self.check_throttles(request)
            raise

    def get_queryset(self) -> QuerySet[Any]:
        """Narrow to the caller's projects."""
        return access.visible(self.request.user, super().get_queryset(), self.project_field)

    def require(self, role: Role, project: str) -> None:
        """Answer 404 to strangers of the project and 403 to members whose role is too low."""
        access.require(self.request.user, role, project)


class NestedViewSet(ProjectViewSet):
    """Rows below one parent: `parent` is the foreign key's name and the URL's, too."""

    parent: ClassVar[str]

    def get_queryset(self) -> QuerySet[Any]:
        """Narrow to the parent's rows; a parent that the caller may not see is not there."""
        if getattr(self, "swagger_fake_view", False):
            return super().get_queryset()
        return super().get_queryset().filter(**{self.parent: self.parent_object()})

    def parent_object(self) -> Model:
        """Return the parent, or raise 404."""
        queryset: QuerySet[Any] = super().get_queryset()
        model: Any = queryset.model._meta.get_field(self.parent).related_model
        parents = access.visible(
            self.request.user, model.objects.all(), self.project_field.removeprefix(f"{self.parent}__")
        )
        found: Model = get_object_or_404(parents, pk=self.kwargs[self.parent])
        return found
