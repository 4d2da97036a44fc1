"""Ollama: whether it answers, and who else can reach it."""

from __future__ import annotations

import os
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

from metahuman_core.errors import MetahumanError
from metahuman_core.model_study.asking import find_model
from metahuman_core.ollama.address import is_loopback
from metahuman_core.ollama.client import OllamaClient
from metahuman_core.settings import Settings
from metahuman_core.versions.sharing import models_folder
from metahuman_daemon.doctor.finding import Finding

_LISTENS = "0A"
_DEFAULT_PORT = 11434
_ASKED_S = 10.0
_RISK = "everybody on the network can use and delete its models"


def ollama(settings: Settings, net: Path = Path("/proc/net")) -> Iterator[Finding]:
    """Whether the server answers, and whether it listens to the whole network."""
    if not settings.ollama.enabled:
        yield Finding("ok", "Ollama is off in the config")
        return
    port: int | None = _DEFAULT_PORT
    try:
        with OllamaClient(settings.ollama.host or None) as client:
            port = urllib.parse.urlsplit(client.url).port if is_loopback(client.url) else None
            yield Finding("ok", f"Ollama {client.version()} at {client.url}")
    except MetahumanError as error:
        yield Finding("warning", error.message, "versions are registered all the same, and published when it answers")
    yield from models_there(settings)
    if port is not None and listens_to_everybody(port, net):
        yield Finding(
            "warning",
            f"something listens on port {port} of all this machine's addresses; if it is Ollama, {_RISK}",
            "`systemctl edit ollama`: [Service] Environment=OLLAMA_HOST=127.0.0.1; or close the port in the firewall",
        )
    elif os.environ.get("OLLAMA_HOST", "").startswith("0.0.0.0"):  # noqa: S104  # looked for, not bound
        yield Finding("warning", f"OLLAMA_HOST is 0.0.0.0: {_RISK}")


def study(settings: Settings) -> Iterator[Finding]:
    """Whether the model that is to ask about memories is there, and on this machine."""
    name = settings.study.ollama_model
    if not name:
        return
    try:
        with OllamaClient(settings.ollama.host or None, read_within_s=_ASKED_S) as client:
            model = find_model(client, name)
            yield Finding("ok", f"{model.name} asks about new memories ([study] ollama_model)")
            if not is_loopback(client.url):
                what = f"the text of new memories goes over the network to {client.url}"
                yield Finding("warning", what, "leave [study] ollama_model out, or use an Ollama on this machine")
    except MetahumanError as error:
        yield Finding("warning", f"[study] ollama_model: {error.message}", error.hint)


def models_there(settings: Settings) -> Iterator[Finding]:
    """Whether Ollama's files are where the setting says: it is looked for nowhere else, and nothing is shared then."""
    models = models_folder(settings)
    if models and not os.access(models / "blobs", os.X_OK):
        way_out = "name the folder with `blobs` in it, that our user may read, or leave [ollama] models out"
        yield Finding("warning", f"[ollama] models names {models}, and Ollama's models cannot be read there", way_out)


def listens_to_everybody(port: int, net: Path) -> bool:
    """Whether a socket listens at 0.0.0.0 or [::] on this port, by the kernel's tables (tcp and tcp6, see proc(5))."""
    for table in ("tcp", "tcp6"):
        try:
            lines = (net / table).read_text(encoding="ascii").splitlines()[1:]
        except OSError:
            continue
        for fields in map(str.split, lines):
            address, _, local_port = fields[1].partition(":")
            if fields[3] == _LISTENS and int(local_port, 16) == port and not address.strip("0"):
                return True
    return False
