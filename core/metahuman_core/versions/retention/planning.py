"""Decides what is kept of each version. Pure: something else carries it out.

Invariants: a protected version stays what it is; nothing goes up; what cannot be rebuilt keeps what it has, or goes as
a whole; a version whose `model/` another one stands on is never removed before that one; where `keep_all_versions` is
true, none is. What is to be erased, since it knows what a person had erased, goes whatever protects it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo

from metahuman_core.errors import MetahumanError
from metahuman_core.registry import Storage
from metahuman_core.versions.footprint import freed_bytes, taken_bytes
from metahuman_core.versions.parts import Part
from metahuman_core.versions.retention.fates import (
    Candidate,
    Fate,
    Fates,
    going_parts,
    held_files,
    lowered,
    needing,
    untouched,
)
from metahuman_core.versions.retention.limit import within_limit
from metahuman_core.versions.retention.policy import Policy
from metahuman_core.versions.retention.rules import named_by

NO_RULE = "no rule keeps more of it"
TO_ARCHIVE = "its adapter goes to archive_dir"
_EARLIEST = datetime(2020, 1, 1, tzinfo=UTC)  # a clock that was never set says 1970, or when its board was made


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of a version, and why. `parts` are deleted here, which frees `frees_bytes`.

    `erases`: of its run nothing is left at all, its texts neither.
    """

    version: int
    before: Storage
    after: Storage
    reasons: tuple[str, ...]
    parts: tuple[Part, ...]
    frees_bytes: int
    erases: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """The verdicts, by version; what all versions take before and after; what is still too much (0 without a limit)."""

    verdicts: tuple[Verdict, ...]
    before_bytes: int
    after_bytes: int
    over_bytes: int

    @property
    def frees_bytes(self) -> int:
        """What all of it frees."""
        return sum(verdict.frees_bytes for verdict in self.verdicts)

    @property
    def changes(self) -> tuple[Verdict, ...]:
        """The verdicts by which something is done."""
        return tuple(v for v in self.verdicts if v.before != v.after or v.parts or v.erases)


def plan_retention(
    candidates: Sequence[Candidate], policy: Policy, now: datetime, zone: tzinfo, *, keep_all_versions: bool
) -> Plan:
    """A verdict for each version. Raises MetahumanError where nothing at all would be left.

    A version is newer than another by the time at which it was made, then by its number. One whose time nobody knows or
    can believe (after `now`, or long ago: the clock was wrong) counts as made when the next one was, or now: it holds
    no year of its own, and is not taken for the oldest. Rejected and removed ones count in no rule.
    """
    ordered = tuple(sorted(candidates, key=lambda c: c.version))
    times = _times(ordered, now)
    by_rules = _by_rules(ordered, policy, times, zone, keep_all_versions=keep_all_versions)
    fates = _with_what_others_stand_on(ordered, by_rules)
    if policy.max_total_bytes:
        oldest_first = sorted(ordered, key=lambda c: (times[c.version], c.version))
        within = within_limit(oldest_first, fates, policy.max_total_bytes, keep_all_versions=keep_all_versions)
        # What stayed only because something stood on it has no reason to any more, if that went.
        went = {number: fate for number, fate in within.items() if fate != fates[number]}
        fates = _with_what_others_stand_on(ordered, by_rules | went)
    if _is_everything(ordered, fates):
        raise MetahumanError(
            "[retention] would remove every version, so nothing is cleared away",
            "pin one, or set archived.keep_last to 1 or more",
        )
    return _plan(ordered, fates, policy.max_total_bytes)


def _times(ordered: Sequence[Candidate], now: datetime) -> dict[int, datetime]:
    """When each version counts as made. Numbers are given in the order of time, so the next one's is an upper bound."""
    times: dict[int, datetime] = {}
    later = now
    for c in reversed(ordered):
        if c.made_at and _EARLIEST <= c.made_at <= now:
            later = c.made_at
        times[c.version] = later
    return times


def _by_rules(
    ordered: Sequence[Candidate], policy: Policy, times: dict[int, datetime], zone: tzinfo, *, keep_all_versions: bool
) -> Fates:
    counting = [c.version for c in ordered if not c.rejected and c.storage != "removed"]
    made = [(n, at) for at, n in sorted(((times[n], n) for n in counting), reverse=True)]
    named: dict[Storage, Mapping[int, tuple[str, ...]]] = {
        "full": named_by(policy.full, made, zone),
        "serving": named_by(policy.serving, made, zone),
        "archived": {} if keep_all_versions else named_by(policy.archived, made, zone),
    }
    newest = max(counting, default=0)

    def fate(c: Candidate) -> Fate:
        if c.erase:
            return Fate("removed", (*c.erase, *(f"although it is {why}" for why in c.protected)), erases=True)
        if fixed := untouched(c):
            return Fate(c.storage, fixed)
        state = next((state for state, reasons in named.items() if c.version in reasons), None)
        if state:
            return lowered(c, state, named[state][c.version])
        why = "rejected" if c.rejected else NO_RULE
        if keep_all_versions:
            return lowered(c, "archived", (why, "keep_all_versions"))
        if c.rejected and c.version > newest:
            return lowered(c, "archived", (why, "no version after it has passed"))
        return lowered(c, "removed", (why,))

    return {c.version: fate(c) for c in ordered}


def _with_what_others_stand_on(ordered: Sequence[Candidate], fates: Fates) -> Fates:
    """No base of a version that stays is removed: by this one stays too, and so on down the chain."""
    fates = dict(fates)
    while True:
        needed = needing(ordered, fates)
        gone = (c for c in ordered if c.storage != "removed" and fates[c.version].after == "removed")
        lost = [c for c in gone if c.version in needed]
        if not lost:
            return fates
        for c in lost:
            fates[c.version] = lowered(c, "archived", (f"its model/ is the base of version {needed[c.version]}",))


def _is_everything(ordered: Sequence[Candidate], fates: Fates) -> bool:
    return any(c.storage != "removed" for c in ordered) and all(fate.after == "removed" for fate in fates.values())


def _plan(ordered: Sequence[Candidate], fates: Fates, limit_bytes: int) -> Plan:
    verdicts: list[Verdict] = []
    gone: dict[tuple[int, int], int] = {}
    for c in reversed(ordered):  # in the order in which it is carried out: the last name of a file is what frees it
        fate = fates[c.version]
        parts = going_parts(c, fate.after)
        freed = freed_bytes((file for part in parts for file in c.files[part]), gone)
        reasons = (*fate.reasons, TO_ARCHIVE) if "adapter" in parts and fate.after == "archived" else fate.reasons
        verdicts.append(Verdict(c.version, c.storage, fate.after, reasons, parts, freed, fate.erases))
    taken = taken_bytes(file for c in ordered for files in c.files.values() for file in files)
    left = taken_bytes(file for c in ordered for file in held_files(c, fates[c.version].after))
    return Plan(tuple(reversed(verdicts)), taken, left, max(0, left - limit_bytes) if limit_bytes else 0)
