"""What a server tells of its models."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class ShownModel:
    """What `show` tells of a model."""

    system: str
    template: str
    parameters: tuple[tuple[str, str | float | bool], ...]
    messages: tuple[tuple[str, str], ...]
    license: str
    family: str
    quantization: str
    blob: str | None
    """SHA-256 (hex) of the GGUF that the model runs: the file in its FROM."""
    thinks: bool = False
    """Whether it can be told not to think before it answers."""
    runs_at: str = ""
    """Where a model runs that this server only passes requests on for ("" for one of its own)."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A model in `tags` (`digest` of its manifest), or one that is loaded, in `ps` (`vram_bytes`, `expires_at`)."""

    name: str
    digest: str
    size_bytes: int
    vram_bytes: int = 0
    expires_at: datetime | None = None


def read_shown(raw: dict[str, Any]) -> ShownModel:
    """Read an answer of `POST /api/show`.

    Raises:
        KeyError: it is not the answer of an Ollama server.
    """
    return ShownModel(
        system=raw.get("system", ""),
        template=raw.get("template", ""),
        parameters=tuple(_parameters(raw.get("parameters", ""))),
        messages=tuple((turn["role"], turn["content"]) for turn in raw.get("messages") or ()),
        license=raw.get("license", ""),
        family=raw["details"]["family"],
        quantization=raw["details"]["quantization_level"],
        blob=_blob_of(raw["modelfile"]),
        thinks="thinking" in (raw.get("capabilities") or ()),
        runs_at=raw.get("remote_host") or ("elsewhere" if raw.get("remote_model") else ""),
    )


def _parameters(text: str) -> Iterator[tuple[str, str | float | bool]]:
    """The rows of `show`: a name, spaces, and the value as Go prints it (strings quoted, numbers as floats)."""
    for row in text.splitlines():
        key, _, value = row.partition(" ")
        value = value.strip()
        try:
            yield key, json.loads(value)
        except ValueError:
            yield key, value


def _blob_of(modelfile: str) -> str | None:
    """The digest in the first `FROM …/sha256-…` of the Modelfile that show makes."""
    for line in modelfile.splitlines():
        if line.startswith("FROM ") and "sha256-" in line:
            return line.rpartition("sha256-")[2].strip('"')
    return None
