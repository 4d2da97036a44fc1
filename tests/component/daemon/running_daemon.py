"""The daemon as systemd runs it: a process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from watched_home import PATIENCE_S, Home, until

# Nothing is ever due: no cycle begins, and only the two small jobs run at the start.
NEVER = 1_000_000


class Daemon:
    """`metahuman run` on a root, from when it listens on. `before`: words in front of the command."""

    def __init__(
        self,
        home: Home,
        config: str = "",
        *,
        environment: dict[str, str] | None = None,
        before: Sequence[str] = (),
        is_ready: Callable[[Daemon], Any] | None = None,
    ) -> None:
        self.home = home
        self.config = home.root / "config.toml"
        if not self.config.exists():
            self.configure(config)
        self._log = home.root / "log"
        self._environment = environment or {}
        self._before = before
        self._is_ready = is_ready or (lambda daemon: "the daemon runs" in daemon.log())

    def configure(self, text: str, threshold: int = NEVER) -> None:
        """Write the config anew."""
        text = text if "[daemon]" in text else f"{text}\n[daemon]\nquiet_s = 0.3\nreconcile_minutes = 60\n"
        own = f"[daemon]\nthreshold = {threshold}\nschedule = ''\nallowed_hours = '00:00-24:00'\ncool_down_hours = 0\n"
        self.config.write_text(text.replace("[daemon]\n", own), encoding="utf-8")

    def __enter__(self) -> Self:
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [*self._before, *self.command("run")],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.home.root,
                env=self.surroundings,
            )
        try:
            until("the daemon to run", lambda: self._is_ready(self) or self.process.poll() is not None)
            assert self.process.poll() is None, self.log()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise
        if kind is None:
            assert "Traceback" not in self.log()

    @property
    def surroundings(self) -> dict[str, str]:
        """Its environment: none of what ours says of MetaHuman, systemd or Ollama."""
        ours = ("METAHUMAN", "OLLAMA", "NOTIFY_", "WATCHDOG_", "JOURNAL_")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        return {**kept, "OLLAMA_HOST": "127.0.0.1:1", "HF_HUB_OFFLINE": "1", **self._environment}

    def command(self, *words: str) -> list[str]:
        """A command of the command line, as it is run here."""
        return [sys.executable, "-m", "metahuman_daemon.cli", *words, "--config", str(self.config)]

    def metahuman(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run another command beside it."""
        return subprocess.run(
            self.command(*words),
            capture_output=True,
            text=True,
            check=False,
            cwd=self.home.root,
            env=self.surroundings,
            timeout=60,
        )

    def log(self) -> str:
        """What it has said on stderr so far."""
        return self._log.read_text(encoding="utf-8") if self._log.exists() else ""

    def status(self, profile: str = "anna") -> dict[str, Any] | None:
        """What its status file says, as `status --json` gives it; None before it has written one."""
        path = self.home.root / "profiles" / profile / "state" / "status.json"
        try:
            value = json.loads(path.read_bytes())
        except FileNotFoundError:
            return None
        if value["daemon"]["pid"] != self.process.pid:
            return None
        return {**value["seen"], "daemon": value["daemon"]}

    def says(
        self,
        what: str,
        holds: Callable[[dict[str, Any]], Any],
        profile: str = "anna",
        patience_s: float = PATIENCE_S,
    ) -> dict[str, Any]:
        """Wait until something holds of its status."""

        def found() -> dict[str, Any] | None:
            assert self.process.poll() is None, self.log()
            status = self.status(profile)
            return status if status and holds(status) else None

        try:
            seen = until(what, found, patience_s)
        except AssertionError as error:
            raise AssertionError(f"{error}; its status: {self.status(profile)}; its log:\n{self.log()}") from error
        assert isinstance(seen, dict)
        return seen

    def logs(self, words: str, times: int = 1) -> None:
        """Wait until it has logged something so many times."""
        until(f"{words!r} in its log", lambda: self.log().count(words) >= times)

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Let it stand still for a while."""
        self.process.send_signal(signal.SIGSTOP)
        stat = Path(f"/proc/{self.process.pid}/stat")
        until("the daemon to stand still", lambda: ") T " in stat.read_text(encoding="utf-8"))
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)

    def ends(self) -> int:
        """Wait until it has ended, and give its exit status."""
        return self.process.wait(20)
