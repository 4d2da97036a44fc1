"""A job that the daemon ends itself was stopped, whenever it was asked."""

from __future__ import annotations

import select
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from metahuman_core.settings import Settings
from metahuman_daemon.service.agenda import Job, Outcome
from metahuman_daemon.service.jobs import Running

NOON = datetime(2025, 3, 1, 12, tzinfo=UTC)


def ended(running: Running) -> Outcome:
    while not running.has_ended():
        select.select([running], [], [], 10)
        list(running.said(time.monotonic()))
    return running.outcome()


@pytest.fixture
def running(tmp_path: Path) -> Running:
    return Running(Job("tidy", "anna", "a test"), Settings(root=tmp_path), NOON)


def test_a_job_says_what_came_of_it(running: Running) -> None:
    assert ended(running) == Outcome("done", result={"removed": [], "freed_bytes": 0})


def test_tidying_names_what_is_wrong_with_a_registry_that_it_will_not_act_upon(
    running: Running, tmp_path: Path
) -> None:
    registry = tmp_path / "etc" / "model-registry.json"
    registry.parent.mkdir()
    registry.write_text('{"training_history": [{"version": 1, "run_label": "../.."}]}', encoding="utf-8")
    outcome = ended(running)
    assert outcome.end == "failed"
    assert outcome.message.startswith("the registry contradicts itself: version 1: run_label '../..' is none")


def test_a_job_that_is_asked_before_it_can_listen_was_stopped(running: Running) -> None:
    """Python needs a moment before it hears a signal; until then SIGTERM ends it, and no cool-down must follow."""
    running.ask_to_stop("Ollama is used")
    assert ended(running) == Outcome("stopped", "Ollama is used")


def test_a_job_that_takes_too_long_to_stop_was_stopped_too(running: Running) -> None:
    running.stop_reason = "the daemon ends"
    running.kill()
    assert ended(running) == Outcome("stopped", "the daemon ends")


def test_a_job_that_somebody_else_killed_was_killed(running: Running) -> None:
    running.kill()
    assert ended(running).end == "killed"


def test_a_job_that_does_not_stop_hangs_after_half_an_hour(running: Running) -> None:
    now_s = time.monotonic()
    assert not running.hangs(now_s)
    running.ask_to_stop("its hours are over")
    assert not running.hangs(now_s + 1700)
    assert running.hangs(now_s + 1900)
    ended(running)


def test_an_errand_that_says_nothing_for_an_hour_hangs(running: Running) -> None:
    now_s = time.monotonic()
    assert not running.hangs(now_s + 3500)
    assert running.hangs(now_s + 3700)
    ended(running)
