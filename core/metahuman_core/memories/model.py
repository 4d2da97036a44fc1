"""What a memory is: a unit of text, known by the hash of what it says.

Invariant: two memories with the same `digest` say the same, whatever file, id or metadata they came with; what is not
said (flags, ids, paths) is outside the digest, so that a tool which rewrites `metadata` makes no new memory.
"""

from __future__ import annotations

import hashlib
import json
import unicodedata
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

Role = Literal["system", "user", "assistant"]
Mode = Literal["dual", "agent", "emulation"]


@dataclass(frozen=True, slots=True)
class Turn:
    """One side's words. In a conversation `assistant` is the person's own voice (emulation), `user` the other side."""

    role: Role
    text: str


@dataclass(frozen=True, slots=True)
class Memory:
    """One unit of text.

    `source` is the file's path relative to its source directory (POSIX), `unit` the place inside the file ("" where
    a file is one memory), together the slot: when a slot's digest changes, its old memory is superseded.
    A conversation has `turns` and an empty `text`; everything else has `text` and no turns.
    `unfit` is the reason why it must not be trained ("" where it may be).
    """

    source: str
    unit: str
    kind: str
    mode: Mode
    happened_at: datetime | None
    turns: tuple[Turn, ...]
    text: str
    tags: tuple[str, ...] = ()
    title: str = ""
    unfit: str = ""

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of the normalised content."""
        return content_digest(self.turns, self.text)

    @property
    def whole_text(self) -> str:
        """All that it says, in one string."""
        return "\n".join(turn.text for turn in self.turns) if self.turns else self.text

    @property
    def instant(self) -> str:
        """When it happened, in UTC, as text that sorts as time does ("", before all others, where nobody knows)."""
        return self.happened_at.astimezone(UTC).isoformat() if self.happened_at else ""


@dataclass(frozen=True, slots=True)
class Trained:
    """A memory that a line of versions has trained: the labels of the first and of the last run that did."""

    first: str
    last: str
    memory: Memory


@dataclass(frozen=True, slots=True)
class Skipped:
    """Something that was set aside, with the reason that `status` shows."""

    source: str
    reason: str
    unit: str = ""


def normalise(text: str) -> str:
    r"""One form for what reads the same: NFC, line ends as `\n`, no white space at line ends or around the whole."""
    text = unicodedata.normalize("NFC", text.replace("\r\n", "\n").replace("\r", "\n"))
    return "\n".join(line.rstrip() for line in text.split("\n")).strip()


def content_digest(turns: tuple[Turn, ...], text: str) -> str:
    """SHA-256 (hex) over the normalised turns, or the normalised text where there are none."""
    said = [[turn.role, normalise(turn.text)] for turn in turns] if turns else [["text", normalise(text)]]
    return hashlib.sha256(json.dumps(said, ensure_ascii=False, separators=(",", ":")).encode()).hexdigest()
