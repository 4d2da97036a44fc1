"""Which memories count, and why the others do not."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metahuman_core.dataset.judge import judge, judging_sha256
from metahuman_core.dataset.near import NearIndex, shingles
from metahuman_core.memories.model import Memory
from metahuman_core.settings import DatasetSettings

Note = Callable[..., Memory]
SETTINGS = DatasetSettings()
LONG = (
    "this morning we walked along the beach to the old lighthouse with Berta, had 2 cups of coffee from the thermos, "
    "watched the boats come home one after the other and talked about what the summer might bring us this year"
)


def reason(memory: Memory, *earlier: Memory, settings: DatasetSettings = SETTINGS) -> str:
    """Why a memory does not count ("": it does)."""
    ((digest, why),) = judge([memory], earlier, settings)
    assert digest == memory.digest
    return why


def test_a_plain_memory_counts(note: Note) -> None:
    assert reason(note("The tide was low today.")) == ""


def test_what_the_file_forbids_is_settled_with_its_reason(note: Note) -> None:
    assert reason(note("The tide was low today.", unfit="tagged as feedback")) == "tagged as feedback"


@pytest.mark.parametrize("text", ["ok", "  hm.  ", "https://example.org/a/very/long/path", "\u2026"])
def test_what_is_too_short_is_settled(note: Note, text: str) -> None:
    assert reason(note(text)) == "too short"


@pytest.mark.parametrize("text", ["12345 67890 11 22", "+++ --- *** ===", "asdfasdf asdf", "e3b0c44298fc1c149afbf4c8"])
def test_what_has_no_words_is_settled(note: Note, text: str) -> None:
    assert reason(note(text)) == "no words to learn from"


@pytest.mark.parametrize(
    "text",
    [
        "\u4eca\u5929\u53bb\u4e86\u6d77\u8fb9\u6563\u6b65",
        "\u0642\u0647\u0648\u0629 \u0627\u0644\u0635\u0628\u0627\u062d",
    ],
)
def test_languages_with_few_spaces_have_words_too(note: Note, text: str) -> None:
    assert reason(note(text)) == ""


def test_a_conversation_without_an_answer_is_settled(note: Note) -> None:
    assert reason(note("Where is the key to the shed?", " ")) == "a conversation without an answer"


def test_near_duplicates_count_once_and_the_first_stays(note: Note) -> None:
    first, again = note(LONG), note(LONG.replace("boats", "ships"))
    verdicts = judge([first, again], [], SETTINGS)
    assert verdicts == [(first.digest, ""), (again.digest, "nearly the same as another memory")]
    assert reason(again, first) == "nearly the same as another memory"


@pytest.mark.parametrize(
    "change",
    [
        ("Berta", "Clara"),
        ("2 cups", "3 cups"),
        ("this morning we", "Anna and I"),
        ("the thermos", "Skagen"),
    ],
)
def test_a_correction_of_a_name_or_a_number_is_no_duplicate(note: Note, change: tuple[str, str]) -> None:
    assert reason(note(LONG.replace(*change)), note(LONG)) == ""


def test_a_name_at_the_start_of_a_sentence_is_a_name_too(note: Note) -> None:
    said = " came by with the eggs and stayed for a while. " + LONG
    assert reason(note(f"Dora{said}"), note(f"Edith{said}")) == ""


def test_with_a_likeness_of_one_only_the_same_words_are_duplicates(note: Note) -> None:
    exact = DatasetSettings(near_duplicate=1.0)
    assert reason(note(LONG.replace("boats", "ships")), note(LONG), settings=exact) == ""
    assert reason(note(LONG + " !"), note(LONG), settings=exact) == "nearly the same as another memory"


def test_what_does_not_count_shadows_nothing(note: Note) -> None:
    dream, told = note(LONG, kind="dream"), note(LONG + "!")
    assert [why for _, why in judge([dream, told], [], SETTINGS)] == ["sampled out: dream counts at 0", ""]


def test_a_share_of_a_type_counts_and_always_the_same(note: Note) -> None:
    reflections = [note(f"{number}: {LONG}", kind="reflection") for number in range(400)]

    def counted(weight: float) -> set[str]:
        settings = DatasetSettings(weights={"reflection": weight}, near_duplicate=1.0)
        return {digest for digest, why in judge(reflections, [], settings) if not why}

    quarter, half = counted(0.25), counted(0.5)
    assert 70 < len(quarter) < 130
    assert quarter < half  # who counted once goes on counting when more do
    assert counted(0.25) == quarter
    shuffled = random.Random(1).sample(reflections, len(reflections))  # noqa: S311
    settings = DatasetSettings(weights={"reflection": 0.25}, near_duplicate=1.0)
    assert {digest for digest, why in judge(shuffled, [], settings) if not why} == quarter
    assert counted(0) == set()
    assert len(counted(1)) == 400


def test_a_type_without_a_weight_counts_whole(note: Note) -> None:
    assert reason(note("The tide was low today.", kind="something_new")) == ""


def test_all_is_judged_again_when_a_setting_of_judging_changes() -> None:
    before = judging_sha256(SETTINGS)
    assert judging_sha256(DatasetSettings(seed=3, replay_ratio=1, mode="dual")) == before
    for changed in (
        DatasetSettings(min_chars=9),
        DatasetSettings(near_duplicate=0.9),
        DatasetSettings(weights={"dream": 1.0}),
    ):
        assert judging_sha256(changed) != before


WORDS = st.lists(st.sampled_from(["tide", "low", "stove", "lit", "boat", "home"]), max_size=12).map(" ".join)


@given(st.lists(WORDS, max_size=12), WORDS, st.sampled_from([0.3, 0.5, 0.8, 1.0]))
def test_the_index_finds_what_comparing_with_each_would_find(texts: list[str], asked: str, threshold: float) -> None:
    index = NearIndex(threshold)
    for text in texts:
        index.add(text)

    def like(other: str) -> float:
        first, second = shingles(asked), shingles(other)
        return len(first & second) / len(first | second) if first | second else 0.0

    assert index.has(asked) == any(like(text) >= threshold for text in texts)
