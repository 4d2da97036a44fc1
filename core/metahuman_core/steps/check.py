"""Compares the GGUF with the merged model, and that with what was evaluated: the same tokens and chat template, and
nearly the same logits, on a fixed text.

What goes live is the GGUF, so it is the GGUF that is measured.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from metahuman_core.durable import partial_of, remove
from metahuman_core.errors import MetahumanError
from metahuman_core.gate.gguf_bounds import GGUF_BOUNDS
from metahuman_core.progress import Progress, Report, StopRequested
from metahuman_core.results import Checked
from metahuman_core.settings import WeightSettings
from metahuman_core.steps.check_text import nats_under, paragraph_ids, paragraphs, with_bos
from metahuman_core.steps.encode import serving_template
from metahuman_core.steps.loading import choose_device, load_spread
from metahuman_core.steps.model_folder import load_tokenizer
from metahuman_core.steps.programs import run_program

_SURE_NATS = 0.5
# What rounding to bf16, or a base held in four bits while it was measured, comes to at most. Tensors that are lost cost
# several.
_MERGED_NATS = 0.3


def check_gguf(
    model: Path,
    gguf: Path,
    measured_nats: float | None,
    settings: WeightSettings,
    device: str,
    report: Report,
    stop: StopRequested,
) -> Checked:
    """Compare; `reasons` is empty where the GGUF is within bounds.

    `measured_nats`: how likely the base with the adapter found the text when it was evaluated (nats a token), which
    model/ must find as well; None where that was not measured.
    """
    report(Progress("check", note="GGUF against model/"))
    tokenizer = load_tokenizer(model)
    ids = paragraph_ids(tokenizer)
    sequences = [with_bos(tokenizer, one) for one in ids]
    asked = [{"pieces": [[p, False]], "ids": s} for p, s in zip(paragraphs(), sequences, strict=True)]
    theirs = _run_gguf(gguf, asked, stop)
    if any(own != mine for own, mine in zip(theirs.ids, ids, strict=True)):
        return Checked(float("inf"), 0.0, 0, ("the GGUF tokenises otherwise than the model",))
    chosen = choose_device(device)
    loaded = load_spread(model, torch.float32 if chosen.type == "cpu" else torch.bfloat16, chosen)
    kls: list[torch.Tensor] = []
    same: list[torch.Tensor] = []
    nats: list[torch.Tensor] = []
    with torch.inference_mode():
        for sequence, logits in zip(sequences, theirs.logits, strict=True):
            ours = loaded(torch.tensor([sequence], device=chosen)).logits[0].float().cpu().log_softmax(-1)
            gguf_log = torch.from_numpy(logits[:, : ours.shape[-1]].copy()).log_softmax(-1)
            kls.append((ours.exp() * (ours - gguf_log)).sum(-1))
            first, second = ours.topk(2, dim=-1).values.unbind(-1)
            sure = first - second >= _SURE_NATS
            same.append((ours.argmax(-1) == gguf_log.argmax(-1))[sure])
            nats.append(nats_under(ours, sequence))
    agreed = torch.cat(same).float()
    mean_kl, top1 = float(torch.cat(kls).mean()), float(agreed.mean()) if len(agreed) else 1.0
    bounds = GGUF_BOUNDS[settings.quantization]
    max_kl, min_top1 = settings.max_kl or bounds.max_kl, settings.min_top1 or bounds.min_top1
    reasons = []
    if theirs.template != serving_template(str(tokenizer.chat_template)):
        reasons.append("the GGUF's chat template is not model/'s")
    model_nats = float(torch.cat(nats).mean())
    if measured_nats is not None and not abs(model_nats - measured_nats) <= _MERGED_NATS:
        reasons.append(
            f"model/ is not what was measured: {model_nats:.2f} nats a token on the check text, "
            f"{measured_nats:.2f} before the merge"
        )
    if not mean_kl <= max_kl:
        reasons.append(f"mean KL of the GGUF to model/ is {mean_kl:.4f}, above {max_kl:g}")
    if top1 < min_top1:
        reasons.append(f"the GGUF's first choice is model/'s for {top1:.1%} of tokens, below {min_top1:.0%}")
    return Checked(mean_kl, top1, sum(map(len, ids)), tuple(reasons))


@dataclass(frozen=True, slots=True)
class _Theirs:
    """What the GGUF says of the texts: its own tokens, its logits [tokens, vocabulary], and its chat template."""

    ids: list[list[int]]
    logits: list[np.ndarray]
    template: str


def _run_gguf(gguf: Path, texts: list[dict[str, Any]], stop: StopRequested) -> _Theirs:
    request, answer = partial_of(gguf.with_name("check.json")), partial_of(gguf.with_name("check.npz"))
    try:
        request.write_text(json.dumps(texts), encoding="utf-8")
        log = gguf.with_name("convert.log")
        run_program("logits_main", str(gguf), str(request), str(answer), what="running the GGUF", log=log, stop=stop)
        with np.load(answer) as arrays:
            numbers = range(len(texts))
            return _Theirs(
                [arrays[f"ids_{n}"].tolist() for n in numbers],
                [arrays[f"logits_{n}"] for n in numbers],
                str(arrays["template"]),
            )
    finally:
        remove(request)
        remove(answer)


def require_passed(checked: Checked) -> None:
    """Raise MetahumanError where the GGUF is not the model: that is a fault of the merge, not of the training."""
    if checked.reasons:
        raise MetahumanError(
            f"the GGUF does not do what was measured: {'; '.join(checked.reasons)}",
            "with another quantization, or other bounds in [weights], `metahuman fine-tune --discard` makes it anew",
        )
