"""Artefacts that were spoilt after the training: token ids, dataset file, adapter, model/, GGUF.

Invariant: what is read is never changed; each function writes what is spoilt beside it, in the case's own folder.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import cycle
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from metahuman_core.converter import python_path
from metahuman_core.dataset.samples import Sample
from metahuman_core.steps.encode import IGNORED, ChatEncoder, Encoded, encode_samples
from metahuman_core.steps.weights.make import make_weights
from metahuman_core.versions.parts import Parts

_ADAPTER = "adapter_model.safetensors"
_OTHER_TEMPLATE = (
    "{% for m in messages %}[{{ m['role'] }}] {{ m['content'] }}\n{% endfor %}"
    "{% if add_generation_prompt %}[assistant]{% endif %}"
)
_ZEROED = "blk.15.ffn_down.weight"
_ZERO = (
    "import sys; from gguf import GGUFReader; reader = GGUFReader(sys.argv[1], 'r+'); "
    "(tensor,) = [t for t in reader.tensors if t.name == sys.argv[2]]; tensor.data[:] = 0"
)

Tensors = dict[str, torch.Tensor]


def with_control_tokens(encoder: ChatEncoder, samples: Iterator[Sample], max_tokens: int) -> Iterator[Encoded]:
    """Samples whose answers are control tokens, but for the end: no text can become that, the encoder sees to it."""
    for encoded in encode_samples(encoder, samples, max_tokens):
        answer = [at for at, label in enumerate(encoded.labels) if label != IGNORED]
        end = encoded.ids[answer[-1]]
        control = cycle(sorted(encoder.added_ids() - {end}))
        ids, labels = list(encoded.ids), list(encoded.labels)
        for at in answer[:-1]:
            ids[at] = labels[at] = next(control)
        yield replace(encoded, ids=ids, labels=labels)


def cut_off(dataset: Path, out: Path) -> None:
    """The first two thirds of a dataset's lines: as whole as a file can look."""
    lines = dataset.read_text(encoding="utf-8").splitlines(keepends=True)
    out.write_text("".join(lines[: len(lines) * 2 // 3]), encoding="utf-8")


def spoil_adapter(how: str, adapter: Path, parents: Path, out: Path) -> None:
    """Write the adapter `out`: `adapter`, spoilt."""
    out.parent.mkdir(parents=True, exist_ok=True)
    shutil.copytree(adapter, out, dirs_exist_ok=True)
    save_file(_ADAPTERS[how](load_file(adapter / _ADAPTER), load_file(parents / _ADAPTER)), out / _ADAPTER)


def _nan(tensors: Tensors, _: Tensors) -> Tensors:
    """One value of one factor."""
    name = sorted(tensors)[len(tensors) // 2]
    tensors[name].view(-1)[0] = float("nan")
    return tensors


def _noise(tensors: Tensors, _: Tensors) -> Tensors:
    """As loud as the weights are."""
    torch.manual_seed(20)
    return {name: tensor + torch.randn_like(tensor) * tensor.std() for name, tensor in sorted(tensors.items())}


_ADAPTERS: dict[str, Callable[[Tensors, Tensors], Tensors]] = {
    "parents-adapter": lambda _, parents: parents,
    "adapter-nan": _nan,
    "adapter-noise": _noise,
    "adapter-zeroed": lambda tensors, _: {name: torch.zeros_like(tensor) for name, tensor in tensors.items()},
    "adapter-times-four": lambda tensors, _: {
        name: tensor * 4 if ".lora_B." in name else tensor for name, tensor in tensors.items()
    },
}


def spoil_weights(how: str, version: Parts, out: Path) -> tuple[Path, Path]:
    """The folder model/ and the GGUF of `version`, one or both of them spoilt, below `out`."""
    return _WEIGHTS[how](version, out)


def _half_zeroed(version: Parts, out: Path) -> tuple[Path, Path]:
    """Every second tensor lost in the merge, and the GGUF made of what was left."""
    model, gguf = out / "model", out / "model.gguf"
    shutil.copytree(version.model, model)
    for shard in sorted(model.glob("*.safetensors")):
        with safe_open(shard, "pt") as file:
            metadata = file.metadata()
        tensors = load_file(shard)
        for name in sorted(tensors)[::2]:
            tensors[name] = torch.zeros_like(tensors[name])
        shard.unlink()
        save_file(tensors, shard, metadata)
    make_weights(model, None, None, gguf, "Q8_0", lambda _: None, lambda: False)
    return model, gguf


def _other_template(version: Parts, out: Path) -> tuple[Path, Path]:
    """A GGUF that puts another template around what is said."""
    beside, gguf = out / "beside", out / "model.gguf"
    shutil.copytree(version.model, beside)
    (beside / "chat_template.jinja").write_text(_OTHER_TEMPLATE, encoding="utf-8")
    make_weights(beside, None, None, gguf, "Q8_0", lambda _: None, lambda: False)
    return version.model, gguf


def _tensor_zeroed(version: Parts, out: Path) -> tuple[Path, Path]:
    """One of the GGUF's two hundred matrices zeroed, model/ as it was."""
    gguf = out / "model.gguf"
    shutil.copyfile(version.gguf, gguf)
    environment = {**os.environ, "PYTHONPATH": python_path()}
    subprocess.run([sys.executable, "-P", "-c", _ZERO, str(gguf), _ZEROED], check=True, env=environment)
    return version.model, gguf


_WEIGHTS: dict[str, Callable[[Parts, Path], tuple[Path, Path]]] = {
    "model-half-zeroed": _half_zeroed,
    "template-wrong": _other_template,
    "gguf-tensor-zeroed": _tensor_zeroed,
}
