"""Figures, as people read them."""

from __future__ import annotations

from collections.abc import Sequence

_UNITS = ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"))
_LONG_S = 90.0


def size(count: int) -> str:
    """Bytes, for people."""
    for unit, name in _UNITS:
        if count >= unit:
            return f"{count / unit:.2f} {name}"
    return f"{count} bytes"


def duration(seconds: float) -> str:
    """A time that something takes, for people."""
    return f"{seconds / 60:.0f} min" if seconds > _LONG_S else f"{seconds:.0f} s"


def versions_named(numbers: Sequence[int]) -> str:
    """Versions by their numbers, for people."""
    return f"version{'s' * (len(numbers) > 1)} {', '.join(map(str, numbers))}"


def versions_counted(count: int) -> str:
    """A number of versions, for people."""
    return f"{count} version{'s' * (count != 1)}"
