"""All URLs."""

from __future__ import annotations

from typing import cast

from django.contrib import admin
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import redirect
from django.urls import URLPattern, include, path, re_path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerView
from rest_framework.routers import SimpleRouter

import analysis.agreement_api
import analysis.api
import analysis.exchange_api
import analysis.schemas_api
import detection.api
import logs.api
import logs.redaction_api
import logs.rejected_api
import logs.sources_api
import workers.api
from analysis import agreement_page, alerts_page, review_views, usage_page
from duolog import redaction
from duolog.admin import live
from duolog.importing import review, upload
from duolog.plugins import registry
from duolog.plugins.points import Receiver
from duolog.sources import new
from duolog.start import start
from logs.receive import receive


def front(request: HttpRequest) -> HttpResponseBase:
    """Show people the console; a client of Elasticsearch looks here whom it talks to."""
    # Logstash says who it is, and not what it accepts.
    unsaid = "" if "Authorization" in request.headers else "text/html"
    if "text/html" in request.headers.get("Accept", unsaid):
        return redirect("admin:index")
    return receive(request, "elastic", "")


def receivers() -> list[URLPattern]:
    """Return the paths of all protocols by which shippers send, each with and without a prefix of its project."""
    root = re_path(r"^in/(?P<project>[-\w]+)(?P<path>)$", receive, {"receiver": "elastic"})  # some append no slash
    return [root] + [
        re_path(rf"^(?:in/(?P<project>[-\w]+)/)?(?P<path>{each})$", receive, {"receiver": name})
        for name, cls in registry.classes("duolog.receivers").items()
        for each in cast(type[Receiver], cls).paths
    ]


router = SimpleRouter(use_regex_path=False)
APIS = (
    workers.api, logs.api, logs.sources_api, logs.rejected_api, logs.redaction_api, detection.api, analysis.api,
    analysis.schemas_api, analysis.agreement_api, analysis.exchange_api,
)  # fmt: skip
for module in APIS:
    module.register(router)

urlpatterns = [
    path("", front),
    *receivers(),
    path("i18n/", include("django.conf.urls.i18n")),
    path("admin/start/import-data/", admin.site.admin_view(upload), name="import"),
    path("admin/import/<slug:token>/", admin.site.admin_view(review), name="review-import"),
    path("admin/start/source/", admin.site.admin_view(new), name="new-source"),
    path("admin/redaction/", admin.site.admin_view(redaction.index), name="redaction-index"),
    path("admin/redaction/<slug:project>/", admin.site.admin_view(redaction.page), name="redaction"),
    path("admin/agreement/", admin.site.admin_view(agreement_page.index), name="agreement-index"),
    path("admin/alerts/", admin.site.admin_view(alerts_page.index), name="alerts-index"),
    path("admin/alerts/<slug:project>/", admin.site.admin_view(alerts_page.page), name="alerts"),
    path(
        "admin/alerts/<slug:project>/new/<str:notifier>/",
        admin.site.admin_view(alerts_page.new),
        name="new-alert-channel",
    ),
    path("admin/alerts/<slug:project>/<int:pk>/", admin.site.admin_view(alerts_page.channel), name="alert-channel"),
    path("admin/alerts/<slug:project>/<int:pk>/test/", admin.site.admin_view(alerts_page.test), name="alert-test"),
    path("admin/usage/", admin.site.admin_view(usage_page.index), name="usage-index"),
    *review_views.patterns(admin.site.admin_view),
    path("admin/live/", admin.site.admin_view(live), name="overview-live"),
    path("admin/start/<slug:job>/", admin.site.admin_view(start), name="start"),
    path("admin/", admin.site.urls),
    path("api/v1/", include(router.urls)),
    path("api/schema/", SpectacularAPIView.as_view(), name="schema"),
    path("api/docs/", SpectacularSwaggerView.as_view(), name="docs"),
]
handler404 = "duolog.api.page_not_found"
handler500 = "duolog.api.server_error"
