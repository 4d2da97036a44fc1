"""Puts a case through the gate: the product's own steps in a cycle's order, with something spoilt in one place.

Invariant: a step that was done is not done again; what was begun goes on from its checkpoint. (Of a step that was
broken off, only the last part's seconds count.)
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from pydantic import TypeAdapter

from example_samples import BASE
from gate_cases import Case, Recipe
from gate_ground import Ground
from gate_lessons import LESSONS
from gate_outcome import Outcome
from gate_spoiling import cut_off, spoil_adapter, spoil_weights, with_control_tokens
from metahuman_core.dataset.build import build_dataset
from metahuman_core.dataset.samples import DATASET, line_of, read_samples
from metahuman_core.dataset.told import told_before
from metahuman_core.durable import remove, sha256_file, write_text
from metahuman_core.errors import MetahumanError
from metahuman_core.gate.exam import EVALUATION, exam
from metahuman_core.gate.measures import Evaluation
from metahuman_core.journal import Journal, as_plain
from metahuman_core.layout import fits_path
from metahuman_core.progress import Report
from metahuman_core.results import Checked
from metahuman_core.settings import GateSettings
from metahuman_core.steps.check import check_gguf
from metahuman_core.steps.encode import ChatEncoder
from metahuman_core.steps.evaluate import evaluate
from metahuman_core.steps.loading import Base
from metahuman_core.steps.model_folder import load_tokenizer
from metahuman_core.steps.samples import write_samples
from metahuman_core.steps.train import Anchor, train
from metahuman_core.steps.weights.make import make_weights
from metahuman_core.versions.parts import Parts

_SECONDS, _CHECKED = "seconds.json", "checked.json"
_REVISION = "of-the-demo"
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _AskedAs:
    """What of a run's plan the exam of the next one reads."""

    system: str


class Trials:
    """The ground, and the base that all cases are trained on and measured with."""

    def __init__(self, ground: Ground, report: Report) -> None:
        self.ground, self._report = ground, report
        self._base = Base(BASE, ground.settings.training.device, "none")

    def has_ground(self, name: str) -> bool:
        """Whether one of the ground's versions is there already."""
        return (self.ground.run_dir(name) / _CHECKED).is_file()

    def ground_version(self, name: str, recipe: Recipe) -> None:
        """Make one of the ground's versions, where it is not there already."""
        self._whole(Case(name, "honest", recipe, weights=True), self.ground.run_dir(name))

    def put_through(self, case: Case) -> Outcome:
        """What the gate makes of a case. Its ground must be there."""
        run_dir = self.ground.run_dir(case.of_ground or f"cases/{case.name}")
        if case.where in ("file", "adapter", "weights"):
            work = self.ground.run_dir(f"cases/{case.name}")
            remove(work)
            work.mkdir(parents=True)
            return self._of_second(case, work)
        try:
            self._whole(case, run_dir)
        except MetahumanError as error:
            self._base.let_go()  # a broken-off training leaves its hooks on it
            return Outcome(case.name, refused=error.message)
        return self._read(case.name, run_dir, with_checked=case.weights)

    def answers_file(self, case: Case) -> Path:
        """Where the answers of a case stand, once it was put through."""
        own = self.ground.run_dir(f"cases/{case.name}") / EVALUATION
        return own if case.name not in ("v1", "v2") else self.ground.run_dir(case.name) / EVALUATION

    def clear(self, case: Case) -> None:
        """Remove what only the next step needed."""
        remove(self.ground.run_dir(f"cases/{case.name}"))

    def _whole(self, case: Case, run_dir: Path) -> None:
        """A version by its recipe, dataset to check."""
        recipe, parts, ground = case.recipe, Parts(run_dir), self.ground
        run_dir.mkdir(parents=True, exist_ok=True)
        dataset = run_dir / DATASET
        line = [ground.run_dir(name) for name in ground.ancestry(recipe)]
        old, settings = [run / DATASET for run in line], ground.dataset(recipe)
        # So that a version after it knows as whom it was asked.
        Journal.begin(run_dir, _AskedAs(ground.system), lambda: datetime.now(UTC))
        if not dataset.is_file():
            new, replay = ground.new(recipe), ground.replay(recipe)
            told, epochs = told_before(line), ground.training(recipe).begun_epochs
            build_dataset(new, replay, old, settings, ground.system, dataset, told, epochs=epochs)
        if not parts.adapter.is_dir():
            _timed(run_dir, "train", lambda: self._trained(case, dataset, run_dir))
        evaluation = run_dir / EVALUATION
        if not evaluation.is_file():
            _timed(run_dir, "evaluate", lambda: self._evaluated(recipe, run_dir, parts.adapter, evaluation))
        if case.weights and not (run_dir / _CHECKED).is_file():
            self._base.let_go()
            _timed(
                run_dir,
                "weights",
                lambda: make_weights(BASE, parts.adapter, parts.model, parts.gguf, "Q8_0", self._report, _never),
            )
            checked = _timed(run_dir, "check", lambda: self._checked(parts.model, parts.gguf, evaluation))
            write_text(run_dir / _CHECKED, json.dumps(as_plain(checked)) + "\n")
        for leftover in ("checkpoints", "samples", "fit.json"):
            remove(run_dir / leftover)

    def _trained(self, case: Case, dataset: Path, run_dir: Path) -> None:
        ground, recipe = self.ground, case.recipe
        settings = ground.training(recipe)
        if case.where == "lessons":
            lessons = run_dir / "lessons.jsonl"
            trained = [sample for sample in read_samples(dataset) if sample.split == "train"]
            write_text(lessons, "".join(map(line_of, LESSONS[case.spoilt](trained))))
            dataset = lessons
        sha256 = sha256_file(dataset)
        if case.where == "ids":
            folder = run_dir / "samples" / f"{sha256[:16]}-{settings.max_tokens}"
            if not folder.is_dir():
                folder.parent.mkdir(exist_ok=True)
                trained = [sample for sample in read_samples(dataset) if sample.split == "train"]
                encoder = ChatEncoder(load_tokenizer(BASE))
                write_samples(folder, with_control_tokens(encoder, iter(trained), settings.max_tokens))
        train(
            dataset,
            self._anchor(recipe),
            self._base,
            settings,
            run_dir,
            fits_path(ground.folder),
            self._report,
            _never,
            dataset_sha256=sha256,
            rate_factor=recipe.rate_factor,
        )

    def _of_second(self, case: Case, work: Path) -> Outcome:
        """What becomes of the ground's second version once its dataset, adapter or weights are spoilt."""
        second = Parts(self.ground.run_dir("v2"))
        if case.where == "file":
            return self._refusal(case, second.run_dir / DATASET, work)
        if case.where == "adapter":
            spoil_adapter(case.spoilt, second.adapter, self.ground.run_dir("v1") / "adapter", work / "adapter")
            out = work / EVALUATION
            _timed(work, "evaluate", lambda: self._evaluated(case.recipe, second.run_dir, work / "adapter", out))
            return self._read(case.name, work, with_checked=False)
        model, gguf = spoil_weights(case.spoilt, second, work)
        measured = second.run_dir / EVALUATION
        checked = _timed(work, "check", lambda: self._checked(model, gguf, measured))
        return Outcome(case.name, checked=checked, seconds=_seconds(work))

    def _refusal(self, case: Case, whole: Path, work: Path) -> Outcome:
        dataset = work / DATASET
        cut_off(whole, dataset)
        settings, fits = self.ground.training(case.recipe), fits_path(self.ground.folder)
        anchor = self._anchor(case.recipe)
        try:
            train(
                dataset,
                anchor,
                self._base,
                settings,
                work,
                fits,
                self._report,
                _never,
                dataset_sha256=sha256_file(whole),
            )
        except MetahumanError as error:
            return Outcome(case.name, refused=error.message.replace(f"{work}/", ""))
        return Outcome(case.name)

    def _evaluated(self, recipe: Recipe, run_dir: Path, adapter: Path, out: Path) -> Evaluation:
        gate, ground = GateSettings(), self.ground
        ancestors = [ground.run_dir(name) for name in ground.ancestry(recipe)]
        anchor = self._anchor(recipe)
        return evaluate(
            adapter,
            anchor,
            anchor.warm_start,
            self._base,
            exam(run_dir, ancestors, ground.stale(recipe), ground.system, gate.prompts),
            gate,
            ground.training(recipe).max_tokens,
            out,
            self._report,
            _never,
        )

    def _checked(self, model: Path, gguf: Path, evaluation: Path) -> Checked:
        text_nats = _evaluation_in(evaluation).text_nats
        settings = self.ground.settings
        return check_gguf(model, gguf, text_nats, settings.weights, settings.training.device, self._report, _never)

    def _anchor(self, recipe: Recipe) -> Anchor:
        warm_start = self.ground.run_dir(recipe.parent) / "adapter" if recipe.parent else None
        return Anchor(BASE, str(BASE), _REVISION, warm_start)

    def _read(self, name: str, run_dir: Path, *, with_checked: bool) -> Outcome:
        outcome = Outcome(name, evaluation=_evaluation_in(run_dir / EVALUATION), seconds=_seconds(run_dir))
        if not with_checked:
            return outcome
        raw = json.loads((run_dir / _CHECKED).read_text(encoding="utf-8"))
        return replace(outcome, checked=TypeAdapter(Checked).validate_python(raw))


def _never() -> bool:
    return False


def _evaluation_in(file: Path) -> Evaluation:
    raw = json.loads(file.read_text(encoding="utf-8"))
    return TypeAdapter(Evaluation).validate_python({k: v for k, v in raw.items() if k not in ("verdict", "answers")})


def _timed(run_dir: Path, step: str, do: Callable[[], T]) -> T:
    began_s = time.perf_counter()
    done = do()
    seconds = {**_seconds(run_dir), step: time.perf_counter() - began_s}
    write_text(run_dir / _SECONDS, json.dumps(seconds) + "\n")
    return done


def _seconds(run_dir: Path) -> dict[str, float]:
    file = run_dir / _SECONDS
    seconds: dict[str, float] = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    return seconds
