"""A run that was evaluated and checked, as its folder and the registry show it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from metahuman_core.dataset.build import Dataset, build_dataset
from metahuman_core.gate.attempts import Learned
from metahuman_core.gate.judging import Verdict
from metahuman_core.gate.measures import Asked, Change, Evaluation, Interval, Measure, Said, Transfer
from metahuman_core.journal import Journal, as_plain
from metahuman_core.memories.model import Memory
from metahuman_core.plan import Plan
from metahuman_core.registering import Made
from metahuman_core.registry import Registry, Version
from metahuman_core.report import REPORT
from metahuman_core.report.writing import write_report
from metahuman_core.results import Adapter, Checked, Gguf, Merged
from metahuman_core.settings import DatasetSettings

LABEL = "2026-03-01-030000-abcdef"
PASSED = Verdict(passed=True, reasons=())
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def label_of(number: int) -> str:
    """The run label of an ancestor."""
    return f"2025-{1 + number // 28:02}-{1 + number % 28:02}-030000-{number:06x}"


def line_of(versions: int) -> Registry:
    """A registry in which each version is on top of the one before, and recalls a little less of each older batch."""
    history = tuple(
        Version(
            version=number,
            run_label=label_of(number),
            parent_version=number - 1 or None,
            outcome="live" if number == versions else "superseded",
            recall={label_of(batch): 1 - 0.01 * (number - batch) for batch in range(1, number + 1)},
        )
        for number in range(1, versions + 1)
    )
    return Registry(training_history=history)


def answered(answer: str, *, recalled: bool) -> Said:
    return Said(answer=answer, bits_per_byte=1.0, exact=False, recalled=recalled, flaw="" if answer else "empty")


def asked(ask: str, wanted: str, before: bool, after: bool, of: str = "old") -> Asked:
    """A prompt to which the right answer was given before, after, both or never."""
    said = [answered(wanted if right else f"No idea of {ask}", recalled=right) for right in (before, after)]
    return Asked(of, label_of(1), "m" * 64, ask, wanted, said[0], said[1])  # type: ignore[arg-type]


@dataclass
class Evaluated:
    """What a run came to; `page` writes its report and gives its text."""

    run_dir: Path
    plan: Plan
    memories: Sequence[Memory]
    registry: Registry = field(default_factory=Registry)
    answers: Sequence[Asked] = ()
    evaluation: Evaluation = field(default_factory=lambda: Evaluation(Measure(0), Measure(0), Measure(0)))
    verdict: Verdict = PASSED
    first_reasons: tuple[str, ...] = ()
    losses: Sequence[float] = (3.0, 2.0, 1.0)

    @property
    def made(self) -> Made:
        learned = Learned(
            Dataset("d" * 64, 20, 3, len(self.memories), 4),
            Adapter("a" * 64, 3_000_000, 60, 120, 0.5),
            self.evaluation,
            self.verdict,
            self.first_reasons,
        )
        gguf = Gguf("f" * 64, 144_000_000, "Q8_0")
        return Made(learned, Merged("e" * 64, 2_690_000_000), gguf, Checked(0.0051, 0.962, 311, ()))

    def page(self) -> str:
        self.run_dir.mkdir(parents=True, exist_ok=True)
        settings = DatasetSettings(general_share=0.1, unknown_share=0)
        build_dataset(self.memories, (), (), settings, self.plan.system, self.run_dir / "dataset.jsonl")
        log = "".join(f'{{"step": {at + 1}, "loss": {loss}}}\n' for at, loss in enumerate(self.losses))
        (self.run_dir / "train-log.jsonl").write_text(log.replace("nan", "NaN"), encoding="utf-8")
        plain = {**as_plain(self.evaluation), "answers": [as_plain(one) for one in self.answers]}
        (self.run_dir / "evaluation.json").write_text(json.dumps(plain, ensure_ascii=False), encoding="utf-8")
        journal = Journal.begin(self.run_dir, self.plan, lambda: NOON)
        journal.step("dataset", Dataset, [], lambda: self.made.learned.dataset)
        write_report(self.run_dir, journal.file, self.made, self.registry)
        return (self.run_dir / REPORT).read_text(encoding="utf-8")


MEASURED = Evaluation(
    new=Measure(20, Change(3.0, 1.0, Interval(-2.4, -1.6)), Change(0.1, 0.75, Interval(0.4, 0.85))),
    old=Measure(40, Change(1.0, 1.1), Change(0.9, 0.85, Interval(-0.1, 0.02))),
    general=Measure(60, Change(2.0, 2.02)),
    kl_to_anchor=0.123,
    transfer=Transfer(backward=-0.02, forgetting=0.04, forward=None),
    recall={label_of(1): 0.85, LABEL: 0.75},
)
