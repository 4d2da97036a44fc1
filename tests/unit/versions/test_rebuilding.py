"""What has to be made so that a version is served or whole again, in which order, and what that costs."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from metahuman_core.durable import remove
from metahuman_core.errors import MetahumanError
from metahuman_core.fingerprint import fingerprint
from metahuman_core.journal import Journal
from metahuman_core.layout import ProfilePaths
from metahuman_core.plan import Plan
from metahuman_core.registry import Registry, Version
from metahuman_core.versions.parts import parts_of
from metahuman_core.versions.rebuilding.planning import Cache, Rebuilding, To, plan_rebuilding

Entry = Callable[..., Version]
Parts = tuple[Cache, ...]
MODEL, GGUF = 1000, 500
_MODEL: Parts = ("model",)
_GGUF: Parts = ("gguf",)
_BOTH: Parts = ("model", "gguf")


class Shelf:
    """Versions in a chain, each on the one before's model/, the first on a folder."""

    def __init__(self, root: Path, entry: Entry) -> None:
        self.paths = ProfilePaths(root, "anna")
        self._entry = entry
        self.versions: list[Version] = []
        self._config(root / "base")

    def put(self, number: int, *, model: bool = False, gguf: bool = False, **fields: Any) -> Version:
        """A version with its adapter, and what else it is said to have."""
        weights = f"adapter {number}".encode()
        own = {
            "adapter_sha256": hashlib.sha256(weights).hexdigest(),
            "model_sha256": "m",
            "gguf_sha256": "g",
            "model_bytes": MODEL,
            "gguf_bytes": GGUF,
            "anchor_model": self.versions[-1].output_model_path if self.versions else "base",
            "anchor_revision": "",
        }
        version = self._entry(number, **{**own, **fields})
        parts = parts_of(version, self.paths)
        parts.adapter.mkdir(parents=True)
        (parts.adapter / "adapter_model.safetensors").write_bytes(weights)
        (parts.adapter / "adapter_config.json").write_text('{"r": 16, "lora_alpha": 32}', encoding="utf-8")
        if model:
            self._config(parts.model)
        if gguf:
            parts.gguf.write_bytes(b"gguf")
        self.versions.append(version)
        return version

    def ahead(self, version: Version, to: To) -> Rebuilding:
        return plan_rebuilding(version, to, Registry(training_history=tuple(self.versions)), self.paths, None)

    def makings(self, version: Version, to: To) -> list[tuple[int, Parts, Parts]]:
        return [(making.version.version, making.makes, making.keeps) for making in self.ahead(version, to).makings]

    def _config(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        (folder / "config.json").write_text("{}", encoding="utf-8")


@pytest.fixture
def shelf(tmp_path: Path, entry: Entry) -> Shelf:
    return Shelf(tmp_path, entry)


@pytest.mark.parametrize(
    ("model", "gguf", "to", "makings"),
    [
        (True, True, "full", []),
        (True, True, "serving", []),
        (False, True, "serving", []),
        (True, False, "serving", [(1, _GGUF, _GGUF)]),
        (True, False, "full", [(1, _GGUF, _GGUF)]),
        (False, True, "full", [(1, _MODEL, _MODEL)]),
        (False, False, "serving", [(1, _GGUF, _GGUF)]),
        (False, False, "full", [(1, _BOTH, _BOTH)]),
    ],
)
def test_only_what_lacks_is_made(
    shelf: Shelf, model: bool, gguf: bool, to: To, makings: list[tuple[int, Parts, Parts]]
) -> None:
    version = shelf.put(1, model=model, gguf=gguf)
    assert shelf.makings(version, to) == makings


def test_of_a_chain_the_innermost_comes_first_and_what_lies_between_is_not_kept(shelf: Shelf) -> None:
    shelf.put(1)
    shelf.put(2)
    three = shelf.put(3)
    between = [(1, _MODEL, ()), (2, _MODEL, ())]
    assert shelf.makings(three, "serving") == [*between, (3, _GGUF, _GGUF)]
    assert shelf.makings(three, "full") == [*between, (3, _BOTH, _BOTH)]


def test_where_it_may_come_out_otherwise_model_is_written_but_not_kept(shelf: Shelf) -> None:
    registry = Registry(training_history=(one := shelf.put(1, quantization="Q8_0"),))
    ahead = plan_rebuilding(one, "serving", registry, shelf.paths, None, accept=True)
    assert [(making.makes, making.keeps) for making in ahead.makings] == [(_BOTH, _GGUF)]
    assert ahead.writes_bytes == MODEL + GGUF


def test_a_chain_is_made_from_the_nearest_model_that_is_here(shelf: Shelf) -> None:
    shelf.put(1)
    shelf.put(2, model=True)
    assert shelf.makings(shelf.put(3, gguf=True), "full") == [(3, _MODEL, _MODEL)]


def test_the_cost_of_a_chain_is_two_models_on_the_disk_at_a_time(shelf: Shelf) -> None:
    for number in (1, 2, 3, 4):
        four = shelf.put(number, quantization="Q8_0")
    ahead = shelf.ahead(four, "full")
    assert ahead.writes_bytes == 4 * MODEL + GGUF
    assert ahead.reads_bytes == 4 * MODEL
    assert ahead.peak_bytes == 2 * MODEL + GGUF
    remove(parts_of(four, shelf.paths).model)
    parts_of(four, shelf.paths).gguf.write_bytes(b"gguf")
    assert shelf.ahead(four, "full").peak_bytes == 2 * MODEL


def test_a_k_quant_costs_a_file_in_16_bit_besides(shelf: Shelf) -> None:
    ahead = shelf.ahead(shelf.put(1, quantization="Q4_K_M"), "serving")
    assert ahead.writes_bytes == ahead.peak_bytes == 1010 + GGUF
    assert ahead.reads_bytes == MODEL + 1010 + GGUF


def test_how_long_it_took_is_in_the_journals_of_runs_with_one_pass(shelf: Shelf, plan: Callable[..., Plan]) -> None:
    version = shelf.put(1)
    clock = iter(datetime(2031, 1, 1, tzinfo=UTC) + timedelta(seconds=s) for s in (0, 40))
    journal = Journal.begin(parts_of(version, shelf.paths).run_dir, plan(), lambda: next(clock))
    for step in ("evaluate", "weights"):
        journal.step(step, dict, step, dict)
    assert shelf.ahead(version, "full").took_s == shelf.ahead(version, "serving").took_s == 40


def test_how_long_it_took_is_in_the_journals_of_runs_with_two_steps(shelf: Shelf, plan: Callable[..., Plan]) -> None:
    version = shelf.put(1)
    assert shelf.ahead(version, "full").took_s is None
    clock = iter(datetime(2031, 1, 1, tzinfo=UTC) + timedelta(seconds=s) for s in (0, 40, 100))
    journal = Journal.begin(parts_of(version, shelf.paths).run_dir, plan(), lambda: next(clock))
    for step in ("evaluate", "merge", "convert"):
        journal.step(step, dict, step, dict)
    assert shelf.ahead(version, "full").took_s == 100
    parts_of(version, shelf.paths).model.mkdir()
    (parts_of(version, shelf.paths).model / "config.json").write_text("{}", encoding="utf-8")
    assert shelf.ahead(version, "full").took_s == 60


def test_a_journal_of_nonsense_says_nothing_of_the_time(shelf: Shelf) -> None:
    version = shelf.put(1)
    (parts_of(version, shelf.paths).run_dir / "run.json").write_text('{"steps": 7}', encoding="utf-8")
    assert shelf.ahead(version, "full").took_s is None


def test_what_is_here_is_not_asked_how_it_could_be_rebuilt(shelf: Shelf) -> None:
    version = shelf.put(1, gguf=True, adapter_sha256="", anchor_model="")
    assert shelf.makings(version, "serving") == []


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"adapter_sha256": ""}, "no hash is recorded of its adapter"),
        ({"adapter_sha256": "another"}, "its adapter is not the one that was trained"),
        ({"anchor_model": ""}, "does not say on which base"),
        ({"anchor_model": "gone"}, "its base gone is not on this machine"),
        ({"anchor_model": "base", "anchor_revision": "another"}, "its base base is not the one"),
    ],
)
def test_nonsense_is_told_in_a_line(shelf: Shelf, fields: dict[str, str], why: str) -> None:
    with pytest.raises(MetahumanError, match=f"^version 1 cannot be rebuilt: .*{why}"):
        shelf.ahead(shelf.put(1, **fields), "serving")


def test_a_chain_that_goes_in_a_circle_is_told(shelf: Shelf, entry: Entry) -> None:
    shelf.put(1, anchor_model=entry(2).output_model_path)
    with pytest.raises(MetahumanError, match="stands on itself"):
        shelf.ahead(shelf.put(2), "full")


def test_a_base_that_changed_under_a_chain_is_told(shelf: Shelf) -> None:
    one = shelf.put(1, model=True)
    folder = parts_of(one, shelf.paths).model
    two = shelf.put(2, anchor_revision=fingerprint(folder))
    assert shelf.makings(two, "full")
    (folder / "config.json").write_text('{"changed": 1}', encoding="utf-8")
    with pytest.raises(MetahumanError, match="is not the one that it was trained on"):
        shelf.ahead(two, "full")
