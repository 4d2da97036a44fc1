"""Memories that are held: what only versions that were rolled back have trained, until a person lets them go."""

from __future__ import annotations

from collections.abc import Iterable

from metahuman_core.layout import ProfilePaths
from metahuman_core.ledger import Ledger
from metahuman_core.lineage import held_memories
from metahuman_core.looking import adopt_versions
from metahuman_core.registry import Registry, load_registry, update_registry
from metahuman_core.settings import Settings
from metahuman_core.versions.moving import released


def release_held(settings: Settings, profile: str) -> int:
    """Let no memory of a profile be held any more. Gives how many were. Raises MetahumanError for a broken registry."""
    path = settings.registry_path(profile)
    registry = load_registry(path)
    if registry is None or not any(version.held for version in registry.training_history):
        return 0
    count = count_held(settings, profile, registry)
    update_registry(path, released)
    return count


def count_held(settings: Settings, profile: str, registry: Registry) -> int:
    """How many memories are held, by what the ledger knows of the files."""
    held = held_memories(registry)
    return count_only_trained_by(settings, profile, registry, held.runs, held.kept)


def count_only_trained_by(
    settings: Settings, profile: str, registry: Registry, runs: Iterable[str], others: Iterable[str]
) -> int:
    """How many memories that count were trained by `runs` (labels) and by none of `others`."""
    paths = ProfilePaths(settings.root, profile)
    with Ledger(paths.ledger) as ledger:
        adopt_versions(ledger, registry, paths)
        return ledger.only_trained_by(tuple(runs), tuple(others))


def memories_are(count: int) -> str:
    """A number of memories as the beginning of a sentence."""
    return "1 memory is" if count == 1 else f"{count} memories are"
