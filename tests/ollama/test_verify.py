"""The registry is held against what Ollama has: what is missing is due again, or said."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from double import OllamaDouble

from metahuman_core.ollama.client import OllamaClient, OllamaDown
from metahuman_core.ollama.modelfile import OllamaModel
from metahuman_core.ollama.publish import move_alias, publish
from metahuman_core.publishing import Verified, due_publications, verify_published
from metahuman_core.registry import Publication, Registry, Version, load_registry, update_registry

NAME = "anna"
GO = '{{ range .Messages }}{{ .Role }}: {{ .Content }}{{ "\\n" }}{{ end }}assistant: '
ALL_IS_WELL = Verified((), live_is_due=False)


class House:
    """A registry of two published versions, the second live, and a server that has both."""

    def __init__(self, path: Path, double: OllamaDouble, gguf: tuple[Path, str]) -> None:
        self.path = path
        self.double = double
        for number in (1, 2):
            self.publish(number, gguf)
        history = tuple(
            Version(version=n, outcome="live" if n == 2 else "superseded", publication="done", ollama_name=NAME)
            for n in (1, 2)
        )
        self.enter(lambda registry: registry.changed(training_history=history))

    def publish(self, number: int, gguf: tuple[Path, str]) -> None:
        with OllamaClient(self.double.url) as client:
            model = OllamaModel("model.gguf", f"You are Anna, {number}.", None, (("temperature", 0.7),))
            publish(client, model, *gguf, name=NAME, version=number, go_template=GO, question="Who are you?")
            move_alias(client, NAME, number)

    def enter(self, change: Callable[[Registry], Registry]) -> None:
        update_registry(self.path, change)

    def verified(self) -> Verified:
        return verify_published(self.path, self.double.url)

    def publications(self) -> list[Publication]:
        registry = load_registry(self.path)
        assert registry is not None
        return [version.publication for version in registry.training_history]


@pytest.fixture
def house(tmp_path: Path, double: OllamaDouble, small_gguf: tuple[Path, str]) -> House:
    return House(tmp_path / "etc" / "model-registry.json", double, small_gguf)


def test_where_all_is_as_it_should_be_nothing_is_written(house: House) -> None:
    before = house.path.stat()
    assert house.verified() == ALL_IS_WELL
    assert (house.path.stat().st_mtime_ns, house.path.stat().st_ino) == (before.st_mtime_ns, before.st_ino)


def test_a_live_version_whose_tag_is_gone_is_due_again(house: House) -> None:
    with OllamaClient(house.double.url) as client:
        client.delete(f"{NAME}:v2")
    assert house.verified() == Verified((2,), live_is_due=True)
    assert house.publications() == ["done", "due"]
    assert [version.version for version in due_publications(load_registry(house.path))] == [2]


@pytest.mark.parametrize("how", ["moved", "gone"])
def test_an_alias_that_is_not_the_live_version_makes_it_due_again(house: House, how: str) -> None:
    with OllamaClient(house.double.url) as client:
        client.delete(f"{NAME}:latest")
        if how == "moved":
            client.copy(f"{NAME}:v1", f"{NAME}:latest")
    assert house.verified() == Verified((), live_is_due=True)
    assert house.publications() == ["done", "due"]


def test_an_older_version_that_is_gone_is_said_and_stays_away(house: House) -> None:
    with OllamaClient(house.double.url) as client:
        client.delete(f"{NAME}:v1")
    assert house.verified() == Verified((1,), live_is_due=False)
    assert house.publications() == ["done", "done"]


def test_a_server_that_is_down_says_nothing_of_what_it_has(house: House) -> None:
    house.double.stop()
    with pytest.raises(OllamaDown):
        house.verified()
    assert house.publications() == ["done", "done"]


def test_a_live_version_that_was_never_published_is_not_looked_for(house: House) -> None:
    third = Version(version=3, outcome="live", publication="off", ollama_name=NAME)
    house.enter(lambda registry: registry.with_version(third))
    assert house.verified() == ALL_IS_WELL


def test_where_nothing_was_published_no_server_is_asked(tmp_path: Path) -> None:
    path = tmp_path / "model-registry.json"
    nowhere = "http://127.0.0.1:9"
    assert verify_published(path, nowhere) == ALL_IS_WELL
    waiting = Version(version=1, outcome="live", publication="due", ollama_name=NAME)
    update_registry(path, lambda registry: registry.with_version(waiting))
    assert verify_published(path, nowhere) == ALL_IS_WELL


def test_names_are_compared_as_ollama_does_whatever_their_case(house: House) -> None:
    house.enter(
        lambda registry: registry.changed(
            training_history=tuple(v.model_copy(update={"ollama_name": "Anna"}) for v in registry.training_history)
        )
    )
    assert house.verified() == ALL_IS_WELL
