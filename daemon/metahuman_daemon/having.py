"""Sees to it that a version is here to be used: brings its adapter back, rebuilds model/ and GGUF, says the cost first.

Invariant: where all is here nothing is made and nothing is said.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from metahuman_core.errors import PassingError
from metahuman_core.layout import ProfilePaths, cycle_lock_path
from metahuman_core.locks import cycle_lock
from metahuman_core.progress import Report
from metahuman_core.registry import Registry, Version, load_registry
from metahuman_core.settings import Settings
from metahuman_core.versions.archive import archive_folder, bring_back
from metahuman_core.versions.parts import parts_of
from metahuman_core.versions.pruning.carrying_out import finish_prunings
from metahuman_core.versions.rebuilding.accepting import enter_storage
from metahuman_core.versions.rebuilding.order import Order
from metahuman_core.versions.rebuilding.planning import Making, Rebuilding, To, base_to_fetch, plan_rebuilding
from metahuman_core.versions.sane import require_sane
from metahuman_daemon.in_words import duration, size
from metahuman_daemon.locking import take_lock
from metahuman_daemon.worker import run_child

Say = Callable[[str], None]


def is_here(settings: Settings, profile: str, number: int, to: To) -> bool:
    """Whether the parts of a version are here already. Raises MetahumanError where there is no such version."""
    parts = parts_of(_entry(settings, profile, number)[1], ProfilePaths(settings.root, profile))
    return parts.has_gguf() and (to == "serving" or parts.has_model())


def look_ahead(settings: Settings, profile: str, number: int, to: To) -> list[str]:
    """What `have` would do, and what that costs, for people. Raises MetahumanError where it cannot be had."""
    registry, version = _entry(settings, profile, number)
    if base := base_to_fetch(version, to, registry, ProfilePaths(settings.root, profile)):
        return [f"{base[0]} is not here any more, and would be fetched again first, at {base[1][:12]}"]
    return describe(_plan(settings, profile, number, to)) or [f"version {number} is here: there is nothing to make"]


def have(
    settings: Settings,
    profile: str,
    number: int,
    to: To,
    report: Report,
    say: Say,
    lock_fd: int,
    *,
    accept: bool = False,
) -> Version:
    """Have a version here: `serving` (GGUF and adapter) or `full` (model/ too). Gives its entry as it stands then.

    Needs the cycle's lock, whose descriptor the child inherits. `accept`: it may come out otherwise than it was
    registered, and is entered so. Raises MetahumanError where it cannot be had, StoppedError if asked to stop.
    """
    finish_prunings(settings, profile, say)
    if not is_here(settings, profile, number, to):
        have_adapter(settings, profile, number, say)
        _have_hub_base(settings, profile, number, to, report, say)
    ahead = _plan(settings, profile, number, to, accept=accept)
    if ahead.makings:
        for line in describe(ahead):
            say(line)
        _require_room(settings.root, ahead)
        order = Order(
            root=settings.root.absolute(),
            profile=profile,
            registry=settings.registry_path(profile).absolute(),
            archive=archive_folder(settings),
            number=number,
            to=to,
            accept=accept,
        )
        run_child(["rebuild", order.as_json()], settings.root / "state" / "rebuild.log", lock_fd, report)
    version = _entry(settings, profile, number)[1]
    storage = parts_of(version, ProfilePaths(settings.root, profile)).storage()
    if version.storage != storage:  # killed before it was entered
        version = enter_storage(settings.registry_path(profile), version, storage)
    return version


def have_for(
    settings: Settings, profile: str, number: int, to: To, report: Report, say: Say, *, by_hand: bool
) -> Version:
    """`have` for what holds no lock: that is taken only where something has to be made. Raises BusyError where it is.

    `by_hand`: a person waits for it, and the daemon's own job makes way.
    """
    if is_here(settings, profile, number, to):
        return _entry(settings, profile, number)[1]
    what = f"rebuilding version {number} of profile {profile}"
    lock = take_lock(settings, what, say) if by_hand else cycle_lock(cycle_lock_path(settings.root), what)
    with lock as lock_fd:
        return have(settings, profile, number, to, report, say, lock_fd)


def have_base(
    settings: Settings, profile: str, anchor: str, of_parent: str | None, report: Report, say: Say, lock_fd: int
) -> None:
    """Have what a run trains on: the version's model/ that is its anchor; what it goes on from or is measured against,
    the parent's adapter or model/ (`of_parent`).
    """
    for version in _missing(settings, profile, anchor, of_parent):
        have(settings, profile, version.version, "full", report, say, lock_fd)
    registry = load_registry(settings.registry_path(profile))
    history = registry.training_history if registry and of_parent else ()
    for parent in (v for v in history if v.adapter_path == of_parent):
        have_adapter(settings, profile, parent.version, say)


def look_ahead_to_base(settings: Settings, profile: str, anchor: str, of_parent: str | None) -> list[str]:
    """What `have_base` would make, for people."""
    return [
        line
        for version in _missing(settings, profile, anchor, of_parent)
        for line in look_ahead(settings, profile, version.version, "full")
    ]


def _missing(settings: Settings, profile: str, *models: str | None) -> list[Version]:
    """The versions whose model/ these are, where it is not here."""
    registry = load_registry(settings.registry_path(profile)) or Registry()
    absent = [model for model in models if model and not (settings.root / model / "config.json").is_file()]
    return [version for model in absent if (version := registry.by_model_path(model))]


def have_adapter(settings: Settings, profile: str, number: int, say: Say) -> None:
    """Bring a version's adapter back from the archive, if that is where it is. Needs the cycle's lock."""
    version = _entry(settings, profile, number)[1]
    paths, archive = ProfilePaths(settings.root, profile), archive_folder(settings)
    if archive is None or not version.in_archive or parts_of(version, paths).has_adapter():
        return
    say(f"version {number}'s adapter comes back from {archive} ({size(version.adapter_bytes)})")
    bring_back(version, paths, archive)


def _have_hub_base(settings: Settings, profile: str, number: int, to: To, report: Report, say: Say) -> None:
    """Fetch the base of the Hub again that a version stands on, at its commit, if it is needed and not here."""
    registry, version = _entry(settings, profile, number)
    if base := base_to_fetch(version, to, registry, ProfilePaths(settings.root, profile)):
        say(f"version {number} stands on {base[0]}, which is not here any more: it is fetched again, at {base[1][:12]}")
        run_child(["fetch", *base, str(settings.root)], settings.root / "state" / "fetch.log", None, report)


def describe(ahead: Rebuilding) -> list[str]:
    """What is made, in what order, and what that costs, for people."""
    number = ahead.version.version
    lines = [
        f"version {making.version.version}: {_words(making)} made again{_for_what(ahead, at)}"
        for at, making in enumerate(ahead.makings)
    ]
    took = f"; it took {duration(ahead.took_s)} when it was made" if ahead.took_s is not None else ""
    cost = (
        f"version {number}: {size(ahead.reads_bytes)} are read and {size(ahead.writes_bytes)} written, "
        f"at most {size(ahead.peak_bytes)} of the disk are taken at a time{took}"
    )
    return [*lines, cost] if lines else []


def _words(making: Making) -> str:
    called = {"model": "model/", "gguf": "the GGUF"}
    return " and ".join(called[part] for part in making.makes) + (" are" if len(making.makes) > 1 else " is")


def _for_what(ahead: Rebuilding, at: int) -> str:
    """What a model/ is made for that goes again."""
    following = ahead.makings[at + 1 :]
    return f", for version {following[0].version.version}'s" if following else ""


def _require_room(root: Path, ahead: Rebuilding) -> None:
    free = shutil.disk_usage(root).free
    if free < ahead.peak_bytes:
        raise PassingError(
            f"rebuilding version {ahead.version.version} takes {size(ahead.peak_bytes)} of the disk, "
            f"and {size(free)} are free",
            "make room: `metahuman prune --dry-run` says what could go",
        )


def _plan(settings: Settings, profile: str, number: int, to: To, *, accept: bool = False) -> Rebuilding:
    registry, version = _entry(settings, profile, number)
    require_sane(registry)
    paths, archive = ProfilePaths(settings.root, profile), archive_folder(settings)
    return plan_rebuilding(version, to, registry, paths, archive, accept=accept)


def _entry(settings: Settings, profile: str, number: int) -> tuple[Registry, Version]:
    registry = load_registry(settings.registry_path(profile)) or Registry()
    return registry, registry.get(number)
