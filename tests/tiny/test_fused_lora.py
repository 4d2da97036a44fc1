"""A LoRA layer as one function computes what peft's layer does, forward and backward."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model

from metahuman_core.steps.encode import IGNORED, Encoded
from metahuman_core.steps.fused_lora import fused_lora
from metahuman_core.steps.loading import load_model
from metahuman_core.steps.rows import answer_nats, lay_out

# peft asks transformers by an old name.
pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")

SAMPLES = [
    Encoded([1, 4093, 198, 300, 900, 2], [IGNORED] * 4 + [900, 2]),
    Encoded([1, 4093, 310, 311, 910, 911, 2], [IGNORED] * 4 + [910, 911, 2]),
]


def with_lora(folder: Path, dtype: torch.dtype = torch.float32, **options: Any) -> PeftModel:
    torch.manual_seed(11)
    chosen = {"target_modules": "all-linear", "init_lora_weights": False, **options}
    shape = LoraConfig(r=4, lora_alpha=12, task_type="CAUSAL_LM", **chosen)
    model = get_peft_model(load_model(folder, dtype, torch.device("cpu")), shape)
    model.train()
    return model


def loss_and_gradients(model: PeftModel, *, fused: bool) -> tuple[float, dict[str, torch.Tensor]]:
    model.zero_grad()
    with fused_lora(model) if fused else nullcontext():
        nats = answer_nats(model, lay_out(SAMPLES, 0, None))
        nats.backward()
    return float(nats.detach()), {name: p.grad for name, p in model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("kind", ["llama", "qwen2", "gemma3"])
def test_loss_and_gradients_are_pefts(tiny_base: Callable[[str], Path], kind: str) -> None:
    model = with_lora(tiny_base(kind))
    theirs, expected = loss_and_gradients(model, fused=False)
    ours, gradients = loss_and_gradients(model, fused=True)
    assert ours == pytest.approx(theirs, rel=1e-5)
    assert gradients.keys() == expected.keys()
    assert any("lora_A" in name for name in gradients)
    for name, gradient in gradients.items():
        assert gradient.dtype == expected[name].dtype
        torch.testing.assert_close(gradient, expected[name], rtol=1e-3, atol=1e-4 * float(expected[name].abs().max()))


def test_a_base_in_bf16_keeps_its_dtype_and_the_adapter_its_own(tiny_base: Callable[[str], Path]) -> None:
    model = with_lora(tiny_base("llama"), torch.bfloat16)
    theirs, expected = loss_and_gradients(model, fused=False)
    ours, gradients = loss_and_gradients(model, fused=True)
    assert ours == pytest.approx(theirs, rel=0.02)
    assert {gradient.dtype for gradient in gradients.values()} == {torch.float32}
    for name, gradient in gradients.items():
        assert torch.nn.functional.cosine_similarity(gradient.flatten(), expected[name].flatten(), dim=0) > 0.98, name


@pytest.mark.parametrize(
    "options",
    [{"lora_dropout": 0.5}, {"use_dora": True}, {"lora_bias": True, "target_modules": ["q_proj"]}],
)
def test_what_is_more_than_plain_lora_stays_pefts(tiny_base: Callable[[str], Path], options: dict[str, Any]) -> None:
    model = with_lora(tiny_base("qwen2"), **options)
    before = {name: module.forward for name, module in model.named_modules()}
    with fused_lora(model):
        assert {name: module.forward for name, module in model.named_modules()} == before


def test_the_layers_are_pefts_again_afterwards(tiny_base: Callable[[str], Path]) -> None:
    model = with_lora(tiny_base("llama"))
    before = {name: module.forward for name, module in model.named_modules()}
    with fused_lora(model):
        within = {name: module.forward for name, module in model.named_modules()}
    assert within != before
    assert {name: module.forward for name, module in model.named_modules()} == before
