"""Measures a new adapter against its parent on prompts that neither was trained on. Loads the base once for both."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

import torch
from peft import PeftModel

from metahuman_core.dataset.build import Sample, read_samples
from metahuman_core.durable import write_text
from metahuman_core.errors import StoppedError
from metahuman_core.gate import Evaluation, Measure, judge
from metahuman_core.journal import as_plain
from metahuman_core.memories.model import Turn
from metahuman_core.progress import Progress, Report, StopRequested
from metahuman_core.shipped import shipped
from metahuman_core.steps.cpu import attention_for, fast_matmul
from metahuman_core.steps.encode import IGNORED, ChatEncoder, encode_samples
from metahuman_core.steps.loading import choose_device, choose_dtype, load_model, load_tokenizer
from metahuman_core.steps.train import Anchor

_MOST_PROMPTS = 32
_BATCH = 8


def evaluate(
    adapter: Path,
    anchor: Anchor,
    dataset: Path,
    old_datasets: Sequence[Path],
    stale: frozenset[str],
    system: str,
    max_tokens: int,
    device_name: str,
    out: Path,
    report: Report,
    stop: StopRequested,
) -> Evaluation:
    """Measure and write `out` (evaluation.json, the verdict included)."""
    report(Progress("evaluate", note="loading the base"))
    device = choose_device(device_name)
    base = load_model(anchor.folder, choose_dtype(device), device)
    model = PeftModel.from_pretrained(base, adapter, adapter_name="new")
    if anchor.warm_start is not None:
        model.load_adapter(str(anchor.warm_start), adapter_name="parent")
    tokenizer = load_tokenizer(anchor.folder)
    encoder = ChatEncoder(tokenizer)
    sets = {
        "new": _some(_probes(read_samples(dataset))),
        "old": _some(s for path in old_datasets for s in _probes(read_samples(path)) if s.memory not in stale),
        "general": _general(system),
    }
    total = 2 * sum(map(len, sets.values()))
    done = 0
    measures: dict[str, Measure] = {}
    for name, samples in sets.items():
        scores: list[float] = []
        for who in ("parent", "new"):
            with fast_matmul(device), _speaking(model, who, has_parent=anchor.warm_start is not None):
                scores.append(_bits_per_byte(model, encoder, samples, max_tokens, tokenizer.pad_token_id or 0, stop))
            done += len(samples)
            report(Progress("evaluate", done, total, "prompts"))
        measures[name] = Measure(len(samples), *scores)
    evaluation = Evaluation(**measures)
    verdict = judge(evaluation)
    write_text(out, json.dumps({**as_plain(evaluation), "verdict": as_plain(verdict)}, indent=2) + "\n")
    return evaluation


@contextmanager
def _speaking(model: PeftModel, who: str, *, has_parent: bool) -> Iterator[None]:
    if who == "parent" and not has_parent:
        with model.disable_adapter():
            yield
    else:
        model.set_adapter(who)
        yield


def _probes(samples: Iterable[Sample]) -> Iterator[Sample]:
    return (s for s in samples if s.split == "probe")


def _some(samples: Iterable[Sample]) -> list[Sample]:
    """At most `_MOST_PROMPTS`, always the same ones."""
    ranked = sorted(samples, key=lambda s: sha256(f"{s.memory}{s.turns[-2].text}".encode()).digest())
    return ranked[:_MOST_PROMPTS]


def _general(system: str) -> list[Sample]:
    opening = (Turn("system", system),) if system else ()
    with shipped("etc/general-prompts.jsonl").open(encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    return [
        Sample(
            "", "general", "new", "probe", "general", (*opening, Turn("user", r["ask"]), Turn("assistant", r["answer"]))
        )
        for r in rows
    ]


@torch.inference_mode()
def _bits_per_byte(
    model: PeftModel, encoder: ChatEncoder, samples: Sequence[Sample], max_tokens: int, pad: int, stop: StopRequested
) -> float:
    """Negative log2 likelihood of the answers, over their UTF-8 bytes; 0 for no samples."""
    nats, size_bytes = 0.0, 0
    for start in range(0, len(samples), _BATCH):
        if stop():
            raise StoppedError("stopped while evaluating", "the same command goes on")
        batch = samples[start : start + _BATCH]
        encoded = encode_samples(encoder, batch, max_tokens)
        size_bytes += sum(len(s.turns[-1].text.encode()) for s in batch)
        width = max(len(e.ids) for e in encoded)
        ids = torch.tensor([e.ids + [pad] * (width - len(e.ids)) for e in encoded], device=model.device)
        mask = torch.tensor([[1] * len(e.ids) + [0] * (width - len(e.ids)) for e in encoded], device=model.device)
        labels = torch.tensor([e.labels + [IGNORED] * (width - len(e.labels)) for e in encoded], device=model.device)
        with attention_for(model.device, width):
            logits = model(input_ids=ids, attention_mask=mask, use_cache=False).logits[:, :-1].float()
        loss = torch.nn.functional.cross_entropy(
            logits.flatten(0, 1), labels[:, 1:].flatten(), ignore_index=IGNORED, reduction="sum"
        )
        nats += float(loss)
    return nats / math.log(2) / size_bytes if size_bytes else 0.0
