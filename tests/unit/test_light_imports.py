"""Nothing of the light side loads torch, and `status` and `history` nothing that they do not need.

A daemon that idles must cost next to nothing, and a command that only looks must answer at once.
"""

from __future__ import annotations

import json
import os
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest
import typer

import metahuman_core
import metahuman_daemon
from metahuman_core.durable import write_text
from metahuman_core.layout import ProfilePaths
from metahuman_core.plan import MEMORIES
from metahuman_core.registry import Version, update_registry
from metahuman_daemon.cli import app
from metahuman_daemon.command_table import COMMANDS

OTHERS = {
    "httpx",
    "ollama",
    "apscheduler",
    "watchdog",
    "structlog",
    "rich.console",
    "asyncio",
    "apprise",
    "huggingface_hub",
    "yaml",
    "tzlocal",
    "psutil",
    "metahuman_core.memories.read",
    "metahuman_core.prepare",
    "metahuman_core.versions.rebuildable",
}
"""What the daemon, a training or a publication needs, and no command that only looks."""
HEAVY = {"torch", "transformers", "peft", "accelerate", "llama_cpp"}
# Only the child of a cycle, or of a rebuild, imports these.
HEAVY_SIDE = ("metahuman_core.steps", "metahuman_core.cycle", "metahuman_core.rebuild")

_PLUGIN = """
class Plugin:
    def new_schema_validator(self, *_):
        return None, None, None

plugin = Plugin()
"""

LIGHT_MODULES = [
    module.name
    for package in (metahuman_core, metahuman_daemon)
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
    if not module.name.startswith(HEAVY_SIDE)
]


def loaded_by(program: str) -> set[str]:
    """The modules that a program has loaded at its end."""
    ended = f"{program}\nimport json, sys\nprint(json.dumps(list(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", ended], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_no_light_module_loads_anything_heavy() -> None:
    assert len(LIGHT_MODULES) > 40
    assert loaded_by(f"import {', '.join(LIGHT_MODULES)}") & HEAVY == set()


def test_the_command_line_shows_its_help_without_anything_heavy() -> None:
    program = (
        "import sys\nfrom metahuman_daemon.cli import main\nsys.argv = ['metahuman', '--help']\n"
        "try:\n    main()\nexcept SystemExit as ended:\n    assert not ended.code"
    )
    assert loaded_by(program) & HEAVY == set()


def loaded_by_command(command: str, root: Path) -> set[str]:
    """The modules that a command has loaded at its end, which must be a good one."""
    return loaded_by(
        "import os, sys\nfrom metahuman_daemon.cli import main\n"
        f"os.environ['METAHUMAN_ROOT'] = {str(root)!r}\nsys.argv = ['metahuman', {command!r}]\n"
        "try:\n    main()\nexcept SystemExit as ended:\n    assert not ended.code"
    )


@pytest.fixture
def trained(tmp_path: Path) -> Path:
    """A root with a memory that a version has trained, and that was looked at before."""
    paths = ProfilePaths(tmp_path, "anna")
    paths.memory.mkdir(parents=True)
    (paths.memory / "2026-01-01.md").write_text("We swam in the cold lake today.\n", encoding="utf-8")
    version = Version(version=1, run_label="2026-01-02-030000-000001", outcome="live")
    write_text(paths.run_dir(version.run_label) / MEMORIES, "")
    update_registry(tmp_path / "etc/model-registry.json", lambda registry: registry.with_version(version))
    loaded_by_command("status", tmp_path)
    return tmp_path


@pytest.mark.parametrize("command", ["status", "history", "base", "--help"])
def test_a_command_that_only_looks_loads_nothing_that_serves_others(command: str, trained: Path) -> None:
    assert loaded_by_command(command, trained) & (HEAVY | OTHERS) == set()


@pytest.mark.parametrize("command", ["history", "base"])
def test_to_show_versions_no_ledger_is_loaded(command: str, trained: Path) -> None:
    assert loaded_by_command(command, trained) & {"metahuman_core.ledger", "metahuman_core.journal"} == set()


def test_no_command_looks_for_plugins_of_pydantic(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed = tmp_path / "installed"
    write_text(installed / "a_plugin.py", _PLUGIN)
    write_text(installed / "a-1.dist-info/METADATA", "Metadata-Version: 2.1\nName: a\nVersion: 1\n")
    write_text(installed / "a-1.dist-info/entry_points.txt", "[pydantic]\na = a_plugin:plugin\n")
    monkeypatch.setenv("PYTHONPATH", str(installed), prepend=os.pathsep)
    assert "a_plugin" in loaded_by("import metahuman_core.settings")
    assert "a_plugin" not in loaded_by_command("status", trained)


def test_at_its_end_a_command_does_not_look_for_garbage() -> None:
    program = (
        "import atexit, gc, sys\nfrom metahuman_daemon.cli import main\nsys.argv = ['metahuman', '--help']\n"
        "atexit.register(lambda: print(gc.get_freeze_count() > 0))\nmain()"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "True"


def test_the_help_of_all_commands_loads_none_of_them() -> None:
    program = (
        "import sys\nfrom metahuman_daemon.cli import main\nsys.argv = ['metahuman', '--help']\n"
        "try:\n    main()\nexcept SystemExit:\n    pass"
    )
    assert "pydantic" not in loaded_by(program)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_commands_line_in_the_list_is_how_its_own_help_begins(name: str) -> None:
    command = typer.main.get_command(app).commands[name]
    assert command.help.startswith(COMMANDS[name].summary)


def test_every_command_there_is_stands_in_the_list() -> None:
    listed = {(listed.module, listed.function) for listed in COMMANDS.values()}
    assert len(listed) == len(COMMANDS)
    modules = {path.stem for path in Path(metahuman_daemon.__path__[0]).glob("commands_*.py")}
    assert {module for module, _ in listed} == modules


def test_the_python_api_loads_nothing_heavy() -> None:
    assert loaded_by("from metahuman_core import get_current_base_model") & HEAVY == set()
