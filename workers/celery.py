"""The Celery app (`celery -A workers worker -Q cpu`); a message only says which run to look at."""

from __future__ import annotations

import logging
import os
import warnings
from uuid import UUID

from celery import Celery
from celery.exceptions import SecurityWarning
from kombu.exceptions import OperationalError

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "duolog.settings")
# Celery would run Django's checks, and those import all that the web needs; the command line runs them already.
os.environ.setdefault("CELERY_SKIP_CHECKS", "1")

# Celery warns root of what a pickled message could do. Ours are JSON, and name a run; containers often run as root.
warnings.filterwarnings("ignore", r"\s*You're running the worker with superuser privileges", SecurityWarning)

logger = logging.getLogger(__name__)

app = Celery("duolog")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(["workers"])
app.autodiscover_tasks(["workers"], related_name="inventory")


def ring(queue: str, run_id: UUID) -> bool:
    """Tell the workers of a queue to look at a run; return whether the broker took the message.

    A broker that is away is no error: the run lies in Postgres, and the sweeper rings again.
    """
    try:
        app.send_task("workers.execute", args=[str(run_id)], queue=queue, retry=False, ignore_result=True)
    except (OperationalError, OSError) as error:
        logger.warning("run=%s not announced on queue %s: %s", str(run_id)[:8], queue, error)
        return False
    return True
