"""The daemon as a whole: a process of its own, on a real root, that has nothing to train."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
from running_daemon import Daemon
from watched_home import Home, until

Starter = Callable[..., Daemon]

DONE, FAILED, BUSY, CONFIG = 0, 1, 75, 78
MIB = 1 << 20


# --- how it says how things are -------------------------------------------------------------------------------------


def test_it_says_what_it_waits_for(home: Home, start_daemon: Starter) -> None:
    daemon = start_daemon()
    home.write(1)
    seen = daemon.says("one memory", lambda seen: seen["pending"] == 1 and seen["daemon"]["state"] == "waiting")
    until("the two jobs of the start", lambda: daemon.log().count("a job ended") == 2)
    assert seen["daemon"]["why"] == "waits for memories: 1 new memory, the threshold is 1000000"
    said = daemon.metahuman("status")
    assert (said.returncode, said.stderr) == (DONE, "")
    assert "waits for memories: 1 new memory" in said.stdout
    assert "the system tells of changes" in said.stdout
    (plain,) = json.loads(daemon.metahuman("status", "--json").stdout)["profiles"]
    assert (plain["profile"], plain["memories"]["due"], plain["daemon"]["state"]) == ("anna", 1, "waiting")


def test_it_is_small_and_holds_nothing_heavy(start_daemon: Starter) -> None:
    daemon = start_daemon()
    daemon.says("the first look", bool)
    maps = Path(f"/proc/{daemon.process.pid}/maps").read_text(encoding="utf-8")
    for heavy in ("libtorch", "libllama", "libggml"):
        assert heavy not in maps
    assert psutil.Process(daemon.process.pid).memory_info().rss < 120 * MIB


def test_what_an_earlier_daemon_wrote_is_not_taken_for_its_own(home: Home, start_daemon: Starter) -> None:
    daemon = start_daemon()
    daemon.says("the first look", bool)
    daemon.process.kill()
    assert daemon.ends() == -signal.SIGKILL
    registry = home.root / "etc" / "model-registry.json"
    registry.parent.mkdir()
    registry.write_text("{", encoding="utf-8")
    other = start_daemon()
    other.logs("a look failed")
    assert not (home.state / "status.json").exists()
    said = other.metahuman("status")
    assert said.returncode == FAILED
    assert "model-registry.json" in said.stderr


def test_a_broken_registry_is_said_and_mended_with_the_file(home: Home, start_daemon: Starter) -> None:
    daemon = start_daemon()
    daemon.says("the first look", lambda seen: seen["daemon"]["state"] == "waiting")
    registry = home.root / "etc" / "model-registry.json"
    registry.parent.mkdir(exist_ok=True)
    registry.write_text('{"training_history": 5}', encoding="utf-8")
    assert daemon.metahuman("resume").returncode == DONE  # which has it look again
    seen = daemon.says("the fault", lambda seen: seen["daemon"]["state"] == "faulty")
    assert "training_history" in seen["daemon"]["why"]
    registry.unlink()
    assert daemon.metahuman("resume").returncode == DONE
    daemon.says("that it goes on", lambda seen: seen["daemon"]["state"] == "waiting")


def test_missing_memories_are_paused_and_said(home: Home, start_daemon: Starter) -> None:
    home.write(1)
    daemon = start_daemon("[daemon]\nquiet_s = 0.3\nreconcile_minutes = 0.01\n")
    daemon.says("one memory", lambda seen: seen["pending"] == 1)
    home.memory.rename(home.elsewhere / "memory")
    seen = daemon.says("the pause", lambda seen: seen["daemon"]["state"] == "paused")
    assert (seen["daemon"]["why"], seen["pending"]) == (f"the folder {home.memory} is missing", 1)
    # Neither a reload nor a restart forgets whom it serves.
    daemon.process.send_signal(signal.SIGHUP)
    daemon.logs("the config was read again")
    daemon.says("the pause", lambda seen: seen["daemon"]["state"] == "paused")  # and not only while a job runs
    said = daemon.metahuman("status")
    assert said.returncode == DONE
    assert "is missing" in said.stdout
    (home.elsewhere / "memory").rename(home.memory)
    daemon.says("that it goes on", lambda seen: seen["daemon"]["state"] == "waiting" and seen["pending"] == 1)


def test_a_ledger_that_was_moved_away_is_made_again(home: Home, start_daemon: Starter) -> None:
    home.write(1)
    daemon = start_daemon("[daemon]\nquiet_s = 0.3\nreconcile_minutes = 0.01\n")
    daemon.says("one memory", lambda seen: seen["pending"] == 1)
    (home.state / "ledger.sqlite3").unlink()
    home.write(2)
    daemon.says("both memories", lambda seen: seen["pending"] == 2)
    until("a new ledger", (home.state / "ledger.sqlite3").exists)


def test_a_profile_whose_folder_is_deleted_does_not_end_it(home: Home, start_daemon: Starter) -> None:
    home.write(1)
    daemon = start_daemon("[daemon]\nquiet_s = 0.3\nreconcile_minutes = 0.01\n")
    daemon.says("one memory", lambda seen: seen["pending"] == 1)
    shutil.rmtree(home.memory.parent)
    until("a word of it", lambda: "cannot be written" in daemon.log() or (daemon.status() or {}).get("missing"))
    home.memory.mkdir(parents=True)
    home.write(2)
    daemon.says("the new memory", lambda seen: seen["daemon"]["state"] == "waiting" and seen["pending"] == 1)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount")
def test_a_full_disk_does_not_end_it(home: Home, start_daemon: Starter) -> None:
    state = home.state
    state.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k", "none", state], check=False)
    if done.returncode:
        pytest.skip("nothing can be mounted here")
    try:
        daemon = start_daemon("[daemon]\nquiet_s = 0.3\nreconcile_minutes = 0.01\n")
        daemon.says("the first look", bool)
        with (state / "ballast").open("wb", buffering=0) as ballast:
            try:
                while True:
                    ballast.write(bytes(4096))
            except OSError:
                pass
        home.write(1)
        daemon.logs("disk is full")
        assert "No space left" in daemon.metahuman("pause").stderr
        daemon.process.send_signal(signal.SIGHUP)
        daemon.logs("the config was read again")
        assert daemon.process.poll() is None
        (state / "ballast").unlink()
        assert daemon.metahuman("resume").returncode == DONE
        daemon.says("the memory", lambda seen: seen["pending"] == 1)
        daemon.process.terminate()
        assert daemon.ends() == DONE
    finally:
        subprocess.run(["umount", "-l", state], check=True)


# --- what people ask for --------------------------------------------------------------------------------------------


def test_pause_resume_and_train_now_reach_it(start_daemon: Starter) -> None:
    daemon = start_daemon()
    said = daemon.metahuman("pause")
    assert (said.returncode, "paused: anna" in said.stderr, "no daemon" in said.stderr) == (DONE, True, False)
    seen = daemon.says("the pause", lambda seen: seen["daemon"]["state"] == "paused")
    assert seen["daemon"]["why"].startswith("paused since 20")
    assert daemon.metahuman("resume").returncode == DONE
    daemon.says("that it goes on", lambda seen: seen["daemon"]["state"] == "waiting")
    said = daemon.metahuman("train-now")
    assert (said.returncode, "nothing new to train: anna" in said.stderr) == (DONE, True)
    assert "request=train-now" in daemon.log()


def test_without_a_daemon_pause_holds_for_the_next_one_and_train_now_fails(home: Home, start_daemon: Starter) -> None:
    daemon = Daemon(home)
    assert "no daemon runs" in daemon.metahuman("pause").stderr
    said = daemon.metahuman("train-now")
    assert (said.returncode, "no daemon runs" in said.stderr) == (FAILED, True)
    daemon = start_daemon()
    daemon.says("the pause", lambda seen: seen["daemon"]["state"] == "paused")


def test_who_asks_and_says_nothing_does_not_hang_it(home: Home, start_daemon: Starter) -> None:
    daemon = start_daemon()
    address = str(home.root / "state" / "daemon.sock")
    if len(address) > 107:
        pytest.skip("the folder's name is too long for a socket")
    for words in (b"", b"\n", b"[]\n", b"{" * 70_000, b'{"do": "dance"}\n', b'{"do": "pause", "profile": "ben"}\n'):
        with socket.socket(socket.AF_UNIX) as other:
            other.connect(address)
            try:
                other.sendall(words)
            except OSError:
                continue
    assert daemon.metahuman("resume").returncode == DONE


def test_a_second_daemon_is_told_that_one_runs(start_daemon: Starter) -> None:
    daemon = start_daemon()
    said = daemon.metahuman("run")
    assert (said.returncode, said.stdout) == (BUSY, "")
    assert "is running already" in said.stderr
    daemon.says("that the first goes on", bool)


def test_after_a_kill_the_next_one_starts(start_daemon: Starter) -> None:
    daemon = start_daemon()
    daemon.process.kill()
    daemon.ends()
    start_daemon().says("the first look", bool)


# --- the config -----------------------------------------------------------------------------------------------------


def test_a_bad_config_is_not_tried_again(home: Home) -> None:
    daemon = Daemon(home, "[training]\nrnak = 8\n")
    said = daemon.metahuman("run")
    assert said.returncode == CONFIG
    assert "training.rnak" in said.stderr


def test_a_machine_without_a_time_zone_that_is_known_is_a_config_error(home: Home) -> None:
    daemon = Daemon(home, environment={"TZ": "Nowhere/Bogus"})
    said = daemon.metahuman("run")
    assert said.returncode == CONFIG
    assert "time zone" in said.stderr
    assert "Traceback" not in said.stderr


def test_reloading_applies_a_good_config_and_refuses_a_bad_one(start_daemon: Starter) -> None:
    daemon = start_daemon()
    daemon.says("the threshold", lambda seen: "threshold is 1000000" in seen["daemon"]["why"])
    daemon.configure("", threshold=777)
    daemon.process.send_signal(signal.SIGHUP)
    daemon.says("the new threshold", lambda seen: "threshold is 777" in seen["daemon"]["why"])
    good = daemon.config.read_text(encoding="utf-8")
    for bad, why in (
        ("[daemon]\nthreshold = 'many'\n", "daemon.threshold"),
        (f"root = '/elsewhere'\n{good}", "root cannot change"),
        (good.replace("schedule = ''", "schedule = 'never'"), "daemon.schedule"),
    ):
        refused = daemon.log().count("the old one is kept")
        daemon.config.write_text(bad, encoding="utf-8")
        daemon.process.send_signal(signal.SIGHUP)
        daemon.logs("the old one is kept", refused + 1)
        assert why in daemon.log().rpartition("the old one is kept")[2]
    assert daemon.metahuman("pause").returncode == CONFIG
    daemon.config.write_text(good, encoding="utf-8")
    daemon.says("the old threshold", lambda seen: "threshold is 777" in seen["daemon"]["why"])


def test_two_profiles_are_served_and_asked_of_one_by_one(home: Home, start_daemon: Starter) -> None:
    (home.root / "profiles" / "ben" / "memory").mkdir(parents=True)
    home.write(1, folder=home.root / "profiles" / "ben" / "memory")
    daemon = start_daemon("registry = 'etc/{profile}.json'\n")
    daemon.says("anna's first look", bool)
    daemon.says("ben's memory", lambda seen: seen["pending"] == 1, "ben")
    assert daemon.metahuman("pause", "--username", "ben").returncode == DONE
    daemon.says("ben's pause", lambda seen: seen["daemon"]["state"] == "paused", "ben")
    daemon.says("that anna goes on", lambda seen: seen["daemon"]["state"] == "waiting")
    both = json.loads(daemon.metahuman("status", "--json").stdout)["profiles"]
    assert [one["profile"] for one in both] == ["anna", "ben"]


def test_a_profile_that_appears_later_is_served(home: Home, start_daemon: Starter) -> None:
    shutil.rmtree(home.memory.parent)
    daemon = start_daemon("registry = 'etc/{profile}.json'\n")
    assert "there is no profile yet" in daemon.log()
    home.memory.mkdir(parents=True)
    home.write(1)
    daemon.process.send_signal(signal.SIGHUP)
    daemon.says("the memory", lambda seen: seen["pending"] == 1)


def test_a_copy_of_a_profile_or_a_badly_named_one_does_not_keep_the_others_from_being_served(
    home: Home, start_daemon: Starter
) -> None:
    first = start_daemon()
    first.says("the first look", bool)
    first.process.send_signal(signal.SIGTERM)
    assert first.ends() == DONE
    for name in ("anna-copy", "Anna (old)"):
        (home.root / "profiles" / name / "memory").mkdir(parents=True)
    again = start_daemon()
    again.says("anna's look", bool)
    assert "a new profile is not served" in again.log()
    assert "its name is no profile's" in again.log()


@pytest.mark.slow
def test_a_profile_is_noticed_within_the_half_minute_and_one_that_cannot_be_is_said_once(
    home: Home, start_daemon: Starter
) -> None:
    daemon = start_daemon()
    (home.root / "profiles" / "ben" / "memory").mkdir(parents=True)
    until("the refusal", lambda: "a new profile is not served" in daemon.log(), 45)
    assert "would share the registry" in daemon.log()
    shutil.rmtree(home.root / "profiles" / "ben")
    shutil.rmtree(home.memory)
    time.sleep(65)
    assert daemon.log().count("a new profile is not served") == 1
    assert daemon.status()  # anna is still served


# --- its end --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_asked_to_end_it_ends_well_and_soon(home: Home, start_daemon: Starter, number: signal.Signals) -> None:
    daemon = start_daemon()
    daemon.says("the first look", bool)
    began_s = time.monotonic()
    daemon.process.send_signal(number)
    assert daemon.ends() == DONE
    assert time.monotonic() - began_s < 10
    assert "the daemon ends" in daemon.log()
    assert not (home.root / "state" / "daemon.sock").exists()
    assert "none runs" in daemon.metahuman("status").stdout


def test_killed_it_takes_its_jobs_with_it(start_daemon: Starter) -> None:
    daemon = start_daemon()
    until("a job", lambda: psutil.Process(daemon.process.pid).children() or "a job ended" in daemon.log())
    jobs = psutil.Process(daemon.process.pid).children()
    daemon.process.kill()
    daemon.ends()
    until("the end of its jobs", lambda: not any(job.is_running() for job in jobs))


# --- systemd --------------------------------------------------------------------------------------------------------


class _Manager:
    """systemd's end: what was told, in order."""

    def __init__(self, listening: socket.socket) -> None:
        self._listening = listening
        self.told: list[str] = []

    def hears(self, word: str, times: int = 1) -> None:
        until(word, lambda: self._read() or sum(one.startswith(word) for one in self.told) >= times)

    def _read(self) -> None:
        try:
            while True:
                self.told += self._listening.recv(4096).decode().split("\n")
        except BlockingIOError:
            return


@contextmanager
def manager(address: str) -> Iterator[_Manager]:
    """A manager that listens."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(address)
        listening.setblocking(False)
        yield _Manager(listening)


def test_systemd_is_told_what_it_wants_to_know(start_daemon: Starter) -> None:
    address = f"@metahuman-test-{os.getpid()}"
    with manager(f"\0{address[1:]}") as systemd:
        told = {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "600000"}
        daemon = start_daemon(environment=told)
        systemd.hears("READY=1")
        assert systemd.told[0].startswith("STATUS=anna: "), "who asks right after the start is told something"
        systemd.hears("STATUS=anna: waiting, waits for memories")
        began_s, before = time.monotonic(), systemd.told.count("WATCHDOG=1")
        systemd.hears("WATCHDOG=1", before + 6)
        assert time.monotonic() - began_s < 6 * 0.6
        daemon.process.send_signal(signal.SIGHUP)
        systemd.hears("RELOADING=1")
        systemd.hears("READY=1", 2)
        place = systemd.told.index("RELOADING=1")
        name, _, moment = systemd.told[place + 1].partition("=")
        assert name == "MONOTONIC_USEC"
        assert began_s < int(moment) / 1e6 < time.monotonic()
        assert "READY=1" in systemd.told[place:]
        daemon.process.terminate()
        systemd.hears("STOPPING=1")
        assert daemon.ends() == DONE


def test_a_watchdog_that_is_meant_for_another_is_not_answered_in_its_time(start_daemon: Starter) -> None:
    address = f"@metahuman-test-other-{os.getpid()}"
    with manager(f"\0{address[1:]}") as systemd:
        start_daemon(environment={"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "600000", "WATCHDOG_PID": "1"})
        systemd.hears("READY=1")


def test_in_the_journal_each_event_is_one_line_of_json(home: Home) -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    with ours, theirs:
        found = os.fstat(theirs.fileno())
        daemon = Daemon(home)
        daemon.configure("")
        process = subprocess.Popen(
            daemon.command("run"),
            stdin=subprocess.DEVNULL,
            stderr=theirs,
            cwd=home.root,
            env={**daemon.surroundings, "JOURNAL_STREAM": f"{found.st_dev}:{found.st_ino}"},
        )
        theirs.close()
        ours.settimeout(30)
        said = b""
        try:
            while b"the daemon runs" not in said:
                said += ours.recv(4096)
            (home.memory / "deep").mkdir()
            process.send_signal(signal.SIGHUP)
            while b"read again" not in said:
                said += ours.recv(4096)
            process.terminate()
            while part := ours.recv(4096):
                said += part
        finally:
            process.terminate()
            assert process.wait(20) == DONE
    lines = said.decode().splitlines()
    events: list[dict[str, Any]] = [json.loads(line[3:]) for line in lines]
    assert {line[:3] for line in lines} <= {"<6>", "<4>", "<3>"}
    assert {"the daemon runs", "the config was read again", "the daemon ends"} <= {event["event"] for event in events}
    assert all(event["timestamp"] and event["level"] for event in events)
