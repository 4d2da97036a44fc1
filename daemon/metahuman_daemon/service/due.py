"""Decides whether a cycle is due. Pure: what is known and the time go in, yes or no with the reason come out.

Invariant: every answer says why, and every "no" that time alone can change says when to ask again; a "no" without a
time waits for memories, or for a person.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from metahuman_core.schedule import Hours, Schedule

_GIB = 1 << 30
_LOOK_AGAIN = timedelta(minutes=1)
_DISK_AGAIN = timedelta(minutes=10)
_NEVER_HAPPENED = timedelta(hours=1)
_A_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Policy:
    """When cycles may run. `schedule` None: only the threshold counts. `max_load` 0: the load is not looked at."""

    threshold: int
    min_new: int
    schedule: Schedule | None
    hours: Hours
    max_load: float
    yield_to_ollama: bool


@dataclass(frozen=True, slots=True)
class Situation:
    """What is known of one profile.

    `consolidation`: why all is to be trained anew although nothing may be new ("" for no such reason).
    `pending`: memories that a cycle would train and that no live version has trained. `unfinished`: the label of a run
    that was begun ("" for none). `wanted`: a person asked for a cycle now. `held_up`: why nothing may run ("" where
    nothing stands against it: paused, a folder that is missing). `schedule_until`: the schedule is dealt with up to
    then. `cool_until` and `cool_reason`: no new attempt before then, and why. `load`: the machine's, for each core.
    """

    pending: int
    unfinished: str
    wanted: bool
    held_up: str
    schedule_until: datetime
    cool_until: datetime | None
    cool_reason: str
    disk_free_bytes: int
    disk_needed_bytes: int
    load: float
    ollama_in_use: bool
    consolidation: str = ""


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether a cycle is due, why (or what is waited for), and when to ask again where time alone may change it.

    `schedule_until`: up to when the schedule is dealt with by this decision.
    """

    due: bool
    why: str
    next_at: datetime | None
    schedule_until: datetime


def decide(policy: Policy, now: datetime, known: Situation) -> Decision:
    """Decide for one profile at `now`, a local time in the zone that hours and schedule are meant in.

    What is reckoned and compared here is so in UTC: Python compares two times of one zone by what the wall shows, and
    once a year that goes back.
    """
    overdue, schedule_until, next_slot = _by_schedule(policy, now, known)
    if known.held_up:
        return Decision(due=False, why=known.held_up, next_at=None, schedule_until=known.schedule_until)
    cause = _cause(policy, known, overdue=overdue)
    if not cause:
        return Decision(False, _waits_for(policy, known.pending, next_slot), next_slot, schedule_until)
    obstacle, next_at = next(_obstacles(policy, now, known), ("", None))
    why = f"{cause}; waits {obstacle}" if obstacle else cause
    return Decision(not obstacle, why, next_at, schedule_until)


def must_stop(policy: Policy, now: datetime, *, by_hand: bool, paused: str, ollama_in_use: bool) -> str:
    """Why a cycle that runs has to make a checkpoint and stop now ("" where it may go on)."""
    if paused:
        return paused
    if by_hand:
        return ""
    if not policy.hours.hold(now):
        return "its hours are over"
    return "Ollama is used" if policy.yield_to_ollama and ollama_in_use else ""


def told(moment: datetime, now: datetime) -> str:
    """A moment as people say it: the time alone if it is of today, with day and date otherwise."""
    local = moment.astimezone(now.tzinfo)
    return f"{local:%H:%M}" if local.date() == now.date() else f"{local:%a %Y-%m-%d %H:%M}"


def _obstacles(policy: Policy, now: datetime, known: Situation) -> Iterator[tuple[str, datetime]]:
    """What stands against a cycle with a cause, and when to look again. A person's wish is above all but the disk."""
    moment = now.astimezone(UTC)
    if known.disk_free_bytes < known.disk_needed_bytes:
        need, free = known.disk_needed_bytes / _GIB, known.disk_free_bytes / _GIB
        yield f"for disk: needs {need:.1f} GiB, {free:.1f} GiB are free", moment + _DISK_AGAIN
    if known.wanted:
        return
    if known.cool_until and moment < known.cool_until:
        yield f"until {told(known.cool_until, now)}: {known.cool_reason}", known.cool_until
    if not policy.hours.hold(now):
        opens = policy.hours.opens(now)
        yield f"for its hours, until {told(opens, now)}", opens
    if policy.yield_to_ollama and known.ollama_in_use:
        yield "while Ollama is used", moment + _LOOK_AGAIN
    if policy.max_load and known.load > policy.max_load:
        yield f"while the machine is busy (load {known.load:.1f} for each core)", moment + _LOOK_AGAIN


def _by_schedule(policy: Policy, now: datetime, known: Situation) -> tuple[bool, datetime, datetime | None]:
    """Whether a time of the schedule has come and is not dealt with, up to when it is, and its next time.

    A time that came with too few memories is dealt with: it was looked, and it was too early.
    """
    until, moment = known.schedule_until, now.astimezone(UTC)
    if until > moment + _NEVER_HAPPENED:
        until = moment  # the clock was wrong then, or is now: a time to come is dealt with by nobody
    if policy.schedule is None:
        # One that is set some day begins then. By the day is enough: what is kept is on a disk.
        return False, moment if moment - until > _A_DAY else until, None
    slot = policy.schedule.after(until)
    came = slot is not None and slot.astimezone(UTC) <= moment
    overdue = came and known.pending >= policy.min_new
    # A schedule of every minute, after a year without power: one time is made up for, not half a million.
    next_slot = policy.schedule.after(now) if came else slot
    return overdue, until if overdue or not came else moment, next_slot


def _cause(policy: Policy, known: Situation, *, overdue: bool) -> str:
    """What makes a cycle due ("" for nothing)."""
    if known.unfinished:
        return f"run {known.unfinished} is unfinished"
    if known.consolidation:
        return f"a consolidation is due: {known.consolidation}"
    if known.wanted and known.pending:
        return f"asked for, with {known.pending} new memories"
    if known.pending >= policy.threshold:
        return f"{known.pending} new memories, the threshold is {policy.threshold}"
    return f"{known.pending} new memories, and the schedule's time has come" if overdue else ""


def _waits_for(policy: Policy, pending: int, next_slot: datetime | None) -> str:
    some = f"{pending} new {'memory' if pending == 1 else 'memories'}"
    if next_slot is None:
        return f"waits for memories: {some}, the threshold is {policy.threshold}"
    when = "in its hours" if policy.hours.spans else "at any time"
    slot = f"{next_slot:%a %Y-%m-%d %H:%M}"
    if pending >= policy.min_new:
        return f"waits for {slot}, or for memories: {some}, the threshold is {policy.threshold}"
    return f"waits for memories: {some}; {policy.min_new} are enough on {slot}, {policy.threshold} {when}"
