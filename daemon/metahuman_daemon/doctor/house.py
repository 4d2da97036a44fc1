"""The house: the root, its disk, and each profile's memories, registry and versions."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

from metahuman_core.config import refuse_clashes
from metahuman_core.errors import MetahumanError
from metahuman_core.lineage import choose_start
from metahuman_core.looking import sources
from metahuman_core.preflight import next_version_bytes
from metahuman_core.registry import FALLBACK_BASE, Registry, load_registry
from metahuman_core.settings import Settings, check_profile_name
from metahuman_core.unfinished import unfinished_run
from metahuman_core.versions.archive import archive_folder
from metahuman_core.versions.retention.policy import policy_of
from metahuman_core.versions.sane import faults
from metahuman_daemon.clock import now
from metahuman_daemon.doctor.finding import Finding
from metahuman_daemon.options import known_profiles

_GIB = 1 << 30
_LOW_DISK_BYTES = 5 * _GIB


def root(settings: Settings) -> Iterator[Finding]:
    """Whether the root can be written, and has room for the next version."""
    folder = settings.root
    if not folder.is_dir():
        yield Finding("error", f"the root {folder} is not there", "make it, or set root in the config")
        return
    if not os.access(folder, os.W_OK):
        yield Finding("error", f"the root {folder} cannot be written", "check its owner and mode")
    yield room(shutil.disk_usage(folder).free, _needed_bytes(settings), f"in {folder}")


def room(free_bytes: int, needed_bytes: int, where: str) -> Finding:
    """Whether the disk has room; of a model that is not here yet nothing is known, and little is too little."""
    free = f"{free_bytes / _GIB:.1f} GiB free {where}"
    if needed_bytes > free_bytes:
        return Finding(
            "warning",
            f"{free}; the next version needs about {needed_bytes / _GIB:.1f}",
            "it waits until then: `metahuman prune --dry-run` says what could go",
        )
    if not needed_bytes and free_bytes <= _LOW_DISK_BYTES:
        return Finding("warning", free, "a cycle needs about three times the model's size")
    return Finding("ok", f"{free}; the next version needs about {needed_bytes / _GIB:.1f}" if needed_bytes else free)


def retention(settings: Settings) -> Iterator[Finding]:
    """Whether older versions can be cleared away, and where to."""
    try:
        policy_of(settings.retention)
    except MetahumanError as error:
        yield Finding("error", error.message, error.hint)
    archive = archive_folder(settings)
    if archive and not archive.is_dir():
        yield Finding("warning", f"the archive {archive} is not there", "mount it, or make the folder")


def _needed_bytes(settings: Settings) -> int:
    """What the next version of any profile needs at most."""
    needed = [0]
    for name in known_profiles(settings):
        try:
            registry, journal = load_registry(settings.registry_path(name)), unfinished_run(settings, name, now)
        except MetahumanError:
            continue  # the profile's own finding
        needed.append(next_version_bytes(settings, registry, journal.run_dir if journal else None))
    return max(needed)


def profiles(settings: Settings) -> Iterator[Finding]:
    """Each profile's memories, registry, next base and versions."""
    names = known_profiles(settings)
    if not names:
        yield Finding(
            "warning", f"no profile under {settings.root / 'profiles'}", "put memories into profiles/NAME/memory"
        )
    try:
        refuse_clashes(settings, names)
    except MetahumanError as error:
        yield Finding("error", error.message, error.hint)
    for name in names:
        yield from _memories(settings, name)
        path = settings.registry_path(name)
        try:
            registry = load_registry(path)
        except MetahumanError as error:
            yield Finding("error", error.message, error.hint)
            continue
        if registry is None:
            yield Finding("ok", f"profile {name}: no registry yet; the first run starts from {FALLBACK_BASE}")
            continue
        yield Finding("ok", f"profile {name}: {len(registry.training_history)} versions in {path}")
        if found := faults(registry):
            more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
            what = f"profile {name}: its registry contradicts itself: {found[0]}{more}"
            yield Finding("error", what, "mend it or put a backup in place: until then nothing is cleared away")
        yield from _next_base(settings, name, registry)
        yield from _versions(settings, name, registry)


def _versions(settings: Settings, name: str, registry: Registry) -> Iterator[Finding]:
    """Phantoms that were never imported, and GGUFs that should be there."""
    for version in registry.training_history:
        is_original = version.storage is None and not version.adapter_path
        if is_original and not (settings.root / version.output_model_path / "config.json").is_file():
            yield Finding(
                "warning",
                f"profile {name}: version {version.version} is a phantom: no {version.output_model_path}",
                "`metahuman import` with the registry's path marks it, and mends the base; so does `metahuman reset`",
            )
        elif version.gguf_bytes and version.storage not in {"archived", "removed"}:
            gguf = settings.root / version.gguf_path
            size = gguf.stat().st_size if gguf.is_file() else 0
            if size != version.gguf_bytes:
                what = "is cut off or not ours" if size else "is absent"
                yield Finding("warning", f"profile {name}: version {version.version}'s GGUF {what}: {gguf}")


def _memories(settings: Settings, name: str) -> Iterator[Finding]:
    try:
        check_profile_name(name)
        for _, folder in sources(settings, name):
            if not os.access(folder, os.R_OK | os.X_OK):
                way_out = "let its user read it: docs/install.md, The memories (setfacl)"
                yield Finding("error", f"profile {name}: {folder} cannot be read", way_out)
    except MetahumanError as error:
        yield Finding("error", error.message, error.hint)
    home = settings.root / "profiles" / name
    if home.is_dir() and not os.access(home, os.W_OK):
        yield Finding("error", f"profile {name}: {home} cannot be written", "check its owner and mode")


def _next_base(settings: Settings, name: str, registry: Registry) -> Iterator[Finding]:
    try:
        choose_start(None, registry, settings.root, settings.training)
    except MetahumanError as error:
        yield Finding("error", f"profile {name}: {error.message}", error.hint)
