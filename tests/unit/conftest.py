"""What many unit tests need: a clock, memories in one line, a version's entry, the original's registry."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from metahuman_core.memories.model import Memory, Turn
from metahuman_core.plan import Plan
from metahuman_core.registry import Version
from metahuman_core.settings import DatasetSettings, TrainingSettings, WeightSettings

NOON = datetime(2025, 3, 1, 12, tzinfo=UTC)
RUNS = "profiles/anna/out/fine-tuned-models"


@pytest.fixture
def now() -> Callable[[], datetime]:
    """A clock that stands still."""
    return lambda: NOON


@pytest.fixture
def note() -> Callable[..., Memory]:
    """Make a memory of a text, or of a conversation's turns (the other side first), of a day in March."""

    def make(*said: str, day: int | None = 1, kind: str = "journal", mode: Any = "emulation", **fields: Any) -> Memory:
        turns = tuple(Turn("assistant" if place % 2 else "user", words) for place, words in enumerate(said))
        is_talk = len(said) > 1
        return Memory(
            source=fields.pop("source", "a.json"),
            unit="",
            kind=kind,
            mode=mode,
            happened_at=None if day is None else NOON + timedelta(days=day - 1),
            turns=turns if is_talk else (),
            text="" if is_talk else said[0],
            **fields,
        )

    return make


@pytest.fixture
def entry() -> Callable[..., Version]:
    """Make a version's entry as a run enters it: version `number`, made on that day of March."""

    def make(number: int, **fields: Any) -> Version:
        label = f"2025-03-{number:02}-120000-{number:06x}"
        at = f"{RUNS}/{label[:10]}/{label}"
        own: dict[str, Any] = {
            "version": number,
            "run_label": label,
            "output_model_path": f"{at}/model",
            "gguf_path": f"{at}/model.gguf",
            "adapter_path": f"{at}/adapter",
            "anchor_model": "Some/Base-1B",
            "anchor_revision": "c0ffee",
            "parent_version": number - 1 or None,
        }
        return Version(**{**own, **fields})

    return make


@pytest.fixture
def plan() -> Callable[..., Plan]:
    """Make a run's plan, with other values where they are given."""

    def make(**fields: Any) -> Plan:
        own: dict[str, Any] = {
            "profile": "anna",
            "registry": "etc/model-registry.json",
            "base_model": "Some/Base-1B",
            "anchor": "Some/Base-1B",
            "anchor_revision": "c0ffee",
            "warm_start": None,
            "parent_version": None,
            "ancestry": (),
            "stale": (),
            "mode": "all",
            "system": "You are Anna.",
            "ollama_name": "anna",
            "publish": True,
            "temperature": 0.7,
            "num_ctx": 4096,
            "command_sha256": "c",
            "memories_sha256": "m",
            "dataset": DatasetSettings(),
            "training": TrainingSettings(),
            "weights": WeightSettings(),
        }
        return Plan(**{**own, **fields})

    return make


@pytest.fixture
def original_registry() -> dict[str, Any]:
    """A registry as the original MetaHuman leaves it, with a field or two that we do not know."""
    at = "profiles/greggles/out/fine-tuned-models/2025-12-03/2025-12-03-174854-6a800c"
    return {
        "comment": "Tracks model evolution",
        "notes": ["Base is updated after each run."],
        "original_base_model": "Qwen/Qwen3-14B",
        "current_base_model": f"{at}/model",
        "model_type": "local",
        "training_history": [
            {
                "version": 1,
                "run_id": "6a800c5bdad71a33",
                "run_label": "2025-12-03-174854-6a800c",
                "timestamp": "2025-12-03T18:12:46.777Z",
                "base_model_used": "Qwen/Qwen3-14B",
                "output_model_path": f"{at}/model",
                "gguf_path": f"{at}/model.gguf",
                "samples_trained": 320,
                "mode_filter": "dual",
                "training_success": True,
                "pod_id": "abc123",
            }
        ],
        "output_formats": {
            "unquantized": {"format": "safetensors", "purpose": "next base", "location": "model/", "keep": True},
            "quantized": {
                "format": "gguf",
                "quantization": "Q8_0",
                "purpose": "inference",
                "location": "model.gguf",
                "keep": True,
            },
        },
        "versioning": {"enabled": True, "auto_update_base": True, "keep_all_versions": True, "prune_after": 5},
        "cluster": {"gpus": ["a", "b"]},
    }


@pytest.fixture
def original_path(tmp_path: Path, original_registry: dict[str, Any]) -> Path:
    """The original's registry as a file."""
    path = tmp_path / "etc" / "model-registry.json"
    path.parent.mkdir()
    path.write_text(json.dumps(original_registry), encoding="utf-8")
    return path
