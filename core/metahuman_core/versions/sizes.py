"""How many versions there are of each storage, and what they take on this disk."""

from __future__ import annotations

from dataclasses import dataclass

from metahuman_core.layout import ProfilePaths
from metahuman_core.registry import Registry, Storage
from metahuman_core.versions.footprint import RANKS, File, files_of, taken_bytes
from metahuman_core.versions.parts import names_a_folder, parts_of


@dataclass(frozen=True, slots=True)
class Shelf:
    """The versions of one storage: how many, and the bytes of their adapters, `model/` and GGUFs here."""

    storage: Storage
    versions: int
    size_bytes: int


def shelves(registry: Registry | None, paths: ProfilePaths) -> tuple[Shelf, ...]:
    """One for each storage that any version has, the fullest first. What names no folder of ours takes no room."""
    counts: dict[Storage, int] = {}
    files: dict[Storage, list[File]] = {}
    for version in registry.training_history if registry else ():
        parts = parts_of(version, paths) if names_a_folder(version) else None
        storage = version.storage or (parts.storage() if parts else "removed")
        counts[storage] = counts.get(storage, 0) + 1
        if parts:
            files.setdefault(storage, []).extend(file for found in files_of(version, parts).values() for file in found)
    return tuple(
        Shelf(storage, counts[storage], taken_bytes(files.get(storage, ())))
        for storage in reversed(RANKS)
        if storage in counts
    )
