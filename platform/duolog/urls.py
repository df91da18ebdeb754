"""All URLs."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerView
from rest_framework.routers import SimpleRouter

import analysis.api
import detection.api
import logs.api
import workers.api
from duolog.importing import review, upload
from duolog.start import start

router = SimpleRouter(use_regex_path=False)
for module in (workers.api, logs.api, detection.api, analysis.api):
    module.register(router)

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="admin:index")),
    path("i18n/", include("django.conf.urls.i18n")),
    path("admin/start/import-data/", admin.site.admin_view(upload), name="import"),
    path("admin/import/<slug:token>/", admin.site.admin_view(review), name="review-import"),
    path("admin/start/<slug:job>/", admin.site.admin_view(start), name="start"),
    path("admin/", admin.site.urls),
    path("api/v1/", include(router.urls)),
    path("api/schema/", SpectacularAPIView.as_view(), name="schema"),
    path("api/docs/", SpectacularSwaggerView.as_view(), name="docs"),
]
handler404 = "duolog.api.page_not_found"
handler500 = "duolog.api.server_error"
