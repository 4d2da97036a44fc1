"""Finding the files in a directory of memories.

Invariant: the same tree gives the same files in the same order, no link is ever followed, and nothing is opened.
What is no memory by its name (pictures, hidden files, an editor's temporary ones, `_pruned/`) is passed over in
silence; what could be one and cannot be read is `Skipped`.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from metahuman_core.memories.model import Skipped
from metahuman_core.memories.opened import NOT_REGULAR, SYMLINK, why

if TYPE_CHECKING:
    from collections.abc import Iterator

_ENDINGS = (".json", ".jsonl", ".ndjson", ".md", ".markdown", ".txt")
_TEMPORARY_ENDINGS = ("~", ".swp", ".swx", ".tmp", ".partial")
_ENCRYPTED_ENDING = ".json.enc"
_PRUNED = "_pruned"


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A file that may hold memories, as it was when it was found. `source` is its POSIX path relative to the root."""

    path: Path
    source: str
    mtime_ns: int
    size_bytes: int
    inode: int


def walk(root: Path) -> Iterator[FoundFile | Skipped]:
    """The files below `root`, each folder's in the order of their names, and what was set aside.

    `root` itself may be a link, or a single file. A folder that is named like a file (`x.json`) is reported, and what
    lies in it is found all the same: losing memories would be worse.
    """
    try:
        root = root.resolve(strict=True)
        status = root.stat()
    except (OSError, RuntimeError) as error:
        yield Skipped(".", why(error) if isinstance(error, OSError) else "a link that leads to itself")
        return
    if not stat.S_ISDIR(status.st_mode):
        yield from _entry(root, root.name, status)
        return
    waiting = [(root, "")]  # not by recursion: a tree can be deeper than Python's stack
    while waiting:
        path, source = waiting.pop()
        try:
            status = path.lstat()
            if not stat.S_ISDIR(status.st_mode):
                yield from _entry(path, source, status)
                continue
            if source.lower().endswith(_ENDINGS):
                yield Skipped(source, "a folder with a file's name")
            waiting += reversed(list(_children(path, source)))
        except FileNotFoundError:
            continue  # it went away since its folder was listed
        except OSError as error:
            yield Skipped(_printable(source) or ".", why(error))


def _children(folder: Path, source: str) -> Iterator[tuple[Path, str]]:
    for name in sorted(entry.name for entry in folder.iterdir()):
        if not _is_passed_over(name):
            yield folder / name, f"{source}/{name}" if source else name


def _is_passed_over(name: str) -> bool:
    is_autosave = name.startswith("#") and name.endswith("#")
    return name.startswith(".") or name == _PRUNED or name.endswith(_TEMPORARY_ENDINGS) or is_autosave


def _entry(path: Path, source: str, status: os.stat_result) -> Iterator[FoundFile | Skipped]:
    name = source.lower()
    if stat.S_ISLNK(status.st_mode):
        yield Skipped(_printable(source), SYMLINK)
    elif not stat.S_ISREG(status.st_mode):
        yield Skipped(_printable(source), NOT_REGULAR)
    elif name.endswith(_ENCRYPTED_ENDING):
        yield Skipped(_printable(source), "encrypted")
    elif not name.endswith(_ENDINGS):
        return
    elif _printable(source) != source:
        yield Skipped(_printable(source), "its name is not valid UTF-8")
    else:
        yield FoundFile(path, source, status.st_mtime_ns, status.st_size, status.st_ino)


def _printable(source: str) -> str:
    """A path that can be written to the ledger: a name is bytes, and not all bytes are text."""
    return os.fsencode(source).decode("utf-8", "replace")
