"""The sizes of a model of Qwen3's structure, and of a LoRA adapter on it, reckoned from the numbers in its config.

Invariant: what is reckoned is the bytes of the tensors; headers and tokenizer, some MB at any size, are left out.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

_BF16_BYTES, _FP32_BYTES = 2, 4
# llama.cpp's Q8_0: 32 weights in 32 bytes and a scale of two. Norms, which have one dimension, stay fp32.
_Q8_0_BYTES = 34 / 32


@dataclass(frozen=True, slots=True)
class Shape:
    """What config.json says of it. Linear layers and embeddings have no biases; q and k are normed by head."""

    hidden: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    intermediate: int
    vocabulary: int
    tied: bool

    def linear(self) -> dict[str, tuple[int, int]]:
        """A layer's linear modules: name → (outputs, inputs)."""
        queries, keys = self.heads * self.head_dim, self.kv_heads * self.head_dim
        return {
            "self_attn.q_proj": (queries, self.hidden),
            "self_attn.k_proj": (keys, self.hidden),
            "self_attn.v_proj": (keys, self.hidden),
            "self_attn.o_proj": (self.hidden, queries),
            "mlp.gate_proj": (self.intermediate, self.hidden),
            "mlp.up_proj": (self.intermediate, self.hidden),
            "mlp.down_proj": (self.hidden, self.intermediate),
        }

    def norms(self) -> dict[str, int]:
        """A layer's norms: name → width."""
        return {
            "input_layernorm": self.hidden,
            "post_attention_layernorm": self.hidden,
            "self_attn.q_norm": self.head_dim,
            "self_attn.k_norm": self.head_dim,
        }

    def tensors(self) -> Iterator[tuple[str, tuple[int, ...]]]:
        """All tensors of the checkpoint: name, shape."""
        yield "model.embed_tokens.weight", (self.vocabulary, self.hidden)
        for layer in range(self.layers):
            at = f"model.layers.{layer}"
            for name, shape in self.linear().items():
                yield f"{at}.{name}.weight", shape
            for name, width in self.norms().items():
                yield f"{at}.{name}.weight", (width,)
        yield "model.norm.weight", (self.hidden,)
        if not self.tied:
            yield "lm_head.weight", (self.vocabulary, self.hidden)

    def largest_bytes(self) -> int:
        """The largest tensor, in bf16."""
        return max(math.prod(size) for _, size in self.tensors()) * _BF16_BYTES

    def model_bytes(self) -> int:
        """`model/`: every weight in bf16."""
        return self._weights() * _BF16_BYTES

    def gguf_bytes(self) -> int:
        """The GGUF in Q8_0."""
        norms = self.hidden + self.layers * sum(self.norms().values())
        return round((self._weights() - norms) * _Q8_0_BYTES) + norms * _FP32_BYTES

    def adapter_bytes(self, rank: int) -> int:
        """A LoRA adapter on all linear layers. peft keeps it in fp32, whatever the base's dtype is."""
        return self.layers * sum(rank * (out + into) for out, into in self.linear().values()) * _FP32_BYTES

    def _weights(self) -> int:
        embeddings = (1 if self.tied else 2) * self.vocabulary * self.hidden
        layer = sum(out * into for out, into in self.linear().values()) + sum(self.norms().values())
        return embeddings + self.layers * layer + self.hidden


QWEN3_14B = Shape(
    hidden=5120,
    layers=40,
    heads=40,
    kv_heads=8,
    head_dim=128,
    intermediate=17408,
    vocabulary=151936,
    tied=False,
)
# Layers as wide as Qwen3-1.7B's: sixteen of its twenty-eight, with a smaller vocabulary.
TWO_GB = Shape(
    hidden=2048,
    layers=16,
    heads=16,
    kv_heads=8,
    head_dim=128,
    intermediate=6144,
    vocabulary=49152,
    tied=False,
)
# Layers as wide as Qwen3-4B's, and as many, with a smaller vocabulary.
EIGHT_GB = Shape(
    hidden=2560,
    layers=36,
    heads=32,
    kv_heads=8,
    head_dim=128,
    intermediate=9728,
    vocabulary=49152,
    tied=False,
)
QUICK = Shape(
    hidden=1024,
    layers=4,
    heads=16,
    kv_heads=8,
    head_dim=128,
    intermediate=3072,
    vocabulary=49152,
    tied=True,
)
TINY = Shape(
    hidden=64,
    layers=2,
    heads=4,
    kv_heads=2,
    head_dim=16,
    intermediate=128,
    vocabulary=49152,
    tied=True,
)
