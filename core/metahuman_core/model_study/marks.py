"""What a text says that can be held against another: its names, numbers, links, telling words, scripts, denials. Pure.

Invariant: what is compared is folded the same way on both sides (letter case, genitives, numbers in words and in digits
up to twenty); the work is linear in the text's length.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from metahuman_core.model_study.common_words import COMMON, DENIALS, NUMBERS, VAGUE
from metahuman_core.study.grammar import expand

_LETTERS = re.compile(r"[^\W\d_]+")
_DIGITS = re.compile(r"\d+(?:[.,:/]\d+)*")
_THOUSANDS = re.compile(r"\d{1,3}(?:[.,]\d{3})+")
_LINK = re.compile(r"\w+://\S+|\bwww\.\S+|[\w.+-]+@[\w-]+\.[\w.-]+|\b[\w-]+\.(?:com|org|net|io|de|fr|eu|uk|nl|ru|cn)\b")
_BEFORE_A_START = re.compile(r"(?:^|[.!?…:。！？]|\n)[\s\"'“”„«»‘’(\[*_>¿¡-]*$")  # noqa: RUF001  # as people write
_NO_SPACES = re.compile(
    "[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff]+"
)
_ONE_SCRIPT = {"HIRAGANA": "CJK", "KATAKANA": "CJK", "HANGUL": "HANGUL"}
_ANSWERED = re.compile(r"^(?:yes|no|yeah|nope|oh|well|ja|nein|oui|non|sí|si|nee)\b[,.!;:]*\s*", re.IGNORECASE)
_MIN_TELLING = 3
_PREFIX = 3
_LONG = 6


@dataclass(frozen=True)
class Marks:
    """A text, and what it says that can be compared; each read once, when it is asked for."""

    text: str

    @cached_property
    def words(self) -> tuple[str, ...]:
        """Its words, folded; runs of a script that writes without spaces as pairs of characters."""
        return tuple(self._words())

    def _words(self) -> Iterator[str]:
        for match in _LETTERS.finditer(self.text):
            word = match.group().casefold()
            if _NO_SPACES.search(word):
                yield from (word[i : i + 2] for i in range(max(1, len(word) - 1)))
            else:
                yield word

    @cached_property
    def capitals(self) -> frozenset[str]:
        """Its words that have a capital somewhere, folded."""
        return frozenset(w.casefold() for w in _LETTERS.findall(self.text) if w[0].isupper())

    @cached_property
    def is_all_small(self) -> bool:
        """Whether its writer uses no capitals inside of sentences: then a name in it may stand small."""
        return not any(word != "i" for word, starts in self.names if not starts)

    @cached_property
    def names(self) -> tuple[tuple[str, bool], ...]:
        """Its words with a capital, folded, each with whether it opens a sentence, where any word has one."""
        return tuple(
            (
                match.group().casefold(),
                _BEFORE_A_START.search(self.text[max(0, match.start() - 8) : match.start()]) is not None,
            )
            for match in _LETTERS.finditer(self.text)
            if match.group()[0].isupper()
        )

    @cached_property
    def numbers(self) -> frozenset[str]:
        """Its numbers, in digits or (up to twenty) in words, in one form: `1,200` and `1200`, `03` and `three`."""
        return self.numbers_in_digits | {NUMBERS[word] for word in self.words if word in NUMBERS}

    @cached_property
    def numbers_in_digits(self) -> frozenset[str]:
        """Those that stand in digits."""
        return frozenset(_in_one_form(found) for found in _DIGITS.findall(self.text))

    @cached_property
    def links(self) -> frozenset[str]:
        """Its addresses of pages and of mail."""
        return frozenset(found.casefold().rstrip(".,;:!?)") for found in _LINK.findall(self.text))

    @cached_property
    def telling(self) -> frozenset[str]:
        """The words that say something: no common ones, none of one or two letters, no numbers."""
        return frozenset(
            word
            for word in self.words
            if (len(word) >= _MIN_TELLING or _NO_SPACES.search(word)) and word not in COMMON and word not in NUMBERS
        )

    @cached_property
    def scripts(self) -> frozenset[str]:
        """The scripts that its letters are of."""
        found = {unicodedata.name(letter, "").partition(" ")[0] for letter in set(self.text) if letter.isalpha()}
        return frozenset(_ONE_SCRIPT.get(script, script) for script in found)

    @cached_property
    def denies(self) -> bool:
        """Whether it says that something is not so; a yes or no that only opens it does not count."""
        plain = _ANSWERED.sub("", expand(self.text))
        return any(word.casefold() in DENIALS for word in _LETTERS.findall(plain))

    @cached_property
    def _known(self) -> frozenset[str]:
        return frozenset(self.words)

    @cached_property
    def _by_prefix(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = defaultdict(list)
        for word in dict.fromkeys(self.words):
            found[word[:_PREFIX]].append(word)
        return found

    def has(self, word: str) -> bool:
        """Whether it has the (folded) word, or another form of it: `lives` and `living` are forms of `live`."""
        return any(_is_form(word, other) for other in self._by_prefix.get(word[:_PREFIX], ()))

    def strange_names(self, others: Marks) -> frozenset[str]:
        """The names of `others` that this text has not; a word that opens a sentence may be any that it has."""
        strange = set()
        for name, starts in others.names:
            forms = {name, name.removesuffix("s"), f"{name}s"}
            if name == "i" or forms & self.capitals:
                continue
            if (starts or self.is_all_small) and (forms & self._known or (starts and name in COMMON | VAGUE)):
                continue
            strange.add(name)
        return frozenset(strange)

    def strange_numbers(self, others: Marks) -> frozenset[str]:
        """The numbers of `others` that this text has not; `one`, `first`, `second` in words are no numbers there."""
        in_words = {NUMBERS[word] for word in others.words if word in NUMBERS} - {"1", "2"}
        return (others.numbers_in_digits | in_words) - self.numbers


def _in_one_form(number: str) -> str:
    if _THOUSANDS.fullmatch(number):
        number = re.sub("[.,]", "", number)
    return re.sub(r"\d+", lambda digits: str(int(digits.group())), number)


def _is_form(word: str, other: str) -> bool:
    if word == other:
        return True
    shorter = min(len(word), len(other))
    same = next((i for i, (a, b) in enumerate(zip(word, other, strict=False)) if a != b), shorter)
    return same >= max(_PREFIX, shorter - (2 if shorter >= _LONG else 1))
