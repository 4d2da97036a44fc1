"""One cycle, from the chosen memories to a registered version: the data's own way, step by step.

Invariant: each step is done once. Its artefact gets its name when it is whole, its journal entry comes last, and a run
that was killed anywhere goes on behind the last entry and ends with the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

from metahuman_core.dataset.build import Dataset, build_dataset
from metahuman_core.durable import remove
from metahuman_core.errors import StoppedError
from metahuman_core.gate import Evaluation, judge
from metahuman_core.hub import local_folder
from metahuman_core.journal import Journal
from metahuman_core.layout import ProfilePaths, fits_path, root_of_run
from metahuman_core.plan import read_memories, read_plan
from metahuman_core.progress import Progress, Report, StopRequested
from metahuman_core.registering import Made, register
from metahuman_core.registry import Version
from metahuman_core.results import Adapter, Checked, Gguf, Weights
from metahuman_core.serving import SERVING, Serving
from metahuman_core.steps.check import check_gguf, require_passed
from metahuman_core.steps.evaluate import evaluate
from metahuman_core.steps.loading import Base
from metahuman_core.steps.serve import write_modelfile
from metahuman_core.steps.train import Anchor, train
from metahuman_core.steps.weights.make import make_weights
from metahuman_core.versions.cards import write_cards
from metahuman_core.versions.parts import Parts


def run_cycle(run_dir: Path, now: Callable[[], datetime], report: Report, stop: StopRequested) -> Version:
    """Bring the run in `run_dir` to a registered version from wherever it stands. StoppedError if asked to stop."""
    journal = Journal.open(run_dir, now)
    plan = read_plan(journal.file.inputs)
    root = root_of_run(run_dir.absolute())
    anchor = Anchor(
        folder=local_folder(plan.anchor, plan.anchor_revision, root),
        name=plan.anchor,
        revision=plan.anchor_revision,
        warm_start=root / plan.warm_start if plan.warm_start else None,
    )
    out = run_dir / "dataset.jsonl", run_dir / "adapter", run_dir / "model", run_dir / "model.gguf"
    dataset_file, adapter_dir, model_dir, gguf_file = out
    base = Base(anchor.folder, plan.training.device, plan.training.quantize_base)

    def may_go_on(step: str) -> None:
        if stop():
            raise StoppedError(f"stopped before {step}", "the same command goes on")
        report(Progress(step))

    may_go_on("dataset")
    new, replay = read_memories(run_dir)
    old_datasets = _datasets_of(plan.ancestry, ProfilePaths(root, plan.profile))
    dataset = journal.step(
        "dataset",
        Dataset,
        [plan.memories_sha256, plan.ancestry, plan.dataset, plan.system],
        lambda: build_dataset(new, replay, old_datasets, plan.dataset, plan.system, dataset_file),
    )
    may_go_on("train")
    adapter = journal.step(
        "train",
        Adapter,
        [dataset.sha256, plan.anchor, plan.anchor_revision, plan.warm_start, plan.training],
        lambda: train(dataset_file, anchor, base, plan.training, run_dir, fits_path(root), report, stop),
    )
    may_go_on("evaluate")
    evaluation = journal.step(
        "evaluate",
        Evaluation,
        [adapter.sha256, dataset.sha256, plan.ancestry, plan.stale],
        lambda: evaluate(
            adapter_dir,
            anchor,
            base,
            dataset_file,
            old_datasets,
            frozenset(plan.stale),
            plan.system,
            plan.training.max_tokens,
            run_dir / "evaluation.json",
            report,
            stop,
        ),
    )
    base.let_go()
    may_go_on("weights")
    quantization = plan.weights.quantization
    weights = journal.step(
        "weights",
        Weights,
        [adapter.sha256, plan.anchor, plan.anchor_revision, quantization],
        lambda: make_weights(anchor.folder, adapter_dir, model_dir, gguf_file, quantization, report, stop),
    )
    merged, gguf = weights.merged, weights.quantised
    may_go_on("check")
    checked = journal.step(
        "check",
        Checked,
        [gguf.sha256, merged.sha256, plan.weights],
        lambda: check_gguf(model_dir, gguf_file, plan.weights, plan.training.device, report, stop),
    )
    require_passed(checked)
    may_go_on("register")
    journal.step(
        SERVING,
        Serving,
        [gguf.sha256, plan.system, plan.temperature, plan.num_ctx],
        lambda: write_modelfile(model_dir, plan.system, plan.temperature, plan.num_ctx, run_dir / "Modelfile"),
    )
    made = Made(dataset, adapter, evaluation, judge(evaluation), merged, gguf, checked)
    version = register(plan, made, run_dir, root, now())
    write_cards(version, Parts(run_dir))
    # Before the end is written: nobody looks into a run that has ended.
    for leftover in ("samples", "fit.json", "checkpoints", "convert.log"):
        remove(run_dir / leftover)
    journal.end("registered" if version.training_success else "rejected")
    return version


def _datasets_of(ancestry: Sequence[str], paths: ProfilePaths) -> list[Path]:
    """The datasets of the ancestry that are still there."""
    datasets = (paths.run_dir(label) / "dataset.jsonl" for label in ancestry)
    return [path for path in datasets if path.is_file()]


def base_gguf(model: Path, out: Path, quantization: str, report: Report, stop: StopRequested) -> Gguf:
    """The GGUF of a base as it is, to talk to and to compare with."""
    out.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    return make_weights(model, None, None, out, quantization, report, stop).quantised
