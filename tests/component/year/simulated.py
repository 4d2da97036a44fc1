"""A house whose time jumps from event to event: real files, ledger, registry, runs and agenda; trainings are made up.

It mirrors the main loop (`service.Service`), and holds it to account while it goes: it keeps its own book of what is
owed to whom, and never asks the agenda for it.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from metahuman_core.dataset.build import Dataset
from metahuman_core.durable import sha256_file
from metahuman_core.gate.attempts import Learned
from metahuman_core.gate.judging import Verdict
from metahuman_core.gate.measures import Evaluation, Measure
from metahuman_core.journal import Journal
from metahuman_core.layout import ProfilePaths
from metahuman_core.ledger import Ledger
from metahuman_core.looking import look
from metahuman_core.plan import read_plan
from metahuman_core.prepare import begin_run, choose, pinned_plan
from metahuman_core.publishing import due_publications
from metahuman_core.registering import Made, register
from metahuman_core.registry import Registry, load_registry, update_registry
from metahuman_core.results import Adapter, Checked, Gguf, Merged
from metahuman_core.schedule import Hours, Schedule
from metahuman_core.settings import Settings
from metahuman_core.unfinished import sweep, unfinished_run
from metahuman_core.wish import Wish
from metahuman_daemon.service.agenda import Agenda, End, Job, Outcome
from metahuman_daemon.service.due import Policy, must_stop
from metahuman_daemon.service.kept_file import read_kept, write_kept
from metahuman_daemon.service.known import Facts, Kept
from metahuman_daemon.service.seeing import Eyes, Seen

BERLIN = ZoneInfo("Europe/Berlin")
SECOND, MINUTE, HOUR, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
COOL_DOWN = 6 * HOUR
CHECKPOINT_EVERY = 10 * MINUTE
PASSED = Verdict(passed=True, reasons=())
WORSE = Verdict(passed=False, reasons=("general ability is damaged",))
_NOTHING = Measure(0)

Span = tuple[datetime, datetime]


@dataclass(frozen=True, slots=True)
class Arrival:
    """So many memories that appear at once."""

    at: datetime
    profile: str
    count: int


@dataclass(frozen=True, slots=True)
class Fortune:
    """All that befalls the house, by times. `fates`: how the attempts of cycles end, one after another."""

    start: datetime
    end: datetime
    arrivals: Sequence[Arrival]
    no_power: Sequence[Span]
    ollama_down: Sequence[Span]
    ollama_used: Sequence[Span]
    disk_full: Sequence[Span]
    paused: Sequence[Span]
    fates: Iterator[str]


@dataclass(slots=True)
class Running:
    """A cycle or an errand that runs. `how` it will end, if nothing befalls it before `ends`."""

    job: Job
    began: datetime
    ends: datetime
    how: str
    label: str = ""
    asked_to_stop: str = ""


@dataclass(frozen=True, slots=True)
class Past:
    """A job that ended."""

    job: Job
    began: datetime
    ended: datetime
    how: str
    label: str
    fresh: bool


@dataclass(slots=True)
class Owed:
    """By our own book: the last time of the schedule that waits for a run that is begun behind it.

    `since`: there was enough that no run had, so that one must come. `may`: there was enough with what an unfinished
    run had, so that one may come where that run is rejected, or more has come by its end.
    """

    since: datetime | None = None
    may: datetime | None = None
    looked_until: datetime = field(default_factory=lambda: datetime.min.replace(tzinfo=UTC))


class House:
    """Two profiles on one machine."""

    def __init__(self, root: Path, policy: Policy, expression: str, fortune: Fortune, seed: int) -> None:
        self.settings = Settings(root=root, registry="etc/model-registry.{profile}.json")
        self.names = ("anna", "ben")
        self.policies = {
            name: replace(policy, schedule=Schedule(expression, BERLIN, (n + 1) * 3 * MINUTE) if expression else None)
            for n, name in enumerate(self.names)
        }
        self.fortune = fortune
        self.now = fortune.start
        self.past: list[Past] = []
        self.written = dict.fromkeys(self.names, 0)
        self.turns = 0
        self._random = random.Random(seed)  # noqa: S311
        self._work_left: dict[str, timedelta] = {}
        self._arrivals = sorted(fortune.arrivals, key=lambda arrival: arrival.at)
        self._running: dict[str, Running] = {}
        self._facts: dict[str, Facts] = {}
        self._eyes: dict[str, Eyes] = {}
        self._seen: dict[str, Seen] = {}
        self._kept: dict[str, Kept] = {}
        self._in_a_run: dict[str, int] = {}
        self._owed = {name: Owed() for name in self.names}
        self._last_start: tuple[str, bool] = ("", False)
        self._cut = False
        for name in self.names:
            ProfilePaths(root, name).memory.mkdir(parents=True)

    # --- time -------------------------------------------------------------------------------------------------------

    def live(self) -> None:
        """From the start to the end."""
        while self.now < self.fortune.end:
            off = _within(self.fortune.no_power, self.now)
            if off or self._cut:
                self._power_off(off[1] if off else self.now + HOUR)
            if not self._eyes:
                self._power_on()
            self._turn()
            if not self._cut:
                self.now = self._next()
        for eyes in self._eyes.values():
            eyes.close()

    def _next(self) -> datetime:
        """When the loop wakes next: by the agenda's own word, or because something happens."""
        fortune, local = self.fortune, self.now.astimezone(BERLIN)
        times = [running.ends for running in self._running.values()]
        times += [self._arrivals[0].at] if self._arrivals else []
        spans = (fortune.no_power, fortune.ollama_down, fortune.ollama_used, fortune.disk_full, fortune.paused)
        times += [edge for kind in spans for span in kind for edge in span if edge > self.now]
        times += [at] if (at := self._agenda.next_at(self.now, self._facts)) else []
        cycle = self._running.get("cycle")
        if cycle and (closes := self._hours(cycle.job.profile).closes(local)):
            times.append(closes + self._random.random() * 30 * SECOND)  # the loop looks that often
        # It wakes each half minute anyway, and then tidies; once a day is enough here.
        day = local.replace(hour=1, minute=17, second=0, microsecond=0, fold=0)
        times.append(day if day > local else day + DAY)
        woken = min(max(time.astimezone(UTC), self.now + SECOND) for time in (*times, fortune.end))
        self._does_not_sleep_past_what_is_owed(woken)
        return woken

    def _power_off(self, until: datetime) -> None:
        for slot, running in self._running.items():
            if slot == "cycle" and running.label in self._work_left:
                lost = (self.now - running.began) % CHECKPOINT_EVERY
                self._work_left[running.label] = max(MINUTE, running.ends - self.now + lost)
            if slot == "cycle":
                self._note(running, "power")
        for eyes in self._eyes.values():
            eyes.close()
        self._running, self._facts, self._eyes, self._cut = {}, {}, {}, False
        self.now = until + MINUTE
        self._let_arrive()

    def _power_on(self) -> None:
        found = {name: kept for name in self.names if (kept := read_kept(self.paths(name)))}
        self._agenda = Agenda(self.policies, COOL_DOWN, found, self.now.astimezone(BERLIN))
        self._kept, self._seen = {}, {}
        self._eyes = {name: Eyes(self.settings, name) for name in self.names}

    # --- one turn of the loop ---------------------------------------------------------------------------------------

    def _turn(self) -> None:
        self.turns += 1
        now = self.now.astimezone(BERLIN)
        for slot, running in list(self._running.items()):
            if running.ends <= self.now:
                del self._running[slot]
                self._end(running)
                if self._cut:
                    return
        self._let_arrive()
        used = bool(_within(self.fortune.ollama_used, self.now))
        facts = {name: self._known(name, used=used) for name in self.names}
        self._facts = facts
        self._book()
        cycle = self._running.get("cycle")
        if cycle and not cycle.asked_to_stop:
            self._look_after(cycle, facts[cycle.job.profile], now)
        job = self._agenda.next_cycle(now, facts)
        self._keep()
        if job and not cycle and not self._is_tidying():
            self._begin_cycle(job)
        elif not job and not cycle:
            self._nothing_is_owed_that_could_run(now)
        if "errand" not in self._running:
            due = self._agenda.next_errand(now, facts, cycle_runs="cycle" in self._running)
            if due:
                self._running["errand"] = Running(due, self.now, self.now + 3 * MINUTE, "")

    def _is_tidying(self) -> bool:
        errand = self._running.get("errand")
        return errand is not None and errand.job.kind == "tidy"

    def _look_after(self, cycle: Running, known: Facts, now: datetime) -> None:
        policy = self.policies[cycle.job.profile]
        why = must_stop(policy, now, by_hand=False, paused=known.held_up, ollama_in_use=known.ollama_in_use)
        if why:
            self._stop(cycle, why)
        elif known.disk_free_bytes == 0 and cycle.how != "passing":
            self._keep_work(cycle)
            cycle.how, cycle.ends = "passing", min(cycle.ends, self.now + 5 * MINUTE)

    def _known(self, name: str, *, used: bool) -> Facts:
        """After a job's end, and where files have changed, it is looked before anything is decided."""
        seen = self._seen.get(name) or self._eyes[name].see()
        self._seen[name] = seen
        return Facts(
            pending=seen.pending,
            unfinished=seen.unfinished_run,
            held_up="paused" if name == "ben" and _within(self.fortune.paused, self.now) else "",
            disk_free_bytes=0 if _within(self.fortune.disk_full, self.now) else 1 << 40,
            disk_needed_bytes=1 << 30,
            publications_due=bool(seen.publications_due),
            publishes=True,
            load=0.1,
            ollama_in_use=used,
        )

    def _keep(self) -> None:
        for name, kept in self._agenda.kept.items():
            if kept != self._kept.get(name):
                assert write_kept(self.paths(name), kept)
                self._kept[name] = replace(kept)

    def _let_arrive(self) -> None:
        while self._arrivals and self._arrivals[0].at <= self.now:
            arrival = self._arrivals.pop(0)
            first = self.written[arrival.profile]
            self.written[arrival.profile] += arrival.count
            sections = (
                f"# Note {n}\n\nOn day {n} there was {' '.join(self._random.choices(_WORDS, k=8))}.\n\n"
                for n in range(first, first + arrival.count)
            )
            page = self.paths(arrival.profile).memory / f"{first:06}.md"
            page.write_text("".join(sections), encoding="utf-8")
            self._seen.pop(arrival.profile, None)

    # --- jobs -------------------------------------------------------------------------------------------------------

    def _begin_cycle(self, job: Job) -> None:
        """As `fine_tune` begins: go on with the unfinished run, or freeze a new one."""
        assert "cycle" not in self._running, "one cycle at a time"
        name, settings = job.profile, self.settings
        assert self._hours(name).hold(self.now.astimezone(BERLIN)), "a cycle begins outside its hours"
        self._is_fair(name)
        sweep(settings, name)
        journal = unfinished_run(settings, name, self._clock)
        fresh = journal is None
        if journal is None:
            registry = self.registry(name)
            with Ledger(self.paths(name).ledger) as ledger:
                look(settings, name, ledger, registry)
                choice = choose(settings, Wish(name), ledger, registry)
            assert choice.new, "a cycle that finds nothing to do is a cycle too many"
            assert len(choice.new) == self._facts[name].pending
            self._had_a_cause(name, len(choice.new))
            plan = pinned_plan(settings, Wish(name), choice, lambda _name, _revision: "c0ffee")
            run_dir = begin_run(settings, choice, plan, self._clock)
            self._in_a_run[name] = len(choice.new)
            self._work_left[run_dir.name] = self._random.uniform(0.5, 9.0) * HOUR
        else:
            run_dir = journal.run_dir
        how = next(self.fortune.fates)
        work = self._work_left[run_dir.name]
        ends = self.now + (work if how in ("done", "rejected", "cut") else work * self._random.random())
        self._running["cycle"] = Running(job, self.now, ends, how, run_dir.name, asked_to_stop="")
        self._fresh = fresh
        self._agenda.began(job, self.now)
        self._keep()

    def _keep_work(self, cycle: Running) -> None:
        left = self._work_left[cycle.label] - (self.now - cycle.began)
        self._work_left[cycle.label] = max(MINUTE, left)

    def _stop(self, cycle: Running, why: str) -> None:
        self._keep_work(cycle)
        cycle.asked_to_stop, cycle.how = why, "stopped"
        cycle.ends = min(cycle.ends, self.now + self._random.random() * MINUTE)
        if why == "its hours are over":
            before = (self.now - 31 * SECOND).astimezone(BERLIN)
            assert self._hours(cycle.job.profile).hold(before), "it ran on after its hours"

    def _end(self, running: Running) -> None:
        job = running.job
        outcome = self._cycle_outcome(running) if job.kind == "cycle" else self._errand_outcome(job)
        if self._cut:
            return
        self._note(running, outcome.end)
        if job.kind == "cycle" or (job.kind != "tidy" and outcome.end != "passing"):
            self._seen.pop(job.profile, None)
        self._agenda.ended(job, outcome, self.now.astimezone(BERLIN))
        self._keep()

    def _cycle_outcome(self, running: Running) -> Outcome:
        name, how = running.job.profile, running.how
        if how not in ("done", "rejected", "cut"):
            ends: dict[str, End] = {"passing": "passing", "failed": "failed", "killed": "killed", "stopped": "stopped"}
            return Outcome(ends[how], how)
        run_dir = self.paths(name).run_dir(running.label)
        journal = Journal.open(run_dir, self._clock)
        (run_dir / "model").mkdir(exist_ok=True)
        (run_dir / "model" / "config.json").write_text("{}", encoding="utf-8")
        (run_dir / "model.gguf").write_bytes(b"GGUF" + running.label.encode())
        verdict = WORSE if how == "rejected" else PASSED
        made = Made(
            learned=Learned(
                dataset=Dataset("d", 1, 1, 1, 0),
                adapter=Adapter("a", 1000, 60, 120, 0.5),
                evaluation=Evaluation(_NOTHING, _NOTHING, _NOTHING),
                verdict=verdict,
            ),
            merged=Merged("m", 5000),
            gguf=Gguf(sha256_file(run_dir / "model.gguf"), 5, "Q8_0"),
            checked=Checked(0.004, 0.97, 300, ()),
        )
        version = register(read_plan(journal.file.inputs), made, run_dir, self.settings.root, self.now)
        if how == "cut":  # the power goes between the registry and the journal
            self._work_left[running.label] = MINUTE
            self._note(running, "power")
            self._cut = True
            return Outcome("killed")
        journal.end("registered" if version.training_success else "rejected")
        self._in_a_run.pop(name)
        owed, begun = self._owed[name], _begun(running.label)
        if version.training_success:
            owed.since = owed.since if owed.since and begun < owed.since - SECOND else None
            owed.may = owed.may if owed.may and begun < owed.may - SECOND else None
        if not version.training_success:
            return Outcome("rejected", "; ".join(version.reasons), result={"run": running.label})
        return Outcome("done", result={"run": running.label, "version": version.version})

    def _errand_outcome(self, job: Job) -> Outcome:
        if job.kind == "tidy":
            return Outcome("done")
        if _within(self.fortune.ollama_down, self.now):
            return Outcome("passing", "no Ollama server answers")
        if job.kind == "publish":
            for version in due_publications(self.registry(job.profile)):
                done = version.model_copy(update={"publication": "done"})
                update_registry(
                    self.settings.registry_path(job.profile), lambda registry, done=done: registry.with_version(done)
                )
        return Outcome("done")

    def _note(self, running: Running, how: str) -> None:
        fresh = running.job.kind == "cycle" and self._fresh
        self.past.append(Past(running.job, running.began, self.now, how, running.label, fresh))

    # --- our own book -----------------------------------------------------------------------------------------------

    def _book(self) -> None:
        """Note what a time of the schedule that has passed since we looked last has made due."""
        for name, owed in self._owed.items():
            policy = self.policies[name]
            last, owed.looked_until = owed.looked_until, self.now
            held_up = self._facts[name].held_up
            if policy.schedule is None or last.year == 1:
                continue
            if held_up:
                owed.looked_until = last  # nothing is dealt with meanwhile
                continue
            pending, in_a_run = self._facts[name].pending, self._in_a_run.get(name, 0)
            sunday = _last_sunday(last, self.now, self.names.index(name))
            if pending >= policy.min_new:
                owed.may = sunday or owed.may
            elif not in_a_run:
                owed.may = None
            if pending - in_a_run >= policy.min_new:
                owed.since = sunday or owed.since

    def _had_a_cause(self, name: str, pending: int) -> None:
        policy = self.policies[name]
        if pending < policy.threshold:
            assert policy.schedule is not None
            assert pending >= policy.min_new
            assert self._owed[name].may is not None, f"{self.now}: {name} trains at a time that nobody named"

    def _is_fair(self, name: str) -> None:
        """None comes twice in a row while the other waits."""
        other = next(n for n in self.names if n != name)
        waits = self._agenda.decisions[other].due
        before, other_waited = self._last_start
        assert not (before == name and other_waited and waits), f"{self.now}: {other} starves"
        self._last_start = (name, waits)

    def _stands_against(self, name: str) -> bool:
        known = self._facts[name]
        return bool(known.held_up or known.disk_free_bytes == 0 or known.ollama_in_use)

    def _nothing_is_owed_that_could_run(self, now: datetime) -> None:
        for name, owed in self._owed.items():
            cool = self._agenda.kept[name].cool_until
            waits = self._stands_against(name) or (cool and cool > self.now) or not self._hours(name).hold(now)
            assert waits or not owed.since, f"{now}: {name} is owed a cycle since {owed.since} and nothing happens"

    def _does_not_sleep_past_what_is_owed(self, woken: datetime) -> None:
        if "cycle" in self._running or self._is_tidying():
            return
        for name, owed in self._owed.items():
            pending, policy = self._facts[name].pending, self.policies[name]
            first = owed.since
            if first is None and pending >= policy.min_new and policy.schedule is not None:
                first = _next_sunday(self.now, self.names.index(name))
            if pending >= policy.threshold or self._facts[name].unfinished:
                first = self.now
            if first is None or self._stands_against(name):
                continue
            cool = self._agenda.kept[name].cool_until
            possible = max(first, self.now, *([cool] if cool else []))
            opens = self._hours(name).opens(possible.astimezone(BERLIN)).astimezone(UTC)
            assert woken <= opens + SECOND, f"{self.now}: {name} sleeps until {woken}, and could run at {opens}"

    # --- what is where ----------------------------------------------------------------------------------------------

    def paths(self, name: str) -> ProfilePaths:
        """A profile's folders."""
        return ProfilePaths(self.settings.root, name)

    def registry(self, name: str) -> Registry | None:
        """A profile's registry."""
        return load_registry(self.settings.registry_path(name))

    def cycles(self, name: str = "") -> list[Past]:
        """The cycles that ended, of one profile or of all."""
        return [past for past in self.past if past.job.kind == "cycle" and past.job.profile.startswith(name)]

    def _hours(self, name: str) -> Hours:
        return self.policies[name].hours

    def _clock(self) -> datetime:
        return self.now


def _within(spans: Sequence[Span], now: datetime) -> Span | None:
    return next((span for span in spans if span[0] <= now < span[1]), None)


def _begun(label: str) -> datetime:
    return datetime.strptime(label[:17], "%Y-%m-%d-%H%M%S").replace(tzinfo=UTC)


def _sunday(day: datetime, place: int) -> datetime:
    """Three o'clock (and the profile's own minutes) of a local day, in UTC."""
    three = day.replace(hour=3, minute=0, second=0, microsecond=0, fold=0)
    return three.astimezone(UTC) + (place + 1) * 3 * MINUTE


def _last_sunday(after: datetime, until: datetime, place: int) -> datetime | None:
    """The last time of `0 3 * * sun` in (after, until], reckoned with the calendar alone."""
    days = (until.astimezone(BERLIN) - n * DAY for n in range((until - after).days + 9))
    times = (_sunday(day, place) for day in days if day.weekday() == 6)
    return next((time for time in times if after < time <= until), None)


def _next_sunday(after: datetime, place: int) -> datetime:
    days = (after.astimezone(BERLIN) + n * DAY for n in range(9))
    return next(time for day in days if day.weekday() == 6 and (time := _sunday(day, place)) > after)


_WORDS = re.findall(
    r"\w+",
    """
    rain wind tea bread harbour stove lamp letter bicycle garden neighbour window kettle coat river bridge market song
    apple boat cellar dog evening fog gull hill island jacket kitchen ladder morning needle orchard paper quilt road
    """,
)
