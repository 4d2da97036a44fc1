"""A command takes the cycle's lock: at once, or when the daemon's job has made way; nobody else is disturbed."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from metahuman_core.errors import BusyError
from metahuman_core.layout import cycle_lock_path
from metahuman_core.locks import cycle_lock
from metahuman_core.settings import Settings
from metahuman_daemon.locking import take_lock
from metahuman_daemon.service.control import Listener, only_daemon


class Holder:
    """Somebody who has the lock of a root, and lets go of it when told."""

    def __init__(self, root: Path) -> None:
        self._held = ExitStack()
        self._held.enter_context(cycle_lock(cycle_lock_path(root), "profile anna"))

    def let_go(self) -> None:
        self._held.close()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(root=tmp_path)


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[Holder]:
    holder = Holder(tmp_path)
    yield holder
    holder.let_go()


@pytest.fixture
def said() -> list[str]:
    return []


def answers_once(root: Path, holder: Holder, *, ours: bool) -> tuple[threading.Thread, list[dict[str, Any]]]:
    """A daemon that is asked once: where the job is its own, the job lets go of the lock before the answer is read."""
    asked: list[dict[str, Any]] = []
    ready = threading.Event()

    def serve() -> None:
        with only_daemon(root), Listener(root) as listener:
            listener._socket.setblocking(True)
            ready.set()
            with listener.request() as request:
                assert request is not None
                asked.append(request[0])
                request[1]["done"] = ours
            if ours:
                holder.let_go()

    thread = threading.Thread(target=serve)
    thread.start()
    ready.wait()
    return thread, asked


def test_a_free_lock_is_taken_without_a_word(settings: Settings, said: list[str]) -> None:
    with take_lock(settings, "rollback of profile anna", said.append) as fd:
        assert os.fstat(fd).st_size > 0
        with (
            pytest.raises(BusyError, match="rollback of profile anna"),
            cycle_lock(cycle_lock_path(settings.root), "another"),
        ):
            pass
    assert said == []


def test_the_daemons_job_makes_way(settings: Settings, holder: Holder, said: list[str]) -> None:
    thread, asked = answers_once(settings.root, holder, ours=True)
    with take_lock(settings, "rollback of profile anna", said.append):
        pass
    thread.join()
    assert asked == [{"do": "make-way", "pid": os.getpid(), "what": "rollback of profile anna"}]
    assert len(said) == 1
    assert "makes a checkpoint" in said[0]


def test_a_command_by_hand_does_not(settings: Settings, holder: Holder, said: list[str]) -> None:
    thread, asked = answers_once(settings.root, holder, ours=False)
    with pytest.raises(BusyError, match="profile anna"), take_lock(settings, "rollback", said.append):
        pass
    thread.join()
    assert len(asked) == 1
    assert said == []


@pytest.mark.usefixtures("holder")
def test_without_a_daemon_it_is_busy_at_once(settings: Settings, said: list[str]) -> None:
    with pytest.raises(BusyError), take_lock(settings, "rollback", said.append):
        pass
    assert said == []


def test_a_job_that_does_not_come_to_an_end_is_not_waited_for_for_ever(
    settings: Settings, holder: Holder, said: list[str]
) -> None:
    other = Holder.__new__(Holder)
    other._held = ExitStack()  # what it lets go of is not the lock
    thread, _ = answers_once(settings.root, other, ours=True)
    with (
        pytest.raises(BusyError, match="profile anna") as caught,
        take_lock(settings, "rollback", said.append, wait_s=0.2),
    ):
        pass
    thread.join()
    assert "try again" in caught.value.hint
