"""Who calls the API, and how its lists are paged: the classes that DRF's settings name.

They stand apart from `duolog.api` because DRF loads them while it defines its own views.
"""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _
from rest_framework import authentication, exceptions, pagination
from rest_framework.request import Request

from duolog import access
from duolog.models import ApiToken


class TokenAuthentication(authentication.BaseAuthentication):
    """`Authorization: Bearer duo_…`; see `duolog.access.issue_token`."""

    def authenticate(self, request: Request) -> tuple[Any, ApiToken] | None:
        """Return user and token, or None where the request carries no bearer token."""
        scheme, _separator, text = authentication.get_authorization_header(request).decode("latin-1").partition(" ")
        if scheme.lower() != "bearer":
            return None
        token = access.find_token(text.strip())
        if token is None:
            raise exceptions.AuthenticationFailed(_("The token is unknown, has expired, or its user is inactive."))
        return token.user, token

    def authenticate_header(self, request: Request) -> str:
        """Make a missing login a 401 that names the scheme."""
        return 'Bearer realm="Duolog"'


class CursorPagination(pagination.CursorPagination):
    """Pages that stay right while rows arrive; each view fixes its own order."""

    page_size = 50
    max_page_size = 500
    page_size_query_param = "page_size"

    def get_ordering(self, request: Request, queryset: QuerySet[Any], view: Any) -> tuple[str]:
        """Return the view's own order, which no request can change: a cursor is a place in it."""
        return (view.ordering,)
