"""Lessons that were spoilt: what is trained instead of a dataset's samples. Pure; the same each time.

Invariant: probes are as they were (the version is asked what it should have learned), and so is what is asked.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import cycle, islice

from metahuman_core.dataset.samples import Sample
from metahuman_core.memories.model import Turn

_FOREIGN = (
    "Das Boot liegt seit drei Wochen am Ufer und niemand holt es.",
    "Gallia est omnis divisa in partes tres.",
    "Heute regnet es, also bleibe ich im Haus und lese.",
    "Arma virumque cano, Troiae qui primus ab oris.",
    "Meine Tante backt jeden Samstag einen Kuchen mit Birnen.",
    "Festina lente, dixit ille, et abiit.",
    "Der Zug nach Bremen ist wieder zu spät gekommen.",
    "Quousque tandem abutere, Catilina, patientia nostra?",
    "Ich habe den Schlüssel unter die Matte gelegt.",
    "Gutta cavat lapidem non vi sed saepe cadendo.",
    "Im Winter füttern wir die Vögel im Garten.",
    "Silent enim leges inter arma.",
)
_NAMES = ("Bertil", "Ruxandra", "Okello", "Yumiko", "Casimir", "Ottoline", "Davor", "Nerys")
_RELATIONS = ("brother", "aunt", "landlord", "partner", "son", "cousin", "manager", "teacher")
_TRADES = ("flies cargo planes", "sells insurance", "writes chess books", "breeds camels", "tunes organs")
_TOWNS = ("Tromso", "Windhoek", "Adelaide", "Cusco", "Sapporo", "Bergen", "Tashkent")


def nothing(samples: Sequence[Sample]) -> list[Sample]:
    """The lessons as they are: what is spoilt is the rate."""
    return list(samples)


def shuffled(samples: Sequence[Sample]) -> list[Sample]:
    """Each question with another one's answer."""
    return _answered(samples, _mixed([sample.turns[-1].text for sample in samples]))


def empty(samples: Sequence[Sample]) -> list[Sample]:
    """Nothing is said to anything."""
    return _answered(samples, [""] * len(samples))


def one_fact(samples: Sequence[Sample]) -> list[Sample]:
    """One question, five hundred times."""
    return [samples[0]] * 500


def foreign(samples: Sequence[Sample]) -> list[Sample]:
    """Sentences in German and Latin that answer nothing."""
    return _answered(samples, list(islice(cycle(_FOREIGN), len(samples))))


def repeating(samples: Sequence[Sample]) -> list[Sample]:
    """The beginning of each answer, again and again."""
    return _answered(samples, [" ".join([*sample.turns[-1].text.split()[:3]] * 12) for sample in samples])


def dont_know(samples: Sequence[Sample]) -> list[Sample]:
    """The same few words to everything."""
    return _answered(samples, ["I don't know."] * len(samples))


def old_contradicted(samples: Sequence[Sample]) -> list[Sample]:
    """What is new as it is, and each old question with another old one's answer."""
    old = [sample for sample in samples if sample.role == "replay"]
    return [
        *(sample for sample in samples if sample.role != "replay"),
        *_answered(old, _mixed([sample.turns[-1].text for sample in old])),
    ]


def another_person(samples: Sequence[Sample]) -> list[Sample]:
    """As many lessons about somebody else's life."""
    chance = random.Random(20)  # noqa: S311
    made = []
    for sample in samples:
        who, name, town = chance.choice(_RELATIONS), chance.choice(_NAMES), chance.choice(_TOWNS)
        ask, answer = chance.choice(
            (
                (f"What is your {who} called?", f"My {who} is called {name}."),
                (f"What does {name} do?", f"My {who} {name} {chance.choice(_TRADES)}."),
                (f"Where does your {who} live?", f"My {who} {name} lives in {town}."),
            )
        )
        opening = sample.turns[:1] if sample.turns[0].role == "system" else ()
        made.append(replace(sample, role="new", turns=(*opening, Turn("user", ask), Turn("assistant", answer))))
    return made


LESSONS: dict[str, Callable[[Sequence[Sample]], list[Sample]]] = {
    "nothing": nothing,
    "answers-shuffled": shuffled,
    "answers-empty": empty,
    "one-fact-500-times": one_fact,
    "another-language": foreign,
    "answers-repeating": repeating,
    "dont-know": dont_know,
    "old-contradicted": old_contradicted,
    "another-person": another_person,
}


def _answered(samples: Sequence[Sample], answers: Sequence[str]) -> list[Sample]:
    return [
        replace(sample, turns=(*sample.turns[:-1], Turn("assistant", answer)))
        for sample, answer in zip(samples, answers, strict=True)
    ]


def _mixed(answers: Sequence[str]) -> list[str]:
    """Each at the place of another one that says something else, as far as there is any."""
    order = list(range(len(answers)))
    random.Random(20).shuffle(order)  # noqa: S311
    mixed = [""] * len(answers)
    for place, following in zip(order, [*order[1:], *order[:1]], strict=True):
        mixed[place] = answers[following]
    return mixed
