"""Clears a version's files away: those that its storage, as the registry says it, does not hold.

Invariants: a file leaves its name before it is deleted, so that a name that exists is whole; an adapter goes from here
only while its copy in the cold storage is seen to be whole. Needs the cycle's lock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from metahuman_core.durable import fsync_path, partial_of, remove
from metahuman_core.errors import MetahumanError
from metahuman_core.layout import ProfilePaths
from metahuman_core.registry import Registry, Version, load_registry, update_registry
from metahuman_core.settings import Settings
from metahuman_core.versions.archive import archive_folder, archived_adapter, check_archive, drop, put_away
from metahuman_core.versions.footprint import files_of, freed_bytes, parts_below
from metahuman_core.versions.parts import Part, Parts, parts_of
from metahuman_core.versions.sane import require_sane


@dataclass(frozen=True, slots=True)
class Site:
    """Where a profile's versions lie. `archive` is the cold storage, if there is one."""

    registry_path: Path
    paths: ProfilePaths
    archive: Path | None

    def registry(self) -> Registry:
        """The registry, which must make sense, and be that of what lies here. Raises MetahumanError where it is not."""
        registry = load_registry(self.registry_path) or Registry()
        require_sane(registry)
        there = [
            parts_of(v, self.paths).run_dir for v in registry.training_history if v.storage not in (None, "removed")
        ]
        if there and not any(run_dir.is_dir() for run_dir in there):
            raise MetahumanError(
                f"no version that the registry knows is in {self.paths.runs}",
                f"is its drive mounted, and are they profile {self.paths.name}'s? Nothing is deleted",
            )
        return registry


def site_of(settings: Settings, profile: str) -> Site:
    """Where the settings say that a profile's versions lie."""
    paths = ProfilePaths(settings.root, profile)
    return Site(settings.registry_path(profile), paths, archive_folder(settings))


def archive_of(site: Site, *, used: bool) -> Path:
    """The cold storage, which must be there. `used`: versions are known to lie in it. Raises MetahumanError."""
    if site.archive is None:
        raise MetahumanError("its adapter lies in an archive", "say in retention.archive_dir where that is")
    check_archive(site.archive, used=used)
    return site.archive


def put_away_there(version: Version, site: Site) -> None:
    """Have a whole copy of a version's adapter in the cold storage. Raises as `put_away`."""
    used = any(v.in_archive for v in site.registry().training_history)
    put_away(version, site.paths, archive_of(site, used=used), used=used)


class NotMoved(Exception):  # noqa: N818 - a state of the world, not of the code
    """A file could not be taken out of its name; all have their names still."""

    def __init__(self, why: OSError) -> None:
        super().__init__(str(why))
        self.why = why


def clear(version: Version, parts: Iterable[Part], site: Site, reached: Callable[[str], None] = lambda _: None) -> int:
    """Delete those of the parts that the registry's storage does not hold. Gives the bytes that are free now.

    Raises NotMoved, and nothing is deleted, where one of them cannot be taken out of its name.
    """
    here = parts_of(version, site.paths)
    # How many names a file has is known now: a tag that Ollama was rid of has taken its own along.
    files = files_of(version.model_copy(update={"publication": "off"}), here)
    going = [
        part for part in parts_below(files, version.storage or "full", archives=version.in_archive) if part in parts
    ]
    if "adapter" in going and version.storage != "removed":
        put_away_there(version, site)  # that it lies there, whole, is seen again before it goes from here
    archive = _archive_to_clear(version, site) if version.storage == "removed" else None
    places = [getattr(here, part) for part in going]
    freed = freed_bytes(file for part in going for file in files[part])
    _rename_all(places)
    reached("renamed")
    for place in _all_places(here):
        remove(partial_of(place))
        reached("removed")
    fsync_path(here.run_dir)
    if archive:
        drop(version, site.paths, archive)
        update_registry(site.registry_path, lambda now: now.with_fields(version.version, in_archive=False))
    return freed


def _archive_to_clear(version: Version, site: Site) -> Path | None:
    """The cold storage where a version's adapter lies there, or may: it was killed before the registry was told."""
    if version.in_archive:
        return archive_of(site, used=True)
    if site.archive is None:
        return None
    copy = archived_adapter(version, site.paths, site.archive)
    return site.archive if copy.is_dir() or partial_of(copy).is_dir() else None


def _rename_all(places: list[Path]) -> None:
    moved: list[Path] = []
    try:
        for place in places:
            remove(partial_of(place))
            place.rename(partial_of(place))
            moved.append(place)
    except OSError as error:
        for place in moved:
            partial_of(place).rename(place)
        raise NotMoved(error) from error
    if places:
        fsync_path(places[0].parent)


def _all_places(here: Parts) -> tuple[Path, ...]:
    return (here.gguf, here.model, here.adapter)
