"""`fine-tune`: from a folder of memories to the next version, registered and, where a server answers, in Ollama."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from metahuman_core.converter import require_converter
from metahuman_core.errors import MetahumanError
from metahuman_core.forgetting.deleted import erase_deleted
from metahuman_core.forgetting.finishing import finish_erasing
from metahuman_core.journal import Journal
from metahuman_core.layout import ProfilePaths, cycle_lock_path
from metahuman_core.ledger import Counts, Ledger, ScanReport
from metahuman_core.lineage import held_memories
from metahuman_core.locks import cycle_lock
from metahuman_core.looking import look
from metahuman_core.memories.walk import FoundFile
from metahuman_core.plan import read_plan
from metahuman_core.preflight import model_bytes
from metahuman_core.prepare import Choice, begin_run, choose, made_by, pinned_plan
from metahuman_core.progress import Report
from metahuman_core.qlora import require_qlora
from metahuman_core.registry import Version, load_registry
from metahuman_core.settings import Settings
from metahuman_core.unfinished import (
    discard_left_behind,
    discard_unfinished,
    refuse_other,
    sweep,
    unfinished_run,
    why_replaced,
)
from metahuman_core.versions.pruning.carrying_out import finish_prunings
from metahuman_core.wish import Wish
from metahuman_daemon.card import free_vram_bytes, make_room, training_vram_bytes
from metahuman_daemon.clock import now
from metahuman_daemon.having import have_base
from metahuman_daemon.holding import memories_are
from metahuman_daemon.room import require_room
from metahuman_daemon.studying import with_questions
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
        return Looked(
            scan,
            ledger.counts(choice.ancestry, held_memories(registry)),
            choice,
            journal.run_dir.name if journal else "",
        )


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
    require_qlora(settings.training)
    with cycle_lock(cycle_lock_path(settings.root), f"profile {wish.profile}") as lock_fd:
        sweep(settings, wish.profile)
        finish_prunings(settings, wish.profile, say)
        finish_erasing(settings, wish.profile, say)
        for label in discard_unfinished(settings, wish.profile, now) if throw_away else ():
            say(f"run {label} is thrown away; its memories are due again")
        for label in discard_left_behind(settings, wish.profile, now):
            say(f"run {label} is thrown away: the version it goes on from was rolled back")
        journal = unfinished_run(settings, wish.profile, now)
        if journal and other_settings == "refuse":
            refuse_other(settings, wish, journal)
        elif journal and (why := why_replaced(settings, wish, journal, failed=other_settings == "replace")):
            say(f"run {journal.run_dir.name} {why}: thrown away; its memories are due again")
            discard_unfinished(settings, wish.profile, now)
            journal = None
        if journal:
            registry = load_registry(settings.registry_path(wish.profile))
            asked = read_plan(journal.file.inputs)
            models = asked.anchor, asked.compared_with
            require_room(settings, wish.profile, registry, run_dir=journal.run_dir, base=wish.base_model, models=models)
        run_dir = journal.run_dir if journal else _begin(settings, wish, report, say, steady, lock_fd)
        if run_dir is None:
            return None
        begun(run_dir.name)
        if journal:
            say(f"going on with run {run_dir.name}, behind {_last_step(journal)}")
            have_base(
                settings, wish.profile, asked.anchor, asked.warm_start or asked.compared_with, report, say, lock_fd
            )
        require_converter()
        if settings.training.device != "cpu":
            held = model_bytes(settings, load_registry(settings.registry_path(wish.profile)))
            needed = training_vram_bytes(held, settings.training.quantize_base)
            make_room(settings.ollama.host, needed, free_vram_bytes, say)
        number = run_child(["cycle", str(run_dir)], run_dir / "child.log", lock_fd, report)
    registry = load_registry(settings.registry_path(wish.profile))
    version = registry.find(int(number)) if registry else None
    if version is None:
        raise MetahumanError("the cycle ended, and its version is not in the registry", "see `metahuman history`")
    return version


def _begin(
    settings: Settings,
    wish: Wish,
    report: Report,
    say: Say,
    steady: Callable[[FoundFile], bool] | None,
    lock_fd: int,
) -> Path | None:
    registry = load_registry(settings.registry_path(wish.profile))
    with Ledger(ProfilePaths(settings.root, wish.profile).ledger) as ledger:
        scan = look(settings, wish.profile, ledger, registry, steady=steady)
        if count := erase_deleted(settings, wish.profile, ledger, scan, now()):
            say(f"{memories_are(count)} erased, whose files were deleted ([forget] on_delete)")
            scan = look(settings, wish.profile, ledger, registry, steady=steady)
        choice = choose(settings, wish, ledger, registry)
        counts = ledger.counts(choice.ancestry, held_memories(registry))
    say(
        f"{scan.files} files, {counts.known} memories: {counts.trained} trained, {counts.due} due, "
        f"{counts.settled} settled, {counts.superseded} superseded{told_held(counts)}; {scan.skipped} set aside"
    )
    if choice.start.note:
        say(choice.start.note)
    if not choice.is_due:
        if choice.due_without_news:
            say(f"{choice.due_without_news}, and no memory is left to train without it: it stays until there is one")
        return None
    if choice.consolidation:
        say(f"a consolidation, on all that counts: {choice.consolidation}")
    models = choice.start.anchor, choice.compared_with
    require_room(settings, wish.profile, registry, base=wish.base_model, models=models)
    require_converter()
    have_base(settings, wish.profile, choice.start.anchor, choice.of_parent, report, say, lock_fd)
    choice = with_questions(settings, wish.profile, choice, report, say)
    log = settings.root / "state" / "fetch.log"

    def fetch(name: str, revision: str) -> str:
        return run_child(["fetch", name, revision, str(settings.root)], log, None, report)

    plan = pinned_plan(settings, wish, choice, fetch)
    if same := made_by(plan, registry, ProfilePaths(settings.root, wish.profile)):
        say(f"version {same.version} was made by just this, of the same memories and the same base")
        return None
    origin = choice.start.anchor if choice.consolidation else choice.start.base_model
    say(f"training on {len(choice.new)} new memories and {len(choice.replay)} old ones, from {origin}")
    return begin_run(settings, choice, plan, now)


def told_held(counts: Counts) -> str:
    """How many memories are held, in words that go on a line ("" for none)."""
    return f", {counts.held} held until `metahuman resume`" if counts.held else ""


def _last_step(journal: Journal) -> str:
    return next(reversed(journal.file.steps), "its beginning")
