"""A text's sentences, each in the person's own words.

Invariant: every sentence is a run of the text's own words, in order, with white space made single (a table's row: with
the names of its columns); none is longer than `MAX_WORDS` words or `MAX_CHARS` characters; the work is linear in the
text's length.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from metahuman_core.study.items import as_items
from metahuman_core.study.words import words as _words

MAX_WORDS = 40
MAX_CHARS = 320

_ABBREVIATIONS = _words(
    "mr mrs ms dr prof st sr jr vs etc e.g i.e a.m p.m no nr approx ca dept fig jan feb mar apr jun jul aug sep sept "
    "oct nov dec mt ave rd tel"
)
_ENDS_A_SENTENCE_ANYWAY = frozenset({"etc", "a.m", "p.m"})
_MARKER = re.compile(r"^(?:#{1,6}\s|>\s?|[-*+•]\s|\d{1,3}[.)]\s|\|)\s*(?:\[[ xX]\]\s+)?|^\[[ xX]\]\s+")
_HEADING = re.compile(r"^#{1,6}\s")
_FRONT_MATTER_RULE = re.compile(r"^(?:-{3,}|={3,}|\*{3,}|`{3,}.*)$")
_BREAK = re.compile("[.!?…]{1,3}[\"'”\u2019»)\\]*_]{0,3}(?=\\s|$)|[。\uff01\uff1f]+[」』”]?")
_EMPHASIS = re.compile(r"\*\*|__|`")
_CLAUSE = re.compile("[;:,—\u2013]\\s")


def paragraphs(text: str) -> Iterator[tuple[str, ...]]:
    """The sentences of each paragraph; a heading, a list item, a table's row or an empty line ends the one before."""
    lines: list[str] = []
    for raw in as_items(text):
        line = raw.strip()
        begins_anew = not line or _MARKER.match(line) or _FRONT_MATTER_RULE.match(line)
        if begins_anew and lines:
            yield from _sentences_of(" ".join(lines))
            lines = []
        if line and not _HEADING.match(line) and not _FRONT_MATTER_RULE.match(line):
            lines.append(_MARKER.sub("", line))
    if lines:
        yield from _sentences_of(" ".join(lines))


def sentences(text: str) -> tuple[str, ...]:
    """All sentences of the text, in order."""
    return tuple(sentence for paragraph in paragraphs(text) for sentence in paragraph)


def _sentences_of(paragraph: str) -> Iterator[tuple[str, ...]]:
    words = " ".join(_EMPHASIS.sub("", paragraph).split())
    found = tuple(piece for whole in _cut(words) for piece in _shorten(whole))
    if found:
        yield found


def _cut(text: str) -> Iterator[str]:
    start = 0
    for match in _BREAK.finditer(text):
        if _is_end(text, match):
            if sentence := text[start : match.end()].strip():
                yield sentence
            start = match.end()
    if rest := text[start:].strip():
        yield rest


def _is_end(text: str, match: re.Match[str]) -> bool:
    """Whether the mark ends a sentence: not after an abbreviation or an initial, nor before a small letter."""
    following = text[match.end() : match.end() + 2].lstrip()
    if match.group()[0] in "。\uff01\uff1f" or not following:
        return True
    if following[0].islower():
        return False
    if match.group() != ".":
        return True
    before = re.search(r"[\w.]*$", text[max(0, match.start() - 12) : match.start()])
    word = before.group() if before else ""
    if len(word) == 1 and word.isupper() and word != "I":
        return False
    if word.lower() == "no":  # "No. 9" is an abbreviation, "No. She said" an answer
        return not following[0].isdigit()
    return word.lower() not in _ABBREVIATIONS or word.lower() in _ENDS_A_SENTENCE_ANYWAY


def _shorten(sentence: str) -> Iterator[str]:
    """The sentence, or where it is too long to be an answer its parts, cut at commas and the like."""
    start = 0
    while start < len(sentence):
        limit = _end_of_answer(sentence, start)
        if limit < len(sentence):
            marks = [mark.end() for mark in _CLAUSE.finditer(sentence, start + (limit - start) // 3, limit)]
            limit = marks[-1] if marks else limit
        if part := sentence[start:limit].strip():
            yield part
        start = limit


def _end_of_answer(sentence: str, start: int) -> int:
    """Where MAX_WORDS words from `start` end, at most MAX_CHARS characters on (in a word, if there is no space)."""
    end = min(len(sentence), start + MAX_CHARS)
    spaces = [match.start() for match in re.finditer(" ", sentence[start:end])]
    if len(spaces) >= MAX_WORDS:
        return start + spaces[MAX_WORDS - 1]
    return start + spaces[-1] if spaces and spaces[-1] and end < len(sentence) else end
