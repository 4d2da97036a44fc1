"""Whether the system will tell of new memories: file systems that do not, and the limits of inotify."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from metahuman_core.errors import MetahumanError
from metahuman_core.looking import sources
from metahuman_core.settings import Settings
from metahuman_daemon.doctor.finding import Finding
from metahuman_daemon.options import known_profiles
from metahuman_daemon.service.mounts import MOUNTINFO, file_system_of

# Watches are counted for each user, and other programs (editors, a file synchroniser) want some, too.
_OURS = 0.8


def watching(settings: Settings, proc: Path = Path("/proc"), mountinfo: Path = MOUNTINFO) -> Iterator[Finding]:
    """What is polled, and whether there are enough watches for the rest."""
    watched: list[Path] = []
    for folder in _folders(settings):
        mount = file_system_of(folder, mountinfo)
        if mount.tells_of_changes:
            watched.append(folder)
        else:
            every = f"{settings.daemon.reconcile_minutes:g} minutes"
            yield Finding("ok", f"{folder} is on {mount.fs_type or 'an unknown file system'}: looked at every {every}")
    if watched:
        yield from _limits(watched, proc)


def _folders(settings: Settings) -> Iterator[Path]:
    for name in known_profiles(settings):
        try:
            yield from (folder for _, folder in sources(settings, name))
        except MetahumanError:
            continue  # the profile's own finding


def _limits(watched: list[Path], proc: Path) -> Iterator[Finding]:
    allowed = _limit(proc, "max_user_watches")
    if allowed is not None:
        # One watch for each folder; counting ends where it is clear.
        count = sum(1 for top in watched for _ in islice(os.walk(top), allowed + 1))
        if count > allowed * _OURS:
            yield Finding(
                "warning",
                f"{count} folders to watch, and a user may watch {allowed} (others want some, too)",
                _way_out("max_user_watches", max(2 * count, 524_288)),
            )
        else:
            yield Finding("ok", f"{count} folders to watch, of {allowed} that a user may")
    instances, used = _limit(proc, "max_user_instances"), _instances_in_use(proc)
    if instances is not None and used >= instances:
        yield Finding(
            "warning",
            f"{used} inotify instances are in use, and a user may have {instances}",
            _way_out("max_user_instances", max(2 * used, 512)),
        )


def _way_out(name: str, value: int) -> str:
    line = f"fs.inotify.{name} = {value}"
    return f"echo '{line}' > /etc/sysctl.d/90-metahuman-{name}.conf && sysctl --system"


def _limit(proc: Path, name: str) -> int | None:
    try:
        return int((proc / "sys/fs/inotify" / name).read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None


def _instances_in_use(proc: Path) -> int:
    """Those of our own user's processes: others' cannot be seen, and do not count."""
    used = 0
    for opened in proc.glob("[0-9]*/fd/*"):
        try:
            used += opened.parents[1].stat().st_uid == os.geteuid() and str(opened.readlink()) == "anon_inode:inotify"
        except OSError:
            continue  # it has ended, or is another's
    return used
