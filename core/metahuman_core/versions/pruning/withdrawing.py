"""Takes a version that is archived or removed out of Ollama.

Invariants: only a tag that we made, `NAME:vN` with our weights, is deleted; the alias never, and no tag while the alias
is it. A server that is down holds nothing up: the tag stays owed, and is withdrawn another time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from metahuman_core.errors import MetahumanError
from metahuman_core.ollama.client import OllamaClient, OllamaDown
from metahuman_core.ollama.publish import alias_of, tag_of, unpublish
from metahuman_core.registry import Registry, Version, load_registry, update_registry
from metahuman_core.settings import Settings

Withdraw = Callable[[Version], bool]
"""Withdraws a version's tag; False where that is owed still."""
WITHDRAWN: Mapping[str, Any] = {"publication": "off", "ollama_server": ""}
"""The fields of a version whose tag has gone."""
_LOOKS_WITHIN_S = 60.0


def withdrawer(settings: Settings, say: Callable[[str], None]) -> Withdraw:
    """What withdraws tags from the server of the settings; once it is down, it is not asked again."""
    down = not settings.ollama.enabled

    def withdraw(version: Version) -> bool:
        nonlocal down
        if down:
            return False
        tag = tag_of(version.ollama_name, version.version)
        try:
            with OllamaClient(settings.ollama.host or None, read_within_s=_LOOKS_WITHIN_S) as client:
                stays = _take_out(client, version, tag)
        except OllamaDown as error:
            down = True
            say(f"{error.message}: {tag} is withdrawn another time")
            return False
        except MetahumanError as error:
            say(f"{tag} is withdrawn another time: {error.message}")
            return False
        if stays:
            say(f"{tag} stays in Ollama: {stays}")
        return not stays

    return withdraw


def owed(registry: Registry | None) -> tuple[Version, ...]:
    """The versions that are published and should not be any more."""
    history = registry.training_history if registry else ()
    return tuple(v for v in history if v.publication == "done" and v.storage in ("archived", "removed"))


def withdraw_owed(registry_path: Path, withdraw: Withdraw) -> list[int]:
    """Make up for what is owed; gives the numbers of the versions whose tags are gone now."""
    gone = [version.version for version in owed(load_registry(registry_path)) if withdraw(version)]

    def change(registry: Registry) -> Registry:
        for version in owed(registry):
            if version.version in gone:
                registry = registry.with_fields(version.version, **WITHDRAWN)
        return registry

    if gone:
        update_registry(registry_path, change)
    return gone


def _take_out(client: OllamaClient, version: Version, tag: str) -> str:
    """Delete a version's tag, if it is ours; gives why it stays, or "" where there is nothing (more) of ours."""
    digests = {model.name.lower(): model.digest for model in client.tags()}
    if tag.lower() not in digests:
        return ""
    alias = alias_of(version.ollama_name)
    if digests.get(alias.lower()) == digests[tag.lower()]:
        return f"{alias} is it"
    shown = client.show(tag)
    ours = {version.gguf_sha256, version.gguf_sha256_first, version.ollama_blob} - {""}
    if shown is not None and shown.blob in ours:
        unpublish(client, version.ollama_name, version.version)
    # Another model under our name is somebody else's: nothing of ours is there any more.
    return ""
