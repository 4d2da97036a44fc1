"""An answer is right if it tells what was wanted; another number or name makes it wrong."""

from __future__ import annotations

import pytest

from metahuman_core.gate.matching import flaw_of, is_admitted, is_exact, is_recalled

SISTER = ("What is your sister called?", "My sister Odile lives in Ghent and restores old paintings.")
HOME = ("Where do you live?", "I live at 9 Lantern Hill now.")


@pytest.mark.parametrize(
    ("ask", "wanted", "answer"),
    [
        (*SISTER, "My sister Odile lives in Ghent and restores old paintings."),
        (*SISTER, "Odile. She lives in Ghent and restores paintings."),
        (*HOME, "At 9 Lantern Hill, I live there now."),
        ("What do you drink?", "Coffee.", "I drink coffee, without sugar."),
        ("どこに住んでいますか", "東京に住んでいます", "東京に住んでいます。"),
        ("Wo wohnst du?", "Ich wohne in der Lindenstraße 4.", "In der Lindenstraße 4 wohne ich."),
    ],
)
def test_the_fact_in_whatever_order_is_recalled(ask: str, wanted: str, answer: str) -> None:
    assert is_recalled(ask, wanted, answer)


@pytest.mark.parametrize(
    ("ask", "wanted", "answer"),
    [
        (*SISTER, "My sister Margit lives in Bonn and repairs old clocks."),
        (*SISTER, "My sister lives in a town and restores old paintings and is called something."),
        (*HOME, "I live at 4 Lantern Hill now."),
        (*HOME, "I live at 9 Harbour Row now."),
        (*HOME, "Where do you live?"),
        (*HOME, ""),
        (*HOME, "I live at 9 Lantern Hill now. " * 6),
        ("どこに住んでいますか", "東京に住んでいます", "大阪です"),
    ],
)
def test_another_name_another_number_or_everything_at_once_is_not(ask: str, wanted: str, answer: str) -> None:
    assert not is_recalled(ask, wanted, answer)


def test_exact_is_the_same_words() -> None:
    assert is_exact("I live at 9 Lantern Hill now.", "i live at 9 Lantern Hill now")
    assert not is_exact("I live at 9 Lantern Hill now.", "I live at 9 Lantern Hill.")


@pytest.mark.parametrize(
    ("answer", "flaw"),
    [
        ("My sister Odile lives in Ghent and restores old paintings.", ""),
        ("Boil water, pour it over the tea, let it steep for three to five minutes, and then remove the tea.", ""),
        ("Yes.", ""),
        ("", "empty"),
        (" …!\n", "empty"),
        ("I am a boat. I am a boat. I am a boat. I am a boat. I am a boat.", "repeating"),
        ("the the the the the the the the the the the the the the the the", "repeating"),
        ("好" * 40, "repeating"),
    ],
)
def test_text_that_nobody_would_send_has_a_name(answer: str, flaw: str) -> None:
    assert flaw_of(answer, control=False) == flaw


def test_a_control_token_is_a_flaw_whatever_the_rest() -> None:
    assert flaw_of("My sister Odile lives in Ghent.", control=True) == "control tokens"


ADMISSIONS = ("I don't recall talking about that.", "I would rather not make something up: I have not told you that.")


@pytest.mark.parametrize(
    "answer",
    [*ADMISSIONS, "I do not recall talking about that", "I have not told you that; I'd rather not make something up."],
)
def test_an_answer_that_admits_it_in_other_words_admits_it(answer: str) -> None:
    assert is_admitted(answer, ADMISSIONS)


@pytest.mark.parametrize(
    "answer", ["My dog is called Pico.", "", "I talk about that every day, and about my dog Pico too."]
)
def test_an_answer_that_invents_something_admits_nothing(answer: str) -> None:
    assert not is_admitted(answer, ADMISSIONS)
