"""Conformance suites: subclass one in a test module, name your plugin, and pytest runs what Duolog expects of it.

    class TestPipes(FormatConformance):
        plugin = Pipes
        sample = b"seq_1|0|started|stopped\\n"

They need pytest and nothing else of Duolog than `duolog.plugins`; every call goes through the guard, as in production.
"""

from duolog.plugins.testing.analysts import AnalystConformance
from duolog.plugins.testing.notifiers import NotifierConformance
from duolog.plugins.testing.suites import (
    DetectorConformance,
    EncoderConformance,
    FormatConformance,
    GeneratorConformance,
    ReceiverConformance,
)

__all__ = [
    "AnalystConformance",
    "DetectorConformance",
    "EncoderConformance",
    "FormatConformance",
    "GeneratorConformance",
    "NotifierConformance",
    "ReceiverConformance",
]
