"""Which versions must stay as they are: whoever clears away asks here first. Pure.

Invariant: what people talk to, what a rollback goes back to and what the next run starts from is never touched.
"""

from __future__ import annotations

from collections.abc import Mapping

from metahuman_core.lineage import base_name
from metahuman_core.registry import Registry, Version


def protections(registry: Registry) -> Mapping[int, tuple[str, ...]]:
    """The versions that keep their storage, by their numbers, each with its reasons."""
    live = registry.live()
    parent = registry.find(live.parent_version) if live and live.parent_version else None
    because = (
        (live, "the live version"),
        (parent, "the parent of the live version"),
        (rollback_target(registry), "the version that a rollback goes back to"),
        (anchor_version(live, registry) if live else None, "its model/ is the base that the live version stands on"),
        (registry.by_model_path(base_name(None, registry)), "the base of the next run"),
        *((version, "pinned") for version in registry.training_history if version.pinned),
    )
    found: dict[int, tuple[str, ...]] = {}
    for version, reason in because:
        if version is not None:
            found[version.version] = (*found.get(version.version, ()), reason)
    return found


def rollback_target(registry: Registry) -> Version | None:
    """The version that a rollback goes back to: the nearest usable one of the live version's ancestry.

    A live version without a parent began a lineage: then it is the newest older one that was live once.
    """
    live = registry.live()
    if live is None:
        return None
    line = registry.ancestry(live)[1:]
    if not line:
        older = (v for v in registry.training_history if v.version < live.version and v.outcome == "superseded")
        line = tuple(sorted(older, key=lambda version: version.version, reverse=True))
    return next((v for v in line if not v.is_rejected and v.storage != "removed"), None)


def anchor_version(version: Version, registry: Registry) -> Version | None:
    """The version whose `model/` this one was trained on; None where its anchor is a base of its own."""
    anchor = registry.by_model_path(version.anchor_model)
    return anchor if anchor is None or anchor.version != version.version else None
