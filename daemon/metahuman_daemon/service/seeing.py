"""What is known of a profile: its memories by their states, its versions, what was set aside, the disk.

Invariant: a folder that is missing stops everything and changes nothing: what was known of it stays known.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from metahuman_core.consolidating import why_consolidate, why_due_without_news, why_in_vain
from metahuman_core.forgetting.deleted import erase_deleted
from metahuman_core.layout import ProfilePaths
from metahuman_core.ledger import Counts, Ledger
from metahuman_core.lineage import base_name, held_memories, learned_ancestry, next_ancestry
from metahuman_core.looking import look, missing_sources
from metahuman_core.memories.model import Skipped
from metahuman_core.memories.walk import FoundFile
from metahuman_core.preflight import next_version_bytes
from metahuman_core.registry import Registry, load_registry
from metahuman_core.settings import Settings
from metahuman_core.unfinished import unfinished_run
from metahuman_core.versions.knowing import still_there, versions_that_know
from metahuman_core.versions.sizes import Shelf, shelves

_SHOWN_SKIPPED = 100


@dataclass(frozen=True, slots=True)
class Seen:
    """One look at a profile. `pending`: what a cycle would train and no live version has; `skipped`: the first ones.

    `versions`: how many there are of each storage, and what they take. `consolidation`: why the next run is one ("": it
    is none); `consolidation_is_due`: it is to run although nothing may be new; `consolidation_in_vain`: why it is not
    run for that alone. `stale_versions` know what was erased.
    """

    profile: str
    at: datetime
    missing: tuple[str, ...]
    files: int
    memories: Counts
    pending: int
    settled: dict[str, int]
    skipped: tuple[Skipped, ...]
    skipped_total: int
    base: str
    live_version: int | None
    last_success: str | None
    publications_due: tuple[int, ...]
    publishes: bool
    unfinished_run: str
    versions: tuple[Shelf, ...]
    disk_free_bytes: int
    disk_needed_bytes: int
    consolidation: str = ""
    consolidation_is_due: bool = False
    consolidation_in_vain: str = ""
    stale_versions: tuple[int, ...] = ()


class Eyes:
    """Looks at one profile again and again, and reads no more than what has changed."""

    def __init__(self, settings: Settings, profile: str) -> None:
        self._settings = settings
        self._profile = profile
        self._paths = ProfilePaths(settings.root, profile)
        self._ledger = Ledger(self._paths.ledger)
        self._stamp: tuple[int, int, int] | None = None
        self._last: Seen | None = None
        self._shelves: tuple[tuple[int, int, int] | None, tuple[Shelf, ...]] | None = None

    def close(self) -> None:
        """Close the ledger."""
        self._ledger.close()

    def let_go(self) -> None:
        """Give memory back that is not needed until the next look."""
        import ctypes

        self._ledger.let_go()
        with suppress(AttributeError):  # musl has none
            ctypes.CDLL(None).malloc_trim(0)

    def registry_changed(self) -> bool:
        """Whether somebody has written the registry since the last look."""
        return self._last is not None and _stamp(self._settings.registry_path(self._profile)) != self._stamp

    def see(
        self,
        only: Collection[Path] | None = None,
        steady: Callable[[FoundFile], bool] | None = None,
        *,
        afresh: bool = False,
    ) -> Seen:
        """Look at `only` these folders, or (None) at everything; `afresh`: also where no file and no registry changed.

        Raises MetahumanError for a registry that cannot be understood.
        """
        settings, profile, ledger = self._settings, self._profile, self._ledger
        path = settings.registry_path(profile)
        stamp = _stamp(path)
        registry = load_registry(path)
        missing = missing_sources(settings, profile, ledger)
        changed = afresh or not only or self._last is None or stamp != self._stamp or missing != self._last.missing
        files = self._last.files if self._last else 0
        if not missing:
            report = look(settings, profile, ledger, registry, only=only, steady=steady)
            files = report.files
            erased = 0 if only is not None else erase_deleted(settings, profile, ledger, report, datetime.now(UTC))
            changed = changed or report.files_read > 0 or erased > 0
        if changed or self._last is None:
            # The files of versions change with the registry, or by a job of ours, and there are many of them.
            if afresh or self._shelves is None or self._shelves[0] != stamp:
                self._shelves = stamp, shelves(registry, self._paths)
            self._last = self._whole(registry, missing, files, self._shelves[1])
            self._stamp = stamp
        return self._last

    def _whole(
        self, registry: Registry | None, missing: tuple[str, ...], files: int, versions: tuple[Shelf, ...]
    ) -> Seen:
        settings, ledger = self._settings, self._ledger
        live = registry.live() if registry else None
        held = held_memories(registry)
        counts, skipped = ledger.counts(next_ancestry(registry), held), ledger.skipped()
        journal = unfinished_run(settings, self._profile, lambda: datetime.now(UTC))
        due = tuple(v.version for v in registry.training_history if v.publication == "due") if registry else ()
        pending = ledger.due_count(learned_ancestry(registry), settings.dataset.mode, held)
        knowing = versions_that_know(registry, ledger.forgetting.runs())
        base = registry.by_model_path(base_name(None, registry)) if registry else None
        without_news = why_due_without_news(registry, knowing)
        in_vain = why_in_vain(registry, knowing)
        ancestry = next_ancestry(registry)
        trainable = without_news and (
            ledger.due_count(ancestry, settings.dataset.mode, held) or ledger.only_trained_by(ancestry, ())
        )
        return Seen(
            profile=self._profile,
            at=datetime.now(UTC),
            missing=missing,
            files=files,
            memories=counts,
            pending=pending,
            settled=ledger.settled_reasons(),
            skipped=tuple(skipped[:_SHOWN_SKIPPED]),
            skipped_total=len(skipped),
            base=base_name(None, registry),
            live_version=live.version if live else None,
            last_success=live.timestamp if live else None,
            publications_due=due,
            publishes=settings.ollama.enabled,
            unfinished_run=journal.run_dir.name if journal else "",
            versions=versions,
            disk_free_bytes=shutil.disk_usage(settings.root).free,
            disk_needed_bytes=next_version_bytes(settings, registry, journal.run_dir if journal else None),
            consolidation=without_news or why_consolidate(registry, base, knowing, settings.training.consolidate_every),
            consolidation_is_due=bool(trainable) and not in_vain,
            consolidation_in_vain=in_vain,
            stale_versions=tuple(v.version for v in still_there(registry, knowing)) if registry else (),
        )


def _stamp(path: Path) -> tuple[int, int, int] | None:
    """By what it shows that a file was written anew; None where there is none."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return (status.st_mtime_ns, status.st_size, status.st_ino)
