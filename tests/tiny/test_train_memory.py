"""Memory decides how many samples are computed at a time: found out once, kept by the run, and never in the result."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from metahuman_core.durable import sha256_file
from metahuman_core.errors import MetahumanError, StoppedError
from metahuman_core.progress import Progress
from metahuman_core.settings import TrainingSettings
from metahuman_core.steps import answer_trainer, answering
from metahuman_core.steps.encode import Encoded
from metahuman_core.steps.loading import Base
from metahuman_core.steps.rows import answer_nats
from metahuman_core.steps.train import Anchor, train

pytestmark = [
    # peft asks transformers by an old name.
    pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]

RECIPE = TrainingSettings(
    rank=4, batch_samples=4, epochs=1, embedding_noise=0, learning_rate=1e-3, max_tokens=256, device="cpu"
)

NONE_HAS_IT = 1 << 60


class Trained:
    """Trains the same in one folder after the other; what memory needs is remembered in one file."""

    def __init__(self, folder: Path, base: Path, dataset: Path) -> None:
        self.remembered = folder / "cache" / "fits.json"
        self.said: list[Progress] = []
        self.base_folder, self._folder, self._dataset = base, folder, dataset

    def run(self, name: str, base: Base | None = None, stop: Callable[[], bool] = lambda: False) -> list[float]:
        """Each step's loss."""
        self.said.clear()
        out, anchor = self._folder / name, Anchor(self.base_folder, "base", "", None)
        loaded = base or self.base()
        made = sha256_file(self._dataset)
        train(self._dataset, anchor, loaded, RECIPE, out, self.remembered, self.said.append, stop, dataset_sha256=made)
        return self.losses(name)

    def losses(self, name: str) -> list[float]:
        log = self._folder / name / "train-log.jsonl"
        return [json.loads(line)["loss"] for line in log.read_text(encoding="utf-8").splitlines()]

    def base(self) -> Base:
        return Base(self.base_folder, "cpu", "none")

    def notes(self, beginning: str) -> list[str]:
        return [progress.note for progress in self.said if progress.note.startswith(beginning)]

    def fit(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self._folder / name / "fit.json").read_text(encoding="utf-8"))
        return found

    def adapter(self, name: str) -> str:
        return sha256_file(self._folder / name / "adapter" / "adapter_model.safetensors")

    def needs(self) -> dict[str, int]:
        """What the one kind of run needs."""
        ((_, needs),) = json.loads(self.remembered.read_text(encoding="utf-8")).items()
        return dict(needs)

    def remember(self, **needs: int) -> None:
        """As if so much had been measured (4, 2 or 1 samples at a time)."""
        ((kind, known),) = json.loads(self.remembered.read_text(encoding="utf-8")).items()
        names = {"four": "4 samples at a time", "two": "2 samples at a time", "one": "1 sample at a time"}
        changed = {**known, **{names[rows]: size for rows, size in needs.items()}}
        self.remembered.write_text(json.dumps({kind: changed}), encoding="utf-8")


@pytest.fixture
def trained(tiny_base: Callable[[str], Path], dataset: Path, tmp_path: Path) -> Trained:
    """After one run, for which there was memory enough."""
    trained = Trained(tmp_path, tiny_base("llama"), dataset)
    trained.run("straight")
    return trained


def test_what_was_measured_is_not_measured_again(trained: Trained) -> None:
    assert trained.notes("measuring") == [
        f"measuring the memory for {fit}"
        for fit in ("1 sample at a time", "2 samples at a time", "4 samples at a time")
    ]
    assert not trained.notes("as memory allows")
    assert trained.fit("straight") == {"rows": 4, "recompute": False}
    trained.run("again")
    assert not trained.notes("measuring")
    assert trained.adapter("again") == trained.adapter("straight")


def test_with_room_for_half_the_batch_the_losses_stay(trained: Trained) -> None:
    trained.remember(four=NONE_HAS_IT)
    assert trained.run("halved") == pytest.approx(trained.losses("straight"), rel=1e-3)
    assert trained.notes("as memory allows") == ["as memory allows: 2 samples at a time"]


def test_without_room_for_one_sample_activations_are_computed_again_and_the_losses_stay(trained: Trained) -> None:
    trained.remember(one=NONE_HAS_IT)
    base = trained.base()
    assert trained.run("recomputed", base) == pytest.approx(trained.losses("straight"), rel=1e-3)
    assert trained.notes("as memory allows") == ["as memory allows: 4 samples at a time, with gradient checkpointing"]
    assert not base.model().is_gradient_checkpointing


def test_a_run_that_goes_on_is_computed_as_it_was_before(trained: Trained) -> None:
    trained.remember(four=NONE_HAS_IT)
    trained.run("halved")
    with pytest.raises(StoppedError):
        trained.run("stopped", stop=lambda: trained.said[-1].done == 1)
    trained.remember(four=1)
    trained.run("stopped")
    assert trained.fit("stopped") == {"rows": 2, "recompute": False}
    assert not trained.notes("measuring")
    assert trained.adapter("stopped") == trained.adapter("halved")


def no_room(*_: Any) -> None:
    raise torch.OutOfMemoryError


class Full(Base):
    """A base beside which there is no room for a backward pass, however often it is loaded."""

    def model(self) -> Any:
        model = super().model()
        model.register_forward_hook(lambda _, __, out: out.logits.register_hook(no_room) and None)
        return model


def test_where_not_even_one_sample_fits_it_says_what_to_do(trained: Trained) -> None:
    with pytest.raises(MetahumanError, match="no room for a training step of one sample") as raised:
        trained.run("full", Full(trained.base_folder, "cpu", "none"))
    assert "max_tokens" in raised.value.hint
    rungs = [f"{n}, with gradient checkpointing" for n in ("4 samples at a time", "2 samples at a time")]
    assert [note.split(": ")[1] for note in trained.notes("out of memory")] == [
        "2 samples at a time from here",
        "1 sample at a time from here",
        *(f"{rung} from here" for rung in (*rungs, "1 sample at a time, with gradient checkpointing")),
    ]


def test_out_of_memory_all_the_same_takes_the_next_half_and_is_remembered(trained: Trained) -> None:
    scarce, before = trained.base(), trained.needs()
    # Only in the backward pass, which measuring does without.
    scarce.model().register_forward_hook(lambda _, __, out: out.logits.register_hook(no_room) and None)
    assert trained.run("scarce", scarce) == pytest.approx(trained.losses("straight"), rel=1e-3)
    assert trained.notes("out of memory") == ["out of memory: 2 samples at a time from here"]
    assert trained.fit("scarce") == {"rows": 2, "recompute": False}
    after = trained.needs()
    assert after.pop("4 samples at a time") > 100 * before.pop("4 samples at a time")
    assert after == before


def test_measuring_goes_on_sample_by_sample_where_a_batch_does_not_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = [Encoded([1, 2, 3], [-100, 2, 3]), Encoded([4, 5], [-100, 5])]
    even = torch.zeros(1, 8)

    def room_for_one(_: Any, samples: list[Encoded], *__: Any) -> tuple[torch.Tensor, torch.Tensor]:
        if len(samples) > 1:
            raise torch.OutOfMemoryError
        wanted = torch.tensor(answering.wanted_ids(samples[0]))
        return even.expand(len(wanted), -1), wanted

    monkeypatch.setattr(answering, "_logits", room_for_one)
    assert answering.nats_of(None, asked, 0, None) == pytest.approx([2 * math.log(8), math.log(8)])


def test_a_loss_that_is_no_number_ends_the_training(trained: Trained, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answer_trainer, "answer_nats", lambda model, rows: answer_nats(model, rows) * float("nan"))
    with pytest.raises(MetahumanError, match="the loss is no number any more"):
        trained.run("nan")
