"""How much of old memories is trained again: as much as of new ones, dealt out evenly, and all in turn."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest

from metahuman_core.dataset.choose import replay_count
from metahuman_core.dataset.replay import dealt_out, replayed
from metahuman_core.dataset.samples import Sample, an_epoch_of
from metahuman_core.memories.model import Memory, Turn
from metahuman_core.settings import DatasetSettings


def of(memory: str, count: int) -> list[Sample]:
    """A memory's samples."""
    return [
        Sample(memory, "note", "new", "train", "q", (Turn("user", f"{memory} {n}?"), Turn("assistant", f"{n}.")))
        for n in range(count)
    ]


def by_memory(samples: list[Sample]) -> list[int]:
    """How many samples an epoch has of each memory that has any."""
    return [
        an_epoch_of(s for s in samples if s.memory == memory) for memory in dict.fromkeys(s.memory for s in samples)
    ]


@pytest.mark.parametrize(
    ("most", "total", "counts"),
    [
        ([8, 8, 8], 7, [3, 2, 2]),
        ([8, 1, 8], 9, [4, 1, 4]),
        ([2, 2], 9, [2, 2]),
        ([0, 3], 2, [0, 2]),
        ([5, 5], 0, [0, 0]),
        ([], 4, []),
    ],
)
def test_samples_are_dealt_out_in_turn_as_far_as_there_are_any(most: list[int], total: int, counts: list[int]) -> None:
    assert dealt_out(most, total) == counts


@pytest.mark.parametrize(("memories", "ratio", "each"), [(3, 1.0, 4), (3, 0.5, 2), (3, 2.0, 8), (6, 1.0, 2)])
def test_of_few_old_memories_much_is_trained_again_and_of_many_a_little(memories: int, ratio: float, each: int) -> None:
    samples = replayed([of(f"{n}", 8) for n in range(memories)], of("new", 12), ratio, 2, {})
    assert by_memory(samples) == [each] * memories


def test_one_sample_of_each_old_memory_is_trained_in_every_epoch_however_little_is_asked_for() -> None:
    samples = replayed([*(of(f"{n}", 8) for n in range(5)), []], of("new", 2), 1.0, 3, {})
    assert by_memory(samples) == [1] * 5


@pytest.mark.parametrize("count", range(1, 9))
def test_all_samples_have_their_turn_where_the_epochs_have_room_for_them(count: int) -> None:
    epochs = 5
    samples = replayed([of("old", 8)], of("new", count), 1.0, epochs, {})
    assert len(samples) == min(8, count * epochs)
    for epoch in range(epochs):
        assert sum(epoch % s.every == s.turn for s in samples) == count


def test_what_is_left_over_goes_to_what_was_asked_the_least() -> None:
    old, before = [of(f"{n}", 4) for n in range(4)], Counter[str]()
    for _ in range(6):
        for sample in replayed(old, of("new", 6), 1.0, 1, before):
            before[sample.turns[-2].text] += 1
    often = [sum(before[s.turns[-2].text] for s in own) for own in old]
    assert max(often) - min(often) <= 1


def test_beside_more_that_is_new_more_old_memories_are_replayed(note: Callable[..., Memory]) -> None:
    notes = [note(f"My boat number {n} is called Juno.") for n in range(10)]
    talk = note(*["Where?", "Here."] * 50)
    one, half, none = (DatasetSettings(replay_ratio=ratio) for ratio in (1.0, 0.5, 0.0))
    assert replay_count(notes, one) == 40
    assert replay_count(notes, half) == replay_count(notes[:5], one) == 20
    assert replay_count(notes, none) == 0
    assert replay_count([talk], one) == 54
    assert replay_count(notes, DatasetSettings(questions_per_memory=0)) == 10
