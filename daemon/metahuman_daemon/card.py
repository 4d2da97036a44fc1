"""Room on the card before training: what Ollama holds there goes first, where it is in the way."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

from metahuman_core.errors import MetahumanError
from metahuman_core.ollama.address import is_loopback
from metahuman_core.ollama.client import OllamaClient
from metahuman_core.settings import QuantizeBase

_MIB = 1 << 20
_ASKED_S = 10.0
_ACTIVATIONS = 0.3
# The linear layers in 4.13 bit instead of 16, embeddings and head as they are: 0.34 of Qwen3-14B, 0.45 of Qwen3-0.6B.
_NF4_SHARE = 0.5
_CUDA_BYTES = 2 << 30


def free_vram_bytes() -> int | None:
    """What is free on the card that is trained on (the first), as nvidia-smi says; None where there is none."""
    command = ["nvidia-smi", "--query-gpu=memory.free", "--format=csv,noheader,nounits"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=_ASKED_S)
        return int(done.stdout.split()[0]) * _MIB
    except (OSError, subprocess.SubprocessError, ValueError, IndexError):
        return None


def training_vram_bytes(model_bytes: int, quantize_base: QuantizeBase = "none") -> int:
    """What LoRA on a model of that size takes at least: weights, activations, CUDA's own. Meant to be too much."""
    weights = _NF4_SHARE if quantize_base == "nf4" else 1.0
    return int(model_bytes * (weights + _ACTIVATIONS)) + _CUDA_BYTES


def make_room(host: str, needed_bytes: int, free: Callable[[], int | None], say: Callable[[str], None]) -> None:
    """Have the Ollama of this machine unload what it holds on the card, if less than `needed_bytes` is free there."""
    free_bytes = free()
    if free_bytes is None or free_bytes >= needed_bytes:
        return
    try:
        with OllamaClient(host or None) as client:
            if not is_loopback(client.url):
                return  # it is another machine's card
            for model in client.ps():
                if model.vram_bytes:
                    say(f"Ollama unloads {model.name}: training needs its place on the card")
                    client.unload(model.name)
    except MetahumanError:
        return  # no server, or none that lets us: nothing that we can do
