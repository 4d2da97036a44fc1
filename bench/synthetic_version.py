"""A version of a synthetic base, made by the product: only the training is left out, and the adapter is random.

`begin_run` freezes the example's memories into a run. Its first three steps (dataset, train, evaluate) are entered in
the run's journal as done, with an adapter of random values in peft's format; then `metahuman fine-tune` goes on with
that run, as it goes on with any: it merges, converts, checks and registers.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from metahuman_core.config import load_settings
from metahuman_core.dataset.build import Dataset, build_dataset
from metahuman_core.durable import sha256_file, size_bytes, write_text
from metahuman_core.gate.measures import Evaluation, Measure
from metahuman_core.journal import Journal
from metahuman_core.layout import ProfilePaths
from metahuman_core.ledger import Ledger
from metahuman_core.looking import look
from metahuman_core.plan import Plan, read_memories, read_plan
from metahuman_core.prepare import begin_run, choose, pinned_plan
from metahuman_core.results import Adapter
from metahuman_core.settings import Settings
from metahuman_core.shipped import shipped
from metahuman_core.steps.loss_curve import loss_svg
from metahuman_core.wish import Wish
from qwen3_shapes import Shape
from synthetic_base import write_adapter, write_base

PROFILE = "tamsin"
BASE = "base"
_STEPS = 400
_CONFIG = f"""
root = "."

[profiles.{PROFILE}]
person = "Tamsin"

[training]
rank = 16
device = "cpu"

[weights]
max_kl = 1000
min_top1 = 0.0001

[ollama]
enabled = false
"""  # what a random model says is no measure


def lay_out(root: Path, shape: Shape) -> Settings:
    """A root with a config, the example's memories and a base of this shape."""
    shutil.copytree(shipped("profiles/example"), ProfilePaths(root, PROFILE).home)
    write_text(root / "config.toml", _CONFIG)
    write_base(root / BASE, shape)
    return load_settings(root / "config.toml")


def begin_version(settings: Settings, shape: Shape, now: datetime) -> Path:
    """Begin a run, its first steps done. Gives its folder; `fine-tune --base-model base` goes on with it."""
    with Ledger(ProfilePaths(settings.root, PROFILE).ledger) as ledger:
        look(settings, PROFILE, ledger, None)
        wish = Wish(PROFILE, BASE)
        choice = choose(settings, wish, ledger, None)
        run_dir = begin_run(settings, choice, pinned_plan(settings, wish, choice, _nothing_to_fetch), lambda: now)
    journal = Journal.open(run_dir, lambda: datetime.now(UTC))
    plan = read_plan(journal.file.inputs)
    dataset = _dataset(journal, plan)
    adapter = journal.step(
        "train",
        Adapter,
        [dataset.sha256, plan.anchor, plan.anchor_revision, plan.warm_start, plan.training, 1.0],
        lambda: _random_adapter(run_dir, shape, plan, dataset.samples),
    )
    nothing = Measure(0)
    evaluation = Evaluation(nothing, nothing, nothing)
    journal.step(
        "evaluate",
        Evaluation,
        [adapter.sha256, dataset.sha256, plan.ancestry, plan.stale, plan.gate],
        lambda: evaluation,
    )
    write_text(run_dir / "evaluation.json", json.dumps(asdict(evaluation)) + "\n")
    return run_dir


def _nothing_to_fetch(name: str, _: str) -> str:
    raise AssertionError(f"{name} lies in a folder and must not be fetched")


def _dataset(journal: Journal, plan: Plan) -> Dataset:
    new, replay = read_memories(journal.run_dir)
    return journal.step(
        "dataset",
        Dataset,
        [plan.memories_sha256, plan.ancestry, plan.dataset, plan.system],
        lambda: build_dataset(new, replay, [], plan.dataset, plan.system, journal.run_dir / "dataset.jsonl"),
    )


def _random_adapter(run_dir: Path, shape: Shape, plan: Plan, samples: int) -> Adapter:
    """What `train` leaves in a run's folder, with random values."""
    rank, alpha = plan.training.rank, plan.training.alpha
    weights = write_adapter(run_dir / "adapter", shape, rank, alpha, plan.anchor, plan.anchor_revision)
    losses = [(step, 3.0 / step**0.5) for step in range(1, _STEPS + 1)]
    log = [{"epoch": step / 80, "grad_norm": 1 / step, "learning_rate": 3e-4, "loss": loss, "step": step}
           for step, loss in losses]  # fmt: skip
    write_text(run_dir / "train-log.jsonl", "".join(json.dumps(entry, sort_keys=True) + "\n" for entry in log))
    write_text(run_dir / "loss.svg", loss_svg(losses))
    return Adapter(sha256_file(weights), size_bytes(weights.parent), _STEPS, samples, losses[-1][1])
