"""All commands of the command line, each with its module, which is imported when the command is called.

Invariant: to list them, none is imported. All of them together take most of a second, and `status` needs few.
"""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup


@dataclass(frozen=True, slots=True)
class Listed:
    """A command: the function of that name in `metahuman_daemon.MODULE`; `summary` is how its own help begins."""

    module: str
    function: str
    summary: str


COMMANDS = {
    "setup": Listed("commands_make", "setup", "Once: fetch llama.cpp's converter (and the small model)"),
    "fine-tune": Listed("commands_make", "fine_tune", "Train the next version on what is new"),
    "publish": Listed("commands_make", "publish", "Create a version in Ollama"),
    "demo": Listed("commands_make", "demo", "The example profile, from nothing to version 2"),
    "rollback": Listed("commands_move", "rollback", "Go back to an older version"),
    "promote": Listed("commands_move", "promote", "Make a version live again"),
    "pin": Listed("commands_move", "pin", "Keep a version as it is: retention leaves it alone"),
    "unpin": Listed("commands_move", "unpin", "Let retention decide on a version again"),
    "reset": Listed("commands_move", "reset", "Let the next run start from the original base again"),
    "forget": Listed("commands_forget", "forget", "Erase memories for good"),
    "history": Listed("commands_show", "history", "All versions with lineage and measures"),
    "report": Listed("commands_show", "report", "Where a version's report lies"),
    "base": Listed("commands_show", "base", "The base of the next run"),
    "check-config": Listed("commands_show", "check_config", "Read the config, and say what is wrong with it"),
    "doctor": Listed("commands_show", "doctor", "Look for what would stop a cycle, and name the way out"),
    "chat": Listed("commands_chat", "chat", "Talk to a version straight from its GGUF"),
    "run": Listed("commands_daemon", "run", "The daemon, in the foreground"),
    "pause": Listed("commands_daemon", "pause", "Let nothing run by itself until `resume`"),
    "resume": Listed("commands_daemon", "resume", "Go on after `pause`"),
    "train-now": Listed("commands_daemon", "train_now", "Have the running daemon begin a cycle now"),
    "notify-test": Listed("commands_notify", "notify_test", "Send a test message to everybody in notify.urls"),
    "prune": Listed("commands_prune", "prune", "Clear away what the policy no longer keeps"),
    "rebuild": Listed("commands_rebuild", "rebuild", "Make a version's model/ and GGUF again"),
    "status": Listed("commands_status", "status", "What is going on, what is due, what was set aside and why"),
    "unit": Listed("commands_units", "unit", "Print a unit for systemd that starts this metahuman"),
    "verify": Listed("commands_compare", "verify", "Hash every version's parts again"),
    "diff": Listed("commands_compare", "diff", "Memories, settings, measures and state of version B"),
    "import": Listed("commands_compare", "import_", "Take over a registry of the original MetaHuman"),
}


class _WhenAsked(MutableMapping[str, Any]):
    """The commands by name, as typer has them; each is made when somebody asks for it, and not before."""

    def __init__(self) -> None:
        self._made: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._made:
            listed = COMMANDS[name]
            module = import_module(f"metahuman_daemon.{listed.module}")
            alone = typer.Typer(rich_markup_mode=None)
            alone.command(name)(getattr(module, listed.function))
            self._made[name] = typer.main.get_group(alone).commands[name]
        return self._made[name]

    def __setitem__(self, name: str, command: Any) -> None:
        self._made[name] = command

    def __delitem__(self, name: str) -> None:
        del self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(COMMANDS)

    def __len__(self) -> int:
        return len(COMMANDS)


class OnDemand(TyperGroup):
    """`metahuman`: lists its commands by their summaries."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands = _WhenAsked()

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002  # click's own signature
        """All names, in the table's order."""
        return list(COMMANDS)

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002  # click's own signature
        """Their part of the help."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, f"{listed.summary}.") for name, listed in COMMANDS.items()])
