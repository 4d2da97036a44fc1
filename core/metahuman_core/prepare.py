"""Prepares a run: decides what to train and from where, and freezes it in a run's folder.

The memories were looked at before: see `looking`. What becomes of a run that was begun and not ended: see `unfinished`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from metahuman_core.consolidating import begin_afresh, why_consolidate, why_due_without_news
from metahuman_core.dataset.choose import choose_new, choose_replay, replay_count
from metahuman_core.errors import MetahumanError
from metahuman_core.fingerprint import fingerprint, is_fingerprint, not_here
from metahuman_core.gate.exam import forgotten_in
from metahuman_core.journal import Journal, digest_of, read_run_file
from metahuman_core.layout import ProfilePaths, new_run_label, relative_to_root
from metahuman_core.ledger import Ledger
from metahuman_core.lineage import Start, choose_start, held_memories
from metahuman_core.memories.model import Memory
from metahuman_core.model_study.frozen import AskedOfMemory, questions_sha256, write_questions
from metahuman_core.plan import Plan, memory_lines, read_plan, write_memories
from metahuman_core.registry import Registry, Version
from metahuman_core.serving import system_prompt
from metahuman_core.settings import Settings
from metahuman_core.versions.archive import archive_folder, find_archived
from metahuman_core.versions.knowing import versions_that_know
from metahuman_core.versions.parts import names_a_folder, parts_of
from metahuman_core.versions.rebuildable import why_not_rebuildable
from metahuman_core.wish import Wish, command_sha256

Fetch = Callable[[str, str], str]


@dataclass(frozen=True, slots=True)
class Choice:
    """What a run would train, and from where. `consolidation`: why it is one; `due_without_news`: why it is to run
    although nothing is new ("", both, for an ordinary run). `questions`: what a model asked of these memories, if one
    did.
    """

    start: Start
    ancestry: tuple[str, ...]
    new: tuple[Memory, ...]
    replay: tuple[Memory, ...]
    stale: tuple[str, ...]
    consolidation: str = ""
    compared_with: str | None = None
    due_without_news: str = ""
    parent_knows_erased: bool = False
    questions: tuple[AskedOfMemory, ...] = ()

    @property
    def of_parent(self) -> str | None:
        """The parent's adapter or model/ that the run needs: to go on from, or to be measured against."""
        return self.start.warm_start or self.compared_with

    @property
    def is_due(self) -> bool:
        """Whether there is something to train, and a reason to."""
        return bool(self.new or (self.due_without_news and self.replay))


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
    stale = tuple(sorted(ledger.trained_digests(ancestry) - {one.memory.digest for one in trained}))
    knowing = versions_that_know(registry, ledger.forgetting.runs())
    without_news = why_due_without_news(registry, knowing)
    if registry and (why := why_consolidate(registry, start.parent, knowing, settings.training.consolidate_every)):

        def has_adapter(version: Version) -> bool:
            return parts_of(version, paths).has_adapter() or find_archived(version, paths, archive) is not None

        def has_model(version: Version) -> bool:
            return names_a_folder(version) and (
                parts_of(version, paths).has_model() or not why_not_rebuildable(version, registry, paths, archive)
            )

        afresh = begin_afresh(start, registry, settings.root, has_adapter, has_model)
        # All of them, of every mode: what is left out would be forgotten.
        whole = choose_replay(trained, len(trained), settings.dataset.seed, "all")
        knows = afresh.start.parent is not None and afresh.start.parent.version in knowing
        return Choice(afresh.start, ancestry, new, whole, stale, why, afresh.compared_with, without_news, knows)
    count = replay_count(new, settings.dataset)
    forgotten = forgotten_in(paths.run_dir(ancestry[0])) if ancestry else frozenset()
    replay = choose_replay(trained, count, settings.dataset.seed, mode, forgotten)
    return Choice(start, ancestry, new, replay, stale, due_without_news=without_news)


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
        gate=settings.gate,
        from_rolled_back=start.parent is not None and start.parent.outcome == "rolled_back",
        questions_sha256=questions_sha256(choice.questions),
        consolidation=choice.consolidation,
        compared_with=choice.compared_with,
        parent_knows_erased=choice.parent_knows_erased,
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
    write_questions(run_dir, choice.questions)
    Journal.begin(run_dir, plan, now)
    return run_dir


def _pinned(plan: Plan, settings: Settings, fetch: Fetch) -> str:
    folder = settings.root / plan.anchor
    if folder.is_dir():
        return plan.anchor_revision or fingerprint(folder)
    if is_fingerprint(plan.anchor_revision):
        raise not_here(plan.anchor, plan.anchor_revision)
    return fetch(plan.anchor, plan.anchor_revision)
