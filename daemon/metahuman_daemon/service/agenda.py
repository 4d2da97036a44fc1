"""What the daemon does next: one cycle at a time over all profiles, and one errand (publish, verify, tidy) beside it.

Invariant: it knows no clock, no process and no file: it is told what is known, what began and how it ended, and says
what is to be done. All that must outlast a restart is in `Kept`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from metahuman_core.layout import label_time
from metahuman_daemon.service.due import Decision, Policy, Situation, decide
from metahuman_daemon.service.known import Facts, Kept

Recovery = Literal["go on", "replace", "throw away"]
"""What becomes of an unfinished run: it goes on, or begins anew if the config has changed, or is thrown away."""
Kind = Literal["cycle", "publish", "verify", "tidy"]
End = Literal["done", "nothing", "rejected", "stopped", "busy", "passing", "failed", "killed"]

_PASSING_FIRST = timedelta(minutes=5)
_PASSING_MOST = timedelta(hours=6)
_COOL_MOST = timedelta(days=7)
_PUBLISH_FIRST = timedelta(minutes=1)
_PUBLISH_MOST = timedelta(hours=1)
_REFUSED_FIRST = timedelta(hours=1)
_REFUSED_MOST = timedelta(days=1)
_GIVEN_UP = 3
_BUSY_AGAIN = timedelta(minutes=1)
_WISH_HOLDS = timedelta(minutes=10)
_BOOT_AGAIN = timedelta(seconds=10)


@dataclass(frozen=True, slots=True)
class Job:
    """Something to be done for a profile, in a process of its own. `why` is for people."""

    kind: Kind
    profile: str
    why: str
    by_hand: bool = False
    recovery: Recovery = "go on"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a job ended.

    `passing` is what may pass by itself (a network, a server, a full disk), `failed` what will not, `killed` a process
    that somebody ended (the kernel, for want of memory), `busy` that another command holds the lock.
    """

    end: End
    message: str = ""
    hint: str = ""
    result: Mapping[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class _Errands:
    """What begins anew with each start."""

    wanted_at: datetime | None = None
    verified: bool = False
    tidy_after: bool = True
    tidy_from: datetime | None = None
    publish_after: datetime | None = None
    publish_tries: int = 0


class Agenda:
    """The plans for some profiles. `kept` is from the last time; a profile that is new has its schedule before it."""

    def __init__(
        self, policies: Mapping[str, Policy], cool_down: timedelta, kept: Mapping[str, Kept], now: datetime
    ) -> None:
        self._policies = policies
        self._cool_down = cool_down
        self._cool_most = max(cool_down, _COOL_MOST)
        self.kept = {name: kept.get(name) or Kept(schedule_until=now) for name in policies}
        self._errands = {name: _Errands() for name in policies}
        self.decisions: dict[str, Decision] = {}

    def want(self, profile: str, now: datetime, *, train: bool = True) -> None:
        """A person asked for a cycle now; that holds until one has ended, or it turns out that there is none to do.

        What waits for Ollama is tried as well, and alone where there is nothing to `train`.
        """
        errands = self._errands[profile]
        errands.publish_after = None
        if train:
            errands.wanted_at = now.astimezone(UTC)

    def wanted(self) -> frozenset[str]:
        """The profiles for which a person asked, and none has ended since."""
        return frozenset(name for name, errands in self._errands.items() if errands.wanted_at)

    def next_cycle(self, now: datetime, facts: Mapping[str, Facts]) -> Job | None:
        """The cycle that is to run now: of those due, that of the profile whose last one began the longest ago."""
        due = []
        for name, known in facts.items():
            self._mend_clocks(name, now.astimezone(UTC))
            self._forget_an_idle_wish(name, known, now.astimezone(UTC))
            decision = decide(self._policies[name], now, self._situation(name, known))
            self.kept[name].schedule_until = decision.schedule_until
            self.decisions[name] = decision
            if decision.due:
                due.append(name)
        if not due:
            return None
        chosen = min(due, key=lambda name: (self.kept[name].last_cycle_at is not None, self.kept[name].last_cycle_at))
        return Job(
            "cycle",
            chosen,
            self.decisions[chosen].why,
            by_hand=self._errands[chosen].wanted_at is not None,
            recovery=self._recovery(chosen),
        )

    def next_errand(self, now: datetime, facts: Mapping[str, Facts], *, cycle_runs: bool) -> Job | None:
        """The errand that is to be run now. Tidying waits until no cycle runs: it needs the cycle's lock."""
        for name, known in facts.items():
            if known.held_up:
                continue
            errands = self._errands[name]
            may_ask = known.publishes and (errands.publish_after is None or now >= errands.publish_after)
            if may_ask and not errands.verified:
                return Job("verify", name, "the daemon has started")
            if may_ask and known.publications_due:
                return Job("publish", name, "a version waits for Ollama")
            if not cycle_runs and self._tidy_is_due(name, now):
                return Job("tidy", name, "after a cycle, and once a day")
        return None

    def next_at(self, now: datetime, facts: Mapping[str, Facts]) -> datetime | None:
        """When time alone may bring something to do."""
        now = now.astimezone(UTC)
        times = [d.next_at.astimezone(UTC) for d in self.decisions.values() if d.next_at]
        for name, known in facts.items():
            after = self._errands[name].publish_after
            if after and known.publishes and (known.publications_due or not self._errands[name].verified):
                times.append(after)
            if tidy_from := self._errands[name].tidy_from:
                times.append(tidy_from)
        return min((t for t in times if t > now), default=None)

    def began(self, job: Job, now: datetime) -> None:
        """Take note of a job that has begun: it has had its turn, should it never come to an end."""
        if job.kind != "cycle":
            return
        kept = self.kept[job.profile]
        kept.last_cycle_at = now.astimezone(UTC)
        if job.recovery == "throw away":
            kept.failed = 0  # what begins now is a new run: stopped for the day, it goes on the next

    def ended(self, job: Job, outcome: Outcome, now: datetime) -> None:
        """Take note of how a job ended."""
        now = now.astimezone(UTC)  # a sum of local times is an hour off where the clock is changed in between
        if job.kind == "cycle":
            self._cycle_ended(job, outcome, now)
        elif job.kind == "tidy":
            self._tidy_ended(job, outcome, now)
        else:
            self._errand_ended(job, outcome, now)

    def _cycle_ended(self, job: Job, outcome: Outcome, now: datetime) -> None:
        kept, errands = self.kept[job.profile], self._errands[job.profile]
        if outcome.end == "busy":
            kept.cool_until, kept.cool_reason = now + _BUSY_AGAIN, "another command is running"
            return
        if outcome.end == "stopped":
            kept.cool_until, kept.cool_reason = now + _BOOT_AGAIN, "it has just made way"
            return  # wanted by a person, it still is
        errands.wanted_at = None
        if outcome.end in ("done", "nothing"):
            kept.attempts, kept.failed, kept.cool_until, kept.cool_reason = 0, 0, None, ""
            if outcome.end == "nothing":
                kept.cool_until, kept.cool_reason = now + _BUSY_AGAIN, "there was nothing to train"
            # What came while it ran is not dealt with: its memories were chosen when it was begun.
            kept.schedule_until = max(_begun_at(outcome, now), kept.schedule_until)
            errands.tidy_after = outcome.end == "done"
            errands.publish_after, errands.publish_tries = None, 0
            return
        errands.tidy_after = errands.tidy_after or outcome.end == "rejected"
        passing = outcome.end == "passing"
        if not passing:
            kept.failed = kept.failed + 1 if outcome.end == "failed" else 0
        # A network that was away for days says nothing of the recipe, nor the other way round.
        kept.attempts = kept.attempts + 1 if passing == kept.attempts_passing else 1
        kept.attempts_passing = passing
        first, most = (_PASSING_FIRST, _PASSING_MOST) if passing else (self._cool_down, self._cool_most)
        kept.cool_until = now + _doubled(first, kept.attempts, most)
        how = "the last one was rejected" if outcome.end == "rejected" else "the last attempt failed"
        kept.cool_reason = f"{how}: {outcome.message}"

    def _errand_ended(self, job: Job, outcome: Outcome, now: datetime) -> None:
        errands = self._errands[job.profile]
        if outcome.end in ("done", "nothing"):
            errands.publish_after, errands.publish_tries = None, 0
            errands.verified = True
            return
        errands.publish_tries += 1
        passing = outcome.end in ("passing", "busy", "stopped")
        # What the server answers otherwise than it should is not to be repaired by asking for it every day.
        errands.verified = errands.verified or not passing
        first, most = (_PUBLISH_FIRST, _PUBLISH_MOST) if passing else (_REFUSED_FIRST, _REFUSED_MOST)
        errands.publish_after = now + _doubled(first, errands.publish_tries, most)

    def _tidy_ended(self, job: Job, outcome: Outcome, now: datetime) -> None:
        """One that fails is tried the next day or after the next version, and holds up no training."""
        errands = self._errands[job.profile]
        if outcome.end in ("busy", "stopped"):
            errands.tidy_from = now + _BUSY_AGAIN
            return
        errands.tidy_after, errands.tidy_from = False, None
        self.kept[job.profile].tidied_at = now

    def _tidy_is_due(self, name: str, now: datetime) -> bool:
        last, errands = self.kept[name].tidied_at, self._errands[name]
        if errands.tidy_from and now < errands.tidy_from:
            return False
        new_day = last is None or last.astimezone(now.tzinfo).date() < now.date()
        return errands.tidy_after or (new_day and self._policies[name].hours.hold(now))

    def _recovery(self, name: str) -> Recovery:
        """What fails again and again with the same run would do so for ever; its memories stay due."""
        kept = self.kept[name]
        if kept.failed >= _GIVEN_UP:
            return "throw away"
        return "replace" if kept.attempts and not kept.attempts_passing else "go on"

    def _forget_an_idle_wish(self, name: str, known: Facts, now: datetime) -> None:
        """Nothing was new when it was asked for: the first memory of next week is not what was meant."""
        errands = self._errands[name]
        idle = not (known.pending or known.consolidation or known.unfinished or known.held_up)
        if errands.wanted_at and idle and abs(now - errands.wanted_at) > _WISH_HOLDS:
            errands.wanted_at = None

    def _mend_clocks(self, name: str, now: datetime) -> None:
        """What is said to lie further ahead than it can was written while the clock was wrong."""
        kept, errands = self.kept[name], self._errands[name]
        if kept.cool_until and kept.cool_until - now > self._cool_most:
            kept.cool_until = now + self._cool_down
        if kept.last_cycle_at and kept.last_cycle_at > now:
            kept.last_cycle_at = now
        if kept.tidied_at and kept.tidied_at > now:
            kept.tidied_at = now
        if errands.tidy_from and errands.tidy_from - now > _BUSY_AGAIN:
            errands.tidy_from = now
        if errands.publish_after and errands.publish_after - now > _REFUSED_MOST:
            errands.publish_after = now

    def _situation(self, name: str, known: Facts) -> Situation:
        kept = self.kept[name]
        return Situation(
            pending=known.pending,
            unfinished=known.unfinished,
            wanted=self._errands[name].wanted_at is not None,
            held_up=known.held_up,
            schedule_until=kept.schedule_until,
            cool_until=kept.cool_until,
            cool_reason=kept.cool_reason,
            disk_free_bytes=known.disk_free_bytes,
            disk_needed_bytes=known.disk_needed_bytes,
            load=known.load,
            ollama_in_use=known.ollama_in_use,
            consolidation=known.consolidation,
        )


def _begun_at(outcome: Outcome, now: datetime) -> datetime:
    """When the run of a cycle was begun, by its label (in an earlier life, perhaps)."""
    at = label_time(str(outcome.result.get("run")))
    return min(at, now) if at else now


def _doubled(first: timedelta, attempts: int, most: timedelta) -> timedelta:
    """The pause after so many attempts in a row, doubling from the first."""
    return min(most, first * (1 << min(attempts - 1, 20)))
