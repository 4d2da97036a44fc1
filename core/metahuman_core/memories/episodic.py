"""An episodic memory: one JSON object, one memory, in any of the shapes that conversations took over the years.

Invariant: a conversation comes out the same from every shape, and flags in `metadata` change nothing of what is said.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from metahuman_core.memories.labels import kind_of, line, mode_of, part, tags_of, unfit_reason
from metahuman_core.memories.messages import turns_of, words
from metahuman_core.memories.model import Turn
from metahuman_core.memories.transcript import transcript
from metahuman_core.memories.when import first_moment, id_moment, path_moment

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from metahuman_core.memories.origin import Origin, Outcome
    from metahuman_core.memories.strict_json import JsonObject

_TIME_KEYS = ("timestamp", "originalTimestamp", "capturedAt", "answeredAt", "createdAt", "created_at", "date")
_TEXT_KEYS = ("content", "text", "description", "summary")
_TELLING_KEYS = {*_TEXT_KEYS, "response", "messages", "prompt", "question", "answer", "completion", "metadata"}


def is_episodic(memory: JsonObject) -> bool:
    """Whether this object has any of the fields in which an episodic memory says something."""
    return not _TELLING_KEYS.isdisjoint(memory)


def read_episodic(memory: JsonObject, origin: Origin) -> Iterator[Outcome]:
    """The one memory in `memory`: turns where a shape of a conversation fits, else its text."""
    turns = next((found for shape in _SHAPES if (found := shape(memory))), ())
    kind = kind_of(memory, origin.kind or ("conversation" if turns else "observation"))
    tags = tags_of(memory.get("tags"))
    yield origin.memory(
        kind=kind,
        mode=mode_of(memory, kind),
        happened_at=time_of(memory, origin.source),
        turns=turns,
        text=_text(memory),
        tags=tags,
        title=line(memory, "title").strip(),
        unfit=unfit_reason(memory, tags),
    )


def time_of(memory: JsonObject, source: str) -> datetime | None:
    """When it happened: the object's own word, else its id's, else its path's."""
    return first_moment(*map(memory.get, _TIME_KEYS)) or id_moment(memory.get("id")) or path_moment(source)


def pair(asked: str, answered: str) -> tuple[Turn, ...]:
    """Two turns, or none where one side says nothing."""
    if not (asked.strip() and answered.strip()):
        return ()
    return Turn("user", asked.strip()), Turn("assistant", answered.strip())


def _message_list(memory: JsonObject) -> tuple[Turn, ...]:
    return _if_two_sided(turns_of(memory.get("messages")))


def _pair_in_content(memory: JsonObject) -> tuple[Turn, ...]:
    content = part(memory, "content")
    return pair(line(content, "userMessage"), line(content, "assistantMessage", "assistantResponse"))


def _transcript_and_response(memory: JsonObject) -> tuple[Turn, ...]:
    """`User: …` and `Assistant: …` in one text, or `Me: "…"` that a response follows."""
    turns, response = transcript(words(memory.get("content"))), line(memory, "response").strip()
    is_answered = bool(turns) and turns[-1] == Turn("assistant", response)
    if turns and response and not is_answered:
        turns = (*turns, Turn("assistant", response))
    return _if_two_sided(turns)


def _content_and_response(memory: JsonObject) -> tuple[Turn, ...]:
    return pair(words(memory.get("content")), line(memory, "response"))


def _prompt_and_response(memory: JsonObject) -> tuple[Turn, ...]:
    return pair(line(memory, "prompt"), line(memory, "response", "completion"))


def _question_and_answer(memory: JsonObject) -> tuple[Turn, ...]:
    return pair(line(memory, "question"), line(memory, "answer"))


def _pair_in_metadata(memory: JsonObject) -> tuple[Turn, ...]:
    metadata = part(memory, "metadata")
    return pair(line(metadata, "userMessage"), line(metadata, "assistantResponse"))


_SHAPES = (
    _message_list,
    _pair_in_content,
    _transcript_and_response,
    _content_and_response,
    _prompt_and_response,
    _question_and_answer,
    _pair_in_metadata,
)


def _if_two_sided(turns: tuple[Turn, ...]) -> tuple[Turn, ...]:
    return turns if {"user", "assistant"} <= {turn.role for turn in turns} else ()


def _text(memory: JsonObject) -> str:
    """What is said where nobody answers: the text without a lone speaker's label, or the words of one side."""
    text = next((found for key in _TEXT_KEYS if (found := words(memory.get(key)).strip())), "")
    text = text or line(part(memory, "content"), "userMessage", "assistantMessage", "assistantResponse")
    text = text or line(memory, "response", "prompt", "question", "answer")
    monologue = transcript(text) or turns_of(memory.get("messages"))
    return "\n\n".join(turn.text for turn in monologue) or text
