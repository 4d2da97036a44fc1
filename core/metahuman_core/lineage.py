"""Decides what a run starts from: parent, anchor, warm start. Pure but for a look at which files exist.

Invariant: nothing is trained on a base that is not there and cannot be had again. `base_model_used` names a version's
unquantised `model/` even where its anchor and adapter are what is loaded.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise, takewhile
from pathlib import Path

from metahuman_core.adapter_config import read_adapter_config
from metahuman_core.errors import MetahumanError
from metahuman_core.held import NOTHING_HELD, Held
from metahuman_core.layout import relative_to_root
from metahuman_core.registry import FALLBACK_BASE, Registry, Version
from metahuman_core.settings import TrainingSettings


@dataclass(frozen=True, slots=True)
class Start:
    """What a run starts from.

    `base_model` is what the registry will call the base; `anchor` (a Hub id, or a folder, relative to the root where it
    lies under it) and `warm_start` (an adapter folder, relative to the root, or None) are what is loaded. `note` says
    what a person should know of the decision.
    """

    base_model: str
    anchor: str
    anchor_revision: str
    warm_start: str | None
    parent: Version | None
    note: str = ""


def base_name(flag: str | None, registry: Registry | None) -> str:
    """The seed's order: the flag, the registry's current base (without versioning its original), Qwen/Qwen3-14B."""
    if flag or registry is None:
        return flag or FALLBACK_BASE
    current = registry.current_base_model if registry.versioning.enabled else registry.original_base_model
    return current or FALLBACK_BASE


def next_ancestry(registry: Registry | None) -> tuple[str, ...]:
    """The run labels of the next run's ancestry, newest first: what these trained is not due."""
    return _labels(registry, registry.by_model_path(base_name(None, registry)) if registry else None)


def learned_ancestry(registry: Registry | None) -> tuple[str, ...]:
    """The run labels whose memories call for no further run: the next ancestry, or the live version's.

    They differ where the base stays behind (`auto_update_base` or `versioning` off): there every run trains again what
    the last one trained, and what is new since then is what counts.
    """
    if registry is None or (registry.versioning.enabled and registry.versioning.auto_update_base):
        return next_ancestry(registry)
    live = registry.live()
    return _labels(registry, live) if live else next_ancestry(registry)


def held_memories(registry: Registry | None) -> Held:
    """What is held: trained by versions that were rolled back, and not by the line that people talk to."""
    runs = tuple(v.run_label for v in registry.training_history if v.held and v.run_label) if registry else ()
    # The live line, and not the next run's: after a reset that has trained nothing yet, and a run that was rolled back
    # has trained old memories too.
    return Held(runs, _labels(registry, registry.live())) if registry and runs else NOTHING_HELD


def _labels(registry: Registry | None, version: Version | None) -> tuple[str, ...]:
    return tuple(v.run_label for v in registry.ancestry(version) if v.run_label) if registry else ()


def _nowhere(_: Version) -> Path | None:
    return None


def _for_ever(_: Version) -> str:
    return "nobody knows how"


def choose_start(
    flag: str | None,
    registry: Registry | None,
    root: Path,
    recipe: TrainingSettings,
    *,
    archived: Callable[[Version], Path | None] = _nowhere,
    why_lost: Callable[[Version], str] = _for_ever,
) -> Start:
    """Decide parent and anchor. Raises MetahumanError for a base that is not there, naming the way out.

    `archived` gives a version's adapter where that lies in the archive; `why_lost` says why a `model/` that is not here
    cannot be rebuilt, "" where it can. Both are had again before the run begins: see `metahuman_daemon.having`.
    """
    name = base_name(flag, registry)
    model = relative_to_root(root / name, root) if is_local(name, root, registry) else name
    parent = registry.by_model_path(model) if registry else None
    if parent is None:
        if is_local(name, root, registry) and not (root / model / "config.json").is_file():
            raise _missing(model, registry, root, named=flag is not None)
        live = registry.live() if registry else None
        note = f"a fresh start from {model}, and not on version {live.version}" if live else ""
        return Start(base_model=model, anchor=model, anchor_revision="", warm_start=None, parent=None, note=note)
    here = root / parent.adapter_path if parent.adapter_path else None
    adapter = here if here and here.is_dir() else archived(parent)
    note = ""
    merges = registry is not None and _is_to_be_merged(parent, registry, recipe.reanchor_every)
    if not merges and adapter is not None and parent.anchor_model:
        if _same_shape(adapter, recipe):
            _require_had(registry.by_model_path(parent.anchor_model) if registry else None, parent, root, why_lost)
            left = f"version {parent.version} was rolled back: what is trained on it makes a branch"
            note = left if parent.outcome == "rolled_back" else ""
            return Start(model, parent.anchor_model, parent.anchor_revision, parent.adapter_path, parent, note)
        note = f"rank or alpha changed: version {parent.version}'s merged model becomes the new anchor"
    if not (root / model / "config.json").is_file() and (why := why_lost(parent)):
        raise _missing(model, registry, root, named=flag is not None, why=why)
    return Start(base_model=model, anchor=model, anchor_revision="", warm_start=None, parent=parent, note=note)


def _is_to_be_merged(parent: Version, registry: Registry, every: int) -> bool:
    """Whether so many versions, the parent among them, stand on its anchor that the next one stands on it merged."""
    if not every:
        return False
    line = registry.ancestry(parent)
    on_it = takewhile(
        lambda pair: not pair[0].consolidated and pair[1].anchor_model == parent.anchor_model, pairwise(line)
    )
    return 1 + sum(1 for _ in on_it) >= every


def is_local(name: str, root: Path, registry: Registry | None) -> bool:
    """Whether a base is a folder: one that exists, a path by its look, or one that the registry knows."""
    if name.startswith((".", "/", "~", "profiles/")) or name.count("/") > 1 or (root / name).is_dir():
        return True
    known = registry is not None and registry.by_model_path(name) is not None
    # A local base that has gone is a base that has gone, and no name for the Hub.
    return known or (registry is not None and registry.current_base_model == name and registry.model_type == "local")


def _require_had(anchor: Version | None, parent: Version, root: Path, why_lost: Callable[[Version], str]) -> None:
    """Raise MetahumanError where the version that a parent stands on has no model/, and can have none."""
    if anchor and not (root / anchor.output_model_path / "config.json").is_file() and (why := why_lost(anchor)):
        raise MetahumanError(
            f"version {parent.version} stands on version {anchor.version}'s model/, which is not there and cannot be "
            f"rebuilt: {why}",
            "name another base with --base-model, or see `metahuman verify`",
        )


def _same_shape(adapter: Path, recipe: TrainingSettings) -> bool:
    config = read_adapter_config(adapter)
    return config.rank == recipe.rank and config.alpha == recipe.alpha


def _missing(model: str, registry: Registry | None, root: Path, *, named: bool, why: str = "") -> MetahumanError:
    original = registry.original_base_model if registry else FALLBACK_BASE
    usable = (
        [v for v in registry.training_history if (root / v.output_model_path / "config.json").is_file()]
        if registry
        else []
    )
    other = f", or --base-model {usable[-1].output_model_path}" if usable else ""
    way_out = "leave --base-model out" if named and registry else f"`metahuman reset` goes back to {original}"
    told = f"and it cannot be rebuilt: {why}" if why else f"no config.json in {root / model}"
    return MetahumanError(f"the base {model} is not there ({told})", f"{way_out}{other}")
