"""What the agenda keeps comes back as it was, and a file that was spoilt stops nothing."""

from __future__ import annotations

import json
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from metahuman_core.layout import ProfilePaths
from metahuman_daemon.service.kept_file import read_kept, write_kept
from metahuman_daemon.service.known import Kept

NOON = datetime(2025, 3, 1, 12, tzinfo=UTC)
KEPT = Kept(
    NOON,
    attempts=3,
    attempts_passing=True,
    failed=1,
    cool_until=NOON + timedelta(hours=1),
    cool_reason="the last one was rejected: ü",
    last_cycle_at=NOON,
)


@pytest.fixture
def paths(tmp_path: Path) -> ProfilePaths:
    return ProfilePaths(tmp_path, "anna")


def file_of(paths: ProfilePaths) -> Path:
    return paths.home / "state" / "agenda.json"


def test_what_was_kept_comes_back(paths: ProfilePaths) -> None:
    assert write_kept(paths, KEPT)
    assert read_kept(paths) == KEPT
    assert stat.S_IMODE(file_of(paths).stat().st_mode) == 0o600


def test_a_local_time_comes_back_as_the_same_moment(paths: ProfilePaths) -> None:
    second = datetime(2025, 10, 26, 2, 30, tzinfo=ZoneInfo("Europe/Berlin"), fold=1)
    write_kept(paths, Kept(second))
    kept = read_kept(paths)
    assert kept is not None
    assert kept.schedule_until.astimezone(UTC) == second.astimezone(UTC)


def test_where_nothing_was_kept_there_is_nothing(paths: ProfilePaths) -> None:
    assert read_kept(paths) is None


def test_a_file_of_an_older_version_is_understood(paths: ProfilePaths) -> None:
    file_of(paths).parent.mkdir(parents=True)
    file_of(paths).write_text('{"schedule_until": "2025-03-01T12:00:00Z"}', encoding="utf-8")
    assert read_kept(paths) == Kept(NOON)


@pytest.mark.parametrize(
    "text",
    [
        "", "{", "[]", '{"attempts": 3}', "\udcff", '{"schedule_until": "2025-03-01T12:00:00"}',
        '{"schedule_until": "2025-03-01T12:00:00Z", "cool_until": "2025-03-01"}',
        '{"schedule_until": "2025-03-01T12:00:00Z", "attempts": -4}',
    ],
)  # fmt: skip
def test_a_file_that_makes_no_sense_is_as_good_as_none(paths: ProfilePaths, text: str) -> None:
    file_of(paths).parent.mkdir(parents=True)
    file_of(paths).write_bytes(text.encode(errors="surrogateescape"))
    assert read_kept(paths) is None
    write_kept(paths, KEPT)
    assert read_kept(paths) == KEPT


def test_what_cannot_be_read_or_written_stops_nothing(paths: ProfilePaths) -> None:
    file_of(paths).mkdir(parents=True)
    assert read_kept(paths) is None
    file_of(paths).rmdir()
    file_of(paths).parent.rmdir()
    file_of(paths).parent.write_text("no folder", encoding="utf-8")
    assert not write_kept(paths, KEPT)


def test_what_lies_there_can_be_read_by_people(paths: ProfilePaths) -> None:
    write_kept(paths, KEPT)
    assert json.loads(file_of(paths).read_text(encoding="utf-8"))["attempts"] == 3
