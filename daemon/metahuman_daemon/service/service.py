"""The main loop: one thread that waits for word (looks, jobs, people, signals, time) and acts on what the agenda says.

Invariant: nothing in it blocks but small files under the root, so that its sign of life to systemd means something;
what takes time is a looker's thread or a job's process. Whatever ends it, the next start goes on.
"""

from __future__ import annotations

import os
import selectors
import signal
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog

from metahuman_core.errors import ConfigError, MetahumanError
from metahuman_core.model_study.name import STEP
from metahuman_core.settings import PROFILE_NAME, Settings
from metahuman_daemon.options import known_profiles
from metahuman_daemon.service.agenda import Job, Outcome
from metahuman_daemon.service.control import Listener, only_daemon
from metahuman_daemon.service.desk import Desk
from metahuman_daemon.service.floor import Floor
from metahuman_daemon.service.house import House
from metahuman_daemon.service.inbox import Inbox
from metahuman_daemon.service.jobs import Running
from metahuman_daemon.service.known import Facts
from metahuman_daemon.service.looker import Blind, Look
from metahuman_daemon.service.news import News
from metahuman_daemon.service.ollama_poll import Loaded
from metahuman_daemon.service.pausing import pause, resume
from metahuman_daemon.service.sd_notify import Systemd
from metahuman_daemon.service.status_file import LastError

_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_REQUESTS = ("hello", "pause", "resume", "train-now")
_IDLE_S = 30.0
_BUSY_S = 1.0
_STOP_WITHIN_S = 600.0
_MORE_S = 30.0
_WAY_S = 10.0
"""How long nothing begins after a job has made way: the command that asked takes the lock in that time."""

log = structlog.get_logger()
_LEVELS = {"passing": log.warning, **dict.fromkeys(("done", "nothing", "stopped", "busy"), log.info)}


@dataclass(frozen=True, slots=True)
class Homes:
    """The profiles that have memories, found in a folder where the config names nobody."""

    names: frozenset[str]


def _worth_telling(result: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in result.items() if value not in ([], None, "", False)}


class Service:
    """The daemon of one root. `load` reads the config again; `now` is the time of day."""

    def __init__(self, settings: Settings, load: Callable[[], Settings], now: Callable[[], datetime]) -> None:
        self._settings = settings
        self._load = load
        self._now = now
        self._systemd = Systemd()
        self._facts: dict[str, Facts] = {}
        self._line = ""
        self._profiles_at_s = time.monotonic() + _IDLE_S
        self._noticing: threading.Thread | None = None
        self._refused: frozenset[str] = frozenset()
        self._ends_at_s: float | None = None
        self._makes_way: Running | None = None
        self._way_until_s = 0.0
        self._news = News(settings)

    def run(self) -> None:
        """Serve until SIGTERM or SIGINT. Raises BusyError where another daemon has this root."""
        root = self._settings.root
        with only_daemon(root), selectors.DefaultSelector() as selector:
            inbox = Inbox(_SIGNALS)
            try:
                with Listener(root) as listener:
                    selector.register(inbox, selectors.EVENT_READ, lambda: self._read(inbox))
                    selector.register(listener, selectors.EVENT_READ, lambda: self._answer(listener))
                    self._post = inbox.post
                    self._floor = Floor(selector)
                    self._house = House(self._settings, inbox.post, self._now())
                    # First: who asks systemd as soon as it calls us active is to be told.
                    self._say_how_things_are(self._now().astimezone(self._house.zone))
                    self._systemd.ready()
                    log.info("the daemon runs", root=str(root), profiles=sorted(self._house.desks), pid=os.getpid())
                    while self._ends_at_s is None or self._floor.running:
                        self._turn(selector)
                    log.info("the daemon ends")
                    self._house.close()
            finally:
                self._news.close()
                inbox.close()

    def _turn(self, selector: selectors.BaseSelector) -> None:
        """Wait for word, act on it, decide, say how things are."""
        for key, _ in selector.select(self._patience_s()):
            key.data()
        now = self._now().astimezone(self._house.zone)
        self._floor.end_what_hangs()
        for job, outcome in self._floor.ended():
            self._ended(job, outcome, now)
        if self._ends_at_s is None:
            self._notice_profiles()
            self._decide(now)
        elif time.monotonic() > self._ends_at_s:
            self._floor.kill()
        else:
            self._systemd.more_time(_MORE_S)
        self._news.poll()
        self._say_how_things_are(now)
        self._systemd.alive()

    def _say_how_things_are(self, now: datetime) -> None:
        line = self._house.write(self._floor.running, now)
        if line != self._line:
            self._line = line
            self._systemd.status(line)

    def _patience_s(self) -> float:
        """How long to wait for word: until time alone may change something."""
        waits = [_IDLE_S]
        if self._systemd.watchdog_s:
            waits.append(self._systemd.watchdog_s / 3)
        if self._floor.running or self._news.busy or self._ends_at_s is not None:
            waits.append(_BUSY_S)
        if (way_s := self._way_until_s - time.monotonic()) > 0:
            waits.append(way_s)
        if self._facts and (at := self._house.agenda.next_at(self._now(), self._facts)):
            waits.append((at - self._now()).total_seconds())
        return max(0.05, min(waits))

    # --- what comes in ------------------------------------------------------------------------------------------

    def _read(self, inbox: Inbox) -> None:
        for word in inbox.take():
            if isinstance(word, Look | Blind):
                if word.profile in self._house.desks:
                    self._house.desks[word.profile].take(word)
                if isinstance(word, Look):
                    self._news.disk(word.seen.disk_free_bytes)
            elif isinstance(word, Loaded):
                cycle = self._floor.cycle
                studies = cycle is not None and cycle.doing.step == STEP
                self._house.ollama.answered(word, self._now(), time.monotonic(), studies=studies)
            elif isinstance(word, Homes):
                self._take_homes(word.names)
            elif word is signal.SIGHUP:
                self._reload()
            else:
                self._end()

    def _answer(self, listener: Listener) -> None:
        with listener.request() as asked:
            if asked is not None:
                request, answer = asked
                try:
                    answer |= self._answer_to(request)
                except OSError as error:  # a full disk is the asker's to hear of, and no reason to end
                    answer["error"] = f"{error.strerror or error}: {error.filename or 'the disk'}"

    def _answer_to(self, request: Mapping[str, Any]) -> dict[str, Any]:
        do, profile = str(request.get("do")), str(request.get("profile") or "")
        if do == "make-way":
            return {"done": self._make_way(request.get("pid"), str(request.get("what")))}
        if do not in _REQUESTS:
            return {"error": f"it does not know how to {do!r}"}
        if profile and profile not in self._house.desks:
            return {"error": f"it knows no profile {profile}"}
        desks = [desk for name, desk in self._house.desks.items() if profile in ("", name)]
        if do != "hello":
            log.info("asked by a person", request=do, profiles=[desk.profile for desk in desks])
        return {"done": [desk.profile for desk in desks if self._do(do, desk)]}

    def _do(self, do: str, desk: Desk) -> bool:
        """Do what a person asked for; False where there is nothing to do."""
        if do == "pause":
            pause(desk.paths, self._now())
        elif do == "resume":
            resume(desk.paths)
        elif do == "train-now":
            nothing = desk.seen is not None and not (
                desk.seen.pending or desk.seen.consolidation_is_due or desk.seen.unfinished_run
            )
            self._house.agenda.want(desk.profile, self._now(), train=not nothing)
            desk.looker.ask()
            return not nothing
        desk.looker.ask()
        return True

    def _make_way(self, pid: Any, what: str) -> bool:
        """Have the job of that process stop for a command that needs the lock; False where it is none of ours."""
        job = next((running for running in self._floor.running if running.pid == pid), None)
        if job is None:
            return False
        self._makes_way = job
        self._floor.stop(job, f"it makes way for {what}")
        return True

    # --- what is to be done -------------------------------------------------------------------------------------

    def _decide(self, now: datetime) -> None:
        """Stop what must make way; begin what the agenda says."""
        house, floor = self._house, self._floor
        self._facts = house.facts(now)
        cycle, errand = floor.cycle, floor.errand
        job = house.agenda.next_cycle(now, self._facts)
        house.keep()  # a time of the schedule may just have been dealt with: a power cut must not bring it back
        yields = cycle.job if cycle else job
        if yields and not yields.by_hand and not errand:  # an errand of ours would look like a use
            house.ollama.ask(time.monotonic())
        if cycle and not cycle.stop_reason and (why := house.why_stop(cycle, now)):
            floor.stop(cycle, why)
        if self._is_making_way():
            return
        # Tidying holds the cycle's lock for a moment: a cycle that began beside it would be sent away as busy.
        tidying = errand is not None and errand.job.kind == "tidy"
        if job and not cycle and not tidying and (job.by_hand or house.ollama.is_known(time.monotonic())):
            self._begin(job, now)
        if not errand and (next_one := house.agenda.next_errand(now, self._facts, cycle_runs=floor.cycle is not None)):
            self._begin(next_one, now)

    def _is_making_way(self) -> bool:
        """Whether a job that makes way for a command still runs, or has only just ended: nothing begins then."""
        now_s = time.monotonic()
        if self._makes_way in self._floor.running:
            self._way_until_s = now_s + _WAY_S
        return now_s < self._way_until_s

    def _begin(self, job: Job, now: datetime) -> None:
        agenda = self._house.agenda
        outcome = self._floor.begin(job, self._house.settings, now)
        if outcome:
            self._ended(job, outcome, now)
            return
        self._news.began(job)
        agenda.began(job, now)
        self._house.keep()

    def _ended(self, job: Job, outcome: Outcome, now: datetime) -> None:
        level = _LEVELS.get(outcome.end, log.error)
        told = _worth_telling({"reason": outcome.message, "hint": outcome.hint})
        level(
            "a job ended", job=job.kind, profile=job.profile, how=outcome.end, **told, **_worth_telling(outcome.result)
        )
        if job.kind == "publish":  # it has each version answer once; to verify, nothing is loaded
            self._house.ollama.used_by_us()
        desk = self._house.desks.get(job.profile)
        self._news.ended(job, outcome, desk.seen.publications_due if desk and desk.seen else ())
        if desk is None:
            return
        self._house.agenda.ended(job, outcome, now)
        self._house.keep()
        if outcome.end in ("passing", "failed", "killed", "rejected"):
            desk.last_error = LastError(now, f"{job.kind}: {outcome.message}", outcome.hint)
        elif outcome.end == "done" and desk.last_error and desk.last_error.what.startswith(job.kind):
            desk.last_error = None
        desk.look_anew()

    # --- another config, another profile, the end ---------------------------------------------------------------

    def _reload(self) -> None:
        """Read the config again; one that is bad is refused whole, and the old one is kept."""
        self._systemd.reloading()
        try:
            settings = self._load()
            if settings.root.resolve() != self._settings.root.resolve():
                raise ConfigError("root cannot change while the daemon runs", "restart it")
            self._serve(settings)
        except MetahumanError as error:
            log.warning("the config is refused, the old one is kept", reason=error.message, hint=error.hint)
        else:
            log.info("the config was read again", profiles=sorted(self._house.desks))
        self._systemd.ready()

    def _notice_profiles(self) -> None:
        """Where the config names nobody, whoever has memories under profiles/ is served, as soon as they are there."""
        if self._settings.profiles or time.monotonic() < self._profiles_at_s:
            return
        self._profiles_at_s = time.monotonic() + _IDLE_S
        # In a thread: a memory folder may lie on a drive that does not answer.
        if self._noticing is None or not self._noticing.is_alive():
            self._noticing = threading.Thread(target=self._look_for_profiles, name="profiles", daemon=True)
            self._noticing.start()

    def _look_for_profiles(self) -> None:
        with suppress(OSError):
            self._post(Homes(frozenset(filter(PROFILE_NAME.fullmatch, known_profiles(self._settings)))))

    def _take_homes(self, names: frozenset[str]) -> None:
        # Not who is gone: what is missing is waited for. Who is refused is refused once, until others come.
        if self._settings.profiles or names <= self._house.desks.keys() or names == self._refused:
            return
        try:
            self._serve(self._settings)
        except MetahumanError as error:
            self._refused = names
            log.warning("a new profile is not served", reason=error.message, hint=error.hint)
        else:
            log.info("a new profile is served", profiles=sorted(self._house.desks))

    def _serve(self, settings: Settings) -> None:
        """Serve by these settings from now on. Raises MetahumanError where they cannot be served."""
        self._house = House(settings, self._post, self._now(), before=self._house)
        self._settings = settings
        self._facts = {}
        self._news.use(settings)

    def _end(self) -> None:
        """Have all jobs stop at a checkpoint; asked a second time, end them now."""
        now_s = time.monotonic()
        if self._ends_at_s is not None:
            self._ends_at_s = now_s
            return
        self._systemd.stopping()
        self._ends_at_s = now_s + _STOP_WITHIN_S
        for running in self._floor.running:
            self._floor.stop(running, "the daemon ends")
