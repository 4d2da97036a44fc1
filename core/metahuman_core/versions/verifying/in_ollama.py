"""What Ollama has under the names that a profile's models are or were called by. Gathers, and judges nothing.

Invariant: a server that is down, or speaks oddly, is no error: then nobody knows what it has, and why is told.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from metahuman_core.errors import MetahumanError
from metahuman_core.ollama.client import OllamaClient
from metahuman_core.ollama.publish import tag_of
from metahuman_core.registry import Registry
from metahuman_core.settings import Settings

_WITHIN_S = 60.0


@dataclass(frozen=True, slots=True)
class InOllama:
    """`tags`: name to digest of its manifest; None where it was not asked, and `told` says why.

    `weights`: by the name of a version's tag, the SHA-256 of the GGUF that it runs there. Names are in small letters:
    Ollama does not tell them apart.
    """

    tags: Mapping[str, str] | None
    weights: Mapping[str, str]
    told: str


def look_into_ollama(settings: Settings, profile: str, registry: Registry) -> InOllama:
    """Ask the server for its models, and for what those are that were published."""
    if not settings.ollama.enabled:
        return InOllama(None, {}, "not asked: ollama.enabled is false")
    history = registry.training_history
    ours = {name.lower() for name in (settings.ollama_name(profile), *(version.ollama_name for version in history))}
    published = [tag_of(v.ollama_name, v.version).lower() for v in history if v.publication == "done"]
    try:
        with OllamaClient(settings.ollama.host or None, read_within_s=_WITHIN_S) as client:
            listed = {model.name.lower(): model.digest for model in client.tags()}
            shown = {tag: client.show(tag) for tag in published if tag in listed}
    except MetahumanError as error:
        return InOllama(None, {}, f"not asked: {error.message}")
    tags = {name: digest for name, digest in listed.items() if name.rpartition(":")[0] in ours}
    return InOllama(tags, {tag: model.blob for tag, model in shown.items() if model and model.blob}, "asked")
