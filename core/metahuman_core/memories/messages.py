"""One message of a conversation, whoever recorded it, and how messages make exchanges.

Invariant: an exchange is what one side asked and the other answered, and nothing else: it says the same in an export
that has grown since, so that only what is new is new.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from metahuman_core.memories.labels import kind_mode
from metahuman_core.memories.model import Mode, Role, Turn
from metahuman_core.memories.opened import larger_than

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from metahuman_core.memories.origin import Origin, Outcome

_ROLE_BY_NAME: dict[str, Role] = {
    "user": "user",
    "human": "user",
    "me": "user",
    "prompter": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "model": "assistant",
    "bot": "assistant",
    "ai": "assistant",
    "system": "system",
}


@dataclass(frozen=True, slots=True)
class Message:
    """One side's words at one place of a conversation."""

    unit: str
    role: Role
    text: str
    at: datetime | None = None


def role_of(name: Any) -> Role | None:
    """The role that services call by this name; None for tools, functions and whatever else is no speaker."""
    return _ROLE_BY_NAME.get(name.strip().lower()) if isinstance(name, str) else None


def words(value: Any) -> str:
    """The text in a message's content: a string, a `{text}` block, or a list of them; images and the rest are "" ."""
    if isinstance(value, list):
        return "\n\n".join(text for block in value if not isinstance(block, list) and (text := words(block).strip()))
    if isinstance(value, dict):
        value = value.get("text") if value.get("type", "text") in ("text", "input_text", "output_text") else None
    return value if isinstance(value, str) else ""


def turn_of(message: Any) -> Turn | None:
    """The turn in `{role, content}` or `{from, value}`; None where the role is unknown or nothing is said."""
    if not isinstance(message, dict):
        return None
    role = role_of(message.get("role", message.get("from")))
    text = words(message.get("content", message.get("value"))).strip()
    return Turn(role, text) if role and text else None


def turns_of(messages: Any) -> tuple[Turn, ...]:
    """The turns in a list of messages; what is none is passed over."""
    listed = messages if isinstance(messages, list) else ()
    return tuple(turn for message in listed if (turn := turn_of(message)))


@dataclass(slots=True)
class Exchanges:
    """Cuts a stream of messages into exchanges, one message at a time, in bounded memory.

    A user's message after an answer begins a new exchange; several messages of one side in a row are one turn.
    The exchange's unit is its first message's.
    """

    origin: Origin
    title: str = ""
    kind: str = "conversation"
    mode: Mode | None = None
    _said: dict[Role, list[str]] = field(default_factory=dict)
    _unit: str = ""
    _at: datetime | None = None
    _bytes: int = 0

    def add(self, message: Message) -> Iterator[Outcome]:
        """Take one message in; gives the exchange that it ended, if it did."""
        if message.role == "system" or not message.text:
            return
        if message.role == "user" and "assistant" in self._said:
            yield from self.close()
        if not self._said:
            self._unit = message.unit
        self._at = self._at or message.at
        said = self._said.setdefault(message.role, [])
        self._bytes += len(message.text.encode())
        if self._bytes <= self.origin.limits.memory_bytes:
            said.append(message.text)

    def close(self) -> Iterator[Outcome]:
        """Give what has been said since the last exchange ended."""
        if self._said:
            yield self._exchange()
        self._said, self._unit, self._at, self._bytes = {}, "", None, 0

    def _exchange(self) -> Outcome:
        place, limit = self.origin.at(self._unit), self.origin.limits.memory_bytes
        if self._bytes > limit:
            return place.skipped(larger_than(limit))
        if "user" not in self._said:
            return place.skipped("an answer to nothing: no question stands before it")
        if "assistant" not in self._said:
            return place.skipped("not answered yet")
        roles: tuple[Role, ...] = ("user", "assistant")
        turns = tuple(Turn(role, "\n\n".join(self._said[role])) for role in roles)
        return place.memory(
            kind=self.kind, mode=self.mode or kind_mode(self.kind), happened_at=self._at, turns=turns, title=self.title
        )


def exchanges(
    messages: Iterable[Message], origin: Origin, title: str = "", mode: Mode | None = None
) -> Iterator[Outcome]:
    """The exchanges of one whole conversation, each a memory; without a mode, the one of conversations."""
    thread = Exchanges(origin, title, mode=mode)
    for message in messages:
        yield from thread.add(message)
    yield from thread.close()
