"""Prepares a run: looks at the memories, decides what to train and from where, and freezes it in a run's folder.

What becomes of a run that was begun and not ended: see `unfinished`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from metahuman_core.dataset.choose import choose_new, choose_replay
from metahuman_core.dataset.judge import judge, judging_sha256
from metahuman_core.errors import ConfigError, MetahumanError
from metahuman_core.fingerprint import fingerprint, is_fingerprint, not_here
from metahuman_core.journal import Journal, digest_of, read_run_file
from metahuman_core.layout import ProfilePaths, new_run_label, relative_to_root
from metahuman_core.ledger import Ledger, ScanReport
from metahuman_core.lineage import Start, choose_start, held_memories
from metahuman_core.memories.model import Memory
from metahuman_core.memories.read import Limits
from metahuman_core.memories.walk import FoundFile
from metahuman_core.plan import MEMORIES, Plan, memory_lines, read_plan, write_memories
from metahuman_core.registry import Registry, Version
from metahuman_core.serving import system_prompt
from metahuman_core.settings import ModeFilter, Settings
from metahuman_core.versions.archive import archive_folder, find_archived
from metahuman_core.versions.parts import names_a_folder, parts_of
from metahuman_core.versions.rebuildable import why_not_rebuildable

Fetch = Callable[[str, str], str]


@dataclass(frozen=True, slots=True)
class Wish:
    """What a person (or the daemon) asked for."""

    profile: str
    base_model: str | None = None
    mode: ModeFilter | None = None
    max_memories: int | None = None


@dataclass(frozen=True, slots=True)
class Choice:
    """What a run would train, and from where."""

    start: Start
    ancestry: tuple[str, ...]
    new: tuple[Memory, ...]
    replay: tuple[Memory, ...]
    stale: tuple[str, ...]


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
    for version in registry.training_history if registry else ():
        if version.run_label:
            ledger.adopt(version.run_label, paths.run_dir(version.run_label) / MEMORIES)


def choose(settings: Settings, wish: Wish, ledger: Ledger, registry: Registry | None) -> Choice:
    """Decide what the next run trains, and from where."""
    paths, archive = ProfilePaths(settings.root, wish.profile), archive_folder(settings)
    start = choose_start(
        wish.base_model,
        registry,
        settings.root,
        settings.training,
        archived=lambda version: find_archived(version, paths, archive),
        why_lost=lambda version: why_not_rebuildable(version, registry or Registry(), paths, archive),
    )
    line = registry.ancestry(start.parent) if registry else ()
    ancestry = tuple(v.run_label for v in line if v.run_label)
    mode = wish.mode or settings.dataset.mode
    limit = settings.dataset.max_memories if wish.max_memories is None else wish.max_memories
    new = choose_new(ledger.due(ancestry, held_memories(registry)), mode, limit)
    trained = ledger.trained(ancestry)
    count = round(len(new) * settings.dataset.replay_ratio)
    replay = choose_replay(trained, count, settings.dataset.seed, mode)
    stale = tuple(sorted(ledger.trained_digests(ancestry) - {m.digest for _, m in trained}))
    return Choice(start, ancestry, new, replay, stale)


def plan_of(settings: Settings, wish: Wish, choice: Choice) -> Plan:
    """The plan that a choice comes to; the anchor's revision is still the start's own."""
    start = choice.start
    return Plan(
        profile=wish.profile,
        registry=relative_to_root(settings.registry_path(wish.profile), settings.root),
        base_model=start.base_model,
        anchor=start.anchor,
        anchor_revision=start.anchor_revision,
        warm_start=start.warm_start,
        parent_version=start.parent.version if start.parent else None,
        ancestry=choice.ancestry,
        stale=choice.stale,
        mode=wish.mode or settings.dataset.mode,
        system=system_prompt(settings, wish.profile),
        ollama_name=settings.ollama_name(wish.profile),
        publish=settings.ollama.enabled,
        temperature=settings.ollama.temperature,
        num_ctx=settings.ollama.num_ctx,
        command_sha256="",
        memories_sha256=digest_of(memory_lines(choice.new, choice.replay)),
        dataset=settings.dataset,
        training=settings.training,
        weights=settings.weights,
        from_rolled_back=start.parent is not None and start.parent.outcome == "rolled_back",
    )


def pinned_plan(settings: Settings, wish: Wish, choice: Choice, fetch: Fetch) -> Plan:
    """The plan of a run that is to begin: its base is fetched, and pinned."""
    plan = plan_of(settings, wish, choice)
    return replace(plan, anchor_revision=_pinned(plan, settings, fetch), command_sha256=command_sha256(settings, wish))


def made_by(plan: Plan, registry: Registry | None, paths: ProfilePaths) -> Version | None:
    """The live version, if it was made by this very plan: doing it again would give the same bytes under a new number.

    That is so where a base was named, and the command is given again after its run had ended (killed behind its entry,
    perhaps): a fresh start has no ancestry that has trained the memories.
    """
    live = registry.live() if registry else None
    file = read_run_file(parts_of(live, paths).run_dir) if live and names_a_folder(live) else None
    try:
        return live if file and read_plan(file.inputs) == plan else None
    except MetahumanError:
        return None  # a plan of another kind is another plan


def begin_run(settings: Settings, choice: Choice, plan: Plan, now: Callable[[], datetime]) -> Path:
    """Write a new run's folder. Gives the folder."""
    run_dir = ProfilePaths(settings.root, plan.profile).run_dir(new_run_label(now()))
    run_dir.mkdir(parents=True, mode=0o700)
    write_memories(run_dir, memory_lines(choice.new, choice.replay))
    Journal.begin(run_dir, plan, now)
    return run_dir


def _pinned(plan: Plan, settings: Settings, fetch: Fetch) -> str:
    folder = settings.root / plan.anchor
    if folder.is_dir():
        return plan.anchor_revision or fingerprint(folder)
    if is_fingerprint(plan.anchor_revision):
        raise not_here(plan.anchor, plan.anchor_revision)
    return fetch(plan.anchor, plan.anchor_revision)


def command_sha256(settings: Settings, wish: Wish) -> str:
    """What makes two commands the same: what was asked for, and the recipe."""
    recipe = [settings.dataset, settings.training, settings.weights, settings.profile(wish.profile)]
    return digest_of(
        [wish.profile, wish.base_model, wish.mode, wish.max_memories, *(r.model_dump_json() for r in recipe)]
    )
