"""What the heavy steps give, apart from them: to read a result nobody has to import torch."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Adapter:
    """A trained adapter: SHA-256 of its weights, bytes of its folder, optimiser steps, mean loss of the last tenth."""

    sha256: str
    size_bytes: int
    steps: int
    samples: int
    final_loss: float


@dataclass(frozen=True, slots=True)
class Merged:
    """The unquantised model: SHA-256 over all its files, their bytes, and with which torch and CPU it was made."""

    sha256: str
    size_bytes: int
    made_with: str = ""


@dataclass(frozen=True, slots=True)
class Gguf:
    """The quantised model: SHA-256 and bytes of the file, how it was quantised, and with which llama.cpp."""

    sha256: str
    size_bytes: int
    quantization: str
    made_with: str = ""


@dataclass(frozen=True, slots=True)
class Weights:
    """What one pass over the base's weights gives; `gguf` is None where none was asked for."""

    merged: Merged
    gguf: Gguf | None

    @property
    def quantised(self) -> Gguf:
        """The GGUF, where one was asked for."""
        if self.gguf is None:
            raise ValueError("no GGUF was asked for")
        return self.gguf


@dataclass(frozen=True, slots=True)
class Checked:
    """Mean KL(model ‖ GGUF) in nats a token, how often both choose the same token first, how many were compared.

    The first choice is compared where model/ is sure of it (half a nat ahead): a coin that lands otherwise is no fault.
    """

    mean_kl: float
    top1_agreement: float
    tokens: int
    reasons: tuple[str, ...]
