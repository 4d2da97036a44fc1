"""`chat`: talk to a version, straight from its GGUF."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from metahuman_core.errors import MetahumanError, UsageError
from metahuman_core.hub import fingerprint, local_folder
from metahuman_core.layout import cycle_lock_path
from metahuman_core.locks import cycle_lock
from metahuman_core.progress import Report
from metahuman_core.publishing import serving_of
from metahuman_core.registry import Registry, load_registry
from metahuman_core.settings import Settings
from metahuman_core.talking import Talk
from metahuman_daemon.fine_tune import now
from metahuman_daemon.options import ConfigOption, UserOption, settings_for
from metahuman_daemon.view import ProgressView
from metahuman_daemon.worker import run_child


def chat(
    version: Annotated[str, typer.Argument(help="A number, live, or base (the base as it was).")] = "live",
    ask: Annotated[list[str] | None, typer.Option("--ask", "-a", help="Ask this and leave; may be repeated.")] = None,
    temperature: Annotated[
        float | None, typer.Option("--temperature", min=0, max=2, help="0: always the likeliest.")
    ] = None,
    max_tokens: Annotated[int, typer.Option("--max-tokens", min=1, help="An answer's length at most.")] = 256,
    username: UserOption = None,
    config: ConfigOption = None,
) -> None:
    """Talk to a version straight from its GGUF; no server is needed. An empty line, or Ctrl-D, ends it."""
    settings, profile = settings_for(config, username)
    warmth = settings.ollama.temperature if temperature is None else temperature
    with ProgressView() as view:
        talk = open_talk(settings, profile, version, view)
    with talk:
        for question in ask or _questions():
            for piece in talk.ask(question, temperature=warmth, max_tokens=max_tokens, remember=not ask):
                typer.echo(piece, nl=False)
            typer.echo()


def open_talk(settings: Settings, profile: str, which: str, report: Report) -> Talk:
    """A conversation with a version (`live`, a number, or `base`), as it is served."""
    registry = load_registry(settings.registry_path(profile))
    live = registry.live() if registry else None
    if which == "base":
        if registry is None or live is None:
            raise MetahumanError(
                "there is no version yet, so there is no base to compare with", "`metahuman fine-tune`"
            )
        return Talk(_base_gguf(settings, registry, report), serving_of(live, settings.root, now).system)
    if which != "live" and not which.lstrip("v").isdigit():
        raise UsageError(f"{which} is no version", "a number, live, or base")
    version = live if which == "live" else registry.find(int(which.lstrip("v"))) if registry else None
    if version is None:
        raise MetahumanError(f"there is no version {which}", "see `metahuman history`")
    return Talk(settings.root / version.gguf_path, serving_of(version, settings.root, now).system)


def _base_gguf(settings: Settings, registry: Registry, report: Report) -> Path:
    """The original base as a GGUF, made the first time that somebody asks for it."""
    first = registry.training_history[0]
    folder = local_folder(first.anchor_model or first.base_model_used, first.anchor_revision, settings.root)
    out = settings.root / "cache" / "base-gguf" / f"{fingerprint(folder)[:16]}.{settings.weights.quantization}.gguf"
    if not out.is_file():
        with cycle_lock(cycle_lock_path(settings.root), "converting the base") as lock_fd:
            arguments = ["base", str(folder), str(out), settings.weights.quantization]
            run_child(arguments, settings.root / "state" / "base.log", lock_fd, report)
    return out


def _questions() -> Iterator[str]:
    """What a person types, line by line, until an empty one."""
    return iter(_question, "")


def _question() -> str:
    try:
        return input("> " if sys.stdin.isatty() else "").strip()
    except EOFError:
        return ""


def add_to(app: typer.Typer) -> None:
    """Add this command."""
    app.command()(chat)
