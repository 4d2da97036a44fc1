"""The streaming merge gives peft's own bits, whatever files the base is made of, and refuses all but plain LoRA."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel

from metahuman_core.errors import MetahumanError, StoppedError
from metahuman_core.shipped import shipped
from metahuman_core.steps.merge import merge

if TYPE_CHECKING:
    from conftest import Root

# peft still asks transformers by the old name.
pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")


def silent(_: object) -> None:
    """Progress that nobody watches."""


def never() -> bool:
    """Nobody asks to stop."""
    return False


def load(folder: Path) -> PreTrainedModel:
    """A model in fp32."""
    model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    return model.eval()


def save_random_adapter(base: Path, out: Path, **shape: Any) -> Path:
    """An adapter whose factors are both random, so that it changes every weight."""
    torch.manual_seed(3)
    config = LoraConfig(
        r=8, lora_alpha=16, target_modules="all-linear", task_type="CAUSAL_LM", init_lora_weights=False, **shape
    )
    get_peft_model(load(base), config).save_pretrained(out)
    return out


def tensors(folder: Path) -> dict[str, torch.Tensor]:
    """All tensors of a model folder, by name."""
    return {name: tensor for shard in sorted(folder.glob("*.safetensors")) for name, tensor in load_file(shard).items()}


@pytest.fixture(params=["llama", "sharded", "qwen3", "qwen2", "gemma3", "mistral"])
def base(request: pytest.FixtureRequest, tiny_base: Callable[[str], Path]) -> Path:
    return tiny_base(request.param)


def test_the_streaming_merge_is_pefts_merge_bit_for_bit(base: Path, tmp_path: Path) -> None:
    adapter = save_random_adapter(base, tmp_path / "adapter")
    merge(base, adapter, tmp_path / "model", silent, never)
    ours = tensors(tmp_path / "model")
    theirs = PeftModel.from_pretrained(load(base), adapter).merge_and_unload().state_dict()
    assert ours.keys() == tensors(base).keys()
    for name, tensor in ours.items():
        assert tensor.dtype == torch.bfloat16
        assert tensor.view(torch.int16).equal(theirs[name].to(torch.bfloat16).view(torch.int16)), name


def test_untouched_tensors_headers_and_other_files_are_the_bases_bytes(base: Path, tmp_path: Path) -> None:
    adapter = save_random_adapter(base, tmp_path / "adapter")
    merge(base, adapter, tmp_path / "model", silent, never)
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
        merge(tiny_base(kind), adapter, tmp_path / kind, silent, never)
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
        merge(tiny_base("mistral"), adapter, tmp_path / "model", silent, never)
    assert not list(tmp_path.glob("model*"))


def test_an_adapter_of_another_base_is_refused(tiny_base: Callable[[str], Path], tmp_path: Path) -> None:
    adapter = save_random_adapter(tiny_base("llama"), tmp_path / "adapter")
    factors = load_file(adapter / "adapter_model.safetensors")
    renamed = {name.replace("layers.1.", "layers.7."): tensor for name, tensor in factors.items()}
    save_file(renamed, adapter / "adapter_model.safetensors")
    with pytest.raises(MetahumanError, match="modules that the base lacks"):
        merge(tiny_base("llama"), adapter, tmp_path / "model", silent, never)
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
        merge(base, adapter, tmp_path / "model", silent, never)


def test_a_merge_that_is_stopped_leaves_nothing(tiny_base: Callable[[str], Path], tmp_path: Path) -> None:
    adapter = save_random_adapter(tiny_base("llama"), tmp_path / "adapter")
    with pytest.raises(StoppedError):
        merge(tiny_base("llama"), adapter, tmp_path / "model", silent, lambda: True)
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
