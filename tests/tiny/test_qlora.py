"""QLoRA: the base is in 4 bit while it is trained on and measured; what comes of it is a version like any other.

On a CPU, where bitsandbytes gives the same bits each time. Needs the extra `qlora`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch
from safetensors.torch import load_file

from metahuman_core.steps.loading import load_model

sys.path.insert(0, str(Path(__file__).parent))  # the tests are no package

from test_reproducible import DIGESTS, run_until

if TYPE_CHECKING:
    from conftest import Root

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

IN_NF4 = 'quantize_base = "nf4"'
CPU = torch.device("cpu")


@pytest.fixture(autouse=True, scope="module")
def _bitsandbytes() -> None:
    if find_spec("bitsandbytes") is None:
        pytest.fail("bitsandbytes is not installed: pip install -e '.[qlora]'")


@pytest.fixture(scope="module")
def quantised(new_root: Callable[[str], Root]) -> Root:
    """A root with version 1, trained in 4 bit. Shared: look, and change nothing."""
    root = new_root("llama")
    root.set("training", IN_NF4)
    root.make_version("--base-model", "base")
    return root


@pytest.mark.parametrize("kind", ["llama", "qwen3", "gemma3", "mistral", "sharded"])
def test_the_linear_layers_are_in_4_bit_and_the_rest_is_as_it_was(tiny_base: Callable[[str], Path], kind: str) -> None:
    whole = load_model(tiny_base(kind), torch.float32, CPU)
    loaded = load_model(tiny_base(kind), torch.float32, CPU, "nf4")
    held = dict(loaded.named_parameters())
    for name, weight in whole.named_parameters():
        if name.endswith("_proj.weight"):
            assert held[name].dtype == torch.uint8
            assert held[name].numel() == weight.numel() // 2
        else:
            assert torch.equal(held[name], weight), name
    ids = torch.arange(300, 340)[None]
    with torch.inference_mode():
        ours, theirs = loaded(ids).logits.log_softmax(-1), whole(ids).logits.log_softmax(-1)
    assert not torch.equal(ours, theirs)
    assert float((theirs.exp() * (theirs - ours)).sum(-1).mean()) < 1


def test_the_adapter_has_the_form_of_any_other(quantised: Root, trained: Callable[[str], Root]) -> None:
    (version,), (other,) = quantised.registry().training_history, trained("llama").registry().training_history
    ours, theirs = quantised.folder / version.adapter_path, trained("llama").folder / other.adapter_path
    tensors = [load_file(adapter / "adapter_model.safetensors") for adapter in (ours, theirs)]
    assert {name: (t.shape, t.dtype) for name, t in tensors[0].items()} == {
        name: (t.shape, t.dtype) for name, t in tensors[1].items()
    }
    assert (version.dataset_sha256, version.outcome) == (other.dataset_sha256, "live")
    assert version.adapter_sha256 != other.adapter_sha256
    configs = [json.loads((adapter / "adapter_config.json").read_text(encoding="utf-8")) for adapter in (ours, theirs)]
    assert configs[0] == configs[1]


def test_it_is_merged_into_the_base_as_it_is(quantised: Root) -> None:
    (version,) = quantised.registry().training_history
    merged = load_file(quantised.folder / version.output_model_path / "model.safetensors")
    base = load_file(quantised.folder / "base" / "model.safetensors")
    assert {name: t.dtype for name, t in merged.items()} == {name: t.dtype for name, t in base.items()}
    assert {name for name, t in merged.items() if not t.equal(base[name])} == {n for n in base if "_proj." in n}


def test_a_run_that_was_stopped_in_training_ends_with_the_same_bytes(
    quantised: Root, new_root: Callable[[str], Root], environment: dict[str, str]
) -> None:
    elsewhere = new_root("llama")
    elsewhere.set("training", IN_NF4)
    code, said = run_until(elsewhere.begin("base"), 3, environment)
    assert (code, said["error"].startswith("stopped at training step ")) == (75, True)
    resumed = elsewhere.make_version("--base-model", "base")
    (straight,) = quantised.registry().training_history
    assert {name: getattr(resumed, name) for name in DIGESTS} == {name: getattr(straight, name) for name in DIGESTS}
    assert resumed.metrics == straight.metrics


@pytest.mark.parametrize("first", ["none", "nf4"])
def test_the_next_version_goes_on_in_the_adapter_though_the_base_is_held_otherwise(
    new_root: Callable[[str], Root], first: str
) -> None:
    root = new_root("llama")
    root.set("training", f'quantize_base = "{first}"')
    parent = root.make_version("--base-model", "base")
    root.remember(("I have a new dog, a grey terrier whose name is Pico.",), "2031-03-04")
    root.set("training", f'quantize_base = "{"nf4" if first == "none" else "none"}"')
    version = root.make_version()
    assert (version.parent_version, version.anchor_model) == (1, "base")
    assert version.metrics["old_bits_per_byte_before"] > 0
    assert version.adapter_sha256 != parent.adapter_sha256
