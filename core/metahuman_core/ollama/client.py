"""Talking to an Ollama server, with its traps in one place.

Invariant: every call returns what was asked for, or raises `OllamaDown` (try again later) or `OllamaRefused` (the
server answered, and trying again changes nothing until something else does). Nothing of httpx gets out.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, Self

import httpx
import ollama

from metahuman_core.errors import MetahumanError, PassingError
from metahuman_core.ollama.address import base_url, is_loopback
from metahuman_core.ollama.patience import LOOK_EVERY_S, Patience
from metahuman_core.ollama.shown import Listed, ShownModel, read_shown

Progress = Callable[[int, int], None]
"""Called with (bytes sent, bytes in all)."""

CONNECT_TIMEOUT_S = 5.0
_BLOCK_BYTES = 1 << 20
_UPLOAD_TRIES = 3
_BUSY = (502, 503, 504)
_MISSING = 404
_ADVICE = (
    ("llama-quantize binary not found", "reinstall Ollama: a part of it is missing"),
    ("no space left on device", "make room on the disk of the Ollama server"),
    ("failed to validate gguf", "its disk may be full, or this Ollama may not know the model's architecture"),
    ("permission denied", "let the Ollama service write to its models folder"),
    ("digest mismatch", "the file changed while it was sent"),
    ("must be of type", "a parameter of the model has the wrong type"),
)


class OllamaDown(PassingError):  # noqa: N818 - a state of the world, not of the code
    """No server answers, or it is too busy to: later it may."""


class OllamaRefused(MetahumanError):  # noqa: N818 - as above
    """The server said no. `status` is HTTP's; of a streamed answer, whose status came too early, it is -1."""

    def __init__(self, message: str, hint: str = "", *, status: int = 0) -> None:
        super().__init__(message, hint)
        self.status = status


class OllamaSlow(PassingError):  # noqa: N818 - as above
    """An answer took longer than it may; the connection was closed, so that the server need not write on."""


class OllamaConfused(MetahumanError):  # noqa: N818 - as above
    """What answers does not speak as Ollama does: another program, a proxy, a much newer version."""


class OllamaClient:
    """One server. Use it as a context manager, or `close` it.

    `read_within_s` is for who only looks: to make a model takes as long as it takes, and is silent for minutes.
    """

    def __init__(self, host: str | None = None, *, read_within_s: float | None = None) -> None:
        self.url = base_url(host or os.environ.get("OLLAMA_HOST"))
        timeout = httpx.Timeout(None, connect=CONNECT_TIMEOUT_S, read=read_within_s)
        # A proxy never leads to our own machine.
        self._api = ollama.Client(self.url, timeout=timeout, trust_env=not is_loopback(self.url), verify=_tls())
        self._http = self._connections(timeout)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._api.close()  # type: ignore[no-untyped-call]
        self._http.close()

    def _connections(self, timeout: httpx.Timeout) -> httpx.Client:
        """For the requests that are not the library's."""
        key = os.environ.get("OLLAMA_API_KEY")
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        remote = not is_loopback(self.url)
        return httpx.Client(base_url=self.url, timeout=timeout, trust_env=remote, headers=headers, verify=_tls())

    def version(self) -> str:
        """The server's version, like `0.33.0-rc2`."""
        with self._told_apart():
            answer = self._http.get("/api/version")
            _raise_for(answer)
            return str(answer.json()["version"])

    def ps(self) -> list[Listed]:
        """The models that are loaded."""
        with self._told_apart():
            models = self._api.ps().models
        return [
            Listed(m.model or "", m.digest or "", int(m.size or 0), int(m.size_vram or 0), m.expires_at) for m in models
        ]

    def tags(self) -> list[Listed]:
        """The models that the server has."""
        with self._told_apart():
            models = self._api.list().models
        return [Listed(m.model or "", m.digest or "", int(m.size or 0)) for m in models]

    def show(self, name: str) -> ShownModel | None:
        """What the server knows of a model; None if it has none of that name."""
        try:
            with self._told_apart():
                # Not the library's: its answer has no `system`.
                answer = self._http.post("/api/show", json={"model": name})
                _raise_for(answer)
                return read_shown(answer.json())
        except OllamaRefused as error:
            if error.status == _MISSING:
                return None
            raise

    def exists(self, name: str) -> bool:
        """Whether the server has a model of that name."""
        return self.show(name) is not None

    def ensure_blob(self, path: Path, sha256: str, progress: Progress | None = None) -> bool:
        """Have the server hold the file; False if it did already.

        Asked first, always: the server answers the POST of a blob that it has before it read the body, and closes.
        An upload that breaks off leaves nothing there; it is asked again, then sent again.
        """
        target = f"/api/blobs/sha256:{sha256.lower()}"
        for attempt in range(_UPLOAD_TRIES):
            try:
                with self._told_apart():
                    answer = self._http.head(target)
                    if answer.status_code == httpx.codes.OK:
                        return False
                    if answer.status_code != _MISSING:
                        _raise_for(answer)
                    size = path.stat().st_size
                    with path.open("rb") as file:
                        blocks = _blocks(iter(lambda: file.read(_BLOCK_BYTES), b""), size, progress)
                        _raise_for(self._http.post(target, content=blocks, headers={"Content-Length": str(size)}))
                    return True
            except OllamaDown:
                if attempt + 1 == _UPLOAD_TRIES:
                    raise
        raise AssertionError  # the last attempt returned or raised

    def create(self, request: Mapping[str, Any], said: Callable[[str], None] | None = None) -> None:
        """Make a model of a request like `modelfile.to_request`'s, and return when it is there.

        With `said` the answer is streamed and each of its lines is passed on; then going away cancels the create.
        """
        body = {key: value for key, value in request.items() if key != "stream"}
        with self._told_apart():
            if said is None:
                status = self._api.create(**body, stream=False).status
            else:
                status = None
                for line in self._api.create(**body, stream=True):
                    status = line.status
                    said(status or "")
        if status != "success":
            raise OllamaConfused(f"Ollama at {self.url} ended a create with {status!r}", "look at its log")

    def copy(self, source: str, destination: str) -> None:
        """Give a model a second name; a model that had it loses it."""
        with self._told_apart():
            self._api.copy(source, destination)

    def delete(self, name: str) -> bool:
        """Delete a name, and its model if no other name has it; False if there was none."""
        try:
            with self._told_apart():
                self._api.delete(name)
        except OllamaRefused as error:
            if error.status == _MISSING:
                return False
            raise
        return True

    def unload(self, name: str) -> None:
        """Have a model leave the memory; nothing happens if it is not loaded, or not there."""
        try:
            with self._told_apart():
                self._api.generate(name, keep_alive=0)
        except OllamaRefused as error:
            if error.status != _MISSING:
                raise

    def chat(
        self,
        name: str,
        messages: Sequence[tuple[str, str]],
        options: Mapping[str, Any] | None = None,
        keep_alive_s: float | None = None,
    ) -> str:
        """One answer to (role, content) messages, its thoughts in front if the server parted them."""
        turns = [{"role": role, "content": content} for role, content in messages]
        with self._told_apart():
            answer = self._api.chat(name, turns, options=options, keep_alive=keep_alive_s)
        return (answer.message.thinking or "") + (answer.message.content or "")

    def answer_as(
        self,
        name: str,
        messages: Sequence[tuple[str, str]],
        schema: Mapping[str, Any],
        *,
        options: Mapping[str, Any],
        keep_alive_s: float,
        thinks: bool,
        within_s: float,
    ) -> str:
        """One answer, a JSON text by `schema` if the model keeps to it; a model that `thinks` is told not to.

        A Ctrl-C is heard while the server writes. Raises OllamaSlow where it takes longer than `within_s`.
        """
        turns = [{"role": role, "content": content} for role, content in messages]
        body = {"model": name, "messages": turns, "format": schema, "options": options, "keep_alive": keep_alive_s}
        body |= {"stream": False} | ({"think": False} if thinks else {})
        late = OllamaSlow(f"{name} took longer than {within_s:g} s for one answer", "a smaller model is faster")
        timeout = httpx.Timeout(within_s + LOOK_EVERY_S, connect=CONNECT_TIMEOUT_S)
        # A connection of its own: to wait for it in pieces one has to have seen it made.
        with self._told_apart(), self._connections(timeout) as http:
            answer = http.post("/api/chat", json=body, extensions={"trace": Patience(within_s, late)})
            _raise_for(answer)
            return str(answer.json()["message"]["content"])

    @contextmanager
    def _told_apart(self) -> Iterator[None]:
        """Turn what the libraries raise into our three errors."""
        try:
            yield
        except ollama.ResponseError as error:
            raise self._refusal(error.status_code, error.error) from error
        except (ConnectionError, httpx.TransportError) as error:
            why = f"{error}".split(". ")[0] or type(error).__name__
            raise OllamaDown(
                f"no Ollama server answers at {self.url}: {why}",
                "start it (ollama serve), or say in OLLAMA_HOST where it is; nothing is lost",
            ) from error
        except (ValueError, KeyError, TypeError, AttributeError, httpx.HTTPError) as error:
            raise OllamaConfused(f"what answers at {self.url} is not Ollama: {error}".split("\n")[0]) from error

    def _refusal(self, status: int, message: str) -> MetahumanError:
        page = message.lstrip().startswith("<")
        if page and status not in _BUSY:
            return OllamaConfused(f"what answers at {self.url} is not Ollama: a page with status {status}")
        message = f"status {status}" if page else message.strip() or "no reason given"
        if status in _BUSY:
            return OllamaDown(f"Ollama at {self.url} is busy: {message}", "it will be tried again")
        if status == httpx.codes.FORBIDDEN:
            hint = "set OLLAMA_HOST on the server, or use its loopback address: it refuses other host names"
            return OllamaRefused(f"Ollama at {self.url} forbids the request: {message}", hint, status=status)
        hint = next((advice for sign, advice in _ADVICE if sign in message.lower()), "")
        return OllamaRefused(f"Ollama: {message}", hint, status=status)


@cache
def _tls() -> ssl.SSLContext:
    """The system's certificates, read once: that takes longer than a request."""
    return ssl.create_default_context()


def _raise_for(answer: httpx.Response) -> None:
    """As the ollama client does it, for the requests that are not its."""
    if not answer.is_success:
        raise ollama.ResponseError(answer.text, answer.status_code)


def _blocks(blocks: Iterator[bytes], size: int, progress: Progress | None) -> Iterator[bytes]:
    sent = 0
    for block in blocks:
        yield block
        sent += len(block)
        if progress:
            progress(sent, size)
