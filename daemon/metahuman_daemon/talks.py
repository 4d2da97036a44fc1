"""Opens a conversation with a version, or with the base as it was, straight from a GGUF."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from metahuman_core.errors import MetahumanError, UsageError
from metahuman_core.fingerprint import fingerprint
from metahuman_core.hub import local_folder
from metahuman_core.layout import cycle_lock_path
from metahuman_core.locks import cycle_lock
from metahuman_core.progress import Report
from metahuman_core.publishing import serving_of
from metahuman_core.registry import Registry, load_registry
from metahuman_core.settings import Settings
from metahuman_core.talking import Talk
from metahuman_daemon.clock import now
from metahuman_daemon.having import have_for
from metahuman_daemon.worker import run_child


def open_talk(
    settings: Settings, profile: str, which: str, report: Report, say: Callable[[str], None] = lambda _: None
) -> Talk:
    """A conversation with a version (`live`, a number, or `base`), as it is served; its GGUF is rebuilt where it lacks.

    `say` is told what that costs, before.
    """
    registry = load_registry(settings.registry_path(profile))
    live = registry.live() if registry else None
    if which == "base":
        if registry is None or live is None:
            raise MetahumanError(
                "there is no version yet, so there is no base to compare with", "`metahuman fine-tune`"
            )
        return Talk(_base_gguf(settings, registry, report), serving_of(live, settings, profile, now).system)
    if which != "live" and not which.lstrip("v").isdigit():
        raise UsageError(f"{which} is no version", "a number, live, or base")
    version = live if which == "live" else registry.find(int(which.lstrip("v"))) if registry else None
    if version is None:
        raise MetahumanError(f"there is no version {which}", "see `metahuman history`")
    gguf = settings.root / version.gguf_path
    if version.adapter_sha256 and not gguf.is_file():
        have_for(settings, profile, version.version, "serving", report, say, by_hand=True)
    return Talk(gguf, serving_of(version, settings, profile, now).system)


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
