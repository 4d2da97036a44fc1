"""The daemon's socket answers its user, and nobody who talks to it can hold it up."""

from __future__ import annotations

import socket
import stat
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from metahuman_core.errors import BusyError, MetahumanError
from metahuman_daemon.service.control import Listener, ask, only_daemon, socket_path

HALF_A_SECOND_AND_SOME = 0.9


@contextmanager
def listening(root: Path) -> Iterator[Listener]:
    with only_daemon(root):
        listener = Listener(root)
        try:
            yield listener
        finally:
            listener.close()


def serve_one(listener: Listener, **answer: Any) -> tuple[dict[str, Any] | None, float]:
    """Answer one request as the main loop does; gives what was asked, and how long that took."""
    listener._socket.setblocking(True)
    began_s = time.monotonic()
    with listener.request() as asked:
        took_s = time.monotonic() - began_s
        if asked is None:
            return None, took_s
        request, to_fill = asked
        to_fill |= answer
    return request, took_s


def served(listener: Listener, *clients: Any, **answer: Any) -> list[tuple[dict[str, Any] | None, float]]:
    """Let each client talk from a thread, and answer each once."""
    threads = [threading.Thread(target=client) for client in clients]
    for thread in threads:
        thread.start()
    try:
        return [serve_one(listener, **answer) for _ in clients]
    finally:
        for thread in threads:
            thread.join()


def says(root: Path, *parts: bytes, pause_s: float = 0.0, stays_s: float = 0.0) -> Any:
    """A client that sends so, and then hangs up or stays."""

    def talk() -> None:
        with socket.socket(socket.AF_UNIX) as client, suppress(OSError):
            client.connect(str(socket_path(root)))
            for part in parts:
                client.sendall(part)
                time.sleep(pause_s)
            time.sleep(stays_s)

    return talk


def test_a_request_is_answered(tmp_path: Path) -> None:
    answers: list[dict[str, Any] | None] = []
    with listening(tmp_path) as listener:
        ((request, _),) = served(
            listener, lambda: answers.append(ask(tmp_path, do="pause", profile="anna")), done=["anna"]
        )
    assert request == {"do": "pause", "profile": "anna"}
    assert answers == [{"done": ["anna"]}]


def test_a_folder_may_lie_deeper_than_a_sockets_name_is_long(tmp_path: Path) -> None:
    root = tmp_path / ("deep" * 20) / ("deeper" * 20)
    assert len(str(socket_path(root))) > 200
    answers: list[dict[str, Any] | None] = []
    with listening(root) as listener:
        served(listener, lambda: answers.append(ask(root, do="hello")), done=[])
        assert socket_path(root).is_socket()
    assert answers == [{"done": []}]
    assert not socket_path(root).exists()


def test_only_its_user_may_talk_to_it(tmp_path: Path) -> None:
    with listening(tmp_path):
        assert stat.S_IMODE(socket_path(tmp_path).stat().st_mode) == 0o600
        assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700


def test_where_no_daemon_is_there_is_no_answer(tmp_path: Path) -> None:
    assert ask(tmp_path, do="hello") is None
    (tmp_path / "state").mkdir()
    assert ask(tmp_path, do="hello") is None


def test_a_dead_daemons_socket_is_no_daemon_and_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(socket_path(tmp_path)))
    assert socket_path(tmp_path).is_socket()
    assert ask(tmp_path, do="hello") is None
    with listening(tmp_path) as listener:
        ((request, _),) = served(listener, lambda: ask(tmp_path, do="hello"))
        assert request == {"do": "hello"}


def test_what_is_no_socket_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file", encoding="utf-8")
    with pytest.raises(MetahumanError, match="cannot be reached"):
        ask(tmp_path, do="hello")


def test_there_is_one_daemon_of_a_root(tmp_path: Path) -> None:
    with only_daemon(tmp_path):
        with pytest.raises(BusyError, match="is running already"), only_daemon(tmp_path):
            pass
        with only_daemon(tmp_path / "another root"):
            pass
    with only_daemon(tmp_path):
        pass


@pytest.mark.parametrize(
    "garbage",
    [
        b"", b"\n", b"hello\n", b"[]\n", b'"pause"\n', b"\xff\xfe\n", b"[" * 60_000, b"{" * 70_000, b"9" * 70_000,
        b'{"do": "pause"', b"\0" * 5000,
    ],
    ids=lambda garbage: f"{garbage[:8]!r} and {len(garbage)}",
)  # fmt: skip
def test_garbage_is_no_request(tmp_path: Path, garbage: bytes) -> None:
    with listening(tmp_path) as listener:
        ((request, took_s),) = served(listener, says(tmp_path, garbage))
        assert request is None
        assert took_s < HALF_A_SECOND_AND_SOME
        answered = served(listener, lambda: ask(tmp_path, do="hello"))
        assert answered[0][0] == {"do": "hello"}


def test_a_request_in_pieces_is_one(tmp_path: Path) -> None:
    with listening(tmp_path) as listener:
        ((request, _),) = served(listener, says(tmp_path, b'{"do":', b' "hello"}', b"\n", pause_s=0.02))
    assert request == {"do": "hello"}


@pytest.mark.parametrize("trickle", [(), (b"{",), (b" ",) * 20], ids=["silent", "half a word", "trickling"])
def test_a_client_that_says_nothing_whole_holds_nobody_up(tmp_path: Path, trickle: tuple[bytes, ...]) -> None:
    with listening(tmp_path) as listener:
        ((request, took_s),) = served(listener, says(tmp_path, *trickle, pause_s=0.1, stays_s=0.6))
    assert request is None
    assert took_s < HALF_A_SECOND_AND_SOME


def test_where_nobody_asks_there_is_no_waiting(tmp_path: Path) -> None:
    with listening(tmp_path) as listener:
        began_s = time.monotonic()
        with listener.request() as asked:
            assert asked is None
        assert time.monotonic() - began_s < 0.1


def test_a_client_that_does_not_wait_for_its_answer_is_no_fault(tmp_path: Path) -> None:
    with listening(tmp_path) as listener:
        ((request, _),) = served(listener, says(tmp_path, b'{"do": "hello"}\n'), padding="x" * 1_000_000)
    assert request == {"do": "hello"}
