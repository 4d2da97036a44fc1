"""Where other threads, and signals, leave word for the main loop, and wake it."""

from __future__ import annotations

import os
import queue
import signal
from collections.abc import Iterable, Iterator
from contextlib import suppress
from types import FrameType
from typing import Any


class Inbox:
    """A queue with a descriptor that a selector can wait for. Made in the main thread, for signals' sake."""

    def __init__(self, signals: Iterable[signal.Signals]) -> None:
        self._queue: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._out, self._in = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._before_fd = signal.set_wakeup_fd(self._in, warn_on_full_buffer=False)
        self._before = {number: signal.signal(number, self._signalled) for number in signals}

    def fileno(self) -> int:
        """For a selector."""
        return self._out

    def post(self, word: Any) -> None:
        """Leave word, from any thread."""
        self._queue.put(word)
        with suppress(BlockingIOError):  # full: it will be woken anyway
            os.write(self._in, b"\n")

    def take(self) -> Iterator[Any]:
        """All that was left: what threads posted, and signals as `signal.Signals`."""
        with suppress(BlockingIOError):
            while os.read(self._out, 4096):
                pass
        while True:
            try:
                yield self._queue.get_nowait()
            except queue.Empty:
                return

    def close(self) -> None:
        """Give the signals back."""
        for number, handler in self._before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._before_fd)
        os.close(self._in)
        os.close(self._out)

    def _signalled(self, number: int, _: FrameType | None) -> None:
        self._queue.put(signal.Signals(number))
