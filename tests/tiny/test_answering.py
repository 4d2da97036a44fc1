"""Many prompts at a time are answered as each alone, and every sample has its own likelihood."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import PreTrainedTokenizerBase

from metahuman_core.errors import StoppedError
from metahuman_core.memories.model import Turn
from metahuman_core.steps.answering import answers, nats_of, wanted_ids
from metahuman_core.steps.encode import ChatEncoder, Encoded
from metahuman_core.steps.loading import load_model
from metahuman_core.steps.model_folder import load_tokenizer
from metahuman_core.steps.rows import answer_nats, lay_out, packing_of

CPU = torch.device("cpu")
ASKED = (
    ("Where do you live?", "I live at 9 Lantern Hill now."),
    ("What is your sister called, and what does she do all day in Ghent?", "Odile. She restores old paintings."),
    ("Tea?", "Yes."),
)


@pytest.fixture(scope="module", params=["llama", "qwen3", "gemma3"])
def speaker(tiny_base: Callable[[str], Path], request: pytest.FixtureRequest) -> tuple[Any, PreTrainedTokenizerBase]:
    folder = tiny_base(request.param)
    return load_model(folder, torch.float32, CPU), load_tokenizer(folder)


def encoded(tokenizer: PreTrainedTokenizerBase) -> list[Encoded]:
    encoder = ChatEncoder(tokenizer)
    samples = [encoder.encode([Turn("user", ask), Turn("assistant", answer)], 256) for ask, answer in ASKED]
    return [sample for sample in samples if sample is not None]


def never() -> bool:
    return False


def test_a_batch_is_answered_as_each_prompt_alone(speaker: tuple[Any, PreTrainedTokenizerBase]) -> None:
    model, tokenizer = speaker
    samples = encoded(tokenizer)
    together = answers(model, tokenizer, samples, never)
    longest = max(len(wanted_ids(sample)) for sample in samples)
    for sample, answer in zip(samples, together, strict=True):
        prompt = torch.tensor([sample.ids[: len(sample.ids) - len(wanted_ids(sample))]])
        said = prompt
        for _ in range(longest * 5 // 4 + 8):
            following = model(said).logits[0, -1].argmax()
            if int(following) in {tokenizer.eos_token_id, wanted_ids(sample)[-1]}:
                break
            said = torch.cat([said, following.reshape(1, 1)], dim=1)
        made = said[0, prompt.shape[1] :].tolist()
        assert answer.text == tokenizer.decode(made, skip_special_tokens=True).strip()
        assert answer.control == any(token in tokenizer.added_tokens_decoder for token in made)


def test_each_sample_has_its_own_likelihood_however_they_are_laid_out(
    speaker: tuple[Any, PreTrainedTokenizerBase],
) -> None:
    model, tokenizer = speaker
    samples = encoded(tokenizer)
    alone = [float(answer_nats(model, lay_out([sample], 0, None)).detach()) for sample in samples]
    for packing in (None, packing_of(model.config)):
        assert nats_of(model, samples, 0, packing) == pytest.approx(alone, rel=1e-4)


def test_a_wish_to_stop_is_heard_between_two_tokens(speaker: tuple[Any, PreTrainedTokenizerBase]) -> None:
    model, tokenizer = speaker
    heard = 0

    def stop() -> bool:
        nonlocal heard
        heard += 1
        return heard > 2

    with pytest.raises(StoppedError, match="while evaluating"):
        answers(model, tokenizer, encoded(tokenizer), stop)
    assert heard == 3
