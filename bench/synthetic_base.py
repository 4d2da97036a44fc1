"""A base of Qwen3's structure with random weights, and a LoRA adapter on it, as `train` would leave one.

Invariant: no more than one tensor is held at a time, and the same shape gives the same bytes.
"""

from __future__ import annotations

import json
import math
import shutil
import struct
from collections.abc import Iterator
from pathlib import Path

import torch
from safetensors.torch import save_file

from metahuman_core.converter import data_folder
from metahuman_core.durable import write_text
from qwen3_shapes import Shape

_TOKENIZER = ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja")
_SPREAD = 0.02
_SHARD_BYTES = 5_000_000_000  # as the Hub's files are
_BF16_BYTES = 2


def write_base(folder: Path, shape: Shape, spread: float = _SPREAD) -> None:
    """Write a base of this shape: random weights of this standard deviation, the tokenizer of the demo's model."""
    folder.mkdir()
    chance = torch.Generator().manual_seed(20)
    shards = list(_shards(shape))
    index: dict[str, str] = {}
    for number, tensors in enumerate(shards, start=1):
        name = "model.safetensors" if len(shards) == 1 else f"model-{number:05}-of-{len(shards):05}.safetensors"
        index |= dict.fromkeys(tensors, name)
        _write_shard(folder / name, tensors, spread, chance)
    if len(shards) > 1:
        listed = {"metadata": {"total_size": shape.model_bytes()}, "weight_map": index}
        write_text(folder / "model.safetensors.index.json", json.dumps(listed, indent=2) + "\n")
    config = {
        "architectures": ["Qwen3ForCausalLM"],
        "model_type": "qwen3",
        "dtype": "bfloat16",
        "hidden_size": shape.hidden,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.kv_heads,
        "head_dim": shape.head_dim,
        "intermediate_size": shape.intermediate,
        "vocab_size": shape.vocabulary,
        "tie_word_embeddings": shape.tied,
        "attention_bias": False,
        "hidden_act": "silu",
        "rms_norm_eps": 1e-6,
        "rope_theta": 1_000_000,
        "max_position_embeddings": 2048,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "pad_token_id": 2,
    }
    write_text(folder / "config.json", json.dumps(config, indent=2) + "\n")
    for name in _TOKENIZER:
        shutil.copyfile(data_folder() / "SmolLM2-135M-Instruct" / name, folder / name)


def write_adapter(folder: Path, shape: Shape, rank: int, alpha: int, base: str, revision: str = "") -> Path:
    """Write an adapter of random values on all linear layers. Gives its file of weights."""
    folder.mkdir(mode=0o700)
    chance = torch.Generator().manual_seed(21)
    factors = {
        f"base_model.model.model.layers.{layer}.{module}.lora_{side}.weight": torch.empty(size).normal_(
            0, _SPREAD, generator=chance
        )
        for layer in range(shape.layers)
        for module, (out, into) in shape.linear().items()
        for side, size in (("A", (rank, into)), ("B", (out, rank)))
    }
    weights = folder / "adapter_model.safetensors"
    save_file(factors, weights, metadata={"format": "pt"})
    config = {
        "base_model_name_or_path": base,
        "bias": "none",
        "fan_in_fan_out": False,
        "lora_alpha": alpha,
        "peft_type": "LORA",
        "r": rank,
        "revision": revision or None,
        "target_modules": sorted({module.rpartition(".")[2] for module in shape.linear()}),
        "task_type": "CAUSAL_LM",
        "use_dora": False,
    }
    write_text(folder / "adapter_config.json", json.dumps(config, indent=2, sort_keys=True) + "\n")
    return weights


def _shards(shape: Shape) -> Iterator[dict[str, tuple[int, ...]]]:
    """The tensors (name → shape) of each file."""
    tensors: dict[str, tuple[int, ...]] = {}
    size_bytes = 0
    for name, size in shape.tensors():
        tensor_bytes = math.prod(size) * _BF16_BYTES
        if tensors and size_bytes + tensor_bytes > _SHARD_BYTES:
            yield tensors
            tensors, size_bytes = {}, 0
        tensors[name] = size
        size_bytes += tensor_bytes
    yield tensors


def _write_shard(path: Path, tensors: dict[str, tuple[int, ...]], spread: float, chance: torch.Generator) -> None:
    """One file in the safetensors format (https://github.com/huggingface/safetensors#format), tensor by tensor."""
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    at = 0
    for name, size in tensors.items():
        end = at + math.prod(size) * _BF16_BYTES
        header[name] = {"dtype": "BF16", "shape": size, "data_offsets": (at, end)}
        at = end
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for size in tensors.values():
            tensor = torch.ones(size, dtype=torch.bfloat16)
            if len(size) > 1:
                tensor.normal_(0, spread, generator=chance)
            file.write(tensor.view(torch.uint8).numpy().data)
