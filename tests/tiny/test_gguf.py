"""The GGUF is the one that llama.cpp makes of `model/`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from metahuman_core.converter import converter_folder
from metahuman_core.settings import Quantization, WeightSettings
from metahuman_core.steps.check import check_gguf
from metahuman_core.steps.gguf import make_gguf

if TYPE_CHECKING:
    from conftest import Root

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


def silent(_: object) -> None:
    """Progress that nobody watches."""


def never() -> bool:
    """Nobody asks to stop."""
    return False


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


@pytest.mark.parametrize(
    ("quantization", "kinds"),
    [
        ("Q4_K_M", {"Q4_K", "Q6_K"}),
        pytest.param("Q5_K_M", {"Q5_K", "Q6_K"}, marks=pytest.mark.slow),
        pytest.param("Q6_K", {"Q6_K"}, marks=pytest.mark.slow),
    ],
)
def test_other_quantisations_are_made_and_pass_their_check(
    quantization: Quantization,
    kinds: set[str],
    tiny_base: Callable[[str], Path],
    aside: Callable[..., str],
    tmp_path: Path,
) -> None:
    out = tmp_path / "model.gguf"
    made = make_gguf(tiny_base("wide"), out, quantization, silent, never)
    assert made.quantization == quantization
    assert made.size_bytes == out.stat().st_size
    assert {kind for kind, _ in json.loads(aside("-c", _READ, str(out)))["tensors"].values()} == {"F32", *kinds}
    checked = check_gguf(tiny_base("wide"), out, WeightSettings(quantization=quantization), "cpu", silent, never)
    assert checked.reasons == ()
    assert [path.name for path in tmp_path.iterdir() if path.suffix != ".log"] == ["model.gguf"]


def test_the_check_sees_a_gguf_of_other_weights(
    trained: Callable[[str], Root], tiny_base: Callable[[str], Path], tmp_path: Path
) -> None:
    root = trained("qwen3")
    (version,) = root.registry().training_history
    gguf = tmp_path / "model.gguf"
    gguf.symlink_to(root.folder / version.gguf_path)
    checked = check_gguf(tiny_base("llama"), gguf, WeightSettings(), "cpu", silent, never)
    assert "mean KL" in checked.reasons[0]
    assert "first choice" in checked.reasons[1]
