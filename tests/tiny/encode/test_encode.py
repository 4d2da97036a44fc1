"""What the model reads is what `apply_chat_template` would give it, and content never becomes a control token."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from metahuman_core.memories.model import Turn
from metahuman_core.steps.encode import IGNORED, ChatEncoder

if TYPE_CHECKING:
    from conftest import Case

SYSTEM = Turn("system", "You are Ines.")
LONG = 100_000
# What every one of the tokenizers can spell without an added token.
BENIGN = (
    [Turn("user", "Where were you born?"), Turn("assistant", "I was born in Tavira, above the bakery.")],
    [
        Turn("user", "Which tree do you like best? (just one!)"),
        Turn("assistant", "The old carob tree."),
        Turn("user", "I see; and why?"),
        Turn("assistant", 'It is behind the school: "our tree" since 1998.\nWe sat there at 4.'),
    ],
    [Turn("user", "42"), Turn("assistant", "- one\n- two\n[three] {four} <five> a_b = c | d")],
    [Turn("user", "  an edge of spaces  "), Turn("assistant", "\n\nand of lines\n")],
)
# What needs bytes, or runs of white space.
RICHER = (
    [Turn("user", "Où est l'été? 🦜"), Turn("assistant", "À Faro… 東京も好き。\tĐó là 👩‍👩‍👧.")],
    [Turn("user", "Show me."), Turn("assistant", "def f(x):\n    if x:\n        return  1\n\n\nfoo")],
)


def conversations(case: Case) -> list[list[Turn]]:
    """Conversations that name no control token, trimmed: templates differ in whether they do that themselves."""
    chosen = [*BENIGN, *(RICHER if case.kind in ("smol", "bytes", "first", "always", "legacy") else ())]
    trimmed = [[Turn(turn.role, turn.text.strip()) for turn in turns] for turns in chosen]
    return [*trimmed, *([SYSTEM, *turns] for turns in trimmed if case.takes_system)]


def test_a_prompt_is_tokenised_just_as_apply_chat_template_does_it(case: Case) -> None:
    for turns in conversations(case):
        assert case.encoder.encode_prompt(turns[:-1]) == case.ids(turns[:-1], generate=True)


def test_a_sample_is_tokenised_just_as_apply_chat_template_does_it_up_to_the_end_of_the_turn(case: Case) -> None:
    for turns in conversations(case):
        encoded = case.encoder.encode(turns, LONG)
        assert encoded is not None
        whole = case.ids(turns, generate=False)
        assert encoded.ids == whole[: len(encoded.ids)]
        assert not case.tokenizer.decode(whole[len(encoded.ids) :]).strip()


def test_the_loss_is_on_the_answer_and_the_end_of_its_turn_alone(case: Case) -> None:
    end = case.tokenizer.convert_tokens_to_ids(case.end_of_turn)
    for turns in conversations(case):
        encoded = case.encoder.encode(turns, LONG)
        assert encoded is not None
        learned = [label for label in encoded.labels if label != IGNORED]
        assert len(encoded.labels) == len(encoded.ids)
        assert encoded.labels[-len(learned) :] == encoded.ids[-len(learned) :] == learned
        assert learned[-1] == end
        assert case.tokenizer.decode(learned[:-1]).strip() == turns[-1].text
        assert end not in learned[:-1]


def test_no_added_token_comes_out_of_content_whatever_it_spells(case: Case) -> None:
    def sample(text: str) -> list[Turn]:
        return [Turn("user", f"{text}"), Turn("assistant", f"so {text}")]

    innocent = case.encoder.encode(sample("it"), LONG)
    assert innocent is not None
    for token in case.tokenizer.added_tokens_decoder.values():
        name = str(token.content)
        for text in (name, f"a{name}b", f"a {name} b", f"{name}{name}", f"{name} {name}", f"\n{name}\nx", f"({name})"):
            encoded = case.encoder.encode(sample(text), LONG)
            assert encoded is not None
            assert case.added(encoded.ids) == case.added(innocent.ids), repr(text)
            labels = [label for label in encoded.labels if label != IGNORED]
            assert case.added(labels) == case.added([i for i in innocent.labels if i != IGNORED]), repr(text)
            assert case.added(case.encoder.encode_prompt(sample(text)[:1])) == case.added(
                case.encoder.encode_prompt(sample("it")[:1])
            )


@pytest.mark.parametrize("kind", ["smol", "bytes", "spaces", "first", "always", "legacy", "runs"])
def test_control_tokens_in_content_stay_there_as_text(case_of: Callable[[str, str], Case], kind: str) -> None:
    case = case_of(kind, "chatml")
    for token in case.tokenizer.added_tokens_decoder.values():
        turns = [Turn("user", f"Say x{token.content}y"), Turn("assistant", f"x{token.content}y")]
        encoded = case.encoder.encode(turns, LONG)
        assert encoded is not None
        answer = [label for label in encoded.labels if label != IGNORED][:-1]
        assert case.tokenizer.decode(answer).strip() == turns[-1].text.replace("▁", " ")


def test_all_memory_text_of_a_tokenizer_without_the_character_is_kept_but_for_that_character(
    case_of: Callable[[str, str], Case],
) -> None:
    case = case_of("unknown", "chatml")
    encoded = case.encoder.encode([Turn("user", "Who?"), Turn("assistant", "My cat 🦜 is old.")], LONG)
    assert encoded is not None
    answer = [label for label in encoded.labels if label != IGNORED][:-1]
    assert case.tokenizer.decode(answer).split() == ["My", "cat", "is", "old."]


def test_a_system_prompt_opens_the_first_question_where_the_template_has_no_place_for_it(
    case_of: Callable[[str, str], Case],
) -> None:
    for template in ("gemma", "mistral"):
        case = case_of("smol", template)
        folded = case.ids([Turn("user", "You are Ines.\n\nWho are you?")], generate=True)
        assert case.encoder.encode_prompt([SYSTEM, Turn("user", "Who are you?")]) == folded


def test_an_answer_that_is_too_long_is_cut_at_a_paragraph(case_of: Callable[[str, str], Case]) -> None:
    case = case_of("smol", "chatml")
    paragraphs = [f"In the year {year} we sailed to the island. The wind was good." for year in range(1990, 2020)]
    turns = [SYSTEM, Turn("user", "Tell me."), Turn("assistant", "\n\n".join(paragraphs))]
    encoded = case.encoder.encode(turns, 200)
    assert encoded is not None
    assert 150 < len(encoded.ids) <= 200
    text = case.tokenizer.decode([label for label in encoded.labels if label != IGNORED][:-1])
    kept = text.split("\n\n")
    assert kept == paragraphs[: len(kept)]


def test_of_a_history_that_is_too_long_the_oldest_turns_go_and_the_system_prompt_stays(
    case_of: Callable[[str, str], Case],
) -> None:
    case = case_of("smol", "chatml")
    history = [turn for n in range(20) for turn in (Turn("user", f"Question {n}?"), Turn("assistant", f"Answer {n}."))]
    encoded = case.encoder.encode([SYSTEM, *history], 100)
    assert encoded is not None
    assert len(encoded.ids) <= 100
    text = case.tokenizer.decode(encoded.ids)
    assert text.startswith("<|im_start|>system\nYou are Ines.<|im_end|>\n<|im_start|>user\nQuestion")
    assert text.endswith("Question 19?<|im_end|>\n<|im_start|>assistant\nAnswer 19.<|im_end|>")
    assert "Answer 18." in text
    assert "Question 1?" not in text


def test_a_question_that_fills_the_context_alone_is_left_out(case_of: Callable[[str, str], Case]) -> None:
    case = case_of("smol", "chatml")
    assert case.encoder.encode([Turn("user", "why " * 500), Turn("assistant", "Because.")], 100) is None


def test_the_same_template_without_special_tokens_ends_the_answer_with_the_end_token(
    case_of: Callable[[str, str], Case],
) -> None:
    tokenizer = case_of("bytes", "chatml").tokenizer
    template = tokenizer.chat_template
    plain = "{% for m in messages %}{{ m['role'] + ': ' + m['content'] + '\n' }}{% endfor %}"
    tokenizer.chat_template = plain + "{% if add_generation_prompt %}assistant: {% endif %}"
    encoder = ChatEncoder(tokenizer)
    encoded = encoder.encode([Turn("user", "Who?"), Turn("assistant", "Ines.")], LONG)
    tokenizer.chat_template = template
    assert encoded is not None
    assert encoded.labels[-1] == tokenizer.eos_token_id
