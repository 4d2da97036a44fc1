"""Merges an adapter into its base, a few rows at a time: W + s·B·A in fp32, rounded once to the base's dtype.

Invariant: the values are bit for bit what peft's `merge_and_unload` gives on an fp32 copy of the base, however the rows
are cut into pieces and whatever thread merges them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file

from metahuman_core.adapter_config import read_adapter_config
from metahuman_core.errors import MetahumanError
from metahuman_core.steps.weights.blocks import BLOCK_VALUES, Blocks
from metahuman_core.steps.weights.shards import Piece, Shard

_LORA = re.compile(r"^base_model\.model\.(?P<module>.+)\.lora_(?P<side>[AB])\.weight$")


@dataclass(frozen=True, slots=True)
class Lora:
    """A module's factors, fp32: `b` is (rows, rank), `a` is (rank, width)."""

    a: torch.Tensor
    b: torch.Tensor
    scale: float


def read_loras(adapter: Path, shards: Sequence[Shard]) -> dict[str, Lora]:
    """The base's tensor → what is added to it. Raises MetahumanError for an adapter that is no plain LoRA of it."""
    config = read_adapter_config(adapter)
    if not config.plain:
        raise MetahumanError(f"{adapter} is more than plain LoRA", "only plain LoRA adapters are merged")
    sides: dict[str, dict[str, torch.Tensor]] = {}
    for key, factor in load_file(adapter / "adapter_model.safetensors").items():
        found = _LORA.match(key)
        if found is None:
            raise MetahumanError(f"{adapter} holds {key}, which is no LoRA factor")
        sides.setdefault(found["module"], {})[found["side"]] = factor.to(torch.float32)
    found_in_base: dict[str, str] = {}
    for tensor in (tensor for shard in shards for tensor in shard.tensors):
        module = _module_of(tensor.name, sides)
        if module is None:
            continue
        if not tensor.full_precision:
            raise MetahumanError(
                f"{tensor.name} is {tensor.dtype}: only full-precision bases can be trained", str(tensor.path)
            )
        a, b = sides[module].get("A"), sides[module].get("B")
        if a is None or b is None or (len(b), *a.shape[1:]) != tensor.shape or a.shape[:1] != b.shape[1:]:
            raise MetahumanError(f"{module} of {adapter} does not fit {tensor.name} of the base")
        found_in_base[tensor.name] = module
    if unused := sides.keys() - found_in_base.values():
        raise MetahumanError(f"the adapter has {len(unused)} modules that the base lacks, e.g. {min(unused)}")
    return {name: Lora(sides[m]["A"], sides[m]["B"], config.scale) for name, m in found_in_base.items()}


def _module_of(tensor: str, modules: Mapping[str, object]) -> str | None:
    """The adapter's name for a tensor's module. Checkpoints may lack a prefix that the loaded model has."""
    module = tensor.removesuffix(".weight")
    if module in modules:
        return module
    ending = "." + module
    return next((m for m in modules if m.endswith(ending)), None) if tensor.endswith(".weight") else None


def merge_piece(values: torch.Tensor, piece: Piece, lora: Lora, scratch: torch.Tensor, blocks: Blocks) -> None:
    """Add to `values` (flat, the base's dtype) what the adapter says; `scratch` is fp32 and no smaller."""
    width = piece.tensor.width
    delta = scratch[: values.numel()]
    torch.mm(lora.b[piece.first_row : piece.end_row], lora.a, out=delta.view(-1, width))
    for at in range(0, values.numel(), BLOCK_VALUES):
        block, change = values[at : at + BLOCK_VALUES], delta[at : at + BLOCK_VALUES]
        before = blocks.values[: block.numel()].copy_(block)
        block.copy_(change.mul_(lora.scale).add_(before))
