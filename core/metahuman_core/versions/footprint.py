"""What versions take on the disk, file by file, and what is free when files go.

Invariant: what is said before a deletion is what the deletion frees, to the byte. A file is free when its last name
goes: one that has another name somewhere else (a copy by `cp -l`) frees nothing. A GGUF that is one file with Ollama's
blob counts nevertheless, once: where it goes, the version's tag goes from Ollama too, and the blob with it. A copy that
Ollama has for itself is Ollama's, and does not count.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from metahuman_core.registry import Storage, Version
from metahuman_core.versions.parts import HELD, Part, Parts

RANKS: tuple[Storage, ...] = ("removed", "archived", "serving", "full")
"""From nothing to everything."""


@dataclass(frozen=True, slots=True)
class File:
    """A file under one of its names: `links` is how many names have to go before its bytes are free."""

    device: int
    inode: int
    links: int
    size_bytes: int


Files = Mapping[Part, tuple[File, ...]]


def rank(storage: Storage) -> int:
    """0 for removed, 3 for full."""
    return RANKS.index(storage)


def files_of(version: Version, parts: Parts) -> Files:
    """All that a version has here, part by part."""
    shared = 1 if version.publication == "done" else 0
    return {
        "model": _files(parts.model),
        "gguf": _files(parts.gguf, shared),
        "adapter": _files(parts.adapter),
    }


def parts_below(files: Files, storage: Storage, *, archives: bool) -> tuple[Part, ...]:
    """The parts that are here and that a version of this storage has no more.

    `archives`: adapters of archived versions lie in the cold storage, and not here.
    """
    held = () if archives and storage == "archived" else HELD[storage]
    return tuple(part for part in HELD["full"] if part not in held and files.get(part))


def freed_bytes(files: Iterable[File], gone: dict[tuple[int, int], int] | None = None) -> int:
    """What deleting these names frees: the bytes of the files whose last name is among them.

    `gone` counts the names that went before, by device and inode; these are added.
    """
    names = {} if gone is None else gone
    freed = 0
    for file in files:
        key = (file.device, file.inode)
        names[key] = names.get(key, 0) + 1
        freed += file.size_bytes if names[key] == file.links else 0
    return freed


def taken_bytes(files: Iterable[File]) -> int:
    """What these files take, each once however many names it has."""
    return sum({(file.device, file.inode): file.size_bytes for file in files}.values())


def _files(path: Path, shared: int = 0) -> tuple[File, ...]:
    """`path`, or all files below it. `shared`: how many of the other names are Ollama's, if there are any."""
    status = _status(path)
    below = map(_status, _below(path)) if status and stat.S_ISDIR(status.st_mode) else (status,)
    found = (s for s in below if s and (stat.S_ISREG(s.st_mode) or stat.S_ISLNK(s.st_mode)))
    return tuple(File(s.st_dev, s.st_ino, max(1, s.st_nlink - shared), s.st_size) for s in found)


def _below(folder: Path) -> Iterator[str]:
    """All that lies below a folder. (By the names alone: `status` asks for a hundred versions.)"""
    for at, folders, names in os.walk(folder):
        yield from (f"{at}/{name}" for name in (*folders, *names))


def _status(path: Path | str) -> os.stat_result | None:
    """What the system says of it, and not of what it links to; None where it is not there, or there no more."""
    try:
        return os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
