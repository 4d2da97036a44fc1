"""Whether the disk has room for the next version, and what would make some. Asked before hours are spent on it."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from metahuman_core.errors import MetahumanError, PassingError
from metahuman_core.layout import ProfilePaths
from metahuman_core.preflight import Moment, moments, peak
from metahuman_core.registry import Registry
from metahuman_core.settings import Settings
from metahuman_core.versions.archive import archive_folder
from metahuman_core.versions.rebuilding.planning import plan_rebuilding
from metahuman_core.versions.sizes import shelves
from metahuman_daemon.in_words import size
from metahuman_daemon.retention import plan_ahead


def require_room(
    settings: Settings,
    profile: str,
    registry: Registry | None,
    *,
    run_dir: Path | None = None,
    base: str | None = None,
    models: Iterable[str | None] = (),
) -> None:
    """Raise PassingError where the next version would fill the disk up; a base of unknown size is let through.

    `run_dir`: the unfinished run that goes on; `base`: the base if it was named; `models`: versions' model/ that
    it needs, its anchor perhaps.
    """
    ahead = moments(settings, registry, run_dir, base)
    for model in models:
        if ahead and registry and model:
            ahead = _with_rebuilt(settings, profile, registry, model, ahead)
    most = peak(ahead)
    free_bytes = shutil.disk_usage(settings.root).free
    if most is None or most.needs_bytes <= free_bytes:
        return
    others = ", ".join(f"{moment.step} {size(moment.needs_bytes)}" for moment in ahead if moment != most)
    raise PassingError(
        f"too little room in {settings.root}: {most.step} will take {size(most.needs_bytes)}"
        f"{f' ({others})' if others else ''}, and {size(free_bytes)} are free",
        _ways_out(settings, profile, registry),
    )


def _with_rebuilt(
    settings: Settings, profile: str, registry: Registry, model: str, ahead: tuple[Moment, ...]
) -> tuple[Moment, ...]:
    """The same, after a version's `model/` was rebuilt that is needed and is not here."""
    version = registry.by_model_path(model)
    if version is None or (settings.root / model / "config.json").is_file():
        return ahead
    try:
        paths = ProfilePaths(settings.root, profile)
        rebuilding = plan_rebuilding(version, "full", registry, paths, archive_folder(settings))
    except MetahumanError:
        return ahead  # who rebuilds it says why it cannot be
    kept = {part for making in rebuilding.makings for part in making.keeps}
    stays_bytes = ("model" in kept) * version.model_bytes + ("gguf" in kept) * version.gguf_bytes
    first = Moment("rebuilding the base", rebuilding.peak_bytes)
    return (first, *(replace(moment, needs_bytes=moment.needs_bytes + stays_bytes) for moment in ahead))


def _ways_out(settings: Settings, profile: str, registry: Registry | None) -> str:
    """Which command, and which setting, would free how much."""
    try:
        frees_bytes = plan_ahead(settings, profile).frees_bytes
    except MetahumanError:
        frees_bytes = 0  # which `prune` says itself
    found = shelves(registry, ProfilePaths(settings.root, profile))
    all_bytes = sum(shelf.size_bytes for shelf in found)
    archived_bytes = sum(shelf.size_bytes for shelf in found if shelf.storage == "archived")
    ways = [f"`metahuman prune` frees {size(frees_bytes)}"] if frees_bytes else []
    if all_bytes:
        ways.append(f"[retention] max_total_gb bounds the {size(all_bytes)} of all versions")
    if archived_bytes and not settings.retention.archive_dir:
        ways.append(f"archive_dir takes {size(archived_bytes)} of adapters to another disk")
    return "; ".join(ways) or "make room on it, or choose a smaller base"
