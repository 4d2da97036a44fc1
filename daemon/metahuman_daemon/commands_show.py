"""The commands that only read: history, report, base, check-config, doctor."""

from __future__ import annotations

import shutil
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from metahuman_core.config import find_config, load_settings
from metahuman_core.errors import MetahumanError
from metahuman_core.forgetting.anything import is_anything_erased
from metahuman_core.layout import ProfilePaths
from metahuman_core.lineage import base_name
from metahuman_core.registry import Registry, load_registry
from metahuman_daemon import versions_table
from metahuman_daemon.in_words import versions_named
from metahuman_daemon.options import ConfigOption, JsonOption, UserOption, print_json, settings_for

if TYPE_CHECKING:
    from metahuman_daemon.doctor import Finding

_PIPED_WIDTH = 160


def history(username: UserOption = None, as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """All versions with lineage and measures, and the runs that failed."""
    settings, profile = settings_for(config, username)
    registry = load_registry(settings.registry_path(profile))
    paths = ProfilePaths(settings.root, profile)
    if as_json:
        found = versions_table.as_json(registry, paths, _stale(registry, paths)) if registry else None
        print_json(found or {"training_history": []})
        return
    if registry is None or not (registry.training_history or registry.failed_runs):
        sys.stderr.write("no version yet: `metahuman fine-tune` makes the first\n")
        return
    _print_history(registry, paths)


def report(
    version: Annotated[int | None, typer.Argument(metavar="V", help="A version; else the live one.")] = None,
    username: UserOption = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Where a version's report lies: one page for any browser, with its measures, answers and curves."""
    from metahuman_core.report import REPORT
    from metahuman_core.versions.parts import parts_of

    settings, profile = settings_for(config, username)
    registry = load_registry(settings.registry_path(profile)) or Registry()
    chosen = registry.live() if version is None else registry.get(version)
    if chosen is None:
        raise MetahumanError("there is no live version", "say which one: `metahuman history` lists them")
    path = parts_of(chosen, ProfilePaths(settings.root, profile)).run_dir / REPORT
    if not path.is_file():
        raise MetahumanError(
            f"version {chosen.version} has no report: it was made without one, or removed",
            f"`metahuman history` has its measures, and {path.parent} what is left of it",
        )
    if as_json:
        print_json({"version": chosen.version, "report": str(path.absolute())})
        return
    typer.echo(str(path.absolute()))


def base(username: UserOption = None, as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """The base of the next run."""
    settings, profile = settings_for(config, username)
    registry = load_registry(settings.registry_path(profile))
    name = base_name(None, registry)
    version = registry.by_model_path(name) if registry else None
    if as_json:
        kind = registry.model_type if registry else "huggingface"
        print_json({"model": name, "type": kind, "version": version.version if version else None})
        return
    typer.echo(name)


def check_config(as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """Read the config, and say what is wrong with it (exit 78)."""
    from metahuman_core.qlora import require_qlora
    from metahuman_core.versions.retention.policy import policy_of

    settings = load_settings(config)
    policy_of(settings.retention)
    require_qlora(settings.training)
    path = find_config(config)
    if as_json:
        print_json(settings.model_dump(mode="json"))
        return
    typer.echo(f"{path or 'no config file: the defaults'}: good; root {settings.root}")


def doctor(as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """Look for what would stop a cycle, and name the way out."""
    from metahuman_daemon.doctor import examine

    findings = examine(load_settings(config), find_config(config))
    if as_json:
        print_json({"findings": [asdict(finding) for finding in findings]})
    else:
        for finding in findings:
            _print_finding(finding)
    if any(finding.level == "error" for finding in findings):
        raise typer.Exit(1)


def _print_history(registry: Registry, paths: ProfilePaths) -> None:
    terminal = sys.stdout.isatty()
    width = shutil.get_terminal_size().columns if terminal else _PIPED_WIDTH
    if registry.training_history:
        stale = _stale(registry, paths)
        typer.echo(versions_table.as_text(registry, paths, width, stale, bold=terminal))
        typer.echo(versions_table.EXPLAINED)
        if stale:
            typer.echo(f"{versions_named(stale)} still know{'s' * (len(stale) == 1)} what was erased")
    for run in registry.failed_runs:
        typer.echo(f"failed {run.run_label} at {run.step}: {run.reason}")
    for version in registry.training_history:
        if version.reasons:
            typer.echo(f"version {version.version}: {'; '.join(version.reasons)}")


def _stale(registry: Registry, paths: ProfilePaths) -> tuple[int, ...]:
    """The versions that know what was erased; none are named where the ledger may not be opened by who asks."""
    if not is_anything_erased(paths.ledger):
        return ()
    from metahuman_core.forgetting.stale import stale_versions

    try:
        return stale_versions(registry, paths)
    except (OSError, MetahumanError):
        return ()


def _print_finding(finding: Finding) -> None:
    mark = {"ok": "ok     ", "warning": "warning", "error": "ERROR  "}[finding.level]
    typer.echo(f"{mark}  {finding.what}" + (f"\n         {finding.way_out}" if finding.way_out else ""))
