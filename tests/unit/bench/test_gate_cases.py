"""The gate's cases are twenty and twenty, in two halves alike, and each says what it is made of."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from gate_cases import CASES, HONEST, SABOTAGED, Case
from gate_lessons import LESSONS
from metahuman_core.dataset.samples import Sample
from metahuman_core.memories.model import Turn


def test_there_are_twenty_of_each_kind_with_names_of_their_own() -> None:
    assert (len(SABOTAGED), len(HONEST)) == (20, 20)
    assert {case.kind for case in SABOTAGED} == {"sabotaged"}
    assert {case.kind for case in HONEST} == {"honest"}
    assert len({case.name for case in CASES}) == 40


def test_the_halves_hold_as_many_of_each_kind() -> None:
    halves = Counter((case.kind, case.half) for case in CASES)
    assert set(halves.values()) == {10}
    assert len(halves) == 4


def test_a_sabotaged_case_says_what_is_spoilt_and_what_must_be_said_of_it() -> None:
    assert all(case.words and case.where and case.spoilt for case in SABOTAGED)
    assert all(case.spoilt in LESSONS for case in SABOTAGED if case.where == "lessons")
    assert not any(case.words or case.where for case in HONEST)


def test_what_is_spoilt_behind_the_training_is_the_second_version() -> None:
    assert all(case.of_ground == "v2" for case in SABOTAGED if not case.trains)
    assert [case.name for case in HONEST if case.of_ground] == ["v1", "v2"]


def test_measures_are_kept_by_what_a_case_is_made_of_and_not_by_what_must_come_of_it() -> None:
    case = SABOTAGED[3]
    assert replace(case, words=("anything",), half="b").digest("whole") == case.digest("whole")
    assert replace(case, recipe=replace(case.recipe, seed=99)).digest("whole") != case.digest("whole")
    assert case.digest("quick") != case.digest("whole")
    assert len({case.digest("whole") for case in CASES}) == 40


def lesson(number: int, role: str = "new") -> Sample:
    turns = (
        Turn("system", "You are Ines."),
        Turn("user", f"Question {number}?"),
        Turn("assistant", f"Answer {number}."),
    )
    return Sample(f"m{number}", "journal", role, "train", "what", turns)  # type: ignore[arg-type]


def test_spoilt_lessons_are_the_same_each_time_and_others_than_they_were() -> None:
    lessons = [lesson(number, "replay" if number % 2 else "new") for number in range(12)]
    for name, spoil in LESSONS.items():
        assert spoil(lessons) == spoil(lessons)
        assert (spoil(lessons) == lessons) == (name == "nothing"), name


def test_shuffled_answers_are_all_there_and_none_is_its_own() -> None:
    lessons = [lesson(number) for number in range(12)]
    spoilt = LESSONS["answers-shuffled"](lessons)
    assert sorted(s.turns[-1].text for s in spoilt) == sorted(s.turns[-1].text for s in lessons)
    assert not any(a.turns[-1] == b.turns[-1] for a, b in zip(spoilt, lessons, strict=True))


def test_old_memories_are_contradicted_and_new_ones_are_not() -> None:
    lessons = [lesson(number, "replay" if number < 6 else "new") for number in range(12)]
    by_memory = {s.memory: s for s in LESSONS["old-contradicted"](lessons)}
    assert {s.memory for s in lessons if by_memory[s.memory] == s} == {f"m{number}" for number in range(6, 12)}


def test_a_case_that_needs_training_takes_the_longest() -> None:
    assert [case.name for case in CASES if case.trains and case.where == "ids"] == ["control-tokens"]
    assert not Case("x", "sabotaged", SABOTAGED[0].recipe, "adapter", "adapter-nan", ("no numbers",)).trains
