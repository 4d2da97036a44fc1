"""From weights to a GGUF's own types: fp32, fp16, bf16, and Q8_0, which is ggml's `quantize_row_q8_0_ref` bit for bit.

Invariant: what comes out hangs on the values alone, not on how they are cut into blocks. Source of the format: ggml's
`ggml-quants.c`; a block of 32 values is a scale (fp16: the largest magnitude / 127) and 32 signed bytes.
"""

from __future__ import annotations

from enum import IntEnum

import torch

from metahuman_core.errors import MetahumanError
from metahuman_core.steps.weights.blocks import BLOCK_VALUES, Blocks


class Kind(IntEnum):
    """The types that the pass makes, by ggml's numbers."""

    F32 = 0
    F16 = 1
    Q8_0 = 8
    BF16 = 30


_TORCH = {Kind.F32: torch.float32, Kind.F16: torch.float16, Kind.BF16: torch.bfloat16}
_QK, _Q8_0_BYTES, _SCALE_BYTES = 32, 34, 2
# The largest float below a half: added before the cut, it rounds half away from zero, and 0.49999997 still to 0.
_NEARLY_HALF = 0.49999997


def encoded_bytes(values: int, kind: Kind) -> int:
    """Bytes of so many values (of whole blocks)."""
    return values // _QK * _Q8_0_BYTES if kind is Kind.Q8_0 else values * _TORCH[kind].itemsize


def encode(values: torch.Tensor, through: Kind, into: Kind, out: torch.Tensor, blocks: Blocks, what: str) -> None:
    """Write flat `values` as `into` to `out` (bytes), rounded to `through` first: that is what the converter gives.

    Raises MetahumanError where a value is not finite, as llama.cpp's quantiser does; `what` is the tensor's name.
    """
    for at in range(0, values.numel(), BLOCK_VALUES):
        block = values[at : at + BLOCK_VALUES].to(_TORCH[through])
        begin, end = encoded_bytes(at, into), encoded_bytes(at + block.numel(), into)
        if into is Kind.Q8_0:
            told = _quantise(block, out[begin:end], blocks)
        else:
            told = out[begin:end].view(_TORCH[into]).copy_(block)
        if not torch.isfinite(told).all():
            raise MetahumanError(f"{what} holds values that are no numbers", "is the base whole? is the adapter?")


def _quantise(block: torch.Tensor, out: torch.Tensor, blocks: Blocks) -> torch.Tensor:
    """Q8_0 of `block` in `out` (bytes). Gives the scales, each of which is finite where all of its values are."""
    rows = blocks.values[: block.numel()].copy_(block).view(-1, _QK)
    work = blocks.work[: block.numel()].view(-1, _QK)
    scale = torch.abs(rows, out=work).amax(1, keepdim=True) / 127
    # A scale of 0 has no inverse; of a few bits below 2⁻¹²⁸ it is infinite, and then ggml's bytes are 0 too.
    inverse = (1 / scale).nan_to_num_(0, 0, 0)
    torch.mul(rows, inverse, out=rows)
    torch.add(rows, torch.sign(rows, out=work), alpha=_NEARLY_HALF, out=rows)
    told = out.view(-1, _Q8_0_BYTES)
    stored = told.view(torch.float16)[:, :1].copy_(scale)
    told.view(torch.int8)[:, _SCALE_BYTES:].copy_(rows)
    return stored
