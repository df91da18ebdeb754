"""Write a fine-tuned model for servers of other makers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from analysis.analyst import GROUP
from analysis.analysts.local import Local
from detection import versions
from detection.models import ModelVersion
from duolog.plugins import guard, registry
from workers import store
from workers.console import DuologCommand


class Command(DuologCommand):
    help = str(
        _(
            "Write a fine-tuned analyst, its adapter made one with its base model, as a model folder for vLLM, SGLang, "
            "Ollama and the like: bf16 safetensors, configuration and tokenizer."
        )
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--model", required=True, metavar="REF", help=str(_("name:version or name@alias")))
        parser.add_argument("--out", required=True, type=Path, metavar="DIR", help=str(_("folder to write into")))

    def handle(self, *args: Any, project: str, json: bool, model: str, out: Path, **options: Any) -> None:
        version = versions.resolve(project=project, ref=model, kind=ModelVersion.Kind.ANALYST)
        analyst = registry.create(GROUP, version.detector, version.options)
        if not isinstance(analyst, Local):
            text = gettext("%(model)s is a model of the analyst %(analyst)s, and only those of local can be exported")
            raise CommandError(text % {"model": version, "analyst": version.detector})
        try:
            out.mkdir(parents=True, exist_ok=True)
            if any(out.iterdir()):
                raise CommandError(gettext("%(folder)s is not empty; name another folder") % {"folder": out})
        except OSError as error:
            raise CommandError(f"{error.filename}: {error.strerror}") from error
        guard.call(analyst, "export", store.verify(version.path, version.sha256), out)
        text = gettext("%(model)s is in %(folder)s")
        self.reply({"model": str(version), "folder": str(out)}, text % {"model": version, "folder": out}, json=json)
