"""Whether the base can be quantised while it is trained on: needs bitsandbytes, which is the extra `qlora`.

Invariant: bitsandbytes is looked for and never imported. It brings torch, and asking must be cheap.
"""

from __future__ import annotations

import importlib.metadata

from metahuman_core.errors import ConfigError
from metahuman_core.settings import TrainingSettings

HOW_TO_INSTALL = "pip install 'metahuman-continuous-learning[qlora]'"


def bitsandbytes_version() -> str:
    """The version that is installed, "" where none is."""
    try:
        return importlib.metadata.version("bitsandbytes")
    except importlib.metadata.PackageNotFoundError:
        return ""


def require_qlora(recipe: TrainingSettings) -> None:
    """Raise ConfigError where the recipe wants the base quantised, and what does it is not installed."""
    if recipe.quantize_base != "none" and not bitsandbytes_version():
        raise ConfigError(
            f'training.quantize_base = "{recipe.quantize_base}" needs bitsandbytes, which is not installed',
            f'{HOW_TO_INSTALL}, or set quantize_base = "none"',
        )
