"""`chat`: talk to a version, straight from its GGUF."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Annotated

import typer

from metahuman_daemon.options import ConfigOption, UserOption, say, settings_for


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
    from metahuman_daemon.talks import open_talk
    from metahuman_daemon.view import ProgressView

    settings, profile = settings_for(config, username)
    warmth = settings.ollama.temperature if temperature is None else temperature
    with ProgressView() as view:
        talk = open_talk(settings, profile, version, view, say)
    with talk:
        for question in ask or _questions():
            for piece in talk.ask(question, temperature=warmth, max_tokens=max_tokens, remember=not ask):
                typer.echo(piece, nl=False)
            typer.echo()


def _questions() -> Iterator[str]:
    """What a person types, line by line, until an empty one."""
    return iter(_question, "")


def _question() -> str:
    try:
        return input("> " if sys.stdin.isatty() else "").strip()
    except EOFError:
        return ""
