"""Lists, tables, notes under labels, and notes in other languages are asked for, too."""

from __future__ import annotations

import pytest

from metahuman_core.memories.model import Memory
from metahuman_core.study import study
from metahuman_core.study.sentences import sentences


def text(said: str, title: str = "") -> Memory:
    return Memory("a.md", "", "journal", "emulation", None, (), said, (), title)


def answers(memory: Memory) -> dict[str, str]:
    return {question.ask: question.answer for question in study(memory, max_questions=30)}


SHOPPING = "- two kilos of leeks\n- [ ] coffee beans\n2. birthday candles\n"


@pytest.mark.parametrize("memory", [text(SHOPPING, "Shopping"), text(f"Shopping:\n\n{SHOPPING}", "2025-05-03 Notes")])
def test_a_list_under_a_title_is_asked_for_as_a_whole(memory: Memory) -> None:
    told = answers(memory)
    assert told["What is on your list Shopping?"] == "two kilos of leeks; coffee beans; birthday candles"


@pytest.mark.parametrize(
    "memory",
    [
        text(SHOPPING),
        text(f"{SHOPPING}And then we swam.", "Shopping"),
        text("- leeks", "Shopping"),
        text("".join(f"- a thing numbered {n} of very many\n" for n in range(30)), "Shopping"),
    ],
)
def test_what_is_no_list_under_a_title_or_a_long_one_is_not(memory: Memory) -> None:
    assert "What is on your list Shopping?" not in answers(memory)


def test_what_is_noted_under_labels_is_asked_for_line_by_line() -> None:
    told = answers(text("Doctor: Dr Moe, 555 0199\nBlood type: 0 negative"))
    assert told["What did you note for Blood type?"] == "Blood type: 0 negative"
    assert told["What did you note for Doctor?"] == "Doctor: Dr Moe, 555 0199"


@pytest.mark.parametrize(
    "said",
    ["One thing is sure: we go.", "Doctor: Dr Moe\n\nand then we swam", "a: b\n?: c", "Where is it: there?\nNo: here?"],
)
def test_a_colon_alone_makes_no_label(said: str) -> None:
    assert not [ask for ask in answers(text(said)) if "note" in ask]


def test_a_tables_rows_come_with_the_names_of_their_columns() -> None:
    table = (
        "Our boats:\n\n| Boat | Length | Owner |\n|:---|---:|---|\n| Juno | 6.2 m | Dr Moe |\n| Marram | | me |\nEnd."
    )
    assert sentences(table) == (
        "Our boats:", "Juno; length 6.2 m; owner Dr Moe", "Marram; owner me", "End.",
    )  # fmt: skip


def test_a_box_to_tick_is_no_part_of_what_is_said() -> None:
    assert sentences("- [x] call Bram\n[ ] pay Lind") == ("call Bram", "pay Lind")


@pytest.mark.parametrize(
    ("said", "ask"),
    [
        ("Meine Schwester Wanda wohnt in Graz.", "Was weißt du noch von Schwester Wanda?"),
        ("Ma sœur habite à Gand et elle est peintre.", "À quoi te fait penser Gand ?"),
        ("Trabajo en una panadería de Sevilla.", "¿Qué recuerdas de Sevilla?"),
        ("Mia sorella Giulia vive nel centro di Bologna.", "Che cosa ricordi di Giulia?"),
        ("Mijn zus Wanda woont in Gent.", "Vertel eens over Wanda."),
        ("Minha irmã mora em Coimbra.", "Fala de Coimbra."),
        ("Moja siostra Wanda mieszka w Gdyni.", "Tell me about Wanda."),
        ("We met Ana la Roja de Madrid there.", "Tell me about Ana."),
        ("Dinner with Berta: a la carte, and a soup for me.", "Tell me about Berta."),
    ],
)
def test_what_no_rule_understands_is_asked_for_in_its_own_language(said: str, ask: str) -> None:
    assert ask in answers(text(said))
