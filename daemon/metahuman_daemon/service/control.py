"""How the command line reaches a running daemon: one line of JSON in, one out, over a socket that only its user opens.

Invariant: whoever holds `state/daemon.lock` is the daemon of this root; its socket lies beside the lock.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Self

from metahuman_core.errors import BusyError, MetahumanError

_ANSWER_S = 10.0
_REQUEST_S = 0.5
_LONGEST_BYTES = 1 << 16
_BACKLOG = 16
_LOCK_TRIES = 5
_LOCK_PAUSE_S = 0.1
_WHOSE = "it answers the user it runs as: sudo -u metahuman metahuman …"


def socket_path(root: Path) -> Path:
    """Where the daemon of a root listens."""
    return root / "state" / "daemon.sock"


@contextmanager
def only_daemon(root: Path) -> Iterator[None]:
    """Be the one daemon of a root, or raise BusyError."""
    path = root / "state" / "daemon.lock"
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except PermissionError as error:
        raise MetahumanError(
            f"{root} is not yours: {error.filename} cannot be written", "run it as its owner"
        ) from error
    try:
        for left in reversed(range(_LOCK_TRIES)):
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if not left:
                    raise BusyError(f"a daemon for {root} is running already", "see `metahuman status`") from error
                time.sleep(_LOCK_PAUSE_S)  # `status` may just be asking whether somebody holds it
        yield
    finally:
        os.close(fd)


class Listener:
    """The daemon's end. Made by the one that holds the lock, so that a socket that is there is a dead one's."""

    def __init__(self, root: Path) -> None:
        path = socket_path(root)
        path.unlink(missing_ok=True)
        self._path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        with _short_name(path) as name:
            self._socket.bind(name)
        path.chmod(0o600)
        self._socket.listen(_BACKLOG)
        self._socket.setblocking(False)

    def fileno(self) -> int:
        """For a selector."""
        return self._socket.fileno()

    @contextmanager
    def request(self) -> Iterator[tuple[dict[str, Any], dict[str, Any]] | None]:
        """One request and the answer to be filled in; None if nobody asked anything that can be understood."""
        try:
            connection, _ = self._socket.accept()
        except OSError:
            yield None
            return
        with connection:
            asked = _received(connection, _REQUEST_S)
            if asked is None:
                yield None
                return
            answer: dict[str, Any] = {}
            yield asked, answer
            connection.settimeout(_REQUEST_S)
            with suppress(OSError):
                connection.sendall(json.dumps(answer).encode() + b"\n")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop listening."""
        self._socket.close()
        self._path.unlink(missing_ok=True)


def ask(root: Path, **request: Any) -> dict[str, Any] | None:
    """Ask the daemon of a root; None if there is none. Raises MetahumanError if it does not answer."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as connection:
        connection.settimeout(_ANSWER_S)
        try:
            with _short_name(socket_path(root)) as name:
                connection.connect(name)
        except (FileNotFoundError, ConnectionRefusedError):
            return None
        except OSError as error:
            raise MetahumanError(f"the daemon cannot be reached: {error.strerror or error}", _WHOSE) from error
        try:
            connection.sendall(json.dumps(request).encode() + b"\n")
            answer = _received(connection, _ANSWER_S)
        except OSError:
            answer = None
        if answer is None:
            raise MetahumanError("the daemon does not answer", "see its log: journalctl -u metahuman")
        return answer


def _received(connection: socket.socket, within_s: float) -> dict[str, Any] | None:
    """One line of JSON, an object; None where it has not come as a whole in time, however it trickles."""
    line = b""
    until_s = time.monotonic() + within_s
    try:
        while not line.endswith(b"\n") and len(line) < _LONGEST_BYTES:
            connection.settimeout(max(0.001, until_s - time.monotonic()))
            part = connection.recv(4096)
            if not part:
                break
            if time.monotonic() > until_s:
                return None
            line += part
        value = json.loads(line)
    except (OSError, ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


@contextmanager
def _short_name(path: Path) -> Iterator[str]:
    """A name for a socket however deep its folder lies: an address holds 107 bytes."""
    fd = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{fd}/{path.name}"
    finally:
        os.close(fd)
