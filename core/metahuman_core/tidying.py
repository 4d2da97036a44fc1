"""Clears away what nobody needs: runs that were never begun, and what killed writers have left half-made.

Invariant: only names that mean "half-made" go, and only where nobody makes them: in runs that have ended, and elsewhere
when they are old; needs the cycle's lock.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

from metahuman_core.durable import PARTIAL, remove
from metahuman_core.errors import MetahumanError
from metahuman_core.journal import NAME, Journal
from metahuman_core.layout import ProfilePaths
from metahuman_core.settings import Settings
from metahuman_core.unfinished import sweep

_SURELY_DEAD = timedelta(hours=1)


def tidy(settings: Settings, profile: str, now: Callable[[], datetime]) -> list[str]:
    """Clear away. Gives what was removed, relative to the root."""
    paths = ProfilePaths(settings.root, profile)
    before = set(paths.run_dirs())
    sweep(settings, profile)
    gone = sorted(before - set(paths.run_dirs()))
    stale = [path for run_dir in paths.run_dirs() if _has_ended(run_dir, now) for path in _half_made(run_dir)]
    # The daemon and other commands write here too, without the cycle's lock.
    old_s = (now() - _SURELY_DEAD).timestamp()
    places = (paths.ledger.parent, paths.studied, settings.root / "etc")
    stale += [path for folder in places for path in _half_made(folder) if path.lstat().st_mtime < old_s]
    for path in stale:
        remove(path)
    for day in paths.runs.glob("*"):
        if day.is_dir() and not any(day.iterdir()):
            day.rmdir()
    return [str(path.relative_to(settings.root)) for path in (*gone, *stale)]


def _has_ended(run_dir: Path, now: Callable[[], datetime]) -> bool:
    """A run whose journal cannot be read is for a person to look at."""
    if not (run_dir / NAME).is_file():
        return False
    try:
        return bool(Journal.open(run_dir, now).file.ended)
    except MetahumanError:
        return False


def _half_made(folder: Path) -> list[Path]:
    return sorted(folder.glob(f"*{PARTIAL}")) if folder.is_dir() else []
