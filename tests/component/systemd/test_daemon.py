"""The daemon under the shipped unit: it starts, is watched, and ends in good order. Nothing is trained here."""

from __future__ import annotations

import signal
import time

import pytest
from nest import Nest

CONFIG = """
root = "/var/lib/metahuman"

[ollama]
enabled = false

[profiles.anna]
"""


@pytest.fixture
def home(nest: Nest) -> Nest:
    """A nest with a config, and a person with one memory."""
    nest.write("/etc/metahuman/config.toml", CONFIG)
    nest.write("/var/lib/metahuman/profiles/anna/memory/a.md", "Rain all day. I stayed in and read.", "metahuman")
    return nest


def test_it_starts_and_says_what_it_waits_for(home: Nest) -> None:
    home.systemctl("start", "metahuman")
    assert home.shown("ActiveState") == {"ActiveState": "active"}
    home.wait_for_status("waits for memories: 1 new memory")
    assert home.metahuman("status").returncode == 0
    home.systemctl("stop", "metahuman")
    assert home.shown("ActiveState", "Result") == {"ActiveState": "inactive", "Result": "success"}


def test_new_memories_are_seen_through_the_sandbox(home: Nest) -> None:
    home.write("/etc/metahuman/config.toml", CONFIG + "\n[daemon]\nquiet_s = 0.2\nreconcile_minutes = 1000\n")
    home.systemctl("start", "metahuman")
    home.wait_for_status("1 new memory")
    home.write("/var/lib/metahuman/profiles/anna/memory/b.md", "Sun at last. We sailed to the island.", "metahuman")
    home.wait_for_status("2 new memories")


def test_it_keeps_the_watchdog(home: Nest) -> None:
    home.drop_in("short", "[Service]\nWatchdogSec=1\n")
    home.systemctl("start", "metahuman")
    pid = home.main_pid()
    time.sleep(4)
    assert home.shown("MainPID", "NRestarts") == {"MainPID": str(pid), "NRestarts": "0"}


def test_one_that_hangs_is_started_again(home: Nest) -> None:
    home.drop_in("short", "[Service]\nWatchdogSec=2\nTimeoutAbortSec=1\nRestartSec=0.2\n")
    home.systemctl("start", "metahuman")
    home.signal(signal.SIGSTOP)
    home.wait_for(NRestarts="1", ActiveState="active")
    home.wait_for_status("waits for memories")


def test_a_reload_reads_the_config_and_a_bad_one_is_refused(home: Nest) -> None:
    home.systemctl("start", "metahuman")
    home.wait_for_status("1 new memory")
    home.write("/etc/metahuman/config.toml", "nonsense = 1\n")
    home.systemctl("reload", "metahuman")
    home.wait_for_word("the config is refused")
    home.write("/etc/metahuman/config.toml", CONFIG)
    home.systemctl("reload", "metahuman")
    home.wait_for_word("the config was read again")
    assert home.shown("ActiveState", "NRestarts") == {"ActiveState": "active", "NRestarts": "0"}


def test_a_faulty_config_is_not_tried_again(home: Nest) -> None:
    home.write("/etc/metahuman/config.toml", "nonsense = 1\n")
    home.drop_in("short", "[Service]\nRestartSec=0.1\n")
    home.systemctl("start", "metahuman", check=False)
    home.wait_for(ActiveState="failed", ExecMainStatus="78")
    time.sleep(0.5)
    assert home.shown("NRestarts") == {"NRestarts": "0"}
    assert "nonsense" in home.journal()
