"""A trained version reaches Ollama through the command line: on both recorded servers, and after one that was down."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from metahuman_core.errors import MetahumanError
from metahuman_core.registry import Version
from metahuman_daemon.publishing import publish_all

sys.path.insert(0, str(Path(__file__).parents[1] / "ollama"))  # the tests are no package

from double import OllamaDouble

if TYPE_CHECKING:
    from conftest import Root


def live(root: Root) -> Version:
    found = root.registry().live()
    assert found is not None
    return found


def modelfile(root: Root) -> str:
    return (root.run_dir(live(root)) / "Modelfile").read_text(encoding="utf-8")


@pytest.mark.parametrize("version", ["0.33.0-rc2", "0.24.0"])
def test_a_version_is_created_under_its_tag_and_the_alias(grown: Root, tmp_path: Path, version: str) -> None:
    with OllamaDouble(version, tmp_path / "models") as ollama:
        grown.set("ollama", f'host = "{ollama.url}"')
        grown.set("ollama", "enabled = true")
        done = grown.metahuman("publish")
        assert done.code == 0, done.err
    name = live(grown).ollama_name
    assert f"{name}:v1" in done.err
    assert f"{name}:latest" in done.err
    assert live(grown).publication == "done"
    assert ("TEMPLATE" in modelfile(grown)) == (version == "0.24.0")


def test_a_server_that_is_down_leaves_it_due_and_the_next_try_finishes(grown: Root, tmp_path: Path) -> None:
    double = OllamaDouble("0.33.0-rc2", tmp_path / "models")
    with double as ollama:
        grown.set("ollama", f'host = "{ollama.url}"')
        ollama.stop()
        refused = grown.metahuman("publish")
        assert refused.code == 1
        assert "no Ollama server answers" in refused.err
        assert live(grown).publication != "done"
        ollama.start()
        assert grown.metahuman("publish").code == 0
    assert live(grown).publication == "done"


def test_a_version_that_cannot_be_published_does_not_hold_up_the_others(grown: Root, tmp_path: Path) -> None:
    path = grown.folder / "etc" / "model-registry.json"
    registry = json.loads(path.read_text(encoding="utf-8"))
    (one,) = registry["training_history"]
    label = one["run_label"]
    day, other = label[:10], f"2020-01-01{label[10:]}"
    text = json.dumps(one).replace(f"{day}/{label}", f"2020-01-01/{other}").replace(label, other)
    older = json.loads(text)
    registry["training_history"] = [
        {**older, "outcome": "superseded", "publication": "due"},
        {**one, "version": 2, "publication": "due"},
    ]
    path.write_text(json.dumps(registry), encoding="utf-8")
    with OllamaDouble("0.33.0-rc2", tmp_path / "models") as ollama:
        grown.set("ollama", f'host = "{ollama.url}"')
        with pytest.raises(MetahumanError, match="version 1 cannot be rebuilt: its adapter is not in"):
            publish_all(grown.settings(), "ines", lambda _: None, lambda _: None)
    assert [version.publication for version in grown.registry().training_history] == ["due", "done"]
