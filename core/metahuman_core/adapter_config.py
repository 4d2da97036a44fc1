"""peft's `adapter_config.json`, at the edge: what we read of it, and the one path in it that must not stay."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from metahuman_core.durable import write_text
from metahuman_core.errors import MetahumanError


@dataclass(frozen=True, slots=True)
class AdapterConfig:
    """LoRA's shape: `scale` = alpha / rank. `plain` is false for what only peft itself can merge."""

    rank: int
    alpha: int
    plain: bool

    @property
    def scale(self) -> float:
        """S in W + s·B·A."""
        return self.alpha / self.rank


def read_adapter_config(adapter: Path) -> AdapterConfig:
    """Read `adapter_config.json`. Raises MetahumanError where it is no LoRA adapter."""
    try:
        raw = json.loads((adapter / "adapter_config.json").read_text(encoding="utf-8"))
        rank, alpha = int(raw["r"]), int(raw["lora_alpha"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise MetahumanError(f"{adapter} holds no LoRA adapter: {error}") from error
    odd = ("use_dora", "use_rslora", "rank_pattern", "alpha_pattern", "modules_to_save", "fan_in_fan_out", "lora_bias")
    plain = (
        raw.get("peft_type") == "LORA" and raw.get("bias", "none") == "none" and not any(raw.get(key) for key in odd)
    )
    return AdapterConfig(rank, alpha, plain)


def name_base(adapter: Path, anchor: str, revision: str) -> None:
    """Let the adapter name its anchor as the registry does: peft writes the absolute path it was loaded from."""
    path = adapter / "adapter_config.json"
    raw = json.loads(path.read_text(encoding="utf-8"))
    raw["base_model_name_or_path"] = anchor
    raw["revision"] = revision or None
    # peft keeps target_modules as a set, whose order changes from process to process.
    if isinstance(raw.get("target_modules"), list):
        raw["target_modules"] = sorted(raw["target_modules"])
    write_text(path, json.dumps(raw, indent=2, sort_keys=True) + "\n")
