"""The thread that looks at one profile: after events, from time to time, and when it is asked to.

Invariant: the main loop never waits for a disk. Whatever blocks (a network file system, a large folder) blocks here,
and one profile's folders hold up no other's.
"""

from __future__ import annotations

import sqlite3
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import structlog

from metahuman_core.errors import MetahumanError
from metahuman_core.looking import memory_folders
from metahuman_core.settings import Settings
from metahuman_daemon.service.seeing import Eyes, Seen
from metahuman_daemon.service.steady import Steady
from metahuman_daemon.service.watching import Watch

_HEALTH_EVERY_S = 30.0
"""How often it is looked whether the watch is whole: a folder that is new or replaced is noticed within that time."""
_TOGETHER_S = 0.02
_REST_FOR_WORK = 4
_AFTER_FAULT_S = 30.0
_REST_AFTER_FAULT_S = 1.0

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Look:
    """What a look saw, and how many times it had been asked for when it began."""

    seen: Seen
    asked: int

    @property
    def profile(self) -> str:
        """Whose memories."""
        return self.seen.profile


@dataclass(frozen=True, slots=True)
class Blind:
    """A look that failed, and why."""

    profile: str
    fault: str


class Looker(threading.Thread):
    """Posts a `Look` (or a `Blind`) after each look, from its own thread."""

    def __init__(
        self,
        settings: Settings,
        profile: str,
        post: Callable[[Look | Blind], None],
        *,
        health_every_s: float = _HEALTH_EVERY_S,
    ) -> None:
        super().__init__(name=f"looker-{profile}", daemon=True)
        self._settings = settings
        self._profile = profile
        self._post = post
        self._woken = threading.Event()
        self._ended = False
        self._asked = 0
        self._answered = 0
        quiet_s = settings.daemon.quiet_s
        self._quiet_s = quiet_s
        self._reconcile_s = settings.daemon.reconcile_minutes * 60
        self._steady = Steady(quiet_s, time.time_ns, time.monotonic)
        self._folders: dict[Path, float] = {}
        self._all_at_s = 0.0
        self._all_took_s = 0.0
        self._all_ended_s = 0.0
        self._health_every_s = health_every_s
        self._health_at_s = 0.0
        self._fault = ""
        self._is_watching = False
        self._faults = 0
        self._rest_until_s = 0.0
        self.looking_since: datetime | None = None
        self.watch = Watch((folder for _, folder in memory_folders(settings, profile)), self._woken.set)

    def ask(self) -> int:
        """Look again at what is not a file of memories: the registry, the runs, the disk. Gives this request's number.

        A look that was under way has read the registry as it was before; the one that answers bears this number.
        """
        self._asked += 1
        self._woken.set()
        return self._asked

    def end(self) -> None:
        """Ask the thread to end; a look that hangs does not keep the process."""
        self._ended = True
        self._woken.set()

    def run(self) -> None:
        """Look until it is asked to end."""
        eyes: Eyes | None = None
        try:
            while not self._ended:
                if self._woken.wait(self._wait_s()):
                    self._woken.clear()
                try:
                    eyes = eyes or Eyes(self._settings, self._profile)
                    self._round(eyes)
                except Exception as error:  # noqa: BLE001  # a thread that ends would leave the profile unseen for years
                    # Opened anew the next time: the ledger, too, may have been moved away and made again.
                    _close(eyes)
                    eyes = None
                    self._fail(_reason(error))
        finally:
            self.watch.stop()
            _close(eyes)

    def _round(self, eyes: Eyes) -> None:
        """Gather the hints, and look if it is time to."""
        now_s = time.monotonic()
        if now_s >= self._health_at_s:
            self._health_at_s = now_s + self._health_every_s
            self._check_health(eyes, now_s)
        self._gather(now_s)
        if self._ended or now_s < self._rest_until_s:
            return
        ready = frozenset(f for f, at_s in self._folders.items() if at_s <= now_s + _TOGETHER_S)
        # After a fault nobody knows how much was seen: whatever wakes it, it looks at everything.
        if now_s >= self._all_at_s or (self._faults and (ready or self._asked > self._answered)):
            if self.watch.fault:
                self._watch_anew()  # there may be room by now
            self._folders.clear()
            self._look(eyes, None)
            self._faults = 0
            self._all_ended_s = time.monotonic()
            self._all_took_s = self._all_ended_s - now_s
            self._all_at_s = self._all_ended_s + self._reconcile_s
        elif ready:
            for folder in ready:
                del self._folders[folder]
            self._look(eyes, ready)
        elif self._asked > self._answered:
            self._look(eyes, frozenset())

    def _check_health(self, eyes: Eyes, now_s: float) -> None:
        """See whether something has changed that nobody tells of."""
        if eyes.registry_changed():  # another command made a version, or reset
            self.ask()
        if self._is_watching and self.watch.is_whole():
            return
        if self._is_watching:
            log.info("a folder or its watch was replaced: watching anew", profile=self._profile)
        self._watch_anew()
        self._all_at_s = now_s  # after the watch: what comes in between is told of

    def _gather(self, now_s: float) -> None:
        hints = self.watch.take()
        for folder in hints.folders:
            self._folders.setdefault(folder, now_s + self._quiet_s)
        if hints.everything:
            log.warning("it is not known where something happened: everything is looked at", profile=self._profile)
            # While a large tree is copied in, one look at everything must not follow the other.
            rested_s = self._all_ended_s + _REST_FOR_WORK * self._all_took_s
            self._all_at_s = min(self._all_at_s, max(now_s, rested_s))

    def _look(self, eyes: Eyes, only: frozenset[Path] | None) -> None:
        began_s = time.monotonic()
        asked = self._asked
        self.looking_since = datetime.now(UTC)
        try:
            seen = eyes.see(only, self._steady, afresh=asked > self._answered)
        finally:
            self.looking_since = None
        self._answered = asked
        ended_s = time.monotonic()
        for folder, left_s in self._steady.take_again().items():
            self._folders[folder] = ended_s + left_s
        # A burst must not keep a core busy with looking.
        self._rest_until_s = ended_s + (0 if only is None else _REST_FOR_WORK * (ended_s - began_s))
        self._tell(Look(seen, asked))
        if only is None:
            eyes.let_go()

    def _watch_anew(self) -> None:
        self.watch.start()
        self._is_watching = True
        if self.watch.fault != self._fault:
            self._fault = self.watch.fault
            if self._fault:
                log.warning("the folders are looked at from time to time", profile=self._profile, reason=self._fault)

    def _fail(self, reason: str) -> None:
        # Most faults pass soon (a locked ledger, a folder that is just being replaced); one that lasts costs little.
        self._faults += 1
        self._all_at_s = time.monotonic() + min(_AFTER_FAULT_S, 2.0 ** min(self._faults, 10))
        self._rest_until_s = time.monotonic() + _REST_AFTER_FAULT_S
        self._tell(Blind(self._profile, reason))

    def _tell(self, word: Look | Blind) -> None:
        # One that looked by a config that counts no more is not listened to.
        if not self._ended:
            self._post(word)

    def _wait_s(self) -> float:
        now_s = time.monotonic()
        asked_s = now_s if self._asked > self._answered else self._all_at_s
        next_s = min(self._all_at_s, self._health_at_s, asked_s, *self._folders.values())
        return max(0.0, next_s - now_s, self._rest_until_s - now_s)


def _close(eyes: Eyes | None) -> None:
    if eyes:
        with suppress(sqlite3.Error):
            eyes.close()


def _reason(error: Exception) -> str:
    """Why a look failed. Of an error that nobody thought of not the words, in which memories may stand: the place."""
    if isinstance(error, MetahumanError | OSError | sqlite3.Error):
        return str(error)
    place = traceback.extract_tb(error.__traceback__)[-1]
    return f"a fault of ours: {type(error).__name__} in {Path(place.filename).name}, line {place.lineno}"
