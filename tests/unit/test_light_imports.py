"""Nothing of the light side loads torch: a daemon that idles must cost next to nothing, and the tests be quick."""

from __future__ import annotations

import json
import pkgutil
import subprocess
import sys

import metahuman_core
import metahuman_daemon

HEAVY = {"torch", "transformers", "peft", "accelerate", "llama_cpp"}
# Only the child of a cycle, or of a rebuild, imports these.
HEAVY_SIDE = ("metahuman_core.steps", "metahuman_core.cycle", "metahuman_core.rebuild")

LIGHT_MODULES = [
    module.name
    for package in (metahuman_core, metahuman_daemon)
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
    if not module.name.startswith(HEAVY_SIDE)
]


def loaded_by(program: str) -> set[str]:
    """The top-level packages that a program has loaded at its end."""
    ended = f"{program}\nimport json, sys\nprint(json.dumps([name.partition('.')[0] for name in sys.modules]))"
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


def test_the_python_api_loads_nothing_heavy() -> None:
    assert loaded_by("from metahuman_core import get_current_base_model") & HEAVY == set()
