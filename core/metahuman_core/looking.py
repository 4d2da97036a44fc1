"""Looks at a profile's memories: where they lie, what is missing, and the ledger brought up to what is there."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path

from metahuman_core.dataset.judge import judge, judging_sha256
from metahuman_core.errors import ConfigError
from metahuman_core.layout import ProfilePaths, relative_to_root
from metahuman_core.ledger import Ledger, ScanReport
from metahuman_core.memories.origin import Limits
from metahuman_core.memories.walk import FoundFile
from metahuman_core.plan import MEMORIES
from metahuman_core.registry import Registry
from metahuman_core.settings import Settings


def memory_folders(settings: Settings, profile: str) -> list[tuple[str, Path]]:
    """The folders in which a profile's memories lie or may lie, each with its label; whether they are there or not."""
    paths = ProfilePaths(settings.root, profile)
    folders = [("memory", paths.memory), ("persona/therapy", paths.therapy)]
    for extra in settings.profile(profile).memories:
        folder = settings.root / extra
        folders.append((relative_to_root(folder, settings.root), folder))
    return folders


def sources(settings: Settings, profile: str) -> list[tuple[str, Path]]:
    """The folders with a profile's memories, each with its label. Raises ConfigError where there are none."""
    folders = memory_folders(settings, profile)
    own = settings.profile(profile).memories
    for (_, folder), extra in zip(folders[len(folders) - len(own) :], own, strict=True):
        if not folder.is_dir():
            raise ConfigError(f"profiles.{profile}.memories: there is no folder {folder}", "name one that exists")
        if not _is_marked(settings, profile, folder):
            raise ConfigError(f"profiles.{profile}.marker: it is not in {extra}", "is its drive there?")
    there = [(label, folder) for label, folder in folders if folder.is_dir()]
    if not there:
        memory = ProfilePaths(settings.root, profile).memory
        raise ConfigError(
            f"profile {profile} has no memories: {memory} is not there",
            f"make it, or name other folders in [profiles.{profile}] memories",
        )
    return there


def missing_sources(settings: Settings, profile: str, ledger: Ledger) -> tuple[str, ...]:
    """What is not there today and should be: folders that are configured or were there before, markers."""
    folders = memory_folders(settings, profile)
    own = {settings.root / extra for extra in settings.profile(profile).memories}
    missing = []
    for label, folder in folders:
        if not folder.is_dir():
            if folder in own or ledger.knows(label):
                missing.append(f"the folder {folder} is missing")
        elif folder in own and not _is_marked(settings, profile, folder):
            missing.append(f"the marker {settings.profile(profile).marker} is missing in {folder}")
    if not missing and not any(folder.is_dir() for _, folder in folders):
        missing.append(f"the folder {folders[0][1]} is missing")
    return tuple(missing)


def _is_marked(settings: Settings, profile: str, folder: Path) -> bool:
    """Whether the marker lies in a folder, if the profile has one: an empty mount point has none."""
    marker = settings.profile(profile).marker
    return not marker or (folder / marker).exists()


def look(
    settings: Settings,
    profile: str,
    ledger: Ledger,
    registry: Registry | None,
    *,
    only: Collection[Path] | None = None,
    steady: Callable[[FoundFile], bool] | None = None,
) -> ScanReport:
    """Bring the ledger up to date: files (or just those in `only` these folders), verdicts, what versions trained."""
    limits = Limits(memory_bytes=settings.limits.memory_bytes, max_depth=settings.limits.json_depth)
    report = ledger.scan(sources(settings, profile), limits, only=only, steady=steady)
    dataset = settings.dataset
    ledger.judge(dataset.near_duplicate, judging_sha256(dataset), lambda fresh, index: judge(fresh, index, dataset))
    adopt_versions(ledger, registry, ProfilePaths(settings.root, profile))
    return report


def adopt_versions(ledger: Ledger, registry: Registry | None, paths: ProfilePaths) -> None:
    """Note in the ledger what the registered versions trained."""
    noted = ledger.adopted()
    for version in registry.training_history if registry else ():
        if version.run_label and version.run_label not in noted:
            ledger.adopt(version.run_label, paths.run_dir(version.run_label) / MEMORIES)
