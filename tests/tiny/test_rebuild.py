"""What was cleared away comes back bit for bit: in another folder, down a chain, on other numbers of threads."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from metahuman_core.durable import remove, sha256_file, sha256_tree
from metahuman_core.layout import ProfilePaths
from metahuman_core.registry import Version, update_registry
from metahuman_core.versions.parts import Parts, parts_of

sys.path.insert(0, str(Path(__file__).parents[1] / "ollama"))  # the tests are no package

from double import OllamaDouble

if TYPE_CHECKING:
    from conftest import Root

_REFERENCE = str(Path(__file__).parents[2] / "bench" / "reference_weights.py")
MORE_MEMORIES = ("My uncle Brito mends nets on the quay.", "I learned to tie a bowline from the harbour master.")


def parts(root: Root, version: Version) -> Parts:
    return parts_of(version, ProfilePaths(root.folder, "ines"))


def version_of(root: Root, number: int) -> Version:
    version = root.registry().find(number)
    assert version is not None
    return version


def copy_of(root: Root, folder: Path) -> Root:
    """The whole root in another place."""
    shutil.copytree(root.folder, folder)
    return type(root)(folder)


def archive(root: Root, *numbers: int) -> None:
    """Leave of these versions what retention leaves: the adapter, and texts."""
    for number in numbers:
        remove(parts(root, version_of(root, number)).model)
        remove(parts(root, version_of(root, number)).gguf)
        path = root.folder / "etc" / "model-registry.json"
        update_registry(path, lambda registry, number=number: registry.with_fields(number, storage="archived"))


def require_here(root: Root, number: int, storage: str) -> None:
    """The version has what its storage says, with the hashes that were registered, and nothing is half-made."""
    version = version_of(root, number)
    has = parts(root, version)
    assert (version.storage, has.storage()) == (storage, storage)
    assert version.model_sha256_first == version.gguf_sha256_first == ""
    assert storage == "archived" or sha256_file(has.gguf) == version.gguf_sha256
    assert storage != "full" or sha256_tree(has.model) == version.model_sha256
    left = {path.name for path in has.run_dir.iterdir() if path.suffix == ".partial" or "differs" in path.name}
    assert left == set()


def test_an_archived_version_is_rebuilt_bit_for_bit_in_another_folder(
    trained: Callable[[str], Root], tmp_path: Path
) -> None:
    root = copy_of(trained("llama"), tmp_path / "moved")
    archive(root, 1)
    ahead = root.metahuman("rebuild", "1", "--dry-run")
    assert ahead.code == 0
    assert "version 1: model/ and the GGUF are made again\n" in ahead.out
    assert "of the disk are taken at a time; it took" in ahead.out
    require_here(root, 1, "archived")
    done = root.metahuman("rebuild", "1")
    assert done.code == 0, done.err
    assert ahead.out in done.err
    require_here(root, 1, "full")
    again = root.metahuman("rebuild", "1")
    assert again.code == 0
    assert "there is nothing to make" in again.err


def test_talking_to_an_archived_version_of_a_chain_rebuilds_its_gguf_alone(chained: Root, tmp_path: Path) -> None:
    root = copy_of(chained, tmp_path / "root")
    archive(root, 1, 2)
    done = root.metahuman("chat", "2", "--ask", "Where were you born?", "--max-tokens", "4")
    assert done.code == 0, done.err
    assert "version 1: model/ is made again, for version 2's" in done.err
    require_here(root, 1, "archived")
    require_here(root, 2, "serving")


@pytest.fixture(scope="module")
def third(chained: Root, tmp_path_factory: pytest.TempPathFactory) -> Root:
    """A root with three versions, each trained on the one before's model/. Shared: look, and change nothing."""
    root = copy_of(chained, tmp_path_factory.mktemp("third") / "root")
    root.remember(MORE_MEMORIES, "2031-04-05")
    root.make_version()
    return root


@pytest.mark.slow
@pytest.mark.parametrize("threads", ["1", "2"])
def test_a_chain_of_three_is_rebuilt_from_its_first_base(
    third: Root, tmp_path: Path, environment: dict[str, str], threads: str
) -> None:
    root = copy_of(third, tmp_path / "moved")
    archive(root, 1, 2, 3)
    command = [sys.executable, "-m", "metahuman_daemon.cli", "rebuild", "3", "--config", str(root.config)]
    subprocess.run(command, check=True, env=environment | {"OMP_NUM_THREADS": threads})
    require_here(root, 3, "full")
    require_here(root, 2, "archived")
    assert root.metahuman("rebuild", "2", "--to", "serving").code == 0
    assert root.metahuman("rebuild", "1").code == 0
    require_here(root, 2, "serving")
    require_here(root, 1, "full")


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["sharded", "qwen3", "gemma3", "mistral", "wide"])
def test_a_version_on_any_base_is_rebuilt_bit_for_bit(new_root: Callable[[str], Root], kind: str) -> None:
    root = new_root(kind)
    root.make_version("--base-model", "base")
    archive(root, 1)
    assert root.metahuman("rebuild", "1").code == 0
    require_here(root, 1, "full")


@pytest.mark.slow
@pytest.mark.parametrize("quantization", ["Q6_K", "Q4_K_M"])
def test_the_number_of_the_quantisers_threads_changes_no_bit_of_a_gguf(
    tiny_base: Callable[[str], Path], aside: Callable[..., str], tmp_path: Path, quantization: str
) -> None:
    base = tiny_base("wide")
    full = tmp_path / "full.gguf"
    reference = str(Path(__file__).parents[2] / "bench" / "reference_weights.py")
    aside(reference, "convert", str(base), str(full), "bf16", str(base / "chat_template.jinja"))
    hashes = set()
    for threads in ("1", "2", "7"):
        out = tmp_path / f"{threads}.gguf"
        aside("-m", "metahuman_core.steps.weights.quantise_main", str(full), str(out), quantization, threads)
        hashes.add(sha256_file(out))
    assert len(hashes) == 1


@pytest.mark.slow
def test_training_on_in_a_chain_rebuilds_the_parents_model_first(chained: Root, tmp_path: Path) -> None:
    root = copy_of(chained, tmp_path / "root")
    root.remember(MORE_MEMORIES, "2031-04-05")
    archive(root, 1, 2)
    done = root.fine_tune()
    assert done.code == 0, f"{done.err}\n{root.child_log()}"
    assert "version 2: model/ is made again\n" in done.err
    require_here(root, 2, "full")
    assert version_of(root, 3).anchor_model == version_of(root, 2).output_model_path
    require_here(root, 3, "full")


@pytest.mark.slow
def test_training_on_in_an_adapter_rebuilds_nothing(grown: Root) -> None:
    archive(grown, 1)
    done = grown.fine_tune()
    assert done.code == 0, f"{done.err}\n{grown.child_log()}"
    assert "made again" not in done.err
    require_here(grown, 1, "archived")
    require_here(grown, 2, "full")


@pytest.mark.slow
def test_another_rank_rebuilds_the_parents_model(grown: Root) -> None:
    archive(grown, 1)
    grown.set("training", "rank = 4")
    two = grown.make_version()
    require_here(grown, 1, "full")
    assert two.anchor_model == version_of(grown, 1).output_model_path


@pytest.mark.slow
def test_a_run_that_goes_on_has_its_anchor_rebuilt_where_it_went_meanwhile(chained: Root, tmp_path: Path) -> None:
    root = copy_of(chained, tmp_path / "root")
    root.remember(MORE_MEMORIES, "2031-04-05")
    run_dir = root.begin(version_of(root, 2).output_model_path)
    archive(root, 1, 2)
    three = root.make_version("--base-model", version_of(root, 2).output_model_path)
    assert three.run_label == run_dir.name
    require_here(root, 2, "full")


@pytest.mark.slow
def test_an_archived_version_is_rebuilt_to_be_published(grown: Root, tmp_path: Path) -> None:
    archive(grown, 1)
    with OllamaDouble("0.33.0-rc2", tmp_path / "models") as ollama:
        grown.set("ollama", f'host = "{ollama.url}"')
        grown.set("ollama", "enabled = true")
        ollama.stop()
        down = grown.metahuman("publish", "1")
        assert (down.code, version_of(grown, 1).storage) == (1, "archived")
        assert "no Ollama server answers" in down.err
        ollama.start()
        done = grown.metahuman("publish", "1")
        assert done.code == 0, done.err
    require_here(grown, 1, "serving")
    assert version_of(grown, 1).publication == "done"
