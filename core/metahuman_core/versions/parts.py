"""What a version has on the disk: its adapter, its unquantised `model/`, its GGUF.

Invariant: a part's path is derived from the run's label, never from what an entry says of it: whatever somebody has
written into the registry, nothing outside of a run's own folder is ever deleted.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from metahuman_core.durable import size_bytes
from metahuman_core.errors import MetahumanError
from metahuman_core.layout import RUN_LABEL, ProfilePaths
from metahuman_core.registry import Storage, Version


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


def parts_of(version: Version, paths: ProfilePaths) -> Parts:
    """The parts of a version. Raises MetahumanError where its entry has no run label of the usual form."""
    if not RUN_LABEL.fullmatch(version.run_label):
        raise MetahumanError(
            f"the registry's version {version.version} has no run label that names a folder: {version.run_label!r}",
            "mend the registry or put a backup in place",
        )
    return Parts(paths.run_dir(version.run_label))
