"""A model's questions never bring back what was corrected, and never take a template's place."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from metahuman_core.dataset.build import build_dataset
from metahuman_core.dataset.of_memory import samples_of
from metahuman_core.dataset.replay import least_asked
from metahuman_core.dataset.samples import Sample, read_samples
from metahuman_core.memories.model import Memory
from metahuman_core.settings import DatasetSettings
from metahuman_core.study import Asked

Note = Callable[..., Memory]
Built = Callable[..., list[Sample]]


@pytest.fixture
def built(tmp_path: Path) -> Built:
    def build(*new: Memory, asked: Mapping[str, tuple[Asked, ...]], replay: tuple[Memory, ...] = ()) -> list[Sample]:
        out = tmp_path / "dataset.jsonl"
        build_dataset(new, replay, [], DatasetSettings(replay_ratio=100), "", out, asked=asked)
        return list(read_samples(out))

    return build


def of(memory: Memory, *facts: Asked) -> dict[str, tuple[Asked, ...]]:
    return {memory.digest: facts}


def by_model(samples: list[Sample]) -> set[str]:
    return {sample.turns[0].text for sample in samples if sample.form == "model"}


def test_what_a_model_asked_is_added_and_the_templates_questions_stay(built: Built, note: Note) -> None:
    memory = note("My wife says that I work too much, and Liesbeth is right.")
    without = built(memory, asked={})
    samples = built(memory, asked=of(memory, Asked(memory.text, ("What is your wife called?",))))
    assert by_model(samples) == {"What is your wife called?"}
    assert {s.turns for s in samples} > {s.turns for s in without}


def test_a_corrected_address_is_not_brought_back_in_a_models_words(built: Built, note: Note) -> None:
    old, new = note("I live at 3 Mill Row.", day=1), note("I have moved: I live at 8 Castle Street now.", day=9)
    asked = of(old, Asked(old.text, ("Which number in Mill Row is yours?", "Where do letters to Mill Row go?")))
    assert "Which number in Mill Row is yours?" in by_model(built(old, asked=asked))
    for samples in (built(old, new, asked=asked), built(new, asked=asked, replay=(old,))):
        assert by_model(samples) == set()
        assert not [s for s in samples if "Mill Row" in s.turns[-1].text]


def test_what_else_an_old_memory_tells_stays(built: Built, note: Note) -> None:
    old = note("I live at 3 Mill Row.\n\nOur teacher Bram was fond of zinnias.", day=1)
    new = note("I have moved: I live at 8 Castle Street now.", day=9)
    asked = of(old, Asked("Our teacher Bram was fond of zinnias.", ("Which flowers pleased your teacher Bram?",)))
    assert by_model(built(old, new, asked=asked)) == {"Which flowers pleased your teacher Bram?"}


def test_a_template_is_never_contradicted_by_a_model_even_a_newer_one(built: Built, note: Note) -> None:
    old, new = note("I live at 3 Mill Row.", day=1), note("The bus to Berta's live show left at nine.", day=9)
    wrong = of(new, Asked(new.text, ("Where do you live?", "Which place do you live at?")))
    samples = built(old, new, asked=wrong)
    assert by_model(samples) == set()
    assert [s.turns[-1].text for s in samples if s.turns[0].text == "Where do you live?"] == [old.text]


def test_of_two_models_answers_the_newer_memorys_counts_in_all_wordings(built: Built, note: Note) -> None:
    old, new = (
        note("Bram keeps the spare key under the zinnias.", day=1),
        note("The spare key hangs at Berta's.", day=9),
    )
    asked = {
        **of(old, Asked(old.text, ("At whose house is the spare key?", "Under which flowers is the spare key?"))),
        **of(new, Asked(new.text, ("At whose house is the spare key?",))),
    }
    samples = built(old, new, asked=asked)
    assert by_model(samples) == {"At whose house is the spare key?"}
    assert {s.turns[-1].text for s in samples if s.form == "model"} == {new.text}


def test_a_text_that_no_template_understands_is_learned_whole_beside_the_questions(built: Built, note: Note) -> None:
    memory = note("姉は京都に住んでいます。")
    asked = of(memory, Asked(memory.text, ("姉はどこに住んでいますか",)))
    without = built(memory, asked={})
    forms = {sample.form for sample in built(memory, asked=asked)}
    assert forms == {sample.form for sample in without} | {"model"}


def test_of_an_old_memory_what_a_model_saw_is_trained_again_too(note: Note) -> None:
    memory = note("My boat is called Marram.\n\nThree evenings again, alas.")
    asked = (Asked("Three evenings again, alas.", ("How many evenings was it this week?",)),)
    alone, beside = (least_asked(samples_of(memory, DatasetSettings(), "", one), {})[:2] for one in ((), asked))
    assert [sample.form for sample in alone] == ["called", "called"]
    assert len({sample.turns[-1].text for sample in beside}) == 2
