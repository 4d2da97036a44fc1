"""What a model said of a memory, kept by the memory's hash: nobody is asked twice for the same.

Invariant: a file that is there is whole; what it says is what the model said, and is checked against the memory each
time that it is read. A file that cannot be read is none.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from metahuman_core.durable import partial_of, write_text
from metahuman_core.model_study.proposal import PROMPT_VERSION, Proposal

_DIGEST = re.compile(r"[0-9a-f]{64}")


class Said(BaseModel):
    """A model's answer. `fault`: why it could not be used at all ("" where it could)."""

    model_config = ConfigDict(frozen=True)

    model: str
    model_sha256: str
    prompt_version: int = PROMPT_VERSION
    fault: str = ""
    proposals: tuple[Proposal, ...] = ()

    def is_of(self, model_sha256: str) -> bool:
        """Whether this very model said it, to what it would be asked today."""
        return (self.model_sha256, self.prompt_version) == (model_sha256, PROMPT_VERSION)


def read_said(folder: Path, memory_digest: str) -> Said | None:
    """What was said of a memory, by whatever model; None where nothing is known."""
    try:
        return Said.model_validate_json(_path(folder, memory_digest).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, ValidationError):
        return None


def keep_said(folder: Path, memory_digest: str, said: Said) -> None:
    """Write it down. Raises OSError where the disk does not take it."""
    write_text(_path(folder, memory_digest), said.model_dump_json() + "\n")


def forget_studied(folder: Path, digests: Iterable[str]) -> int:
    """Delete what was said of these memories, half-written too. Gives how many were known. Raises OSError."""
    known = 0
    for digest in digests:
        if not _DIGEST.fullmatch(digest):
            continue
        path = _path(folder, digest)
        known += path.is_file()
        path.unlink(missing_ok=True)
        partial_of(path).unlink(missing_ok=True)
    return known


def _path(folder: Path, memory_digest: str) -> Path:
    return folder / f"{memory_digest}.json"
