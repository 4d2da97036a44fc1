"""A tree of memory files in a temporary folder, and the reading of it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from metahuman_core.memories.model import Memory, Skipped
from metahuman_core.memories.read import Limits, read
from metahuman_core.memories.walk import FoundFile, walk

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class Tree:
    """A source directory that tests write into."""

    root: Path

    def write(self, source: str, content: Any) -> Path:
        """Put a file there: bytes and strings as they are, lists of a `.jsonl` line by line, all else as JSON."""
        path = self.root / source
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, list) and source.endswith(".jsonl"):
            content = "".join(json.dumps(record) + "\n" for record in content)
        if not isinstance(content, (bytes, str)):
            content = json.dumps(content)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def outcomes(self, limits: Limits = Limits()) -> list[Memory | Skipped]:  # noqa: B008 (it is frozen)
        """All that the tree holds."""
        return [
            outcome
            for found in walk(self.root)
            for outcome in (read(found, limits) if isinstance(found, FoundFile) else [found])
        ]

    def memories(self) -> list[Memory]:
        """The memories of a tree in which nothing may be set aside."""
        outcomes = self.outcomes()
        assert not [outcome for outcome in outcomes if isinstance(outcome, Skipped)]
        return [outcome for outcome in outcomes if isinstance(outcome, Memory)]

    def memory(self) -> Memory:
        """The only memory of the tree."""
        (memory,) = self.memories()
        return memory

    def reason(self) -> str:
        """Why the only thing in the tree was set aside."""
        (skipped,) = self.outcomes()
        assert isinstance(skipped, Skipped)
        return skipped.reason


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    root = tmp_path / "memory"
    root.mkdir()
    return Tree(root)
