"""Loads a base model and its tokenizer, offline, safetensors only, without remote code."""

from __future__ import annotations

from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from metahuman_core.errors import MetahumanError


def choose_device(wanted: str) -> torch.device:
    """`auto`: a CUDA card where torch can use one. A card that torch cannot use is an error, never a silent CPU."""
    if wanted == "cpu":
        return torch.device("cpu")
    if torch.cuda.is_available():
        return torch.device("cuda")
    if wanted == "cuda" or Path("/dev/nvidia0").exists():
        raise MetahumanError(
            "there is an NVIDIA card, and this torch cannot use it" if wanted == "auto" else "torch finds no CUDA card",
            'install a CUDA build of torch, or set training.device = "cpu"',
        )
    return torch.device("cpu")


def choose_dtype(device: torch.device) -> torch.dtype:
    """bf16 on a card. fp32 on a CPU: bf16 is 15 times slower there without AMX (measured on two cores)."""
    return torch.bfloat16 if device.type == "cuda" and torch.cuda.is_bf16_supported() else torch.float32


def refuse_code(folder: Path) -> None:
    """Refuse a model that brings its own code: it would run with the user's rights. Raises MetahumanError."""
    if any(folder.glob("*.py")) or '"auto_map"' in (folder / "config.json").read_text(encoding="utf-8"):
        raise MetahumanError(
            f"{folder} brings code of its own (*.py or auto_map)", "take a base that transformers knows"
        )
    if not any(folder.glob("*.safetensors")):
        raise MetahumanError(f"{folder} has no safetensors weights", "take a base that has them")


def load_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    """The tokenizer of a local model folder."""
    tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
        folder, local_files_only=True, trust_remote_code=False
    )
    return tokenizer


def load_model(folder: Path, dtype: torch.dtype, device: torch.device) -> PreTrainedModel:
    """The model of a local folder, in evaluation mode."""
    refuse_code(folder)
    model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(
        folder,
        dtype=dtype,
        local_files_only=True,
        trust_remote_code=False,
        use_safetensors=True,
        attn_implementation="sdpa",
        device_map={"": device},
    )
    model.eval()  # type: ignore[no-untyped-call]
    return model
