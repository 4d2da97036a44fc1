"""All that the main loop knows of one profile: the last look, whether it is paused, what went wrong last."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import structlog

from metahuman_core.layout import ProfilePaths
from metahuman_core.settings import Settings
from metahuman_daemon.service.agenda import Kind
from metahuman_daemon.service.due import Decision
from metahuman_daemon.service.jobs import Running
from metahuman_daemon.service.kept_file import write_kept
from metahuman_daemon.service.known import Facts, Kept
from metahuman_daemon.service.looker import Blind, Look, Looker
from metahuman_daemon.service.pausing import paused_since
from metahuman_daemon.service.seeing import Seen
from metahuman_daemon.service.status_file import (
    DaemonStatus,
    JobStatus,
    LastError,
    ProfileStatus,
    State,
    write_status,
)

_STATES: dict[Kind, State] = {
    "cycle": "training", "publish": "publishing", "verify": "verifying", "tidy": "tidying",
}  # fmt: skip
_DISK_AGAIN_S = 60.0
_SAY_EVERY_S = 60.0
_LONG_LOOK = timedelta(minutes=5)

log = structlog.get_logger()


class Desk:
    """One profile's. `post` is the main loop's inbox, for the thread that looks."""

    def __init__(self, settings: Settings, profile: str, post: Callable[[Look | Blind], None]) -> None:
        self.profile = profile
        self.paths = ProfilePaths(settings.root, profile)
        self.seen: Seen | None = None
        self.fault = ""
        self.last_error: LastError | None = None
        self._written: ProfileStatus | None = None
        self._kept: Kept | None = None
        self._keep_at_s = 0.0
        self._outdated_before = 0
        self._seen_asked = 0
        self._write_fault = ""
        self._said: tuple[str, str] = ("", "")
        self._say_at_s = 0.0
        self.looker = Looker(settings, profile, post)

    def take(self, word: Look | Blind) -> None:
        """Take note of a look."""
        fault = word.fault if isinstance(word, Blind) else ""
        if fault and fault != self.fault:
            log.error("a look failed", profile=self.profile, reason=fault)
        self.fault = fault
        if isinstance(word, Look):
            self.seen = word.seen
            self._seen_asked = word.asked

    def keep(self, kept: Kept, now_s: float) -> None:
        """Keep what outlasts a restart, where it has changed; a disk that does not take it is asked again later."""
        if kept != self._kept and now_s >= self._keep_at_s:
            if write_kept(self.paths, kept):
                self._kept = replace(kept)
            else:
                self._keep_at_s = now_s + _DISK_AGAIN_S

    def look_anew(self) -> None:
        """A job has changed what is known: nothing is decided by it until it was looked again."""
        self._outdated_before = self.looker.ask()

    def paused(self) -> str:
        """Since when a person has paused it ("" where nobody has)."""
        since = paused_since(self.paths)
        return f"paused since {_short(since)}; go on with `metahuman resume`" if since else ""

    def held_up(self) -> str:
        """Why nothing may begin ("" where nothing stands against it)."""
        if paused := self.paused():
            return paused
        if self.fault:
            return self.fault
        return "; ".join(self.seen.missing) if self.seen else "the first look is not done yet"

    def facts(self, *, load: float, ollama_in_use: bool) -> Facts | None:
        """For the agenda; None before the first look, and where what was seen is from before a job's end."""
        seen = self.seen
        if seen is None or self._seen_asked < self._outdated_before:
            return None
        return Facts(
            pending=seen.pending,
            unfinished=seen.unfinished_run,
            held_up=self.held_up(),
            disk_free_bytes=seen.disk_free_bytes,
            disk_needed_bytes=seen.disk_needed_bytes,
            publications_due=bool(seen.publications_due),
            publishes=seen.publishes,
            load=load,
            ollama_in_use=ollama_in_use,
            consolidation=seen.consolidation if seen.consolidation_is_due else "",
        )

    def watching(self) -> str:
        """How changes are noticed, in words."""
        since = self.looker.looking_since
        if since and datetime.now(UTC) - since > _LONG_LOOK:
            return f"a look goes on since {since.astimezone():%a %H:%M}: is a network drive away?"
        watch = self.looker.watch
        if watch.fault:
            return f"{watch.fault}; looked at from time to time"
        if watch.polled:
            return f"looked at from time to time (a network file system): {', '.join(map(str, watch.polled))}"
        return "the system tells of changes"

    def write(
        self, decision: Decision | None, running: Running | None, busy_with: str, now: datetime, now_s: float
    ) -> str:
        """Write the status where it has changed. Gives it in one line."""
        state, why = self._state(decision, running, busy_with)
        if not running:
            self._say(state, why, now_s)
        job = _job_status(running, now_s) if running else None
        daemon = DaemonStatus(
            pid=os.getpid(),
            at=now,
            state=state,
            why=why,
            next_at=decision.next_at if decision and not running else None,
            job=job,
            watching=self.watching(),
            last_error=self.last_error,
        )
        if self.seen:
            status = ProfileStatus(self.seen, daemon)
            if self._written is None or _without_time(status) != _without_time(self._written):
                self._try_to_write(status)
        return f"{self.profile}: {_in_one_line(state, why, job)}"

    def _say(self, state: State, why: str, now_s: float) -> None:
        """Say in the log what is waited for, where that has changed, and not for each of many files that come."""
        soon = state == self._said[0] and now_s < self._say_at_s
        if (state, why) == self._said or soon or state == "starting":
            return
        self._said, self._say_at_s = (state, why), now_s + _SAY_EVERY_S
        level = log.warning if state in ("paused", "faulty") else log.info
        level(state, profile=self.profile, why=why)

    def _try_to_write(self, status: ProfileStatus) -> None:
        """Where the disk is full, or the profile's folder gone, the daemon goes on: the file is for people."""
        fault = ""
        try:
            write_status(self.paths, status)
            self._written = status
        except OSError as error:
            fault = str(error)
        if fault and fault != self._write_fault:
            log.error("the status cannot be written", profile=self.profile, reason=fault)
        self._write_fault = fault

    def _state(self, decision: Decision | None, running: Running | None, busy_with: str) -> tuple[State, str]:
        if running:
            if running.stop_reason:
                return "stopping", f"makes a checkpoint: {running.stop_reason}"
            return _STATES[running.job.kind], running.job.why
        return self._at_rest(decision, busy_with)

    def _at_rest(self, decision: Decision | None, busy_with: str) -> tuple[State, str]:
        if paused_since(self.paths) or (self.seen and self.seen.missing):
            return "paused", self.held_up()
        if self.fault:
            return "faulty", self.fault
        if decision is None:
            return "starting", "the first look is not done yet"
        if decision.due and busy_with:
            return "waiting", f"{decision.why}; waits for its turn after {busy_with}"
        return "waiting", decision.why


def _short(moment: str) -> str:
    """A moment as it was written down, in local time as people write it."""
    try:
        return f"{datetime.fromisoformat(moment).astimezone():%Y-%m-%d %H:%M}"
    except ValueError:
        return moment


def _job_status(running: Running, now_s: float) -> JobStatus:
    doing = running.doing
    eta_s = doing.eta_s(now_s)
    return JobStatus(
        kind=running.job.kind,
        why=running.job.why,
        run=running.run,
        began_at=running.began_at,
        step=doing.step,
        done=doing.done,
        total=doing.total,
        unit=doing.unit,
        loss=doing.loss,
        note=doing.note,
        eta_s=None if eta_s is None else round(eta_s),
        stop_reason=running.stop_reason,
    )


def _without_time(status: ProfileStatus) -> tuple[object, ...]:
    """What of a status is news; the moments at which it was looked and written are not."""
    seen, daemon = status.seen, status.daemon
    known = tuple(getattr(seen, name) for name in seen.__slots__ if name not in ("at", "disk_free_bytes"))
    assert daemon is not None  # noqa: S101  # we made it
    return (*known, *(getattr(daemon, name) for name in daemon.__slots__ if name not in ("at", "next_at")))


def _in_one_line(state: State, why: str, job: JobStatus | None) -> str:
    if job is None or not job.step:
        return f"{state}, {why}" if why else state
    share = f" {job.done / job.total:.0%}" if job.total else ""
    left = f", {job.eta_s / 60:.0f} min left" if job.eta_s else ""
    return f"{state}, {job.step}{share}{left}"
