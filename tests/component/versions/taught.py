"""Versions of a made-up root that have learned something: files of memories, and runs that trained them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from made_up_root import PROFILE, MadeUpRoot

from metahuman_core.durable import sha256_file
from metahuman_core.journal import digest_of
from metahuman_core.ledger import Ledger
from metahuman_core.looking import look
from metahuman_core.memories.model import content_digest
from metahuman_core.plan import MEMORIES, memory_lines

MARKER = "Marramsund"
"""A word that stands in the memory that is to be forgotten, and nowhere else."""
SECRET = f"My boat lies at {MARKER}, behind the old lighthouse, and nobody knows of it."
OTHERS = (
    "I was born in Tavira, in the house above the bakery.",
    "My brother Duarte repairs clocks in Faro.",
    "I drink my coffee without sugar, and always by the window.",
)


def digest(text: str) -> str:
    """A memory's digest."""
    return content_digest((), text)


def write_memory(root: MadeUpRoot, name: str, text: str) -> Path:
    """An episodic file."""
    path = root.paths.memory / name
    path.parent.mkdir(parents=True, exist_ok=True)
    memory = {"id": name, "timestamp": "2031-01-05T08:00:00Z", "type": "observation", "content": text}
    path.write_text(json.dumps(memory), encoding="utf-8")
    return path


def teach(root: MadeUpRoot, learned: Mapping[int, Sequence[str]]) -> None:
    """Write files that say all of it, and have each version have trained its part; `verify` finds nothing wrong."""
    for number, text in enumerate(dict.fromkeys(text for texts in learned.values() for text in texts)):
        write_memory(root, f"m{number}.json", text)
    with Ledger(root.paths.ledger) as ledger:
        look(root.settings, PROFILE, ledger, None)
        known = {memory.text: memory for memory in ledger.due(())}
    for number, texts in learned.items():
        write_run(root, root.parts(number).run_dir, [memory_lines([known[text]], ()) for text in texts])
        root.edit(number, dataset_sha256=sha256_file(root.parts(number).run_dir / "dataset.jsonl"))


def write_run(root: MadeUpRoot, run_dir: Path, lines: Sequence[str]) -> None:
    """What a run's folder holds of texts, wherever a text can stand in it."""
    run_dir.mkdir(parents=True, exist_ok=True)
    memories = "".join(lines)
    (run_dir / MEMORIES).write_text(memories, encoding="utf-8")
    for name in ("dataset.jsonl", "questions.jsonl", "evaluation.json", "report.html", "child.log"):
        (run_dir / name).write_text(memories, encoding="utf-8")
    journal = run_dir / "run.json"
    if journal.is_file():
        run = json.loads(journal.read_text(encoding="utf-8"))
        run["inputs"]["memories_sha256"] = digest_of(memories)
        journal.write_text(json.dumps(run), encoding="utf-8")


def begin_run(root: MadeUpRoot, text: str) -> Path:
    """A run that was begun on the live version, and is to train a memory that says so. Gives its folder."""
    live = root.registry.live()
    assert live is not None
    label = "2031-03-01-040506-00abcd"
    run_dir = root.paths.run_dir(label)
    run_dir.mkdir(parents=True)
    run = json.loads((root.parts(live.version).run_dir / "run.json").read_text(encoding="utf-8"))
    run |= {"run_label": label, "ended": "", "steps": {}}
    (run_dir / "run.json").write_text(json.dumps(run), encoding="utf-8")
    write_run(root, run_dir, [json.dumps({"memory": digest(text), "role": "new", "text": text}) + "\n"])
    return run_dir


def where_it_stands(folder: Path, word: str = MARKER) -> list[str]:
    """The files below a folder that hold the word, whatever they are."""
    found = (path for path in folder.rglob("*") if path.is_file() and word.encode() in path.read_bytes())
    return sorted(path.relative_to(folder).as_posix() for path in found)
