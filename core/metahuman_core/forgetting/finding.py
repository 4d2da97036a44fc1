"""Finds the memories that a person means: by the beginning of a hash, by a file, or by words.

Invariant: nothing is changed; what is not clear is an error, and never guessed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from metahuman_core.errors import MetahumanError, UsageError
from metahuman_core.ledger import Ledger
from metahuman_core.looking import memory_folders
from metahuman_core.memories.model import Memory
from metahuman_core.memories.walk import printable
from metahuman_core.settings import Settings

_HASH = re.compile(r"[0-9a-f]{8,64}")
_WORD = re.compile(r"\w+")
_SHOWN_HASH = 12


@dataclass(frozen=True, slots=True)
class Meant:
    """A memory that is to go, with the files that say it. `same_as`: it was not named, but says the same as one."""

    memory: Memory
    files: tuple[str, ...]
    same_as: bool


def find_meant(
    settings: Settings, profile: str, ledger: Ledger, words: Sequence[str], folder: Path
) -> tuple[Meant, ...]:
    """The memories that `words` mean, and those that say the same, oldest first each. `folder`: where it was typed.

    Raises UsageError where the words name nothing that could be looked for, MetahumanError where nothing is found.
    """
    named = _named(settings, profile, ledger, words, folder)
    same = ledger.search.that_say_the_same(named, settings.dataset.near_duplicate)
    return tuple(
        Meant(memory, ledger.search.files_of(memory.digest), same_as)
        for same_as, memories in ((False, named), (True, same))
        for memory in memories
    )


def erased_already(ledger: Ledger, words: Sequence[str]) -> str:
    """Since which day the memory is erased whose hash the words begin ("": it is not, or they are no hash)."""
    text = words[0].strip().lower() if len(words) == 1 else ""
    if not _HASH.fullmatch(text) or ledger.search.by_hash(text):
        return ""
    return next((at[:10] for digest, at in ledger.forgetting.erased().items() if digest.startswith(text)), "")


def still_there(settings: Settings, profile: str, files: Sequence[str]) -> list[Path]:
    """Those of these files (a label and the path below it, each) that are on the disk."""
    found = []
    for source in dict.fromkeys(files):
        for label, folder in memory_folders(settings, profile):
            rest = source.removeprefix(f"{label}/")
            path = folder if folder.is_file() else folder / rest
            if rest != source and path.is_file():
                found.append(path)
                break
    return found


def _named(settings: Settings, profile: str, ledger: Ledger, words: Sequence[str], folder: Path) -> list[Memory]:
    text = " ".join(words).strip()
    if len(words) == 1 and _HASH.fullmatch(text.lower()) and (found := _by_hash(ledger, text.lower())):
        return found
    if len(words) == 1 and (found := _of_file(settings, profile, ledger, text, folder)):
        return found
    wanted = list(dict.fromkeys(_WORD.findall(text)))
    if not wanted:
        raise UsageError(
            "there is nothing to look for", "name a memory's hash, its file, or words that stand in the memory"
        )
    found = ledger.search.with_words(wanted)
    if not found:
        which = "that word" if len(wanted) == 1 else f"all of the {len(wanted)} words"
        raise MetahumanError(
            f"no memory that is known holds {which}", "whole words count; a memory's file can be named as well"
        )
    return found


def _by_hash(ledger: Ledger, beginning: str) -> list[Memory]:
    found = ledger.search.by_hash(beginning)
    if len(found) > 1:
        some = ", ".join(memory.digest[:_SHOWN_HASH] for memory in found)
        raise UsageError(f"{beginning} is the beginning of {len(found)} memories", f"write more of it: {some}")
    return found


def _of_file(settings: Settings, profile: str, ledger: Ledger, text: str, folder: Path) -> list[Memory]:
    """What a file says and said, by its path (it may be gone), or by the name that the ledger has for it."""
    typed = folder / Path(text).expanduser()
    sources = [text]
    for label, root in memory_folders(settings, profile):
        for path in (typed, typed.resolve()):
            for base in (root.absolute(), root.resolve()):
                if path == base:
                    sources.append(f"{label}/{printable(base.name)}")
                elif path.is_relative_to(base):
                    sources.append(f"{label}/{printable(path.relative_to(base).as_posix())}")
    found = ledger.search.of_files(list(dict.fromkeys(sources)))
    if not found and typed.is_file():
        raise MetahumanError(
            f"{text} holds no memory that is known",
            "is it in a folder of memories? `metahuman status` says what was set aside",
        )
    return found
