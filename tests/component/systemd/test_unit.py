"""What the shipped unit does with a daemon, whatever daemon that is: a stand-in of a few lines."""

from __future__ import annotations

import os
import signal
import time

from nest import Nest

_STAND_IN = "/opt/metahuman/bin/python /opt/checkout/tests/component/systemd/stand_in.py"


def start(nest: Nest, command: str = _STAND_IN, *settings: str) -> None:
    """Start the unit with another program; `settings` shorten what would take minutes."""
    nest.drop_in("short", "\n".join(["[Service]", "ExecStart=", f"ExecStart={command}", "RestartSec=0.2", *settings]))
    nest.systemctl("start", "metahuman", check=False)


def test_a_daemon_that_is_ready_is_active_as_its_own_user_with_folders_of_its_own(nest: Nest) -> None:
    start(nest)
    assert nest.shown("ActiveState", "StatusText") == {"ActiveState": "active", "StatusText": "standing in"}
    status = (nest.root / f"proc/{nest.main_pid()}/status").read_text(encoding="ascii")
    assert f"Uid:\t{nest.run('id', '-u', 'metahuman').stdout.strip()}" in status
    modes = nest.run("stat", "-c", "%a %U %n", "/var/lib/metahuman", "/var/cache/metahuman", "/etc/metahuman").stdout
    assert modes.split("\n")[:3] == [
        "700 metahuman /var/lib/metahuman",
        "700 metahuman /var/cache/metahuman",
        "755 root /etc/metahuman",
    ]


def test_a_daemon_that_keeps_the_watchdog_stays(nest: Nest) -> None:
    start(nest, _STAND_IN, "WatchdogSec=0.4")
    pid = nest.main_pid()
    time.sleep(1.5)
    assert nest.shown("ActiveState", "MainPID", "NRestarts") == {
        "ActiveState": "active",
        "MainPID": str(pid),
        "NRestarts": "0",
    }


def test_a_daemon_that_hangs_is_started_again(nest: Nest) -> None:
    start(nest, _STAND_IN, "WatchdogSec=0.5", "TimeoutAbortSec=0.5")
    pid = nest.main_pid()
    nest.signal(signal.SIGSTOP)
    nest.wait_for(NRestarts="1", ActiveState="active")
    assert nest.main_pid() != pid
    assert "Watchdog timeout" in nest.journal()


def test_a_daemon_that_is_killed_is_started_again(nest: Nest) -> None:
    start(nest)
    nest.signal(signal.SIGKILL)
    nest.wait_for(NRestarts="1", ActiveState="active")


def test_a_faulty_config_is_not_tried_again(nest: Nest) -> None:
    start(nest, f"/bin/sh -c 'exit {os.EX_CONFIG}'", "RestartSec=0.01")
    nest.wait_for(ActiveState="failed", ExecMainStatus="78")
    time.sleep(0.3)
    assert nest.shown("NRestarts") == {"NRestarts": "0"}


def test_any_other_failure_is_tried_again_for_as_long_as_it_takes(nest: Nest) -> None:
    start(nest, "/bin/sh -c 'exit 1'", "RestartSec=0.01")
    deadline = time.monotonic() + 20
    while int(nest.shown("NRestarts")["NRestarts"]) < 8 and time.monotonic() < deadline:  # more than systemd's five
        time.sleep(0.1)
    assert int(nest.shown("NRestarts")["NRestarts"]) >= 8


def test_who_stops_slowly_and_says_so_is_not_killed(nest: Nest) -> None:
    start(nest, f"{_STAND_IN} 2.5", "TimeoutStopSec=1")
    nest.systemctl("stop", "metahuman")
    assert nest.shown("ActiveState", "Result") == {"ActiveState": "inactive", "Result": "success"}


def test_reload_reaches_the_daemon(nest: Nest) -> None:
    start(nest, _STAND_IN, "WatchdogSec=0.4")
    nest.systemctl("reload", "metahuman")
    nest.wait_for(StatusText="standing in, reloaded", ActiveState="active")


def test_a_child_that_is_killed_takes_nobody_with_it_and_nobody_outlives_the_daemon(nest: Nest) -> None:
    start(nest, f"/bin/sh -c 'sleep 1000 & sleep 1001 & exec {_STAND_IN}'")
    first, second = sorted(pid for pid in nest.processes() if pid != nest.main_pid())
    nest.signal(signal.SIGKILL, first)
    time.sleep(0.2)
    assert nest.shown("ActiveState") == {"ActiveState": "active"}
    assert second in nest.processes()
    nest.systemctl("stop", "metahuman")
    assert nest.shown("Result") == {"Result": "success"}
    assert nest.processes() == []


def test_enabled_it_starts_with_the_machine(nest: Nest) -> None:
    nest.systemctl("enable", "metahuman")
    assert (nest.root / "etc/systemd/system/multi-user.target.wants/metahuman.service").is_symlink()
