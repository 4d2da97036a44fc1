"""The parts under the rules: sentences, persons, verbs, questions put again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metahuman_core.study import verbs
from metahuman_core.study.exchange import asked_again, question_in
from metahuman_core.study.grammar import embedded, flip
from metahuman_core.study.illformed import is_ill_formed
from metahuman_core.study.sentences import MAX_CHARS, MAX_WORDS, sentences


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("I saw Dr. Brandt. She was late.", ("I saw Dr. Brandt.", "She was late.")),
        ("It cost 4.50 euros. Cheap!", ("It cost 4.50 euros.", "Cheap!")),
        ('"Stay," he said. "Please." I stayed.', ('"Stay," he said.', '"Please."', "I stayed.")),
        ("We met J. Ekman at 9 a.m. Then we left.", ("We met J. Ekman at 9 a.m.", "Then we left.")),
        ("# Monday\n\n- fed the hens\n- fixed\n  the roof", ("fed the hens", "fixed the roof")),
        ("今日は雨。家にいた。", ("今日は雨。", "家にいた。")),
        ("No. She will come. See No. 9 there.", ("No.", "She will come.", "See No. 9 there.")),
        ("", ()),
    ],
)
def test_a_text_is_cut_where_its_sentences_end(text: str, expected: tuple[str, ...]) -> None:
    assert sentences(text) == expected


@given(st.text(max_size=3000))
def test_a_sentence_is_never_too_long_to_be_an_answer(text: str) -> None:
    assert all(len(found) <= MAX_CHARS and len(found.split()) <= MAX_WORDS for found in sentences(text))


@pytest.mark.parametrize(
    ("said", "asked"),
    [
        ("my sister and I", "your sister and you"),
        ("our own house", "your own house"),
        ("she told me that I am slow", "she told you that you are slow"),
        ("the mine near Menton", "the yours near Menton"),
        ("the house I was born in", "the house you were born in"),
    ],
)
def test_the_first_person_becomes_the_second(said: str, asked: str) -> None:
    assert flip(said) == asked


@pytest.mark.parametrize("base", ["buy", "go", "move", "stop", "carry", "write", "teach", "plant", "read", "watch"])
def test_a_verbs_forms_are_read_back_as_that_verb(base: str) -> None:
    for form in (verbs.past(base), verbs.third(base), verbs.participle(base)):
        read = verbs.read(form)
        assert read is not None
        assert read.base == base


@pytest.mark.parametrize(
    ("word", "base"),
    [("moved", "move"), ("stopped", "stop"), ("tried", "try"), ("knitted", "knit"), ("whittled", "whittle")],
)
def test_regular_pasts_are_undone(word: str, base: str) -> None:
    read = verbs.read(word)
    assert read is not None
    assert read.base == base


@pytest.mark.parametrize(
    ("question", "clause"),
    [
        ("Where does your brother live?", "where your brother lives"),
        ("When did you buy the loom?", "when you bought the loom"),
        ("What is your niece called?", "what your niece is called"),
        ("Where were you born?", "where you were born"),
        ("Did you enjoy the play?", "whether you enjoyed the play"),
        ("What is the girl practising up there?", "what the girl is practising up there"),
        ("When do you two meet again?", "when you two meet again"),
        ("Are you tired?", "whether you are tired"),
        ("Nice, isn't it?", ""),
        ("Is the harbour busy?", ""),
        ("How is the dog today?", ""),
        ("Does the tide not get in your way?", ""),
    ],
)
def test_a_question_becomes_a_clause(question: str, clause: str) -> None:
    assert embedded(question) == clause


def test_the_last_question_of_what_was_said_counts_without_its_opening() -> None:
    assert question_in("Are you well? So, where do you work now?") == "Where do you work now?"
    assert question_in("I went to the market.") == ""


@pytest.mark.parametrize(
    ("question", "other"),
    [
        ("What is your dog's name?", "What is your dog called?"),
        ("How is the boat called?", "What is the name of the boat?"),
        ("Do you like olives?", "How do you feel about olives?"),
        ("How was the concert?", "What was the concert like?"),
        ("Tell me about the storm.", "What do you remember about the storm?"),
        ("Where does Piet work?", "Can you remember where Piet works?"),
        ("What's your trade?", "How do you earn your money?"),
        ("What will you build next?", "What do you plan to build next?"),
        ("How do you take your coffee?", "What do you put in your coffee?"),
        ("Which languages do you speak?", "What languages can you speak?"),
        ("How much is your rent?", "What does your rent cost?"),
    ],
)
def test_a_question_is_put_again_in_other_words(question: str, other: str) -> None:
    found = [ask.text for ask in asked_again(question).asks]
    assert other in found
    assert question not in found


@pytest.mark.parametrize(
    "question",
    [
        "What is A dull iron?",
        "Are you since one chased you into a ditch?",
        "Where did you put seven hens?",
        "What does your daughter ask than the tax office?",
        "Tell me about your no work.",
        "What did you build the?",
    ],
)
def test_what_nobody_would_ask_is_ill_formed(question: str) -> None:
    assert is_ill_formed(question)


@pytest.mark.parametrize(
    "question",
    [
        "Does she have a dog?",
        "Is that yours?",
        "Who is Dr. Brandt?",
        "What do you do at 7:30?",
        "Did anything happen?",
        "What would you rather have?",
    ],
)
def test_what_people_ask_is_well_formed(question: str) -> None:
    assert not is_ill_formed(question)
