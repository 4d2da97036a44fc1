"""Word lists as one reads them: in a line, with spaces between."""

from __future__ import annotations


def words(line: str) -> frozenset[str]:
    """The words of the line, as a set."""
    return frozenset(line.split())
