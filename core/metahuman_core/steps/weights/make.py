"""From base and adapter to `model/` and `model.gguf`, in one pass over the base's weights.

Invariants: a name that exists is whole; the bytes hang on base, adapter and quantisation alone; each merged tensor is
peft's and the GGUF is the one that llama.cpp's converter and quantiser make of `model/`, bit for bit. Tokenizer,
template and config are the base's files, verbatim: `save_pretrained` of transformers 5 would drop `tokenizer.model`.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path

import torch

from metahuman_core.converter import VERSION, require_converter
from metahuman_core.durable import MODEL_CARD, making, partial_of, remove, sha256_file
from metahuman_core.progress import Progress, Report, StopRequested
from metahuman_core.results import Gguf, Merged, Weights
from metahuman_core.steps.encode import serving_template
from metahuman_core.steps.model_folder import load_tokenizer, refuse_code
from metahuman_core.steps.programs import run_program
from metahuman_core.steps.weights.encoding import Kind
from metahuman_core.steps.weights.gguf_file import read_header
from metahuman_core.steps.weights.gguf_writing import GgufPlan
from metahuman_core.steps.weights.merging import read_loras
from metahuman_core.steps.weights.one_pass import Hashes, Merging, OnePass
from metahuman_core.steps.weights.page_cache import is_large
from metahuman_core.steps.weights.shards import read_shards
from metahuman_core.steps.weights.upstream import ask_converter

STEP = "weights"
# What belongs to the weights' own format, or to another framework's copy of them, is not carried over.
_WEIGHTS = (".safetensors", ".bin", ".pt", ".pth", ".gguf", ".h5", ".msgpack", ".onnx")


def make_weights(
    base: Path,
    adapter: Path | None,
    model: Path | None,
    gguf: Path | None,
    quantization: str,
    report: Report,
    stop: StopRequested,
) -> Weights:
    """Merge `adapter` (None: the base as it is) into the folder `model` and the file `gguf` (None: not written).

    What is not written is hashed all the same. Raises MetahumanError for an adapter that is no plain LoRA of this base
    and for a model that the converter does not know, StoppedError, and PassingError or OSError where the disk is full.
    """
    refuse_code(base)
    shards = read_shards(base)
    merging = Merging(shards, read_loras(adapter, shards) if adapter else {})
    others = _other_files(base)
    with making(model) if model else nullcontext() as model_partial:
        if model_partial:
            model_partial.mkdir(mode=0o700)
            for path in others:
                shutil.copyfile(path, model_partial / path.name)
        # Inside, so that the GGUF gets its name first: whoever finds model/ finds both.
        with making(gguf) if gguf else nullcontext() as gguf_partial:
            if gguf and gguf_partial:
                hashes = _with_gguf(merging, base, model_partial, gguf, gguf_partial, quantization, report, stop)
                size_bytes = gguf_partial.stat().st_size
                made = Gguf(hashes.gguf or "", size_bytes, quantization, f"llama-cpp-python {VERSION}")
            else:
                hashes, made = _pass(merging, model_partial, None, report, stop), None
    # Which of its kernels torch takes hangs on the CPU, and a kernel may add in another order.
    made_with = f"torch {torch.__version__}, {torch.backends.cpu.get_cpu_capability()}"
    size_bytes = sum(shard.size_bytes for shard in shards) + sum(path.stat().st_size for path in others)
    return Weights(Merged(_sha256_as_tree(hashes.shards, others), size_bytes, made_with), made)


def _with_gguf(
    merging: Merging,
    base: Path,
    model: Path | None,
    gguf: Path,
    out: Path,
    quantization: str,
    report: Report,
    stop: StopRequested,
) -> Hashes:
    """The pass, with a GGUF at `out`. Other names than `gguf`'s stand beside it meanwhile, all with `.partial`."""
    require_converter()
    log = gguf.with_name("convert.log")
    skeleton = partial_of(gguf.with_name("skeleton.gguf"))
    ordered = partial_of(gguf.with_name("skeleton-quantised.gguf"))
    full = partial_of(gguf.with_name("unquantised.gguf"))
    threads = str(os.cpu_count() or 1)

    def quantise(source: Path, target: Path) -> None:
        words = str(source), str(target), quantization, threads
        run_program("weights.quantise_main", *words, what="quantising", log=log, stop=stop)

    beside = (skeleton, ordered, full)
    for path in beside:
        remove(path)  # of a run that was killed
    try:
        report(Progress(STEP, note="llama.cpp's converter"))
        tokenizer = load_tokenizer(base)
        by_place = {(tensor.path, tensor.begin): tensor for shard in merging.shards for tensor in shard.tensors}
        conversion = ask_converter(base, by_place, merging.read, serving_template(str(tokenizer.chat_template)))
        conversion.write_skeleton(skeleton)
        quantise(skeleton, ordered)
        header = read_header(ordered.read_bytes())
        if {tensor.kind for tensor in header.tensors} <= {int(kind) for kind in Kind}:
            return _pass(merging, model, (out, GgufPlan.of(header, conversion)), report, stop)
        plan = GgufPlan.of(read_header(skeleton.read_bytes()), conversion)
        hashes = _pass(merging, model, (full, plan), report, stop)
        report(Progress(STEP, note=f"quantising to {quantization}"))
        quantise(full, out)
        return Hashes(hashes.shards, sha256_file(out))
    finally:
        for path in beside:
            remove(path)


def _pass(
    merging: Merging, model: Path | None, gguf: tuple[Path, GgufPlan] | None, report: Report, stop: StopRequested
) -> Hashes:
    base_bytes = sum(shard.size_bytes for shard in merging.shards)
    written_bytes = (base_bytes if model else 0) + (gguf[1].size_bytes if gguf else 0)
    return OnePass(merging, model, gguf, large=is_large(base_bytes + written_bytes)).run(report, stop)


def _other_files(base: Path) -> list[Path]:
    """What `model/` has beside its shards."""
    # A README would be read by the converter and say what this model is not.
    return [
        path
        for path in sorted(base.iterdir())
        if path.is_file() and path.suffix not in (*_WEIGHTS, ".md") and not path.name.startswith(".")
    ]


def _sha256_as_tree(shards: Mapping[str, str], others: Sequence[Path]) -> str:
    """What `durable.sha256_tree` gives of the folder, whether it was written or not."""
    hashes = {**shards, **{path.name: sha256_file(path) for path in others if path.name != MODEL_CARD}}
    lines = "".join(f"{hashes[name]}  {name}\n" for name in sorted(hashes))
    return hashlib.sha256(lines.encode()).hexdigest()
