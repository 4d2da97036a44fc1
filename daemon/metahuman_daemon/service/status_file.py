"""What the daemon is doing, for `status` and whoever else wants to know: `profiles/{user}/state/status.json`.

Invariant: a reader finds a whole file at every moment. It is no source of truth: after a power cut an old one may lie
there, so a reader asks first whether a daemon lives.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Literal

from pydantic import TypeAdapter, ValidationError

from metahuman_core.durable import partial_of
from metahuman_core.layout import ProfilePaths
from metahuman_daemon.service.seeing import Seen

State = Literal["starting", "waiting", "training", "publishing", "verifying", "tidying", "stopping", "paused", "faulty"]


@dataclass(frozen=True, slots=True)
class JobStatus:
    """The job that runs for a profile. Times left in seconds, None where nobody knows."""

    kind: str
    why: str
    run: str
    began_at: datetime
    step: str
    done: float
    total: float
    unit: str
    loss: float | None
    note: str
    eta_s: float | None
    stop_reason: str


@dataclass(frozen=True, slots=True)
class LastError:
    """What went wrong last, and what to do."""

    at: datetime
    what: str
    hint: str


@dataclass(frozen=True, slots=True)
class DaemonStatus:
    """The daemon's half of a profile's status. `next_at`: when time alone may change what is waited for."""

    pid: int
    at: datetime
    state: State
    why: str
    next_at: datetime | None
    job: JobStatus | None
    watching: str
    last_error: LastError | None


@dataclass(frozen=True, slots=True)
class ProfileStatus:
    """All that `status` shows of a profile; `daemon` is None where none runs."""

    seen: Seen
    daemon: DaemonStatus | None


@cache
def _adapter() -> TypeAdapter[ProfileStatus]:
    """Made where it is used: for `status` without a daemon, nobody needs it."""
    return TypeAdapter(ProfileStatus)


def as_json(status: ProfileStatus) -> str:
    """As it is in the file."""
    return _adapter().dump_json(status, indent=2).decode()


def write_status(paths: ProfilePaths, status: ProfileStatus) -> None:
    """Replace the file. Not brought to the disk at once: it is worth nothing after a power cut."""
    path = _path(paths)
    partial = partial_of(path)
    fd = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "w", encoding="utf-8") as file:
        file.write(as_json(status) + "\n")
    partial.replace(path)


def drop_status(paths: ProfilePaths) -> None:
    """Remove what another daemon wrote: it must not be taken for ours, which has seen nothing yet."""
    with suppress(OSError):
        _path(paths).unlink()


def read_status(paths: ProfilePaths) -> ProfileStatus | None:
    """What a daemon that lives has written; None where none lives, or has written nothing yet."""
    if not is_alive(paths.root):
        return None
    try:
        return _adapter().validate_json(_path(paths).read_bytes())
    except (OSError, ValidationError):
        return None


def is_alive(root: Path) -> bool:
    """Whether somebody holds the daemon's lock of a root."""
    try:
        fd = os.open(root / "state" / "daemon.lock", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


def _path(paths: ProfilePaths) -> Path:
    return paths.ledger.with_name("status.json")
