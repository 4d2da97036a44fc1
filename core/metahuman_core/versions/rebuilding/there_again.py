"""What a rebuild that was killed has left whole under its name, and the registry has not been told of.

Invariant: the state of a version goes up to what lies there, never down; whether it stays is retention's to decide, and
nothing lies there for years that nobody counts. A part that has its name is whole; one of another size is not ours.
"""

from __future__ import annotations

from metahuman_core.durable import MODEL_CARD, size_bytes
from metahuman_core.layout import ProfilePaths
from metahuman_core.registry import Registry, Storage, Version
from metahuman_core.versions.footprint import rank
from metahuman_core.versions.parts import Parts, names_a_folder, parts_of
from metahuman_core.versions.pruning import tombstone


def with_what_is_there(registry: Registry, paths: ProfilePaths) -> Registry:
    """The registry, with the storage of each version that has more here than it says; the same where none has."""
    for version in registry.training_history:
        if storage := _more_than_said(version, paths):
            registry = registry.with_fields(version.version, storage=storage)
    return registry


def _more_than_said(version: Version, paths: ProfilePaths) -> Storage | None:
    """What it is by the disk, where that is more. One that was removed, or is being cleared away, is as it is said."""
    if version.storage in (None, "removed") or not names_a_folder(version):
        return None
    parts = parts_of(version, paths)
    there = parts.storage()
    if rank(there) <= rank(version.storage) or (parts.run_dir / tombstone.NAME).exists():
        return None
    return there if _has_its_sizes(version, parts, there) else None


def _has_its_sizes(version: Version, parts: Parts, there: Storage) -> bool:
    if size_bytes(parts.gguf) != version.gguf_bytes:
        return False
    model_bytes = size_bytes(parts.model) - size_bytes(parts.model / MODEL_CARD)
    return there != "full" or model_bytes == version.model_bytes
