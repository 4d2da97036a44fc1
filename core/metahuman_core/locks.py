"""File locks (flock): held by an open descriptor, so that they end with their process, whatever ends it."""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from metahuman_core.errors import BusyError


def _open(path: Path) -> int:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


@contextmanager
def waiting_lock(path: Path) -> Iterator[None]:
    """Hold `path`, waiting for whoever has it (for moments: the registry's lock)."""
    fd = _open(path)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


@contextmanager
def cycle_lock(path: Path, holder: str) -> Iterator[int]:
    """Hold the one cycle of a root, or raise BusyError at once.

    Gives the descriptor: a child that inherits it keeps the lock after its parent died, so that no second cycle
    starts beside an orphan.
    """
    fd = _open(path)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            who = os.pread(fd, 200, 0).decode(errors="replace").strip()
            raise BusyError(f"a cycle is running ({who or path})", "wait for it, or see `metahuman status`") from error
        with suppress(OSError):  # on a full disk what makes room must go on: it is only not said who holds the lock
            os.ftruncate(fd, 0)
            os.pwrite(fd, f"{holder}, pid {os.getpid()}\n".encode(), 0)
        yield fd
    finally:
        os.close(fd)


def holder_pid(path: Path) -> int | None:
    """The process that took `path` last, as it wrote itself down; None where nobody can be told."""
    try:
        words = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    found = re.search(r", pid (\d+)$", words.rstrip())
    return int(found[1]) if found else None


def is_held(path: Path) -> bool:
    """Whether somebody holds a lock, without touching it; False where the system does not say."""
    try:
        inode = path.stat().st_ino
        lines = Path("/proc/locks").read_text(encoding="ascii").splitlines()
    except OSError:
        return False
    # 1: FLOCK  ADVISORY  WRITE 4711 08:01:131 0 EOF
    return any(" FLOCK " in line and " -> " not in line and f":{inode} " in line for line in lines)
