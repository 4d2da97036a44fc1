"""`forget`: shows what would go, and has it erased: the memories at once, what versions know of them in their time.

Invariant: what is erased is what was shown, by its hashes, whatever was written to the folders meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from metahuman_core.consolidating import why_due_without_news
from metahuman_core.errors import MetahumanError
from metahuman_core.forgetting.finding import Meant, erased_already, find_meant, still_there
from metahuman_core.forgetting.finishing import finish_erasing
from metahuman_core.layout import ProfilePaths
from metahuman_core.ledger import Ledger
from metahuman_core.looking import adopt_versions, look, missing_sources
from metahuman_core.registry import load_registry
from metahuman_core.settings import Settings
from metahuman_core.versions.knowing import still_there as still_known
from metahuman_core.versions.knowing import versions_that_know, versions_untold
from metahuman_daemon.clock import now
from metahuman_daemon.holding import memories_are
from metahuman_daemon.in_words import versions_named
from metahuman_daemon.locking import take_lock
from metahuman_daemon.service.control import ask
from metahuman_daemon.visible import visible

Say = Callable[[str], None]
_WORDS, _CHARS, _HASH = 14, 90, 12


@dataclass(frozen=True, slots=True)
class Ahead:
    """What would go. `stale`: the versions that know one of these memories; `due`: why a consolidation is due then ("":
    none is); `erases`: whether what is stale goes once that is live; `files`: those on the disk that say them.
    `untold`: versions of which nobody knows all that they were trained on. `already`: since which day what was named by
    its hash is erased.
    """

    meant: tuple[Meant, ...]
    stale: tuple[int, ...]
    due: str
    erases: bool
    files: tuple[Path, ...]
    untold: tuple[int, ...] = ()
    already: str = ""


def look_ahead(settings: Settings, profile: str, words: Sequence[str]) -> Ahead:
    """Find what is meant, and what it entails. Raises UsageError or MetahumanError where that is not clear."""
    registry = load_registry(settings.registry_path(profile))
    paths = ProfilePaths(settings.root, profile)
    with Ledger(paths.ledger) as ledger:
        if missing_sources(settings, profile, ledger):
            adopt_versions(ledger, registry, paths)  # what is known can be forgotten, though its folder is away
        else:
            look(settings, profile, ledger, registry)
        if already := erased_already(ledger, words):
            return Ahead((), (), "", settings.forget.erase_versions, (), already=already)
        meant = find_meant(settings, profile, ledger, words, Path.cwd())
        runs = ledger.forgetting.runs([one.memory.digest for one in meant])
        noted = ledger.adopted()
    knowing = versions_that_know(registry, runs)
    return Ahead(
        meant=meant,
        stale=tuple(v.version for v in still_known(registry, knowing)) if registry else (),
        due=why_due_without_news(registry, knowing),
        erases=settings.forget.erase_versions,
        files=tuple(still_there(settings, profile, [file for one in meant for file in one.files])),
        untold=versions_untold(registry, noted),
    )


def erase(settings: Settings, profile: str, ahead: Ahead, say: Say) -> None:
    """Erase what was shown, and finish what was broken off. Raises BusyError where another command is at work."""
    with take_lock(settings, f"forgetting for profile {profile}", say):
        with Ledger(ProfilePaths(settings.root, profile).ledger) as ledger:
            ledger.forgetting.erase([one.memory.digest for one in ahead.meant], now())
        finish_erasing(settings, profile, say)
    try:
        ask(settings.root, do="hello", profile=profile)  # a daemon that runs looks anew
    except MetahumanError:
        return  # it looks from time to time anyway


def told(ahead: Ahead) -> list[str]:
    """What would go, for people: the memories themselves, for this is their own terminal."""
    lines: list[str] = []
    for one in ahead.meant:
        day = f"{one.memory.happened_at:%Y-%m-%d}" if one.memory.happened_at else "no date"
        same = "  (says the same)" if one.same_as else ""
        where = ", ".join(map(visible, one.files))
        lines += [f"{one.memory.digest[:_HASH]}  {day}  {visible(one.memory.kind)}  {where}{same}"]
        lines += [f"    {first_words(one)}"]
    return lines


def first_words(one: Meant) -> str:
    """How a memory begins, on one line."""
    words = one.memory.whole_text.split()
    text = " ".join(words[:_WORDS])[:_CHARS]
    return visible(text) + (" …" if len(words) > _WORDS or len(text) == _CHARS else "")


def consequences(ahead: Ahead, *, done: bool) -> list[str]:
    """What that means, for people: of memories that are erased (`done`), or would be."""
    count = len(ahead.meant)
    lines = [f"{memories_are(count)} erased" if done else f"{count} {'memory' if count == 1 else 'memories'} to erase"]
    if ahead.files:
        lines.append(
            "the files stay as they are, and what is erased is not read from them again; delete them yourself:"
        )
        lines += [f"  {visible(str(file))}" for file in ahead.files]
    if ahead.untold:
        lines.append(
            f"nobody knows all that {versions_named(ahead.untold)} {'were' if len(ahead.untold) > 1 else 'was'} "
            "trained on: what is erased may be among it. `metahuman reset` has the next run begin without it"
        )
    if not ahead.stale:
        return lines
    named, know = versions_named(ahead.stale), "know" if len(ahead.stale) > 1 else "knows"
    lines.append(f"{named} still {know} what is erased")
    if ahead.due:
        when = "is due" if done else "would be due"
        lines.append(f"a consolidation {when}: the daemon runs it in its hours, `metahuman fine-tune` at once")
    if ahead.erases:
        after = "once it is live" if ahead.due else "with the next `metahuman prune`"
        lines.append(
            f"{after}, nothing of {named} is left but the entries: adapters, model/, GGUFs, texts, copies in the "
            "archive and tags in Ollama go, pinned or not"
        )
    else:
        lines.append(f"{named} stay; with [forget] erase_versions they go as soon as the live version is without it")
    return lines
