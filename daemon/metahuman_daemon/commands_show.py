"""The commands that only read: history, base, check-config, doctor."""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import typer

from metahuman_core.lineage import base_name
from metahuman_core.registry import Registry, Version, load_registry
from metahuman_core.settings import Settings, find_config, load_settings
from metahuman_daemon.options import ConfigOption, JsonOption, UserOption, settings_for

if TYPE_CHECKING:
    from metahuman_daemon.doctor import Finding

_GIB = 1 << 30
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
    from metahuman_daemon.doctor import examine

    findings = examine(load_settings(config), find_config(config))
    if as_json:
        _print_json({"findings": [asdict(finding) for finding in findings]})
    else:
        for finding in findings:
            _print_finding(finding)
    if any(finding.level == "error" for finding in findings):
        raise typer.Exit(1)


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
    from rich.console import Console
    from rich.table import Table

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
    app.command()(history)
    app.command()(base)
    app.command(name="check-config")(check_config)
    app.command()(doctor)
