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
    """`count` old memories, taken in turn from each stratum (run, type), in an order that the seed shuffles."""
    strata: dict[tuple[str, str], list[Memory]] = defaultdict(list)
    for run_label, memory in trained:
        if mode in ("all", memory.mode):
            strata[run_label, memory.kind].append(memory)
    # A run's label differs from machine to machine; its rank does not.
    for stratum in strata.values():
        stratum.sort(key=lambda m: sha256(f"{seed}:{m.digest}".encode()).digest(), reverse=True)
    chosen: list[Memory] = []
    total = sum(map(len, strata.values()))
    taken = dict.fromkeys(strata, 0)
    while len(chosen) < min(count, total):
        # The stratum of which the smallest share was taken comes next: proportional, and none is left out.
        key = min((k for k in sorted(strata) if strata[k]), key=lambda k: taken[k] / (taken[k] + len(strata[k])))
        chosen.append(strata[key].pop())
        taken[key] += 1
    return tuple(sorted(chosen, key=lambda m: (m.instant, m.digest)))
