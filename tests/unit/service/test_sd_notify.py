"""systemd is told over a real datagram socket, and where it did not ask nothing happens."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from metahuman_daemon.service.sd_notify import Systemd


class Listening:
    """systemd's end; `name` is what it puts into NOTIFY_SOCKET."""

    def __init__(self, name: str, stack: ExitStack) -> None:
        self.name = name
        self._socket = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
        self._socket.bind(name.replace("@", "\0", 1) if name.startswith("@") else name)
        self._socket.setblocking(False)

    def heard(self) -> list[str]:
        words = []
        while True:
            try:
                words.append(self._socket.recv(4096).decode())
            except BlockingIOError:
                return words


@pytest.fixture(params=["path", "abstract"])
def listening(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Listening]:
    name = str(tmp_path / "notify") if request.param == "path" else f"@metahuman-test-{os.getpid()}"
    with ExitStack() as stack:
        yield Listening(name, stack)


def test_each_word_is_a_datagram_of_its_own(listening: Listening) -> None:
    systemd = Systemd({"NOTIFY_SOCKET": listening.name})
    systemd.ready()
    systemd.status("anna: waits")
    systemd.alive()
    systemd.more_time(30.0)
    systemd.stopping()
    assert listening.heard() == [
        "READY=1", "STATUS=anna: waits", "WATCHDOG=1", "EXTEND_TIMEOUT_USEC=30000000", "STOPPING=1",
    ]  # fmt: skip


def test_a_reload_says_since_when(listening: Listening) -> None:
    Systemd({"NOTIFY_SOCKET": listening.name}).reloading()
    (word,) = listening.heard()
    first, _, second = word.partition("\n")
    assert first == "RELOADING=1"
    assert second.startswith("MONOTONIC_USEC=")
    assert second.partition("=")[2].isdigit()


def test_a_status_says_nothing_but_a_status(listening: Listening) -> None:
    systemd = Systemd({"NOTIFY_SOCKET": listening.name})
    systemd.status("waits\nREADY=1")
    systemd.status("the folder b\udcfcro is missing")
    assert listening.heard() == ["STATUS=waits READY=1", "STATUS=the folder b?ro is missing"]


def test_a_systemd_that_does_not_read_hangs_nobody(listening: Listening) -> None:
    systemd = Systemd({"NOTIFY_SOCKET": listening.name})
    for _ in range(5000):
        systemd.alive()
    assert 0 < len(listening.heard()) < 5000


@pytest.mark.parametrize("address", [None, "", "/nowhere/notify", "@metahuman-nobody", "vsock:2:1234", "/" + "x" * 300])
def test_where_nobody_listens_nothing_happens(address: str | None) -> None:
    systemd = Systemd({} if address is None else {"NOTIFY_SOCKET": address})
    systemd.ready()
    systemd.alive()


@pytest.mark.parametrize(
    ("environ", "seconds"),
    [
        ({}, 0.0),
        ({"WATCHDOG_USEC": "30000000"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getppid())}, 0.0),
        ({"WATCHDOG_USEC": "0"}, 0.0),
        ({"WATCHDOG_USEC": "often"}, 0.0),
        ({"WATCHDOG_USEC": "-5"}, 0.0),
    ],
)
def test_a_sign_of_life_is_wanted_only_of_us_and_only_where_it_says_so(environ: dict[str, str], seconds: float) -> None:
    assert Systemd(environ).watchdog_s == seconds
