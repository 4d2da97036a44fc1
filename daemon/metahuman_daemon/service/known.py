"""What the agenda goes by: what is known of a profile now, and what is kept of it from one start to the next."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a profile: from its ledger and registry, and from the machine. See `due.Situation`."""

    pending: int
    unfinished: str
    held_up: str
    disk_free_bytes: int
    disk_needed_bytes: int
    publications_due: bool
    publishes: bool
    load: float
    ollama_in_use: bool
    consolidation: str = ""


@dataclass(slots=True)
class Kept:
    """What outlasts a restart: how far the schedule is dealt with, and how the last attempts ended.

    `attempts`: how many in a row ended without a version; `attempts_passing`: all by what may pass by itself; `failed`:
    how many failed for good since a run got anywhere.
    """

    schedule_until: datetime
    attempts: int = 0
    attempts_passing: bool = False
    failed: int = 0
    cool_until: datetime | None = None
    cool_reason: str = ""
    last_cycle_at: datetime | None = None
    tidied_at: datetime | None = None
