"""Pausing a profile: a file in its state folder, so that it outlasts every restart."""

from __future__ import annotations

import errno
from datetime import datetime
from pathlib import Path

from metahuman_core.durable import remove, write_text
from metahuman_core.layout import ProfilePaths


def pause(paths: ProfilePaths, now: datetime) -> None:
    """Let nothing run for the profile until `resume`."""
    if not _path(paths).exists():
        write_text(_path(paths), f"{now.isoformat()}\n")


def resume(paths: ProfilePaths) -> bool:
    """Let it go on; False if it was not paused."""
    was = _path(paths).exists()
    remove(_path(paths))
    return was


def paused_since(paths: ProfilePaths) -> str:
    """When it was paused, as it was written down ("" if it is not)."""
    try:
        return _path(paths).read_text(encoding="utf-8", errors="replace").strip() or "once"
    except OSError as error:
        # Whatever it is, somebody put it there; but where the system is short of something, it says nothing.
        return "once" if error.errno in (errno.EISDIR, errno.EACCES, errno.EPERM, errno.ELOOP) else ""


def _path(paths: ProfilePaths) -> Path:
    return paths.ledger.with_name("paused")
