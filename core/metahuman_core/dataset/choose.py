"""Chooses what a run trains: the due memories, and a replay of old ones. Pure and seeded.

Invariant: no memory is in both; replay is spread over the runs that trained them and over types, so that no batch of
the past is left out, and what the last version could not recall comes before what it could.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from hashlib import sha256

from metahuman_core.memories.model import Memory
from metahuman_core.settings import ModeFilter

# Of the replay at most this share goes to what was forgotten: what is not replayed is what is forgotten next.
_FORGOTTEN_SHARE = 0.5


def choose_new(due: Sequence[Memory], mode: ModeFilter, max_memories: int) -> tuple[Memory, ...]:
    """The due memories of the mode, the oldest first; with a limit (0: none) the others stay due for the next run."""
    fitting = [m for m in due if mode in ("all", m.mode)]
    return tuple(fitting[: max_memories or None])


def choose_replay(
    trained: Sequence[tuple[str, Memory]],
    count: int,
    seed: int,
    mode: ModeFilter,
    forgotten: AbstractSet[str] = frozenset(),
) -> tuple[Memory, ...]:
    """`count` old memories, of each stratum (run, type) about the same share, in an order that the seed shuffles.

    `trained`: run label and memory. Half of them at most are taken from `forgotten` (digests) before all others.
    """
    fitting = [(label, memory) for label, memory in trained if mode in ("all", memory.mode)]
    first = _spread([one for one in fitting if one[1].digest in forgotten], round(count * _FORGOTTEN_SHARE), seed)
    taken = {memory.digest for memory in first}
    rest = _spread([one for one in fitting if one[1].digest not in taken], count - len(first), seed)
    return tuple(sorted((*first, *rest), key=_order))


def _spread(trained: Sequence[tuple[str, Memory]], count: int, seed: int) -> list[Memory]:
    """The first of every stratum, so that none is left out; then each gives in proportion to its size."""
    strata: dict[tuple[str, str], list[Memory]] = defaultdict(list)
    for run_label, memory in trained:
        strata[run_label, memory.kind].append(memory)
    ranked: list[tuple[float, tuple[str, str], Memory]] = []
    for key, stratum in strata.items():
        # Labels differ from machine to machine; what is chosen within a stratum depends on the memories alone.
        shuffled = sorted(stratum, key=lambda m: sha256(f"{seed}:{m.digest}".encode()).digest())
        ranked += [(rank / len(shuffled), key, memory) for rank, memory in enumerate(shuffled)]
    ranked.sort(key=lambda item: item[:2])
    return [memory for *_, memory in ranked[:count]]


def _order(memory: Memory) -> tuple[str, str]:
    return memory.happened_at.isoformat() if memory.happened_at else "", memory.digest
