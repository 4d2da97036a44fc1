"""A model that is held in part is the same model: what is read from the disk, layer by layer, gives the same logits."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from metahuman_core.steps.loading import load_model, load_spread

CPU = torch.device("cpu")


@pytest.mark.parametrize("kind", ["llama", "sharded", "gemma3", "mistral"])
def test_a_model_that_memory_has_no_room_for_says_the_same(tiny_base: Callable[[str], Path], kind: str) -> None:
    base, ids = tiny_base(kind), torch.arange(300, 340)[None]
    spread = load_spread(base, torch.float32, CPU, free_bytes=1_000_000)
    assert "disk" in spread.hf_device_map.values()
    whole = load_model(base, torch.float32, CPU)
    with torch.inference_mode():
        assert torch.equal(spread(ids).logits, whole(ids).logits)


def test_a_model_that_memory_has_room_for_is_held_whole(tiny_base: Callable[[str], Path]) -> None:
    spread = load_spread(tiny_base("llama"), torch.float32, CPU)
    assert {parameter.device for parameter in spread.parameters()} == {CPU}
