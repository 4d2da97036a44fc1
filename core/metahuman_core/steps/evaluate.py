"""Measures a new adapter against the version before it, on prompts that neither was trained on.

Invariant: both speak on one and the same base, if the one before can, and are asked in the same batches.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Literal

import torch
from peft import PeftModel
from pydantic import TypeAdapter
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from metahuman_core.dataset.extras import unknown_questions
from metahuman_core.durable import write_text
from metahuman_core.errors import StoppedError
from metahuman_core.gate.exam import Prompt
from metahuman_core.gate.judging import judge
from metahuman_core.gate.matching import flaw_of, is_admitted, is_exact, is_recalled
from metahuman_core.gate.measures import Asked, Evaluation, Said
from metahuman_core.gate.summing_up import mean_change, measure_of, recall_row, since_learned, transfer_of
from metahuman_core.journal import as_plain
from metahuman_core.progress import Progress, Report, StopRequested
from metahuman_core.settings import GateSettings
from metahuman_core.steps.answering import answers, cut_to_what_is_asked, nats_of, wanted_ids
from metahuman_core.steps.check_text import log_likelihoods_under, nats_under, paragraph_ids, with_bos
from metahuman_core.steps.encode import ChatEncoder, Encoded
from metahuman_core.steps.loading import Base
from metahuman_core.steps.model_folder import load_tokenizer
from metahuman_core.steps.rows import packing_of
from metahuman_core.steps.train import Anchor

_BATCH = 32
_AS_PLAIN = TypeAdapter(list[Asked])

Who = Literal["anchor", "before", "after"]


@dataclass(frozen=True, slots=True)
class _Put:
    """A prompt as the model gets it; `wanted` is cut where no answer can be longer."""

    prompt: Prompt
    encoded: Encoded
    wanted: str


def evaluate(
    adapter: Path,
    anchor: Anchor,
    before: Path | None,
    base: Base,
    prompts: Sequence[Prompt],
    gate: GateSettings,
    max_tokens: int,
    out: Path,
    report: Report,
    stop: StopRequested,
    *,
    keeps_before: bool = True,
) -> Evaluation:
    """Measure `adapter` against `before` (an adapter, or a model), else the anchor; write `out`, the verdict included.

    `base` is afterwards as it was. Without `keeps_before` what `before` said is measured, and not written down.
    Raises StoppedError.
    """
    tokenizer = load_tokenizer(anchor.folder)
    put = _encoded(prompts, tokenizer, max_tokens)
    # What the parent said when it was measured itself it would say again.
    unknown = [one for one in put if one.prompt.parents is None]
    told, total = 0, len(put) + len(unknown)

    def done(more: int) -> None:
        nonlocal told
        told += more
        report(Progress("evaluate", told, total, "prompts"))

    another: list[Said] | None = None
    if before is not None and (before / "config.json").is_file():
        report(Progress("evaluate", note="loading the version before"))
        base.let_go()  # there may be no room for both
        another = _Asking(base.beside(before).model(), tokenizer, has_before=False, stop=stop).answers_of(
            "before", unknown, done
        )
    report(Progress("evaluate", note="loading the adapter"))
    model = PeftModel.from_pretrained(base.model(), adapter, adapter_name="after")
    on_same = before is not None and another is None
    if on_same:
        model.load_adapter(str(before), adapter_name="before")
    asking = _Asking(model, tokenizer, has_before=on_same, stop=stop)
    fresh = iter(asking.answers_of("before", unknown, done) if another is None else another)
    said_before = [one.prompt.parents or next(fresh) for one in put]
    said_after = asking.answers_of("after", put, done)
    asked = [_asked(one, b, a) for one, b, a in zip(put, said_before, said_after, strict=True)]
    new = [one for one in put if one.prompt.set == "new"]
    at_first = asking.answers_of("anchor", new, lambda _: None) if before is not None and new else []
    general = [a for a in asked if a.set == "general"]
    # At a fresh start the version before is the anchor.
    anchors_bits = (
        [a.before.bits_per_byte for a in general]
        if before is None
        else asking.anchors_bits([one for one in put if one.prompt.set == "general"])
    )
    kl_to_anchor, text_nats = asking.on_text()
    evaluation = Evaluation(
        new=measure_of(asked, "new"),
        old=measure_of(asked, "old"),
        general=measure_of(asked, "general"),
        kl_to_anchor=kl_to_anchor,
        text_nats=text_nats,
        transfer=transfer_of(asked, fmean(s.recalled for s in at_first) if at_first else None),
        recall=recall_row(asked),
        unknown=measure_of(asked, "unknown"),
        since_learned=since_learned(asked),
        since_anchor=mean_change(list(zip(anchors_bits, (a.after.bits_per_byte for a in general), strict=True))),
    )
    model.unload()
    verdict = judge(evaluation, gate)
    kept = asked if keeps_before else [replace(one, before=replace(one.before, answer="")) for one in asked]
    plain = {**as_plain(evaluation), "verdict": as_plain(verdict), "answers": _AS_PLAIN.dump_python(kept, mode="json")}
    write_text(out, json.dumps(plain, indent=1, ensure_ascii=False) + "\n")
    return evaluation


class _Asking:
    """The base with up to two adapters, of which one speaks at a time; or a model by itself."""

    def __init__(
        self,
        model: PeftModel | PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        *,
        has_before: bool,
        stop: StopRequested,
    ) -> None:
        self._model, self._tokenizer, self._has_before, self._stop = model, tokenizer, has_before, stop
        self._packing, self._pad = packing_of(model.config), tokenizer.pad_token_id or 0
        self._admissions = frozenset(question.answer for question in unknown_questions())

    def answers_of(self, who: Who, put: Sequence[_Put], done: Callable[[int], None]) -> list[Said]:
        """What one of them says to each prompt."""
        # Answers of like length together, so that none waits for a longer one.
        order = sorted(range(len(put)), key=lambda at: (len(wanted_ids(put[at].encoded)), len(put[at].encoded.ids)))
        said: dict[int, Said] = {}
        with self._speaking(who):
            for start in range(0, len(order), _BATCH):
                if self._stop():
                    raise StoppedError("stopped while evaluating", "the same command goes on")
                places = order[start : start + _BATCH]
                batch = [put[at] for at in places]
                said.update(zip(places, self._said(batch), strict=True))
                done(len(batch))
        return [said[at] for at in range(len(put))]

    def _said(self, batch: Sequence[_Put]) -> Iterator[Said]:
        encoded = [one.encoded for one in batch]
        nats = nats_of(self._model, encoded, self._pad, self._packing)
        for one, own, answer in zip(
            batch, nats, answers(self._model, self._tokenizer, encoded, self._stop), strict=True
        ):
            yield Said(
                answer=answer.text,
                bits_per_byte=_bits_per_byte(own, one),
                exact=is_exact(one.wanted, answer.text),
                recalled=self._is_right(one, answer.text),
                flaw=flaw_of(answer.text, control=answer.control),
            )

    def _is_right(self, one: _Put, answer: str) -> bool:
        if one.prompt.set == "unknown":
            return is_admitted(answer, self._admissions)
        return is_recalled(one.prompt.ask, one.wanted, answer)

    def anchors_bits(self, put: Sequence[_Put]) -> list[float]:
        """How likely the anchor finds the wanted answers, in bits per byte."""
        bits: list[float] = []
        with self._speaking("anchor"):
            for start in range(0, len(put), _BATCH):
                batch = put[start : start + _BATCH]
                nats = nats_of(self._model, [one.encoded for one in batch], self._pad, self._packing)
                bits += [_bits_per_byte(own, one) for own, one in zip(nats, batch, strict=True)]
        return bits

    def on_text(self) -> tuple[float, float]:
        """On the check text, in nats a token: mean KL(anchor ‖ new), and the new one's negative log likelihood."""
        kls: list[torch.Tensor] = []
        nats: list[torch.Tensor] = []
        for ids in paragraph_ids(self._tokenizer):
            sequence = with_bos(self._tokenizer, ids)
            with self._speaking("anchor"):
                anchors = log_likelihoods_under(self._model, sequence)
            with self._speaking("after"):
                ours = log_likelihoods_under(self._model, sequence)
            kls.append((anchors.exp() * (anchors - ours)).sum(-1))
            nats.append(nats_under(ours, sequence))
        return float(torch.cat(kls).mean()), float(torch.cat(nats).mean())

    @contextmanager
    def _speaking(self, who: Who) -> Iterator[None]:
        if not isinstance(self._model, PeftModel):
            yield
        elif who == "anchor" or (who == "before" and not self._has_before):
            with self._model.disable_adapter():
                yield
        else:
            self._model.set_adapter(who)
            yield


def _bits_per_byte(nats: float, one: _Put) -> float:
    return nats / math.log(2) / max(1, len(one.prompt.wanted.encode()))


def _encoded(prompts: Sequence[Prompt], tokenizer: PreTrainedTokenizerBase, max_tokens: int) -> list[_Put]:
    """Those of the prompts that can be asked at all."""
    encoder = ChatEncoder(tokenizer)
    encoded = [(prompt, encoder.encode(prompt.sample.turns, max_tokens)) for prompt in prompts]
    return [_Put(p, e, cut_to_what_is_asked(tokenizer, e)) for p, e in encoded if e is not None]


def _asked(one: _Put, before: Said, after: Said) -> Asked:
    prompt = one.prompt
    return Asked(prompt.set, prompt.batch, prompt.sample.memory, prompt.ask, one.wanted, before, after, prompt.then)
