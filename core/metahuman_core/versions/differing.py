"""In what two versions differ: memories, settings, measures, state. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from metahuman_core.ledger.states import Whereabouts
from metahuman_core.registry import Version
from metahuman_core.versions.learned import Learned, Line

_STATE = (
    "timestamp", "parent_version", "outcome", "storage", "publication", "pinned", "held", "mode_filter", "quantization",
    "adapter_bytes", "model_bytes", "gguf_bytes", "dataset_sha256",
)  # fmt: skip
_COUNTS = ("samples_trained", "memories_trained", "memories_replayed")


@dataclass(frozen=True, slots=True)
class MemoryTold:
    """A memory without its text. `source` is the file that says it, or said it last ("": nobody knows)."""

    digest: str
    kind: str
    day: str
    source: str
    superseded: bool


@dataclass(frozen=True, slots=True)
class Changed:
    """A value of the one and of the other; None where one has none."""

    name: str
    before: Any
    after: Any


@dataclass(frozen=True, slots=True)
class Difference:
    """From version `before` to version `after`.

    `added` and `removed`: what only the one's, or the other's, line learned. `superseded`: what both learned, and was
    outdated by the time of the later one. `unknown`: versions of which it is not known what they trained. `settings`:
    those that differ; None where one of the two has no journal (`without_journal`).
    """

    before: int
    after: int
    relation: str
    added: tuple[MemoryTold, ...]
    removed: tuple[MemoryTold, ...]
    superseded: tuple[MemoryTold, ...]
    unknown: tuple[int, ...]
    settings: tuple[Changed, ...] | None
    without_journal: tuple[int, ...]
    measures: tuple[Changed, ...]
    state: tuple[Changed, ...]


def difference(before: Line, after: Line, places: Mapping[str, Whereabouts]) -> Difference:
    """Hold two lines against each other; `places` are the ledger's."""
    both = before.memories.keys() & after.memories.keys()
    outdated = (before.stale ^ after.stale) & both
    numbers = before.version.version, after.version.version
    without = tuple(line.version.version for line in (before, after) if line.settings is None)
    return Difference(
        before=numbers[0],
        after=numbers[1],
        relation=_relation(before, after),
        added=_told((m for d, m in after.memories.items() if d not in both), places, after.stale),
        removed=_told((m for d, m in before.memories.items() if d not in both), places, before.stale),
        superseded=_told((after.memories[digest] for digest in outdated), places, outdated),
        unknown=tuple(sorted({*before.unknown, *after.unknown})),
        settings=_changes(before.settings, after.settings) if before.settings and after.settings else None,
        without_journal=without,
        measures=_side_by_side(_measures(before.version), _measures(after.version)),
        state=_changes(_state(before.version), _state(after.version)),
    )


def digests_between(before: Line, after: Line) -> frozenset[str]:
    """The memories that a difference names: those for which the ledger is asked."""
    both = before.memories.keys() & after.memories.keys()
    return frozenset((before.memories.keys() ^ after.memories.keys()) | ((before.stale ^ after.stale) & both))


def _relation(before: Line, after: Line) -> str:
    a, b = before.version.version, after.version.version
    if a == b:
        return f"both are version {a}"
    for older, newer in ((before, after), (after, before)):
        if older.version.version in newer.ancestry:
            way = newer.ancestry[1 : newer.ancestry.index(older.version.version)]
            by_way = f", by way of {', '.join(map(str, reversed(way)))}" if way else ""
            return f"version {newer.version.version} continues version {older.version.version}{by_way}"
    common = next((number for number in before.ancestry if number in after.ancestry), None)
    if common is None:
        return f"versions {a} and {b} have no version in common"
    return f"versions {a} and {b} are branches: they part at version {common}"


def _told(
    memories: Iterable[Learned], places: Mapping[str, Whereabouts], outdated: Iterable[str]
) -> tuple[MemoryTold, ...]:
    stale = frozenset(outdated)
    told = []
    for memory in memories:
        place = places.get(memory.digest)
        superseded = memory.digest in stale or (place is not None and not place.current)
        told.append(MemoryTold(memory.digest, memory.kind, memory.day, place.source if place else "", superseded))
    return tuple(sorted(told, key=lambda one: (one.day, one.kind, one.source, one.digest)))


def _measures(version: Version) -> dict[str, Any]:
    return {**{name: getattr(version, name) for name in _COUNTS}, **version.metrics}


def _state(version: Version) -> dict[str, Any]:
    return {name: getattr(version, name) for name in _STATE}


def _side_by_side(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[Changed, ...]:
    return tuple(Changed(name, before.get(name), after.get(name)) for name in dict.fromkeys([*before, *after]))


def _changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[Changed, ...]:
    return tuple(change for change in _side_by_side(before, after) if change.before != change.after)
