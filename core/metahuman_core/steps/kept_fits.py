"""What is kept of how training fits into memory: a run's own choice, and what each way needs, for the runs to come.

A file that is broken or another program's counts as none, and is replaced.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from pydantic import Field, TypeAdapter, ValidationError

from metahuman_core.durable import write_text
from metahuman_core.steps.fitting import Fit

OWN = "fit.json"
"""The file in a run's folder."""

_MOST_KINDS = 64
_Bytes = Annotated[int, Field(ge=0)]
_FIT = TypeAdapter(Fit)
_NEEDS = TypeAdapter(dict[str, dict[str, _Bytes]])


def read_fit(run_dir: Path, rungs: Sequence[Fit]) -> Fit | None:
    """How the run has been trained so far: one of `rungs`; None before it began."""
    try:
        fit = _FIT.validate_json((run_dir / OWN).read_bytes())
    except (OSError, ValidationError):
        return None
    return fit if fit in rungs else None


def write_fit(run_dir: Path, fit: Fit) -> None:
    """Have the run trained so from here on, after a stop too."""
    write_text(run_dir / OWN, _FIT.dump_json(fit).decode() + "\n")


class Needs:
    """What one kind of run (base, device, …) needs on each rung, in bytes, as far as it was found out."""

    def __init__(self, file: Path, kind: str) -> None:
        self._file, self._kind = file, kind

    def get(self, fit: Fit) -> int | None:
        """Bytes; None where nobody has measured it."""
        return self._all().get(self._kind, {}).get(str(fit))

    def put(self, fit: Fit, needs_bytes: int) -> None:
        """Remember it, and forget the kinds that were measured longest ago."""
        kinds = self._all()
        its = kinds.pop(self._kind, {})
        kinds[self._kind] = {**its, str(fit): needs_bytes}
        kept = dict(list(kinds.items())[-_MOST_KINDS:])
        write_text(self._file, json.dumps(kept, indent=1) + "\n")

    def _all(self) -> dict[str, dict[str, int]]:
        try:
            return _NEEDS.validate_json(self._file.read_bytes())
        except (OSError, ValidationError):
            return {}
