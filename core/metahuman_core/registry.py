"""The registry: which versions there are, and which base the next run starts from.

Invariants: the file is replaced whole (lock, read, change, write beside, fsync, rename) and never half-written; fields
that we do not know survive a rewrite; only what exists and was verified is entered as trained. The field names are the
original MetaHuman's, so that its registries are read as they are and its tools can read ours.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from metahuman_core.durable import write_text
from metahuman_core.errors import MetahumanError
from metahuman_core.locks import waiting_lock

FALLBACK_BASE = "Qwen/Qwen3-14B"

Outcome = Literal["live", "superseded", "rolled_back", "rejected"]
Storage = Literal["full", "serving", "archived", "removed"]
Publication = Literal["due", "done", "off"]


class _Entry(BaseModel):
    model_config = ConfigDict(extra="allow", frozen=True)


class Version(_Entry):
    """One version that finished training. Paths are relative to the root; sizes in bytes, hashes SHA-256 in hex.

    The paths say where a file is or would be rebuilt, `storage` whether it is there. `pinned`: retention leaves it
    alone. `held`: it was rolled back, and what it trained is not due again. `promoted_at`: when a person made it live
    although it had been rejected. `in_archive`: its adapter lies in `retention.archive_dir`. `ollama_blob`: the GGUF's
    SHA-256 as Ollama holds it. `recall`: its row of the R matrix, the share of kept-out prompts that it recalled of
    each batch (run label). `first_reasons`: why the first attempt did not pass, where it is the second. `…_first`: what
    was registered before a person accepted a rebuild that came out otherwise; `anchor_revision_first`: it stands on
    such a one, and was not rebuilt since. `consolidated`: it was trained from its line's first anchor on all that
    counted then, and not on its parent. `erased`: it knew what was erased, and nothing is left but this entry. Entries
    of the original MetaHuman have the first ten fields alone.
    """

    version: int = Field(ge=1)
    run_id: str = ""
    run_label: str = ""
    timestamp: str = ""
    base_model_used: str = ""
    output_model_path: str = ""
    gguf_path: str = ""
    samples_trained: int = 0
    mode_filter: str = "all"
    training_success: bool = True
    adapter_path: str = ""
    anchor_model: str = ""
    anchor_revision: str = ""
    parent_version: int | None = None
    outcome: Outcome | None = None
    reasons: tuple[str, ...] = ()
    storage: Storage | None = None
    publication: Publication = "off"
    pinned: bool = False
    held: bool = False
    consolidated: bool = False
    erased: bool = False
    promoted_at: str = ""
    in_archive: bool = False
    ollama_name: str = ""
    ollama_blob: str = ""
    ollama_server: str = ""
    dataset_sha256: str = ""
    adapter_sha256: str = ""
    model_sha256: str = ""
    gguf_sha256: str = ""
    model_sha256_first: str = ""
    gguf_sha256_first: str = ""
    anchor_revision_first: str = ""
    adapter_bytes: int = 0
    model_bytes: int = 0
    gguf_bytes: int = 0
    quantization: str = ""
    memories_trained: int = 0
    memories_replayed: int = 0
    metrics: dict[str, float] = Field(default_factory=dict)
    recall: dict[str, float] = Field(default_factory=dict)
    first_reasons: tuple[str, ...] = ()

    @property
    def is_rejected(self) -> bool:
        """Whether it did not pass; an entry of the original MetaHuman has no outcome, and says so otherwise."""
        return self.outcome == "rejected" or not self.training_success


class FailedRun(_Entry):
    """A run that did not finish: no number, no claim to be live."""

    run_label: str
    timestamp: str = ""
    base_model_used: str = ""
    step: str = ""
    reason: str = ""


class OutputFormat(_Entry):
    """What is kept of a version, in the original's words."""

    format: str
    purpose: str = ""
    location: str = ""
    keep: bool = True
    quantization: str | None = None


class Versioning(_Entry):
    """How the registry moves."""

    enabled: bool = True
    auto_update_base: bool = True
    keep_all_versions: bool = True


class Registry(_Entry):
    """The whole of `etc/model-registry.json`."""

    comment: str = ""
    notes: tuple[str, ...] = ()
    original_base_model: str = FALLBACK_BASE
    current_base_model: str = FALLBACK_BASE
    model_type: str = "huggingface"
    training_history: tuple[Version, ...] = ()
    failed_runs: tuple[FailedRun, ...] = ()
    output_formats: dict[str, OutputFormat] = Field(default_factory=dict)
    versioning: Versioning = Versioning()

    def find(self, number: int) -> Version | None:
        """The version of that number."""
        return next((v for v in self.training_history if v.version == number), None)

    def get(self, number: int) -> Version:
        """The version of that number. Raises MetahumanError where there is none."""
        version = self.find(number)
        if version is None:
            raise MetahumanError(f"there is no version {number}", "see `metahuman history`")
        return version

    def by_model_path(self, model: str) -> Version | None:
        """The newest version whose unquantised `model/` has this path."""
        wanted = model.rstrip("/")
        history = reversed(self.training_history)
        return next((v for v in history if wanted and v.output_model_path.rstrip("/") == wanted), None)

    def live(self) -> Version | None:
        """The version that people talk to."""
        return next((v for v in reversed(self.training_history) if v.outcome == "live"), None)

    def ancestry(self, version: Version | None) -> tuple[Version, ...]:
        """A version, its parent, and so on to the first, newest first."""
        by_number = {v.version: v for v in reversed(self.training_history)}
        line: dict[int, Version] = {}
        while version is not None and version.version not in line:
            line[version.version] = version
            version = by_number.get(version.parent_version) if version.parent_version else None
        return tuple(line.values())

    def next_number(self) -> int:
        """The number of the next version: no number is given twice."""
        return max((v.version for v in self.training_history), default=0) + 1

    def changed(self, **fields: Any) -> Registry:
        """A copy with other values, checked."""
        return self.model_copy(update=fields)

    def with_fields(self, number: int, **fields: Any) -> Registry:
        """A copy in which the version of that number has other values; the same where there is none."""
        version = self.find(number)
        return self if version is None else self.with_version(version.model_copy(update=fields))

    def with_version(self, version: Version) -> Registry:
        """A copy in which `version` stands under its number, replaced or added."""
        others = tuple(v for v in self.training_history if v.version != version.version)
        ordered = sorted((*others, version), key=lambda v: v.version)
        return self.changed(training_history=tuple(ordered))


def load_registry(path: Path) -> Registry | None:
    """Read a registry, or None where there is none. Raises MetahumanError for one that cannot be understood."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise MetahumanError(
            f"the registry {path} cannot be read: {error}", "mend it or put a backup in place"
        ) from error
    try:
        return Registry.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise MetahumanError(
            f"the registry {path} cannot be understood: {where}: {first['msg']}", "mend it or put a backup in place"
        ) from error


def update_registry(path: Path, change: Callable[[Registry], Registry], start: Registry | None = None) -> Registry:
    """Change the registry under its lock; `start` is taken where there is none yet. Gives what was written."""
    with waiting_lock(path.with_name(f".{path.stem}.lock")):
        before = load_registry(path)
        after = change(before or start or Registry())
        if after != before:
            # What was not set is not written: another tool's entries keep just the fields they came with.
            write_text(path, after.model_dump_json(indent=2, exclude_unset=True) + "\n")
        return after


def reset_to_original(path: Path, root: Path) -> Registry:
    """Let the next run start from the original base. No version is deleted; the live one stays live."""
    if load_registry(path) is None:
        return Registry()

    def change(registry: Registry) -> Registry:
        kind = "local" if (root / registry.original_base_model).is_dir() else "huggingface"
        return registry.changed(current_base_model=registry.original_base_model, model_type=kind)

    return update_registry(path, change)
