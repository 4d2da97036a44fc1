"""What a memory, a dataset, an adapter, a version is, and each step of a cycle.

The Python API keeps the original's names::

    from metahuman_core import get_current_base_model, get_training_history, reset_to_original_base

    model, kind = get_current_base_model()      # kind: "local" or "huggingface"
    for run in get_training_history():
        print(f"v{run.version}: {run.samples_trained} samples")
"""

from metahuman_core.api import CurrentBase, get_current_base_model, get_training_history, reset_to_original_base

__all__ = ["CurrentBase", "get_current_base_model", "get_training_history", "reset_to_original_base"]
