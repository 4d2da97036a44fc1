"""What a memory, a dataset, an adapter, a version is, and each step of a cycle.

The Python API keeps the original's names::

    from metahuman_core import get_current_base_model, get_training_history, reset_to_original_base

    model, kind = get_current_base_model()      # kind: "local" or "huggingface"
    for run in get_training_history():
        print(f"v{run.version}: {run.samples_trained} samples")
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from metahuman_core.api import CurrentBase, get_current_base_model, get_training_history, reset_to_original_base

__all__ = ["CurrentBase", "get_current_base_model", "get_training_history", "reset_to_original_base"]


def __getattr__(name: str) -> Any:
    """The API's names, when they are asked for: other modules need not wait for it."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from metahuman_core import api

    return getattr(api, name)
