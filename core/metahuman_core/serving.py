"""How a version is served: everything that a runtime must be told, from which Modelfile and API request are made."""

from __future__ import annotations

from dataclasses import dataclass

from metahuman_core.ollama.modelfile import OllamaModel

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
