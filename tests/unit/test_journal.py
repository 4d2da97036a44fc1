"""An entry means done: each step is done once, and a run goes on behind its last entry."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pytest

from metahuman_core.errors import MetahumanError
from metahuman_core.journal import Journal, digest_of
from metahuman_core.settings import DatasetSettings

Clock = Callable[[], datetime]


@dataclass(frozen=True, slots=True)
class Asked:
    """What a run of these tests is asked."""

    profile: str


@dataclass(frozen=True, slots=True)
class Made:
    """What a step of these tests gives."""

    sha256: str
    samples: int


class Step:
    """Counts how often it was done."""

    def __init__(self) -> None:
        self.done = 0

    def __call__(self) -> Made:
        self.done += 1
        return Made("abc", self.done)


def begun(folder: Path, now: Clock) -> Journal:
    folder.mkdir(exist_ok=True)
    return Journal.begin(folder, Asked("anna"), now)


def test_a_step_is_done_once(tmp_path: Path, now: Clock) -> None:
    journal, step = begun(tmp_path, now), Step()
    first = journal.step("train", Made, ["in"], step)
    assert journal.step("train", Made, ["in"], step) == first == Made("abc", 1)
    assert step.done == 1


def test_a_step_that_was_done_is_not_done_by_the_next_process(tmp_path: Path, now: Clock) -> None:
    step = Step()
    begun(tmp_path, now).step("train", Made, ["in"], step)
    again = Journal.open(tmp_path, now)
    assert again.step("train", Made, ["in"], step) == Made("abc", 1)
    assert step.done == 1
    assert again.file.inputs == {"profile": "anna"}
    assert again.file.steps["train"].done_at == now()


def test_other_inputs_make_it_again(tmp_path: Path, now: Clock) -> None:
    journal, step = begun(tmp_path, now), Step()
    journal.step("train", Made, ["in"], step)
    assert journal.step("train", Made, ["other"], step) == Made("abc", 2)
    assert Journal.open(tmp_path, now).step("train", Made, ["other"], step) == Made("abc", 2)
    assert step.done == 2


def test_a_step_that_fails_is_not_entered(tmp_path: Path, now: Clock) -> None:
    def fail() -> Made:
        raise OSError("full")

    journal = begun(tmp_path, now)
    with pytest.raises(OSError, match="full"):
        journal.step("train", Made, ["in"], fail)
    assert Journal.open(tmp_path, now).file.steps == {}


def test_the_end_is_written_down(tmp_path: Path, now: Clock) -> None:
    journal = begun(tmp_path, now)
    assert not Journal.open(tmp_path, now).file.ended
    journal.end("registered")
    assert Journal.open(tmp_path, now).file.ended == "registered"


@pytest.mark.parametrize("text", ["", "{", "[]", '{"run_label": 3, "inputs": {}}', "\x00\ufffd"])
def test_a_broken_journal_is_a_clear_error(tmp_path: Path, now: Clock, text: str) -> None:
    (tmp_path / "run.json").write_text(text, encoding="utf-8")
    with pytest.raises(MetahumanError, match=r"run\.json cannot be read") as refused:
        Journal.open(tmp_path, now)
    assert "--discard" in refused.value.hint


def test_a_digest_is_of_the_fields_and_not_of_their_order() -> None:
    assert digest_of({"a": 1, "b": Made("x", 2)}) == digest_of({"b": {"samples": 2, "sha256": "x"}, "a": 1})
    assert digest_of(DatasetSettings()) == digest_of(DatasetSettings(seed=20))
    assert digest_of(DatasetSettings()) != digest_of(DatasetSettings(seed=21))


def test_a_journal_can_be_read_by_people(tmp_path: Path, now: Clock) -> None:
    begun(tmp_path, now).step("train", Made, ["in"], Step())
    text = (tmp_path / "run.json").read_text(encoding="utf-8")
    assert text.count("\n") > 5
    assert json.loads(text)["steps"]["train"]["result"] == {"sha256": "abc", "samples": 1}
