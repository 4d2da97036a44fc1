"""How a version is served: everything that a runtime must be told, from which Modelfile and API request are made."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from metahuman_core.ollama.modelfile import OllamaModel, sayable
from metahuman_core.settings import Settings

SERVING = "serve"
"""The journal's name for the step that gives a `Serving`."""


@dataclass(frozen=True, slots=True)
class Serving:
    """System prompt, stop strings, sampling; `go_template` is for servers before 0.30 ("" where none can be derived).

    Newer servers use the Jinja template inside the GGUF, and take no other.
    """

    system: str
    go_template: str
    stop: tuple[str, ...]
    temperature: float
    num_ctx: int

    def ollama_model(self) -> OllamaModel:
        """The model as Ollama is to know it, without a Go template (publishing adds it where the server is old)."""
        return OllamaModel(
            gguf="model.gguf",
            system=self.system,
            template=None,
            parameters=(
                ("temperature", self.temperature),
                ("num_ctx", self.num_ctx),
                *(("stop", stop) for stop in self.stop),
            ),
        )


def system_prompt(settings: Settings, profile: str) -> str:
    """What a profile's model is told of itself."""
    own = settings.profile(profile)
    return sayable(own.system or f"You are {own.person or profile.replace('_', ' ').title()}.")


def serving_as_configured(settings: Settings, profile: str, model: Path) -> Serving:
    """How a version is served that does not say so itself: as the config has it today.

    `model` is its unquantised folder, which knows what ends an answer; it may be gone, and then the GGUF alone says so.
    """
    return Serving(
        system=system_prompt(settings, profile),
        go_template="",
        stop=_end_of_answers(model),
        temperature=settings.ollama.temperature,
        num_ctx=settings.ollama.num_ctx,
    )


def _end_of_answers(model: Path) -> tuple[str, ...]:
    try:
        named = json.loads((model / "tokenizer_config.json").read_text(encoding="utf-8")).get("eos_token")
    except (OSError, ValueError, AttributeError):
        return ()
    text = named.get("content") if isinstance(named, dict) else named
    return (text,) if isinstance(text, str) and text else ()
