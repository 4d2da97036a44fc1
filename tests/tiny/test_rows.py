"""Samples packed into one row behind what they share are computed as if each stood alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model

from metahuman_core.steps.encode import IGNORED, Encoded
from metahuman_core.steps.loading import Base, load_model
from metahuman_core.steps.rows import Packing, answer_nats, lay_out, packing_of, packs, shared_tokens

# peft asks transformers by an old name.
pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")

CPU = torch.device("cpu")
HEAD = [1, 4093, 198, 2683, 359, 253, 5356]
ALWAYS = Packing(pairs_a_token=1e9, longest=None)


def sample(asked: list[int], answer: list[int]) -> Encoded:
    ids = [*HEAD, *asked, *answer]
    return Encoded(ids, [IGNORED] * (len(ids) - len(answer)) + answer)


SAMPLES = [
    sample([300, 301, 302], [900, 901, 902, 2]),
    sample([310, 311], [910, 911, 912, 913, 914, 2]),
    sample([320, 321, 322, 323, 324], [920, 2]),
    sample([310, 311], [911, 2]),
]


def losses_and_gradients(folder: Path, batches: list[dict[str, torch.Tensor]]) -> tuple[float, dict[str, torch.Tensor]]:
    torch.manual_seed(11)
    shape = LoraConfig(r=4, target_modules="all-linear", task_type="CAUSAL_LM", init_lora_weights=False)
    model = get_peft_model(load_model(folder, torch.float32, CPU), shape)
    nats = sum((answer_nats(model, batch) for batch in batches), torch.zeros(()))
    nats.backward()
    return float(nats.detach()), {name: p.grad for name, p in model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("kind", ["llama", "qwen3", "qwen2", "gemma3", "mistral"])
def test_a_packed_row_gives_the_loss_and_the_gradients_of_its_samples(
    tiny_base: Callable[[str], Path], kind: str
) -> None:
    packed = lay_out(SAMPLES, 0, ALWAYS)
    tokens = len(HEAD) + sum(len(s.ids) - len(HEAD) for s in SAMPLES)
    assert packed["input_ids"].shape == (1, -(-tokens // 16) * 16)
    assert tokens % 16, "something fills the row up"
    nats, gradients = losses_and_gradients(tiny_base(kind), [packed])
    alone, expected = losses_and_gradients(tiny_base(kind), [lay_out([s], 0, None) for s in SAMPLES])
    padded, _ = losses_and_gradients(tiny_base(kind), [lay_out(SAMPLES, 0, None)])
    assert nats == pytest.approx(alone, rel=1e-5)
    assert padded == pytest.approx(alone, rel=1e-5)
    assert gradients.keys() == expected.keys()
    for name, gradient in gradients.items():
        torch.testing.assert_close(gradient, expected[name], rtol=1e-3, atol=1e-4 * float(expected[name].abs().max()))


@pytest.mark.parametrize("kind", ["llama", "qwen3", "gemma3", "mistral"])
def test_no_sample_of_a_packed_row_sees_another(tiny_base: Callable[[str], Path], kind: str) -> None:
    model: Any = load_model(tiny_base(kind), torch.float32, CPU)

    def logits(samples: list[Encoded]) -> torch.Tensor:
        rows = lay_out(samples, 0, ALWAYS)
        rows.pop("shift_labels")
        with torch.inference_mode():
            found: torch.Tensor = model(**rows).logits[0]
        return found

    # Sample 1 is another from behind what is shared; its length stays.
    other = sample([700, 701], [702, 703, 704, 705, 706, 2])
    before, after = logits(SAMPLES), logits([SAMPLES[0], other, *SAMPLES[2:]])
    start = len(SAMPLES[0].ids)
    end = start + len(other.ids) - len(HEAD)
    assert torch.equal(before[:start], after[:start])
    assert torch.equal(before[end:], after[end:])
    assert not torch.allclose(before[start:end], after[start:end])


def test_every_tested_architecture_says_what_its_row_costs_and_others_are_padded(
    tiny_base: Callable[[str], Path],
) -> None:
    for kind in ("llama", "qwen3", "qwen2", "gemma3", "mistral"):
        config = load_model(tiny_base(kind), torch.float32, CPU).config
        assert packing_of(config) is not None, kind
    config.model_type = "mamba"
    assert packing_of(config) is None


def test_a_base_is_loaded_once_and_let_go(tiny_base: Callable[[str], Path]) -> None:
    base = Base(tiny_base("llama"), "cpu", "none")
    first = base.model()
    before = {name: tensor.clone() for name, tensor in first.state_dict().items()}
    get_peft_model(first, LoraConfig(r=4, target_modules="all-linear", task_type="CAUSAL_LM")).unload()
    assert base.model() is first
    after = first.state_dict()
    assert after.keys() == before.keys()
    assert all(torch.equal(after[name], before[name]) for name in before)
    base.let_go()
    assert base.model() is not first


def test_what_predicts_an_answer_is_never_shared() -> None:
    # Both ask the same: the last token of the question predicts two different answers.
    asked = [sample([310, 311], [910, 2]), sample([310, 311], [911, 2])]
    assert shared_tokens(asked) == len(HEAD) + 1
    packed = lay_out(asked, 0, ALWAYS)
    learned = packed["shift_labels"][packed["shift_labels"] != IGNORED]
    assert learned.tolist() == [910, 2, 911, 2]


def test_a_row_is_packed_where_that_is_cheaper_and_the_window_allows_it() -> None:
    packing = Packing(pairs_a_token=500, longest=2000)
    assert packs([40, 50, 60, 70], shared=20, packing=packing)
    assert not packs([1000] * 8, shared=20, packing=packing)
    assert not packs([50], shared=40, packing=packing)
    assert not packs([2001, 10], shared=5, packing=packing)
