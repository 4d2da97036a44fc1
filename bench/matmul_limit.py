"""What the hardware gives: fp32 matmuls at the shapes of a training step (`python bench/matmul_limit.py TOKENS`).

The last line of stdout is `{"gflops"}`: floating-point operations of the demo's model's linear layers, forward and
backward through frozen weights, over the seconds that torch takes for these matmuls and nothing else; the better one of
torch's two libraries (MKL, and oneDNN as `steps/cpu.py` chooses it).
"""

from __future__ import annotations

import json
import sys
import time

import torch
from transformers import AutoConfig

from example_samples import BASE
from metahuman_core.steps.cpu import fast_matmul

_ROUNDS = 5
_WARM_UP_S = 1.0


def linear_shapes() -> list[tuple[int, int]]:
    """(outputs, inputs) of all linear layers of the demo's model, the head apart."""
    config = AutoConfig.from_pretrained(BASE)
    hidden, inner = config.hidden_size, config.intermediate_size
    keys = config.num_key_value_heads * (hidden // config.num_attention_heads)
    layer = [(hidden, hidden), (keys, hidden), (keys, hidden), (hidden, hidden)]
    layer += [(inner, hidden), (inner, hidden), (hidden, inner)]
    return layer * config.num_hidden_layers


def head_shape() -> tuple[int, int]:
    """(outputs, inputs) of the head."""
    config = AutoConfig.from_pretrained(BASE)
    return config.vocab_size, config.hidden_size


def _gflops(tokens: int) -> float:
    """The best of some rounds over all layers, each with weights of its own: a step finds none of them in the cache."""
    weights = [torch.randn(shape) for shape in linear_shapes()]
    rows = {width: torch.randn(tokens, width) for shape in set(linear_shapes()) for width in shape}
    operations = sum(4 * tokens * weight.numel() for weight in weights)

    def once() -> float:
        began_s = time.perf_counter()
        for weight in weights:
            torch.mm(rows[weight.shape[1]], weight.T)
        for weight in reversed(weights):
            torch.mm(rows[weight.shape[0]], weight)
        return time.perf_counter() - began_s

    until_s = time.perf_counter() + _WARM_UP_S
    while time.perf_counter() < until_s:
        once()
    return operations / min(once() for _ in range(_ROUNDS)) / 1e9


def main(tokens: int) -> None:
    """Measure, and tell."""
    plain = _gflops(tokens)
    with fast_matmul(torch.device("cpu")):
        print(json.dumps({"gflops": max(plain, _gflops(tokens))}))


if __name__ == "__main__":
    main(int(sys.argv[1]))
