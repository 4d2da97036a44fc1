"""What the weights take of the disk besides `model/` and GGUF while they are made, by the way of quantising."""

from __future__ import annotations

_MADE_IN_PASSING = frozenset({"Q8_0"})
_UNQUANTISED = 1.01  # the GGUF in 16 bit that llama.cpp's quantiser reads, of model/


def unquantised_bytes(model_bytes: float, quantization: str) -> int:
    """Bytes of the 16-bit GGUF that a K-quant is made of; 0 where the pass over the weights quantises by itself."""
    return 0 if quantization in _MADE_IN_PASSING else int(model_bytes * _UNQUANTISED)
