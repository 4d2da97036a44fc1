"""What the main loop knows of a profile is never older than the last job's end, and a full disk is no fault of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from metahuman_core.settings import Settings
from metahuman_daemon.service.desk import Desk
from metahuman_daemon.service.kept_file import read_kept
from metahuman_daemon.service.known import Kept
from metahuman_daemon.service.looker import Blind, Look
from metahuman_daemon.service.seeing import Eyes, Seen

NOON = datetime(2025, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    settings = Settings(root=tmp_path)
    made = Desk(settings, "anna", lambda _: None)
    made.paths.memory.mkdir(parents=True)
    return made


@pytest.fixture
def seen(desk: Desk, tmp_path: Path) -> Iterator[Seen]:
    with closing(Eyes(Settings(root=tmp_path), "anna")) as eyes:
        yield eyes.see()


def knows(desk: Desk) -> bool:
    return desk.facts(load=0.0, ollama_in_use=False) is not None


def test_before_the_first_look_nothing_is_known(desk: Desk, seen: Seen) -> None:
    assert not knows(desk)
    desk.take(Look(seen, 0))
    assert knows(desk)


def test_after_a_jobs_end_only_a_look_that_began_behind_it_counts(desk: Desk, seen: Seen) -> None:
    """A look that was under way has read the registry from before: with it a second cycle would begin at once."""
    desk.take(Look(seen, 0))
    desk.look_anew()
    assert not knows(desk)
    desk.take(Look(seen, 0))
    assert not knows(desk)
    desk.take(Blind("anna", "the disk hums"))
    assert not knows(desk)
    desk.take(Look(seen, 1))
    assert knows(desk)


def test_a_persons_question_outdates_nothing(desk: Desk, seen: Seen) -> None:
    desk.take(Look(seen, 0))
    desk.looker.ask()
    assert knows(desk)


def test_a_consolidation_that_only_the_next_run_will_be_makes_none_due(desk: Desk, seen: Seen) -> None:
    for is_due in (False, True):
        desk.take(Look(replace(seen, consolidation="version 3 knows", consolidation_is_due=is_due), 0))
        facts = desk.facts(load=0.0, ollama_in_use=False)
        assert facts is not None
        assert facts.consolidation == ("version 3 knows" if is_due else "")


def test_what_outlasts_a_restart_is_kept_when_it_changes(desk: Desk) -> None:
    kept = Kept(NOON)
    desk.keep(kept, 0.0)
    assert read_kept(desk.paths) == kept
    kept.attempts = 2
    desk.keep(kept, 1.0)
    assert read_kept(desk.paths) == kept


def test_a_disk_that_does_not_take_it_is_asked_again_a_minute_later(desk: Desk) -> None:
    state = desk.paths.home / "state"
    state.write_text("no folder", encoding="utf-8")
    desk.keep(Kept(NOON), 0.0)
    state.unlink()
    desk.keep(Kept(NOON), 30.0)
    assert read_kept(desk.paths) is None
    desk.keep(Kept(NOON), 61.0)
    assert read_kept(desk.paths) == Kept(NOON)
