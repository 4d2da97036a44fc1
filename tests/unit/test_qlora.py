"""Training on a base in 4 bit: who may, who is told what is missing, and what it is for the run's identity."""

from __future__ import annotations

import importlib.metadata
import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest

from metahuman_core.errors import ConfigError
from metahuman_core.journal import NAME, Journal
from metahuman_core.plan import Plan, read_plan
from metahuman_core.qlora import require_qlora
from metahuman_core.settings import Settings, TrainingSettings
from metahuman_core.wish import Wish, command_sha256
from metahuman_daemon.card import training_vram_bytes
from metahuman_daemon.doctor.program import qlora

IN_NF4 = TrainingSettings(quantize_base="nf4")
GIB = 1 << 30


@pytest.fixture
def absent(monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment without bitsandbytes."""

    def version(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", version)


@pytest.fixture
def there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment with a bitsandbytes that nobody can import."""
    metadata = tmp_path / "bitsandbytes-9.8.7.dist-info" / "METADATA"
    metadata.parent.mkdir()
    metadata.write_text("Metadata-Version: 2.1\nName: bitsandbytes\nVersion: 9.8.7\n", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)


@pytest.mark.usefixtures("absent")
def test_where_bitsandbytes_is_missing_the_extra_is_named_and_it_is_a_config_error() -> None:
    with pytest.raises(ConfigError, match="needs bitsandbytes, which is not installed") as refused:
        require_qlora(IN_NF4)
    assert "pip install 'metahuman-continuous-learning[qlora]'" in refused.value.hint
    assert refused.value.exit_code == 78


@pytest.mark.usefixtures("absent")
def test_who_trains_on_the_base_as_it_is_needs_no_bitsandbytes() -> None:
    require_qlora(TrainingSettings())


@pytest.mark.usefixtures("there")
def test_where_bitsandbytes_is_installed_nobody_is_refused() -> None:
    require_qlora(IN_NF4)
    (found,) = qlora(Settings(training=IN_NF4))
    assert found.level == "ok"
    assert "bitsandbytes 9.8.7" in found.what


@pytest.mark.usefixtures("absent")
def test_doctor_speaks_of_it_only_where_it_is_wanted() -> None:
    (found,) = qlora(Settings(training=IN_NF4))
    assert (found.level, "[qlora]" in found.way_out) == ("error", True)
    assert list(qlora(Settings())) == []


def test_a_run_that_was_begun_before_there_was_such_a_setting_is_one_on_the_base_as_it_is(
    tmp_path: Path, plan: Callable[..., Plan], now: Callable[[], datetime]
) -> None:
    Journal.begin(tmp_path, plan(), now)
    raw = json.loads((tmp_path / NAME).read_text(encoding="utf-8"))
    del raw["inputs"]["training"]["quantize_base"]
    (tmp_path / NAME).write_text(json.dumps(raw), encoding="utf-8")
    assert read_plan(Journal.open(tmp_path, now).file.inputs) == plan()


def test_in_4_bit_is_another_command() -> None:
    wish = Wish("anna")
    assert command_sha256(Settings(), wish) != command_sha256(Settings(training=IN_NF4), wish)


def test_on_the_card_a_base_in_4_bit_asks_for_less_room_and_for_more_than_its_weights() -> None:
    quantised = training_vram_bytes(28 * GIB, "nf4")
    assert 10 * GIB < quantised < training_vram_bytes(28 * GIB)
