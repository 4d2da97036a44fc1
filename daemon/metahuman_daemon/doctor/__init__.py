"""Looks for what would stop a cycle, or the daemon, and names the way out.

Invariant: it changes nothing, and what it warns of is so on this machine: a plain checkout in a home is no fault.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from metahuman_core.settings import Settings
from metahuman_daemon.doctor.cards import cards
from metahuman_daemon.doctor.finding import Finding
from metahuman_daemon.doctor.house import profiles, retention, root
from metahuman_daemon.doctor.program import converter, notifications, python, qlora, torch
from metahuman_daemon.doctor.server import ollama, study
from metahuman_daemon.doctor.unit import system_unit, user_unit
from metahuman_daemon.doctor.watching import watching

__all__ = ["Finding", "examine"]


def examine(settings: Settings, config: Path | None = None) -> list[Finding]:
    """All findings, the good ones too. `config` is the file that the settings came from, if any."""
    looks: tuple[Callable[[Settings], Iterator[Finding]], ...] = (
        python, converter, torch, qlora, cards, root, retention, profiles, watching,
        lambda settings: system_unit(settings, config), user_unit, ollama, study, notifications,
    )  # fmt: skip
    return [finding for look in looks for finding in _looked(look, settings)]


def _looked(look: Callable[[Settings], Iterator[Finding]], settings: Settings) -> Iterator[Finding]:
    """What a look finds; one that may not look is a finding too, and the others go on."""
    try:
        yield from look(settings)
    except OSError as error:
        yield Finding("error", f"{error.strerror}: {error.filename}", "check its owner and mode")
