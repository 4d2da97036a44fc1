"""How much room the next version will need. Pure but for a look at the sizes of files.

The figures are of what is known: the last version, or a base that lies here. Of a base that is still to be fetched
nothing is known, and 0 is said.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from metahuman_core.lineage import base_name
from metahuman_core.registry import Registry
from metahuman_core.settings import Settings

_GGUF_SHARE = {"Q8_0": 0.54, "Q6_K": 0.42, "Q5_K_M": 0.37, "Q4_K_M": 0.31}
_BEFORE_QUANTISING = 1.01  # the GGUF in 16 bit that the quantiser reads
_ADAPTER_SHARE = 0.05  # adapter, optimiser and checkpoints of LoRA, generously
_SPARE = 1.1


def next_version_bytes(settings: Settings, registry: Registry | None, run_dir: Path | None) -> int:
    """Bytes that a run will still write, Ollama's copy included; what the unfinished run in `run_dir` has is there."""
    model = model_bytes(settings, registry)
    if not model:
        return 0
    gguf = model * _GGUF_SHARE[settings.weights.quantization]
    copies = 2 if settings.ollama.enabled else 1
    whole = model * (1 + _BEFORE_QUANTISING + _ADAPTER_SHARE) + gguf * copies
    there = _tree_bytes(run_dir) if run_dir else 0
    return max(0, int(whole * _SPARE) - there)


def model_bytes(settings: Settings, registry: Registry | None) -> int:
    """The bytes of the unquantised model that the next version will be; 0 where nobody knows yet."""
    known = [v.model_bytes for v in registry.training_history if v.model_bytes] if registry else []
    if known:
        return known[-1]
    folder = settings.root / base_name(None, registry)
    return sum(path.stat().st_size for path in folder.glob("*.safetensors")) if folder.is_dir() else 0


def _tree_bytes(folder: Path) -> int:
    """Bytes of all files below a folder in which a cycle may be at work: what goes while it is counted is not there."""
    total = 0
    for at, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                total += os.lstat(os.path.join(at, name)).st_size  # noqa: PTH118  # hundreds of checkpoints' files
    return total
