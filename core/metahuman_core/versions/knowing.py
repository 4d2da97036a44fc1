"""Which versions know what: those that trained a memory, and those whose weights go back to one that did. Pure.

Invariant: a version whose weights may hold a memory is never said to be free of it. What an imported version trained
nobody knows: it is named as such (`versions_untold`), and calls for nothing.
"""

from __future__ import annotations

from collections.abc import Collection

from metahuman_core.registry import Registry, Version
from metahuman_core.versions.protected import anchor_version


def versions_that_know(registry: Registry | None, runs: Collection[str]) -> frozenset[int]:
    """The numbers of the versions that one of these runs (labels) made, and of all that stand on them."""
    if registry is None or not runs:
        return frozenset()
    found: set[int] = set()
    for version in sorted(registry.training_history, key=lambda version: version.version):  # parents are older
        if version.run_label in runs or any(one.version in found for one in _made_of(version, registry)):
            found.add(version.version)
    return frozenset(found)


def versions_untold(registry: Registry | None, noted: Collection[str]) -> tuple[int, ...]:
    """The versions of which nobody knows what they trained, and those that stand on them. `noted`: the runs (labels) of
    which it is known.
    """
    if registry is None:
        return ()
    untold = {version.run_label for version in registry.training_history} - set(noted)
    found = versions_that_know(registry, untold)
    return tuple(v.version for v in still_there(registry, found) if v.storage != "removed")


def still_there(registry: Registry, numbers: Collection[int]) -> tuple[Version, ...]:
    """Those of these versions of which not all was erased; of some the tag in Ollama is left, until it answers."""
    return tuple(
        v for v in registry.training_history if v.version in numbers and (not v.erased or v.publication == "done")
    )


def _made_of(version: Version, registry: Registry) -> tuple[Version, ...]:
    """The versions in whose weights its training began: its parent, if it did not begin at the anchor; its anchor."""
    parent = registry.find(version.parent_version) if version.parent_version and not version.consolidated else None
    return tuple(one for one in (parent, anchor_version(version, registry)) if one is not None)
