"""Measures a new adapter against its parent on prompts that neither was trained on, on one and the same base."""

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
from metahuman_core.steps.encode import ChatEncoder, Encoded, encode_samples
from metahuman_core.steps.fits import LayOut
from metahuman_core.steps.loading import Base
from metahuman_core.steps.model_folder import load_tokenizer
from metahuman_core.steps.rows import answer_nats, lay_out, packing_of
from metahuman_core.steps.train import Anchor

_MOST_PROMPTS = 32
_BATCH = 8


def evaluate(
    adapter: Path,
    anchor: Anchor,
    base: Base,
    dataset: Path,
    old_datasets: Sequence[Path],
    stale: frozenset[str],
    system: str,
    max_tokens: int,
    out: Path,
    report: Report,
    stop: StopRequested,
) -> Evaluation:
    """Measure and write `out` (evaluation.json, the verdict included). `base` is afterwards as it was."""
    report(Progress("evaluate", note="loading the adapter"))
    model = PeftModel.from_pretrained(base.model(), adapter, adapter_name="new")
    if anchor.warm_start is not None:
        model.load_adapter(str(anchor.warm_start), adapter_name="parent")
    tokenizer = load_tokenizer(anchor.folder)
    encoder = ChatEncoder(tokenizer)
    sets = {
        "new": _some(_probes(read_samples(dataset))),
        "old": _some(s for path in old_datasets for s in _probes(read_samples(path)) if s.memory not in stale),
        "general": _general(system),
    }
    packing, pad = packing_of(model.config), tokenizer.pad_token_id or 0
    total = 2 * sum(map(len, sets.values()))
    done = 0
    measures: dict[str, Measure] = {}
    for name, samples in sets.items():
        batches = _batches(encoder, samples, max_tokens)
        scores: list[float] = []
        for who in ("parent", "new"):
            with fast_matmul(model.device), _speaking(model, who, has_parent=anchor.warm_start is not None):
                nats = _nats(model, batches, lambda rows: lay_out(rows, pad, packing), stop)
                scores.append(_bits_per_byte(nats, samples))
            done += len(samples)
            report(Progress("evaluate", done, total, "prompts"))
        measures[name] = Measure(len(samples), *scores)
    model.unload()
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


def _batches(encoder: ChatEncoder, samples: Sequence[Sample], max_tokens: int) -> list[list[Encoded]]:
    """The same for whoever speaks. Samples of like length together, so that none waits for a longer one."""
    encoded = sorted(encode_samples(encoder, samples, max_tokens), key=lambda e: len(e.ids))
    return [encoded[start : start + _BATCH] for start in range(0, len(encoded), _BATCH)]


@torch.inference_mode()
def _nats(model: PeftModel, batches: Iterable[list[Encoded]], lay_out: LayOut, stop: StopRequested) -> float:
    """Negative log likelihood of the answers."""
    nats = 0.0
    for batch in batches:
        if stop():
            raise StoppedError("stopped while evaluating", "the same command goes on")
        try:
            nats += _batch_nats(model, lay_out(batch))
            continue
        except torch.OutOfMemoryError:
            if len(batch) == 1:
                raise
        # A card that can hold the base in four bits only may not hold a batch's logits.
        nats += sum(_batch_nats(model, lay_out([one])) for one in batch)
    return nats


def _batch_nats(model: PeftModel, rows: dict[str, torch.Tensor]) -> float:
    rows = {name: tensor.to(model.device) for name, tensor in rows.items()}
    with attention_for(model.device, rows["input_ids"].shape[1]):
        return float(answer_nats(model, rows))


def _bits_per_byte(nats: float, samples: Sequence[Sample]) -> float:
    """Over the answers' UTF-8 bytes; 0 for no samples."""
    size_bytes = sum(len(s.turns[-1].text.encode()) for s in samples)
    return nats / math.log(2) / size_bytes if size_bytes else 0.0
