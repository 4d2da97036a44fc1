"""The scan: brings the ledger up to what lies in the memory folders.

Invariants: a folder whose digest did not change costs a stat and a hash per entry, and nothing else; names, their order
and the ledger's rows are looked at only where it did. A digest is written behind the rows of the folder's files, and
only if all of them were read. What is gone takes its rows and reasons with it, never its memories; and where a whole
root is missing, nothing is gone.
"""

from __future__ import annotations

import json
import os
import sqlite3
import stat
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import astuple, dataclass
from functools import partial
from pathlib import Path

from metahuman_core.ledger.database import Changes, count, transaction
from metahuman_core.ledger.files import Files
from metahuman_core.ledger.folders import Folders
from metahuman_core.memories.glance import Entry, Glance, entries, glance
from metahuman_core.memories.model import Skipped
from metahuman_core.memories.opened import why
from metahuman_core.memories.origin import Limits
from metahuman_core.memories.walk import (
    FoundFile,
    against_file,
    against_folder,
    found_file,
    is_passed_over,
    is_text,
    printable,
    resolved,
)

Steady = Callable[[FoundFile], bool]

_RULES = 1
"""Raised when the rules of names or of reading change: what was passed over or set aside is then looked at again."""


@dataclass(frozen=True, slots=True)
class ScanReport:
    """What a scan met: files there are, files read because they changed, memories never seen before, what is set aside.

    `files` and `skipped` count all folders whose root is there, whichever were looked at. `unsteady`: files that were
    left for later.
    """

    files: int
    files_read: int
    new_memories: int
    skipped: int
    unsteady: int = 0


@dataclass(frozen=True, slots=True)
class Place:
    """A folder: where it lies, the label of its root, and its path below the root ("" for the root itself)."""

    path: str
    label: str
    source: str

    @property
    def name(self) -> str:
        """What the ledger calls it."""
        return f"{self.label}/{printable(self.source)}" if self.source else self.label

    def below(self, name: str) -> Place:
        """Something in it."""
        return Place(f"{self.path}/{name}", self.label, f"{self.source}/{name}" if self.source else name)


class Scan:
    """One scan. `steady` says of a file that is new or changed whether it may be read now."""

    def __init__(self, db: sqlite3.Connection, limits: Limits, steady: Steady | None) -> None:
        self._db = db
        self._steady = steady
        self._limits = limits
        self._changes = Changes(db)
        self._folders = Folders(db)
        self._files = Files(db, self._changes, limits)
        self._unsteady = 0

    def run(self, folders: Sequence[tuple[str, Path]], only: Collection[Path] | None) -> ScanReport:
        """Look at `folders` (label and root), or at `only` these folders in them and what is new below those."""
        under = json.dumps([_RULES, *astuple(self._limits)])
        if not self._folders.was_read_under(under):
            with transaction(self._db):
                self._folders.read_under(under)
        labels = []
        with self._changes:
            for label, folder in folders:
                there = resolved(folder)
                if isinstance(there, Skipped):
                    self._files.set_aside(f"{label}/.", there.reason)
                    continue
                labels.append(label)
                self._scan_root(label, folder, *there, only)
        skipped = count(self._db, "SELECT count(*) FROM skipped")
        return ScanReport(
            self._folders.files(labels), self._files.read, self._files.new_memories, skipped, self._unsteady
        )

    def _scan_root(
        self, label: str, given: Path, root: Path, status: os.stat_result, only: Collection[Path] | None
    ) -> None:
        if self._folders.has_reason(f"{label}/."):
            self._files.set_aside(f"{label}/.")
        if not stat.S_ISDIR(status.st_mode):
            self._look(Place(str(root.parent), label, ""), [(root.name, status)], Glance(b"", ()))
            return
        place = Place(str(root).rstrip("/"), label, "")
        if only is None:
            self._descend([place], lambda _: True)
            return
        chosen = {below.name: below for below in _chosen(place, given, only)}
        looked_at = set(chosen)

        def is_new(folder: Place) -> bool:
            if folder.name in looked_at or self._folders.digest(folder.name) is not None:
                return False
            looked_at.add(folder.name)
            return True

        self._descend([chosen[name] for name in sorted(chosen, reverse=True)], is_new)

    def _descend(self, waiting: list[Place], wanted: Callable[[Place], bool]) -> None:
        while waiting:  # not by recursion: a tree can be deeper than Python's stack
            place = waiting.pop()
            name = place.name
            try:
                seen = glance(place.path or "/")
                if not is_text(place.source) or seen.digest != self._folders.digest(name):
                    named = ((name, status) for name, status in entries(place.path or "/") if not is_passed_over(name))
                    self._look(place, named, seen)
            except (FileNotFoundError, NotADirectoryError):
                # It went away since its folder was listed, or since somebody heard of it.
                if place.source:
                    self._changes.add(partial(self._folders.forget, name))
                continue
            except OSError as error:
                self._files.set_aside(name if place.source else f"{name}/.", why(error))
                self._changes.add(partial(self._folders.look_again, name))
                continue
            below = [place.below(folder) for folder in sorted(seen.folders, reverse=True) if not is_passed_over(folder)]
            waiting += [folder for folder in below if wanted(folder)]

    def _look(self, place: Place, there: Iterable[Entry], seen: Glance) -> None:
        """Look at what a folder holds, name by name; `there` leaves out what is passed over."""
        name = place.name
        files: set[str] = set()
        others: set[str] = set()
        aside: dict[str, str] = {}
        changed: list[str] = []
        for entry, status in there:
            if stat.S_ISDIR(status.st_mode):
                continue
            reason = against_file(place.below(entry).source, status.st_mode)
            others.add(entry)
            if reason:
                aside[printable(entry)] = reason
            elif reason is not None:
                files.add(entry)
                if not self._files.is_known(name, entry, status):
                    changed.append(entry)
        folders = {printable(folder) for folder in seen.folders if not is_passed_over(folder)}
        # First: what is set aside here may have the name of a folder that has gone, and all below it is forgotten.
        for folder in self._folders.gone(name, folders) if is_text(place.source) else ():
            self._changes.add(partial(self._folders.forget, folder))
        for source in self._folders.stale_reasons(name, files.union(aside), folders):
            self._files.set_aside(source)
        self._files.set_aside(name, against_folder(place.source))
        for entry, reason in aside.items():
            self._files.set_aside(f"{name}/{entry}", reason)
        if not is_text(place.source):
            return  # it has no row of its own, and nothing in it is ever read
        self._files.forget_others(name, files, others)
        was_read = [self._read(place, entry) for entry in sorted(changed)]  # all of them, whatever became of the others
        self._changes.add(partial(self._folders.put, name, seen.digest if all(was_read) else b"", len(files)))

    def _read(self, place: Place, name: str) -> bool:
        """Read a file if it may be read now."""
        below = place.below(name)
        try:
            status = os.lstat(below.path)
        except OSError:
            return False  # it went away since its folder was listed
        if against_file(below.source, status.st_mode) != "":
            return False
        found = found_file(Path(below.path), below.source, status)
        if self._steady is not None and not self._steady(found):
            self._unsteady += 1
            return False
        self._files.read_file(below.name, found)
        return True


def _chosen(root: Place, given: Path, only: Iterable[Path]) -> Iterable[Place]:
    """Those of the folders that lie below a root, by the root's name or by where it leads, and not behind a link."""
    for path in only:
        for base in (given.absolute(), Path(root.path or "/")):
            if path.is_relative_to(base):
                parts = path.relative_to(base).parts
                below = "/".join((root.path, *parts))
                if os.path.realpath(below) == (below or "/") and not any(map(is_passed_over, parts)):
                    yield Place(below, root.label, "/".join(parts))
                break
