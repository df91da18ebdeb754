"""Our settings, with one view."""

from duolog.settings import *  # noqa: F403

ROOT_URLCONF = "drf.urls"
INSTALLED_APPS = [*INSTALLED_APPS, "drf"]  # noqa: F405
