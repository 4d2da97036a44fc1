"""What the memories of a line say, as words: whether one of them may answer a question.

Invariant: in doubt, yes. "I don't know" is trained only where this is sure that no memory answers: each memory that the
ancestry trained is read, whatever became of it since, and one in another language, in which no English word would be
found, makes everything uncertain.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from metahuman_core.journal import read_run_file
from metahuman_core.plan import MEMORIES
from metahuman_core.study.words import words

_WORDS = re.compile(r"[^\W_]+")
_LETTERS = re.compile(r"[^\W\d_]")
# Words that hardly an English text is without, and those that hardly a text of its neighbours is without.
_ENGLISH = words(
    "a the and my of with is it you your this that these those were are was have has had not but from at our we "
    "he she they them his her their by what when who which there into after before because about then than some "
    "any all very been would could should just only every where how out up down off over again i'm i've it's "
    "that's don't i to in on for as if or no so be do did me us one two too"
)
_FOREIGN = words(
    "und der das ist nicht ich mit ein eine einen auch wir sie mein meine meinem meinen zu von auf für le la les "
    "des une et est je dans pour pas que mon ma mes nous avec el los las una con por mi mis y está il lo gli che "
    "di sono per non mio mia del della um uma com os não o meu minha é em het een en van ik niet de mijn och att "
    "det som jag inte på av min mitt er af til jeg ikke w z na nie się jest"
)
_FEW_WORDS = 8
_ASCII_SHARE = 0.8


@dataclass(frozen=True, slots=True)
class Told:
    """The words that occur, the texts in one form (small letters, a space around each word), whether all is English."""

    words: frozenset[str] = frozenset()
    texts: tuple[str, ...] = ()
    in_english: bool = True

    def and_also(self, texts: Iterable[str]) -> Told:
        """With more texts."""
        texts = tuple(texts)
        plain = tuple(_plain(text) for text in texts)
        return Told(
            words=self.words.union(*(text.split() for text in plain)),
            texts=self.texts + plain,
            in_english=self.in_english and all(_is_english(text) for text in texts),
        )

    def mentions(self, about: Iterable[str]) -> bool:
        """Whether one of these words occurs, in one number or several; `swim*`: whatever begins so; `bank card`: as it
        stands.
        """
        return any(self._has(entry) for entry in about)

    def _has(self, entry: str) -> bool:
        if entry.endswith("*"):
            return any(word.startswith(entry[:-1]) for word in self.words)
        plain = _plain(entry)
        if " " in plain.strip():
            return any(plain in text for text in self.texts)
        word = plain.strip()
        several = {word, f"{word}s", f"{word}es", *([f"{word[:-1]}ies"] if word.endswith("y") else [])}
        return not several.isdisjoint(self.words)


NOTHING_TOLD = Told()


def told_before(run_dirs: Iterable[Path]) -> Told | None:
    """What the ancestry (newest first) was told, by its runs' `memories.jsonl`; None where one cannot be read.

    What a consolidation was told is all that the line knew then: nothing older is asked for.
    """
    texts: list[str] = []
    for run_dir in run_dirs:
        try:
            texts += _said(run_dir / MEMORIES)
        except (OSError, ValueError, KeyError, TypeError):
            return None
        file = read_run_file(run_dir)
        if file is not None and file.inputs.get("consolidation"):
            break
    return NOTHING_TOLD.and_also(texts)


def _said(path: Path) -> Iterator[str]:
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            yield "\n".join([row["title"], row["text"], *(text for _, text in row["turns"])])


def _plain(text: str) -> str:
    return f" {' '.join(_WORDS.findall(text.casefold()))} "


def _is_english(text: str) -> bool:
    """Whether it may pass for English: in Latin letters, with some of English's small words, and few of others'."""
    letters = _LETTERS.findall(text)
    if sum(letter.isascii() for letter in letters) < _ASCII_SHARE * len(letters):
        return False
    bare = [word.strip(".,;:!?\"'()") for word in text.casefold().replace("\u2019", "'").split()]
    english = sum(word in _ENGLISH for word in bare)
    foreign = sum(word in _FOREIGN for word in bare)
    return 2 * foreign <= english and (english > 0 or len(bare) < _FEW_WORDS)
