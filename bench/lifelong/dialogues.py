"""A person's dialogues as memory folders, batch by batch, and as something to learn.

Invariant: what is trained is what the product makes of the folders, by its own readers and its own study; the same
person and number of batches give the same files.
"""

from __future__ import annotations

import json
import tempfile
from collections import defaultdict
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path

from lifelong.material import Batch, Probe, Run
from lifelong.people import Exchange, Person, Session
from metahuman_core.dataset.build import build_dataset
from metahuman_core.dataset.samples import Sample, line_of, read_samples
from metahuman_core.dataset.told import NOTHING_TOLD
from metahuman_core.durable import making, write_text
from metahuman_core.errors import UsageError
from metahuman_core.memories.model import Memory
from metahuman_core.memories.read import read
from metahuman_core.memories.walk import FoundFile, walk

_PROBES = "probes.jsonl"
_BATCH = "batch-"


@dataclass(frozen=True, slots=True)
class Dialogues:
    """Memories as the product reads them, batch by batch."""

    system: str
    batches: tuple[Batch, ...]

    def samples(self, run: Run) -> tuple[Sample, ...]:
        """The product's own dataset."""
        with tempfile.TemporaryDirectory(prefix="dialogues-") as folder:
            earlier, out = Path(folder, "earlier.jsonl"), Path(folder, "dataset.jsonl")
            write_text(earlier, "".join(map(line_of, run.earlier)))
            told = NOTHING_TOLD.and_also(memory.whole_text for memory in run.told)
            build_dataset(run.new, run.replay, [earlier], run.settings, self.system, out, told, epochs=run.epochs)
            return tuple(read_samples(out))


def write_folder(person: Person, batches: int, folder: Path) -> None:
    """Write `folder`: `batch-N/episodic/…`, one file a memory, and `probes.jsonl`. What is there is replaced.

    Sessions are cut into batches of like number by their dates; a question comes with the last session that it needs.
    Raises UsageError where there are fewer sessions than batches.
    """
    if len(person.sessions) < batches:
        raise UsageError(
            f"{person.name} has {len(person.sessions)} sessions for {batches} batches", "take fewer cycles"
        )
    number_of = {s.name: at * batches // len(person.sessions) + 1 for at, s in enumerate(person.sessions)}
    with making(folder) as partial:
        for session in person.sessions:
            for place, exchange in enumerate(session.exchanges):
                _write_memory(partial / f"{_BATCH}{number_of[session.name]}", session, place, exchange)
        rows = [
            {"batch": max(map(number_of.__getitem__, q.sessions)), **asdict(Probe(f"{at}", q.ask, q.said, q.key))}
            for at, q in enumerate(person.questions)
        ]
        write_text(partial / _PROBES, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
        write_text(partial / "name", person.name + "\n")


def read_folder(folder: Path, batches: int) -> Dialogues:
    """What `write_folder` wrote, by the product's readers; what they set aside is left out."""
    memories: dict[str, list[Memory]] = defaultdict(list)
    for found in walk(folder):
        if isinstance(found, FoundFile) and found.source.startswith(_BATCH):
            memories[found.source.partition("/")[0]] += [
                memory for memory in read(found) if isinstance(memory, Memory) and not memory.unfit
            ]
    probes: dict[str, list[Probe]] = defaultdict(list)
    for line in (folder / _PROBES).read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        probes[f"{_BATCH}{row.pop('batch')}"].append(Probe(**row))
    names = [f"{_BATCH}{number}" for number in range(1, batches + 1)]
    person = (folder / "name").read_text(encoding="utf-8").strip()
    return Dialogues(f"You are {person}.", tuple(Batch(tuple(memories[n]), tuple(probes[n])) for n in names))


def _write_memory(folder: Path, session: Session, place: int, exchange: Exchange) -> None:
    at = session.at + timedelta(seconds=place)
    day = folder / "episodic" / f"{at:%Y/%m/%d}"
    day.mkdir(parents=True, exist_ok=True)
    name = f"evt-{at:%Y%m%d%H%M%S}-{session.name}-{place:03}"
    one_sided = len(exchange.turns) == 1
    said = (
        {"type": "observation", "content": exchange.turns[0].text}
        if one_sided
        else {"type": "conversation", "messages": [{"role": t.role, "content": t.text} for t in exchange.turns]}
    )
    memory = {"id": name, "timestamp": at.isoformat(), **said, "metadata": {"cognitiveMode": exchange.mode}}
    (day / f"{name}.json").write_text(json.dumps(memory, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
