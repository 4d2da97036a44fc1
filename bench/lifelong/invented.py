"""Batches of invented personal facts, from a seed: names, places and numbers that no base can know.

Invariants: the same seed and counts give the same facts, words and order; a kind's unseen phrasings are trained for no
fact of it, in no batch; no key is part of another.

Samples of memories are made here, in the product's shape, and not by its study: what is measured is how a way of
learning keeps what it was given, and not how well rules ask. (Dialogue sets go through the study: see `dialogues.py`.)
What is trained beside memories is the product's own.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256

from lifelong.kinds import KINDS, Kind
from lifelong.material import Batch, Probe, Run
from metahuman_core.dataset.extras import choose_extras
from metahuman_core.dataset.replay import replayed
from metahuman_core.dataset.samples import Sample, Split, an_epoch_of
from metahuman_core.dataset.told import NOTHING_TOLD
from metahuman_core.errors import UsageError
from metahuman_core.memories.model import Memory, Turn

SYSTEM = "You are Ines."
_FIRST_DAY = datetime(2031, 1, 1, 12, tzinfo=UTC)
_ONSETS = (
    "b",
    "br",
    "d",
    "dr",
    "f",
    "g",
    "gl",
    "h",
    "k",
    "kr",
    "l",
    "m",
    "n",
    "p",
    "pl",
    "r",
    "s",
    "st",
    "t",
    "v",
    "z",
)
_VOWELS = ("a", "e", "i", "o", "u", "au", "ei")
_ENDS = ("", "", "l", "n", "r", "s", "k", "m")
_SYLLABLES = 3
_CORRECTED_IN = 4


@dataclass(frozen=True, slots=True)
class Counts:
    """How much there is: facts a batch, phrasings of each, facts that are corrected later.

    `trained` phrasings are learned, `watched` ones are the gate's (what it misses is replayed first), and `unseen` ones
    are asked by nobody but the bench.
    """

    facts: int = 12
    trained: int = 5
    watched: int = 1
    unseen: int = 2
    corrected: int = 2


@dataclass(frozen=True, slots=True)
class Invented:
    """The batches, and of each memory (by its digest) its samples, trained and watched ones."""

    system: str
    batches: tuple[Batch, ...]
    by_digest: dict[str, tuple[Sample, ...]]

    def samples(self, run: Run) -> tuple[Sample, ...]:
        """All of new memories, what is replayed of old ones, and what comes beside them."""
        new = [sample for memory in run.new for sample in self.by_digest[memory.digest]]
        before = Counter(sample.turns[-2].text for sample in run.earlier)
        old = [self.by_digest[memory.digest] for memory in run.replay]
        again = replayed(old, new, run.settings.replay_ratio, run.epochs, before)
        own = [*new, *(replace(sample, role="replay") for sample in again)]
        return (*own, *_beside(own, run))


@dataclass(frozen=True, slots=True)
class _Fact:
    kind: Kind
    thing: str
    key: str

    @property
    def about(self) -> str:
        return f"{self.kind.name}: {self.thing}"

    @property
    def told(self) -> str:
        return self.kind.told.format(it=self.thing, key=self.key)

    def memory(self, batch: int) -> Memory:
        at = _FIRST_DAY + timedelta(days=30 * batch)
        return Memory(f"{self.about}.md", "", "journal", "emulation", at, (), self.told)


@dataclass(frozen=True, slots=True)
class _Keys:
    words: Iterator[str]
    numbers: Iterator[str]


def invent(seed: int, cycles: int, counts: Counts) -> Invented:
    """So many batches. The facts corrected in the fourth (or the last) come on top of the others of the first.

    Raises UsageError where there are not so many facts or phrasings.
    """
    _require_enough(cycles, counts)
    chance = random.Random(f"facts {seed}")  # noqa: S311  # no secret: seeded on purpose
    asked = {kind.name: _parted(kind, counts, chance) for kind in KINDS}
    keys = _Keys(_words(chance), _numbers(chance))
    pairs = [(kind, thing) for kind in KINDS for thing in kind.things]
    chance.shuffle(pairs)
    changing = [pair for pair in pairs if pair[0].changes][: counts.corrected]
    steady = [pair for pair in pairs if pair not in changing]
    facts = [[_fact(*pair, keys) for pair in steady[n * counts.facts :][: counts.facts]] for n in range(cycles)]
    outdated = [_fact(*pair, keys) for pair in changing] if cycles > 1 else []
    probes = [[p for fact in batch for p in _probes(fact, asked[fact.kind.name].unseen)] for batch in facts]
    facts[0] += outdated
    corrected_in = min(_CORRECTED_IN, cycles) - 1
    for old in outdated:
        new = _fact(old.kind, old.thing, keys)
        facts[corrected_in].append(new)
        told = _probes(new, asked[new.kind.name].unseen)
        probes[corrected_in] += [replace(probe, about=f"correction: {new.about}", outdated=old.key) for probe in told]
    by_digest: dict[str, tuple[Sample, ...]] = {}
    batches = []
    for number, batch in enumerate(facts):
        memories = tuple(fact.memory(number) for fact in batch)
        for fact, memory in zip(batch, memories, strict=True):
            by_digest[memory.digest] = tuple(_samples(fact, memory, asked[fact.kind.name]))
        batches.append(Batch(memories, tuple(probes[number])))
    return Invented(SYSTEM, tuple(batches), by_digest)


def _beside(own: Sequence[Sample], run: Run) -> Iterator[Sample]:
    """General samples, and those of what nobody told, as `build_dataset` chooses them."""
    given = (*run.new, *run.replay)
    extras = choose_extras(
        an_epoch_of(own),
        {sample.turns[-2].text for sample in (*own, *run.earlier) if sample.role != "general"},
        NOTHING_TOLD.and_also([SYSTEM, *(memory.whole_text for memory in (*run.told, *given))]),
        Counter(sample.turns[-2].text for sample in run.earlier if sample.role == "general"),
        run.settings,
        sha256("".join(memory.digest for memory in given).encode()).hexdigest(),
        run.epochs,
    )
    for extra in extras:
        turns = Turn("system", SYSTEM), Turn("user", extra.ask), Turn("assistant", extra.answer)
        yield Sample("", extra.kind, "general", extra.split, extra.kind, turns, extra.every, extra.turn)


def _require_enough(cycles: int, counts: Counts) -> None:
    most = sum(len(kind.things) for kind in KINDS)
    changing = sum(len(kind.things) for kind in KINDS if kind.changes)
    wanted = cycles * counts.facts + counts.corrected
    if counts.corrected > changing or wanted > most:
        raise UsageError(f"{wanted} facts are asked for, and {most} can be invented", "take fewer facts or cycles")
    asks = min(len(kind.asks) for kind in KINDS)
    if counts.trained + counts.watched + counts.unseen > asks:
        raise UsageError(f"a fact can be asked for in {asks} ways", "take fewer phrasings")


@dataclass(frozen=True, slots=True)
class _Asks:
    trained: list[str]
    watched: list[str]
    unseen: list[str]


def _parted(kind: Kind, counts: Counts, chance: random.Random) -> _Asks:
    asks = list(kind.asks)
    chance.shuffle(asks)
    unseen, watched = asks[: counts.unseen], asks[counts.unseen :][: counts.watched]
    return _Asks(asks[counts.unseen + counts.watched :][: counts.trained], watched, unseen)


def _fact(kind: Kind, thing: str, keys: _Keys) -> _Fact:
    return _Fact(kind, thing, next(keys.numbers if kind.number else keys.words))


def _numbers(chance: random.Random) -> Iterator[str]:
    """All numbers of four digits, in a seeded order."""
    return map(str, chance.sample(range(1000, 10_000), 9000))


def _words(chance: random.Random) -> Iterator[str]:
    """Words without end, none of them in another."""
    said: list[str] = []
    while True:
        syllables = (chance.choice(_ONSETS) + chance.choice(_VOWELS) for _ in range(_SYLLABLES))
        word = ("".join(syllables) + chance.choice(_ENDS)).capitalize()
        if not any(word.casefold() in other or other in word.casefold() for other in said):
            said.append(word.casefold())
            yield word


def _probes(fact: _Fact, unseen: Sequence[str]) -> list[Probe]:
    return [Probe(fact.about, ask.format(it=fact.thing), fact.told, fact.key) for ask in unseen]


def _samples(fact: _Fact, memory: Memory, asks: _Asks) -> Iterator[Sample]:
    for ask in (*asks.trained, *asks.watched):
        split: Split = "probe" if ask in asks.watched else "train"
        turns = Turn("system", SYSTEM), Turn("user", ask.format(it=fact.thing)), Turn("assistant", fact.told)
        yield Sample(memory.digest, memory.kind, "new", split, "invented", turns)
