"""All that one config comes to: whom the daemon serves, when cycles may run, what is known of each.

Invariant: a house is whole or is not: a config that cannot be served raises before anything of the old one is given up.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import structlog

from metahuman_core.config import refuse_clashes
from metahuman_core.errors import ConfigError, MetahumanError
from metahuman_core.layout import ProfilePaths
from metahuman_core.schedule import Schedule, parse_hours, steady_offset
from metahuman_core.settings import PROFILE_NAME, Settings
from metahuman_daemon.clock import zone_of
from metahuman_daemon.options import homes, known_profiles
from metahuman_daemon.service.agenda import Agenda
from metahuman_daemon.service.desk import Desk
from metahuman_daemon.service.due import Policy, must_stop
from metahuman_daemon.service.jobs import Running
from metahuman_daemon.service.kept_file import has_kept, read_kept
from metahuman_daemon.service.known import Facts
from metahuman_daemon.service.ollama_poll import OllamaPoll
from metahuman_daemon.service.status_file import drop_status

log = structlog.get_logger()


class House:
    """A config that is served. `post` is the main loop's inbox; `before` the house that it takes the place of."""

    def __init__(
        self, settings: Settings, post: Callable[[Any], None], now: datetime, before: House | None = None
    ) -> None:
        names = _servable(settings)
        daemon = settings.daemon
        self.settings = settings
        self.zone = zone_of(settings)
        self.ollama = OllamaPoll(settings, post)
        self._policies = {name: _policy(settings, self.zone, name) for name in names}
        old = before.desks if before else {}
        for name in names:
            if name not in old:
                drop_status(ProfilePaths(settings.root, name))
        if before:
            before.close()
        self.desks: dict[str, Desk] = {name: Desk(settings, name, post) for name in names}
        found = {name: kept for name, desk in self.desks.items() if (kept := read_kept(desk.paths))}
        found |= before.agenda.kept if before else {}
        self.agenda: Agenda = Agenda(self._policies, timedelta(hours=daemon.cool_down_hours), found, now)
        for name, desk in self.desks.items():
            if before and name in old:
                desk.last_error = old[name].last_error
                if name in before.agenda.wanted():
                    self.agenda.want(name, now)
            desk.looker.start()
        self.keep()
        if left_out := sorted(set(homes(settings)) - set(names)):
            log.warning("who has no table in the config is not served", profiles=left_out, hint="[profiles.NAME]")
        if not names:
            log.warning("there is no profile yet", hint=f"put memories into {settings.root}/profiles/NAME/memory")

    def facts(self, now: datetime) -> dict[str, Facts]:
        """What is known of each profile that was looked at."""
        load = os.getloadavg()[0] / (os.cpu_count() or 1)
        in_use = self.ollama.is_in_use(now)
        known = {name: desk.facts(load=load, ollama_in_use=in_use) for name, desk in self.desks.items()}
        return {name: facts for name, facts in known.items() if facts}

    def why_stop(self, cycle: Running, now: datetime) -> str:
        """Why a cycle that runs has to stop now ("" where it may go on)."""
        profile = cycle.job.profile
        if profile not in self.desks:
            return "it is no longer configured"
        return must_stop(
            self._policies[profile],
            now,
            by_hand=cycle.job.by_hand,
            paused=self.desks[profile].paused(),
            ollama_in_use=self.ollama.is_in_use(now),
        )

    def keep(self) -> None:
        """Keep what outlasts a restart, where it has changed."""
        for name, desk in self.desks.items():
            desk.keep(self.agenda.kept[name], time.monotonic())

    def write(self, running: Iterable[Running], now: datetime) -> str:
        """Write the status of each profile, and give all in one line."""
        jobs = {run.job.profile: run for run in running if run.job.kind != "cycle"}
        jobs |= {run.job.profile: run for run in running if run.job.kind == "cycle"}
        cycle = next((run.job.profile for run in running if run.job.kind == "cycle"), "")
        lines = [
            desk.write(
                self.agenda.decisions.get(name),
                jobs.get(name),
                cycle if cycle != name else "",
                now,
                time.monotonic(),
            )
            for name, desk in self.desks.items()
        ]
        return "; ".join(lines) or "no profile yet"

    def close(self) -> None:
        """Look no more."""
        for desk in self.desks.values():
            desk.looker.end()
        self.keep()


def _servable(settings: Settings) -> list[str]:
    """The profiles that these settings serve. Raises MetahumanError where they cannot."""
    try:
        known = known_profiles(settings)
        names = [name for name in known if PROFILE_NAME.fullmatch(name)]
        if ill_named := sorted(set(known) - set(names)):
            hint = "small letters, digits, - and _, a letter first, at most 32"
            log.warning("a folder is not served: its name is no profile's", folders=ill_named, hint=hint)
        try:
            refuse_clashes(settings, names)
        except ConfigError as error:
            # Where folders alone say who there is, one that somebody copied must not keep the others from being served.
            old = [name for name in names if has_kept(ProfilePaths(settings.root, name))]
            if settings.profiles or not old:
                raise
            refuse_clashes(settings, old)
            left = sorted(set(names) - set(old))
            log.warning("a new profile is not served", profiles=left, reason=error.message, hint=error.hint)
            return old
    except OSError as error:
        raise MetahumanError(f"{error.strerror or error}: {error.filename or settings.root}") from error
    return names


def _policy(settings: Settings, zone: ZoneInfo, name: str) -> Policy:
    daemon = settings.daemon
    offset = steady_offset(name, timedelta(minutes=daemon.jitter_minutes))
    return Policy(
        threshold=daemon.threshold,
        min_new=daemon.min_new,
        schedule=Schedule(daemon.schedule, zone, offset) if daemon.schedule.strip() else None,
        hours=parse_hours(daemon.allowed_hours),
        max_load=daemon.max_load,
        yield_to_ollama=daemon.yield_to_ollama,
    )
