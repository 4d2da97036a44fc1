"""Invented facts: the same from a seed, no two alike, asked in words that are never trained."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from lifelong.invented import Counts, Invented, invent
from lifelong.kinds import KINDS
from lifelong.material import Run, holds
from metahuman_core.dataset.samples import Sample, an_epoch_of, line_of, read_samples
from metahuman_core.errors import UsageError
from metahuman_core.settings import DatasetSettings

COUNTS = Counts(facts=6, trained=5, watched=1, unseen=2, corrected=2)


def dataset(material: Invented, number: int, *, replay: int = 0) -> tuple[Sample, ...]:
    new, old = material.batches[number - 1].memories, material.batches[0].memories[:replay]
    return material.samples(Run(new, old, (), (), DatasetSettings(general_share=0, unknown_share=0), 1))


def test_the_same_seed_gives_the_same_facts_and_another_seed_others() -> None:
    first, again, other = invent(1, 5, COUNTS), invent(1, 5, COUNTS), invent(2, 5, COUNTS)
    assert first == again
    assert {p.key for b in first.batches for p in b.probes}.isdisjoint(p.key for b in other.batches for p in b.probes)


def test_every_kind_asks_in_eight_ways_and_no_two_facts_share_a_question() -> None:
    asks = Counter(ask.format(it=thing) for kind in KINDS for thing in kind.things for ask in kind.asks)
    assert set(asks.values()) == {1}
    assert {len(kind.asks) for kind in KINDS} == {8}
    assert all("{it}" in ask for kind in KINDS for ask in kind.asks)


def test_every_answer_holds_its_key_and_no_other_one() -> None:
    probes = [probe for batch in invent(3, 5, COUNTS).batches for probe in batch.probes]
    for probe in probes:
        assert [other.key for other in probes if holds(probe.answer, other.key)] == [probe.key] * COUNTS.unseen


def test_what_the_bench_asks_is_trained_in_no_batch() -> None:
    material = invent(1, 5, COUNTS)
    trained = {s.turns[-2].text for number in range(1, 6) for s in dataset(material, number)}
    asked = {probe.ask for batch in material.batches for probe in batch.probes}
    assert asked
    assert not asked & trained


def test_an_unseen_phrasing_is_trained_for_no_fact_of_its_kind() -> None:
    material = invent(1, 5, COUNTS)
    trained = {s.turns[-2].text for number in range(1, 6) for s in dataset(material, number)}
    asked = {probe.ask for batch in material.batches for probe in batch.probes}
    for kind in KINDS:
        forms = {ask for ask in kind.asks if any(ask.format(it=thing) in asked for thing in kind.things)}
        assert not {form.format(it=thing) for form in forms for thing in kind.things} & trained


def test_each_fact_is_trained_in_five_ways_and_watched_in_one() -> None:
    samples = dataset(invent(1, 5, COUNTS), 2)
    assert set(Counter(s.memory for s in samples if s.split == "train").values()) == {5}
    assert set(Counter(s.memory for s in samples if s.split == "probe").values()) == {1}


def test_the_fourth_batch_corrects_facts_of_the_first_in_their_own_place() -> None:
    first, *_, fourth, _ = invent(1, 5, COUNTS).batches
    new = {memory.source: memory for memory in fourth.memories}
    corrected = [memory for memory in first.memories if memory.source in new]
    assert len(corrected) == COUNTS.corrected
    assert len(first.memories) == len(fourth.memories) == COUNTS.facts + COUNTS.corrected
    probes = [probe for probe in fourth.probes if probe.outdated]
    assert len(probes) == COUNTS.corrected * COUNTS.unseen
    for probe in probes:
        (old,) = [memory for memory in corrected if holds(memory.text, probe.outdated)]
        assert holds(new[old.source].text, probe.key)


def test_corrected_facts_are_not_asked_for_with_the_first_batch() -> None:
    first = invent(1, 5, COUNTS).batches[0]
    assert len({probe.about for probe in first.probes}) == COUNTS.facts


def test_a_line_of_two_batches_corrects_in_the_second_and_one_of_one_batch_nowhere() -> None:
    assert any(probe.outdated for probe in invent(1, 2, COUNTS).batches[1].probes)
    assert not any(probe.outdated for probe in invent(1, 1, COUNTS).batches[0].probes)


def test_of_old_memories_as_much_is_trained_as_of_new_ones_and_nothing_that_is_watched() -> None:
    samples = dataset(invent(1, 5, COUNTS), 2, replay=8)
    old, new = ([s for s in samples if s.role == role] for role in ("replay", "new"))
    assert an_epoch_of(old) == an_epoch_of(new)
    assert {s.split for s in old} == {"train"}


def test_general_samples_and_unknown_questions_come_beside_the_facts() -> None:
    material = invent(1, 5, COUNTS)
    settings = DatasetSettings(unknown_share=0.05)  # by default there are none for so few
    samples = material.samples(Run(material.batches[0].memories, (), (), (), settings, 5))
    assert {s.kind for s in samples if s.role == "general" and s.split == "train"} == {"general", "unknown"}


def test_the_product_reads_a_dataset_as_it_was_written(tmp_path: Path) -> None:
    material = invent(1, 2, COUNTS)
    samples = material.samples(Run(material.batches[0].memories, (), (), (), DatasetSettings(), 5))
    (tmp_path / "dataset.jsonl").write_text("".join(map(line_of, samples)), encoding="utf-8")
    assert tuple(read_samples(tmp_path / "dataset.jsonl")) == samples


@pytest.mark.parametrize("counts", [Counts(facts=40), Counts(trained=8), Counts(corrected=40)])
def test_more_than_can_be_invented_is_refused(counts: Counts) -> None:
    with pytest.raises(UsageError):
        invent(1, 5, counts)


@pytest.mark.parametrize(
    ("answer", "key", "held"),
    [
        ("My dog answers to the name Tusk.", "Tusk", True),
        ("My dog answers to the name TUSK!", "tusk", True),
        ("My dog answers to the name Tuskar.", "Tusk", False),
        ("The code is 4731", "4731", True),
        ("The code is 47310", "4731", False),
        ("It was on 7 May.", "the 7 May", True),
        ("It was in May.", "7 May", False),
        ("Anything", "", False),
    ],
)
def test_an_answer_holds_a_key_when_all_its_words_are_there(answer: str, key: str, held: bool) -> None:
    assert holds(answer, key) is held
