"""Hands a registered version over to Ollama, and writes down that it was done.

Invariants: a version without a server is whole; its publication stays due and is tried again. The alias follows the
registry: whoever has changed the one or the other looks again whether both name the same version.
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
from metahuman_core.journal import NAME as JOURNAL
from metahuman_core.journal import Journal
from metahuman_core.ollama.client import OllamaClient
from metahuman_core.ollama.modelfile import to_modelfile
from metahuman_core.ollama.publish import Published, alias_of, before_0_30, move_alias, publish, tag_of
from metahuman_core.registry import Registry, Version, load_registry, update_registry
from metahuman_core.serving import SERVING, Serving, serving_as_configured
from metahuman_core.settings import Settings
from metahuman_core.versions.sharing import share_room

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
    history = registry.training_history if registry else ()
    # What is archived or removed is to leave Ollama (see `versions.pruning.withdrawing`), and is not missed there.
    published = [v for v in history if v.publication == "done" and v.storage not in ("archived", "removed")]
    if not published:
        return Verified((), live_is_due=False)
    with OllamaClient(host or None, read_within_s=_LOOKS_WITHIN_S) as client:
        digests = {model.name.lower(): model.digest for model in client.tags()}
    gone = tuple(v.version for v in published if tag_of(v.ollama_name, v.version).lower() not in digests)
    live = next((v for v in published if v.outcome == "live"), None)
    if live is None:
        return Verified(gone, live_is_due=False)
    tag = digests.get(tag_of(live.ollama_name, live.version).lower())
    due = tag is None or digests.get(alias_of(live.ollama_name).lower()) != tag
    if due:
        update_registry(registry_path, lambda now: now.with_fields(live.version, publication="due"))
    return Verified(gone, live_is_due=due)


def require_server(host: str) -> None:
    """Raise OllamaDown where no server answers: before hours go into what is to be handed over."""
    with OllamaClient(host or None, read_within_s=_LOOKS_WITHIN_S) as client:
        client.version()


def serving_of(version: Version, settings: Settings, profile: str, now: Callable[[], datetime]) -> Serving:
    """How a version is served, from its run's journal. Raises MetahumanError where that is gone.

    A version of the original MetaHuman never had one: it is served as the config says.
    """
    run_dir = (settings.root / version.gguf_path).parent
    if not version.adapter_sha256 and not (run_dir / JOURNAL).is_file():
        return serving_as_configured(settings, profile, settings.root / version.output_model_path)
    entry = Journal.open(run_dir, now).file.steps.get(SERVING)
    if entry is None:
        raise MetahumanError(f"version {version.version} does not say how it is served ({run_dir})")
    return TypeAdapter(Serving).validate_python(entry.result)


def publish_version(
    version: Version,
    settings: Settings,
    profile: str,
    now: Callable[[], datetime],
    on_upload: Callable[[int, int], None],
    said: Callable[[str], None],
) -> Published:
    """Publish one version, and enter that it was done. Raises OllamaDown, OllamaRefused or NotVerified."""
    gguf, registry_path = settings.root / version.gguf_path, settings.registry_path(profile)
    if not gguf.is_file():
        raise MetahumanError(f"version {version.version} has no GGUF ({version.gguf_path})", "see `metahuman history`")
    serving = serving_of(version, settings, profile, now)
    model = serving.ollama_model()
    with OllamaClient(settings.ollama.host or None) as client:
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
            progress=on_upload,
            said=said,
        )
        pointed_to = _follow_live(client, registry_path, version.version, said)
    # The Modelfile beside the GGUF says what this server was told.
    template = serving.go_template if before_0_30(published.server_version) else None
    write_text(gguf.with_name("Modelfile"), to_modelfile(replace(model, template=template)))
    known: dict[str, Any] = {"ollama_server": published.server_version}
    if published.blob:
        known["ollama_blob"] = published.blob
    _enter_done(registry_path, version.version, pointed_to, known)
    registry = load_registry(registry_path)
    entered = registry.find(version.version) if registry else None
    # Not where the tag was there before: to compare the bytes again would make seconds of a rollback into minutes.
    if published.created and registry and entered and (line := share_room(entered, registry, settings, profile)):
        said(line)
    return published


def move_alias_to_live(registry_path: Path, host: str, number: int) -> None:
    """Have the alias follow the live version `number`, whose tag was just published, and enter that it was done.

    Raises OllamaDown, OllamaRefused or NotVerified; then its publication stays due.
    """
    with OllamaClient(host or None, read_within_s=_LOOKS_WITHIN_S) as client:
        pointed_to = _follow_live(client, registry_path, number, lambda _: None)
    _enter_done(registry_path, number, pointed_to, {})


def _follow_live(client: OllamaClient, registry_path: Path, checked: int, said: Callable[[str], None]) -> int | None:
    """Point the alias at the live version, if Ollama has it: `checked`, or one that was published. Gives its number.

    Looked at again after each move: a rollback may come between a look and a move, and then it comes last here too.
    """
    pointed_to = None
    while (live := _live(registry_path)) is not None and live.version != pointed_to:
        tag = tag_of(live.ollama_name, live.version)
        if live.version != checked and not (live.publication == "done" and client.exists(tag)):
            break  # its own publication will move it
        if move_alias(client, live.ollama_name, live.version):
            said(f"{alias_of(live.ollama_name)} is {tag} now")
        pointed_to = live.version
    return pointed_to


def _live(registry_path: Path) -> Version | None:
    registry = load_registry(registry_path)
    live = registry.live() if registry else None
    return live if live and live.ollama_name else None


def _enter_done(registry_path: Path, number: int, pointed_to: int | None, known: dict[str, Any]) -> None:
    def change(registry: Registry) -> Registry:
        live = registry.live()
        # It went live after the alias was looked at: that is due still.
        waits = live is not None and live.version == number and pointed_to != number
        return registry.with_fields(number, **known, **({} if waits else {"publication": "done"}))

    update_registry(registry_path, change)
