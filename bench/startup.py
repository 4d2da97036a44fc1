"""How soon a command answers: `--help`, `status` and `history`, beside a Python that does nothing.

    python bench/startup.py [--quick] [--folder DIR]

A root with the example profile's memories and two years of weekly versions, archived: the registry, and each run's
journal, memories and an adapter of no weight. In turn, many times, from warm files; `--quick`: five times. Goal: 0.3 s
each, the interpreter's own start in it.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from metahuman_core.config import load_settings
from metahuman_core.durable import write_text
from metahuman_core.journal import Journal
from metahuman_core.layout import ProfilePaths, relative_to_root
from metahuman_core.ledger import Ledger
from metahuman_core.looking import look
from metahuman_core.plan import memory_lines, write_memories
from metahuman_core.prepare import choose, plan_of
from metahuman_core.registry import Registry, Version, update_registry
from metahuman_core.shipped import shipped
from metahuman_core.wish import Wish
from report import Result, machine, table, tell

_ROUNDS, _ROUNDS_QUICK = 25, 5
_VERSIONS, _MEMORIES = 104, 20
_BEGAN = datetime(2030, 1, 6, 3, tzinfo=UTC)
_MEASURED = (("before", 1.5), ("after", 0.5))
_PROFILE = "tamsin"
_GOAL_S = 0.3
_CONFIG = f"""
root = "."

[profiles.{_PROFILE}]
person = "Tamsin"

[ollama]
enabled = false
"""
_COMMANDS = {"help": ("--help",), "status": ("status",), "history": ("history",)}


@dataclass(frozen=True, slots=True)
class _Taken:
    """What a run took: by the clock, and of a CPU (which others on the machine touch less)."""

    wall_s: float
    cpu_s: float


def main() -> None:
    """Measure, and tell."""
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--quick", action="store_true", help="five times")
    words.add_argument("--folder", type=Path, help="where to work (default: a temporary folder)")
    given = words.parse_args()
    root = Path(tempfile.mkdtemp(prefix="startup-", dir=given.folder)).resolve()
    try:
        tell(_measure(root, _ROUNDS_QUICK if given.quick else _ROUNDS))
    finally:
        shutil.rmtree(root)


def _measure(root: Path, rounds: int) -> Result:
    _lay_out(root)
    config = ("--config", str(root / "config.toml"))
    commands = {
        name: [sys.executable, "-m", "metahuman_daemon.cli", *words, *(() if name == "help" else config)]
        for name, words in _COMMANDS.items()
    }
    commands["python -c pass"] = [sys.executable, "-c", "pass"]
    taken: dict[str, list[_Taken]] = {name: [] for name in commands}
    for _ in range(rounds + 1):
        for name, command in commands.items():
            taken[name].append(_run(command, root))
    for times in taken.values():
        del times[0]  # it compiles, makes the ledger, and warms the files
    wall_s = {name: statistics.median(took.wall_s for took in taken[name]) for name in commands}
    cpu_s = {name: statistics.median(took.cpu_s for took in taken[name]) for name in commands}
    slowest_s = {name: max(took.wall_s for took in taken[name]) for name in commands}
    rows = [(name, *(f"{each[name]:.3f}" for each in (wall_s, slowest_s, cpu_s))) for name in commands]
    print("\n" + table(("", "median s", "slowest s", "median CPU s"), rows))
    return Result(
        "startup",
        machine(root),
        ours={f"{name}_s": wall_s[name] for name in _COMMANDS} | {f"{name}_cpu_s": cpu_s[name] for name in _COMMANDS},
        floor={"python_s": wall_s["python -c pass"]},
        ratio={f"{name}_to_floor": wall_s[name] / wall_s["python -c pass"] for name in _COMMANDS},
        goal={f"{name}_s": _GOAL_S for name in _COMMANDS},
    )


def _lay_out(root: Path) -> None:
    """The root of someone who has used it for two years, without the weights."""
    paths = ProfilePaths(root, _PROFILE)
    shutil.copytree(shipped("profiles/example"), paths.home)
    write_text(root / "config.toml", _CONFIG)
    settings, wish = load_settings(root / "config.toml"), Wish(_PROFILE)
    with Ledger(paths.ledger) as ledger:
        look(settings, _PROFILE, ledger, None)
        choice = choose(settings, wish, ledger, None)
    plan, memories = plan_of(settings, wish, choice), memory_lines(choice.new[:_MEMORIES], ())
    versions = tuple(_version(number, paths) for number in range(1, _VERSIONS + 1))
    for version in versions:
        run_dir = paths.run_dir(version.run_label)
        run_dir.mkdir(parents=True)
        write_memories(run_dir, memories)
        write_text(run_dir / "adapter" / "adapter_config.json", '{"r": 16, "lora_alpha": 32}\n')
        write_text(run_dir / "adapter" / "adapter_model.safetensors", "")
        Journal.begin(run_dir, plan, lambda: _BEGAN).end("registered")
    base = versions[-1].output_model_path
    start = Registry(original_base_model="base", current_base_model=base, training_history=versions)
    update_registry(root / "etc" / "model-registry.json", lambda registry: registry, start)


def _version(number: int, paths: ProfilePaths) -> Version:
    made_at = _BEGAN + (number - 1) * timedelta(weeks=1)
    run_label = f"{made_at:%Y-%m-%d-%H%M%S}-{number:06x}"
    return Version(
        version=number,
        run_label=run_label,
        output_model_path=relative_to_root(paths.run_dir(run_label) / "model", paths.root),
        timestamp=made_at.isoformat(),
        base_model_used="base",
        samples_trained=40 * number,
        parent_version=number - 1 or None,
        outcome="live" if number == _VERSIONS else "superseded",
        storage="archived",
        memories_trained=_MEMORIES,
        metrics={f"{name}_bits_per_byte_{when}": value for name in ("new", "old") for when, value in _MEASURED},
    )


def _run(command: list[str], root: Path) -> _Taken:
    # Compiled files are kept, as they are for everybody but some containers.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    began_s, began_cpu_s = time.perf_counter(), _cpu_of_children_s()
    subprocess.run(command, cwd=root, env=environment, check=True, capture_output=True)
    return _Taken(time.perf_counter() - began_s, _cpu_of_children_s() - began_cpu_s)


def _cpu_of_children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
