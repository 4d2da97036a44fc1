"""`fine-tune`: from a folder of memories to the next version, registered and, where a server answers, in Ollama."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from metahuman_core.converter import require_converter
from metahuman_core.errors import MetahumanError
from metahuman_core.journal import Journal
from metahuman_core.layout import ProfilePaths, cycle_lock_path
from metahuman_core.ledger import Counts, Ledger, ScanReport
from metahuman_core.locks import cycle_lock
from metahuman_core.memories.walk import FoundFile
from metahuman_core.ollama.client import OllamaDown
from metahuman_core.preflight import model_bytes
from metahuman_core.prepare import (
    Choice,
    Wish,
    begin_run,
    choose,
    discard_unfinished,
    is_same_command,
    look,
    refuse_other,
    sweep,
    unfinished_run,
)
from metahuman_core.progress import Progress, Report
from metahuman_core.publishing import due_publications, publish_version
from metahuman_core.registry import Version, load_registry
from metahuman_core.settings import Settings
from metahuman_daemon.card import free_vram_bytes, make_room, training_vram_bytes
from metahuman_daemon.clock import now
from metahuman_daemon.worker import run_child

Say = Callable[[str], None]
OtherSettings = Literal["refuse", "go on", "replace"]


@dataclass(frozen=True, slots=True)
class Looked:
    """What `--dry-run` shows: the scan, the states of all memories, the choice, and an unfinished run's label."""

    scan: ScanReport
    counts: Counts
    choice: Choice
    unfinished: str


def look_ahead(settings: Settings, wish: Wish) -> Looked:
    """What a run would do now, without doing it."""
    registry = load_registry(settings.registry_path(wish.profile))
    with Ledger(ProfilePaths(settings.root, wish.profile).ledger) as ledger:
        scan = look(settings, wish.profile, ledger, registry)
        choice = choose(settings, wish, ledger, registry)
        journal = unfinished_run(settings, wish.profile, now)
        return Looked(scan, ledger.counts(choice.ancestry), choice, journal.run_dir.name if journal else "")


def fine_tune(
    settings: Settings,
    wish: Wish,
    report: Report,
    say: Say,
    *,
    throw_away: bool = False,
    other_settings: OtherSettings = "refuse",
    begun: Say = lambda _: None,
    steady: Callable[[FoundFile], bool] | None = None,
) -> Version | None:
    """Run one cycle to its end; None where nothing is due. Raises BusyError, StoppedError and other MetahumanErrors.

    `other_settings`: what becomes of an unfinished run that was begun with other flags or settings than these.
    `begun` is told the run's label. `steady` says of a file whether nobody is writing to it any more.
    """
    with cycle_lock(cycle_lock_path(settings.root), f"profile {wish.profile}") as lock_fd:
        sweep(settings, wish.profile)
        for label in discard_unfinished(settings, wish.profile, now) if throw_away else ():
            say(f"run {label} is thrown away; its memories are due again")
        journal = unfinished_run(settings, wish.profile, now)
        if journal and other_settings == "replace" and not is_same_command(settings, wish, journal):
            say(f"run {journal.run_dir.name} failed with other settings: thrown away; its memories are due again")
            discard_unfinished(settings, wish.profile, now)
            journal = None
        if journal and other_settings == "refuse":
            refuse_other(settings, wish, journal)
        run_dir = journal.run_dir if journal else _begin(settings, wish, report, say, steady)
        if run_dir is None:
            return None
        begun(run_dir.name)
        if journal:
            say(f"going on with run {run_dir.name}, behind {_last_step(journal)}")
        require_converter()
        if settings.training.device != "cpu":
            needed = training_vram_bytes(model_bytes(settings, load_registry(settings.registry_path(wish.profile))))
            make_room(settings.ollama.host, needed, free_vram_bytes, say)
        number = run_child(["cycle", str(run_dir)], run_dir / "child.log", lock_fd, report)
    registry = load_registry(settings.registry_path(wish.profile))
    version = registry.find(int(number)) if registry else None
    if version is None:
        raise MetahumanError("the cycle ended, and its version is not in the registry", "see `metahuman history`")
    return version


def publish_due(settings: Settings, profile: str, report: Report, say: Say) -> None:
    """Publish what waits. Without a server it goes on waiting, and that is said."""
    try:
        publish_all(settings, profile, report, say)
    except OllamaDown as error:
        say(f"{error.message}: what is registered stays due")
        say("start Ollama and run `metahuman publish`; `metahuman chat` needs no server")


def publish_all(settings: Settings, profile: str, report: Report, say: Say) -> list[int]:
    """Publish what waits, the live version first; gives their numbers.

    One that cannot be published does not hold up the others; its error is raised when all were tried.
    """
    path = settings.registry_path(profile)
    waiting = sorted(due_publications(load_registry(path)), key=lambda version: version.outcome != "live")
    errors: list[MetahumanError] = []
    for number in [version.version for version in waiting]:
        registry = load_registry(path)
        version = registry.find(number) if registry else None  # anew: meanwhile another may be live
        try:
            if version:
                publish_one(settings, profile, version, report, say)
        except OllamaDown:
            raise
        except MetahumanError as error:
            errors.append(error)
    if errors:
        raise errors[0]
    return [version.version for version in waiting]


def publish_one(settings: Settings, profile: str, version: Version, report: Report, say: Say) -> None:
    """Publish one version."""
    published = publish_version(
        version,
        settings.root,
        settings.registry_path(profile),
        settings.ollama.host,
        now,
        lambda done, total: report(Progress("publish", done, total, "bytes")),
        lambda line: report(Progress("publish", note=line)),
    )
    alias = f", and {published.alias} is it" if version.outcome == "live" else "; the live version keeps the alias"
    say(f"version {version.version} is in Ollama as {published.tag}{alias}")


def _begin(
    settings: Settings, wish: Wish, report: Report, say: Say, steady: Callable[[FoundFile], bool] | None
) -> Path | None:
    registry = load_registry(settings.registry_path(wish.profile))
    with Ledger(ProfilePaths(settings.root, wish.profile).ledger) as ledger:
        scan = look(settings, wish.profile, ledger, registry, steady=steady)
        choice = choose(settings, wish, ledger, registry)
        counts = ledger.counts(choice.ancestry)
    say(
        f"{scan.files} files, {counts.known} memories: {counts.trained} trained, {counts.due} due, "
        f"{counts.settled} settled, {counts.superseded} superseded; {scan.skipped} set aside"
    )
    if choice.start.note:
        say(choice.start.note)
    if not choice.new:
        return None
    require_converter()
    say(f"training on {len(choice.new)} new memories and {len(choice.replay)} old ones, from {choice.start.base_model}")

    log = settings.root / "state" / "fetch.log"

    def fetch(name: str, revision: str) -> str:
        return run_child(["fetch", name, revision, str(settings.root)], log, None, report)

    return begin_run(settings, wish, choice, fetch, now)


def _last_step(journal: Journal) -> str:
    return next(reversed(journal.file.steps), "its beginning")
