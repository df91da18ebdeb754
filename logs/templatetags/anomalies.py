"""`{{ sequence.type|named }}`: anomaly types in the language of whoever looks."""

from __future__ import annotations

from django import template

from logs import labels

register = template.Library()
register.filter("named", labels.named)
