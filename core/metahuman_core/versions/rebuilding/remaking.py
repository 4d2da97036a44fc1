"""Makes a version's `model/` and GGUF again, holds them against their hashes, and enters what is here.

Invariants: nothing gets its name before its hash was the recorded one. What differs is kept apart until a person
accepts it. Killed anywhere, the same order goes on or does it again; what is half-made, or only there for what comes
after it, lies under a name that ends in `.partial`. Needs the cycle's lock.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from metahuman_core.durable import remove, size_bytes
from metahuman_core.errors import MetahumanError, StoppedError
from metahuman_core.fingerprint import fingerprint
from metahuman_core.hub import local_folder
from metahuman_core.layout import ProfilePaths
from metahuman_core.progress import Progress, Report, StopRequested
from metahuman_core.registry import Registry, Version, load_registry
from metahuman_core.results import Gguf, Merged, Weights
from metahuman_core.versions.archive import archived_adapter, is_the_registered
from metahuman_core.versions.cards import write_cards
from metahuman_core.versions.parts import CALLED, names_a_folder, parts_of
from metahuman_core.versions.protected import anchor_version
from metahuman_core.versions.rebuilding.accepting import (
    Differing,
    differs,
    enter_accepted,
    enter_same_on_both,
    enter_storage,
    keep_apart,
    move,
    name_accepted,
    place_apart,
    require_registered,
    sha256_of,
)
from metahuman_core.versions.rebuilding.order import Order
from metahuman_core.versions.rebuilding.planning import Cache, Making, Rebuilding, plan_rebuilding

_MODEL, _GGUF = "rebuilt-model.partial", "rebuilt.gguf.partial"
# Those two with what they are called while they are half-made, and what stands beside them meanwhile.
_LEFTOVERS = ("rebuilt*.partial", "unquantised.gguf.partial", "skeleton*.partial")


class MakeWeights(Protocol):
    """Writes the merged model folder, the GGUF, or both, in one pass: see `steps.weights.make.make_weights`."""

    def __call__(
        self,
        base: Path,
        adapter: Path | None,
        model: Path | None,
        gguf: Path | None,
        quantization: str,
        report: Report,
        stop: StopRequested,
        /,
    ) -> Weights:
        """All or nothing; what is not written is hashed all the same."""


def remake(order: Order, make_weights: MakeWeights, report: Report, stop: StopRequested) -> Version:
    """Make what the version lacks, and enter it. Gives the entry.

    Raises MetahumanError where it cannot be rebuilt or comes out otherwise, StoppedError if asked to stop.
    """
    registry = load_registry(order.registry) or Registry()
    version = registry.get(order.number)
    paths = ProfilePaths(order.root, order.profile)
    _clear_up(registry, paths)
    for one in _foldered(registry):
        name_accepted(one, parts_of(one, paths))
    plan = plan_rebuilding(version, order.to, registry, paths, order.archive, accept=order.accept)
    try:
        return _Remaking(order, registry, make_weights, report, stop).carry_out(plan)
    finally:
        _clear_up(registry, paths)


def _clear_up(registry: Registry, paths: ProfilePaths) -> None:
    """Remove what was left half-made of any version: who is killed may have been at work on what another stands on."""
    for version in _foldered(registry):
        for pattern in _LEFTOVERS:
            for left in parts_of(version, paths).run_dir.glob(pattern):
                remove(left)


def _foldered(registry: Registry) -> list[Version]:
    return [version for version in registry.training_history if names_a_folder(version)]


@dataclass(frozen=True, slots=True)
class _Source:
    """What a pass reads: a folder, what is merged into it, and whose registered model/ the folder should be."""

    folder: Path
    adapter: Path | None = None
    registered: Version | None = None


class _Remaking:
    """One order being carried out: the model that was made last, and what came out otherwise and is accepted."""

    def __init__(
        self,
        order: Order,
        registry: Registry,
        make_weights: MakeWeights,
        report: Report,
        stop: StopRequested,
    ) -> None:
        self._order = order
        self._registry = registry
        self._make_weights = make_weights
        self._report = report
        self._stop = stop
        self._paths = ProfilePaths(order.root, order.profile)
        self._model: Path | None = None
        self._accepted: list[Differing] = []

    def carry_out(self, plan: Rebuilding) -> Version:
        """Make one thing after the other; of two models one goes as soon as the other is made of it."""
        for making in plan.makings:
            if self._stop():
                raise StoppedError("stopped while rebuilding", "the same command does it again")
            parts = " and ".join(CALLED[part] for part in making.makes)
            self._report(Progress("rebuild", note=f"version {making.version.version}'s {parts}"))
            before, self._model = self._model, self._make(making)
            if before is not None:
                remove(before)
        return self._enter(plan)

    def _make(self, making: Making) -> Path | None:
        """One pass over a version's weights; gives where its model/ lies, if that is not under its name."""
        version, parts = making.version, parts_of(making.version, self._paths)
        gguf = parts.run_dir / _GGUF if "gguf" in making.makes else None
        if "model" not in making.makes:
            model = None
        elif self._accepts(version) and (apart := place_apart(parts, "model")).exists():
            self._accepted.append(Differing("model", apart, sha256_of(apart), size_bytes(apart)))
            if gguf:
                self._pass(version, _Source(apart), None, gguf)
            return apart
        else:
            model = parts.run_dir / _MODEL
        return self._pass(version, self._source_of(version), model, gguf)

    def _pass(self, version: Version, source: _Source, model: Path | None, gguf: Path | None) -> Path | None:
        """Write what is to be written, hold it against what is registered; gives where the model/ lies then.

        Raises MetahumanError where it came out otherwise and that is not accepted, with what was made kept apart.
        """
        parts = parts_of(version, self._paths)
        made = self._make_weights(
            source.folder, source.adapter, model, gguf, version.quantization, self._report, self._stop
        )
        remove(parts.run_dir / "convert.log")
        others = self._otherwise(version, source, made)
        if source.adapter and "model" not in others and version.anchor_revision_first:
            enter_same_on_both(self._order.registry, version)
        if others and source.registered:
            require_registered(source.registered, "model", source.folder)
        places = {"model": model, "gguf": gguf}
        kept = [
            Differing(part, keep_apart(at, parts, part), other.sha256, other.size_bytes)
            for part, other in others.items()
            if (at := places[part])
        ]
        for part, other in others.items():
            never_was = part == "gguf" and not version.gguf_sha256
            if not never_was and not self._accepts(version):
                raise differs(version, part, other, kept, self._paths)
        self._accepted += kept
        if gguf and "gguf" not in others:
            move(gguf, parts.gguf)
        return next((one.at for one in kept if one.part == "model"), model)

    def _otherwise(self, version: Version, source: _Source, made: Weights) -> dict[Cache, Merged | Gguf]:
        """What came out otherwise than it is registered. A model/ that was only read is what it is."""
        others: dict[Cache, Merged | Gguf] = {}
        if source.adapter and made.merged.sha256 != version.model_sha256:
            others["model"] = made.merged
        if made.gguf and made.gguf.sha256 != version.gguf_sha256:
            others["gguf"] = made.gguf
        return others

    def _accepts(self, version: Version) -> bool:
        """Only the version that was named: what it stands on is accepted by its own number."""
        return self._order.accept and version.version == self._order.number

    def _source_of(self, version: Version) -> _Source:
        """What a version is made of: its own model/ if that is here, else base and adapter.

        Raises MetahumanError where the base is another now than the one that the adapter was trained on.
        """
        own = parts_of(version, self._paths)
        if own.has_model():
            return _Source(own.model, None, version)
        adapter = self._adapter_of(version)
        anchor = anchor_version(version, self._registry)
        if anchor is None:
            return _Source(local_folder(version.anchor_model, version.anchor_revision, self._order.root), adapter)
        folder = self._model or parts_of(anchor, self._paths).model
        if version.anchor_revision and fingerprint(folder) != version.anchor_revision:
            raise MetahumanError(
                f"version {anchor.version}'s model/ is not the one that version {version.version} was trained on",
                "see `metahuman verify`",
            )
        return _Source(folder, adapter, None if self._model else anchor)

    def _adapter_of(self, version: Version) -> Path:
        here = parts_of(version, self._paths).adapter
        archive = self._order.archive
        if archive is None or is_the_registered(here, version):
            return here
        return archived_adapter(version, self._paths, archive)

    def _enter(self, plan: Rebuilding) -> Version:
        """Enter what was accepted and give it its name (a model that was not asked for goes), then what is here."""
        version, parts = plan.version, parts_of(plan.version, self._paths)
        if self._accepted:
            version = enter_accepted(self._order.registry, version, self._accepted)
        kept = {part for making in plan.makings for part in making.keeps}
        # The GGUF comes first and model/ last: whatever has its name at a time is a state that a version can have.
        for made in sorted(self._accepted, key=lambda made: made.part):
            if made.part in kept:
                move(made.at, parts.model if made.part == "model" else parts.gguf)
            else:
                remove(made.at)
        if "model" in kept and self._model == parts.run_dir / _MODEL:
            move(self._model, parts.model)
        name_accepted(version, parts)
        entered = enter_storage(self._order.registry, version, parts.storage())
        write_cards(entered, parts)
        return entered
