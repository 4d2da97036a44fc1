"""The example profile's samples, made by the product's own code from the invented person's memory files."""

from __future__ import annotations

import shutil
from pathlib import Path

from metahuman_core.config import load_settings
from metahuman_core.converter import data_folder
from metahuman_core.dataset.build import build_dataset
from metahuman_core.durable import write_text
from metahuman_core.layout import ProfilePaths
from metahuman_core.ledger import Ledger
from metahuman_core.looking import look
from metahuman_core.prepare import Choice, choose
from metahuman_core.serving import system_prompt
from metahuman_core.settings import Settings
from metahuman_core.shipped import shipped
from metahuman_core.wish import Wish

BASE = data_folder() / "SmolLM2-135M-Instruct"
_PROFILE = "tamsin"


def example_choice(root: Path) -> tuple[Settings, Choice]:
    """Lay the example out below `root`. Gives the demo's settings, and what a first version would train."""
    shutil.copytree(shipped("profiles/example"), ProfilePaths(root, _PROFILE).home, dirs_exist_ok=True)
    write_text(root / "config.toml", shipped("etc/demo.toml").read_text(encoding="utf-8"))
    settings = load_settings(root / "config.toml")
    with Ledger(ProfilePaths(root, _PROFILE).ledger) as ledger:
        look(settings, _PROFILE, ledger, None)
        return settings, choose(settings, Wish(_PROFILE, str(BASE)), ledger, None)


def example_system(settings: Settings) -> str:
    """What opens each of the example's samples."""
    return system_prompt(settings, _PROFILE)


def write_samples(root: Path, out: Path, every: int) -> Settings:
    """Write `out` (dataset.jsonl): every so-many-th sample of a first version. Gives the demo's settings."""
    settings, choice = example_choice(root)
    whole = out.with_name("whole.jsonl")
    # Memories alone: what is trained beside them would change what was measured, and no way of training.
    bare = settings.dataset.model_copy(update={"general_share": 0.0, "unknown_share": 0.0})
    build_dataset(choice.new, choice.replay, [], bare, example_system(settings), whole)
    write_text(out, "".join(whole.read_text(encoding="utf-8").splitlines(keepends=True)[::every]))
    return settings
