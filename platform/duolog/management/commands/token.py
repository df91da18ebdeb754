"""Create an API token."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from duolog.access import issue_token

SLUG = re.compile(r"[-\w]{1,50}", re.ASCII)


class Command(BaseCommand):
    help = str(_("Create an API token for a user and print it: it is shown only this once."))

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("user", help=str(_("name of the user")))
        parser.add_argument("--name", default="command line", help=str(_("what the token is for")))
        parser.add_argument("--days", type=int, help=str(_("days until it expires (default: never)")))
        parser.add_argument("--project", default="", help=str(_("for a shipper: the project that it sends lines into")))
        parser.add_argument("--source", default="", help=str(_("of the project, the source that the lines go to")))
        parser.add_argument("--lines-per-second", type=int, help=str(_("what it may send (default: no limit)")))
        parser.add_argument("--json", action="store_true", help=str(_("print one JSON object for programs")))

    def handle(self, *args: Any, **options: Any) -> None:
        user = get_user_model().objects.filter(username=options["user"]).first()
        if user is None:
            raise CommandError(gettext("there is no user %(name)s") % {"name": options["user"]})
        expires_at = timezone.now() + timedelta(days=options["days"]) if options["days"] else None
        for name in ("project", "source"):
            if options[name] and not SLUG.fullmatch(options[name]):
                raise CommandError(gettext("%(name)r is no name: letters, digits, - and _") % {"name": options[name]})
        if (options["source"] or options["lines_per_second"]) and not options["project"]:
            raise CommandError(gettext("--source and --lines-per-second are for a shipper: name its --project"))
        token = issue_token(
            user=user, name=options["name"], expires_at=expires_at, project=options["project"],
            source=options["source"], lines_per_second=options["lines_per_second"],
        )  # fmt: skip
        self.stdout.write(json.dumps({"token": token}) if options["json"] else token)
