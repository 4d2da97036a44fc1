"""Before training, what Ollama holds on the card leaves it, if room is short there, and only then."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from double import OllamaDouble

from metahuman_core.ollama.client import OllamaClient
from metahuman_daemon.card import make_room, training_vram_bytes

GIB = 1 << 30


@pytest.fixture
def loaded(double: OllamaDouble, small_gguf: tuple[Path, str]) -> OllamaDouble:
    """A server with one model that is loaded."""
    double.on_card = True
    path, sha256 = small_gguf
    with OllamaClient(double.url) as client:
        client.ensure_blob(path, sha256)
        client.create({"model": "anna:v1", "files": {"model.gguf": f"sha256:{sha256}"}})
        client.chat("anna:v1", [("user", "Are you there?")])
        assert [model.name for model in client.ps()] == ["anna:v1"]
    return double


def names(double: OllamaDouble) -> list[str]:
    with OllamaClient(double.url) as client:
        return [model.name for model in client.ps() if model.vram_bytes]


def free(gib: float | None) -> Callable[[], int | None]:
    return lambda: None if gib is None else int(gib * GIB)


def test_what_is_loaded_goes_if_room_is_short(loaded: OllamaDouble) -> None:
    said: list[str] = []
    make_room(loaded.url, 20 * GIB, free(3), said.append)
    assert names(loaded) == []
    assert said == ["Ollama unloads anna:v1: training needs its place on the card"]


@pytest.mark.parametrize("gib", [20, 24, None])
def test_it_stays_if_there_is_room_or_no_card(loaded: OllamaDouble, gib: float | None) -> None:
    before = names(loaded)
    make_room(loaded.url, 20 * GIB, free(gib), lambda _: pytest.fail("nothing was in the way"))
    assert names(loaded) == before == ["anna:v1"]


def test_what_is_in_the_machines_memory_is_not_in_the_way(loaded: OllamaDouble) -> None:
    loaded.on_card = False
    make_room(loaded.url, 20 * GIB, free(3), lambda _: pytest.fail("it is not on the card"))


def test_a_server_that_is_down_is_in_nobodys_way(double: OllamaDouble) -> None:
    double.stop()
    make_room(double.url, 20 * GIB, free(3), lambda _: pytest.fail("there is nothing to unload"))


def test_a_larger_model_needs_more_room() -> None:
    assert training_vram_bytes(28 * GIB) > training_vram_bytes(1 * GIB) > 3 * GIB
