"""One cycle, from the chosen memories to a registered version: the data's own way, step by step.

Invariant: each step is done once. Its artefact gets its name when it is whole, its journal entry comes last, and a run
that was killed anywhere goes on behind the last entry and ends with the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from metahuman_core.dataset.build import Dataset, build_dataset
from metahuman_core.dataset.outdated import outdated_in
from metahuman_core.dataset.samples import DATASET
from metahuman_core.dataset.told import NOTHING_TOLD, told_before
from metahuman_core.durable import remove
from metahuman_core.errors import StoppedError
from metahuman_core.gate.attempts import Attempt, Learned, at_most_twice
from metahuman_core.gate.exam import EVALUATION, exam
from metahuman_core.gate.judging import judge
from metahuman_core.gate.measures import Evaluation
from metahuman_core.hub import local_folder
from metahuman_core.journal import Journal
from metahuman_core.layout import ProfilePaths, fits_path, root_of_run
from metahuman_core.model_study.frozen import read_questions
from metahuman_core.plan import read_memories, read_plan
from metahuman_core.progress import Progress, Report, StopRequested
from metahuman_core.registering import Made, register
from metahuman_core.registry import Version, load_registry
from metahuman_core.report.writing import Reported, write_report
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
    parts, dataset_file = Parts(run_dir), run_dir / DATASET
    compared_with = root / plan.compared_with if plan.compared_with else anchor.warm_start
    base = Base(anchor.folder, plan.training.device, plan.training.quantize_base)

    def may_go_on(step: str) -> None:
        if stop():
            raise StoppedError(f"stopped before {step}", "the same command goes on")
        report(Progress(step))

    new, replay = read_memories(run_dir)
    asked = read_questions(run_dir, plan.questions_sha256)
    ancestors = [ProfilePaths(root, plan.profile).run_dir(label) for label in plan.ancestry]
    old_datasets = [file for run in ancestors if (file := run / DATASET).is_file()]

    def learn(attempt: Attempt) -> Learned:
        may_go_on("dataset")
        dataset = journal.step(
            "dataset",
            Dataset,
            [
                plan.memories_sha256,
                plan.questions_sha256,
                plan.ancestry,
                attempt.dataset,
                plan.system,
                plan.consolidation,
            ],
            lambda: build_dataset(
                new,
                replay,
                old_datasets,
                attempt.dataset,
                plan.system,
                dataset_file,
                NOTHING_TOLD if plan.consolidation else told_before(ancestors),
                asked=asked,
                is_outdated=outdated_in(ancestors[::-1]).includes,
                consolidates=bool(plan.consolidation),
                epochs=plan.training.begun_epochs,
            ),
        )
        may_go_on("train")
        adapter = journal.step(
            "train",
            Adapter,
            [dataset.sha256, plan.anchor, plan.anchor_revision, plan.warm_start, plan.training, attempt.rate_factor],
            lambda: train(
                dataset_file,
                anchor,
                base,
                plan.training,
                run_dir,
                fits_path(root),
                report,
                stop,
                dataset_sha256=dataset.sha256,
                rate_factor=attempt.rate_factor,
            ),
        )
        may_go_on("evaluate")
        evaluation = journal.step(
            "evaluate",
            Evaluation,
            [adapter.sha256, dataset.sha256, plan.ancestry, plan.stale, plan.compared_with, plan.gate],
            lambda: evaluate(
                parts.adapter,
                anchor,
                compared_with,
                base,
                exam(run_dir, ancestors, frozenset(plan.stale), plan.system, plan.gate.prompts),
                plan.gate,
                plan.training.max_tokens,
                run_dir / EVALUATION,
                report,
                stop,
                keeps_before=not plan.parent_knows_erased,
            ),
        )
        return Learned(dataset, adapter, evaluation, judge(evaluation, plan.gate))

    learned = at_most_twice(journal, plan, learn, base.let_go, report)
    adapter, evaluation = learned.adapter, learned.evaluation
    base.let_go()
    may_go_on("weights")
    quantization = plan.weights.quantization
    weights = journal.step(
        "weights",
        Weights,
        [adapter.sha256, plan.anchor, plan.anchor_revision, quantization],
        lambda: make_weights(anchor.folder, parts.adapter, parts.model, parts.gguf, quantization, report, stop),
    )
    merged, gguf = weights.merged, weights.quantised
    may_go_on("check")
    # A base in four bits finds the text less likely than the weights that are merged.
    measured_nats = evaluation.text_nats if plan.training.quantize_base == "none" else None
    checked = journal.step(
        "check",
        Checked,
        [gguf.sha256, merged.sha256, measured_nats, plan.weights],
        lambda: check_gguf(parts.model, parts.gguf, measured_nats, plan.weights, plan.training.device, report, stop),
    )
    if learned.verdict.passed:  # what was rejected may be as broken as it likes
        require_passed(checked)
    made = Made(learned, merged, gguf, checked)
    may_go_on("report")
    journal.step(
        "report",
        Reported,
        [evaluation, checked],
        lambda: write_report(run_dir, journal.file, made, load_registry(root / plan.registry)),
    )
    may_go_on("register")
    journal.step(
        SERVING,
        Serving,
        [gguf.sha256, plan.system, plan.temperature, plan.num_ctx],
        lambda: write_modelfile(parts.model, plan.system, plan.temperature, plan.num_ctx, run_dir / "Modelfile"),
    )
    version = register(plan, made, run_dir, root, now())
    write_cards(version, parts)
    # Before the end is written: nobody looks into a run that has ended.
    for leftover in ("samples", "fit.json", "checkpoints", "convert.log"):
        remove(run_dir / leftover)
    journal.end("registered" if version.training_success else "rejected")
    return version


def base_gguf(model: Path, out: Path, quantization: str, report: Report, stop: StopRequested) -> Gguf:
    """The GGUF of a base as it is, to talk to and to compare with."""
    out.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    return make_weights(model, None, None, out, quantization, report, stop).quantised
