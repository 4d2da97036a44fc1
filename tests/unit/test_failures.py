"""What an exception comes to: tried again or not, and without a memory's words."""

from __future__ import annotations

import errno
import sqlite3

import pytest

from metahuman_core.errors import MetahumanError, PassingError
from metahuman_daemon.failures import as_failure


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.ESTALE, errno.EMFILE, errno.ENOMEM])
def test_a_disk_or_a_drive_that_is_away_may_pass(number: int) -> None:
    assert isinstance(as_failure(OSError(number, "a reason", "a/file")), PassingError)


def test_a_ledger_that_is_locked_may_pass() -> None:
    assert isinstance(as_failure(sqlite3.OperationalError("database is locked")), PassingError)


def test_a_refused_permission_will_not() -> None:
    failure = as_failure(PermissionError(errno.EACCES, "Permission denied", "a/file"))
    assert not isinstance(failure, PassingError)
    assert failure.message == "Permission denied: a/file"


def test_what_nobody_foresaw_tells_its_kind_and_place_and_quotes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    memory = "Dear diary, today I met Clara."
    try:
        int(memory)
    except ValueError as error:
        failure = as_failure(error)
    said = capsys.readouterr().err
    assert failure.message == "ValueError"
    assert "test_what_nobody_foresaw" in said
    assert "Clara" not in f"{said}{failure}"


def test_an_error_of_ours_stays_as_it_is() -> None:
    error = MetahumanError("what", "what to do")
    assert as_failure(error) is error
