"""A version on its way to a verdict: what the planner knows of it, what it is to become, and what goes with that. Pure.

Invariant: nothing goes up, a version that is not to be touched stays what it is, and one that cannot be rebuilt keeps
what it has or goes as a whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from metahuman_core.registry import Storage
from metahuman_core.versions.footprint import File, Files, parts_below, rank
from metahuman_core.versions.parts import Part


@dataclass(frozen=True, slots=True)
class Candidate:
    """What the planner has to know of a version.

    `made_at` is None where nobody knows. `protected` says why it is not touched ("" nowhere: it may be), `anchor` is
    the version whose `model/` it was trained on, `erase` why nothing of it may stay, protected or not (() for no such
    reason), `not_rebuildable` why it could not be had again, `archives` whether
    its adapter goes to the cold storage once it is archived.
    """

    version: int
    made_at: datetime | None
    storage: Storage
    rejected: bool = False
    protected: tuple[str, ...] = ()
    anchor: int | None = None
    erase: tuple[str, ...] = ()
    not_rebuildable: str = ""
    archives: bool = False
    files: Files = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Fate:
    """What a version is to be, and why. `erases`: its texts go too, and all that its run has left."""

    after: Storage
    reasons: tuple[str, ...]
    erases: bool = False


Fates = dict[int, Fate]


def untouched(c: Candidate) -> tuple[str, ...]:
    """Why a version stays what it is, whatever the rules say."""
    if c.protected:
        return c.protected
    return ("removed before",) if c.storage == "removed" else ()


def lowered(c: Candidate, to: Storage, reasons: tuple[str, ...]) -> Fate:
    """What `to` comes to: nothing goes up, and what cannot be rebuilt keeps what it has or goes as a whole."""
    if rank(to) >= rank(c.storage):
        return Fate(c.storage, reasons)
    if c.not_rebuildable and to != "removed":
        return Fate(c.storage, (f"cannot be rebuilt: {c.not_rebuildable}",))
    return Fate(to, reasons)


def needing(ordered: Sequence[Candidate], fates: Fates) -> dict[int, int]:
    """The versions whose `model/` is the base of one that is not removed, each with that one."""
    return {c.anchor: c.version for c in ordered if c.anchor is not None and fates[c.version].after != "removed"}


def held_files(c: Candidate, after: Storage) -> tuple[File, ...]:
    """The files that a version still has when that was done."""
    going = going_parts(c, after)
    return tuple(file for part, files in c.files.items() if part not in going for file in files)


def going_parts(c: Candidate, after: Storage) -> tuple[Part, ...]:
    """The parts that are deleted here: what the new state has not, and what of an archived one lies here still."""
    if after != c.storage:
        return parts_below(c.files, after, archives=c.archives)
    if after == "archived" and c.archives and not untouched(c) and c.files.get("adapter"):
        return ("adapter",)
    return ()
