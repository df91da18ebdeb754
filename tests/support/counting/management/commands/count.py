from __future__ import annotations

import json
from argparse import ArgumentParser
from typing import Any

from workers.console import DuologCommand, perform


class Command(DuologCommand):
    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--to", type=int, default=3)
        parser.add_argument("--seconds", type=float, default=0.0)

    def handle(self, *args: Any, project: str, to: int, seconds: float, **options: Any) -> None:
        run = perform(job="count", options={"to": to, "seconds": seconds}, project=project)
        self.stdout.write(json.dumps(run.result))
