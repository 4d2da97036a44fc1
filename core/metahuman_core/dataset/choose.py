"""Chooses what a run trains: the due memories, and a replay of old ones. Pure and seeded.

Invariant: no memory is in both; replay is spread over the runs that trained them and over types, so that no batch of
the past is left out.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from hashlib import sha256

from metahuman_core.memories.model import Memory
from metahuman_core.settings import ModeFilter


def choose_new(due: Sequence[Memory], mode: ModeFilter, max_memories: int) -> tuple[Memory, ...]:
    """The due memories of the mode, the oldest first; with a limit (0: none) the others stay due for the next run."""
    fitting = [m for m in due if mode in ("all", m.mode)]
    return tuple(fitting[: max_memories or None])


def choose_replay(trained: Sequence[tuple[str, Memory]], count: int, seed: int, mode: ModeFilter) -> tuple[Memory, ...]:
    """`count` old memories, of each stratum (run, type) about the same share, in an order that the seed shuffles."""
    strata: dict[tuple[str, str], list[Memory]] = defaultdict(list)
    for run_label, memory in trained:
        if mode in ("all", memory.mode):
            strata[run_label, memory.kind].append(memory)
    ranked: list[tuple[float, tuple[str, str], Memory]] = []
    for key, stratum in strata.items():
        # Labels differ from machine to machine; what is chosen within a stratum depends on the memories alone.
        shuffled = sorted(stratum, key=lambda m: sha256(f"{seed}:{m.digest}".encode()).digest())
        ranked += [(rank / len(shuffled), key, memory) for rank, memory in enumerate(shuffled)]
    # The first of every stratum come first, so that none is left out; then each gives in proportion to its size.
    ranked.sort(key=lambda item: item[:2])
    return tuple(sorted((memory for *_, memory in ranked[:count]), key=_order))


def _order(memory: Memory) -> tuple[str, str]:
    return memory.happened_at.isoformat() if memory.happened_at else "", memory.digest
