"""Lays samples out in the rows that a model computes: one packed row, or a padded row for each sample.

Invariants: no token sees another sample's; a token learns what follows it in its own; each sample's positions are
those it has alone. So both ways give the same loss and the same gradients, and what is cheaper is taken.

Packed: the tokens that all samples begin with (the system's text, the template's head) are there once, and every sample
attends to them and to itself. Nothing is padded, but attention is computed over the whole row, which long samples make
dearer than padding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

import torch

from metahuman_core.steps.encode import IGNORED, Encoded

_SHARED = -1
# Those whose mask in four dimensions was tested: the others (with a state from token to token, say) are padded.
_TESTED = frozenset({"llama", "mistral", "qwen2", "qwen3", "gemma3_text"})
# oneDNN makes kernels for each width that it meets (0.12 s a time, and memory that stays), so there are few of them.
_WIDTH_STEP = 16
# Assumed, not measured: softmax and mask make a pair of attention dearer than as much work in a large product.
_ATTENTION_COST = 4


@dataclass(frozen=True, slots=True)
class Packing:
    """What a model's packed row costs and how long its samples may be.

    `pairs_a_token`: how many pairs of attention cost as much as one token in the linear layers.
    `longest`: in tokens; beyond it a sliding window would hide what the mask in four dimensions shows.
    """

    pairs_a_token: float
    longest: int | None


def packing_of(config: Any) -> Packing | None:
    """What a packed row costs this model; None where its samples must be padded."""
    if config.model_type not in _TESTED:
        return None
    width, inner = config.hidden_size, config.intermediate_size
    attention = config.num_attention_heads * (getattr(config, "head_dim", None) or width // config.num_attention_heads)
    grouped = attention * config.num_key_value_heads // config.num_attention_heads
    weights = 2 * width * (attention + grouped) + 3 * width * inner
    return Packing(weights / (2 * attention * _ATTENTION_COST), getattr(config, "sliding_window", None))


def packs(lengths: Sequence[int], shared: int, packing: Packing) -> bool:
    """Whether one packed row of samples that share their first tokens is cheaper than padded rows."""
    longest = max(lengths)
    if packing.longest is not None and longest > packing.longest:
        return False
    packed = shared + sum(length - shared for length in lengths)
    padded = len(lengths) * longest
    return packed * packing.pairs_a_token + packed**2 < padded * packing.pairs_a_token + padded * longest


def shared_tokens(samples: Sequence[Encoded]) -> int:
    """How many first tokens are the same in all samples and predict no answer in any."""
    first = samples[0].ids
    most = min(next((at for at, label in enumerate(s.labels) if label != IGNORED), len(s.ids)) - 1 for s in samples)
    return sum(1 for _ in takewhile(lambda at: all(s.ids[at] == first[at] for s in samples), range(max(0, most))))


def lay_out(samples: Sequence[Encoded], pad: int, packing: Packing | None) -> dict[str, torch.Tensor]:
    """What the model is called with, and `shift_labels`: for each token the next one, where that is learned."""
    shared = shared_tokens(samples)
    if packing is not None and packs([len(s.ids) for s in samples], shared, packing):
        return _packed(samples, shared, pad)
    return _padded(samples, pad)


def _packed(samples: Sequence[Encoded], shared: int, pad: int) -> dict[str, torch.Tensor]:
    ids, following = samples[0].ids[:shared], [IGNORED] * shared
    positions, owners = list(range(shared)), [_SHARED] * shared
    for number, sample in enumerate(samples):
        own = len(sample.ids) - shared
        ids = ids + sample.ids[shared:]
        following += [*sample.labels[shared + 1 :], IGNORED]
        positions += range(shared, len(sample.ids))
        owners += [number] * own
    # What fills the row up sees itself alone, like one more sample.
    filling = -len(ids) % _WIDTH_STEP
    ids = ids + [pad] * filling
    following += [IGNORED] * filling
    positions += range(filling)
    owners += [len(samples)] * filling
    owner, order = torch.tensor(owners), torch.arange(len(ids))
    visible = (owner == _SHARED) | (owner[:, None] == owner)
    return {
        "input_ids": torch.tensor([ids]),
        "shift_labels": torch.tensor([following]),
        "position_ids": torch.tensor([positions]),
        # [1, 1, asking, asked]: transformers takes four dimensions as they are.
        "attention_mask": (visible & (order[:, None] >= order))[None, None],
    }


def _padded(samples: Sequence[Encoded], pad: int) -> dict[str, torch.Tensor]:
    width = max(len(s.ids) for s in samples)
    return {
        "input_ids": torch.tensor([s.ids + [pad] * (width - len(s.ids)) for s in samples]),
        "shift_labels": torch.tensor([s.labels[1:] + [IGNORED] * (width - len(s.ids) + 1) for s in samples]),
        "attention_mask": torch.tensor([[1] * len(s.ids) + [0] * (width - len(s.ids)) for s in samples]),
    }


def answer_logits(model: Any, rows: dict[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    """The logits [tokens, vocabulary] where an answer's token is predicted, and those tokens, flat.

    They are computed for those columns alone in which some sample has such a token; the others' token is IGNORED.
    """
    following = rows["shift_labels"]
    asked = {name: tensor for name, tensor in rows.items() if name != "shift_labels"}
    predicting = (following != IGNORED).any(dim=0).nonzero().squeeze(-1)
    logits = model(**asked, logits_to_keep=predicting, use_cache=False).logits
    return logits.float().flatten(0, 1), following[:, predicting].flatten()


def answer_nats(model: Any, rows: dict[str, torch.Tensor]) -> torch.Tensor:
    """The sum of the cross-entropy at what is learned, in nats."""
    logits, wanted = answer_logits(model, rows)
    return torch.nn.functional.cross_entropy(logits, wanted, ignore_index=IGNORED, reduction="sum")


def learned_tokens(rows: dict[str, torch.Tensor]) -> torch.Tensor:
    """How many tokens are learned (a scalar)."""
    return (rows["shift_labels"] != IGNORED).sum()


def longest_sample(rows: dict[str, torch.Tensor]) -> int:
    """The longest sample's tokens."""
    positions = rows.get("position_ids")
    return rows["input_ids"].shape[1] if positions is None else int(positions.max()) + 1
