"""Finds what is shipped beside the code: `etc/`, `systemd/`, `profiles/example/`, `config.example.toml`.

In a wheel they lie inside the package (force-include); in a checkout, where an editable install points, at its top.
"""

from __future__ import annotations

from pathlib import Path

from metahuman_core.errors import MetahumanError


def shipped(name: str) -> Path:
    """The path of a shipped file or folder (`etc/prompts.toml`). Raises MetahumanError if it is not there."""
    package = Path(__file__).resolve().parent
    for place in (package / "shipped" / name, package.parents[1] / name):
        if place.exists():
            return place
    raise MetahumanError(f"{name} is not in this installation", "install the package again")
