"""How the model that is asked is known to others: its whole name, the step in which it is asked, how long it stays."""

from __future__ import annotations

STEP = "study"
KEEP_ALIVE_S = 60.0
"""How long the model stays loaded behind a request of ours. Whoever else uses it asks for longer, by default."""


def full_name(model: str) -> str:
    """A model's name with its tag, as Ollama lists it."""
    return model if ":" in model.rpartition("/")[2] else f"{model}:latest"
