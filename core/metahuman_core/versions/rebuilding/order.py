"""What a child is told to rebuild, as a word of its command line."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter

from metahuman_core.versions.rebuilding.planning import To


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be had: version `number` to be served or full. `accept`: whatever its hashes are then."""

    root: Path
    profile: str
    registry: Path
    archive: Path | None
    number: int
    to: To
    accept: bool = False

    def as_json(self) -> str:
        """For a child's command line."""
        return TypeAdapter(Order).dump_json(self).decode()


def read_order(text: str) -> Order:
    """An order as it was written for a child."""
    return TypeAdapter(Order).validate_json(text)
