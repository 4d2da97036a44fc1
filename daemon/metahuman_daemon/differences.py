"""Shows how two versions differ. Memories are told by kind, day and file, never by what they say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from metahuman_core.layout import ProfilePaths
from metahuman_core.ledger import Ledger
from metahuman_core.registry import Registry, load_registry
from metahuman_core.settings import Settings
from metahuman_core.versions.differing import Changed, Difference, MemoryTold, difference, digests_between
from metahuman_core.versions.learned import read_line
from metahuman_daemon.in_words import versions_named
from metahuman_daemon.visible import visible

_SHOWN = 20
_WIDTH = 24


def between(settings: Settings, profile: str, before: int, after: int) -> Difference:
    """The difference of two versions. Raises MetahumanError where one is not there."""
    registry = load_registry(settings.registry_path(profile)) or Registry()
    paths = ProfilePaths(settings.root, profile)
    chosen = registry.get(before), registry.get(after)
    lines = read_line(chosen[0], registry, paths), read_line(chosen[1], registry, paths)
    if not paths.ledger.is_file():
        return difference(*lines, {})
    with Ledger(paths.ledger) as ledger:
        return difference(*lines, ledger.whereabouts(digests_between(*lines)))


def lines_of(found: Difference) -> Iterator[str]:
    """The difference in lines for people."""
    yield found.relation
    yield from _memories(f"memories that only version {found.after} learned", "+", found.added)
    yield from _memories(f"memories that only version {found.before} learned", "-", found.removed)
    yield from _memories("memories that both learned, and that were corrected in between", "~", found.superseded)
    if found.unknown:
        yield f"memories: what {versions_named(found.unknown)} added is not known"
    if found.settings is None:
        yield f"settings: not known, for want of the journal of {versions_named(found.without_journal)}"
    else:
        yield from _changes("settings", found.settings) if found.settings else ["settings: the same"]
    yield from _changes("measures", found.measures)
    yield from _changes("state", found.state)


def _memories(title: str, sign: str, memories: Sequence[MemoryTold]) -> Iterator[str]:
    if not memories:
        return
    kinds = Counter(memory.kind or "of no kind" for memory in memories)
    counted = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
    yield f"{title}: {len(memories)} ({visible(counted)})"
    for memory in memories[:_SHOWN]:
        where = visible(memory.source) or memory.digest[:12]
        outdated = ", superseded" if memory.superseded and sign != "~" else ""
        yield f"  {sign} {memory.day or 'no date   '}  {visible(memory.kind)}  {where}{outdated}"
    if len(memories) > _SHOWN:
        yield f"  {sign} and {len(memories) - _SHOWN} more: --json has all"


def _changes(title: str, changes: Sequence[Changed]) -> Iterator[str]:
    if not changes:
        return
    yield f"{title}:"
    width = max(_WIDTH, *(len(change.name) for change in changes))
    for change in changes:
        if change.name == "system":
            yield f"  {change.name:<{width}}  changed"
        else:
            arrow = "=" if change.before == change.after else "→"
            yield f"  {change.name:<{width}}  {_value(change.before)} {arrow} {_value(change.after)}"


def _value(value: Any) -> str:
    if value is None or value == "":
        return "none"
    if isinstance(value, dict):
        return visible(", ".join(f"{name} {one}" for name, one in sorted(value.items())))
    text = str(value)
    return visible(text if len(text) <= 60 else f"…{text[-59:]}")  # noqa: PLR2004
