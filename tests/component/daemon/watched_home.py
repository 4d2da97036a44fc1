"""A profile's folders on a real disk, and a looker on them."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from metahuman_core.settings import DaemonSettings, ProfileSettings, Settings
from metahuman_daemon.service.looker import Blind, Look, Looker
from metahuman_daemon.service.seeing import Seen

PATIENCE_S = 30.0
LONG_MINUTES = 60.0
QUIET_S = 0.3
# No two are nearly the same.
_WORDS = (
    *("tide", "boat", "bread", "letter", "winter", "garden", "river", "window"),
    *("stone", "music", "lamp", "horse", "market", "cloud", "sister", "bridge"),
)


def until(what: str, holds: Callable[[], Any], patience_s: float = PATIENCE_S) -> Any:
    """Wait until something holds, and give it."""
    end_s = time.monotonic() + patience_s
    while not (value := holds()):
        if time.monotonic() > end_s:
            raise AssertionError(f"waited in vain for: {what}")
        time.sleep(0.02)
    return value


def text(number: int) -> str:
    """A memory's text that is like no other's."""
    words = [_WORDS[(number >> shift) % len(_WORDS)] for shift in (0, 4, 8, 12, 16)]
    return f"On day {number} I wrote of {' and '.join(words)}."


def as_file(number: int) -> str:
    """A memory as a file."""
    return json.dumps({"content": text(number), "timestamp": "2025-03-01T12:00:00Z"})


class Sight:
    """What a looker has seen so far."""

    def __init__(self, looker: Looker, words: list[Look | Blind]) -> None:
        self.looker = looker
        self.words = words

    @property
    def last(self) -> Seen | None:
        """The last look that went well."""
        return next((word.seen for word in reversed(self.words) if isinstance(word, Look)), None)

    @property
    def watch(self) -> Any:
        """What the looker watches with."""
        return self.looker.watch

    def knows(self, count: int) -> Seen:
        """Wait until so many memories are known."""
        seen = until(f"{count} memories", lambda: self._known() == count and self.last)
        assert isinstance(seen, Seen)
        return seen

    def says(self, what: str, holds: Callable[[Seen], Any]) -> Seen:
        """Wait until something holds of the last look."""
        seen = until(what, lambda: self.last if self.last and holds(self.last) else None)
        assert isinstance(seen, Seen)
        return seen

    def looks_again(self) -> None:
        """Wait until it has looked once more."""
        count = len(self.words)
        until("another look", lambda: len(self.words) > count)

    def _known(self) -> int:
        return self.last.memories.known if self.last else -1


class Home:
    """A root with the profile anna."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.memory = root / "profiles" / "anna" / "memory"
        self.state = root / "profiles" / "anna" / "state"
        self.elsewhere = root / "elsewhere"
        root.mkdir()
        self.elsewhere.mkdir()

    def write(self, number: int, name: str = "", folder: Path | None = None) -> Path:
        """Write a memory into the folder (the profile's), and close it."""
        path = (folder or self.memory) / (name or f"{number}.json")
        path.write_text(as_file(number), encoding="utf-8")
        return path

    def settings(self, minutes: float = LONG_MINUTES, quiet_s: float = QUIET_S, **profile: Any) -> Settings:
        """The settings of a looker."""
        daemon = DaemonSettings(quiet_s=quiet_s, reconcile_minutes=minutes)
        return Settings(root=self.root, daemon=daemon, profiles={"anna": ProfileSettings(**profile)})

    @contextmanager
    def watched(self, health_every_s: float = 30.0, **settings: Any) -> Iterator[Sight]:
        """Look at it until the end, from after the first look on."""
        words: list[Look | Blind] = []
        looker = Looker(self.settings(**settings), "anna", words.append, health_every_s=health_every_s)
        looker.start()
        try:
            until("the first look", lambda: words)
            yield Sight(looker, words)
        finally:
            looker.end()
            looker.join(PATIENCE_S)
            assert not looker.is_alive()
            # Nothing that watched is left behind: no thread, and so no descriptor.
            until("the end of all threads", lambda: threading.active_count() == 1 or not _watching_threads())


def _watching_threads() -> list[str]:
    kinds = ("InotifyEmitter", "BaseObserver", "_Kernel")
    return [thread.name for thread in threading.enumerate() if type(thread).__name__ in kinds]
