"""How much room the next version will need, moment by moment. Pure but for a look at the sizes of files.

The figures are of what is known: the last version, or a base that lies here. Of a base that is still to be fetched
nothing is known, and nothing is said. All of it is taken to lie on the root's file system, Ollama's models too: where
they lie on a disk of their own, too much is asked for at most at the last moment, which is not the largest.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from metahuman_core.layout import hub_snapshots
from metahuman_core.lineage import base_name
from metahuman_core.registry import Registry, Version
from metahuman_core.settings import Settings
from metahuman_core.weight_sizes import unquantised_bytes

_GGUF_SHARE = {"Q8_0": 0.54, "Q6_K": 0.42, "Q5_K_M": 0.37, "Q4_K_M": 0.31}
# Adapter, and up to three checkpoints of it with its optimiser's two states each, one of them being written.
_ADAPTERS_IN_TRAINING = 10
_ADAPTER_SHARE = 0.01  # rank 16 on all linear layers, in 32 bit: 0.9 % of Qwen3-14B
_SPARE = 1.1


@dataclass(frozen=True, slots=True)
class Moment:
    """A step of a cycle, in words, and the bytes that it will still have written when it takes the most."""

    step: str
    needs_bytes: int


def moments(
    settings: Settings, registry: Registry | None, run_dir: Path | None = None, base: str | None = None
) -> tuple[Moment, ...]:
    """What the next version takes of the disk, step by step; () where nobody knows.

    What the unfinished run in `run_dir` has written is there already. `base`: the base if it was named.
    """
    model = model_bytes(settings, registry, base)
    if not model:
        return ()
    training = _ADAPTERS_IN_TRAINING * (_adapter_bytes(registry) or model * _ADAPTER_SHARE)
    gguf = model * _GGUF_SHARE[settings.weights.quantization]
    between = unquantised_bytes(model, settings.weights.quantization)
    there = _tree_bytes(run_dir) if run_dir else 0
    taken = [
        ("training", training),
        ("merging and quantising", training + model + between + gguf),
    ]
    if run_dir and (run_dir / "model.gguf").is_file():
        taken = []
    # Even a copy that will share its room with ours is uploaded whole first.
    taken.append(("publishing", training + model + gguf * (2 if settings.ollama.enabled else 1)))
    return tuple(Moment(step, max(0, int(size_bytes * _SPARE) - there)) for step, size_bytes in taken)


def peak(ahead: tuple[Moment, ...]) -> Moment | None:
    """The moment that needs the most; None where nothing is known."""
    return max(ahead, key=lambda moment: moment.needs_bytes, default=None)


def next_version_bytes(settings: Settings, registry: Registry | None, run_dir: Path | None) -> int:
    """Bytes that a run will still write before the most of it goes again; 0 where nobody knows."""
    most = peak(moments(settings, registry, run_dir))
    return most.needs_bytes if most else 0


def model_bytes(settings: Settings, registry: Registry | None, base: str | None = None) -> int:
    """The bytes of the unquantised model that the next version will be; 0 where nobody knows yet."""
    name = base_name(base, registry)
    version = registry.by_model_path(name) if registry else None
    known = (version.model_bytes if version else 0) or _base_bytes(settings.root, name)
    if known or base:
        return known
    return next((v.model_bytes for v in reversed(_history(registry)) if v.model_bytes), 0)


def _base_bytes(root: Path, name: str) -> int:
    """The bytes of a base's weights: a folder's, or of what was fetched from the Hub."""
    fetched = hub_snapshots(root, name)
    folders: list[Path] = [root / name, *(fetched.iterdir() if fetched.is_dir() else ())]
    sizes = [sum(path.stat().st_size for path in folder.glob("*.safetensors") if path.is_file()) for folder in folders]
    return max(sizes)


def _adapter_bytes(registry: Registry | None) -> int:
    return next((v.adapter_bytes for v in reversed(_history(registry)) if v.adapter_bytes), 0)


def _history(registry: Registry | None) -> list[Version]:
    return list(registry.training_history) if registry else []


def _tree_bytes(folder: Path) -> int:
    """Bytes of all files below a folder in which a cycle may be at work: what goes while it is counted is not there."""
    total = 0
    for at, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                total += os.lstat(os.path.join(at, name)).st_size  # noqa: PTH118  # hundreds of checkpoints' files
    return total
