"""What a history costs: ten versions of a tiny base by the real cycle, pruned to one full one, and all had again.

    python bench/versions.py [--quick] [--folder DIR]

Once with one adapter on the same anchor, and once in a chain (`reanchor_every = 1`). After each version `metahuman
prune` archives what `keep_last = 1` lets go (the live version's parent it never does); at the end `metahuman rebuild`
makes every version whole again, its hashes are held against the registry, and `metahuman verify` must find nothing.
`--quick`: four versions. Goal: a further version costs at most 5 % of a full one (of a tiny one: a real one's texts
weigh nothing, see `bench/rebuild.py`).
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from metahuman_core.durable import sha256_file, sha256_tree, size_bytes, write_text
from metahuman_core.layout import ProfilePaths
from metahuman_core.registry import Registry, load_registry
from metahuman_core.versions.parts import parts_of
from qwen3_shapes import TINY
from report import Result, machine, table, tell
from synthetic_base import write_base
from synthetic_version import BASE

_VERSIONS, _VERSIONS_QUICK = 10, 4
_PROFILE = "ines"
_MIB = 1 << 20
_MOST_OF_FULL = 0.05
_CONFIG = """
root = "."

[profiles.ines]
person = "Ines"

[dataset]
questions_per_memory = 3
replay_ratio = 0.125

[training]
rank = 8
alpha = 16
learning_rate = 1e-3
epochs = 2
max_tokens = 256
device = "cpu"
reanchor_every = {reanchor_every}

# What is random answers nothing, whatever it learns.
[gate]
prompts = 5
learned_bits = -10
min_recall = 0
general_loss = 10
since_anchor = 10
max_kl_to_anchor = 100
flawed = 1
old_bits = 10

[ollama]
enabled = false

[retention.full]
keep_last = 1

[retention.serving]
keep_last = 1
"""
_WHO = ("sister Amalia", "brother Duarte", "neighbour Livia", "teacher Rui", "friend Tomas")
_DOES = ("repairs clocks", "bakes bread", "paints boats", "keeps bees", "grows lemons", "mends nets", "plays the flute")
_WHERE = ("Faro", "Tavira", "Olhao", "Lagos", "Silves", "Loule", "Sagres", "Alvor", "Moncarapacho", "Fuseta", "Estoi")


@dataclass(frozen=True, slots=True)
class History:
    """What one history measured: bytes below the profile's runs after each version, and what a full version has."""

    totals: list[int]
    full_bytes: int
    rebuild_s: list[float]
    cycle_s: list[float]

    @property
    def further_bytes(self) -> float:
        """What a version adds once it is archived: the median of the steps (with the second, a second cache comes)."""
        return statistics.median(after - before for before, after in pairwise(self.totals))


def main() -> None:
    """Measure, and tell."""
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--quick", action="store_true", help="four versions instead of ten")
    words.add_argument("--folder", type=Path, help="where to work (default: a temporary folder)")
    given = words.parse_args()
    root = Path(tempfile.mkdtemp(prefix="versions-", dir=given.folder))
    try:
        tell(_measure(root, _VERSIONS_QUICK if given.quick else _VERSIONS))
    finally:
        shutil.rmtree(root)


def _measure(folder: Path, count: int) -> Result:
    anchor, chain = (_history(folder / f"reanchor-{every}", every, count) for every in (0, 1))
    rows = [
        (str(number), *(f"{history.totals[number - 1] / _MIB:.2f}" for history in (anchor, chain)))
        for number in range(1, count + 1)
    ]
    print("\n" + table(("after version", "MiB, one anchor", "MiB, in a chain"), rows))
    full_mib = anchor.full_bytes / _MIB
    print(f"a full version: {full_mib:.2f} MiB; {count} of them would be {count * full_mib:.2f} MiB")
    ours, ratio = {"full_mib": full_mib, "versions": float(count)}, {}
    for name, history in (("anchor", anchor), ("chain", chain)):
        ours[f"{name}_total_mib"] = history.totals[-1] / _MIB
        ours[f"{name}_further_mib"] = history.further_bytes / _MIB
        ours[f"{name}_cycle_s"] = statistics.median(history.cycle_s)
        ours[f"{name}_rebuild_s"] = statistics.median(history.rebuild_s)
        ratio[f"{name}_further_of_full"] = history.further_bytes / history.full_bytes
    return Result(
        "versions",
        machine(folder),
        ours,
        floor={"all_full_mib": count * full_mib},
        ratio=ratio,
        goal=dict.fromkeys(ratio, _MOST_OF_FULL),
    )


def _history(root: Path, reanchor_every: int, count: int) -> History:
    """Make the versions, prune after each, rebuild them all, and hold them against what was registered."""
    root.mkdir()
    write_base(root / BASE, TINY, spread=0.2)
    write_text(root / "config.toml", _CONFIG.format(reanchor_every=reanchor_every))
    paths, totals, cycle_s = ProfilePaths(root, _PROFILE), list[int](), list[float]()
    for number in range(1, count + 1):
        _remember(root, number)
        cycle_s.append(_metahuman(root, "fine-tune", *(["--base-model", BASE] if number == 1 else [])))
        _metahuman(root, "prune")
        totals.append(size_bytes(paths.runs))
        print(f"version {number}, reanchor_every = {reanchor_every}: {totals[-1] / _MIB:.2f} MiB", flush=True)
    registered = _registry(root)
    whole = [v.version for v in registered.training_history if v.storage == "full"]
    if whole != [count - 1, count]:  # the live one, and its parent for a rollback
        raise AssertionError(f"versions {whole} are full")
    newest = registered.training_history[-1]
    rebuild_s = [_metahuman(root, "rebuild", str(v.version)) for v in registered.training_history]
    for version in registered.training_history:
        parts = parts_of(version, paths)
        found = sha256_tree(parts.model), sha256_file(parts.gguf)
        if found != (version.model_sha256, version.gguf_sha256):
            raise AssertionError(f"version {version.version} has other bytes than it had")
    _metahuman(root, "verify")
    full_bytes = newest.model_bytes + newest.gguf_bytes + newest.adapter_bytes
    return History(totals, full_bytes, rebuild_s, cycle_s)


def _remember(root: Path, number: int) -> None:
    """New memories for the next version, unlike those before."""
    day = root / "profiles" / _PROFILE / "memory" / "episodic" / "2031" / "03" / f"{number:02}"
    day.mkdir(parents=True)
    for place, (who, does) in enumerate(zip(_WHO, _DOES[number % 3 :], strict=False)):
        text = f"My {who} {does} in {_WHERE[(number + place) % len(_WHERE)]} since {2000 + number * 2 + place}."
        memory = {"id": f"evt-{number}-{place}", "timestamp": f"2031-03-{number:02}T08:0{place}:00.000Z"}
        write_text(day / f"evt-{place}.json", json.dumps({**memory, "type": "observation", "content": text}))


def _registry(root: Path) -> Registry:
    registry = load_registry(root / "etc" / "model-registry.json")
    if registry is None:
        raise AssertionError("there is no registry")
    return registry


def _metahuman(root: Path, *words: str) -> float:
    """Run a command, which must end well; gives its seconds."""
    began_s = time.perf_counter()
    command = [sys.executable, "-m", "metahuman_daemon.cli", *words, "--config", str(root / "config.toml")]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    if done.returncode:
        raise AssertionError(f"metahuman {' '.join(words)}: exit {done.returncode}\n{done.stdout}{done.stderr}")
    return time.perf_counter() - began_s


if __name__ == "__main__":
    main()
