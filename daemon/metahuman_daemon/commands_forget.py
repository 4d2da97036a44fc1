"""`forget`: has memories erased, for good."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from metahuman_core.errors import UsageError
from metahuman_daemon.options import ConfigOption, JsonOption, UserOption, print_json, say, settings_for

if TYPE_CHECKING:
    from metahuman_daemon.forgetting import Ahead

_NOTHING = "nothing was done"
_WAY = "; --yes does it"


def forget(
    what: Annotated[
        list[str],
        typer.Argument(
            metavar="MEMORY|QUERY",
            help="The beginning of a memory's hash (8 hex digits or more), its file, or words that stand in it.",
        ),
    ],
    yes: Annotated[bool, typer.Option("--yes", help="Do it, and do not ask.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would go.")] = False,
    username: UserOption = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Erase memories for good: they never come back, and the next version is trained without them.

    Without --yes it shows what would go, and asks on a terminal. Memory files are never changed.
    """
    from metahuman_daemon import forgetting

    if yes and dry_run:
        raise UsageError("--yes and --dry-run contradict each other", "take one of them")
    settings, profile = settings_for(config, username)
    ahead = forgetting.look_ahead(settings, profile, what)
    may_ask = not (yes or dry_run or as_json) and sys.stdin.isatty() and sys.stdout.isatty()
    if ahead.already:
        say(f"it is erased already, since {ahead.already}")
    elif not as_json:
        _show(ahead, certain=yes)
    does = yes or (may_ask and not ahead.already and typer.confirm("erase for good?", default=False))
    if does:  # what is erased already, too: the last time may have been broken off
        forgetting.erase(settings, profile, ahead, say)
        for line in forgetting.consequences(ahead, done=True) if ahead.meant else ():
            say(line)
    elif not ahead.already:
        say(_NOTHING + ("" if dry_run or may_ask else _WAY))
    if as_json:
        print_json(_plain(ahead, dry_run=not does))


def _show(ahead: Ahead, *, certain: bool) -> None:
    """What would go, and, where that is not certain yet, what it entails."""
    from metahuman_daemon import forgetting

    for line in forgetting.told(ahead):
        typer.echo(line)
    for line in () if certain else forgetting.consequences(ahead, done=False):
        say(line)


def _plain(ahead: Ahead, *, dry_run: bool) -> dict[str, Any]:
    from metahuman_daemon.forgetting import first_words

    return {
        "dry_run": dry_run,
        "memories": [
            {
                "digest": one.memory.digest,
                "kind": one.memory.kind,
                "happened_at": one.memory.happened_at.isoformat() if one.memory.happened_at else None,
                "files": list(one.files),
                "says_the_same": one.same_as,
                "begins": first_words(one),
            }
            for one in ahead.meant
        ],
        "files_there": [str(file) for file in ahead.files],
        "versions_that_know": list(ahead.stale),
        "versions_untold": list(ahead.untold),
        "consolidation": ahead.due,
        "erase_versions": ahead.erases,
    }
