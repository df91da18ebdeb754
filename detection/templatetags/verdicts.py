"""`{% new_verdicts row as news %}`: what champions could learn from a dataset, on a page of an app below this one."""

from __future__ import annotations

from django import template

from detection import learning
from detection.models import ModelVersion
from logs.models import Dataset

register = template.Library()


@register.simple_tag
def new_verdicts(dataset: Dataset) -> list[learning.News]:
    """Return what is new to the champions of a dataset's project."""
    mine = ModelVersion.objects.filter(project=dataset.project.slug)
    return learning.news(learning.champions(mine), dataset)
