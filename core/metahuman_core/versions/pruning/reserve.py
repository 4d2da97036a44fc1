"""A little room that is kept for the moment when the disk has none.

Who clears away has to write a few kilobytes first, a tombstone and the registry: without a reserve, a disk that is full
to the last byte could not be cleared by the very command that is there for it.
"""

from __future__ import annotations

import random
import shutil
from contextlib import suppress
from pathlib import Path

from metahuman_core.durable import size_bytes
from metahuman_core.layout import reserve_path

_RESERVE_BYTES = 1 << 18
_PLENTY_BYTES = 1 << 24


def use_reserve(root: Path) -> None:
    """Give the reserve up where there is hardly any room."""
    if shutil.disk_usage(root).free < _RESERVE_BYTES:
        reserve_path(root).unlink(missing_ok=True)


def keep_reserve(root: Path) -> None:
    """Have a reserve, where there is plenty of room for one."""
    path = reserve_path(root)
    if size_bytes(path) >= _RESERVE_BYTES or shutil.disk_usage(root).free < _PLENTY_BYTES:
        return
    # In place: half a reserve is no harm, and is made whole the next time. Nothing that a file system could compress.
    with suppress(OSError):
        path.parent.mkdir(exist_ok=True, mode=0o700)
        path.write_bytes(random.Random(0).randbytes(_RESERVE_BYTES))  # noqa: S311
