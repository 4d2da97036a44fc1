"""Merges an adapter into its base, tensor by tensor: W + s·B·A in fp32, rounded once to the base's dtype.

Invariants: the shards, their headers and their order are the base's own, and untouched tensors are copied as bytes; the
result is bit for bit what peft's `merge_and_unload` gives on an fp32 copy of the base, without holding the model in
memory (the largest tensor, a few times). Tokenizer, template and config are the anchor's files, verbatim:
`save_pretrained` of transformers 5 would drop `tokenizer.model`.
"""

from __future__ import annotations

import json
import re
import shutil
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import load_file

from metahuman_core.adapter_config import read_adapter_config
from metahuman_core.durable import making, sha256_tree, size_bytes
from metahuman_core.errors import MetahumanError, StoppedError
from metahuman_core.progress import Progress, Report, StopRequested
from metahuman_core.results import Merged
from metahuman_core.steps.loading import refuse_code

_LORA = re.compile(r"^base_model\.model\.(?P<module>.+)\.lora_(?P<side>[AB])\.weight$")
_DTYPES = {"BF16": torch.bfloat16, "F16": torch.float16, "F32": torch.float32}
_COPY_BYTES = 1 << 24
# What belongs to the weights' own format, or to another framework's copy of them, is not carried over.
_WEIGHTS = (".safetensors", ".bin", ".pt", ".pth", ".gguf", ".h5", ".msgpack", ".onnx")


@dataclass(frozen=True, slots=True)
class _Lora:
    a: torch.Tensor
    b: torch.Tensor


def merge(base: Path, adapter: Path, out: Path, report: Report, stop: StopRequested) -> Merged:
    """Write the merged model folder `out`. Raises MetahumanError for an adapter that is no plain LoRA of this base."""
    refuse_code(base)
    config = read_adapter_config(adapter)
    if not config.plain:
        raise MetahumanError(f"{adapter} is more than plain LoRA", "only plain LoRA adapters are merged")
    loras = _read_loras(adapter)
    shards = sorted(base.glob("*.safetensors"))
    total = sum(shard.stat().st_size for shard in shards)
    with making(out) as partial:
        partial.mkdir(mode=0o700)
        _copy_other_files(base, partial)
        done, used = 0, set[str]()
        for shard in shards:
            used |= _merge_shard(shard, partial / shard.name, loras, config.scale, stop)
            done += shard.stat().st_size
            report(Progress("merge", done, total, "bytes"))
        if unused := loras.keys() - used:
            raise MetahumanError(f"the adapter has {len(unused)} modules that the base lacks, e.g. {min(unused)}")
    # Which of its kernels torch takes hangs on the CPU, and a kernel may add in another order.
    made_with = f"torch {torch.__version__}, {torch.backends.cpu.get_cpu_capability()}"
    return Merged(sha256=sha256_tree(out), size_bytes=size_bytes(out), made_with=made_with)


def _read_loras(adapter: Path) -> dict[str, _Lora]:
    """Module name → its two factors, fp32."""
    sides: dict[str, dict[str, torch.Tensor]] = {}
    for key, tensor in load_file(adapter / "adapter_model.safetensors").items():
        found = _LORA.match(key)
        if found is None:
            raise MetahumanError(f"{adapter} holds {key}, which is no LoRA factor")
        sides.setdefault(found["module"], {})[found["side"]] = tensor.to(torch.float32)
    return {module: _Lora(pair["A"], pair["B"]) for module, pair in sides.items()}


def _merge_shard(shard: Path, out: Path, loras: dict[str, _Lora], scale: float, stop: StopRequested) -> set[str]:
    """Copy a shard under its own header, with the adapted tensors replaced. Gives the modules that were merged."""
    header, start = _read_header(shard)
    tensors = sorted(
        ((name, info) for name, info in header.items() if name != "__metadata__"),
        key=lambda item: item[1]["data_offsets"][0],
    )
    used = set[str]()
    with shard.open("rb") as source, out.open("wb") as target, safe_open(shard, framework="pt") as weights:
        target.write(source.read(start))
        for name, info in tensors:
            if stop():
                raise StoppedError("stopped while merging", "the same command goes on")
            begin, end = info["data_offsets"]
            module = _module_of(name, loras)
            if module is None:
                source.seek(start + begin)
                _copy_bytes(source, target, end - begin)
                continue
            used.add(module)
            if info["dtype"] not in _DTYPES:
                raise MetahumanError(f"{name} is {info['dtype']}: only full-precision bases can be trained", str(shard))
            merged = _merged(weights.get_tensor(name), loras[module], scale)
            target.write(merged.contiguous().view(torch.uint8).numpy().data)
    return used


def _merged(weight: torch.Tensor, lora: _Lora, scale: float) -> torch.Tensor:
    delta = (lora.b @ lora.a) * scale
    return (weight.to(torch.float32) + delta).to(weight.dtype)


def _module_of(tensor: str, loras: dict[str, _Lora]) -> str | None:
    """The adapter's name for a tensor's module. Checkpoints may lack a prefix that the loaded model has."""
    module = tensor.removesuffix(".weight")
    if module in loras:
        return module
    ending = "." + module
    return next((m for m in loras if m.endswith(ending)), None) if tensor.endswith(".weight") else None


def _read_header(shard: Path) -> tuple[dict[str, Any], int]:
    """A safetensors file's header, and where its data begins (https://github.com/huggingface/safetensors#format)."""
    with shard.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        return json.loads(file.read(length)), 8 + length


def _copy_bytes(source: Any, target: Any, count: int) -> None:
    while count > 0:
        block = source.read(min(count, _COPY_BYTES))
        if not block:
            raise MetahumanError(f"{source.name} ends too early", "fetch the base again")
        target.write(block)
        count -= len(block)


def _copy_other_files(base: Path, out: Path) -> None:
    for path in sorted(base.iterdir()):
        # A README would be read by the converter and say what this model is not.
        if path.is_file() and path.suffix not in _WEIGHTS and path.suffix != ".md" and not path.name.startswith("."):
            shutil.copyfile(path, out / path.name)
