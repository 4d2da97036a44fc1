"""Every setting, once, with its unit and default. `config` reads them from config.toml.

Invariant: `config.example.toml` names each field of these models with its default; a test holds the two together.
"""

from __future__ import annotations

import math
import re
from datetime import UTC
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, ConfigDict, Field, field_validator

from metahuman_core.errors import ConfigError
from metahuman_core.schedule import Schedule, parse_hours

PROFILE_NAME = re.compile(r"^[a-z_][a-z0-9_-]{0,31}$")
_MODEL_NAME = re.compile(r"\w[\w.-]{0,79}(/\w[\w.-]{0,79}){0,2}", re.ASCII)
_MODEL_IN_OLLAMA = re.compile(r"\w[\w.-]*(/\w[\w.-]*){0,3}(:\w[\w.-]{0,79})?", re.ASCII)
_LEFT_OUT = ("library/", "registry.ollama.ai/")  # of a name, where Ollama lists its models

Quantization = Literal["Q8_0", "Q6_K", "Q5_K_M", "Q4_K_M"]
ModeFilter = Literal["all", "dual", "agent", "emulation"]
QuantizeBase = Literal["none", "nf4"]
Occasion = Literal["success", "rejected", "failed", "disk"]


class _Section(BaseModel):
    """Frozen, and strict about names: a misspelt setting is an error and not a silence."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class ProfileSettings(_Section):
    """One person. Everything may be left out."""

    person: str = ""
    system: str = ""
    memories: tuple[str, ...] = ()
    marker: str = ""
    registry: str = ""
    ollama_name: str = ""

    @field_validator("ollama_name")
    @classmethod
    def _may_be_a_model(cls, name: str) -> str:
        if name and not (_MODEL_NAME.fullmatch(name) and not name.lower().startswith(_LEFT_OUT)):
            raise ValueError(f"{name!r} is no name of a model: like anna or me/anna, without a tag")
        return name


class LimitSettings(_Section):
    """What a memory file may be at most."""

    memory_bytes: int = Field(1_048_576, ge=1024)
    json_depth: int = Field(64, ge=8, le=200)


_WEIGHTS = {
    "reflection": 0.02,
    "reflection_summary": 0.01,
    "inner_dialogue": 0.01,
    "curiosity_question": 0.01,
    "dream": 0.0,
    "daydream": 0.0,
    "decision": 0.0,
    "summary": 0.0,
}


class DatasetSettings(_Section):
    """From memories to samples."""

    mode: ModeFilter = "all"
    weights: dict[str, Annotated[float, Field(ge=0, le=1)]] = Field(default_factory=lambda: dict(_WEIGHTS))
    min_chars: int = Field(8, ge=1)
    near_duplicate: float = Field(0.8, gt=0, le=1)
    questions_per_memory: int = Field(8, ge=0, le=50)
    replay_ratio: float = Field(1.0, ge=0, le=100)
    general_share: float = Field(0.1, ge=0, le=0.5)
    unknown_share: float = Field(0.01, ge=0, le=0.25)
    max_memories: int = Field(0, ge=0)
    seed: int = Field(20, ge=0)

    @field_validator("weights")
    @classmethod
    def _with_defaults(cls, named: dict[str, float]) -> dict[str, float]:
        return {**_WEIGHTS, **named}


class StudySettings(_Section):
    """Questions that a model in Ollama asks about new memories, beside those by templates. No name: none does."""

    ollama_model: str = ""
    max_seconds_per_memory: float = Field(120.0, ge=1, le=3600)
    max_minutes: float = Field(60.0, gt=0, le=1440)

    @field_validator("ollama_model")
    @classmethod
    def _runs_here(cls, name: str) -> str:
        if name and not _MODEL_IN_OLLAMA.fullmatch(name):
            raise ValueError(f"{name!r} is no name of a model in Ollama: like qwen3:8b")
        if name.rpartition(":")[2].lower().endswith("cloud"):
            raise ValueError(f"{name!r} runs on somebody else's machine, and memories stay on this one")
        return name


class TrainingSettings(_Section):
    """The recipe. Rates and ranks are for LoRA on all linear layers."""

    rank: int = Field(16, ge=1, le=512)
    alpha: int = Field(32, ge=1)
    dropout: float = Field(0.0, ge=0, lt=1)
    embedding_noise: float = Field(5.0, ge=0, le=100)
    learning_rate: float = Field(0.0, ge=0, le=0.1)
    epochs: float = Field(5, gt=0, le=100)
    batch_samples: int = Field(8, ge=1)
    max_tokens: int = Field(1024, ge=64)
    warmup_ratio: float = Field(0.05, ge=0, lt=1)
    weight_decay: float = Field(0.0, ge=0)
    checkpoint_every_steps: int = Field(50, ge=1)
    device: Literal["auto", "cpu", "cuda"] = "auto"
    quantize_base: QuantizeBase = "none"
    reanchor_every: int = Field(0, ge=0)
    consolidate_every: int = Field(0, ge=0)
    seed: int = Field(20, ge=0)

    @property
    def begun_epochs(self) -> int:
        """The epochs, the last one too where it is not whole."""
        return math.ceil(self.epochs)


class WeightSettings(_Section):
    """The GGUF that Ollama will run."""

    quantization: Quantization = "Q8_0"
    max_kl: float = Field(0.0, ge=0)
    min_top1: float = Field(0.0, ge=0, le=1)


class KeepSettings(_Section):
    """Which versions keep a state: the last so many, and the last one of each of so many days, weeks, months, years."""

    keep_last: int = Field(0, ge=0)
    keep_daily: int = Field(0, ge=0)
    keep_weekly: int = Field(0, ge=0)
    keep_monthly: int = Field(0, ge=0)
    keep_yearly: int = Field(0, ge=0)


class KeepFullSettings(KeepSettings):
    """Which versions keep model/, GGUF and adapter."""

    keep_last: int = Field(1, ge=0)


class KeepServingSettings(KeepSettings):
    """Which versions keep GGUF and adapter."""

    keep_last: int = Field(3, ge=0)


class RetentionSettings(_Section):
    """What is kept of older versions. `archived` counts only where the registry's keep_all_versions is false."""

    full: KeepFullSettings = KeepFullSettings()
    serving: KeepServingSettings = KeepServingSettings()
    archived: KeepSettings = KeepSettings()
    max_total_gb: float = Field(0.0, ge=0)
    archive_dir: str = ""
    share_with_ollama: Literal["no", "reflink", "link"] = "reflink"


class GateSettings(_Section):
    """What a version must do to go live. A difference counts with the whole of its 95 % interval."""

    prompts: int = Field(32, ge=5, le=1000)
    learned_bits: float = 0.02
    min_recall: float = Field(0.15, ge=0, le=1)
    old_bits: float = Field(0.1, ge=0)
    old_recall: float = Field(0.05, ge=0, le=1)
    since_learned: float = Field(0.1, ge=0, le=1)
    general_loss: float = Field(0.15, ge=0)
    since_anchor: float = Field(0.15, ge=0)
    max_kl_to_anchor: float = Field(2.5, gt=0)
    flawed: float = Field(0.05, ge=0, le=1)
    gentler_rate: float = Field(0.5, gt=0, lt=1)


class ForgetSettings(_Section):
    """What becomes of what a person forgets, and of memories whose files they delete."""

    erase_versions: bool = False
    on_delete: Literal["keep", "forget"] = "keep"


class OllamaSettings(_Section):
    """Where a version is handed over. `host` empty: OLLAMA_HOST, else 127.0.0.1:11434."""

    enabled: bool = True
    host: str = ""
    models: str = ""
    temperature: float = Field(0.7, ge=0, le=2)
    num_ctx: int = Field(4096, ge=512)


class DaemonSettings(_Section):
    """When a cycle runs by itself. Hours and schedule are meant in `timezone` (empty: the machine's)."""

    threshold: int = Field(200, ge=1)
    min_new: int = Field(20, ge=1)
    schedule: str = "0 3 * * sun"
    jitter_minutes: float = Field(10.0, ge=0, le=720)
    allowed_hours: str = "01:00-07:00"
    timezone: str = ""
    cool_down_hours: float = Field(6.0, ge=0, le=720)
    quiet_s: float = Field(5.0, ge=0.1, le=3600)
    reconcile_minutes: float = Field(5.0, gt=0, le=1440)
    max_load: float = Field(2.0, ge=0)
    yield_to_ollama: bool = True
    ollama_idle_minutes: float = Field(5.0, gt=0, le=1440)

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, name: str) -> str:
        if name:
            try:
                ZoneInfo(name)
            except (ZoneInfoNotFoundError, ValueError, OSError) as error:
                raise ValueError(f"{name!r} is no time zone: like Europe/Berlin") from error
        return name

    @field_validator("allowed_hours")
    @classmethod
    def _readable_hours(cls, text: str) -> str:
        parse_hours(text)
        return text

    @field_validator("schedule")
    @classmethod
    def _readable_schedule(cls, text: str) -> str:
        if text.strip():
            Schedule(text, UTC)
        return text


class NotifySettings(_Section):
    """Who is told. `urls` are Apprise's; `ping_url` is asked when a cycle starts and ends. Both hold secrets."""

    urls: tuple[str, ...] = Field((), repr=False)
    on: tuple[Occasion, ...] = ("success", "rejected", "failed", "disk")
    ping_url: str = Field("", repr=False)
    disk_free_gb: float = Field(5.0, ge=0)

    @field_validator("ping_url")
    @classmethod
    def _can_be_asked(cls, url: str) -> str:
        # What is wrong with it is said without it: it is a secret, and errors are logged.
        if url:
            try:
                parts = urlsplit(url)
                good = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
            except ValueError:
                good = False
            if not good or any(char.isspace() or not char.isprintable() for char in url):
                raise ValueError("this is no address to ask: like https://hc-ping.com/your-check, or empty")
        return url


class Settings(_Section):
    """The whole of config.toml."""

    root: Path = Path()
    registry: str = "etc/model-registry.json"
    profiles: dict[str, ProfileSettings] = Field(default_factory=dict)
    limits: LimitSettings = LimitSettings()
    dataset: DatasetSettings = DatasetSettings()
    study: StudySettings = StudySettings()
    training: TrainingSettings = TrainingSettings()
    gate: GateSettings = GateSettings()
    weights: WeightSettings = WeightSettings()
    ollama: OllamaSettings = OllamaSettings()
    retention: RetentionSettings = RetentionSettings()
    forget: ForgetSettings = ForgetSettings()
    daemon: DaemonSettings = DaemonSettings()
    notify: NotifySettings = NotifySettings()

    def registry_path(self, profile: str) -> Path:
        """Where a profile's registry lies: its own setting, else the common one with `{profile}` filled in."""
        own = self.profiles[profile].registry if profile in self.profiles else ""
        return self.root / (own or self.registry).replace("{profile}", profile)

    def profile(self, name: str) -> ProfileSettings:
        """A profile's settings, or the defaults for one that is not configured."""
        return self.profiles.get(name, ProfileSettings())

    def ollama_name(self, profile: str) -> str:
        """What a profile's model is called in Ollama, before the tag."""
        return self.profile(profile).ollama_name or profile


def check_profile_name(name: str) -> str:
    """A profile's name as it may stand in a path, or a ConfigError."""
    if not PROFILE_NAME.fullmatch(name):
        raise ConfigError(
            f"{name!r} is no profile name",
            "small letters, digits, - and _, a letter first, at most 32 (as in profiles/anna)",
        )
    return name
