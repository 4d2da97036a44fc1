"""Where jobs run: at most one cycle and one errand at a time, each in a process that a selector listens to."""

from __future__ import annotations

import selectors
import time
from collections.abc import Iterator
from datetime import datetime

import structlog

from metahuman_core.settings import Settings
from metahuman_daemon.service.agenda import Job, Outcome
from metahuman_daemon.service.jobs import Running

log = structlog.get_logger()


class Floor:
    """The jobs that run. What they say goes into the log, with profile, run and step."""

    def __init__(self, selector: selectors.BaseSelector) -> None:
        self._selector = selector
        self._cycle: list[Running] = []
        self._errand: list[Running] = []

    @property
    def running(self) -> tuple[Running, ...]:
        """All that runs."""
        return (*self._cycle, *self._errand)

    @property
    def cycle(self) -> Running | None:
        """The cycle that runs."""
        return self._cycle[0] if self._cycle else None

    @property
    def errand(self) -> Running | None:
        """The errand that runs."""
        return self._errand[0] if self._errand else None

    def begin(self, job: Job, settings: Settings, now: datetime) -> Outcome | None:
        """Start a job's process; an outcome only where that is not possible: no process, no memory, no room."""
        try:
            running = Running(job, settings, now)
        except OSError as error:
            return Outcome("passing", f"it could not begin: {error.strerror or error}")
        self._slot(job).append(running)
        self._selector.register(running, selectors.EVENT_READ, lambda: self._hear(running))
        log.info("a job begins", job=job.kind, profile=job.profile, why=job.why, pid=running.pid)
        return None

    def end_what_hangs(self) -> None:
        """End what does not end: a dead card or server would hold up everybody for ever. What it did is kept."""
        for running in self.running:
            if running.hangs(time.monotonic()):
                log.error("a job hangs and is ended", job=running.job.kind, profile=running.job.profile)
                running.kill()

    def ended(self) -> Iterator[tuple[Job, Outcome]]:
        """The jobs that have ended since the last call, and how."""
        for running in self.running:
            if running.has_ended():
                self._hear(running)
                if not running.is_silent:
                    self._selector.unregister(running)
                self._slot(running.job).remove(running)
                yield running.job, running.outcome()

    def stop(self, running: Running, why: str) -> None:
        """Have a job stop at a checkpoint."""
        log.info("a job is asked to stop", job=running.job.kind, profile=running.job.profile, why=why)
        running.ask_to_stop(why)

    def kill(self) -> None:
        """End all at once."""
        for running in self.running:
            running.kill()

    def _slot(self, job: Job) -> list[Running]:
        return self._cycle if job.kind == "cycle" else self._errand

    def _hear(self, running: Running) -> None:
        if running.is_silent:
            return
        for line in running.said(time.monotonic()):
            known = {"run": running.run, "step": running.doing.step}
            log.info(line, profile=running.job.profile, job=running.job.kind, **{k: v for k, v in known.items() if v})
        if running.is_silent:
            self._selector.unregister(running)
