"""Asks Ollama what is loaded, beside the main loop, and only when somebody wants to know.

Invariant: a server that is down, or hangs, is not in use, and holds nothing up.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from metahuman_core.errors import MetahumanError
from metahuman_core.model_study.name import KEEP_ALIVE_S, full_name
from metahuman_core.ollama.address import base_url, is_loopback
from metahuman_core.ollama.shown import Listed
from metahuman_core.ollama.use import Use
from metahuman_core.settings import Settings

_EVERY_S = 15.0
_PATIENCE_S = 20.0
_CURRENT_S = 45.0
_OURS = timedelta(seconds=KEEP_ALIVE_S + 5)


@dataclass(frozen=True, slots=True)
class Loaded:
    """What an Ollama server has loaded; nothing where none answers."""

    models: tuple[Listed, ...]


class OllamaPoll:
    """`post` gets a `Loaded` from another thread; `now_s` are a rising clock's seconds.

    Only a server of this machine counts, and only where the config says that cycles make way for it.
    """

    def __init__(self, settings: Settings, post: Callable[[Loaded], None]) -> None:
        self._host = settings.ollama.host
        self._counts = settings.daemon.yield_to_ollama and is_loopback(
            base_url(self._host or os.environ.get("OLLAMA_HOST"))
        )
        self._post = post
        self._use = Use(timedelta(minutes=settings.daemon.ollama_idle_minutes))
        self._thread: threading.Thread | None = None
        self._asked_s: float | None = None
        self._answered_s: float | None = None
        self._ours = False
        self._asked_by_us = full_name(settings.study.ollama_model).lower() if settings.study.ollama_model else ""
        self._studied = False

    def ask(self, now_s: float) -> None:
        """Ask, if it counts, and unless that was done a moment ago."""
        if not self._counts:
            return
        waits = self._thread is not None and self._thread.is_alive()
        if not waits and (self._asked_s is None or now_s - self._asked_s >= _EVERY_S):
            self._asked_s = now_s
            self._thread = threading.Thread(target=self._look, name="ollama", daemon=True)
            self._thread.start()

    def answered(self, loaded: Loaded, now: datetime, now_s: float, *, studies: bool = False) -> None:
        """Take note of an answer. `studies`: a cycle of ours asks a model about memories just now."""
        self._answered_s = now_s
        # What our last request did may show after it, too.
        ours, self._studied = studies or self._studied, studies
        if self._ours:
            self._use.forget(loaded.models)
            self._ours = False
        else:
            self._use.saw(loaded.models, now, lambda model: ours and self._is_for_us(model, now))

    def used_by_us(self) -> None:
        """An errand of ours talks to the server: what it loads is no use by a person."""
        self._ours = True

    def is_known(self, now_s: float) -> bool:
        """Whether the last answer is of now, if it counts; a server that does not answer has said enough."""
        if not self._counts:
            return True
        if self._answered_s is not None and now_s - self._answered_s < _CURRENT_S:
            return True
        return self._asked_s is not None and now_s - self._asked_s >= _PATIENCE_S

    def is_in_use(self, now: datetime) -> bool:
        """Whether somebody uses it."""
        return self._counts and self._use.is_in_use(now)

    def _is_for_us(self, model: Listed, now: datetime) -> bool:
        """Whether it is the model that we ask, and kept no longer than for us: whoever else asks has it kept longer."""
        shortly = model.expires_at is not None and model.expires_at - now <= _OURS
        return shortly and model.name.lower() == self._asked_by_us

    def _look(self) -> None:
        self._post(Loaded(tuple(_loaded(self._host))))


def _loaded(host: str) -> Sequence[Listed]:
    from metahuman_core.ollama.client import OllamaClient  # 10 MB that an idle daemon need not have

    try:
        with OllamaClient(host or None, read_within_s=_PATIENCE_S) as client:
            return client.ps()
    except MetahumanError:
        return ()
