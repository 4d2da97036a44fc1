"""What does not pass is tried once more, then rejected; its memories stay due, and a person may promote it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from pydantic import TypeAdapter

from metahuman_core.gate.measures import Evaluation
from metahuman_core.journal import read_run_file

if TYPE_CHECKING:
    from conftest import Finished, Root


@dataclass(frozen=True)
class Tried:
    """A root with one version that was rejected, and what the command said."""

    root: Root
    said: Finished


@pytest.fixture(scope="module")
def tried(new_root: Callable[[str], Root]) -> Tried:
    root = new_root("llama")
    root.set("gate", "min_recall = 1")
    root.set("training", "epochs = 1")
    return Tried(root, root.fine_tune("--base-model", "base"))


def test_it_is_rejected_with_the_reasons_of_both_attempts(tried: Tried) -> None:
    assert tried.said.code == 1
    assert "version 1 was rejected: new memories are not recalled" in tried.said.err
    assert "once more, with a gentler recipe" in tried.said.err
    (version,) = tried.root.registry().training_history
    assert (version.outcome, version.training_success, version.publication) == ("rejected", False, "off")
    assert "new memories are not recalled" in version.reasons[0]
    assert "new memories are not recalled" in version.first_reasons[0]
    assert tried.root.registry().live() is None


def test_the_second_attempt_was_gentler_and_both_were_measured(tried: Tried) -> None:
    (version,) = tried.root.registry().training_history
    run_dir = tried.root.run_dir(version)
    file = read_run_file(run_dir)
    assert file is not None
    assert file.ended == "rejected"
    assert file.steps["gentler"].result["rate_factor"] == 0.5
    first, second = (
        json.loads((run_dir / name).read_text(encoding="utf-8"))
        for name in ("evaluation-first.json", "evaluation.json")
    )
    assert not first["verdict"]["passed"]
    assert first["new"]["bits"]["before"] == second["new"]["bits"]["before"]
    assert first["new"]["bits"]["after"] != second["new"]["bits"]["after"]
    rates = [json.loads(line)["learning_rate"] for line in (run_dir / "train-log.jsonl").read_text().splitlines()]
    assert max(rates) == pytest.approx(0.5 * 1e-2, rel=0.2)


def test_every_answer_stands_in_the_evaluation(tried: Tried) -> None:
    (version,) = tried.root.registry().training_history
    raw = json.loads((tried.root.run_dir(version) / "evaluation.json").read_text(encoding="utf-8"))
    answers = raw.pop("answers")
    assert raw.pop("verdict")["passed"] is False
    measured = TypeAdapter(Evaluation).validate_python(raw)
    by_set = [answer["set"] for answer in answers]
    assert by_set.count("new") == measured.new.prompts > 0
    assert by_set.count("general") == measured.general.prompts > 0
    assert measured.text_nats is not None
    assert measured.kl_to_anchor > 0
    assert measured.recall == {version.run_label: measured.new.recall.after}
    new = [answer for answer in answers if answer["set"] == "new"]
    assert all(answer["batch"] == version.run_label and answer["memory"] and answer["ask"] for answer in new)


def test_its_memories_stay_due(tried: Tried) -> None:
    dry = tried.root.fine_tune("--base-model", "base", "--dry-run")
    assert "8 due" in dry.out + dry.err


def test_a_person_may_make_it_live_past_the_gate(tried: Tried, tmp_path: Path) -> None:
    root = replace(tried.root, folder=tmp_path / "root")
    shutil.copytree(tried.root.folder, root.folder)
    refused = root.metahuman("promote", "1")
    assert refused.code == 1
    assert "--force" in refused.err
    forced = root.metahuman("promote", "1", "--force")
    assert forced.code == 0, forced.err
    (version,) = root.registry().training_history
    assert version.outcome == "live"
    assert version.promoted_at
    assert version.reasons
