"""The GGUF is the one that llama.cpp makes of `model/`."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch
from safetensors.torch import save_file

from metahuman_core.converter import converter_folder
from metahuman_core.durable import sha256_file, sha256_tree
from metahuman_core.errors import MetahumanError
from metahuman_core.settings import Quantization, WeightSettings
from metahuman_core.steps.check import check_gguf
from metahuman_core.steps.weights.make import make_weights

sys.path.insert(0, str(Path(__file__).parent))  # the tests are no package

from reference import llama_cpps_gguf, never, save_random_adapter, silent, tensors

if TYPE_CHECKING:
    from conftest import Root

# peft still asks transformers by the old name.
pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")

_READ = """
import hashlib, json, sys
from gguf import GGUFReader
reader = GGUFReader(sys.argv[1])
print(json.dumps({
    "tensors": {t.name: [t.tensor_type.name, hashlib.sha256(t.data.tobytes()).hexdigest()] for t in reader.tensors},
    "name": reader.fields["general.name"].contents(),
    "template": reader.fields["tokenizer.chat_template"].contents(),
}))
"""


def test_its_tensors_are_the_ones_that_llama_cpps_own_program_makes_of_the_model(
    trained: Callable[[str], Root], aside: Callable[..., str], tmp_path: Path
) -> None:
    root = trained("llama")
    (version,) = root.registry().training_history
    model, theirs = root.folder / version.output_model_path, tmp_path / "theirs.gguf"
    program = converter_folder() / "convert_hf_to_gguf.py"
    aside(str(program), str(model), "--outfile", str(theirs), "--outtype", "q8_0")
    ours = json.loads(aside("-c", _READ, str(root.folder / version.gguf_path)))
    assert ours["tensors"] == json.loads(aside("-c", _READ, str(theirs)))["tensors"]
    assert [kind for kind, _ in ours["tensors"].values()].count("Q8_0") == 15


def test_its_metadata_names_no_folder_and_holds_the_bases_template(
    trained: Callable[[str], Root], aside: Callable[..., str]
) -> None:
    root = trained("llama")
    (version,) = root.registry().training_history
    told = json.loads(aside("-c", _READ, str(root.folder / version.gguf_path)))
    assert told["name"] == "metahuman"
    assert told["template"] == (root.folder / "base" / "chat_template.jinja").read_text(encoding="utf-8")
    assert str(root.folder).encode() not in (root.folder / version.gguf_path).read_bytes()


@pytest.mark.parametrize("kind", ["llama", "qwen3", "gemma3", "mistral", "sharded"])
def test_it_is_the_file_that_llama_cpp_makes_of_the_merged_model_byte_for_byte(
    kind: str, tiny_base: Callable[[str], Path], aside: Callable[..., str], tmp_path: Path
) -> None:
    base, adapter, gguf = tiny_base(kind), tmp_path / "adapter", tmp_path / "model.gguf"
    save_random_adapter(base, adapter)
    made = make_weights(base, adapter, tmp_path / "model", gguf, "Q8_0", silent, never)
    theirs = llama_cpps_gguf(tmp_path / "model", tmp_path / "theirs.gguf", "Q8_0", aside)
    assert gguf.read_bytes() == theirs.read_bytes()
    assert made.merged.sha256 == sha256_tree(tmp_path / "model")
    assert made.quantised.sha256 == sha256_file(gguf)
    assert made.quantised.size_bytes == gguf.stat().st_size
    assert make_weights(base, adapter, None, tmp_path / "again.gguf", "Q8_0", silent, never) == made
    left = {path.name for path in tmp_path.iterdir()} - {"convert.log"}
    assert left == {"adapter", "model", "model.gguf", "theirs.gguf", "again.gguf"}


@pytest.mark.parametrize(("dtype", "through"), [("float32", "f32"), ("float16", "bf16")])
def test_of_a_base_in_another_dtype_too(
    dtype: str, through: str, tiny_base: Callable[[str], Path], aside: Callable[..., str], tmp_path: Path
) -> None:
    base, out = tmp_path / "base", tmp_path / "model.gguf"
    shutil.copytree(tiny_base("llama"), base)
    cast = {name: tensor.to(getattr(torch, dtype)) * 1.01 for name, tensor in tensors(base).items()}
    save_file(cast, base / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((base / "config.json").read_text(encoding="utf-8"))
    (base / "config.json").write_text(json.dumps(config | {"dtype": dtype}), encoding="utf-8")
    make_weights(base, None, None, out, "Q8_0", silent, never)
    assert out.read_bytes() == llama_cpps_gguf(base, tmp_path / "theirs.gguf", "Q8_0", aside, through).read_bytes()


def test_weights_that_are_no_numbers_are_refused_by_name(tiny_base: Callable[[str], Path], tmp_path: Path) -> None:
    base = shutil.copytree(tiny_base("llama"), tmp_path / "base")
    weights = tensors(base)
    weights["model.layers.1.mlp.up_proj.weight"][3, 5] = float("nan")
    save_file(weights, base / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(MetahumanError, match=r"blk\.1\.ffn_up\.weight holds values that are no numbers"):
        make_weights(base, None, tmp_path / "model", tmp_path / "model.gguf", "Q8_0", silent, never)
    assert not list(tmp_path.glob("model*"))


def test_what_a_killed_run_left_is_in_nobodys_way(tiny_base: Callable[[str], Path], tmp_path: Path) -> None:
    names = ("skeleton.gguf", "skeleton-quantised.gguf", "unquantised.gguf", "model.gguf")
    for name in names:
        (tmp_path / f"{name}.partial").write_bytes(b"half")
    make_weights(tiny_base("wide"), None, None, tmp_path / "model.gguf", "Q4_K_M", silent, never)
    assert {path.name for path in tmp_path.iterdir()} == {"model.gguf", "convert.log"}


@pytest.mark.parametrize(
    ("quantization", "kinds"),
    [
        ("Q4_K_M", {"Q4_K", "Q6_K"}),
        pytest.param("Q5_K_M", {"Q5_K", "Q6_K"}, marks=pytest.mark.slow),
        pytest.param("Q6_K", {"Q6_K"}, marks=pytest.mark.slow),
    ],
)
def test_other_quantisations_are_llama_cpps_bytes_too_and_pass_their_check(
    quantization: Quantization,
    kinds: set[str],
    tiny_base: Callable[[str], Path],
    aside: Callable[..., str],
    tmp_path: Path,
) -> None:
    base, out = tiny_base("wide"), tmp_path / "model.gguf"
    made = make_weights(base, None, None, out, quantization, silent, never).quantised
    assert (made.quantization, made.size_bytes) == (quantization, out.stat().st_size)
    assert out.read_bytes() == llama_cpps_gguf(base, tmp_path / "theirs.gguf", quantization, aside).read_bytes()
    assert {kind for kind, _ in json.loads(aside("-c", _READ, str(out)))["tensors"].values()} == {"F32", *kinds}
    checked = check_gguf(base, out, None, WeightSettings(quantization=quantization), "cpu", silent, never)
    assert checked.reasons == ()


def test_the_check_sees_a_gguf_of_other_weights(
    trained: Callable[[str], Root], tiny_base: Callable[[str], Path], tmp_path: Path
) -> None:
    root = trained("qwen3")
    (version,) = root.registry().training_history
    gguf = tmp_path / "model.gguf"
    gguf.symlink_to(root.folder / version.gguf_path)
    checked = check_gguf(tiny_base("llama"), gguf, None, WeightSettings(), "cpu", silent, never)
    assert "mean KL" in checked.reasons[0]
    assert "first choice" in checked.reasons[1]


def test_the_check_sees_a_model_that_is_not_what_was_measured(
    trained: Callable[[str], Root], tiny_base: Callable[[str], Path]
) -> None:
    """Base and adapter were measured; what was merged is something else, and its GGUF just like it."""
    root = trained("qwen3")
    (version,) = root.registry().training_history
    measured = json.loads((root.run_dir(version) / "evaluation.json").read_text(encoding="utf-8"))["text_nats"]
    model, gguf = root.folder / version.output_model_path, root.folder / version.gguf_path
    assert check_gguf(model, gguf, measured, WeightSettings(), "cpu", silent, never).reasons == ()
    other = check_gguf(model, gguf, measured + 1, WeightSettings(), "cpu", silent, never)
    (reason,) = other.reasons
    assert "model/ is not what was measured" in reason


def test_the_check_sees_another_chat_template(trained: Callable[[str], Root], tmp_path: Path) -> None:
    root = trained("qwen3")
    (version,) = root.registry().training_history
    model = tmp_path / "model"
    shutil.copytree(root.folder / version.output_model_path, model)
    template = model / "chat_template.jinja"
    template.write_text(template.read_text(encoding="utf-8").replace("assistant", "helper"), encoding="utf-8")
    checked = check_gguf(model, root.folder / version.gguf_path, None, WeightSettings(), "cpu", silent, never)
    assert "the GGUF's chat template is not model/'s" in checked.reasons
