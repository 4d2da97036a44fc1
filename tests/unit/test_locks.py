"""One cycle a root, held by a descriptor and by nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from metahuman_core.errors import BusyError
from metahuman_core.locks import cycle_lock, waiting_lock


def test_a_second_cycle_is_refused_and_told_who_runs(tmp_path: Path) -> None:
    path = tmp_path / "state" / "cycle.lock"
    with cycle_lock(path, "profile anna"):
        with pytest.raises(BusyError, match=f"profile anna, pid {os.getpid()}") as refused, cycle_lock(path, "ben"):
            pass
        assert refused.value.exit_code == 75
    with cycle_lock(path, "profile ben"):
        assert path.read_text(encoding="utf-8").startswith("profile ben, ")


def test_a_refusal_does_not_end_the_lock(tmp_path: Path) -> None:
    path = tmp_path / "cycle.lock"
    with cycle_lock(path, "anna"):
        for _ in range(2):
            with pytest.raises(BusyError), cycle_lock(path, "ben"):
                pass


def test_a_failure_inside_gives_the_lock_back(tmp_path: Path) -> None:
    path = tmp_path / "cycle.lock"
    with pytest.raises(ValueError, match="inside"), cycle_lock(path, "anna"):
        raise ValueError("inside")
    with cycle_lock(path, "anna"):
        pass


def test_a_child_that_inherits_the_descriptor_keeps_the_lock(tmp_path: Path) -> None:
    path = tmp_path / "cycle.lock"
    waits_for_its_input = [sys.executable, "-c", "import sys; sys.stdin.read()"]
    with cycle_lock(path, "anna") as fd:
        child = subprocess.Popen(waits_for_its_input, stdin=subprocess.PIPE, pass_fds=(fd,))
    with pytest.raises(BusyError), cycle_lock(path, "ben"):
        pass
    child.communicate()
    with cycle_lock(path, "ben"):
        pass


def test_no_other_child_inherits_it(tmp_path: Path) -> None:
    path = tmp_path / "cycle.lock"
    with cycle_lock(path, "anna"):
        child = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE)
    with cycle_lock(path, "ben"):
        pass
    child.communicate()


def test_the_registrys_lock_can_be_had_again_and_again(tmp_path: Path) -> None:
    for _ in range(3):
        with waiting_lock(tmp_path / "etc" / ".model-registry.lock"):
            pass
    assert (tmp_path / "etc" / ".model-registry.lock").stat().st_mode & 0o777 == 0o600
