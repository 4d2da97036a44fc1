"""A pause outlasts everything but `resume`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from metahuman_core.layout import ProfilePaths
from metahuman_daemon.service.pausing import pause, paused_since, resume

NOON = datetime(2025, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def paths(tmp_path: Path) -> ProfilePaths:
    return ProfilePaths(tmp_path, "anna")


def test_a_profile_is_paused_from_pause_to_resume(paths: ProfilePaths) -> None:
    assert paused_since(paths) == ""
    pause(paths, NOON)
    assert paused_since(paths) == "2025-03-01T12:00:00+00:00"
    assert resume(paths)
    assert paused_since(paths) == ""
    assert not resume(paths)


def test_paused_twice_it_is_paused_since_the_first_time(paths: ProfilePaths) -> None:
    pause(paths, NOON)
    pause(paths, NOON + timedelta(days=1))
    assert paused_since(paths).startswith("2025-03-01")


def test_one_profiles_pause_is_no_others(paths: ProfilePaths, tmp_path: Path) -> None:
    pause(paths, NOON)
    assert paused_since(ProfilePaths(tmp_path, "ben")) == ""


@pytest.mark.parametrize(("content", "since"), [(b"", "once"), (b" \n", "once"), (b"\xff", "\ufffd")])
def test_a_file_that_somebody_put_there_pauses_too(paths: ProfilePaths, content: bytes, since: str) -> None:
    file = paths.home / "state" / "paused"
    file.parent.mkdir(parents=True)
    file.write_bytes(content)
    assert paused_since(paths) == since
    assert resume(paths)


def test_so_does_a_folder_of_that_name(paths: ProfilePaths) -> None:
    (paths.home / "state" / "paused").mkdir(parents=True)
    assert paused_since(paths) == "once"
    assert resume(paths)
    assert paused_since(paths) == ""
