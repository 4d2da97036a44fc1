"""Greedy answers of a model, many at a time, and how likely it finds the wanted ones.

Invariant: what is asked is encoded as in training; an answer ends where the template ends a turn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers import PreTrainedTokenizerBase, StoppingCriteria

from metahuman_core.errors import StoppedError
from metahuman_core.progress import StopRequested
from metahuman_core.steps.cpu import attention_for, fast_matmul
from metahuman_core.steps.encode import IGNORED, Encoded
from metahuman_core.steps.rows import Packing, answer_logits, lay_out

_MOST_NEW_TOKENS = 64
_ROOM = 8


@dataclass(frozen=True, slots=True)
class Answer:
    """A greedy answer's text; `control`: a control token came out of it before its end."""

    text: str
    control: bool


def wanted_ids(sample: Encoded) -> list[int]:
    """The token ids of an encoded sample's answer, its end included."""
    return [label for label in sample.labels if label != IGNORED]


def answers(
    model: Any, tokenizer: PreTrainedTokenizerBase, samples: Sequence[Encoded], stop: StopRequested
) -> list[Answer]:
    """What the model answers to the prompts of `samples` (one batch), greedily. Raises StoppedError.

    An answer may be a quarter longer than the longest that is wanted, and has 64 tokens at most.
    """
    prompts = [sample.ids[: _prompt_length(sample)] for sample in samples]
    ends = _ends(model, samples)
    longest = max(len(wanted_ids(sample)) for sample in samples)
    try:
        rows = _generated(model, tokenizer, prompts, ends, min(_MOST_NEW_TOKENS, longest * 5 // 4 + _ROOM), stop)
    except torch.OutOfMemoryError:
        # A card that can just hold the model may not hold a batch's keys and values.
        first, second = _halves(samples)
        return [*answers(model, tokenizer, first, stop), *answers(model, tokenizer, second, stop)]
    return [_answer(tokenizer, row, ends) for row in rows]


def cut_to_what_is_asked(tokenizer: PreTrainedTokenizerBase, sample: Encoded) -> str:
    """The wanted answer's text, cut where no answer can be longer."""
    return str(tokenizer.decode(wanted_ids(sample)[:_MOST_NEW_TOKENS], skip_special_tokens=True)).strip()


@torch.inference_mode()
def nats_of(model: Any, samples: Sequence[Encoded], pad: int, packing: Packing | None) -> list[float]:
    """The negative log likelihood of each sample's answer, in nats."""
    try:
        logits, wanted = _logits(model, samples, pad, packing)
        nats = torch.nn.functional.cross_entropy(logits, wanted, ignore_index=IGNORED, reduction="none")
        each = torch.split(nats[wanted != IGNORED].cpu(), [len(wanted_ids(sample)) for sample in samples])
        return [float(own.sum()) for own in each]
    except torch.OutOfMemoryError:
        # A card that can hold the base in four bits only may not hold a batch's logits.
        first, second = _halves(samples)
    return [*nats_of(model, first, pad, packing), *nats_of(model, second, pad, packing)]


def _halves(samples: Sequence[Encoded]) -> tuple[Sequence[Encoded], Sequence[Encoded]]:
    """Both halves of a batch. Raises what is being handled where it is one sample."""
    if len(samples) == 1:
        raise  # noqa: PLE0704  # only called while memory is out
    middle = len(samples) // 2
    return samples[:middle], samples[middle:]


def _logits(
    model: Any, samples: Sequence[Encoded], pad: int, packing: Packing | None
) -> tuple[torch.Tensor, torch.Tensor]:
    rows = {name: tensor.to(model.device) for name, tensor in lay_out(samples, pad, packing).items()}
    with fast_matmul(model.device), attention_for(model.device, rows["input_ids"].shape[1]):
        return answer_logits(model, rows)


class _Stopping(StoppingCriteria):
    """Hears a wish to stop between two tokens."""

    def __init__(self, stop: StopRequested) -> None:
        self._stop = stop

    def __call__(self, input_ids: torch.Tensor, *_: Any, **__: Any) -> torch.Tensor:
        if self._stop():
            raise StoppedError("stopped while evaluating", "the same command goes on")
        return torch.zeros(len(input_ids), dtype=torch.bool, device=input_ids.device)


# Token by token, and so without the matmul that is fast for whole rows: with it, 32 answers took 29 s instead of 8.
@torch.inference_mode()
def _generated(
    model: Any,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[Sequence[int]],
    ends: list[int],
    most: int,
    stop: StopRequested,
) -> list[list[int]]:
    pad = tokenizer.pad_token_id or 0
    width = max(map(len, prompts))
    ids = torch.tensor([[pad] * (width - len(p)) + list(p) for p in prompts], device=model.device)
    seen = torch.tensor([[0] * (width - len(p)) + [1] * len(p) for p in prompts], device=model.device)
    made = model.generate(
        input_ids=ids,
        attention_mask=seen,
        do_sample=False,
        # What a base's generation config sets for sampling would be warned of.
        temperature=None,
        top_p=None,
        top_k=None,
        max_new_tokens=most,
        eos_token_id=ends,
        pad_token_id=pad,
        stopping_criteria=[_Stopping(stop)],
    )
    rows: list[list[int]] = made[:, width:].tolist()
    return rows


def _answer(tokenizer: PreTrainedTokenizerBase, row: list[int], ends: Sequence[int]) -> Answer:
    end = next((at for at, token in enumerate(row) if token in ends), len(row))
    said = row[:end]
    text = str(tokenizer.decode(said, skip_special_tokens=True)).strip()
    return Answer(text, any(token in tokenizer.added_tokens_decoder for token in said))


def _prompt_length(sample: Encoded) -> int:
    return next(at for at, label in enumerate(sample.labels) if label != IGNORED)


def _ends(model: Any, samples: Sequence[Encoded]) -> list[int]:
    """What ends an answer: the last token of a wanted one, and what the base says."""
    said = model.generation_config.eos_token_id
    own = said if isinstance(said, list) else [] if said is None else [said]
    return sorted({*own, *(wanted_ids(sample)[-1] for sample in samples)})
