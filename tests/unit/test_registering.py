"""A finished run is entered once, only if it is whole, and live only if the gate let it pass."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from metahuman_core.dataset.build import Dataset
from metahuman_core.durable import sha256_file
from metahuman_core.errors import MetahumanError
from metahuman_core.gate.attempts import Learned
from metahuman_core.gate.judging import Verdict
from metahuman_core.gate.measures import Change, Evaluation, Measure, Transfer
from metahuman_core.plan import Plan
from metahuman_core.registering import Made, register, register_failure
from metahuman_core.registry import Registry, Version, Versioning, load_registry, update_registry
from metahuman_core.results import Adapter, Checked, Gguf, Merged
from metahuman_core.versions.moving import rolled_back_to

Clock = Callable[[], datetime]
PASSED, FAILED = Verdict(passed=True, reasons=()), Verdict(passed=False, reasons=("new memories are not answered",))


def learned(verdict: Verdict) -> Learned:
    """What a run learned, with measures."""
    evaluation = Evaluation(
        new=Measure(20, bits=Change(3.0, 1.0), recall=Change(0.1, 0.75), exact=Change(0.0, 0.5)),
        old=Measure(0),
        general=Measure(10, bits=Change(2.0, 2.1)),
        kl_to_anchor=0.12345,
        transfer=Transfer(backward=-0.02, forgetting=0.04),
        recall={"2025-02-01-120000-000001": 0.98, "2025-03-01-120000-000001": 2 / 3},
    )
    return Learned(
        Dataset("d", 120, 20, 30, 10), Adapter("a", 1000, 60, 120, 0.51239), evaluation, verdict, ("it was too hot",)
    )


class Desk:
    """A root in which runs are made and entered."""

    def __init__(self, root: Path, now: Clock, plan: Callable[..., Plan]) -> None:
        self.root, self.now, self.plan = root, now, plan
        self.path = root / "etc" / "model-registry.json"

    def run_dir(self, number: int) -> Path:
        """The folder of a run that made all that a version needs."""
        label = f"2025-03-{number:02}-120000-00000{number:x}"
        folder = self.root / "profiles" / "anna" / "out" / "fine-tuned-models" / label[:10] / label
        (folder / "model").mkdir(parents=True, exist_ok=True)
        (folder / "model" / "config.json").write_text("{}", encoding="utf-8")
        (folder / "model.gguf").write_bytes(b"GGUF" + bytes([number]))
        return folder

    def enter(
        self, number: int, verdict: Verdict = PASSED, gguf_reasons: tuple[str, ...] = (), **fields: Any
    ) -> Version:
        """Enter that run."""
        run_dir = self.run_dir(number)
        made = Made(
            learned=learned(verdict),
            merged=Merged("m", 5000),
            gguf=Gguf(sha256_file(run_dir / "model.gguf"), 5, "Q8_0"),
            checked=Checked(0.004, 0.97, 300, gguf_reasons),
        )
        return register(self.plan(**fields), made, run_dir, self.root, self.now())

    def registry(self) -> Registry:
        """What is in the file."""
        registry = load_registry(self.path)
        assert registry is not None
        return registry


@pytest.fixture
def desk(tmp_path: Path, now: Clock, plan: Callable[..., Plan]) -> Desk:
    return Desk(tmp_path, now, plan)


def test_a_first_version_goes_live_and_becomes_the_base(desk: Desk) -> None:
    version = desk.enter(1)
    assert (version.version, version.outcome, version.training_success) == (1, "live", True)
    assert (version.storage, version.publication) == ("full", "due")
    assert (desk.root / version.output_model_path / "config.json").is_file()
    registry = desk.registry()
    assert registry.current_base_model == version.output_model_path
    assert (registry.original_base_model, registry.model_type) == ("Some/Base-1B", "local")
    assert version.timestamp == "2025-03-01T12:00:00.000Z"
    assert version.metrics["new_bits_per_byte_after"] == 1.0
    assert "old_bits_per_byte_after" not in version.metrics
    assert (version.metrics["new_recall_before"], version.metrics["new_recall_after"]) == (0.1, 0.75)
    assert (version.metrics["backward_transfer"], version.metrics["forgetting"]) == (-0.02, 0.04)
    assert "forward_transfer" not in version.metrics
    assert (version.metrics["general_delta"], version.metrics["kl_to_anchor"]) == (0.1, 0.1235)
    assert list(version.recall.values()) == [0.98, 0.6667]
    assert version.first_reasons == ("it was too hot",)


def test_a_run_is_entered_once_however_often_it_is_tried(desk: Desk) -> None:
    first = desk.enter(1)
    before = desk.path.read_bytes()
    assert desk.enter(1) == first
    assert desk.path.read_bytes() == before


def test_a_second_version_supersedes_the_first(desk: Desk) -> None:
    first = desk.enter(1)
    desk.enter(2, parent_version=1, base_model=first.output_model_path)
    assert [(v.version, v.outcome) for v in desk.registry().training_history] == [(1, "superseded"), (2, "live")]


def test_a_rejected_version_is_entered_and_changes_nothing_else(desk: Desk) -> None:
    first = desk.enter(1)
    second = desk.enter(2, FAILED)
    assert (second.outcome, second.training_success, second.publication) == ("rejected", False, "off")
    assert second.reasons == FAILED.reasons
    registry = desk.registry()
    live = registry.live()
    assert live is not None
    assert live.version == 1
    assert registry.current_base_model == first.output_model_path
    assert desk.enter(3).version == 3


def test_without_auto_update_the_base_stays(desk: Desk) -> None:
    update_registry(desk.path, lambda registry: registry.changed(versioning=Versioning(auto_update_base=False)))
    assert desk.enter(1).outcome == "live"
    assert desk.registry().current_base_model == "Qwen/Qwen3-14B"


def test_without_ollama_nothing_is_due_for_it(desk: Desk) -> None:
    assert desk.enter(1, publish=False).publication == "off"


@pytest.mark.parametrize("broken", ["model.gguf", "model/config.json"])
def test_what_is_not_there_as_it_was_made_is_not_entered(desk: Desk, broken: str) -> None:
    version_dir = desk.run_dir(1)
    made_of = sha256_file(version_dir / "model.gguf")
    if broken == "model.gguf":
        (version_dir / broken).write_bytes(b"GGUF broken")
    else:
        (version_dir / broken).unlink()
    made = Made(
        learned(PASSED),
        Merged("m", 1),
        Gguf(made_of, 1, "Q8_0"),
        Checked(0.0, 1.0, 1, ()),
    )
    with pytest.raises(MetahumanError, match="does not hold what was made there"):
        register(desk.plan(), made, version_dir, desk.root, desk.now())
    assert not desk.path.exists()


def test_a_run_that_failed_is_listed_once_without_a_number(desk: Desk) -> None:
    label = desk.run_dir(1).name
    for reason in ("no space", "killed"):
        register_failure(desk.plan(), label, "merge", reason, desk.root, desk.now())
    registry = desk.registry()
    assert registry.training_history == ()
    assert [(run.run_label, run.step, run.reason) for run in registry.failed_runs] == [(label, "merge", "killed")]
    assert registry.current_base_model == "Some/Base-1B"


def test_a_failed_run_that_was_finished_later_failed_no_more(desk: Desk) -> None:
    register_failure(desk.plan(), desk.run_dir(1).name, "merge", "no space", desk.root, desk.now())
    assert desk.enter(1).version == 1
    assert desk.registry().failed_runs == ()


def test_the_originals_history_goes_on(desk: Desk, original_path: Path, original_registry: dict[str, Any]) -> None:
    version = desk.enter(1, base_model="Qwen/Qwen3-14B", registry=str(original_path.relative_to(desk.root)))
    assert version.version == 2
    registry = desk.registry()
    assert registry.original_base_model == "Qwen/Qwen3-14B"
    assert (
        registry.training_history[0].model_dump(mode="json", exclude_unset=True)
        == (original_registry["training_history"][0])
    )
    assert registry.model_extra == {"cluster": {"gpus": ["a", "b"]}}


def test_a_version_whose_parent_was_rolled_back_meanwhile_is_not_made_live(desk: Desk) -> None:
    first = desk.enter(1)
    second = desk.enter(2, parent_version=1)
    update_registry(desk.path, lambda registry: rolled_back_to(registry, 1))
    third = desk.enter(3, parent_version=2)
    assert (third.outcome, third.held, third.publication, third.training_success) == ("rolled_back", True, "off", True)
    assert "version 2" in third.reasons[0]
    registry = desk.registry()
    assert registry.current_base_model == first.output_model_path
    assert [v.outcome for v in registry.training_history] == ["live", "rolled_back", "rolled_back"]
    # Whoever names it by --base-model makes a branch, which goes live and takes its parent along.
    fourth = desk.enter(4, parent_version=2, base_model=second.output_model_path, from_rolled_back=True)
    assert fourth.outcome == "live"
    assert [(v.outcome, v.held) for v in desk.registry().training_history] == [
        ("superseded", False), ("superseded", False), ("rolled_back", True), ("live", False),
    ]  # fmt: skip


def test_what_is_entered_is_not_looked_at_again(desk: Desk) -> None:
    """Killed behind its entry: the next start goes on, whatever retention has cleared away meanwhile."""
    version = desk.enter(1, FAILED)
    run_dir = desk.run_dir(1)
    made = Made(
        learned=learned(FAILED),
        merged=Merged("m", 5000),
        gguf=Gguf(sha256_file(run_dir / "model.gguf"), 5, "Q8_0"),
        checked=Checked(0.004, 0.97, 300, ()),
    )
    (run_dir / "model.gguf").unlink()
    assert register(desk.plan(), made, run_dir, desk.root, desk.now()) == version


def test_what_is_no_number_is_not_written_so_that_the_registry_can_be_read(desk: Desk) -> None:
    made = learned(FAILED)
    broken = replace(made.evaluation, kl_to_anchor=math.nan, general=Measure(10, bits=Change(2.0, math.inf)))
    run_dir = desk.run_dir(1)
    version = register(
        desk.plan(),
        Made(
            replace(made, evaluation=broken),
            Merged("m", 5000),
            Gguf(sha256_file(run_dir / "model.gguf"), 5, "Q8_0"),
            Checked(math.inf, 0.0, 300, ("broken",)),
        ),
        run_dir,
        desk.root,
        desk.now(),
    )
    assert desk.registry().training_history == (version,)
    assert {"kl_to_anchor", "general_bits_per_byte_after", "gguf_mean_kl"}.isdisjoint(version.metrics)
    assert version.metrics["general_bits_per_byte_before"] == 2.0


def test_what_is_wrong_with_the_gguf_of_a_rejected_version_is_told_too(desk: Desk) -> None:
    entered = desk.enter(1, FAILED, ("mean KL of the GGUF to model/ is 2",))
    assert entered.reasons == ("new memories are not answered", "mean KL of the GGUF to model/ is 2")
