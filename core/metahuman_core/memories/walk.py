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
    """A file that may hold memories, as it was when it was found. `source` is its POSIX path relative to the root.

    `changed_ns` is when its inode last changed: unlike `mtime_ns`, no program can set it back.
    """

    path: Path
    source: str
    mtime_ns: int
    size_bytes: int
    inode: int
    changed_ns: int


def walk(root: Path) -> Iterator[FoundFile | Skipped]:
    """The files below `root`, each folder's in the order of their names, and what was set aside.

    `root` itself may be a link, or a single file. A folder that is named like a file (`x.json`) is reported, and what
    lies in it is found all the same: losing memories would be worse.
    """
    there = resolved(root)
    if isinstance(there, Skipped):
        yield there
        return
    root, status = there
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
            if reason := against_folder(source):
                yield Skipped(printable(source), reason)
            waiting += reversed(list(_children(path, source)))
        except FileNotFoundError:
            continue  # it went away since its folder was listed
        except OSError as error:
            yield Skipped(printable(source) or ".", why(error))


def resolved(root: Path) -> tuple[Path, os.stat_result] | Skipped:
    """Where `root` leads, which may be a link and a single file, or why it leads nowhere."""
    try:
        there = root.resolve(strict=True)
        return there, there.stat()
    except (OSError, RuntimeError) as error:
        return Skipped(".", why(error) if isinstance(error, OSError) else "a link that leads to itself")


def is_passed_over(name: str) -> bool:
    """Whether a file or folder is no memory by its name, and nobody need hear of it."""
    is_autosave = name.startswith("#") and name.endswith("#")
    return name.startswith(".") or name == _PRUNED or name.endswith(_TEMPORARY_ENDINGS) or is_autosave


def against_folder(source: str) -> str:
    """What is wrong with a folder of that name ("" if nothing is)."""
    return "a folder with a file's name" if source.lower().endswith(_ENDINGS) else ""


def against_file(source: str, mode: int) -> str | None:
    """Why a file is set aside: "" where it may be read, None where it is no memory by its name. `mode` is lstat's."""
    name = source.lower()
    if stat.S_ISLNK(mode):
        return SYMLINK
    if not stat.S_ISREG(mode):
        return NOT_REGULAR
    if name.endswith(_ENCRYPTED_ENDING):
        return "encrypted"
    if not name.endswith(_ENDINGS):
        return None
    return "" if is_text(source) else "its name is not valid UTF-8"


def is_text(source: str) -> bool:
    """Whether a path can be written as UTF-8: a name is bytes, and not all bytes are text."""
    return source.isascii() or printable(source) == source


def printable(source: str) -> str:
    """A path that can be written to the ledger."""
    return os.fsencode(source).decode("utf-8", "replace")


def found_file(path: Path, source: str, status: os.stat_result) -> FoundFile:
    """A file that may hold memories, with what lstat says of it."""
    return FoundFile(path, source, status.st_mtime_ns, status.st_size, status.st_ino, status.st_ctime_ns)


def _children(folder: Path, source: str) -> Iterator[tuple[Path, str]]:
    for name in sorted(entry.name for entry in folder.iterdir()):
        if not is_passed_over(name):
            yield folder / name, f"{source}/{name}" if source else name


def _entry(path: Path, source: str, status: os.stat_result) -> Iterator[FoundFile | Skipped]:
    reason = against_file(source, status.st_mode)
    if reason == "":
        yield found_file(path, source, status)
    elif reason:
        yield Skipped(printable(source), reason)
