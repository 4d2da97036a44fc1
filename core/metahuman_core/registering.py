"""Enters a finished run in the registry. Only what exists and was verified gets in.

Invariant: one entry a run, however often this is called: a run is known by its label.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from metahuman_core.durable import sha256_file
from metahuman_core.errors import MetahumanError
from metahuman_core.gate.attempts import Learned
from metahuman_core.gate.measures import Change, Measure
from metahuman_core.layout import relative_to_root
from metahuman_core.plan import Plan
from metahuman_core.registry import FailedRun, Outcome, OutputFormat, Registry, Version, load_registry, update_registry
from metahuman_core.results import Checked, Gguf, Merged
from metahuman_core.shipped import shipped
from metahuman_core.versions.moving import made_live


@dataclass(frozen=True, slots=True)
class Made:
    """All that a cycle made."""

    learned: Learned
    merged: Merged
    gguf: Gguf
    checked: Checked

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why it is not to be live: what the gate said, and what the GGUF is not."""
        return (*self.learned.verdict.reasons, *self.checked.reasons)


def fresh_registry(base: str, model_type: str) -> Registry:
    """A registry for a lineage that begins: the shipped one, with this base as the original."""
    start = load_registry(shipped("etc/model-registry.json")) or Registry()
    return start.changed(original_base_model=base, current_base_model=base, model_type=model_type)


def register(plan: Plan, made: Made, run_dir: Path, root: Path, now: datetime) -> Version:
    """Enter the version; it goes live if the gate let it pass. Gives the entry as it stands."""
    # One that was killed behind its entry: what of its files is here is retention's to decide by now.
    before = load_registry(root / plan.registry)
    if before and (known := _known(before, run_dir.name)):
        return known
    if sha256_file(run_dir / "model.gguf") != made.gguf.sha256 or not (run_dir / "model" / "config.json").is_file():
        raise MetahumanError(f"{run_dir} does not hold what was made there", "start the run again with --discard")
    entry = _entry(plan, made, run_dir, root, now)

    def change(registry: Registry) -> Registry:
        if _known(registry, entry.run_label):
            return registry
        numbered = entry.model_copy(update={"version": registry.next_number()})
        return _entered(registry, numbered, from_rolled_back=plan.from_rolled_back)

    model_type = "local" if (root / plan.anchor).is_dir() else "huggingface"
    start = fresh_registry(plan.base_model, model_type)
    after = update_registry(root / plan.registry, change, start)
    return next(v for v in after.training_history if v.run_label == entry.run_label)


def _known(registry: Registry, run_label: str) -> Version | None:
    return next((v for v in registry.training_history if v.run_label == run_label), None)


def register_failure(plan: Plan, run_label: str, step: str, reason: str, root: Path, now: datetime) -> None:
    """List a run that did not finish, with the reason; once for each label, the last word counts.

    An error names files by where they lie today; the registry, which can be moved, by where they lie under the root.
    """
    reason = reason.replace(f"{root.absolute()}/", "")
    failure = FailedRun(
        run_label=run_label, timestamp=_stamp(now), base_model_used=plan.base_model, step=step, reason=reason
    )

    def change(registry: Registry) -> Registry:
        if any(version.run_label == run_label for version in registry.training_history):
            return registry  # what failed came after its entry, and the same command ends it
        others = tuple(run for run in registry.failed_runs if run.run_label != run_label)
        return registry.changed(failed_runs=(*others, failure))

    model_type = "local" if (root / plan.anchor).is_dir() else "huggingface"
    update_registry(root / plan.registry, change, fresh_registry(plan.base_model, model_type))


def _entered(registry: Registry, version: Version, *, from_rolled_back: bool) -> Registry:
    failed = tuple(run for run in registry.failed_runs if run.run_label != version.run_label)
    formats = {
        **registry.output_formats,
        "quantized": OutputFormat(
            format="gguf",
            quantization=version.quantization,
            purpose="inference with Ollama",
            location="model.gguf",
            keep=True,
        ),
    }
    registry = registry.changed(failed_runs=failed, output_formats=formats)
    if version.outcome != "live":
        return registry.with_version(version)
    parent = registry.find(version.parent_version) if version.parent_version else None
    if parent is not None and parent.outcome == "rolled_back" and not from_rolled_back:
        # Who trains elsewhere holds no lock here. A branch that somebody asked for by --base-model is another matter.
        reason = f"version {parent.version}, which it was trained on, was rolled back meanwhile"
        left: dict[str, Any] = {"outcome": "rolled_back", "held": True, "publication": "off", "reasons": (reason,)}
        return registry.with_version(version.model_copy(update=left))
    return made_live(registry.with_version(version), version.version)


def _entry(plan: Plan, made: Made, run_dir: Path, root: Path, now: datetime) -> Version:
    passed = made.learned.verdict.passed
    outcome: Outcome = "live" if passed else "rejected"
    at = relative_to_root(run_dir, root)
    return Version(
        version=1,
        run_id=run_dir.name[-6:],
        run_label=run_dir.name,
        timestamp=_stamp(now),
        base_model_used=plan.base_model,
        output_model_path=f"{at}/model",
        gguf_path=f"{at}/model.gguf",
        samples_trained=made.learned.dataset.samples,
        mode_filter=plan.mode,
        training_success=passed,
        adapter_path=f"{at}/adapter",
        anchor_model=plan.anchor,
        anchor_revision=plan.anchor_revision,
        parent_version=plan.parent_version,
        consolidated=bool(plan.consolidation),
        outcome=outcome,
        reasons=made.reasons,
        storage="full",
        publication="due" if passed and plan.publish else "off",
        ollama_name=plan.ollama_name,
        dataset_sha256=made.learned.dataset.sha256,
        adapter_sha256=made.learned.adapter.sha256,
        model_sha256=made.merged.sha256,
        gguf_sha256=made.gguf.sha256,
        adapter_bytes=made.learned.adapter.size_bytes,
        model_bytes=made.merged.size_bytes,
        gguf_bytes=made.gguf.size_bytes,
        quantization=made.gguf.quantization,
        memories_trained=made.learned.dataset.memories_new,
        memories_replayed=made.learned.dataset.memories_replayed,
        metrics=_metrics(made),
        recall={batch: round(share, 4) for batch, share in made.learned.evaluation.recall.items()},
        first_reasons=made.learned.first_reasons,
    )


def _metrics(made: Made) -> dict[str, float]:
    evaluation = made.learned.evaluation
    sets = {
        "new": evaluation.new,
        "old": evaluation.old,
        "general": evaluation.general,
        "unknown": evaluation.unknown,
    }
    transfer = evaluation.transfer
    learning = {
        "backward_transfer": transfer.backward,
        "forgetting": transfer.forgetting,
        "forward_transfer": transfer.forward,
        "general_delta": evaluation.general.bits.difference if evaluation.general.prompts else None,
        "general_since_anchor": evaluation.since_anchor.difference if evaluation.general.prompts else None,
        "kl_to_anchor": evaluation.kl_to_anchor,
    }
    numbers = {
        "final_loss": round(made.learned.adapter.final_loss, 4),
        **{key: value for name, measure in sets.items() if measure.prompts for key, value in _told(name, measure)},
        **{name: round(value, 4) for name, value in learning.items() if value is not None},
        "gguf_mean_kl": round(made.checked.mean_kl, 5),
        "gguf_top1": round(made.checked.top1_agreement, 4),
    }
    # A broken model's measures are none, and JSON has no word for them.
    return {name: value for name, value in numbers.items() if math.isfinite(value)}


def _told(name: str, measure: Measure) -> list[tuple[str, float]]:
    changes: dict[str, Change] = {"bits_per_byte": measure.bits, "recall": measure.recall, "exact": measure.exact}
    return [
        (f"{name}_{what}_{when}", round(value, 4))
        for what, change in changes.items()
        for when, value in (("before", change.before), ("after", change.after))
    ]


def _stamp(now: datetime) -> str:
    return now.isoformat(timespec="milliseconds").replace("+00:00", "Z")
