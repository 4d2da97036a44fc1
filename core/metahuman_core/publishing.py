"""Hands a registered version over to Ollama, and writes down that it was done.

Invariants: a version without a server is whole; its publication stays due and is tried again. Only the live version
moves the alias.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from metahuman_core.durable import write_text
from metahuman_core.errors import MetahumanError
from metahuman_core.journal import Journal
from metahuman_core.ollama.client import OllamaClient
from metahuman_core.ollama.modelfile import to_modelfile
from metahuman_core.ollama.publish import ALIAS_TAG, Published, before_0_30, publish, tag_of
from metahuman_core.registry import Registry, Version, load_registry, update_registry
from metahuman_core.serving import SERVING, Serving

_QUESTION = "Who are you?"
_LOOKS_WITHIN_S = 60.0


def due_publications(registry: Registry | None) -> tuple[Version, ...]:
    """The versions that wait for a server, oldest first."""
    return tuple(v for v in registry.training_history if v.publication == "due") if registry else ()


@dataclass(frozen=True, slots=True)
class Verified:
    """What a look into Ollama found: versions it should have and has not (`gone`), and whether the live one is due."""

    gone: tuple[int, ...]
    live_is_due: bool


def verify_published(registry_path: Path, host: str) -> Verified:
    """Hold the registry against what Ollama has; the live version is due again if its tag or its alias is not right.

    Older versions that somebody has removed from Ollama stay away until they are published by hand. Raises OllamaDown.
    """
    registry = load_registry(registry_path)
    published = [v for v in registry.training_history if v.publication == "done"] if registry else []
    if not published:
        return Verified((), live_is_due=False)
    with OllamaClient(host or None, read_within_s=_LOOKS_WITHIN_S) as client:
        digests = {model.name.lower(): model.digest for model in client.tags()}
    gone = tuple(v.version for v in published if tag_of(v.ollama_name, v.version).lower() not in digests)
    live = next((v for v in published if v.outcome == "live"), None)
    if live is None:
        return Verified(gone, live_is_due=False)
    tag = digests.get(tag_of(live.ollama_name, live.version).lower())
    due = tag is None or digests.get(f"{live.ollama_name}:{ALIAS_TAG}".lower()) != tag
    if due:
        update_registry(registry_path, lambda now: now.with_fields(live.version, publication="due"))
    return Verified(gone, live_is_due=due)


def serving_of(version: Version, root: Path, now: Callable[[], datetime]) -> Serving:
    """How a version is served, from its run's journal. Raises MetahumanError where that is gone."""
    run_dir = (root / version.gguf_path).parent
    entry = Journal.open(run_dir, now).file.steps.get(SERVING)
    if entry is None:
        raise MetahumanError(f"version {version.version} does not say how it is served ({run_dir})")
    return TypeAdapter(Serving).validate_python(entry.result)


def publish_version(
    version: Version,
    root: Path,
    registry_path: Path,
    host: str,
    now: Callable[[], datetime],
    on_upload: Callable[[int, int], None],
    said: Callable[[str], None],
) -> Published:
    """Publish one version, and enter that it was done. Raises OllamaDown, OllamaRefused or NotVerified."""
    gguf = root / version.gguf_path
    if not gguf.is_file():
        raise MetahumanError(f"version {version.version} has no GGUF ({version.gguf_path})", "see `metahuman history`")
    serving = serving_of(version, root, now)
    model = serving.ollama_model()
    with OllamaClient(host or None) as client:
        published = publish(
            client,
            model,
            gguf,
            version.gguf_sha256,
            name=version.ollama_name,
            version=version.version,
            go_template=serving.go_template or None,
            question=_QUESTION,
            known_blob=version.ollama_blob or None,
            live=version.outcome == "live",
            progress=on_upload,
            said=said,
        )
    # The Modelfile beside the GGUF says what this server was told.
    template = serving.go_template if before_0_30(published.server_version) else None
    write_text(gguf.with_name("Modelfile"), to_modelfile(replace(model, template=template)))
    done: dict[str, Any] = {"publication": "done", "ollama_server": published.server_version}
    if published.blob:
        done["ollama_blob"] = published.blob
    update_registry(registry_path, lambda registry: registry.with_fields(version.version, **done))
    return published
