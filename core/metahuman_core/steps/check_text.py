"""The fixed text on which models are compared, paragraph by paragraph, as token ids."""

from __future__ import annotations

from typing import Any

import torch
from transformers import PreTrainedTokenizerBase

from metahuman_core.shipped import shipped


def paragraphs() -> list[str]:
    """The text's paragraphs."""
    text = shipped("etc/check-text.txt").read_text(encoding="utf-8")
    return [p.strip() for p in text.split("\n\n") if p.strip()]


def paragraph_ids(tokenizer: PreTrainedTokenizerBase) -> list[list[int]]:
    """The ids of each paragraph, without what a tokenizer puts before a text."""
    return [list(tokenizer(p, add_special_tokens=False)["input_ids"]) for p in paragraphs()]


def with_bos(tokenizer: PreTrainedTokenizerBase, ids: list[int]) -> list[int]:
    """The ids behind the token that begins a text, where the model has one."""
    return ids if tokenizer.bos_token_id is None else [int(tokenizer.bos_token_id), *ids]


def nats_under(log_likelihoods: torch.Tensor, ids: list[int]) -> torch.Tensor:
    """The negative log likelihood of each token behind the first; `log_likelihoods`: [tokens, vocabulary]."""
    return -log_likelihoods[:-1].gather(-1, torch.tensor(ids[1:], device=log_likelihoods.device)[:, None])[:, 0]


@torch.inference_mode()
def log_likelihoods_under(model: Any, ids: list[int]) -> torch.Tensor:
    """Of every token of the vocabulary behind each of `ids`: [tokens, vocabulary], in main memory."""
    logits: torch.Tensor = model(torch.tensor([ids], device=model.device), use_cache=False).logits[0]
    return logits.float().log_softmax(-1).cpu()


def text_nats(model: Any, tokenizer: PreTrainedTokenizerBase) -> float:
    """The mean negative log likelihood of the text's tokens, in nats."""
    sequences = [with_bos(tokenizer, ids) for ids in paragraph_ids(tokenizer)]
    return float(torch.cat([nats_under(log_likelihoods_under(model, ids), ids) for ids in sequences]).mean())
