"""How far a GGUF may be from its model/ on the check text, by quantisation. Data alone.

Measured on SmolLM2-135M against fp32: Q8_0 0.005 and 96 %, Q4_K_M 0.064 and 90 %; trained, Q8_0 has 0.005 to 0.05, and
once had 0.07 with 98 %. One of its 210 matrices zeroed comes to 0.18 and 89 % (bench/gate.py), a wrong conversion is
beyond 1 and below 30 %.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class GgufBounds:
    """Mean KL(model/ ‖ GGUF) at most, in nats a token; share of the same first choices at least, where one is sure."""

    max_kl: float
    min_top1: float


GGUF_BOUNDS = {
    "Q8_0": GgufBounds(0.12, 0.93),
    "Q6_K": GgufBounds(0.25, 0.8),
    "Q5_K_M": GgufBounds(0.3, 0.75),
    "Q4_K_M": GgufBounds(0.4, 0.65),
}
