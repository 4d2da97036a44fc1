"""The daemon's side of notifications: hands each to a process of its own and never waits for it.

Invariant: to one address goes one delivery at a time, in the order in which things happened (a late "start" after its
"success" would look like a cycle that hangs). What is not delivered is logged, with its reason and without the URL.
"""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict
from typing import IO

import structlog

from metahuman_core.settings import NotifySettings
from metahuman_daemon.service.deliveries import INSTALL, Patience, messages, pinging, reason_of
from metahuman_daemon.service.messages import TEST, Event, message_for
from metahuman_daemon.service.notifier import Delivery, Sign

# -P: the working directory, which holds a person's files, is no place to import from.
_COMMAND = (sys.executable, "-P", "-m", "metahuman_daemon.service.notifier")
_AT_ONCE = 4
_WAITING = 50
_KEPT_BYTES = 8_192
_LOOK_S = 0.1

log = structlog.stdlib.get_logger("metahuman.notify")


class Notifier:
    """Tells people, and pings. For one thread: `poll` is called from the main loop, once a second or so."""

    def __init__(
        self, settings: NotifySettings, clock: Callable[[], float] = time.monotonic, patience: Patience | None = None
    ) -> None:
        self._clock = clock
        self._patience = patience or Patience()
        self._waiting: deque[Delivery] = deque()
        self._running: list[_Running] = []
        self.use(settings)

    def use(self, settings: NotifySettings) -> None:
        """Take these settings from now on. What waits still goes where it was meant to go."""
        self._settings = settings
        if settings.urls and importlib.util.find_spec("apprise") is None:
            log.warning("nobody can be notified", reason="apprise is not installed", hint=INSTALL)

    def tell(self, event: Event) -> None:
        """Send a message about an event to everybody, if it is one of `notify.on`."""
        if message := message_for(event, self._settings.on):
            for delivery in messages(self._settings, message):
                self._enqueue(delivery)

    def ping(self, sign: Sign, reason: str = "") -> None:
        """Ask the ping URL, if there is one."""
        if self._settings.ping_url:
            self._enqueue(pinging(self._settings.ping_url, sign, reason, self._patience))

    @property
    def busy(self) -> bool:
        """Whether anything is under way or waits."""
        return bool(self._running or self._waiting)

    def poll(self) -> None:
        """Look after those under way: log what failed, end what takes too long, start what waits."""
        still = []
        for running in self._running:
            reason = running.ended(self._clock())
            if reason is None:
                still.append(running)
            elif reason:
                log.warning("notification failed", to=running.delivery.name, reason=reason)
            else:
                log.info("notification sent", to=running.delivery.name)
        self._running = still
        self._start_waiting()

    def close(self, within_s: float = 5.0) -> None:
        """Give what is under way and waits some seconds, then end it. The only one that waits."""
        left_s = within_s
        while self._running and left_s > 0:
            with suppress(subprocess.TimeoutExpired):
                self._running[0].process.wait(_LOOK_S)
            left_s -= _LOOK_S
            self.poll()
        for running in self._running:
            running.kill()
            running.process.wait()
            running.close()
            log.warning("notification failed", to=running.delivery.name, reason="the daemon ended")
        for delivery in self._waiting:
            log.warning("notification dropped", to=delivery.name, reason="the daemon ended")
        self._running, self._waiting = [], deque()

    def _enqueue(self, delivery: Delivery) -> None:
        self._waiting.append(delivery)
        self._start_waiting()
        while len(self._waiting) > _WAITING:  # the newest says most about how things are
            dropped = self._waiting.popleft()
            log.warning("notification dropped", to=dropped.name, reason=f"more than {_WAITING} wait")

    def _start_waiting(self) -> None:
        addressed = {running.delivery.url for running in self._running}
        left: deque[Delivery] = deque()
        for delivery in self._waiting:
            if len(self._running) >= _AT_ONCE or delivery.url in addressed:
                left.append(delivery)
            else:
                try:
                    self._running.append(_Running(delivery, self._clock() + self._patience.limit_s))
                except OSError as error:
                    log.warning("notification failed", to=delivery.name, reason=f"no process: {error.strerror}")
            addressed.add(delivery.url)
        self._waiting = left


class _Running:
    """A delivery's process. None of its methods waits for it."""

    def __init__(self, delivery: Delivery, until: float) -> None:
        self.delivery = delivery
        self._until = until
        self._killed = False
        self._said = b""
        self.process = subprocess.Popen(
            _COMMAND,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            bufsize=0,
            # Ctrl-C is the daemon's, which gives it time to finish.
            start_new_session=True,
        )
        assert self.process.stdin is not None  # noqa: S101  # opened above
        os.set_blocking(_pipe(self.process.stderr), False)
        os.set_blocking(_pipe(self.process.stdin), False)
        # An empty pipe takes it whole; one that took less would give the process half an object, which is a reason.
        with suppress(OSError), self.process.stdin as stdin:
            stdin.write(_as_json(delivery))

    def ended(self, now: float) -> str | None:
        """The reason why it failed, empty if it did not; None while it runs. It is killed when its time is over."""
        self._listen()
        code = self.process.poll()
        if code is None:
            if now >= self._until:
                self.kill()
            return None
        self._listen()
        self.close()
        return "took too long" if self._killed else reason_of(self.delivery, code, self._said)

    def kill(self) -> None:
        """End it, and all that it has started."""
        self._killed = True
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)

    def close(self) -> None:
        """Give its pipe back."""
        assert self.process.stderr is not None  # noqa: S101  # opened above
        self.process.stderr.close()

    def _listen(self) -> None:
        """Keep the end of what it has said; a pipe that is full would stop it."""
        with suppress(BlockingIOError):
            while said := os.read(_pipe(self.process.stderr), _KEPT_BYTES):
                self._said = (self._said + said)[-_KEPT_BYTES:]


def try_out(settings: NotifySettings, patience: Patience | None = None) -> Iterator[tuple[str, str]]:
    """Send a test message and pings, and wait: what was tried, and the reason why it failed, empty if it did not."""
    patience = patience or Patience()
    deliveries = list(messages(settings, TEST))
    if settings.ping_url:
        deliveries += [pinging(settings.ping_url, sign, "", patience) for sign in ("start", "success")]
    for delivery in deliveries:
        try:
            done = subprocess.run(
                _COMMAND,
                input=_as_json(delivery),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                timeout=patience.limit_s,
                check=False,
            )
        except subprocess.TimeoutExpired:
            yield delivery.name, "took too long"
        else:
            yield delivery.name, reason_of(delivery, done.returncode, done.stderr)


def _as_json(delivery: Delivery) -> bytes:
    return json.dumps(asdict(delivery)).encode()


def _pipe(stream: IO[bytes] | None) -> int:
    assert stream is not None  # noqa: S101  # opened as a pipe by _Running
    return stream.fileno()
