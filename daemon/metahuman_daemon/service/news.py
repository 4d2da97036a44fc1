"""Tells people of what happened, where they asked to be told: which event is news is decided here."""

from __future__ import annotations

from collections.abc import Sequence

from metahuman_core.settings import Settings
from metahuman_daemon.service.agenda import Job, Outcome
from metahuman_daemon.service.messages import Event, is_low
from metahuman_daemon.service.notify import Notifier


class News:
    """The daemon's voice to the outside."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._notifier = Notifier(settings.notify)
        self._disk_was_low = False
        self._told: dict[tuple[str, str], str] = {}

    def use(self, settings: Settings) -> None:
        """Take other settings from now on."""
        self._settings = settings
        self._notifier.use(settings.notify)

    @property
    def busy(self) -> bool:
        """Whether something is under way."""
        return self._notifier.busy

    def poll(self) -> None:
        """Look after what is under way, without waiting."""
        self._notifier.poll()

    def close(self) -> None:
        """Give what is under way a few seconds."""
        self._notifier.close()

    def began(self, job: Job) -> None:
        """A job began."""
        if job.kind == "cycle":
            self._notifier.ping("start")

    def ended(self, job: Job, outcome: Outcome, waiting: Sequence[int]) -> None:
        """A job ended; `waiting` versions are not in Ollama. A fault that lasts is told once."""
        if outcome.end in ("stopped", "busy"):
            if job.kind == "cycle":
                self._notifier.ping("success", outcome.message)  # who was told of a start waits for an end
            return
        well = outcome.end in ("done", "nothing")
        if job.kind == "cycle":
            self._notifier.ping("success" if well else "fail", outcome.message)
        key = (job.kind, job.profile)
        if well:
            self._told.pop(key, None)
        elif self._told.get(key) == outcome.message:
            return
        else:
            self._told[key] = outcome.message
        if outcome.end != "nothing" and (event := _event(job, outcome, waiting)):
            self._notifier.tell(event)

    def disk(self, free_bytes: int) -> None:
        """So much room is left."""
        low = is_low(free_bytes, self._settings.notify.disk_free_gb, was_low=self._disk_was_low)
        if low and not self._disk_was_low:
            hint = "make room, a cycle waits for it: `metahuman prune --dry-run` says what could go"
            self._notifier.tell(Event("disk", free_bytes=free_bytes, hint=hint))
        self._disk_was_low = low


def _event(job: Job, outcome: Outcome, waiting: Sequence[int]) -> Event | None:
    version, memories = outcome.result.get("version"), int(outcome.result.get("memories", 0))
    reasons = (outcome.message,) if outcome.message else ()
    if job.kind == "cycle" and outcome.end == "done":
        return Event("success", job.profile, version=version, memories=memories)
    if job.kind == "cycle" and outcome.end == "rejected":
        reasons = tuple(outcome.result.get("reasons", reasons))
        return Event("rejected", job.profile, version=version, memories=memories, reasons=reasons, hint=outcome.hint)
    if job.kind == "cycle":
        return Event("failed", job.profile, reasons=reasons, hint=outcome.hint)
    if job.kind == "publish" and waiting:
        return Event("failed", job.profile, version=waiting[0], reasons=reasons, hint=outcome.hint)
    return None
