"""A memory as a row of the ledger, and back; and which memories count.

Invariant: what comes back is equal to what was written.
"""

from __future__ import annotations

import json
from datetime import datetime

from metahuman_core.memories.model import Memory, Turn

COLUMNS = "source, unit, kind, mode, happened_at, title, tags, body, unfit"
"""What makes a memory, in the order of `memory_of`; a row's `source` has its label."""

OLDEST_FIRST = "ORDER BY coalesce(julianday(happened_at), 0), digest"
"""By the moment, whatever the time zone."""

SAID = "EXISTS (SELECT 1 FROM slots WHERE slots.digest = memories.digest)"
"""Some file says it; else it is superseded."""

CURRENT = f"settled = '' AND settled_under <> '' AND {SAID}"
"""It was judged, and counts."""


def row_of(memory: Memory, source: str) -> tuple[str | None, ...]:
    """The values of `digest` and of COLUMNS."""
    when = memory.happened_at.isoformat() if memory.happened_at else None
    said = [[turn.role, turn.text] for turn in memory.turns] if memory.turns else memory.text
    return (
        memory.digest,
        source,
        memory.unit,
        memory.kind,
        memory.mode,
        when,
        memory.title,
        json.dumps(memory.tags),
        json.dumps(said, ensure_ascii=False),
        memory.unfit,
    )


def memory_of(
    source: str, unit: str, kind: str, mode: str, when: str | None, title: str, tags: str, body: str, unfit: str
) -> Memory:
    """The memory of a row's COLUMNS."""
    said = json.loads(body)
    return Memory(
        source=source,
        unit=unit,
        kind=kind,
        mode=mode,  # type: ignore[arg-type]  # written from a Memory
        happened_at=datetime.fromisoformat(when) if when else None,
        turns=tuple(Turn(role, text) for role, text in said) if isinstance(said, list) else (),
        text=said if isinstance(said, str) else "",
        tags=tuple(json.loads(tags)),
        title=title,
        unfit=unfit,
    )
