"""What makes a CPU train faster in fp32: another library's matmul, and plain attention for short samples.

Measured on two Zen 5 cores, SmolLM2-135M, four samples of 45 tokens: a training step takes 0.72 s as torch does it by
itself, 0.53 s with oneDNN's matmul, 0.45 s with both.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

_SHORT_TOKENS = 256


@contextmanager
def fast_matmul(device: torch.device) -> Iterator[None]:
    """Let oneDNN multiply fp32 matrices on a CPU with AVX-512: MKL, torch's default, uses AVX2 alone on AMD's.

    torch has no switch for just that, but allowing bf16 inside takes the same way. oneDNN makes use of the permission
    where the CPU has AMX (operands in bf16, sums in fp32, as on a card), and computes in fp32 everywhere else. Only
    around training and evaluation: a merge has to give the bits that peft's gives.
    """
    matmul: Any = torch.backends.mkldnn.matmul  # type: ignore[attr-defined]  # set up at import time
    before = matmul.fp32_precision
    if device.type == "cpu":
        matmul.fp32_precision = "bf16"
    try:
        yield
    finally:
        matmul.fp32_precision = before


def attention_for(device: torch.device, tokens: int) -> AbstractContextManager[None]:
    """The attention kernel for samples of so many tokens.

    torch's blocked kernel for CPUs pays only for long ones: forward and backward of 4 x 9 x 45 x 64 took it 5.3 ms, the
    plain way 0.9 ms; at 256 tokens both are even.
    """
    if device.type == "cpu" and tokens < _SHORT_TOKENS:
        return sdpa_kernel(SDPBackend.MATH)
    return nullcontext()
