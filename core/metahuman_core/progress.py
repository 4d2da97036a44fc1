"""How a step tells how far it is, and how it is asked to stop: the core's two wires to whoever runs it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Progress:
    """A step's state. `done` of `total` in `unit` (total 0: unknown); `loss` where it trains."""

    step: str
    done: float = 0
    total: float = 0
    unit: str = ""
    loss: float | None = None
    note: str = ""


Report = Callable[[Progress], None]
StopRequested = Callable[[], bool]
