"""A file is read when nobody writes it any more, whatever its clock says."""

from __future__ import annotations

from pathlib import Path

import pytest

from metahuman_core.memories.walk import FoundFile
from metahuman_daemon.service.steady import Steady

QUIET_S = 5.0
HOUR_S = 3600.0


class Clock:
    """The time of day, and a clock that only rises, both in seconds; moved by hand."""

    def __init__(self) -> None:
        self.day_s = 1_700_000_000.0
        self.age_s = 50.0

    def pass_by(self, seconds: float) -> None:
        self.day_s += seconds
        self.age_s += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def steady(clock: Clock) -> Steady:
    return Steady(QUIET_S, lambda: int(clock.day_s * 1e9), lambda: clock.age_s)


def file(
    clock: Clock, written_s: float, changed_s: float | None = None, name: str = "a.json", size: int = 9
) -> FoundFile:
    """A file whose content was written, and whose place was changed, so many seconds ago."""
    stamps = [int((clock.day_s - ago) * 1e9) for ago in (written_s, written_s if changed_s is None else changed_s)]
    return FoundFile(
        path=Path("/m") / name, source=name, mtime_ns=stamps[0], size_bytes=size, inode=7, changed_ns=stamps[1]
    )


def test_what_has_been_quiet_is_taken_at_first_sight(clock: Clock, steady: Steady) -> None:
    assert steady(file(clock, QUIET_S))
    assert steady(file(clock, 1000 * HOUR_S))
    assert steady.take_again() == {}


def test_what_was_just_written_is_looked_at_again_when_it_may_be_quiet(clock: Clock, steady: Steady) -> None:
    found = file(clock, 2.0)
    assert not steady(found)
    assert steady.take_again() == {Path("/m"): pytest.approx(3.0, abs=1e-3)}
    assert steady.take_again() == {}
    clock.pass_by(3.0)
    assert steady(found)


def test_the_folder_waits_for_the_youngest_of_its_files(clock: Clock, steady: Steady) -> None:
    assert not steady(file(clock, 4.0))
    assert not steady(file(clock, 1.0, name="b.json"))
    assert not steady(file(clock, 3.0, name="c.json"))
    assert steady.take_again() == {Path("/m"): pytest.approx(4.0, abs=1e-3)}


def test_an_old_file_that_was_just_moved_here_may_still_be_arriving(clock: Clock, steady: Steady) -> None:
    """Rsync sets a file's mtime; its ctime is when that was done."""
    assert not steady(file(clock, 1000 * HOUR_S, changed_s=1.0))


@pytest.mark.parametrize("ahead_s", [1.0, HOUR_S, 100_000 * HOUR_S])
def test_a_stamp_from_the_future_is_believed_when_it_stands_still(clock: Clock, steady: Steady, ahead_s: float) -> None:
    found = file(clock, -ahead_s, changed_s=10.0)
    assert not steady(found)
    assert steady.take_again() == {Path("/m"): QUIET_S}
    clock.age_s += QUIET_S - 0.5
    assert not steady(found)
    clock.age_s += 0.5
    assert steady(found)


def test_a_file_of_the_future_that_goes_on_changing_is_waited_for(clock: Clock, steady: Steady) -> None:
    for size in range(10):
        assert not steady(file(clock, -HOUR_S, size=size))
        clock.age_s += QUIET_S - 1
    clock.age_s += 1
    assert steady(file(clock, -HOUR_S, size=9))


def test_a_clock_that_is_put_back_keeps_no_file_waiting(clock: Clock, steady: Steady) -> None:
    found = file(clock, 1.0)
    assert not steady(found)
    clock.day_s -= 1000 * HOUR_S
    assert not steady(found)
    clock.pass_by(QUIET_S)
    assert steady(found)


def test_what_was_taken_and_changes_again_is_waited_for_again(clock: Clock, steady: Steady) -> None:
    found = file(clock, -HOUR_S)
    steady(found)
    clock.age_s += QUIET_S
    assert steady(found)
    assert not steady(file(clock, -HOUR_S, size=10))
