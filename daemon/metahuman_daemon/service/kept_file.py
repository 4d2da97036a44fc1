"""What of the agenda outlasts a restart, one file a profile: `profiles/{user}/state/agenda.json`.

Invariant: neither a disk that is full nor a file that was spoilt ends the daemon.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import structlog
from pydantic import TypeAdapter, ValidationError

from metahuman_core.durable import write_text
from metahuman_core.layout import ProfilePaths
from metahuman_daemon.service.known import Kept

_ADAPTER = TypeAdapter(Kept)
log = structlog.get_logger()


def read_kept(paths: ProfilePaths) -> Kept | None:
    """What was kept; None where nothing was, or it cannot be understood (then the schedule begins anew)."""
    path = _path(paths)
    try:
        kept = _ADAPTER.validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValidationError):
        kept = None
    if kept is None or not _makes_sense(kept):
        log.warning("the agenda cannot be read: the schedule begins anew", profile=paths.name, path=str(path))
        return None
    return kept


def has_kept(paths: ProfilePaths) -> bool:
    """Whether a daemon has served the profile before."""
    return _path(paths).is_file()


def write_kept(paths: ProfilePaths, kept: Kept) -> bool:
    """Keep it, if the disk lets us."""
    try:
        write_text(_path(paths), _ADAPTER.dump_json(kept, indent=2).decode() + "\n")
    except OSError as error:
        log.warning("the agenda cannot be kept", profile=paths.name, reason=error.strerror)
        return False
    return True


def _makes_sense(kept: Kept) -> bool:
    """A person may have written into it: moments without a zone cannot be compared with any that have one."""
    values = (getattr(kept, name) for name in kept.__slots__)
    return kept.attempts >= 0 and all(value.tzinfo for value in values if isinstance(value, datetime))


def _path(paths: ProfilePaths) -> Path:
    return paths.ledger.with_name("agenda.json")
