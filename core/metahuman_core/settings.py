"""Every setting, once, with its unit and default: the edge where config.toml becomes values that can be trusted.

Invariant: `config.example.toml` names each field of these models with its default; a test holds the two together.
"""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Iterable
from datetime import UTC
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from pydantic_core import ErrorDetails

from metahuman_core.errors import ConfigError
from metahuman_core.schedule import Schedule, parse_hours

PROFILE_NAME = re.compile(r"^[a-z_][a-z0-9_-]{0,31}$")
_MODEL_NAME = re.compile(r"\w[\w.-]{0,79}(/\w[\w.-]{0,79}){0,2}", re.ASCII)
_LEFT_OUT = ("library/", "registry.ollama.ai/")  # of a name, where Ollama lists its models

Quantization = Literal["Q8_0", "Q6_K", "Q5_K_M", "Q4_K_M"]
ModeFilter = Literal["all", "dual", "agent", "emulation"]
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
    replay_ratio: float = Field(1.0, ge=0, le=10)
    replay_samples: int = Field(2, ge=1, le=50)
    max_memories: int = Field(0, ge=0)
    seed: int = Field(20, ge=0)

    @field_validator("weights")
    @classmethod
    def _with_defaults(cls, named: dict[str, float]) -> dict[str, float]:
        return {**_WEIGHTS, **named}


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
    reanchor_every: Literal[0, 1] = 0
    seed: int = Field(20, ge=0)


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
    training: TrainingSettings = TrainingSettings()
    weights: WeightSettings = WeightSettings()
    ollama: OllamaSettings = OllamaSettings()
    retention: RetentionSettings = RetentionSettings()
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


def find_config(explicit: Path | None) -> Path | None:
    """The config to read: --config, METAHUMAN_CONFIG, ./config.toml, /etc/metahuman/config.toml, or none at all."""
    named = explicit or (Path(os.environ["METAHUMAN_CONFIG"]) if os.environ.get("METAHUMAN_CONFIG") else None)
    if named is not None:
        if not os.path.lexists(named):
            said = "--config" if explicit else "METAHUMAN_CONFIG"
            raise ConfigError(f"no config file {named}", f"name one that exists, or leave {said} out for the defaults")
        return named
    places = (Path("config.toml"), Path("/etc/metahuman/config.toml"))
    return next((place for place in places if os.path.lexists(place)), None)


def load_settings(explicit: Path | None = None) -> Settings:
    """Read and check the settings; each fault is one line that names the setting. Raises ConfigError."""
    path = find_config(explicit)
    data: dict[str, Any] = {}
    if path is not None:
        try:
            data = tomllib.loads(path.read_text(encoding="utf-8-sig"))
        except OSError as error:
            raise ConfigError(
                f"{path} cannot be read: {error.strerror}", "check what it is, its owner and mode"
            ) from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ConfigError(f"{path}: {error}", "see config.example.toml") from error
    if root := os.environ.get("METAHUMAN_ROOT"):
        data["root"] = Path(root).absolute()
    elif path is not None and isinstance(data.get("root"), str):
        data["root"] = path.parent.absolute() / data["root"]
    else:
        data.setdefault("root", Path.cwd())
    try:
        settings = Settings.model_validate(data)
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, fault['loc']))}: {_in_words(fault)}" for fault in error.errors())
        raise ConfigError(f"{path or 'settings'}: {faults}", "see config.example.toml") from error
    for name in settings.profiles:
        check_profile_name(name)
    refuse_clashes(settings, settings.profiles)
    return settings


def _in_words(fault: ErrorDetails) -> str:
    """What is wrong with a setting, without pydantic's own words for it."""
    if fault["type"] == "model_type":
        return "it is a table, with settings of its own"
    if fault["type"] != "extra_forbidden":
        return fault["msg"].removeprefix("Value error, ")
    *table, name = map(str, fault["loc"])
    table = ["profiles", "NAME"] if table[:1] == ["profiles"] else table
    names = [*_all_names(Settings), *(("profiles", "NAME", field) for field in ProfileSettings.model_fields)]
    near = difflib.get_close_matches(name, {name for *_, name in names}, n=1)
    places = [place for place in names if place[-1:] == tuple(near)]
    if not places:
        return "there is no such setting"
    # In another table, it is named with that.
    return f"there is no such setting; is {near[0] if (*table, near[0]) in places else '.'.join(places[0])} meant?"


def _all_names(model: type[BaseModel], *table: str) -> list[tuple[str, ...]]:
    names = [(*table, name) for name in model.model_fields]
    for name, field in model.model_fields.items():
        default = field.get_default(call_default_factory=True)
        names += _all_names(type(default), *table, name) if isinstance(default, BaseModel) else []
    return names


def refuse_clashes(settings: Settings, profiles: Iterable[str]) -> None:
    """Raise ConfigError where two of these profiles would have one registry, or one name in Ollama."""
    owners: dict[Path, str] = {}
    named: dict[str, str] = {}
    for name in profiles:
        model = settings.ollama_name(name).lower()  # Ollama does not tell them apart by case
        if model in named:
            raise ConfigError(
                f"profiles {named[model]} and {name} would both be {settings.ollama_name(name)} in Ollama",
                "set another ollama_name for one of them",
            )
        named[model] = name
        path = settings.registry_path(name).resolve()
        if path in owners:
            raise ConfigError(
                f"profiles {owners[path]} and {name} would share the registry {path}",
                'set registry = "etc/model-registry.{profile}.json", or one for each profile',
            )
        owners[path] = name
