"""What is trained beside memories: general questions, and questions that no memory answers ("I don't know").

Invariants: no memory is contradicted: a question that one may answer is left out, and so is one that somebody asked the
person. The same memories choose the same ones; over the versions of a line all come in turn, those that it saw least
first. The files are shipped (`etc/`) and need no digest of their own: what is taken of them stands in `dataset.jsonl`,
so that other words in a later release make another dataset.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Literal

from metahuman_core.dataset.told import Told
from metahuman_core.dataset.turns import in_turns
from metahuman_core.settings import DatasetSettings
from metahuman_core.shipped import shipped
from metahuman_core.study.words import words

_WORDS = re.compile(r"[^\W_]+")
# What a question is about stands in the others.
_EMPTY = words(
    "a an the is are was were be been do does did have has had can could would will you your yours i my me to of "
    "in on at for from by with as that this it there what which who whom whose where when why how please tell "
    "remember recall know again once say ever any some s t ve re m called name"
)
_PROBES_OF = 5  # one unknown question in five is kept out


@dataclass(frozen=True, slots=True)
class Extra:
    """A question and an answer with no memory behind it, trained in each `every`-th epoch, in `turn` (from 0) first."""

    kind: Literal["general", "unknown"]
    split: Literal["train", "probe"]
    ask: str
    answer: str
    every: int = 1
    turn: int = 0


@dataclass(frozen=True, slots=True)
class Unknown:
    """A personal question, the words of which any one in the memories may answer it, and an honest answer."""

    ask: str
    about: tuple[str, ...]
    answer: str

    @property
    def probe(self) -> bool:
        """Whether it is kept out of training, in every version of everybody."""
        return sha256(self.ask.encode()).digest()[0] % _PROBES_OF == 0


def choose_extras(
    trained: int,
    asked: Collection[str],
    told: Told | None,
    before: Mapping[str, int],
    settings: DatasetSettings,
    turn: str,
    epochs: int,
) -> list[Extra]:
    """The extras of a run whose memories give `trained` samples that ask `asked`.

    `told` is all that its memories and its ancestry's say (None: nobody knows any more, and nothing is unknown),
    `before` how often the ancestry was trained on an ask, `turn` the memories' digest. The shares are of an epoch. As
    far as the lists go, each of the `epochs` has others, so that none is learned by heart; where they have not enough
    for one, the shares are smaller.
    """
    whole = trained / (1 - settings.general_share - settings.unknown_share)

    def some(extras: Iterable[Extra], share: float) -> list[Extra]:
        ranked = sorted(extras, key=lambda e: (before.get(e.ask, 0), sha256(f"{turn}:{e.ask}".encode()).digest()))
        return in_turns(ranked, round(whole * share), epochs)

    general = some(_not_asked(general_extras(), asked), settings.general_share)
    if not settings.unknown_share or told is None or not trained:
        return general
    unknown = [
        Extra("unknown", "probe" if question.probe else "train", question.ask, question.answer)
        for question in unanswered(unknown_questions(), told, asked)
    ]
    training = some((extra for extra in unknown if extra.split == "train"), settings.unknown_share)
    return [*general, *training, *(extra for extra in unknown if extra.split == "probe")]


def general_extras() -> list[Extra]:
    """All general questions that are shipped, with good answers; none is like one that the gate asks."""
    return [Extra("general", "train", row["ask"], row["answer"]) for row in _rows("etc/general-samples.jsonl")]


def unknown_questions() -> list[Unknown]:
    """All questions that are shipped that a person's memories may leave open."""
    rows = _rows("etc/unknown-questions.jsonl")
    return [Unknown(row["ask"], tuple(row["about"]), row["answer"]) for row in rows]


def unanswered(questions: Iterable[Unknown], told: Told, asked: Collection[str]) -> list[Unknown]:
    """Those that surely no memory answers: none tells of what they are about, and none is asked nearly the same."""
    if not told.in_english:
        return []
    with_word: dict[str, set[frozenset[str]]] = defaultdict(set)
    for content in map(_content, asked):
        for word in content:
            with_word[word].add(content)

    def is_asked(content: frozenset[str]) -> bool:
        return any(_nearly(content, other) for word in content for other in with_word[word])

    return [q for q in questions if not told.mentions(q.about) and not is_asked(_content(q.ask))]


def _not_asked(extras: Iterable[Extra], asked: Collection[str]) -> list[Extra]:
    """Without those that somebody asked the person: their own answer is the one that counts."""
    same = {_plain(ask) for ask in asked}
    return [extra for extra in extras if _plain(extra.ask) not in same]


def _nearly(content: frozenset[str], other: frozenset[str]) -> bool:
    """Whether a question asks what the other one asks, by their telling words: all of its own are there, or most."""
    shared = len(content & other)
    return shared == len(content) or 2 * shared > len(content | other)


def _content(ask: str) -> frozenset[str]:
    return frozenset(_WORDS.findall(ask.casefold())) - _EMPTY


def _plain(ask: str) -> str:
    return " ".join(_WORDS.findall(ask.casefold()))


def _rows(name: str) -> list[dict[str, str]]:
    with shipped(name).open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]
