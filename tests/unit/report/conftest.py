"""What the tests of the report share: a run that was evaluated (see evaluated_run.py)."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from metahuman_core.memories.model import Memory
from metahuman_core.plan import Plan
from metahuman_core.settings import DatasetSettings

sys.path.insert(0, str(Path(__file__).parent))  # the tests are no package

from evaluated_run import LABEL, Evaluated


@pytest.fixture
def run(tmp_path: Path, plan: Callable[..., Plan], note: Callable[..., Memory]) -> Callable[..., Evaluated]:
    """Make a run of a memory or two, with other values where they are given."""

    def make(*said: str, parent: int | None = None, **fields: object) -> Evaluated:
        memories = [note(text, day=day + 1) for day, text in enumerate(said or ("My boat is called Juno.",))]
        own = plan(dataset=DatasetSettings(), parent_version=parent)
        return Evaluated(tmp_path / LABEL, own, memories, **fields)  # type: ignore[arg-type]

    return make
