"""Finds and reads config.toml: the edge where it becomes values that can be trusted.

Invariant: what is wrong with it is said in one line that names the setting, in words of ours.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from metahuman_core.errors import ConfigError
from metahuman_core.settings import ProfileSettings, Settings, check_profile_name


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
    import difflib

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
