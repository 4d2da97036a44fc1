"""Copies a version's part from elsewhere into its own folder: goes on where it was broken off, and reads it back.

Invariants: the copy has its name only when it is whole and its bytes are the source's; the source is only read, and
nothing is followed out of the folder that it may lie in.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from metahuman_core.durable import PARTIAL, copy_file, fsync_path, fsync_tree, partial_of
from metahuman_core.errors import MetahumanError, PassingError

_GIB = 1 << 30


def files_of(source: Path, within: Path) -> list[Path]:
    """The regular files of a part. Raises MetahumanError where a link leads out of `within`, or one is no file."""
    found = [source] if not source.is_dir() else sorted(p for p in source.rglob("*") if not p.is_dir())
    for path in found:
        if not path.resolve().is_relative_to(within.resolve()):
            raise MetahumanError(f"{path} leads out of {within}", "copy what it names there by hand")
        if not path.is_file():
            raise MetahumanError(f"{path} is no regular file", "take it away, and import again")
    return [path for path in found if not path.name.endswith(PARTIAL)]


@dataclass(frozen=True, slots=True)
class Copy:
    """A part (a file or a folder), where it is to lie, and the root that it may not lead out of."""

    source: Path
    target: Path
    within: Path

    def size_bytes(self) -> int:
        """Bytes of the whole part."""
        return sum(file.stat().st_size for file in files_of(self.source, self.within))


def require_room(root: Path, copies: list[Copy]) -> None:
    """Raise PassingError where the disk has no room for these copies; what of them is copied takes none."""
    needed = sum(copy.size_bytes() - _there_bytes(partial_of(copy.target)) for copy in copies)
    free = shutil.disk_usage(root).free
    if needed > free:
        raise PassingError(
            f"the copies take {needed / _GIB:.1f} GiB, and {free / _GIB:.1f} are free in {root}",
            "make room, or import without --copy: what is not here is marked",
        )


def carry_out(copy: Copy, copied: Callable[[int], None]) -> None:
    """Copy a file or a folder to its place, where nothing may lie; `copied` is told the bytes of each block.

    Raises MetahumanError where something lies there already, or the copy is read back otherwise.
    """
    source, target = copy.source, copy.target
    if target.exists() or target.is_symlink():
        raise MetahumanError(f"{target} is there already, and is no whole copy", "move it away, and import again")
    partial = partial_of(target)
    partial.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    for file in files_of(source, copy.within):
        into = partial / file.relative_to(source) if source.is_dir() else partial
        into.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        copy_file(file, into, copied)
    fsync_tree(partial)
    partial.rename(target)
    fsync_path(target.parent)


def _there_bytes(partial: Path) -> int:
    if partial.is_file():
        return partial.stat().st_size
    return sum(path.stat().st_size for path in partial.rglob("*") if path.is_file())
