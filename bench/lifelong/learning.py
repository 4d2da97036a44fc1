"""Makes one version by the product's own steps (training, merging), and asks it.

Invariant: the same cell gives the same version; what was broken off goes on from its checkpoint.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from peft import PeftModel
from transformers import PreTrainedTokenizerBase
from transformers.utils.logging import disable_progress_bar

from lifelong.kept import Answered, Kept, Measured, Watched
from lifelong.material import Probe, holds
from lifelong.planning import Cell
from metahuman_core.dataset.samples import line_of
from metahuman_core.durable import remove, sha256_file, size_bytes, write_text
from metahuman_core.gate.matching import is_recalled
from metahuman_core.memories.model import Turn
from metahuman_core.progress import Report, StopRequested
from metahuman_core.shipped import shipped
from metahuman_core.steps.answering import answers, nats_of
from metahuman_core.steps.check_text import text_nats
from metahuman_core.steps.encode import ChatEncoder, Encoded
from metahuman_core.steps.loading import Base, choose_device, choose_dtype, load_model
from metahuman_core.steps.model_folder import load_tokenizer
from metahuman_core.steps.train import Anchor, train
from metahuman_core.steps.weights.make import make_weights

# A bar for each load would stand between the bench's lines.
disable_progress_bar()  # type: ignore[no-untyped-call]
_ROWS = 32
# A limit of no effect: what is asked here is short.
_LONGEST = 1 << 16


@dataclass(frozen=True, slots=True)
class Place:
    """The original base, where results and versions lie, and the two wires to whoever runs it."""

    base: Path
    kept: Kept
    report: Report
    stop: StopRequested

    def anchor(self, key: str) -> Path:
        """The model that a version stands on."""
        return self.kept.work(key) / "model" if key else self.base

    def adapter(self, key: str) -> Path:
        """A version's adapter."""
        return self.kept.work(key) / "adapter"


@dataclass(frozen=True, slots=True)
class Made:
    """How a version was made: optimiser steps, seconds of training and merging, and whether it was broken off."""

    steps: int
    train_s: float
    went_on: bool


def make(cell: Cell, known: Mapping[str, Cell], place: Place) -> Made:
    """Bring a cell's adapter, and its merged model where it merges, to the disk; those that it needs first.

    Raises StoppedError, behind a checkpoint.
    """
    for key in cell.needs:
        make(known[key], known, place)
    work = place.kept.work(cell.key)
    went_on = work.exists()
    began_s = time.perf_counter()
    if not (work / "adapter").is_dir():
        dataset = work / "dataset.jsonl"
        write_text(dataset, "".join(map(line_of, cell.samples)))
        folder = place.anchor(cell.anchor)
        anchor = Anchor(folder, str(folder), "", place.adapter(cell.warm) if cell.warm else None)
        base = Base(folder, cell.recipe.device, cell.recipe.quantize_base)
        # What runs need of memory hangs on the machine as well: it is measured for this folder of results.
        remembered = place.kept.folder / "fits.json"
        wires = place.report, place.stop
        train(dataset, anchor, base, cell.recipe, work, remembered, *wires, dataset_sha256=sha256_file(dataset))
        base.let_go()
    if cell.merges and not (work / "model").is_dir():
        adapter = work / "adapter"
        make_weights(place.anchor(cell.anchor), adapter, work / "model", None, "Q8_0", place.report, place.stop)
    for leftover in ("samples", "checkpoints", "fit.json"):
        remove(work / leftover)
    steps = len((work / "train-log.jsonl").read_text(encoding="utf-8").splitlines())
    return Made(steps, time.perf_counter() - began_s, went_on)


def measure(cell: Cell, probes: Sequence[tuple[int, Probe]], system: str, made: Made, place: Place) -> Measured:
    """Ask a version that was made, and the general prompts. Raises StoppedError."""
    began_s = time.perf_counter()
    anchor = place.anchor(cell.key if cell.merges else cell.anchor)
    adapter = place.adapter(cell.key) if cell.samples and not cell.merges else None
    tokenizer = load_tokenizer(anchor)
    model = _whole(anchor, adapter, cell.recipe.device)
    encoder = ChatEncoder(tokenizer)
    opening = (Turn("system", system),) if system else ()
    asked = {probe.ask: (*opening, Turn("user", probe.ask), Turn("assistant", probe.answer)) for _, probe in probes}
    asked |= {sample.turns[-2].text: sample.turns for sample in cell.watched}
    general = [(*opening, Turn("user", ask), Turn("assistant", answer)) for ask, answer in general_prompts()]
    pad = tokenizer.pad_token_id or 0
    said = dict(zip(asked, _answers(model, tokenizer, _encoded(encoder, asked.values()), place.stop), strict=True))
    # One by one: how rows are laid out is to move nothing of what is compared to a hundredth.
    bits = tuple(nats_of(model, [one], pad, None)[0] / math.log(2) for one in _encoded(encoder, general))
    version = place.kept.work(cell.key) / ("model" if cell.merges else "adapter")
    return Measured(
        key=cell.key,
        strategy=cell.strategy,
        seed=cell.seed,
        cycle=cell.cycle,
        answers=tuple(_answered(number, probe, said[probe.ask]) for number, probe in probes),
        watched=tuple(
            Watched(s.memory, is_recalled(s.turns[-2].text, s.turns[-1].text, said[s.turns[-2].text]))
            for s in cell.watched
        ),
        general_bits=bits,
        prose_nats=text_nats(model, tokenizer),
        general_bytes=tuple(len(turns[-1].text.encode()) for turns in general),
        samples=cell.trained,
        steps=made.steps,
        train_s=made.train_s,
        measure_s=time.perf_counter() - began_s,
        went_on=made.went_on,
        version_bytes=size_bytes(version),
    )


def general_prompts() -> list[tuple[str, str]]:
    """The general questions that the product measures with, and their answers."""
    with shipped("etc/general-prompts.jsonl").open(encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    return [(str(row["ask"]), str(row["answer"])) for row in rows]


def _whole(anchor: Path, adapter: Path | None, device: str) -> Any:
    """The model as one, for speed: an adapter is added to its weights in the dtype of computing, and not rounded."""
    where = choose_device(device)
    model: Any = load_model(anchor, choose_dtype(where), where)
    return PeftModel.from_pretrained(model, adapter).merge_and_unload().eval() if adapter else model


def _encoded(encoder: ChatEncoder, conversations: Iterable[tuple[Turn, ...]]) -> list[Encoded]:
    encoded = [encoder.encode(turns, _LONGEST) for turns in conversations]
    return [one for one in encoded if one is not None]


def _answers(
    model: Any, tokenizer: PreTrainedTokenizerBase, asked: Sequence[Encoded], stop: StopRequested
) -> list[str]:
    """In the order of `asked`; like lengths are asked together."""
    order = sorted(range(len(asked)), key=lambda at: len(asked[at].ids))
    said = [""] * len(asked)
    for start in range(0, len(order), _ROWS):
        batch = order[start : start + _ROWS]
        for at, answer in zip(batch, answers(model, tokenizer, [asked[at] for at in batch], stop), strict=True):
            said[at] = answer.text
    return said


def _answered(number: int, probe: Probe, said: str) -> Answered:
    return Answered(
        batch=number,
        about=probe.about,
        ask=probe.ask,
        key=probe.key,
        answer=said,
        recalled=holds(said, probe.key),
        correction=bool(probe.outdated),
        outdated=holds(said, probe.outdated),
    )
