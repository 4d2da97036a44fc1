"""Decides whether the next run is a consolidation, and from what it starts. Pure but for a look at which files exist.

A consolidation trains all current memories of the line anew, from the line's first anchor: what was erased is not among
them, and what was worn away is there again. Its parent is the version that it takes the place of.

Invariant: "" means an ordinary run. One that was rejected does not call for another one at once, but where a memory was
erased: there is no other way to a version without it. That one waits for new memories, for it would be the same.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from itertools import takewhile
from pathlib import Path

from metahuman_core.errors import MetahumanError
from metahuman_core.lineage import Start, base_name, is_local
from metahuman_core.registry import Registry, Version

_FAILED_IN_A_ROW = 2


@dataclass(frozen=True, slots=True)
class Afresh:
    """How a consolidation starts; `compared_with`: its parent's adapter, or its model/ where that stands elsewhere."""

    start: Start
    compared_with: str | None


def why_consolidate(registry: Registry | None, parent: Version | None, knowing: Collection[int], every: int) -> str:
    """Why the next run on `parent` is a consolidation; "" where it is none.

    `knowing`: the versions that know what was erased. `every`: each so many versions, 0 for never by count.
    """
    if registry is None or parent is None:
        return ""
    if parent.version in knowing:
        return f"version {parent.version} knows what was erased"
    tried = sorted((v for v in registry.training_history if v.parent_version == parent.version), key=_number)
    if tried and tried[-1].is_rejected and tried[-1].consolidated:
        return ""
    row = list(takewhile(lambda v: v.is_rejected and not v.consolidated, reversed(tried)))
    # A run that was rejected behind a gentler second attempt has failed twice.
    if sum(1 + bool(version.first_reasons) for version in row) >= _FAILED_IN_A_ROW:
        return f"what was trained on version {parent.version} did not pass"
    since = list(takewhile(lambda v: not v.consolidated and v.parent_version, registry.ancestry(parent)))
    if every and len(since) + 1 >= every:
        began = registry.ancestry(parent)[len(since) :]
        told = f"version {began[0].version}" if began else "the beginning"
        return f"it is the {_th(len(since) + 1)} version after {told}, and consolidate_every is {every}"
    return ""


def why_due_without_news(registry: Registry | None, knowing: Collection[int]) -> str:
    """Why a run is due although no memory is new: what people talk to, or would go on from, knows what was erased.

    Where the next run starts from a version that does not, that run needs memories as any other.
    """
    if registry is None:
        return ""
    live, base = registry.live(), registry.by_model_path(base_name(None, registry))
    known = next((v for v in (live, base) if v is not None and v.version in knowing), None)
    if known is None or (base is not None and base.version not in knowing):
        return ""
    return f"version {known.version} knows what was erased"


def why_in_vain(registry: Registry | None, knowing: Collection[int]) -> str:
    """Why a run that is due without news would only come to what was rejected already; "" where it would not.

    The last run on the version that knows was a consolidation, of all that is left, and did not pass: what another
    one is given is the same, until there are new memories.
    """
    parent = registry.by_model_path(base_name(None, registry)) if registry else None
    if registry is None or parent is None or parent.version not in knowing:
        return ""
    last = max((v for v in registry.training_history if v.parent_version == parent.version), key=_number, default=None)
    if last is None or not (last.is_rejected and last.consolidated) or last.version in knowing:
        return ""
    return f"version {last.version}, made without it, did not pass, and the same would come again"


def begin_afresh(
    start: Start,
    registry: Registry,
    root: Path,
    has_adapter: Callable[[Version], bool],
    has_model: Callable[[Version], bool],
) -> Afresh:
    """The start of a consolidation in the place of a run that would start so. `has_…`: whether a version's can be had.

    Raises MetahumanError where the line's first anchor is not there.
    """
    parent = start.parent
    assert parent is not None  # noqa: S101  # see `why_consolidate`
    first = registry.ancestry(parent)[-1]
    anchor, revision = first.anchor_model or first.base_model_used, first.anchor_revision
    here = (root / anchor / "config.json").is_file()
    if not here and is_local(anchor, root, registry) and registry.by_model_path(anchor) is None:
        raise MetahumanError(
            f"a consolidation begins on {anchor}, as version {first.version} did, and that is not there",
            "put it back, or begin anew on another base with --base-model",
        )
    same = (parent.anchor_model, parent.anchor_revision) == (anchor, revision) and bool(parent.adapter_path)
    afresh = replace(start, anchor=anchor, anchor_revision=revision, warm_start=None, note="")
    if same and has_adapter(parent):
        return Afresh(afresh, parent.adapter_path)
    return Afresh(afresh, parent.output_model_path if has_model(parent) else None)


def _number(version: Version) -> int:
    return version.version


def _th(number: int) -> str:
    ending = {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th") if number // 10 % 10 != 1 else "th"
    return f"{number}{ending}"
