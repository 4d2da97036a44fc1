"""Compares the GGUF with the merged model: the same tokens, and nearly the same logits, on a fixed text.

What goes live is the GGUF, so it is the GGUF that is measured.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch

from metahuman_core.durable import partial_of, remove
from metahuman_core.errors import MetahumanError
from metahuman_core.progress import Progress, Report, StopRequested
from metahuman_core.results import Checked
from metahuman_core.settings import WeightSettings
from metahuman_core.shipped import shipped
from metahuman_core.steps.loading import choose_device, load_spread
from metahuman_core.steps.model_folder import load_tokenizer
from metahuman_core.steps.programs import run_program

_SURE_NATS = 0.5
# Mean KL at most, top-1 agreement at least. Measured on SmolLM2-135M against fp32: Q8_0 0.005 and 96 %, Q4_K_M 0.064
# and 90 %; trained, Q8_0 has 0.006 to 0.05, and once had 0.07 with 98 %. A wrong conversion is beyond 1 and below
# 30 %.
_BOUNDS = {"Q8_0": (0.2, 0.85), "Q6_K": (0.25, 0.8), "Q5_K_M": (0.3, 0.75), "Q4_K_M": (0.4, 0.65)}


def check_gguf(
    model: Path, gguf: Path, settings: WeightSettings, device: str, report: Report, stop: StopRequested
) -> Checked:
    """Compare; `reasons` is empty where the GGUF is within bounds."""
    report(Progress("check", note="GGUF against model/"))
    tokenizer = load_tokenizer(model)
    text = shipped("etc/check-text.txt").read_text(encoding="utf-8")
    paragraphs = [p.strip() for p in text.split("\n\n") if p.strip()]
    ids = [list(tokenizer(p, add_special_tokens=False)["input_ids"]) for p in paragraphs]
    request, answer = partial_of(gguf.with_name("check.json")), partial_of(gguf.with_name("check.npz"))
    bos = tokenizer.bos_token_id
    with_bos = [([bos] if bos is not None else []) + i for i in ids]
    asked = [{"pieces": [[p, False]], "ids": i} for p, i in zip(paragraphs, with_bos, strict=True)]
    try:
        request.write_text(json.dumps(asked), encoding="utf-8")
        log = gguf.with_name("convert.log")
        run_program("logits_main", str(gguf), str(request), str(answer), what="running the GGUF", log=log, stop=stop)
        with np.load(answer) as arrays:
            theirs = [(arrays[f"ids_{n}"].tolist(), arrays[f"logits_{n}"]) for n in range(len(ids))]
    finally:
        remove(request)
        remove(answer)
    if any(own != mine for (own, _), mine in zip(theirs, ids, strict=True)):
        return Checked(float("inf"), 0.0, 0, ("the GGUF tokenises otherwise than the model",))
    chosen = choose_device(device)
    loaded = load_spread(model, torch.float32 if chosen.type == "cpu" else torch.bfloat16, chosen)
    kls: list[torch.Tensor] = []
    same: list[torch.Tensor] = []
    with torch.inference_mode():
        for sequence, (_, logits) in zip(with_bos, theirs, strict=True):
            ours = loaded(torch.tensor([sequence], device=chosen)).logits[0].float().cpu().log_softmax(-1)
            gguf_log = torch.from_numpy(logits[:, : ours.shape[-1]].copy()).log_softmax(-1)
            kls.append((ours.exp() * (ours - gguf_log)).sum(-1))
            first, second = ours.topk(2, dim=-1).values.unbind(-1)
            sure = first - second >= _SURE_NATS
            same.append((ours.argmax(-1) == gguf_log.argmax(-1))[sure])
    agreed = torch.cat(same).float()
    mean_kl, top1 = float(torch.cat(kls).mean()), float(agreed.mean()) if len(agreed) else 1.0
    max_kl, min_top1 = _BOUNDS[settings.quantization]
    max_kl, min_top1 = settings.max_kl or max_kl, settings.min_top1 or min_top1
    reasons = []
    if not mean_kl <= max_kl:
        reasons.append(f"mean KL of the GGUF to model/ is {mean_kl:.4f}, above {max_kl:g}")
    if top1 < min_top1:
        reasons.append(f"the GGUF's first choice is model/'s for {top1:.1%} of tokens, below {min_top1:.0%}")
    return Checked(mean_kl, top1, sum(map(len, ids)), tuple(reasons))


def require_passed(checked: Checked) -> None:
    """Raise MetahumanError where the GGUF is not the model: that is a fault of the conversion, not of the training."""
    if checked.reasons:
        raise MetahumanError(f"the GGUF does not do what model/ does: {'; '.join(checked.reasons)}")
