"""Loads a base model, offline, safetensors only, without remote code."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Any

import psutil
import torch
from accelerate.utils import get_max_memory
from transformers import AutoModelForCausalLM, PreTrainedModel

from metahuman_core.errors import MetahumanError
from metahuman_core.settings import QuantizeBase
from metahuman_core.steps.model_folder import refuse_code
from metahuman_core.steps.quantised import in_nf4


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


def load_model(
    folder: Path, dtype: torch.dtype, device: torch.device, quantize_base: QuantizeBase = "none"
) -> PreTrainedModel:
    """The model of a local folder, in evaluation mode, whole on one device."""
    if quantize_base == "nf4":
        with in_nf4(dtype) as quantised:
            return _load(folder, dtype, device_map={"": device}, quantization_config=quantised)
    return _load(folder, dtype, device_map={"": device})


class Base:
    """The base that a cycle trains on and measures with: loaded when it is first asked for, and only then.

    Whoever puts an adapter on it takes it off again (peft's `unload`).
    """

    def __init__(self, folder: Path, device: str, quantize_base: QuantizeBase) -> None:
        self._folder, self._device, self._quantize_base = folder, device, quantize_base
        self._model: PreTrainedModel | None = None

    def model(self) -> PreTrainedModel:
        """The model, without any adapter, in evaluation mode."""
        if self._model is None:
            device = choose_device(self._device)
            self._model = load_model(self._folder, choose_dtype(device), device, self._quantize_base)
        self._model.eval()  # type: ignore[no-untyped-call]
        return self._model

    def beside(self, folder: Path) -> Base:
        """Another model, to be held in the same way."""
        return Base(folder, self._device, self._quantize_base)

    def let_go(self) -> None:
        """Give its memory back."""
        self._model = None
        # A Trainer ties model and hooks into rings, which keep the weights until somebody looks for such.
        gc.collect()
        torch.cuda.empty_cache()


def load_spread(
    folder: Path, dtype: torch.dtype, device: torch.device, free_bytes: int | None = None
) -> PreTrainedModel:
    """The model of a local folder, as much of it on the device as goes there; the same logits, wherever it lies.

    What a card has no room for is kept in memory, and what that has no room for is read from the shards anew, layer by
    layer. `free_bytes` of memory may be taken: by default half of what is free, the rest is the other programs'.
    """
    # Nine tenths of the card: what is computed needs some, too.
    cards = get_max_memory() if device.type == "cuda" else {}
    room = {at: size * 9 // 10 for at, size in cards.items() if at != "cpu"}
    room["cpu"] = psutil.virtual_memory().available // 2 if free_bytes is None else free_bytes
    return _load(folder, dtype, device_map="auto", max_memory=room)


def _load(folder: Path, dtype: torch.dtype, **where_and_how: Any) -> PreTrainedModel:
    refuse_code(folder)
    model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(
        folder,
        dtype=dtype,
        local_files_only=True,
        trust_remote_code=False,
        use_safetensors=True,
        attn_implementation="sdpa",
        **where_and_how,
    )
    model.eval()  # type: ignore[no-untyped-call]
    return model
