"""Publishes versions: what is due, or one by hand; what should have left Ollama leaves it on that occasion.

Invariant: a server that is down is no failure of what was registered: that waits, and is said to.
"""

from __future__ import annotations

from collections.abc import Callable

from metahuman_core.errors import MetahumanError
from metahuman_core.ollama.client import OllamaDown
from metahuman_core.ollama.publish import Published, alias_of
from metahuman_core.progress import Progress, Report
from metahuman_core.publishing import due_publications, publish_version, require_server
from metahuman_core.registry import Version, load_registry
from metahuman_core.settings import Settings
from metahuman_daemon.clock import now
from metahuman_daemon.having import have_for
from metahuman_daemon.retention import withdraw_what_is_owed

Say = Callable[[str], None]


def publish_due(settings: Settings, profile: str, report: Report, say: Say) -> None:
    """Publish what waits. Without a server it goes on waiting, and that is said."""
    try:
        publish_all(settings, profile, report, say)
    except OllamaDown as error:
        say(f"{error.message}: what is registered stays due")
        say("start Ollama and run `metahuman publish`; `metahuman chat` needs no server")


def publish_all(settings: Settings, profile: str, report: Report, say: Say) -> list[int]:
    """Publish what waits, the live version first; gives their numbers.

    One that cannot be published does not hold up the others; its error is raised when all were tried.
    """
    path = settings.registry_path(profile)
    waiting = sorted(due_publications(load_registry(path)), key=lambda version: version.outcome != "live")
    errors: list[MetahumanError] = []
    for number in [version.version for version in waiting]:
        registry = load_registry(path)
        version = registry.find(number) if registry else None  # anew: meanwhile another may be live
        try:
            if version:
                publish_one(settings, profile, version, report, say)
        except OllamaDown:
            raise
        except MetahumanError as error:
            errors.append(error)
    withdraw_what_is_owed(settings, profile, say)
    if errors:
        raise errors[0]
    return [version.version for version in waiting]


def publish_one(
    settings: Settings, profile: str, version: Version, report: Report, say: Say, *, by_hand: bool = False
) -> None:
    """Publish one version, which is rebuilt first where its GGUF is not here. `by_hand`: a person waits for it."""
    if not (settings.root / version.gguf_path).is_file():
        require_server(settings.ollama.host)
        version = have_for(settings, profile, version.version, "serving", report, say, by_hand=by_hand)
    published = hand_over(version, settings, profile, report)
    alias = (
        f", and {alias_of(version.ollama_name)} is it"
        if version.outcome == "live"
        else "; the live version keeps the alias"
    )
    say(f"version {version.version} is in Ollama as {published.tag}{alias}")


def hand_over(version: Version, settings: Settings, profile: str, report: Report) -> Published:
    """Publish a version whose GGUF is here. Raises OllamaDown, OllamaRefused or NotVerified."""
    return publish_version(
        version,
        settings,
        profile,
        now,
        lambda done, total: report(Progress("publish", done, total, "bytes")),
        lambda line: report(Progress("publish", note=line)),
    )
