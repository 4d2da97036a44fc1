"""Judges memories once: which count, and why the others are settled. Pure, but for the index of those that count.

Invariant: the verdict follows from the memory, the settings and the memories judged before it; the same memories in the
same order are judged the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from metahuman_core.journal import digest_of
from metahuman_core.ledger import NEARLY_THE_SAME, NearIndex
from metahuman_core.memories.model import Memory
from metahuman_core.settings import DatasetSettings

_LETTERS = re.compile(r"[^\W\d_]")
_URL = re.compile(r"\S+://\S+")
_MIN_WORDS = 3


def judging_sha256(settings: DatasetSettings) -> str:
    """The digest of the settings that a verdict depends on: when they change, all is judged again."""
    return digest_of(["v1", settings.weights, settings.min_chars, settings.near_duplicate])


def judge(memories: Iterable[Memory], index: NearIndex, settings: DatasetSettings) -> Iterator[tuple[str, str]]:
    """Give (digest, reason) for each memory; an empty reason: it counts, and is added to the index.

    A verdict is to be written before the next one is asked for: it may follow from it.
    """
    for memory in memories:
        reason = memory.unfit or _junk(memory, settings) or _sampled_out(memory, settings)
        if not reason:
            text = memory.whole_text
            reason = NEARLY_THE_SAME if index.has(text) else ""
            if not reason:
                index.add(memory.digest, text)
        yield memory.digest, reason


def _junk(memory: Memory, settings: DatasetSettings) -> str:
    if memory.turns and not any(turn.role == "assistant" and turn.text.strip() for turn in memory.turns):
        return "a conversation without an answer"
    text = _URL.sub("", memory.whole_text)
    if len(text.strip()) < settings.min_chars:
        return "too short"
    letters = _LETTERS.findall(text)
    words = len(text.split())
    # Languages that write without spaces have few "words": letters count as well.
    if len(letters) < settings.min_chars // 2 or (words < _MIN_WORDS and text.isascii()):
        return "no words to learn from"
    return ""


def _sampled_out(memory: Memory, settings: DatasetSettings) -> str:
    """Decided once, by the memory's hash: a share of about `weight` of a type counts, and always the same ones."""
    weight = settings.weights.get(memory.kind, 1.0)
    if int(memory.digest[:8], 16) / 0x1_0000_0000 < weight:
        return ""
    return f"sampled out: {memory.kind} counts at {weight:g}"
