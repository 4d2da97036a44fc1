"""A root that is trained in one run, and what `metahuman fine-tune` makes of it when it is struck on its way."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from metahuman_core.durable import sha256_file, sha256_tree
from metahuman_core.layout import ProfilePaths, cycle_lock_path
from metahuman_core.registry import Registry, load_registry

SABOTEUR = Path(__file__).parents[2] / "saboteur"
PROFILE = "ann"
_AT_ONCE = 2
MEMORIES = (
    "My boat is called Marram. She is a yellow dinghy with a red sail.",
    "I was born in Tavira, in the house above the bakery.",
    "My brother Duarte repairs clocks in Faro.",
    "User: Which tree do you like best?\n\nAssistant: The old carob tree behind the school.",
    "On Fridays I swim across the harbour with my friend Livia.",
)
_CONFIG = """
[dataset]
questions_per_memory = 3

[training]
rank = 4
alpha = 8
learning_rate = 1e-3
epochs = 1
batch_samples = 4
max_tokens = 256
checkpoint_every_steps = 2
device = "cpu"

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
"""


@dataclass(frozen=True)
class Ended:
    """How a command ended, and what it said to people."""

    code: int
    err: str

    @property
    def was_killed(self) -> bool:
        """It, its child, or a program of its child's was ended by SIGKILL."""
        return self.code == -9 or (self.code == 1 and "by SIGKILL" in self.complaint)

    @property
    def complaint(self) -> str:
        """The one line that says what is wrong; empty where nothing is, or where it is not one line."""
        lines = [line for line in self.err.splitlines() if line.startswith("metahuman: ")]
        return lines[0] if len(lines) == 1 and "Traceback" not in self.err else ""


@dataclass(frozen=True)
class Workshop:
    """A root with five memories; `base` is what to train on: a folder, a Hub id, or "" for what the registry says."""

    root: Path
    base: str

    @classmethod
    def make(cls, root: Path, base: str) -> Workshop:
        """Write config and memories."""
        folder = root / "profiles" / PROFILE / "memory" / "episodic"
        folder.mkdir(parents=True)
        for number, text in enumerate(MEMORIES):
            kind = "conversation" if text.startswith("User:") else "observation"
            memory = {"id": f"evt-{number}", "timestamp": f"2031-02-03T08:0{number}:00.000Z", "type": kind}
            (folder / f"evt-{number}.json").write_text(json.dumps({**memory, "content": text}), encoding="utf-8")
        (root / "config.toml").write_text(_CONFIG, encoding="utf-8")
        return cls(root, base)

    def fine_tune(self, *flags: str, moment: str = "", how: str = "", log: Path | None = None, **more: str) -> Ended:
        """Always the same command. At `moment` the saboteur strikes; into `log` it writes all moments that it meets."""
        base = ["--base-model", self.base] if self.base else []
        return self.run("fine-tune", *base, *flags, moment=moment, how=how, log=log, **more)

    def run(self, *words: str, moment: str = "", how: str = "", log: Path | None = None, **more: str) -> Ended:
        """Any command."""
        done = subprocess.run(
            [sys.executable, "-m", "metahuman_daemon.cli", *words],
            cwd=self.root,
            env=sabotaged(self.root, moment, how, log) | more,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        return Ended(done.returncode, done.stderr)

    def wait_for_the_lock(self) -> None:
        """Return once nobody holds the cycle's lock: a child that outlived its parent would hold it for good."""
        path = cycle_lock_path(self.root)
        if path.exists():
            with path.open("r") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)

    def registry(self) -> Registry | None:
        """The registry; a half-written one is an error."""
        return load_registry(self.root / "etc" / "model-registry.json")

    def child_log(self) -> str:
        """The last words of the runs' children."""
        return "\n".join(p.read_text(encoding="utf-8")[-3000:] for p in self.root.rglob("child.log"))


def sabotaged(root: Path, moment: str = "", how: str = "", log: Path | None = None) -> dict[str, str]:
    """The environment of a command on `root` that the saboteur strikes at `moment`, or whose moments it writes down."""
    ours = ("METAHUMAN_", "OLLAMA_", "HF_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return {
        **kept,
        "PYTHONPATH": os.pathsep.join(filter(None, (str(SABOTEUR), os.environ.get("PYTHONPATH", "")))),
        "SABOTAGE_ROOT": str(root),
        "SABOTAGE_LOG": str(log or ""),
        "SABOTAGE_MOMENT": moment,
        "SABOTAGE": how,
        "OMP_NUM_THREADS": "1",
        "OMP_WAIT_POLICY": "PASSIVE",
    }


@dataclass(frozen=True)
class Made:
    """All that a finished run leaves, apart from names and times."""

    digests: dict[str, str]
    files: dict[str, str]
    leftovers: tuple[str, ...]


def made_by(workshop: Workshop) -> Made:
    """What the one run of a workshop made. Anything but one run and one registered version is an error."""
    registry = workshop.registry()
    assert registry is not None
    (version,) = registry.training_history
    assert registry.failed_runs == ()
    (run_dir,) = ProfilePaths(workshop.root, PROFILE).run_dirs()
    assert (version.version, version.run_label, version.outcome) == (1, run_dir.name, "live")
    assert json.loads((run_dir / "run.json").read_text(encoding="utf-8"))["ended"] == "registered"
    digests = {
        "dataset": version.dataset_sha256,
        "adapter": version.adapter_sha256,
        "model": version.model_sha256,
        "gguf": version.gguf_sha256,
    }
    assert digests == {
        "dataset": sha256_file(run_dir / "dataset.jsonl"),
        "adapter": sha256_file(run_dir / "adapter" / "adapter_model.safetensors"),
        "model": sha256_tree(run_dir / "model"),
        "gguf": sha256_file(run_dir / "model.gguf"),
    }
    same = ("memories.jsonl", "train-log.jsonl", "loss.svg", "evaluation.json", "Modelfile")
    return Made(
        digests=digests,
        files={name: (run_dir / name).read_text(encoding="utf-8").replace(run_dir.name, "RUN") for name in same},
        leftovers=tuple(sorted(_leftovers(workshop.root))),
    )


def _leftovers(root: Path) -> list[str]:
    names = ("samples", "fit.json", "checkpoints", "convert.log", "ballast")
    return [p.name for p in root.rglob("*") if p.name in names or p.name.endswith((".partial", "-journal"))]


@dataclass(frozen=True)
class Reference:
    """A run that nobody disturbed: what it made, and the moments that it went through, in their order."""

    made: Made
    moments: tuple[str, ...]

    def moment(self, short: str) -> str:
        """The first moment with the first word and the end of `short`, as in `write dataset.jsonl.partial @0`."""
        what, _, end = short.partition(" ")
        return next(m for m in self.moments if m.startswith(f"{what} ") and m.endswith(end))


def at_once(*tasks: Callable[[], object]) -> None:
    """Do what has nothing to do with each other at the same time, two and two: a command keeps one core busy."""
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for done in [pool.submit(task) for task in tasks]:
            done.result()


def halves(things: Iterable[str]) -> tuple[list[str], list[str]]:
    """Every other one, and the rest."""
    listed = list(things)
    return listed[::2], listed[1::2]
