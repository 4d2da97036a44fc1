"""What others make of the same base and adapter: peft's merge, llama.cpp's converter and quantiser."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, PreTrainedModel

_PROGRAM = str(Path(__file__).parents[2] / "bench" / "reference_weights.py")


def silent(_: object) -> None:
    """Progress that nobody watches."""


def never() -> bool:
    """Nobody asks to stop."""
    return False


def load(folder: Path) -> PreTrainedModel:
    """A model in fp32."""
    model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    return model.eval()


def save_random_adapter(base: Path, out: Path, **shape: Any) -> Path:
    """An adapter whose factors are both random, so that it changes every weight."""
    torch.manual_seed(3)
    config = LoraConfig(
        r=8, lora_alpha=16, target_modules="all-linear", task_type="CAUSAL_LM", init_lora_weights=False, **shape
    )
    get_peft_model(load(base), config).save_pretrained(out)
    return out


def tensors(folder: Path) -> dict[str, torch.Tensor]:
    """All tensors of a model folder, by name."""
    return {name: tensor for shard in sorted(folder.glob("*.safetensors")) for name, tensor in load_file(shard).items()}


def pefts_merge(base: Path, adapter: Path) -> dict[str, torch.Tensor]:
    """The merged weights in fp32, by name."""
    merged: dict[str, torch.Tensor] = PeftModel.from_pretrained(load(base), adapter).merge_and_unload().state_dict()
    return merged


def llama_cpps_gguf(model: Path, out: Path, quantization: str, aside: Callable[..., str], kind: str = "bf16") -> Path:
    """The GGUF `out` of a model folder, by way of an unquantised file of type `kind`."""
    full = out.with_name("full.gguf")
    aside(_PROGRAM, "convert", str(model), str(full), kind, str(model / "chat_template.jinja"))
    aside(_PROGRAM, "quantise", str(full), str(out), quantization, "2")
    full.unlink()
    return out
