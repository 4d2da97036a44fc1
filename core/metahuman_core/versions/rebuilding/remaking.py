"""Makes a version's `model/` and GGUF again, holds them against their hashes, and enters what is here.

Invariants: nothing gets its name before its hash was the recorded one. What differs is kept apart until a person
accepts it. Killed anywhere, the same order goes on or does it again; what is half-made, or only there for what comes
after it, lies under a name that ends in `.partial`. Needs the cycle's lock.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pydantic import TypeAdapter

from metahuman_core.durable import remove, size_bytes
from metahuman_core.errors import MetahumanError, StoppedError
from metahuman_core.fingerprint import fingerprint
from metahuman_core.hub import local_folder
from metahuman_core.layout import ProfilePaths
from metahuman_core.progress import Progress, Report, StopRequested
from metahuman_core.registry import Registry, Version, load_registry
from metahuman_core.results import Gguf, Merged
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
from metahuman_core.versions.rebuilding.planning import Making, Rebuilding, To, plan_rebuilding

_MODEL, _GGUF = "rebuilt-model.partial", "rebuilt.gguf.partial"
# Those two with what their makers call them while they are half-made, and what make_gguf leaves beside them.
_LEFTOVERS = ("rebuilt*.partial", "unquantised.gguf.partial", "chat_template.jinja.partial")


class Merge(Protocol):
    """Writes the merged model folder `out`: see `steps.merge.merge`."""

    def __call__(self, base: Path, adapter: Path, out: Path, report: Report, stop: StopRequested, /) -> Merged:
        """All or nothing."""


class MakeGguf(Protocol):
    """Writes the GGUF `out` of a model folder: see `steps.gguf.make_gguf`."""

    def __call__(self, model: Path, out: Path, quantization: str, report: Report, stop: StopRequested, /) -> Gguf:
        """All or nothing."""


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be had: version `number` to be served or full. `accept`: whatever its hashes are then."""

    root: Path
    profile: str
    registry: Path
    archive: Path | None
    number: int
    to: To
    accept: bool = False

    def as_json(self) -> str:
        """For a child's command line."""
        return TypeAdapter(Order).dump_json(self).decode()


def read_order(text: str) -> Order:
    """An order as it was written for a child."""
    return TypeAdapter(Order).validate_json(text)


def remake(order: Order, merge: Merge, make_gguf: MakeGguf, report: Report, stop: StopRequested) -> Version:
    """Make what the version lacks, and enter it. Gives the entry.

    Raises MetahumanError where it cannot be rebuilt or comes out otherwise, StoppedError if asked to stop.
    """
    registry = load_registry(order.registry) or Registry()
    version = registry.get(order.number)
    paths = ProfilePaths(order.root, order.profile)
    _clear_up(registry, paths)
    for one in _foldered(registry):
        name_accepted(one, parts_of(one, paths))
    plan = plan_rebuilding(version, order.to, registry, paths, order.archive)
    try:
        return _Remaking(order, registry, merge, make_gguf, report, stop).carry_out(plan)
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


class _Remaking:
    """One order being carried out: the model that was made last, and what came out otherwise and is accepted."""

    def __init__(
        self,
        order: Order,
        registry: Registry,
        merge: Merge,
        make_gguf: MakeGguf,
        report: Report,
        stop: StopRequested,
    ) -> None:
        self._order = order
        self._registry = registry
        self._merge = merge
        self._make_gguf = make_gguf
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
            self._report(Progress("rebuild", note=f"version {making.version.version}'s {CALLED[making.part]}"))
            if making.part == "gguf":
                self._make_the_gguf(making)
                continue
            before, self._model = self._model, self._make_the_model(making)
            if before is not None:
                remove(before)
        return self._enter(plan)

    def _make_the_model(self, making: Making) -> Path:
        """Make a version's model/; gives where it lies."""
        version, parts = making.version, parts_of(making.version, self._paths)
        apart = place_apart(parts, "model")
        if self._accepts(version) and apart.exists():
            self._accepted.append(Differing("model", apart, sha256_of(apart), size_bytes(apart)))
            return apart
        out = parts.run_dir / _MODEL
        base = self._base_of(version)
        merged = self._merge(base, self._adapter_of(version), out, self._report, self._stop)
        if merged.sha256 == version.model_sha256:
            if version.anchor_revision_first:
                enter_same_on_both(self._order.registry, version)
            return out
        anchor = anchor_version(version, self._registry)
        if anchor and self._model is None:
            require_registered(anchor, "model", base)
        differing = Differing("model", keep_apart(out, parts, "model"), merged.sha256, merged.size_bytes)
        return self._take(version, differing, merged.made_with)

    def _make_the_gguf(self, making: Making) -> None:
        version, parts = making.version, parts_of(making.version, self._paths)
        model = self._model or parts.model
        out = parts.run_dir / _GGUF
        made = self._make_gguf(model, out, version.quantization, self._report, self._stop)
        remove(parts.run_dir / "convert.log")
        if made.sha256 == version.gguf_sha256:
            move(out, parts.gguf)
            return
        if model == parts.model:
            require_registered(version, "model", model)
        differing = Differing("gguf", keep_apart(out, parts, "gguf"), made.sha256, made.size_bytes)
        self._take(version, differing, made.made_with)

    def _take(self, version: Version, differing: Differing, made_with: str) -> Path:
        """Take what differs, where that was ordered, or a GGUF where none is recorded. Raises MetahumanError else."""
        never_was = differing.part == "gguf" and not version.gguf_sha256
        if not never_was and not self._accepts(version):
            raise differs(version, differing, made_with, self._paths)
        self._accepted.append(differing)
        return differing.at

    def _accepts(self, version: Version) -> bool:
        """Only the version that was named: what it stands on is accepted by its own number."""
        return self._order.accept and version.version == self._order.number

    def _base_of(self, version: Version) -> Path:
        """The folder that the adapter was trained on. Raises MetahumanError where it is another now."""
        anchor = anchor_version(version, self._registry)
        if anchor is None:
            return local_folder(version.anchor_model, version.anchor_revision, self._order.root)
        folder = self._model or parts_of(anchor, self._paths).model
        if version.anchor_revision and fingerprint(folder) != version.anchor_revision:
            raise MetahumanError(
                f"version {anchor.version}'s model/ is not the one that version {version.version} was trained on",
                "see `metahuman verify`",
            )
        return folder

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
        kept = {making.part for making in plan.makings if making.kept}
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
