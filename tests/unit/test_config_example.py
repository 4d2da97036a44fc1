"""`config.example.toml` and the settings' models say the same: each setting once, in their order, with its default."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import BaseModel, ValidationError

from metahuman_core.settings import ProfileSettings, Settings

EXAMPLE = (Path(__file__).resolve().parents[2] / "config.example.toml").read_text(encoding="utf-8")
EXAMPLE_PROFILE = "anna"
# What is commented out for use has no space behind its #; words for people have one.
FOR_USE = re.compile(r"^#(?=[\[\w])", re.MULTILINE)
WITH_PROFILE = FOR_USE.sub("", EXAMPLE)
NAMED = re.compile(r"^(?:\[(?P<table>[\w.]+)\]|(?P<key>[\w.]+) = )", re.MULTILINE)


def named_in_example() -> list[str]:
    """The full names of all settings in the file, in its order; those of the example profile too."""
    names, table = [], ""
    for found in NAMED.finditer(WITH_PROFILE):
        if found["table"]:
            table = f"{found['table']}."
        else:
            names.append(table + found["key"])
    return names


def named_in(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """The full names of all settings of a model, in its order; a profile's under the example's name."""
    for name, field in model.model_fields.items():
        default = field.get_default(call_default_factory=True)
        if name == "profiles":
            yield from named_in(ProfileSettings, f"profiles.{EXAMPLE_PROFILE}.")
        elif isinstance(default, BaseModel):
            yield from named_in(type(default), f"{prefix}{name}.")
        elif isinstance(default, dict):
            yield from (f"{prefix}{name}.{key}" for key in default)
        else:
            yield prefix + name


def test_it_names_every_setting_once_and_in_order() -> None:
    assert named_in_example() == list(named_in(Settings))


def test_it_yields_the_defaults_as_it_is() -> None:
    assert Settings.model_validate(tomllib.loads(EXAMPLE)) == Settings()


def test_its_profile_has_the_defaults_too() -> None:
    settings = Settings.model_validate(tomllib.loads(WITH_PROFILE))
    assert settings.profiles == {EXAMPLE_PROFILE: ProfileSettings()}
    assert settings.model_copy(update={"profiles": {}}) == Settings()


def test_every_setting_has_a_comment_that_tells_its_default() -> None:
    blocks = EXAMPLE.replace("\n[", "\n\n[").split("\n\n")
    with_settings = [block for block in blocks if re.search(r"^#?[\w.]+ = ", block, re.MULTILINE)]
    # What stands as `full.keep_last`, `full.keep_daily`, … is told together.
    alone = [name for name in named_in_example() if name.startswith("profiles.") or name.count(".") < 2]
    together = {name.rpartition(".")[0] for name in named_in_example()} - {"", *Settings.model_fields}
    assert {"dataset.weights", "retention.full"} <= together
    assert len(with_settings) >= len(alone) + len(together - {f"profiles.{EXAMPLE_PROFILE}"})
    assert [block for block in with_settings if "Default" not in block] == []


@pytest.mark.parametrize("setting", [name for name in named_in_example() if ".weights." not in name])
def test_a_misspelt_setting_is_refused(setting: str) -> None:
    """Types of memories, in `dataset.weights`, are the user's own."""
    table, _, key = setting.rpartition(".")
    data = tomllib.loads(WITH_PROFILE)
    holder = data
    for part in table.split(".") if table else ():
        holder = holder[part]
    holder[f"{key}s_"] = holder.pop(key)
    with pytest.raises(ValidationError, match=f"{key}s_"):
        Settings.model_validate(data)
