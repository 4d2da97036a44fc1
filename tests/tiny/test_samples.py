"""Samples are tokenised once, and read from files that are mapped: a run that goes on trains on the very same."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from metahuman_core.dataset.samples import read_samples
from metahuman_core.durable import sha256_file
from metahuman_core.errors import StoppedError
from metahuman_core.progress import Progress
from metahuman_core.settings import TrainingSettings
from metahuman_core.steps.encode import IGNORED, ChatEncoder, Encoded, encode_samples
from metahuman_core.steps.loading import Base
from metahuman_core.steps.model_folder import load_tokenizer
from metahuman_core.steps.samples import Samples, write_samples
from metahuman_core.steps.train import Anchor, train

# peft asks transformers by an old name.
pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")

ENCODED = [Encoded([1, 300, 2], [IGNORED, 300, 2]), Encoded([], []), Encoded([151_935, 7], [IGNORED, IGNORED], 5, 3)]


@pytest.mark.parametrize("samples", [ENCODED, ENCODED[:1], []])
def test_what_is_read_is_what_was_written(tmp_path: Path, samples: list[Encoded]) -> None:
    folder = tmp_path / "samples"
    write_samples(folder, iter(samples))
    read = Samples(folder)
    assert [read[at] for at in range(len(read))] == samples
    assert read.turns() == [(sample.every, sample.turn) for sample in samples]
    assert read.lengths() == [len(sample.ids) for sample in samples]
    assert read.learned() == [sum(label != IGNORED for label in sample.labels) for sample in samples]
    assert isinstance(read._ids, np.memmap)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}


def test_tokenising_that_is_broken_off_leaves_nothing(tmp_path: Path) -> None:
    def encoded() -> Iterator[Encoded]:
        yield ENCODED[0]
        raise StoppedError("stopped", "go on")

    with pytest.raises(StoppedError):
        write_samples(tmp_path / "samples", encoded())
    assert not any(tmp_path.iterdir())


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_run_that_goes_on_reads_what_was_tokenised_and_ends_with_the_same_adapter(
    tiny_base: Callable[[str], Path], dataset: Path, tmp_path: Path
) -> None:
    base = tiny_base("llama")
    recipe = TrainingSettings(rank=4, batch_samples=4, epochs=1, learning_rate=1e-3, max_tokens=256, device="cpu")
    said: list[Progress] = []

    def trained_in(folder: Path, dataset: Path, stop: Callable[[], bool]) -> str:
        anchor, fits = Anchor(base, "base", "", None), tmp_path / "fits.json"
        made, on = sha256_file(dataset), Base(base, "cpu", "none")
        train(dataset, anchor, on, recipe, folder, fits, said.append, stop, dataset_sha256=made)
        return sha256_file(folder / "adapter" / "adapter_model.safetensors")

    straight = trained_in(tmp_path / "straight", dataset, lambda: False)
    stopped = tmp_path / "stopped"
    with pytest.raises(StoppedError, match="stopped at training step 2 "):
        trained_in(stopped, dataset, lambda: said[-1].done == 1)
    said.clear()
    assert trained_in(stopped, dataset, lambda: False) == straight
    assert "tokenising the samples" not in [progress.note for progress in said]

    (folder,) = (stopped / "samples").iterdir()
    read = Samples(folder)
    trained_of = [sample for sample in read_samples(dataset) if sample.split == "train"]
    assert [read[at] for at in range(len(read))] == list(
        encode_samples(ChatEncoder(load_tokenizer(base)), trained_of, recipe.max_tokens)
    )
    assert read.turns() == [(sample.every, sample.turn) for sample in trained_of]
