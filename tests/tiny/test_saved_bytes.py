"""What a step holds is measured without holding it: against a count by hand, and against all tensors that lived."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from torch import nn
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from metahuman_core.steps.cpu import attention_for, fast_matmul
from metahuman_core.steps.encode import IGNORED, Encoded
from metahuman_core.steps.loading import load_model
from metahuman_core.steps.rows import answer_nats, lay_out
from metahuman_core.steps.saved_bytes import can_recompute, recomputing, saved, step_bytes

# peft asks transformers by an old name.
pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")

CPU = torch.device("cpu")


class Living(TorchDispatchMode):
    """Counts the bytes of all tensors that are made inside and still there, and the most that there were."""

    def __init__(self, known: list[torch.Tensor]) -> None:
        super().__init__()
        self._known = {StorageWeakRef(tensor.untyped_storage()) for tensor in known}
        self._sizes: dict[StorageWeakRef, int] = {}
        self.most_bytes = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        self._sizes = {one: size for one, size in self._sizes.items() if not one.expired()}
        for tensor in tree_leaves(result):
            if isinstance(tensor, torch.Tensor):
                storage = tensor.untyped_storage()
                if (one := StorageWeakRef(storage)) not in self._known:
                    self._sizes[one] = storage.nbytes()
        self.most_bytes = max(self.most_bytes, sum(self._sizes.values()))
        return result


def adapted(folder: Path, dropout: float = 0.0) -> Any:
    torch.manual_seed(11)
    shape = LoraConfig(
        r=4, target_modules="all-linear", task_type="CAUSAL_LM", init_lora_weights=False, lora_dropout=dropout
    )
    return get_peft_model(load_model(folder, torch.float32, CPU), shape)


def rows(number: int, tokens: int = 120) -> dict[str, torch.Tensor]:
    ids = torch.arange(number * tokens).reshape(number, tokens) % 4000 + 300
    samples = [Encoded(one, [IGNORED] * (tokens - 5) + one[-5:]) for one in ids.tolist()]
    return lay_out(samples, 0, None)


def trained_tensors(model: Any) -> Iterator[torch.Tensor]:
    return (parameter for parameter in model.parameters() if parameter.requires_grad)


def test_each_storage_is_counted_once_and_weights_are_not() -> None:
    model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4))
    x = torch.ones(5, 8)
    counted = saved(lambda: model(x).square().sum(), model.parameters())
    # The input for the first layer's weight; what ReLU gave, for itself and for the next weight; what is squared.
    assert (counted.total_bytes, counted.largest_bytes) == (4 * (5 * 8 + 5 * 16 + 5 * 4), 4 * 5 * 16)


def test_a_storage_in_the_place_of_one_that_is_gone_counts_too() -> None:
    model = nn.Sequential(*(nn.Tanh() for _ in range(20)))
    x = torch.ones(100, 100, requires_grad=True)
    assert saved(lambda: model(x), [x]).total_bytes == 20 * 4 * 100 * 100


def test_what_was_only_counted_cannot_be_differentiated() -> None:
    x, made = torch.ones(3, requires_grad=True), []
    saved(lambda: made.append(x.exp().sum()), [x])
    with pytest.raises(RuntimeError, match="cannot be differentiated"):
        made[0].backward()


@pytest.mark.parametrize("kind", ["llama", "gemma3", "mistral"])
@pytest.mark.parametrize("recompute", [False, True])
def test_a_step_holds_what_was_measured(tiny_base: Callable[[str], Path], kind: str, recompute: bool) -> None:
    model, batch = adapted(tiny_base(kind)), rows(4)
    measured = step_bytes(model, batch, recompute=recompute)
    for parameter in trained_tensors(model):
        parameter.grad = torch.zeros_like(parameter)
    model.train()
    living = Living([*model.parameters(), *model.buffers(), *batch.values()])
    with fast_matmul(CPU), attention_for(CPU, 120), recomputing(model) if recompute else nullcontext(), living:
        answer_nats(model, batch).backward()
    # Of the layer that is computed again and of the logits only the larger is there at a time; both are reckoned.
    assert living.most_bytes * 0.97 < measured < living.most_bytes * (1.6 if recompute else 1.03)


def test_it_grows_with_the_rows(tiny_base: Callable[[str], Path]) -> None:
    model = adapted(tiny_base("llama"))
    one, two, four = (step_bytes(model, rows(number), recompute=False) for number in (1, 2, 4))
    assert (two / one, four / one) == (pytest.approx(2, rel=0.05), pytest.approx(4, rel=0.05))


@pytest.mark.parametrize("kind", ["llama", "qwen3", "qwen2", "gemma3", "mistral"])
def test_checkpointing_gives_the_same_loss_and_gradients_in_less_memory(
    tiny_base: Callable[[str], Path], kind: str
) -> None:
    model, batch = adapted(tiny_base(kind)), rows(3)
    assert can_recompute(model)
    assert step_bytes(model, batch, recompute=True) < step_bytes(model, batch, recompute=False)

    def loss_and_gradients() -> tuple[torch.Tensor, list[torch.Tensor | None]]:
        model.train()
        model.zero_grad()
        loss = answer_nats(model, batch)
        loss.backward()
        return loss.detach(), [parameter.grad for parameter in trained_tensors(model)]

    kept = loss_and_gradients()
    with recomputing(model):
        again = loss_and_gradients()
    torch.testing.assert_close(again, kept)
    assert all(gradient is not None and gradient.abs().max() > 0 for gradient in again[1])
    assert not any(getattr(module, "gradient_checkpointing", False) for module in model.modules())


def test_measuring_leaves_the_model_and_the_random_numbers_as_they_were(tiny_base: Callable[[str], Path]) -> None:
    model = adapted(tiny_base("llama"), dropout=0.5)
    model.eval()
    random = torch.get_rng_state()
    step_bytes(model, rows(2), recompute=True)
    assert torch.equal(torch.get_rng_state(), random)
    assert not any(module.training for module in model.modules())
    assert all(parameter.grad is None for parameter in model.parameters())
