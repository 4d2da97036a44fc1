"""The commands that only read: status, history, base, check-config, doctor."""

from __future__ import annotations

import json
import shutil
import sys
from collections import Counter
from dataclasses import asdict
from typing import Any

import typer
from rich.console import Console
from rich.table import Table

from metahuman_core.layout import ProfilePaths
from metahuman_core.ledger import Ledger
from metahuman_core.lineage import base_name
from metahuman_core.memories.model import Skipped
from metahuman_core.prepare import look, unfinished_run
from metahuman_core.registry import Registry, Version, load_registry
from metahuman_core.settings import Settings, find_config, load_settings
from metahuman_daemon.doctor import Finding, examine
from metahuman_daemon.fine_tune import now
from metahuman_daemon.options import ConfigOption, JsonOption, UserOption, known_profiles, profile_of, settings_for

_GIB = 1 << 30
_SHOWN_SKIPPED = 20
_PIPED_WIDTH = 160
_WIDEST = 1000
_COLUMNS = (
    "version", "when", "from", "samples", "mode", "outcome", "new", "old", "general", "size", "on disk", "Ollama",
)  # fmt: skip
_NUMBERS = frozenset({"version", "samples", "new", "old", "general", "size"})
_MEASURES_EXPLAINED = (
    "new, old, general: bits per byte before→after, on kept-out questions about new and older memories and on general\n"
    "ones; less is better"
)


def status(username: UserOption = None, as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """What there is, what is due, what was set aside and why."""
    settings = load_settings(config)
    names = [profile_of(settings, username)] if username else known_profiles(settings) or [profile_of(settings, None)]
    states = [_state(settings, name) for name in names]
    if as_json:
        _print_json({"profiles": states})
        return
    for state in states:
        _print_state(state)


def history(username: UserOption = None, as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """All versions with lineage and measures, and the runs that failed."""
    settings, profile = settings_for(config, username)
    registry = load_registry(settings.registry_path(profile))
    if as_json:
        _print_json(json.loads(registry.model_dump_json(exclude_unset=True)) if registry else {"training_history": []})
        return
    if registry is None or not (registry.training_history or registry.failed_runs):
        sys.stderr.write("no version yet: `metahuman fine-tune` makes the first\n")
        return
    _print_history(registry, settings)


def base(username: UserOption = None, as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """The base of the next run."""
    settings, profile = settings_for(config, username)
    registry = load_registry(settings.registry_path(profile))
    name = base_name(None, registry)
    version = registry.by_model_path(name) if registry else None
    if as_json:
        kind = registry.model_type if registry else "huggingface"
        _print_json({"model": name, "type": kind, "version": version.version if version else None})
        return
    typer.echo(name)


def check_config(as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """Read the config, and say what is wrong with it (exit 78)."""
    settings = load_settings(config)
    path = find_config(config)
    if as_json:
        _print_json(settings.model_dump(mode="json"))
        return
    typer.echo(f"{path or 'no config file: the defaults'}: good; root {settings.root}")


def doctor(as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """Look for what would stop a cycle, and name the way out."""
    findings = examine(load_settings(config))
    if as_json:
        _print_json({"findings": [asdict(finding) for finding in findings]})
    else:
        for finding in findings:
            _print_finding(finding)
    if any(finding.level == "error" for finding in findings):
        raise typer.Exit(1)


def _state(settings: Settings, profile: str) -> dict[str, Any]:
    registry = load_registry(settings.registry_path(profile))
    live = registry.live() if registry else None
    current = registry.by_model_path(registry.current_base_model) if registry else None
    ancestry = tuple(v.run_label for v in registry.ancestry(current) if v.run_label) if registry else ()
    paths = ProfilePaths(settings.root, profile)
    with Ledger(paths.ledger) as ledger:
        scan = look(settings, profile, ledger, registry)
        counts, skipped, reasons = ledger.counts(ancestry), ledger.skipped(), ledger.settled_reasons()
    journal = unfinished_run(settings, profile, now)
    return {
        "profile": profile,
        "files": scan.files,
        "memories": asdict(counts),
        "settled": reasons,
        "skipped": [asdict(s) for s in skipped],
        "live_version": live.version if live else None,
        "last_success": live.timestamp if live else None,
        "base": base_name(None, registry),
        "unfinished_run": journal.run_dir.name if journal else None,
        "publications_due": [v.version for v in registry.training_history if v.publication == "due"]
        if registry
        else [],
        "publishes": settings.ollama.enabled,
        "disk_free_bytes": shutil.disk_usage(settings.root).free,
    }


def _print_state(state: dict[str, Any]) -> None:
    memories = state["memories"]
    live = f"version {state['live_version']} of {state['last_success']}" if state["live_version"] else "none yet"
    typer.echo(f"{state['profile']}")
    typer.echo(f"  live        {live}")
    typer.echo(f"  next base   {state['base']}")
    typer.echo(
        f"  memories    {memories['known']} known in {state['files']} files: {memories['trained']} trained, "
        f"{memories['due']} due, {memories['settled']} settled, {memories['superseded']} superseded"
    )
    for reason, count in sorted(state["settled"].items()):
        typer.echo(f"    settled   {count} {reason}")
    skipped = [Skipped(**s) for s in state["skipped"]]
    for item in skipped[:_SHOWN_SKIPPED]:
        typer.echo(f"    set aside {_plain(item.source)}{' ' + _plain(item.unit) if item.unit else ''}: {item.reason}")
    if len(skipped) > _SHOWN_SKIPPED:
        for reason, count in Counter(s.reason for s in skipped[_SHOWN_SKIPPED:]).most_common():
            typer.echo(f"    set aside {count} more: {reason}")
    if state["unfinished_run"]:
        typer.echo(f"  unfinished  {state['unfinished_run']}: `metahuman fine-tune` goes on with it")
    if state["publications_due"] and state["publishes"]:
        typer.echo(f"  waits for Ollama: version {', '.join(map(str, state['publications_due']))}")
    typer.echo(f"  disk        {state['disk_free_bytes'] / _GIB:.1f} GiB free")


def _plain(name: str) -> str:
    """A file's name as it may be shown: control characters in it must not reach the terminal."""
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in name)


def _print_history(registry: Registry, settings: Settings) -> None:
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else _PIPED_WIDTH
    if registry.training_history:
        typer.echo(f"{history_text(registry, settings, width)}\n{_MEASURES_EXPLAINED}")
    for run in registry.failed_runs:
        typer.echo(f"failed {run.run_label} at {run.step}: {run.reason}")
    for version in registry.training_history:
        if version.reasons:
            typer.echo(f"version {version.version}: {'; '.join(version.reasons)}")


def history_text(registry: Registry, settings: Settings, width: int) -> str:
    """All versions as a table, or as a few lines each where the terminal's `width` (in columns) is too small for it."""
    rows = [_row(version, settings) for version in registry.training_history]
    table = Table(box=None, pad_edge=False)
    for column in _COLUMNS:
        table.add_column(column, justify="right" if column in _NUMBERS else "left", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    console = Console(width=_WIDEST)
    with console.capture() as printed:
        console.print(table)
    lines = [line.rstrip() for line in printed.get().splitlines()]
    if max(map(len, lines)) <= width:
        return "\n".join(lines)
    told = ([f"{column} {cell}" for column, cell in zip(_COLUMNS, row, strict=True) if cell] for row in rows)
    return "\n".join("\n  ".join(", ".join(cells[n : n + 2]) for n in range(0, len(cells), 2)) for cells in told)


def _row(version: Version, settings: Settings) -> tuple[str, ...]:
    absent = [
        what
        for what, path in (("model/", f"{version.output_model_path}/config.json"), ("GGUF", version.gguf_path))
        if not (settings.root / path).is_file()
    ]
    size = (version.adapter_bytes + version.model_bytes + version.gguf_bytes) / _GIB
    origin = f"version {version.parent_version}" if version.parent_version else version.base_model_used
    return (
        str(version.version),
        version.timestamp[:16].replace("T", " "),
        origin if len(origin) <= 40 else "…" + origin[-39:],  # noqa: PLR2004
        str(version.samples_trained),
        version.mode_filter,
        version.outcome or ("trained" if version.training_success else "rejected"),
        *(_change(version, name) for name in ("new", "old", "general")),
        f"{size:.2f} GiB" if size else "",
        f"absent: {', '.join(absent)}" if absent else version.storage or "full",
        version.publication,
    )


def _change(version: Version, name: str) -> str:
    before = version.metrics.get(f"{name}_bits_per_byte_before")
    after = version.metrics.get(f"{name}_bits_per_byte_after")
    return "" if before is None or after is None else f"{before:.2f}→{after:.2f}"


def _print_finding(finding: Finding) -> None:
    mark = {"ok": "ok     ", "warning": "warning", "error": "ERROR  "}[finding.level]
    typer.echo(f"{mark}  {finding.what}" + (f"\n         {finding.way_out}" if finding.way_out else ""))


def _print_json(value: Any) -> None:
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False))


def add_to(app: typer.Typer) -> None:
    """Add these commands."""
    app.command()(status)
    app.command()(history)
    app.command()(base)
    app.command(name="check-config")(check_config)
    app.command()(doctor)
