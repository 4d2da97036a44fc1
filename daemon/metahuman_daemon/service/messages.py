"""What people are told, in words: pure, from what happened to a title and a body.

Invariant: a message holds names, numbers and reasons, and never the text of a memory: it leaves the machine. Whatever
stands in a reason, a message is of bounded length and free of control characters.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from metahuman_core.settings import Occasion
from metahuman_daemon.visible import visible

Tone = Literal["info", "success", "warning", "failure"]

_GB = 1_000_000_000
_SHOWN_REASONS = 10
_REASON_CHARS = 300
# A disk that is emptied and filled by a few MB around the mark is one piece of news and not many.
_RECOVERED = 1.1


@dataclass(frozen=True, slots=True)
class Event:
    """What happened. `memories` counts the new ones of the run; `free_bytes` is told of a disk that gets low.

    `success`: `version` is live. `rejected`: `version` did not pass, for `reasons`. `failed`: the cycle broke off, or,
    where a `version` is given, Ollama did not take it.
    """

    occasion: Occasion
    profile: str = ""
    version: int | None = None
    memories: int = 0
    reasons: tuple[str, ...] = ()
    hint: str = ""
    free_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Message:
    """What is sent. `tone` decides on colours and signs, where a service has them."""

    title: str
    body: str
    tone: Tone


TEST = Message("MetaHuman: a test", "This is how you will be told of new versions and of what went wrong.", "info")


def message_for(event: Event, on: Iterable[Occasion]) -> Message | None:
    """The message about an event; None where nobody wants to hear of its kind (`notify.on`)."""
    if event.occasion not in on:
        return None
    match event.occasion:
        case "success":
            title, lines, tone = _success(event)
        case "rejected":
            title, lines, tone = _rejected(event)
        case "failed":
            title, lines, tone = _failed(event)
        case "disk":
            title, lines, tone = _disk(event)
    if event.hint:
        lines.append(f"What to do: {_short(event.hint)}")
    return Message(title, "\n".join(lines), tone)


def is_low(free_bytes: int, mark_gb: float, *, was_low: bool) -> bool:
    """Whether the disk counts as low: at the mark or under it, and then until 10 % above it. A mark of 0: never."""
    mark_bytes = mark_gb * _GB
    return mark_bytes > 0 and free_bytes <= (mark_bytes * _RECOVERED if was_low else mark_bytes)


def _success(event: Event) -> tuple[str, list[str], Tone]:
    learned = f"It learned {_memories(event.memories)}." if event.memories else "It is in use from now on."
    return f"{visible(event.profile)}: version {event.version} is live", [learned], "success"


def _rejected(event: Event) -> tuple[str, list[str], Tone]:
    made = "a new version" if event.version is None else f"version {event.version}"
    due = f"Its {_memories(event.memories)} stay due" if event.memories else "Its memories stay due"
    lines = [f"It was not good enough and stays out; the version before it stays live. {due}.", *_reasons(event)]
    return f"{visible(event.profile)}: {made} did not pass", lines, "warning"


def _failed(event: Event) -> tuple[str, list[str], Tone]:
    if event.version is not None:
        title = f"{visible(event.profile)}: Ollama did not take version {event.version}"
        said = "The version is kept, and is handed over again by itself."
    else:
        title = f"{visible(event.profile)}: a cycle broke off"
        said = "What was finished is kept, and the next cycle goes on from there."
    return title, [said, *_reasons(event)], "failure"


def _disk(event: Event) -> tuple[str, list[str], Tone]:
    where = f"{visible(event.profile)}: " if event.profile else "MetaHuman: "
    return f"{where}the disk is low", [f"{event.free_bytes / _GB:.1f} GB are free.", *_reasons(event)], "warning"


def _reasons(event: Event) -> list[str]:
    shown = [f"- {_short(reason)}" for reason in event.reasons[:_SHOWN_REASONS]]
    left = len(event.reasons) - len(shown)
    return [*shown, f"- and {left} more"] if left else shown


def _memories(count: int) -> str:
    return "1 new memory" if count == 1 else f"{count} new memories"


def _short(text: str) -> str:
    said = visible(" ".join(text.split()))
    return said if len(said) <= _REASON_CHARS else f"{said[: _REASON_CHARS - 1]}…"
