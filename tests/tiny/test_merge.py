"""The streaming merge gives peft's own bits, whatever files the base is made of, and refuses all but plain LoRA."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
from peft import PeftModel
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from transformers import AutoTokenizer

from metahuman_core.durable import sha256_tree, size_bytes
from metahuman_core.errors import MetahumanError, StoppedError
from metahuman_core.results import Weights
from metahuman_core.shipped import shipped
from metahuman_core.steps.weights import one_pass
from metahuman_core.steps.weights.make import make_weights

sys.path.insert(0, str(Path(__file__).parent))  # the tests are no package

from reference import load, never, pefts_merge, save_random_adapter, silent, tensors

if TYPE_CHECKING:
    from conftest import Root

# peft still asks transformers by the old name.
pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")


def merge(base: Path, adapter: Path, model: Path, stop: Callable[[], bool] = never) -> Weights:
    """The pass without a GGUF."""
    return make_weights(base, adapter, model, None, "Q8_0", silent, stop)


@pytest.fixture(params=["llama", "sharded", "qwen3", "qwen2", "gemma3", "mistral"])
def base(request: pytest.FixtureRequest, tiny_base: Callable[[str], Path]) -> Path:
    return tiny_base(request.param)


def test_the_streaming_merge_is_pefts_merge_bit_for_bit(base: Path, tmp_path: Path) -> None:
    adapter = save_random_adapter(base, tmp_path / "adapter")
    merge(base, adapter, tmp_path / "model")
    ours = tensors(tmp_path / "model")
    theirs = pefts_merge(base, adapter)
    assert ours.keys() == tensors(base).keys()
    for name, tensor in ours.items():
        assert tensor.dtype == torch.bfloat16
        assert tensor.view(torch.int16).equal(theirs[name].to(torch.bfloat16).view(torch.int16)), name


def test_untouched_tensors_headers_and_other_files_are_the_bases_bytes(base: Path, tmp_path: Path) -> None:
    adapter = save_random_adapter(base, tmp_path / "adapter")
    merge(base, adapter, tmp_path / "model")
    before, after = tensors(base), tensors(tmp_path / "model")
    touched = {name for name in before if not before[name].view(torch.int16).equal(after[name].view(torch.int16))}
    assert touched == {name for name in before if name.endswith("_proj.weight")}
    for path in base.iterdir():
        ours = tmp_path / "model" / path.name
        if path.suffix != ".safetensors":
            assert ours.read_bytes() == path.read_bytes()
            continue
        header_bytes = 8 + int.from_bytes(path.read_bytes()[:8], "little")
        assert ours.stat().st_size == path.stat().st_size
        assert ours.read_bytes()[:header_bytes] == path.read_bytes()[:header_bytes]
    assert {p.name for p in base.iterdir()} == {p.name for p in (tmp_path / "model").iterdir()}


def test_the_sharded_base_has_an_index_and_several_files(tiny_base: Callable[[str], Path]) -> None:
    base = tiny_base("sharded")
    assert (base / "model.safetensors.index.json").is_file()
    assert len(list(base.glob("*.safetensors"))) > 2


def test_one_and_the_same_model_comes_of_one_file_and_of_several(
    tiny_base: Callable[[str], Path], tmp_path: Path
) -> None:
    adapter = save_random_adapter(tiny_base("llama"), tmp_path / "adapter")
    for kind in ("llama", "sharded"):
        merge(tiny_base(kind), adapter, tmp_path / kind)
    whole, parts = tensors(tmp_path / "llama"), tensors(tmp_path / "sharded")
    assert whole.keys() == parts.keys()
    assert all(tensor.equal(parts[name]) for name, tensor in whole.items())


@pytest.mark.parametrize(
    "shape",
    [
        {"use_dora": True},
        {"use_rslora": True},
        {"rank_pattern": {"q_proj": 4}},
        {"alpha_pattern": {"q_proj": 4}},
        {"modules_to_save": ["lm_head"]},
        {"bias": "all"},
    ],
    ids=lambda shape: next(iter(shape)),
)
def test_an_adapter_that_is_more_than_plain_lora_is_refused(
    tiny_base: Callable[[str], Path], tmp_path: Path, shape: dict[str, Any]
) -> None:
    adapter = save_random_adapter(tiny_base("mistral"), tmp_path / "adapter", **shape)
    with pytest.raises(MetahumanError, match="more than plain LoRA"):
        merge(tiny_base("mistral"), adapter, tmp_path / "model")
    assert not list(tmp_path.glob("model*"))


def test_an_adapter_of_another_base_is_refused(tiny_base: Callable[[str], Path], tmp_path: Path) -> None:
    adapter = save_random_adapter(tiny_base("llama"), tmp_path / "adapter")
    factors = load_file(adapter / "adapter_model.safetensors")
    renamed = {name.replace("layers.1.", "layers.7."): tensor for name, tensor in factors.items()}
    save_file(renamed, adapter / "adapter_model.safetensors")
    with pytest.raises(MetahumanError, match="modules that the base lacks"):
        merge(tiny_base("llama"), adapter, tmp_path / "model")
    assert not list(tmp_path.glob("model*"))


def test_a_quantised_base_is_refused(tiny_base: Callable[[str], Path], tmp_path: Path) -> None:
    adapter = save_random_adapter(tiny_base("llama"), tmp_path / "adapter")
    base = tmp_path / "base"
    base.mkdir()
    (base / "config.json").write_bytes((tiny_base("llama") / "config.json").read_bytes())
    save_file(
        {name: tensor.to(torch.float8_e4m3fn) for name, tensor in tensors(tiny_base("llama")).items()},
        base / "model.safetensors",
    )
    with pytest.raises(MetahumanError, match="only full-precision bases"):
        merge(base, adapter, tmp_path / "model")


def test_factors_of_another_size_are_refused(tiny_base: Callable[[str], Path], tmp_path: Path) -> None:
    adapter = save_random_adapter(tiny_base("llama"), tmp_path / "adapter")
    with pytest.raises(MetahumanError, match="does not fit"):
        merge(tiny_base("wide"), adapter, tmp_path / "model")
    assert not list(tmp_path.glob("model*"))


def test_a_shard_that_is_cut_short_is_refused(tiny_base: Callable[[str], Path], tmp_path: Path) -> None:
    base = shutil.copytree(tiny_base("sharded"), tmp_path / "base")
    adapter = save_random_adapter(base, tmp_path / "adapter")
    shard = max(base.glob("*.safetensors"))
    os.truncate(shard, shard.stat().st_size - 2)
    with pytest.raises(MetahumanError, match=f"{shard.name} ends too early"):
        merge(base, adapter, tmp_path / "model")


@pytest.mark.parametrize("text", ["{}", "[]", '{"weight_map": []}', '{"weight_map'])
def test_an_index_that_names_no_files_is_refused(tiny_base: Callable[[str], Path], tmp_path: Path, text: str) -> None:
    adapter = save_random_adapter(tiny_base("sharded"), tmp_path / "adapter")
    base = shutil.copytree(tiny_base("sharded"), tmp_path / "base")
    (base / "model.safetensors.index.json").write_text(text, encoding="utf-8")
    with pytest.raises(MetahumanError, match="does not say which files hold the weights"):
        merge(base, adapter, tmp_path / "model")


def test_a_base_with_two_sets_of_weights_is_refused(tiny_base: Callable[[str], Path], tmp_path: Path) -> None:
    adapter = save_random_adapter(tiny_base("llama"), tmp_path / "adapter")
    base = shutil.copytree(tiny_base("llama"), tmp_path / "base")
    shutil.copyfile(base / "model.safetensors", base / "model.copy.safetensors")
    with pytest.raises(MetahumanError, match=r"model\.safetensors and model\.copy\.safetensors both hold"):
        merge(base, adapter, tmp_path / "model")


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_tensors_of_several_pieces_are_pefts_bit_for_bit_however_many_workers_there_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    torch.manual_seed(5)
    weight, a, b = torch.randn(1500, 4096).bfloat16(), torch.randn(16, 4096), torch.randn(1500, 16)
    base, adapter = tmp_path / "base", tmp_path / "adapter"
    base.mkdir()
    adapter.mkdir()
    (base / "config.json").write_text("{}", encoding="utf-8")
    save_file({"up.weight": weight, "norm.weight": torch.ones(7)}, base / "model.safetensors")
    factors = {f"base_model.model.up.lora_{side}.weight": factor for side, factor in (("A", a), ("B", b))}
    save_file(factors, adapter / "adapter_model.safetensors")
    config = {"peft_type": "LORA", "r": 16, "lora_alpha": 24}
    (adapter / "adapter_config.json").write_text(json.dumps(config), encoding="utf-8")
    monkeypatch.setattr(one_pass, "WORKERS", workers)
    made = merge(base, adapter, tmp_path / "model")
    merged = tensors(tmp_path / "model")["up.weight"]
    assert merged.equal((weight.float() + (b @ a) * 1.5).bfloat16())
    assert made.merged.sha256 == sha256_tree(tmp_path / "model")
    assert made.merged.size_bytes == size_bytes(tmp_path / "model")


def test_a_merge_that_is_stopped_leaves_nothing(tiny_base: Callable[[str], Path], tmp_path: Path) -> None:
    adapter = save_random_adapter(tiny_base("llama"), tmp_path / "adapter")
    with pytest.raises(StoppedError):
        merge(tiny_base("llama"), adapter, tmp_path / "model", stop=lambda: True)
    assert not list(tmp_path.glob("model*"))


def test_the_merged_model_says_what_base_and_adapter_say(trained_root: Root) -> None:
    (version,) = trained_root.registry().training_history
    folder = trained_root.folder
    adapter = folder / version.adapter_path
    with safe_open(adapter / "adapter_model.safetensors", framework="pt") as factors:
        assert any(factors.get_tensor(name).abs().max() > 0 for name in factors.keys() if "lora_B" in name)  # noqa: SIM118
    config = json.loads((adapter / "adapter_config.json").read_text(encoding="utf-8"))
    assert config["base_model_name_or_path"] == "base"
    merged = load(folder / version.output_model_path)
    adapted = PeftModel.from_pretrained(load(folder / "base"), adapter)
    text = shipped("etc/check-text.txt").read_text(encoding="utf-8")
    ids = AutoTokenizer.from_pretrained(folder / "base")(text, return_tensors="pt")["input_ids"]
    with torch.inference_mode():
        ours = merged(ids).logits[0].log_softmax(-1)
        theirs = adapted(ids).logits[0].log_softmax(-1)
        with adapted.disable_adapter():
            untrained = adapted(ids).logits[0].log_softmax(-1)
    assert float((theirs.exp() * (theirs - ours)).sum(-1).mean()) <= 0.002
    assert float((theirs.exp() * (theirs - untrained)).sum(-1).mean()) > 0.002
