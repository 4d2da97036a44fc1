"""A double of the Hugging Face Hub: two HTTP servers on loopback, the Hub itself and the host that holds large files.

It answers what a download needs: a model's description and tree at a revision, and its files by HEAD and GET, with
ETag, Range, and the Hub's own error codes. Large files are redirected to the second host, as the Hub does it.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import unquote, urlsplit

LARGE_BYTES = 1 << 20
_DESCRIBED = re.compile(r"/api/models/(?P<name>[^/]+/[^/]+)(?:/(?P<kind>revision|tree)/(?P<revision>[^/]+))?$")
_RESOLVED = re.compile(r"/(?P<name>[^/]+/[^/]+)/resolve/(?P<revision>[^/]+)/(?P<path>.+)$")
_BLOCK_BYTES = 1 << 16


@dataclass(frozen=True, slots=True)
class Repository:
    """One model: its files, the commits that names stand for, and who may have it."""

    files: Mapping[str, bytes]
    commit: str = "c0ffee" * 6 + "cafe"
    tags: tuple[str, ...] = ("main",)
    token: str = ""
    gated: bool = False
    xet: bool = False


@dataclass(frozen=True, slots=True)
class Seen:
    """One request as it arrived; `host` is "hub" or "storage"."""

    host: str
    method: str
    path: str
    headers: Mapping[str, str]


@dataclass(slots=True)
class HubDouble:
    """`with HubDouble({"org/model": Repository(…)}) as hub:` and then `hub.url` as HF_ENDPOINT.

    `hold_after_bytes`: a large file's sender stops there, until the other end is gone or the double ends.
    `replace`: a large file's bytes as they come over the wire.
    """

    models: Mapping[str, Repository]
    hold_after_bytes: int | None = None
    replace: Callable[[bytes], bytes] = bytes
    log: list[Seen] = field(default_factory=list)
    _released: threading.Event = field(default_factory=threading.Event)
    _servers: list[_Server] = field(default_factory=list)

    def __enter__(self) -> Self:
        for host in ("hub", "storage"):
            server = _Server(self, host)
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
            self._servers.append(server)
        return self

    def __exit__(self, *_: object) -> None:
        self._released.set()
        for server in self._servers:
            server.shutdown()
            server.server_close()

    @property
    def url(self) -> str:
        """What HF_ENDPOINT has to be."""
        return f"http://127.0.0.1:{self._servers[0].server_port}"

    @property
    def storage_url(self) -> str:
        """The other host. Another name, too, so that nobody takes it for the same one."""
        return f"http://localhost:{self._servers[1].server_port}"

    def asked(self, host: str, method: str = "GET") -> list[str]:
        """The paths that a host was asked for."""
        return [seen.path for seen in self.log if seen.host == host and seen.method == method]


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def git_id(content: bytes) -> str:
    """What git calls a file of this content."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()  # noqa: S324  # git's choice


def _description(name: str, repository: Repository) -> dict[str, Any]:
    siblings = [
        {"rfilename": path, "size": len(content), "blobId": git_id(content), **_lfs(content, "sha256", "pointerSize")}
        for path, content in repository.files.items()
    ]
    return {"id": name, "modelId": name, "sha": repository.commit, "siblings": siblings, "private": False, "tags": []}


def _tree(repository: Repository) -> list[dict[str, Any]]:
    folders = sorted({path.rpartition("/")[0] for path in repository.files if "/" in path})
    return [
        *({"type": "directory", "path": folder, "oid": git_id(folder.encode()), "size": 0} for folder in folders),
        *(
            {
                "type": "file",
                "path": path,
                "size": len(content),
                "oid": git_id(content),
                **_lfs(content, "oid", "pointerSize"),
                **({"xetHash": sha256(content)} if repository.xet and len(content) >= LARGE_BYTES else {}),
            }
            for path, content in repository.files.items()
        ),
    ]


def _lfs(content: bytes, digest: str, pointer: str) -> dict[str, Any]:
    if len(content) < LARGE_BYTES:
        return {}
    return {"lfs": {digest: sha256(content), "size": len(content), pointer: 134}}


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, double: HubDouble, host: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.double = double
        self.host = host


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    @property
    def _at(self) -> _Server:
        assert isinstance(self.server, _Server)
        return self.server

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        self._at.double.log.append(
            Seen(self._at.host, self.command, self.path, {k.lower(): v for k, v in self.headers.items()})
        )
        path = unquote(urlsplit(self.path).path)
        if self._at.host == "storage":
            self._stored(path.removeprefix("/"))
        elif found := _DESCRIBED.fullmatch(path):
            self._described(found["name"], found["kind"] or "revision", found["revision"] or "main")
        elif found := _RESOLVED.fullmatch(path):
            self._resolved(found["name"], found["revision"], found["path"])
        else:
            self._refuse(404, "", "no such page")

    def _described(self, name: str, kind: str, revision: str) -> None:
        repository = self._found(name, revision)
        if repository is not None:
            self._json(_tree(repository) if kind == "tree" else _description(name, repository))

    def _resolved(self, name: str, revision: str, path: str) -> None:
        repository = self._found(name, revision)
        if repository is None:
            return
        if repository.gated and not self._may(repository):
            code = 403 if "Authorization" in self.headers else 401
            self._refuse(code, "GatedRepo", f"Access to model {name} is restricted.")
            return
        content = repository.files.get(path)
        if content is None:
            self._refuse(404, "EntryNotFound", "Entry not found")
            return
        common = {"X-Repo-Commit": repository.commit}
        if len(content) < LARGE_BYTES:
            self._send(content, {**common, "ETag": f'"{git_id(content)}"'})
            return
        digest = sha256(content)
        if repository.xet:
            refresh = f"{self._at.double.url}/api/models/{name}/xet-read-token/{repository.commit}"
            common |= {"X-Xet-Hash": digest, "X-Xet-Refresh-Route": refresh, "Link": f'<{refresh}>; rel="xet-auth"'}
        common |= {"X-Linked-ETag": f'"{digest}"', "X-Linked-Size": str(len(content))}
        common |= {"Location": f"{self._at.double.storage_url}/{digest}"}
        self._head(302, {**common, "Content-Length": "0"})

    def _stored(self, digest: str) -> None:
        contents = (c for repository in self._at.double.models.values() for c in repository.files.values())
        content = next((c for c in contents if len(c) >= LARGE_BYTES and sha256(c) == digest), None)
        if content is None:
            self._refuse(404, "", "no such object")
        else:
            self._send(self._at.double.replace(content), {"ETag": f'"{digest}"'}, self._at.double.hold_after_bytes)

    def _found(self, name: str, revision: str) -> Repository | None:
        repository = self._at.double.models.get(name)
        hidden = repository is not None and not repository.gated and not self._may(repository)
        if repository is None or hidden:
            code = 404 if "Authorization" in self.headers else 401
            self._refuse(code, "RepoNotFound", "Repository not found")
            return None
        if revision not in (*repository.tags, repository.commit):
            self._refuse(404, "RevisionNotFound", f"Invalid rev id: {revision}")
            return None
        return repository

    def _may(self, repository: Repository) -> bool:
        return not repository.token or self.headers.get("Authorization") == f"Bearer {repository.token}"

    def _send(self, content: bytes, headers: Mapping[str, str], hold_after_bytes: int | None = None) -> None:
        begin = 0
        headers = {**headers, "Accept-Ranges": "bytes", "Content-Type": "application/octet-stream"}
        if found := re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", "")):
            begin = int(found[1])
            headers["Content-Range"] = f"bytes {begin}-{len(content) - 1}/{len(content)}"
        self._head(206 if begin else 200, {**headers, "Content-Length": str(len(content) - begin)})
        if self.command == "HEAD":
            return
        for at in range(begin, len(content), _BLOCK_BYTES):
            if hold_after_bytes is not None and at >= hold_after_bytes:
                self.wfile.flush()
                self._at.double._released.wait()
                self.close_connection = True
                return
            self.wfile.write(content[at : min(at + _BLOCK_BYTES, len(content))])

    def _json(self, value: Any) -> None:
        body = json.dumps(value).encode()
        self._head(200, {"Content-Type": "application/json", "Content-Length": str(len(body))})
        self.wfile.write(body)

    def _refuse(self, status: int, code: str, message: str) -> None:
        body = json.dumps({"error": message}).encode()
        why = {"X-Error-Code": code, "X-Error-Message": message} if code else {}
        self._head(status, {**why, "Content-Type": "application/json", "Content-Length": str(len(body))})
        if self.command != "HEAD":
            self.wfile.write(body)

    def _head(self, status: int, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key, value)
        self.end_headers()

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002  # its own name
        """Say nothing: `log` has it."""
