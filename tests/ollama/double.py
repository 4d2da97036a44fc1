"""A double of Ollama: an HTTP server on loopback that answers as two real servers were recorded to answer.

`test_double_holds_to_recordings.py` replays every recording against it. It stores models on disk but runs none: a
chat gets a fixed text, or one that tells which weights answer. By hand:
`python tests/ollama/double.py --port 11434 --version 0.33.0-rc2 --folder /tmp/models`.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

import jinja2
from double_rules import BARE, MODELS, Name, RefusedError, check_create, is_cloud_or_local, parse_name
from double_show import Runner, running, shown, tag
from double_store import Manifest, Store

JSON = "application/json"
JSON_UTF8 = "application/json; charset=utf-8"
LINES = "application/x-ndjson"
ANSWER = (
    "Hello, I am the double of a model. I keep what you give me, and because nobody ever trained me I answer every "
    "question that you may ask with these very same words, always and in this order."
)
KEEP_ALIVE = timedelta(minutes=5)
_FLOATS = ("temperature", "top_p", "min_p", "typical_p", "repeat_penalty", "presence_penalty", "frequency_penalty")
_METHODS = {
    "/": "GET", "/api/version": "GET", "/api/tags": "GET", "/api/ps": "GET", "/api/status": "GET",
    "/api/show": "POST", "/api/create": "POST", "/api/copy": "POST", "/api/delete": "DELETE",
    "/api/generate": "POST", "/api/chat": "POST",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Seen:
    """One request as it arrived. `body` is the JSON, or the number of bytes of a blob."""

    method: str
    path: str
    headers: dict[str, str]
    body: Any


@dataclass(slots=True)
class Failure:
    kind: str
    path: str
    times: int | None


@dataclass(slots=True)
class OllamaDouble:
    """`with OllamaDouble(version, folder) as double:` and then `double.url`."""

    version: str
    folder: Path
    port: int = 0
    answer: str | Callable[[str], str] = ANSWER
    """What every model answers, or what answers for the digest of a model's weights."""
    structured: Callable[[dict[str, Any]], str] | None = None
    """What answers a chat that asks for a `format`, told its request; it may raise RefusedError."""
    shows: dict[str, Any] = field(default_factory=dict)
    """What `show` tells of every model beside the usual (capabilities, remote_host)."""
    on_card: bool = False
    on_request: Callable[[str], None] = lambda _: None
    """Called with the path of each request when it has come, before it is answered."""
    log: list[Seen] = field(default_factory=list)
    runners: dict[str, Runner] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)
    lock: threading.RLock = field(default_factory=threading.RLock)
    store: Store = field(init=False)
    moving: threading.Event = field(default_factory=threading.Event)
    """Set, what was stalled goes on."""
    _server: _Server | None = None
    _thread: threading.Thread | None = None

    def __post_init__(self) -> None:
        self.store = Store(self.folder, rewrites=self.rewrites)

    @property
    def rewrites(self) -> bool:
        """Since 0.30 a GGUF goes through llama-quantize, and its Jinja template is used."""
        major, minor = (int(part) for part in self.version.split(".")[:2])
        return (major, minor) >= (0, 30)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> Self:
        """Listen; on the same port as before, if it listened before."""
        handler = type("BoundHandler", (Handler,), {"double": self})
        self._server = _Server(("127.0.0.1", self.port), handler)
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()
        return self

    def stop(self) -> None:
        """Go away, with what is loaded; models stay on disk."""
        self.moving.set()
        if self._server and self._thread:
            self._server.shutdown()
            self._server.server_close()
            self._server.hang_up()
            self._thread.join()
            self._server = None
        self.runners.clear()

    def fail_with(self, kind: str, path: str = "", times: int | None = None) -> None:
        """Fail from now on (or `times` times) where the path starts with `path`.

        Kinds: disk-full and no-llama-quantize (create), disk-full-upload, unwritable, drop (no answer), drop-body (the
        connection breaks while a blob is sent), busy (503), nonsense (200, not JSON), stall (no answer until `moving`
        is set), crash (what runs the model has ended).
        """
        self.failures.append(Failure(kind, path, times))
        self.store.failures.add(kind)

    def heal(self) -> None:
        """Fail no more."""
        self.failures.clear()
        self.store.failures.clear()

    def failing(self, kind: str, path: str) -> bool:
        with self.lock:
            for failure in self.failures:
                if failure.kind == kind and path.startswith(failure.path) and failure.times != 0:
                    failure.times = None if failure.times is None else failure.times - 1
                    return True
        return False

    def asked(self, path: str) -> list[Seen]:
        """What was asked of paths that start with `path`."""
        return [seen for seen in self.log if seen.path.startswith(path)]


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, *given: Any) -> None:
        self._open: set[socket.socket] = set()
        super().__init__(*given)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._open.add(request)
        super().process_request(request, client_address)

    def hang_up(self) -> None:
        """End the connections that clients keep open."""
        for connection in self._open:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, *_: Any) -> None:
        """A client that went away is no news."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # a small answer would wait 40 ms for the client's delayed ACK
    double: OllamaDouble
    _raw: bytes

    def log_message(self, *_: Any) -> None:
        """Say nothing; `OllamaDouble.log` has it all."""

    def do_GET(self) -> None:
        self._answer()

    do_HEAD = do_POST = do_DELETE = do_GET  # noqa: N815 - http.server names them so

    def _answer(self) -> None:
        path = urlsplit(self.path).path
        blob = path.startswith("/api/blobs/") and self.command in ("HEAD", "POST")
        self._raw = b"" if blob else b"".join(self._body())
        self.double.on_request(path)
        if self.double.failing("stall", path):
            self.double.moving.wait()
        if self.double.failing("drop", path):
            self.close_connection = True
        elif self._forbidden():
            self._send(403, b"")
        elif blob:
            self._blob(path.removeprefix("/api/blobs/"))
        elif self.double.failing("busy", path):
            self._json(503, {"error": "server busy, please try again.  maximum pending requests exceeded"})
        elif self.double.failing("nonsense", path):
            self._send(200, b"<html>a portal</html>", "text/html")
        elif path not in _METHODS:
            self._send(404, b"404 page not found", "text/plain")
        elif self.command != _METHODS[path] and (self.command, _METHODS[path]) != ("HEAD", "GET"):
            self._send(405, b"405 method not allowed", "text/plain", {"Allow": _METHODS[path]})
        else:
            self._api(path)

    def _forbidden(self) -> bool:
        local = r"(localhost|[a-z0-9.-]+\.localhost|\d+\.\d+\.\d+\.\d+|\[[0-9a-f:]+\])(:\d+)?"
        origin = self.headers.get("Origin")
        host = re.fullmatch(local, self.headers.get("Host", "").lower())
        return not host or bool(origin and not re.fullmatch(f"https?://{local}", origin))

    # --- blobs

    def _blob(self, text: str) -> None:
        path, found = f"/api/blobs/{text}", re.fullmatch(r"sha256[:-]([0-9a-fA-F]{64})", text)
        store = self.double.store
        if self.command == "HEAD":
            self._note(None)
            if not found:
                self._json(400, {"error": "invalid digest format"})
            elif store.blob(found[1]).exists():
                self._send(200, b"")
            else:
                self._json(404, {"error": "blob not found"})
            return
        if found and store.blob(found[1]).exists():
            self._note(0)
            self.close_connection = True  # the body is not read: a client that is still sending gets a broken pipe
            self._send(200, b"")
            return
        if self.double.failing("drop-body", path):
            self._note(len(self.rfile.read1(1)))
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True
            return
        try:
            self._upload(found[1] if found else None)
        except RefusedError as error:
            self._json(error.status, {"error": error.message})
        else:
            self._send(201, b"")

    def _upload(self, asked: str | None) -> None:
        if asked is None:
            self._note(sum(map(len, self._body())))
            raise RefusedError(400, "invalid digest format", early=True)
        store, digest, size = self.double.store, hashlib.sha256(), 0
        partial = store.folder / "blobs" / f"sha256-{threading.get_ident()}"
        with partial.open("wb") as file:
            for block in self._body():
                digest.update(block)
                size += len(block)
                file.write(block)
        self._note(size)
        where = f"{MODELS}/blobs/sha256-671533105"
        for kind, doing, why in (("unwritable", "open", "permission denied"),
                                 ("disk-full-upload", "write", "no space left on device")):  # fmt: skip
            if self.double.failing(kind, self.path):
                partial.unlink()
                raise RefusedError(500, f"{doing} {where}: {why}", early=True)
        store.finish_upload(asked, partial, digest.hexdigest())

    def _body(self) -> Iterator[bytes]:
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            while size := int(self.rfile.readline().split(b";")[0], 16):
                yield self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return
        left = int(self.headers.get("Content-Length") or 0)
        while left > 0:
            block = self.rfile.read(min(left, 1 << 20))
            if not block:
                raise ConnectionError
            left -= len(block)
            yield block

    # --- the rest of the interface

    def _api(self, path: str) -> None:
        if self.command in ("GET", "HEAD"):
            self._note(None)
            self._get(path)
            return
        try:
            request = json.loads(self._raw) if self._raw.strip() else None
        except json.JSONDecodeError:
            self._json(400, {"error": "unexpected EOF"})
            return
        self._note(request)
        if request is None:
            self._json(400, {"error": "missing request body"})
            return
        try:
            with self.double.lock:
                getattr(self, f"_{path.removeprefix('/api/')}")(request)
        except RefusedError as error:
            self._json(error.status, {"error": error.message})

    def _get(self, path: str) -> None:
        double = self.double
        match path:
            case "/":
                self._send(200, b"Ollama is running", "text/plain; charset=utf-8")
            case "/api/version":
                self._json(200, {"version": double.version})
            case "/api/status":
                self._json(200, {"cloud": {"disabled": True, "source": "env"}})
            case "/api/ps":
                runners = sorted(double.runners.items(), key=lambda item: item[1].expires, reverse=True)
                self._json(
                    200, {"models": [running(double.store, runner, on_card=double.on_card) for _, runner in runners]}
                )
            case "/api/tags":
                models = sorted(double.store.manifests.values(), key=lambda model: model.modified, reverse=True)
                self._json(200, {"models": [tag(double.store, model) for model in models]})

    def _show(self, request: dict[str, Any]) -> None:
        text = request.get("model") or request.get("name") or ""
        if not text:
            raise RefusedError(400, "model is required", early=True)
        name = parse_name(text)
        if name is None:
            raise RefusedError(400, "invalid model name", early=True)
        if name.tag == "cloud" or name.tag.endswith("-cloud"):
            raise RefusedError(403, "ollama cloud is disabled: remote model details are unavailable", early=True)
        asked = text.removesuffix(":local")  # the tag is taken for a source, and dropped
        model = self.double.store.find(asked)
        if model is None:
            full = asked if ":" in asked or not self.double.rewrites else f"{asked}:latest"
            raise RefusedError(404, f"model '{full}' not found", early=True)
        self._json(200, shown(self.double.store, model) | self.double.shows)

    def _create(self, request: dict[str, Any]) -> None:
        check_create(request)
        lines = self.double.store.create(request)
        if request.get("stream", True):
            try:
                first = next(lines)
            except RefusedError as error:
                self._json(error.status, {"error": error.message}, JSON)
            else:
                self._stream(self._until_refused(first, lines))
            return
        try:
            for _ in lines:
                pass
        except RefusedError as error:
            self._json(error.status, {"error": error.message}, JSON)
        else:
            self._json(200, {"status": "success"}, JSON)

    def _until_refused(self, first: dict[str, Any], lines: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        yield first
        try:
            yield from lines
        except RefusedError as error:
            yield {"error": error.message}

    def _copy(self, request: dict[str, Any]) -> None:
        self.double.store.copy(request.get("source", ""), request.get("destination", ""))
        self._send(200, b"")

    def _delete(self, request: dict[str, Any]) -> None:
        self.double.store.delete(request.get("model") or request.get("name") or "")
        self._send(200, b"")

    def _generate(self, request: dict[str, Any]) -> None:
        self._run(request, loading=not request.get("prompt"), chat=False)

    def _chat(self, request: dict[str, Any]) -> None:
        self._run(request, loading=not request.get("messages"), chat=True)

    def _run(self, request: dict[str, Any], *, loading: bool, chat: bool) -> None:
        double, name = self.double, request.get("model", "")
        keep_alive = duration(request.get("keep_alive"))
        parsed, model = parse_name(name), double.store.find(name)
        if parsed is None or model is None or is_cloud_or_local(parsed):
            raise RefusedError(404, f"model '{name}' not found", early=True)
        base = {"model": name, "created_at": now_text()}
        blob = model.digests("model")[-1]
        if loading and keep_alive == timedelta(0):
            double.runners.pop(blob, None)
            self._json(200, base | said("", chat=chat) | {"done": True, "done_reason": "unload"})
            return
        template = double.store.template(model)
        options = double.store.parameters(model) | (request.get("options") or {})
        self._check_run(request, parsed, template, options, "/api/chat" if chat else "/api/generate")
        self._load(model, blob, keep_alive)
        if loading:
            self._json(200, base | said("", chat=chat) | {"done": True, "done_reason": "load"})
            return
        text = self._text(request, blob, template)
        words = re.findall(r"\S+\s*", text)
        limit = int(options.get("num_predict", -1))
        cut = words if limit < 0 else words[:limit]
        reason = "length" if limit >= 0 and text and limit <= len(words) else "stop"
        timings = {"total_duration": 4, "load_duration": 1, "prompt_eval_count": 9, "prompt_eval_duration": 1,
                   "eval_count": max(1, len(cut))} | ({"eval_duration": 2} if cut else {})  # fmt: skip
        last = {"done": True, "done_reason": reason} | ({} if chat else {"context": [1, 2]}) | timings
        if keep_alive == timedelta(0):
            double.runners.pop(blob, None)
        if request.get("stream", True):
            pieces = [base | said(word, chat=chat) | {"done": False} for word in cut]
            self._stream(iter([*pieces, base | said("", chat=chat) | last]))
        else:
            self._json(200, base | said("".join(cut).rstrip(), chat=chat) | last)

    def _text(self, request: dict[str, Any], blob: str, template: str) -> str:
        """What the model says."""
        double = self.double
        if not double.rewrites and template == BARE:
            return ""
        if request.get("format") and double.structured:
            return double.structured(request)
        return double.answer if isinstance(double.answer, str) else double.answer(blob)

    def _check_run(
        self, request: dict[str, Any], name: Name, template: str, options: dict[str, Any], path: str
    ) -> None:
        """What is refused before a model is loaded."""
        if request.get("tools") and ".Tools" not in template and "tools" not in template:
            raise RefusedError(400, f"{name.full} does not support tools", early=True)
        if request.get("think") and "thinking" not in self.double.shows.get("capabilities", ()):
            raise RefusedError(400, f'"{request["model"]}" does not support thinking', early=True)
        if self.double.failing("crash", path):
            raise RefusedError(500, "llama-server process has terminated: exit status 2", early=True)
        for key in _FLOATS:
            if isinstance(options.get(key, 0), str):
                raise RefusedError(500, f'option "{key}" must be of type float32', early=True)

    def _load(self, model: Manifest, blob: str, keep_alive: timedelta | None) -> None:
        double, header = self.double, self.double.store.header(model)
        if header.values.get("general.architecture") == "nosucharch":
            raise RefusedError(500, f"unable to load model: {MODELS}/blobs/sha256-{blob}", early=True)
        if double.rewrites and (template := double.store.template(model)) != BARE and not model.digests("template"):
            try:
                jinja2.Environment(autoescape=True).parse(template)
            except jinja2.TemplateSyntaxError:
                problem = "exit status 1: error: Unexpected token type\nerror: std::exception"
                raise RefusedError(500, f"llama-server process has terminated: {problem}", early=True) from None
        expires = datetime.now(UTC) + (KEEP_ALIVE if keep_alive is None else keep_alive)
        if blob in double.runners:
            double.runners[blob].expires = expires
        else:
            double.runners[blob] = Runner(model.name, model, expires)

    # --- sending

    def _note(self, body: Any) -> None:
        headers = {key.lower(): value for key, value in self.headers.items()}
        self.double.log.append(Seen(self.command, urlsplit(self.path).path, headers, body))

    def _json(self, status: int, answer: dict[str, Any], kind: str = JSON_UTF8) -> None:
        self._send(status, json.dumps(answer, ensure_ascii=False).encode(), kind)

    def _send(self, status: int, body: bytes, kind: str = "", headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        if kind:
            self.send_header("Content-Type", kind)
        if (origin := self.headers.get("Origin")) and status != 403:
            self.send_header("Access-Control-Allow-Origin", origin)
            self.send_header("Vary", "Origin")
        for key, value in (headers or {}).items():
            self.send_header(key, value)
        if not (self.command == "HEAD" and not body):
            self.send_header("Content-Length", str(len(body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _stream(self, lines: Iterator[dict[str, Any]]) -> None:
        self.send_response(200)
        self.send_header("Content-Type", LINES)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for line in lines:
            data = json.dumps(line, ensure_ascii=False).encode() + b"\n"
            self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        self.wfile.write(b"0\r\n\r\n")


def said(text: str, *, chat: bool) -> dict[str, Any]:
    return {"message": {"role": "assistant", "content": text}} if chat else {"response": text}


def now_text() -> str:
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")


def duration(value: Any) -> timedelta | None:
    """A keep_alive: seconds, or a number with a unit."""
    if value is None or isinstance(value, int | float):
        return None if value is None else timedelta(seconds=value)
    found = re.fullmatch(r"(\d+(?:\.\d+)?)(ms|s|m|h)", value)
    if not found:
        raise RefusedError(400, f'time: invalid duration "{value}"', early=True)
    return timedelta(seconds=float(found[1]) * {"ms": 0.001, "s": 1, "m": 60, "h": 3600}[found[2]])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=11434)
    parser.add_argument("--version", default="0.33.0-rc2")
    parser.add_argument("--folder", type=Path, required=True)
    given = parser.parse_args()
    with OllamaDouble(given.version, given.folder, given.port) as double:
        print(f"a double of Ollama {double.version} listens at {double.url}", flush=True)  # noqa: T201
        with suppress(KeyboardInterrupt):
            threading.Event().wait()


if __name__ == "__main__":
    main()
