"""Measures what a training step holds in memory by a forward pass of which nothing is held: on a card as on a CPU.

What autograd would keep for the backward pass is counted and let go at once, so that a step far too large for this
machine can be measured on it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from typing import Any, NoReturn

import psutil
import torch
from torch.autograd.graph import saved_tensors_hooks
from torch.multiprocessing.reductions import StorageWeakRef

from metahuman_core.steps.cpu import attention_for, fast_matmul
from metahuman_core.steps.rows import answer_nats

# The rest is for what is not counted: gaps between tensors, kernels' scratch, and on a CPU other programs. There a step
# made the process grow by 1.4 to 1.9 times what its tensors took, glibc keeping what is freed between them; only one of
# 25 MiB by more.
_USABLE_OF_CARD = 0.85
_USABLE_OF_MEMORY = 0.5
# A gradient, and AdamW's two averages.
_STATES = 3
# While the backward pass goes through the largest tensor: the gradient that comes, and the one that goes on.
_PASSING = 2


@dataclass(frozen=True, slots=True)
class Saved:
    """What is kept for the backward pass: bytes of all storages, and of the largest."""

    total_bytes: int
    largest_bytes: int


def saved(compute: Callable[[], object], apart_from: Iterable[torch.Tensor]) -> Saved:
    """Run `compute`, and count what it saves for the backward pass, each storage once; none of it is kept.

    `apart_from` (the weights) is there anyway. What `compute` returns cannot be differentiated.
    """
    seen = {_identity(tensor) for tensor in apart_from}
    sizes: list[int] = []

    def count(tensor: torch.Tensor) -> Any:
        identity = _identity(tensor)
        if identity not in seen:
            seen.add(identity)
            sizes.append(tensor.untyped_storage().nbytes())

    def gone(_: Any) -> NoReturn:
        raise RuntimeError("what was only counted cannot be differentiated")

    with saved_tensors_hooks(count, gone):
        compute()
    return Saved(sum(sizes), max(sizes, default=0))


def _identity(tensor: torch.Tensor) -> StorageWeakRef:
    """A storage's own: another one cannot have it while this is held, even when the storage is gone."""
    return StorageWeakRef(tensor.untyped_storage())  # type: ignore[no-untyped-call]


def step_bytes(model: Any, rows: dict[str, torch.Tensor], *, recompute: bool) -> int:
    """What a forward and a backward pass over `rows` (see `rows.lay_out`) hold when they hold the most.

    Beyond the weights, their gradients and the optimiser. Costs a forward pass, two for `recompute`.
    """
    kept = _saved_by(model, rows)
    if not recompute:
        return kept.total_bytes + _PASSING * kept.largest_bytes
    with recomputing(model):
        between = _saved_by(model, rows)
    # One layer's activations are there at a time, when its backward pass computes them again.
    layers: int = model.config.get_text_config().num_hidden_layers
    a_layer = (kept.total_bytes - between.total_bytes) // layers
    return between.total_bytes + a_layer + _PASSING * kept.largest_bytes


def room_bytes(model: Any) -> int:
    """What a step may take where the model lies, now: not all that is free, and beyond gradients and optimiser."""
    if model.device.type == "cuda":
        torch.cuda.empty_cache()
        usable = torch.cuda.mem_get_info(model.device)[0] * _USABLE_OF_CARD
    else:
        usable = psutil.virtual_memory().available * _USABLE_OF_MEMORY
    trained: int = sum(p.numel() * p.element_size() for p in model.parameters() if p.requires_grad)
    return int(usable) - _STATES * trained


def can_recompute(model: Any) -> bool:
    """Whether the architecture knows gradient checkpointing."""
    return bool(model.get_base_model().supports_gradient_checkpointing)


@contextmanager
def recomputing(model: Any) -> Iterator[None]:
    """Gradient checkpointing, layer by layer, inside."""
    base = model.get_base_model()
    # transformers 5 renames it on its way; the older name warns, and goes with 6.
    name = "activation" if hasattr(base, "activation_checkpointing_enable") else "gradient"
    # Non-reentrant: the embeddings, which are frozen, need not be made to ask for a gradient.
    getattr(base, f"{name}_checkpointing_enable")({"use_reentrant": False})
    try:
        yield
    finally:
        getattr(base, f"{name}_checkpointing_disable")()


def _saved_by(model: Any, rows: dict[str, torch.Tensor]) -> Saved:
    """As `AnswerTrainer` computes them; the model and the random numbers are afterwards as they were."""
    device, was_training = model.device, model.training
    inputs = {name: tensor.to(device) for name, tensor in rows.items()}
    on_card = device.type == "cuda"
    model.train()
    try:
        with (
            torch.random.fork_rng([device] if on_card else []),
            torch.autocast(device.type, torch.bfloat16, enabled=on_card),
            fast_matmul(device),
            attention_for(device, inputs["input_ids"].shape[1]),
        ):
            return saved(lambda: answer_nats(model, inputs), chain(model.parameters(), model.buffers()))
    finally:
        model.train(was_training)
