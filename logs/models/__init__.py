"""Projects, datasets, sequences and labels; lines as they come; templates: the facts that everything else reads."""

from __future__ import annotations

from logs.models.datasets import Dataset, DatasetStatistics, Gap, Label, Project, QuarantinedRow, Sequence, Split
from logs.models.lines import (
    Chunk,
    OpenSequence,
    PendingChunk,
    Receipt,
    RedactionRule,
    RejectedRecord,
    Source,
    UnjudgedSequence,
)
from logs.models.templates import Template, TemplateChange

__all__ = [
    "Chunk",
    "Dataset",
    "DatasetStatistics",
    "Gap",
    "Label",
    "OpenSequence",
    "PendingChunk",
    "Project",
    "QuarantinedRow",
    "Receipt",
    "RedactionRule",
    "RejectedRecord",
    "Sequence",
    "Source",
    "Split",
    "Template",
    "TemplateChange",
    "UnjudgedSequence",
]
