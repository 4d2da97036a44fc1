"""Which memories count, and why the others do not."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from metahuman_core.dataset.judge import judge, judging_sha256
from metahuman_core.dataset.near import shingles, telling
from metahuman_core.ledger import NEARLY_THE_SAME, Ledger, NearIndex
from metahuman_core.ledger.database import Changes
from metahuman_core.ledger.files import Files
from metahuman_core.memories.model import Memory, content_digest
from metahuman_core.memories.read import Limits
from metahuman_core.settings import DatasetSettings

Note = Callable[..., Memory]
SETTINGS = DatasetSettings()
LONG = (
    "this morning we walked along the beach to the old lighthouse with Berta, had 2 cups of coffee from the thermos, "
    "watched the boats come home one after the other and talked about what the summer might bring us this year"
)


class Judged:
    """A ledger in memory, to which memories are told one by one, each in a file of its own."""

    def __init__(self, settings: DatasetSettings) -> None:
        self.ledger = Ledger(None)
        self._settings = settings
        self._db = self.ledger._db
        self._files = Files(self._db, Changes(self._db), Limits())

    def tell(self, memory: Memory, source: str = "") -> None:
        """Have a file say a memory."""
        self._files._take(f"memory/{source or memory.digest}", memory)

    def judge(self) -> None:
        """Judge what is new, in the ledger's order."""
        under = judging_sha256(self._settings)
        self.ledger.judge(
            self._settings.near_duplicate, under, lambda fresh, index: judge(fresh, index, self._settings)
        )

    def reasons(self) -> dict[str, str]:
        """The verdicts, by digest."""
        return dict(self._db.execute("SELECT digest, settled FROM memories"))


def reasons(memories: Sequence[Memory], settings: DatasetSettings = SETTINGS) -> list[str]:
    """Why memories do not count ("": they do), judged in this order."""
    judged = Judged(settings)
    with judged.ledger:
        for memory in memories:
            judged.tell(memory)
            judged.judge()
        return [judged.reasons()[memory.digest] for memory in memories]


def reason(memory: Memory, *earlier: Memory, settings: DatasetSettings = SETTINGS) -> str:
    """Why a memory does not count that comes after the others."""
    return reasons([*earlier, memory], settings)[-1]


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
    assert reasons([first, again]) == ["", NEARLY_THE_SAME]
    assert reasons([again, first]) == ["", NEARLY_THE_SAME]


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
    assert reasons([dream, told]) == ["sampled out: dream counts at 0", ""]


def _counted(memories: Sequence[Memory], settings: DatasetSettings) -> set[str]:
    judged = Judged(settings)
    with judged.ledger:
        for memory in memories:
            judged.tell(memory)
        judged.judge()
        return {digest for digest, why in judged.reasons().items() if not why}


def test_a_share_of_a_type_counts_and_always_the_same(note: Note) -> None:
    reflections = [note(f"{number}: {LONG}", kind="reflection") for number in range(400)]

    def counted(weight: float) -> set[str]:
        settings = DatasetSettings(weights={"reflection": weight}, near_duplicate=1.0)
        return _counted(reflections, settings)

    quarter, half = counted(0.25), counted(0.5)
    assert 70 < len(quarter) < 130
    assert quarter < half  # who counted once goes on counting when more do
    assert counted(0.25) == quarter
    shuffled = random.Random(1).sample(reflections, len(reflections))  # noqa: S311
    settings = DatasetSettings(weights={"reflection": 0.25}, near_duplicate=1.0)
    assert _counted(shuffled, settings) == quarter
    assert counted(0) == set()
    assert len(counted(1)) == 400


def test_a_type_without_a_weight_counts_whole(note: Note) -> None:
    assert reason(note("The tide was low today.", kind="something_new")) == ""


def test_all_is_judged_again_when_a_setting_of_judging_changes() -> None:
    before = judging_sha256(SETTINGS)
    assert judging_sha256(DatasetSettings(seed=3, replay_ratio=3, mode="dual")) == before
    for changed in (
        DatasetSettings(min_chars=9),
        DatasetSettings(near_duplicate=0.9),
        DatasetSettings(weights={"dream": 1.0}),
    ):
        assert judging_sha256(changed) != before


WORDS = st.lists(st.sampled_from(["tide", "low", "Stove", "lit", "boat", "2"]), min_size=1, max_size=12)
TEXTS = st.lists(WORDS.map(" ".join), max_size=14, unique_by=lambda text: content_digest((), text))
CALM = HealthCheck.function_scoped_fixture  # `note` holds nothing


def _compared_with_each(memories: Sequence[Memory], threshold: float) -> list[str]:
    """The verdicts that come of comparing each with all before it that count."""
    counting: list[Memory] = []
    verdicts = []
    for memory in memories:
        own = shingles(memory.text)
        is_near = any(
            telling(memory.text) == telling(other.text)
            and len(own & shingles(other.text)) / len(own | shingles(other.text)) >= threshold
            for other in counting
        )
        verdicts.append(NEARLY_THE_SAME if is_near else "")
        counting += [] if is_near else [memory]
    return verdicts


@settings(suppress_health_check=[CALM])
@given(TEXTS, st.sampled_from([0.3, 0.5, 0.8, 1.0]), st.integers(0, 14))
def test_the_index_finds_what_comparing_with_each_would_find(
    note: Note, texts: list[str], threshold: float, at_first: int
) -> None:
    recipe = DatasetSettings(near_duplicate=threshold, min_chars=1)
    memories = [note(text + " it was so", day=day) for day, text in enumerate(texts, 1)]
    judged = Judged(recipe)
    with judged.ledger:
        for memory in memories[:at_first]:
            judged.tell(memory)
        judged.judge()  # some in one go, the others each by itself: that must not matter
        for memory in memories[at_first:]:
            judged.tell(memory)
            judged.judge()
        assert [judged.reasons()[m.digest] for m in memories] == _compared_with_each(memories, threshold)


def test_what_is_superseded_shadows_nothing(note: Note) -> None:
    judged = Judged(SETTINGS)
    with judged.ledger:
        judged.tell(note(LONG), "page.md")
        judged.judge()
        again = note(LONG.replace("boats", "ships"))
        judged.tell(again, "page.md")
        judged.judge()
        assert judged.reasons()[again.digest] == ""
        judged.tell(third := note(LONG.replace("boats", "birds")), "other.md")
        judged.judge()
        assert judged.reasons()[third.digest] == NEARLY_THE_SAME


def test_another_likeness_judges_all_again_with_its_own_index(note: Note) -> None:
    loose, exact = DatasetSettings(), DatasetSettings(near_duplicate=1.0)
    first, again = note(LONG, day=1), note(LONG.replace("boats", "ships"), day=2)
    judged = Judged(loose)
    with judged.ledger:
        judged.tell(first)
        judged.tell(again)
        for recipe, reason_of_second in ((loose, NEARLY_THE_SAME), (exact, ""), (loose, NEARLY_THE_SAME)):
            judged._settings = recipe
            judged.judge()
            assert judged.reasons() == {first.digest: "", again.digest: reason_of_second}


def test_a_judging_that_was_cut_short_by_other_settings_loses_no_candidate(note: Note) -> None:
    judged = Judged(SETTINGS)
    with judged.ledger:
        judged.tell(note(LONG))
        judged.judge()
        with pytest.raises(KeyboardInterrupt):
            judged.ledger.judge(1.0, "others", _interrupted)
        judged.tell(again := note(LONG.replace("boats", "ships")))
        judged.judge()
        assert sorted(judged.reasons().values()) == ["", NEARLY_THE_SAME]
        assert again.digest in judged.reasons()


def _interrupted(fresh: Iterable[Memory], index: NearIndex) -> Iterator[tuple[str, str]]:
    raise KeyboardInterrupt
    yield ("", "")
