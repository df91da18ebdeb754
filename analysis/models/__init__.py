"""Findings and their reports; items, what people say about them, and what is muted; alerts and where they went."""

from __future__ import annotations

from analysis.models.alerts import Channel, Delivery, Route
from analysis.models.findings import AnomalyReport, Finding
from analysis.models.muting import MuteDay, MuteRule
from analysis.models.review import Comment, Event, Item, Lease, ReviewPolicy, Verdict

__all__ = [
    "AnomalyReport",
    "Channel",
    "Comment",
    "Delivery",
    "Event",
    "Finding",
    "Item",
    "Lease",
    "MuteDay",
    "MuteRule",
    "ReviewPolicy",
    "Route",
    "Verdict",
]
