"""A folder at a glance: one digest over all its entries, and its subfolders.

Invariant: two glances give the same digest only if every entry has the same name, kind, inode, size and times; an
entry costs a stat and a few bytes to hash, whatever it is called and wherever it stands. No link is followed.
"""

from __future__ import annotations

import os
import stat
from array import array
from dataclasses import dataclass
from hashlib import blake2b
from itertools import islice
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator

Entry: TypeAlias = tuple[str, os.stat_result]

_AT_A_TIME = 1000  # a million files can lie in one folder, and an lstat's answer takes 700 bytes

_64_BITS = (1 << 64) - 1
"""Times before 1970 are below zero, and from 2262 on nanoseconds are more than a signed number holds."""


@dataclass(frozen=True, slots=True)
class Glance:
    """What a folder looks like from outside. `folders`: the names of its subfolders."""

    digest: bytes
    folders: tuple[str, ...]


def glance(folder: str) -> Glance:
    """Look at a folder's entries, not at their names' meaning. Raises OSError where the system refuses."""
    digest = blake2b(digest_size=16)
    folders: list[str] = []
    for names, found in _listed(folder):
        # A name holds neither "/" nor NUL, and the numbers have a fixed width: nothing can be taken for anything else.
        digest.update("/".join(names).encode("utf-8", "surrogateescape") + b"\0")
        modes = [status.st_mode for status in found]
        digest.update(array("L", modes))
        digest.update(array("Q", [status.st_ino for status in found]))
        digest.update(array("q", [status.st_size for status in found]))
        digest.update(array("Q", [status.st_mtime_ns & _64_BITS for status in found]))
        # The inode's own time: with it, a folder that changed while it was read can never look as it did before.
        digest.update(array("Q", [status.st_ctime_ns & _64_BITS for status in found]))
        if len(kinds := set(modes)) > 1 or stat.S_ISDIR(next(iter(kinds))):
            folders += [name for name, mode in zip(names, modes, strict=True) if stat.S_ISDIR(mode)]
    return Glance(digest.digest(), tuple(folders))


def entries(folder: str) -> Iterator[Entry]:
    """A folder's entries and what lstat says of them, in the file system's order. Raises OSError as `glance` does."""
    for names, found in _listed(folder):
        yield from zip(names, found, strict=True)


def _listed(folder: str) -> Iterator[tuple[list[str], list[os.stat_result]]]:
    with os.scandir(folder) as listing:
        while some := list(islice(listing, _AT_A_TIME)):
            try:
                found = [entry.stat(follow_symlinks=False) for entry in some]
            except FileNotFoundError:
                some, found = _still_there(some)
            if some:
                yield [entry.name for entry in some], found


def _still_there(some: list[os.DirEntry[str]]) -> tuple[list[os.DirEntry[str]], list[os.stat_result]]:
    there, found = [], []
    for entry in some:
        try:
            found.append(entry.stat(follow_symlinks=False))
        except FileNotFoundError:
            continue
        there.append(entry)
    return there, found
