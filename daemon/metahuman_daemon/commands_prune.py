"""`prune`: what is kept of each version and why, and the disk that it frees."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from metahuman_core.errors import MetahumanError
from metahuman_core.settings import Settings
from metahuman_daemon.clock import now
from metahuman_daemon.in_words import size, versions_counted, versions_named
from metahuman_daemon.locking import take_lock
from metahuman_daemon.options import ConfigOption, JsonOption, UserOption, print_json, say, settings_for

if TYPE_CHECKING:
    from metahuman_core.versions.retention.planning import Plan


def prune(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")] = False,
    username: UserOption = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Clear away what the policy no longer keeps: model/ and GGUF of older versions, which can be rebuilt.

    Whole versions too, for good, where the registry's keep_all_versions is false.
    """
    from metahuman_daemon.retention import apply_retention, plan_ahead, why_not_archived

    settings, profile = settings_for(config, username)
    if dry_run:
        plan = plan_ahead(settings, profile)
        _print(plan, as_json=as_json, dry_run=True, freed_bytes=0, errors=())
        if plan.changes:
            say(f"would free {plan.frees_bytes} bytes ({size(plan.frees_bytes)}); nothing was done")
            if removed := [v.version for v in plan.changes if v.after == "removed" != v.before]:
                say(f"{versions_named(removed)} would be removed for good: without an adapter there is no rebuilding")
            if why := why_not_archived(settings, profile, plan):
                say(why)
        else:
            say("nothing to clear away")
        return
    with take_lock(settings, f"prune of profile {profile}", say):
        applied = apply_retention(settings, profile, say)
        errors = (*applied.errors, *_tidied(settings, profile))
    _print(applied.plan, as_json=as_json, dry_run=False, freed_bytes=applied.freed_bytes, errors=errors)
    if applied.plan.changes:
        say(f"freed {applied.freed_bytes} bytes ({size(applied.freed_bytes)})")
    elif not errors:
        say("nothing to clear away")
    if applied.errors:
        raise MetahumanError(
            f"{versions_counted(len(applied.errors))} could not be cleared away",
            "each was told above, and is as it was",
        )
    if errors:
        raise MetahumanError("not all that is half-made could be removed", "it was told above")


def verdict_table(plan: Plan) -> str:
    """All verdicts with their reasons, a line each, and what the versions take before and after."""
    rows = [("version", "storage", "frees", "why")]
    for verdict in plan.verdicts:
        change = verdict.after if verdict.before == verdict.after else f"{verdict.before} → {verdict.after}"
        frees = size(verdict.frees_bytes) if verdict.parts else ""
        rows.append((str(verdict.version), change, frees, "; ".join(verdict.reasons)))
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    lines = [
        f"{number:>{widths[0]}}  {change:<{widths[1]}}  {frees:>{widths[2]}}  {why}".rstrip()
        for number, change, frees, why in rows
    ]
    over = f"; {size(plan.over_bytes)} over max_total_gb" if plan.over_bytes else ""
    return "\n".join([*lines, f"all versions: {size(plan.before_bytes)} → {size(plan.after_bytes)}{over}"])


def _print(plan: Plan, *, as_json: bool, dry_run: bool, freed_bytes: int, errors: tuple[str, ...]) -> None:
    if not as_json:
        if plan.verdicts:
            typer.echo(verdict_table(plan))
        return
    value: dict[str, Any] = {
        "dry_run": dry_run,
        "verdicts": [asdict(verdict) for verdict in plan.verdicts],
        "before_bytes": plan.before_bytes,
        "after_bytes": plan.after_bytes,
        "over_bytes": plan.over_bytes,
        "frees_bytes": plan.frees_bytes,
        "freed_bytes": freed_bytes,
        "errors": list(errors),
    }
    print_json(value)


def _tidied(settings: Settings, profile: str) -> tuple[str, ...]:
    """Remove what broken-off commands left half-made. Gives what went wrong."""
    from metahuman_core.tidying import tidy

    try:
        for name in tidy(settings, profile, now):
            say(f"removed {name}, left over from what was broken off")
    except OSError as error:
        say(f"{error.filename}: {error.strerror}")
        return (f"{error.filename}: {error.strerror}",)
    return ()
