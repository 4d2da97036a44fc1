"""What a version has on the disk: its adapter, its unquantised `model/`, its GGUF.

Invariant: a part's path is derived from the run's label, never from what an entry says of it: whatever somebody has
written into the registry, nothing outside of a run's own folder is ever deleted.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from metahuman_core.durable import size_bytes
from metahuman_core.errors import MetahumanError
from metahuman_core.layout import RUN_LABEL, ProfilePaths
from metahuman_core.registry import Storage, Version

Part = Literal["model", "gguf", "adapter"]
CALLED: Mapping[Part, str] = {"model": "model/", "gguf": "GGUF", "adapter": "adapter"}
"""The parts in words."""
HELD: Mapping[Storage, tuple[Part, ...]] = {
    "full": ("model", "gguf", "adapter"),
    "serving": ("gguf", "adapter"),
    "archived": ("adapter",),
    "removed": (),
}
"""What a version of each storage has; an archived one's adapter may lie in the cold storage."""


@dataclass(frozen=True, slots=True)
class Parts:
    """Where a version's parts lie, or would. A part that has its name is whole."""

    run_dir: Path

    @property
    def adapter(self) -> Path:
        """What cannot be rebuilt: the adapter's folder."""
        return self.run_dir / "adapter"

    @property
    def model(self) -> Path:
        """The unquantised model's folder, made of anchor and adapter."""
        return self.run_dir / "model"

    @property
    def gguf(self) -> Path:
        """The quantised model, made of `model/`."""
        return self.run_dir / "model.gguf"

    def has_adapter(self) -> bool:
        """Whether the adapter is here."""
        return (self.adapter / "adapter_model.safetensors").is_file()

    def has_model(self) -> bool:
        """Whether `model/` is here."""
        return (self.model / "config.json").is_file()

    def has_gguf(self) -> bool:
        """Whether the GGUF is here."""
        return self.gguf.is_file()

    def storage(self) -> Storage:
        """The state that the disk tells of (an adapter in the cold storage is not looked for)."""
        if self.has_gguf():
            return "full" if self.has_model() else "serving"
        return "archived" if self.has_adapter() else "removed"

    def size_bytes(self) -> int:
        """Bytes of all three."""
        return sum(size_bytes(path) for path in (self.adapter, self.model, self.gguf))


def names_a_folder(version: Version) -> bool:
    """Whether an entry's run label names a folder; one of the original MetaHuman's, or edited by hand, may not."""
    return RUN_LABEL.fullmatch(version.run_label) is not None


def parts_of(version: Version, paths: ProfilePaths) -> Parts:
    """The parts of a version. Raises MetahumanError where its entry has no run label of the usual form."""
    if not names_a_folder(version):
        raise MetahumanError(
            f"the registry's version {version.version} has no run label that names a folder: {version.run_label!r}",
            "mend the registry or put a backup in place",
        )
    return Parts(paths.run_dir(version.run_label))


def is_whole_model(folder: Path) -> bool:
    """Whether a folder is an unquantised model: its config, and every file of weights that its index names."""
    if not (folder / "config.json").is_file():
        return False
    index = folder / "model.safetensors.index.json"
    if not index.is_file():
        return any(path.is_file() and path.stat().st_size for path in folder.glob("*.safetensors"))
    try:
        shards = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
    except (ValueError, KeyError, AttributeError, TypeError):
        return False
    return bool(shards) and all((folder / str(shard)).is_file() for shard in shards)
