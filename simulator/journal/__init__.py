"""Requests within bounds: the public door of the journal. Nothing is implemented here."""

from simulator.journal.filtering import Filter, FilterError, Label, Vocabulary, parsed
from simulator.journal.journal import (
    EvictedError,
    EvidenceGoneError,
    Journal,
    Journals,
    Page,
    UnknownRequestError,
)
from simulator.journal.merged import Merged, Readable, Requests

__all__ = [
    "EvictedError",
    "EvidenceGoneError",
    "Filter",
    "FilterError",
    "Journal",
    "Journals",
    "Label",
    "Merged",
    "Page",
    "Readable",
    "Requests",
    "UnknownRequestError",
    "Vocabulary",
    "parsed",
]
