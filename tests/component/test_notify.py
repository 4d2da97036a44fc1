"""Notifications: real processes, and servers on this machine that listen, refuse and hang."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, MutableMapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from metahuman_core.settings import NotifySettings
from metahuman_daemon.service.deliveries import Patience
from metahuman_daemon.service.messages import Event
from metahuman_daemon.service.notify import Notifier, try_out

SECRET = "geheim4711"
QUICK = Patience(try_s=5, back_off_s=0)
NEWS = Event("success", "anna", version=7, memories=214)
FAR = 1_000_000.0


@dataclass
class Heard:
    """A server's address, what it was asked, and what it answers next (else 200)."""

    port: int
    requests: list[tuple[str, str, str]] = field(default_factory=list)
    answers: list[tuple[int, str]] = field(default_factory=list)
    hang: threading.Event = field(default_factory=threading.Event)

    @property
    def paths(self) -> list[str]:
        return [f"{method} {path}" for method, path, _ in self.requests]

    def urls(self, count: int = 1) -> tuple[str, ...]:
        """Apprise's URLs for it, each with a secret."""
        return tuple(f"json://anna:{SECRET}@127.0.0.1:{self.port}/{SECRET}-{number}" for number in range(count))

    @property
    def ping_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/{SECRET}"


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture
def server() -> Iterator[Heard]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
            heard.requests.append((self.command, self.path, body))
            heard.hang.wait(20)
            status, location = heard.answers.pop(0) if heard.answers else (200, "")
            self.send_response(status)
            if location:
                self.send_header("Location", location)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_POST = do_GET  # noqa: N815  # the name is http.server's

        def log_message(self, *_: Any) -> None:
            """Nothing."""

    listening = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    heard = Heard(listening.server_address[1])
    heard.hang.set()
    thread = threading.Thread(target=listening.serve_forever, args=(0.02,))
    thread.start()
    yield heard
    heard.hang.set()
    listening.shutdown()
    thread.join()
    listening.server_close()


class Told:
    """A notifier with a clock of the test's, and what it logs."""

    def __init__(self, **settings: Any) -> None:
        self.now = 0.0
        with capture_logs() as self.logs:
            self.notifier = Notifier(NotifySettings(**settings), lambda: self.now, QUICK)

    def until_done(self) -> list[MutableMapping[str, Any]]:
        """Poll as a main loop does, until nothing is under way. Gives the warnings."""
        with capture_logs() as logs:
            given_up = time.monotonic() + 30
            while self.notifier.busy and time.monotonic() < given_up:
                self.notifier.poll()
                time.sleep(0.02)
        self.logs += logs
        assert not self.notifier.busy
        assert SECRET not in repr(self.logs)
        return [entry for entry in self.logs if entry["log_level"] == "warning"]


def started(server: Heard, count: int) -> None:
    """Wait until the server has been asked so many times."""
    given_up = time.monotonic() + 20
    while len(server.requests) < count:
        assert time.monotonic() < given_up
        time.sleep(0.02)


# --- messages -------------------------------------------------------------------------------------------------------


def test_everybody_gets_the_message(server: Heard) -> None:
    told = Told(urls=server.urls(2))
    began = time.monotonic()
    told.notifier.tell(NEWS)
    told.notifier.tell(Event("success", "anna", version=8))
    assert time.monotonic() - began < 0.5  # the daemon waits for nobody
    assert told.until_done() == []
    sent = [(path, json.loads(body)) for _, path, body in server.requests]
    for number in range(2):
        mine = [content for path, content in sent if path.endswith(f"-{number}")]
        assert [(content["title"], content["message"]) for content in mine] == [
            ("anna: version 7 is live", "It learned 214 new memories."),
            ("anna: version 8 is live", "It is in use from now on."),
        ]


def test_what_nobody_wants_to_hear_starts_no_process(server: Heard) -> None:
    told = Told(urls=server.urls(), on=("failed",))
    told.notifier.tell(NEWS)
    told.notifier.ping("start")
    assert not told.notifier.busy


def test_a_server_that_refuses_is_a_warning_without_the_secret(server: Heard) -> None:
    server.answers = [(500, "")]
    told = Told(urls=server.urls())
    told.notifier.tell(NEWS)
    (warning,) = told.until_done()
    assert warning["event"] == "notification failed"
    assert warning["to"] == "json://… (the 1. of urls)"
    assert "500" in warning["reason"]


def test_a_url_that_apprise_does_not_understand_is_a_warning() -> None:
    told = Told(urls=(f"nonsense://{SECRET}",))
    told.notifier.tell(NEWS)
    (warning,) = told.until_done()
    assert "does not understand" in warning["reason"]


def test_without_apprise_the_warning_names_what_to_install(
    server: Heard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "apprise.py").write_text("raise ImportError('not here')\n", encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), *sys.path]))
    told = Told(urls=server.urls(), ping_url=server.ping_url)
    told.notifier.tell(NEWS)
    told.notifier.ping("success")
    (warning,) = told.until_done()
    assert "pip install 'metahuman-continuous-learning[notify]'" in warning["reason"]
    assert server.paths == [f"GET /{SECRET}"]  # a ping needs no apprise


# --- slow ones, and many --------------------------------------------------------------------------------------------


def test_a_delivery_that_takes_too_long_is_killed_and_its_secrets_were_never_on_argv(server: Heard) -> None:
    server.hang.clear()
    told = Told(urls=(f"{server.urls()[0]}?rto=20",))
    told.notifier.tell(NEWS)
    started(server, 1)
    told.notifier.poll()
    children = Path(f"/proc/self/task/{threading.get_native_id()}/children").read_text(encoding="ascii").split()
    shown = [
        Path(f"/proc/{child}/{what}").read_bytes().decode() for child in children for what in ("cmdline", "environ")
    ]
    assert any("metahuman_daemon.service.notifier" in line for line in shown)
    assert [line for line in shown if SECRET in line] == []
    told.now += 61
    (warning,) = told.until_done()
    assert warning["reason"] == "took too long"
    assert [child for child in children if Path(f"/proc/{child}").exists()] == []


def test_too_many_wait_in_a_queue_with_an_end(server: Heard) -> None:
    server.hang.clear()
    told = Told(ping_url=server.ping_url)
    with capture_logs() as told.logs:
        for _ in range(60):
            told.notifier.ping("start")
    dropped = [entry for entry in told.logs if entry["event"] == "notification dropped"]
    assert len(dropped) == 9  # one is under way, fifty wait
    with capture_logs() as ended:
        told.notifier.close(within_s=0)
    assert [entry["event"] for entry in ended] == ["notification failed", *["notification dropped"] * 50]
    assert not told.notifier.busy


def test_a_daemon_that_ends_gives_the_last_message_some_time(server: Heard) -> None:
    told = Told(ping_url=server.ping_url)
    told.notifier.ping("start")
    told.notifier.ping("fail", "the disk is full")
    with capture_logs() as logs:
        told.notifier.close(within_s=20)
    assert server.paths == [f"GET /{SECRET}/start", f"POST /{SECRET}/fail"]
    assert [entry["event"] for entry in logs] == ["notification sent"] * 2


# --- pings ----------------------------------------------------------------------------------------------------------


def test_pings_come_in_their_order_and_a_failure_says_why(server: Heard) -> None:
    server.answers = [(503, ""), (429, "")]
    told = Told(ping_url=server.ping_url)
    told.notifier.ping("start")
    told.notifier.ping("fail", "x" + "ü" * 99_000)
    assert told.until_done() == []
    assert server.paths == [f"GET /{SECRET}/start"] * 3 + [f"POST /{SECRET}/fail"]
    assert len(server.requests[-1][2].encode()) == 9_999  # 10 kB, and no half of a letter


def test_a_ping_is_tried_three_times_where_that_may_help(server: Heard) -> None:
    server.answers = [(500, "")] * 3 + [(404, "")]
    told = Told(ping_url=server.ping_url)
    told.notifier.ping("success")
    told.notifier.ping("success")
    assert [warning["reason"] for warning in told.until_done()] == [
        "HTTP 500 Internal Server Error",
        "HTTP 404 Not Found",
    ]
    assert len(server.requests) == 4


def test_a_redirect_is_followed_to_no_other_scheme(server: Heard) -> None:
    server.answers = [(302, "/moved"), (200, ""), (302, f"ftp://127.0.0.1/{SECRET}")]
    told = Told(ping_url=server.ping_url)
    told.notifier.ping("success")
    told.notifier.ping("success")
    (warning,) = told.until_done()
    assert server.paths == [f"GET /{SECRET}", "GET /moved", f"GET /{SECRET}"]
    assert "from http to ftp" in warning["reason"]


def test_a_server_that_is_not_there_is_a_reason() -> None:
    told = Told(ping_url=f"http://127.0.0.1:1/{SECRET}")
    told.notifier.ping("start")
    (warning,) = told.until_done()
    assert "refused" in warning["reason"]


# --- by hand --------------------------------------------------------------------------------------------------------


def test_trying_out_says_for_each_what_happened(server: Heard) -> None:
    server.answers = [(200, ""), (200, ""), (404, "")]
    tried = dict(try_out(NotifySettings(urls=server.urls(), ping_url=server.ping_url), QUICK))
    assert tried == {
        "json://… (the 1. of urls)": "",
        "http://127.0.0.1/… (ping_url), start": "",
        "http://127.0.0.1/… (ping_url), success": "HTTP 404 Not Found",
    }


def test_trying_out_waits_for_nobody_for_ever(server: Heard) -> None:
    server.hang.clear()
    ((_, reason),) = try_out(NotifySettings(urls=server.urls()), Patience(limit_s=0.2))
    assert reason == "took too long"


def notify_test(tmp_path: Path, config: str) -> subprocess.CompletedProcess[str]:
    path = tmp_path / "config.toml"
    path.write_text(config, encoding="utf-8")
    command = [sys.executable, "-m", "metahuman_daemon.cli", "notify-test", "--config", str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_command_fails_where_one_was_not_reached(server: Heard, tmp_path: Path) -> None:
    server.answers = [(404, "")]
    done = notify_test(tmp_path, f'[notify]\nping_url = "{server.ping_url}"\n')
    assert done.returncode == 1
    assert done.stdout == (
        "FAILED  http://127.0.0.1/… (ping_url), start\n        HTTP 404 Not Found\n"
        "sent    http://127.0.0.1/… (ping_url), success\n"
    )


def test_the_command_says_when_nobody_is_to_be_told(tmp_path: Path) -> None:
    done = notify_test(tmp_path, "")
    assert (done.returncode, done.stdout) == (78, "")
    assert "[notify]" in done.stderr
