"""Chooses what a run trains: the due memories, and a replay of old ones. Pure and seeded.

Invariant: no memory is in both; replay is spread over the runs that trained them and over types, so that no batch of
the past is left out; what the last version could not recall comes before what it could, and then what was not trained
for the longest: with an order that stays the same, the same ones would be replayed every time, and the others never.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from hashlib import sha256

from metahuman_core.memories.model import Memory, Trained
from metahuman_core.settings import DatasetSettings, ModeFilter

# Of the replay at most this share goes to what was forgotten: what is not replayed is what is forgotten next.
_FORGOTTEN_SHARE = 0.5
# Rules ask about so much of a note.
_ASKED = 4


def choose_new(due: Sequence[Memory], mode: ModeFilter, max_memories: int) -> tuple[Memory, ...]:
    """The due memories of the mode, the oldest first; with a limit (0: none) the others stay due for the next run."""
    fitting = [m for m in due if mode in ("all", m.mode)]
    return tuple(fitting[: max_memories or None])


def replay_count(new: Iterable[Memory], settings: DatasetSettings) -> int:
    """Of how many old memories a replay is at most: as many as it has samples in an epoch, about.

    What is not replayed in a run is what that run wears away: so rather many memories, and a little of each.
    """
    questions = max(1, min(_ASKED, settings.questions_per_memory))
    return round(settings.replay_ratio * sum(questions + len(memory.turns) // 2 for memory in new))


def choose_replay(
    trained: Sequence[Trained],
    count: int,
    seed: int,
    mode: ModeFilter,
    forgotten: AbstractSet[str] = frozenset(),
) -> tuple[Memory, ...]:
    """`count` old memories, of each stratum (first run, type) about the same share, the longest not trained first.

    Of those that were trained last in the same run the seed chooses. Half of all at most are taken from `forgotten`
    (digests) before all others.
    """
    fitting = [one for one in trained if mode in ("all", one.memory.mode)]
    first = _spread([one for one in fitting if one.memory.digest in forgotten], round(count * _FORGOTTEN_SHARE), seed)
    taken = {memory.digest for memory in first}
    rest = _spread([one for one in fitting if one.memory.digest not in taken], count - len(first), seed)
    return tuple(sorted((*first, *rest), key=_order))


def _spread(trained: Sequence[Trained], count: int, seed: int) -> list[Memory]:
    """The first of every stratum, so that none is left out; then each gives in proportion to its size.

    Where there are more strata than `count`, those that were not trained for the longest.
    """
    strata: dict[tuple[str, str], list[Trained]] = defaultdict(list)
    for one in trained:
        strata[one.first, one.memory.kind].append(one)

    def rank_of(one: Trained) -> tuple[str, bytes]:
        # Labels differ from machine to machine, their order does not: what is chosen depends on the memories alone.
        return one.last, sha256(f"{seed}:{one.memory.digest}".encode()).digest()

    ranked: list[tuple[float, str, tuple[str, str], Memory]] = []
    for key, stratum in strata.items():
        ordered = sorted(stratum, key=rank_of)
        ranked += [(rank / len(ordered), one.last, key, one.memory) for rank, one in enumerate(ordered)]
    ranked.sort(key=lambda item: item[:3])
    return [memory for *_, memory in ranked[:count]]


def _order(memory: Memory) -> tuple[str, str]:
    return memory.happened_at.isoformat() if memory.happened_at else "", memory.digest
