"""Whether somebody is using Ollama: what is loaded, and until when, tells it.

Each request puts off the time at which a model is unloaded, when it is answered; so a time that has moved is a use, and
a model that is loaded beyond its time is being used: a long answer is being written.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from metahuman_core.ollama.shown import Listed

_KEPT_FOR_EVER = timedelta(days=1)
_STUCK = timedelta(hours=1)


class Use:
    """Told what is loaded from time to time, it knows whether that was used within `idle`."""

    def __init__(self, idle: timedelta) -> None:
        self._idle = idle
        self._loaded: dict[str, datetime | None] | None = None
        self._used_at: datetime | None = None

    def saw(self, loaded: Sequence[Listed], now: datetime, is_ours: Callable[[Listed], bool] = lambda _: False) -> None:
        """Take note of what is loaded at `now`; what `is_ours` is loaded for us, and no use."""
        ours = {model.name for model in loaded if is_ours(model)}
        before, self._loaded = self._loaded, {model.name: model.expires_at for model in loaded}
        for name, expires_at in self._loaded.items():
            if name in ours:
                continue
            if before is None:
                # At first sight: what will go soon was used lately; what is kept for ever says nothing.
                used = expires_at is not None and expires_at - now < _KEPT_FOR_EVER
            else:
                used = name not in before or before[name] != expires_at
            # Beyond its time it is still answering; one that does so for an hour is stuck.
            if used or (expires_at is not None and timedelta() <= now - expires_at < _STUCK):
                self._used_at = now

    def forget(self, loaded: Sequence[Listed]) -> None:
        """What is loaded now was our own doing, and no use."""
        self._loaded = {model.name: model.expires_at for model in loaded}

    def is_in_use(self, now: datetime) -> bool:
        """Whether somebody used it within the idle time."""
        return self._used_at is not None and abs(now - self._used_at) < self._idle  # a clock can be put back
