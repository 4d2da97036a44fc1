"""Where everything lies under the root. Paths in files are relative to it, so that the tree can be moved."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
RUN_LABEL = re.compile(r"\d{4}-\d{2}-\d{2}-\d{6}-[0-9a-f]{6}")


@dataclass(frozen=True, slots=True)
class ProfilePaths:
    """One profile's folders under one root."""

    root: Path
    name: str

    @property
    def home(self) -> Path:
        """`profiles/{user}`: the user's own."""
        return Path(self.root, "profiles", self.name)

    @property
    def memory(self) -> Path:
        """The memories, read only."""
        return self.home / "memory"

    @property
    def therapy(self) -> Path:
        """Therapy sessions, read only."""
        return self.home / "persona" / "therapy"

    @property
    def runs(self) -> Path:
        """All that was ever trained."""
        return Path(self.home, "out", "fine-tuned-models")

    @property
    def ledger(self) -> Path:
        """Files seen, memories by hash, the versions that trained each."""
        return self.home / "state" / "ledger.sqlite3"

    @property
    def studied(self) -> Path:
        """What a model in Ollama asked of each memory, by the memory's hash (see model_study/cache.py)."""
        return Path(self.home, "state", "study")

    def run_dir(self, run_label: str) -> Path:
        """`{runs}/{YYYY-MM-DD}/{run_label}`."""
        return Path(self.runs, run_label[:10], run_label)

    def no_runs(self) -> list[Path]:
        """What lies among the folders of days and runs under another name; what is half-made counts as theirs."""
        others = [path for path in self.runs.glob("*") if not _DAY.fullmatch(path.name)]
        inside = (path for path in self.runs.glob("*/*") if path.parent not in others)
        others += [path for path in inside if not RUN_LABEL.fullmatch(path.name.removesuffix(".partial"))]
        return sorted(others)

    def run_dirs(self) -> list[Path]:
        """The folders of all runs, oldest first."""
        return sorted(p for p in self.runs.glob("*/*") if RUN_LABEL.fullmatch(p.name))


def new_run_label(now: datetime) -> str:
    """`YYYY-MM-DD-HHMMSS-xxxxxx`: when the run was begun, and six random hex digits."""
    return f"{now:%Y-%m-%d-%H%M%S}-{secrets.token_hex(3)}"


def label_time(label: str) -> datetime | None:
    """When a run was begun, by its label; None where that does not say so."""
    try:
        return datetime.strptime(label[:17], "%Y-%m-%d-%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        return None


def root_of_run(run_dir: Path) -> Path:
    """The root above `profiles/{user}/out/fine-tuned-models/{date}/{label}`."""
    return run_dir.parents[5]


def relative_to_root(path: Path, root: Path) -> str:
    """`path` as it stands in the registry: POSIX and relative if it lies under the root, else as it is."""
    path, root = path.absolute(), root.absolute()
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)


def reserve_path(root: Path) -> Path:
    """Room that is given up where a disk is full (see versions/pruning/reserve.py)."""
    return root / "state" / "reserve"


def cycle_lock_path(root: Path) -> Path:
    """The lock of the one cycle per root."""
    return root / "state" / "cycle.lock"


def fits_path(root: Path) -> Path:
    """What training needed of memory, by base and card (see steps/fits.py)."""
    return root / "cache" / "fits.json"


def hub_cache(root: Path) -> Path:
    """Where bases that were fetched from the Hub lie."""
    return root / "cache" / "hub"


def hub_snapshots(root: Path, name: str) -> Path:
    """Where the commits of a base of the Hub lie that were fetched, each in a folder of its name (its client's way)."""
    return hub_cache(root) / f"models--{name.replace('/', '--')}" / "snapshots"
