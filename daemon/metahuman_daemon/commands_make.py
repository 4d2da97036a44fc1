"""The commands that make something: setup, fine-tune, publish, demo."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from metahuman_core.errors import MetahumanError
from metahuman_core.layout import relative_to_root
from metahuman_core.registry import Version, load_registry
from metahuman_core.settings import ModeFilter
from metahuman_core.wish import Wish
from metahuman_daemon.options import ConfigOption, UserOption, say, settings_for

if TYPE_CHECKING:
    from metahuman_daemon.fine_tune import Looked


def setup(
    demo: Annotated[bool, typer.Option("--demo", help="Fetch the demo's small model as well.")] = False,
) -> None:
    """Once: fetch llama.cpp's converter (and the small model), checked by hash."""
    from metahuman_daemon.setting_up import set_up

    set_up(demo=demo, say=say)


def fine_tune(
    username: UserOption = None,
    base_model: Annotated[
        str | None, typer.Option("--base-model", help="A Hub id or a folder, instead of the registry's current base.")
    ] = None,
    mode: Annotated[ModeFilter | None, typer.Option("--mode", help="Only memories of this mode.")] = None,
    max_memories: Annotated[
        int | None, typer.Option("--max", min=1, help="At most so many new memories, the oldest first.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be trained, and from where.")] = False,
    throw_away: Annotated[bool, typer.Option("--discard", help="Throw an unfinished run away first.")] = False,
    config: ConfigOption = None,
) -> None:
    """Train the next version on what is new, check it, register it, hand it to Ollama."""
    from metahuman_daemon import fine_tune as cycle
    from metahuman_daemon.having import look_ahead_to_base
    from metahuman_daemon.publishing import publish_due
    from metahuman_daemon.retention import apply_after_a_run
    from metahuman_daemon.view import ProgressView

    settings, profile = settings_for(config, username)
    if base_model and Path(base_model).is_dir():
        base_model = relative_to_root(Path(base_model), settings.root)  # as the person sees it, wherever the root is
    wish = Wish(profile, base_model, mode, max_memories)
    if dry_run:
        looked = cycle.look_ahead(settings, wish)
        if settings.forget.on_delete == "forget" and (gone := looked.counts.deleted):
            which = "1 memory whose file is" if gone == 1 else f"{gone} memories whose files are"
            typer.echo(f"{which} gone would be erased first, if it has been gone for a minute")
        _show_ahead(looked)
        if looked.choice.new and settings.study.ollama_model:
            typer.echo(f"{settings.study.ollama_model} would be asked about those of which it has not been asked yet")
        anchor, of_parent = looked.choice.start.anchor, looked.choice.of_parent
        for line in look_ahead_to_base(settings, profile, anchor, of_parent) if looked.choice.is_due else ():
            typer.echo(line)
        return
    with ProgressView() as view:
        version = cycle.fine_tune(settings, wish, view, say, throw_away=throw_away)
        if version is None:
            say("nothing new to train")
        else:
            _say_made(version)
        if settings.ollama.enabled:
            publish_due(settings, profile, view, say)
    if version is not None:
        apply_after_a_run(settings, profile, say)
    if version is not None and not version.training_success:
        raise MetahumanError(
            f"version {version.version} was rejected: {'; '.join(version.reasons)}",
            f"it is not live, and its memories stay due; `metahuman promote {version.version} --force` makes it live",
        )


def publish(
    version: Annotated[
        int | None, typer.Argument(help="The version (else the live one, and all that are due).")
    ] = None,
    username: UserOption = None,
    config: ConfigOption = None,
) -> None:
    """Create a version in Ollama, check it there, and point NAME:latest at it."""
    from metahuman_daemon.publishing import publish_one
    from metahuman_daemon.view import ProgressView

    settings, profile = settings_for(config, username)
    registry = load_registry(settings.registry_path(profile))
    chosen = (registry.live() if version is None else registry.find(version)) if registry else None
    if chosen is None:
        which = "yet that is live" if version is None else version
        raise MetahumanError(f"there is no version {which}", "see `metahuman history`")
    if not chosen.training_success:
        raise MetahumanError(f"version {chosen.version} was rejected: {'; '.join(chosen.reasons)}")
    with ProgressView() as view:
        publish_one(settings, profile, chosen, view, say, by_hand=True)


def demo(
    root: Annotated[
        Path | None, typer.Option("--root", help="Where to make it; it stays there. Default: ./demo")
    ] = None,
) -> None:
    """The example profile, from nothing to version 2, and its questions to base, version 1 and version 2."""
    from metahuman_daemon.demo import run_demo

    run_demo((root or Path("demo")).absolute(), say)


def _say_made(version: Version) -> None:
    gib = 1 << 30
    say(
        f"version {version.version} is {version.outcome}: {version.samples_trained} samples, "
        f"adapter {version.adapter_bytes / (1 << 20):.0f} MiB, model {version.model_bytes / gib:.2f} GiB, "
        f"GGUF {version.gguf_bytes / gib:.2f} GiB"
    )
    recalled = version.metrics.get("new_recall_after")
    if recalled is not None:
        say(f"of the kept-out questions about new memories it answers {recalled:.0%} (`metahuman report` has the rest)")
    elif version.memories_trained:
        say("nothing could be asked about the new memories: no phrasing of them was kept out")


def _show_ahead(looked: Looked) -> None:
    from metahuman_daemon.fine_tune import told_held

    choice, counts = looked.choice, looked.counts
    typer.echo(
        f"memories: {counts.known} known, {counts.trained} trained, {counts.due} due, {counts.settled} settled, "
        f"{counts.superseded} superseded{told_held(counts)}; {looked.scan.skipped} set aside"
    )
    if looked.unfinished:
        typer.echo(f"run {looked.unfinished} is unfinished; it would go on first")
    if choice.consolidation:
        would = "would be" if choice.is_due else "the next run is"
        typer.echo(f"{would} a consolidation, on all that counts: {choice.consolidation}")
    if choice.is_due:
        typer.echo(f"would train {len(choice.new)} new and {len(choice.replay)} old memories")
    else:
        typer.echo("nothing new to train" + (" of this mode" if counts.due else ""))
    on_anchor = choice.start.warm_start or choice.consolidation
    typer.echo(f"base: {choice.start.base_model}" + (f", on anchor {choice.start.anchor}" if on_anchor else ""))
    if choice.start.note:
        typer.echo(choice.start.note)
