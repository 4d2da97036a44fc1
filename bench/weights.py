"""From base and adapter to model/ and model.gguf: the product's one pass beside the usual three programs, and `dd`.

    python bench/weights.py [--size 2|8] [--pairs N] [--quick] [--folder DIR]

A synthetic base of Qwen3's structure (2 or 8 GB; `--quick`: 0.2 GB) with a LoRA of rank 16. In turn, each from cold
files, each program in a process of its own: ours; the reference, which is peft (load in bf16, `merge_and_unload`,
`save_pretrained`), llama.cpp's converter to f16 and its quantiser to Q8_0; and the floor, which is `dd conv=fsync` of
every file of the base (read and written), and then of as many bytes as the GGUF has. Ours is on the disk when it ends;
the reference may leave its last bytes to the page cache. All tensors of model/ must be peft's, bit for bit, and the
GGUF the file that llama.cpp's converter (to bf16) and quantiser make of model/, byte for byte.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import safe_open

from metahuman_core.converter import python_path
from metahuman_core.durable import sha256_file, write_text
from metahuman_core.steps.encode import serving_template
from metahuman_core.steps.model_folder import load_tokenizer
from qwen3_shapes import EIGHT_GB, QUICK, TWO_GB, Shape
from report import Result, drop_page_cache, machine, table, tell
from synthetic_base import write_adapter, write_base
from tree_memory import Measured, measure

_HERE = Path(__file__).parent
_SIZES = {"2": TWO_GB, "8": EIGHT_GB}
_PAIRS = 3
_RANK, _ALPHA = 16, 32
_MIB = 1 << 20
_MOST_OF_REFERENCE_S, _MOST_OF_REFERENCE_RSS, _MOST_OF_FLOOR_S = 0.4, 0.25, 1.5
_TENSORS_HELD, _BESIDES_MIB = 3, 300


@dataclass(frozen=True, slots=True)
class Pair:
    """One round: ours, the reference's three programs, the floor."""

    ours: Measured
    reference: tuple[Measured, ...]
    floor_s: float

    @property
    def reference_s(self) -> float:
        """The three one after the other."""
        return sum(one.seconds for one in self.reference)


def main() -> None:
    """Measure, and tell."""
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--size", choices=tuple(_SIZES), default="2", help="of the base, in GB (default 2)")
    words.add_argument("--pairs", type=int, default=_PAIRS, help=f"how often (default {_PAIRS})")
    words.add_argument("--quick", action="store_true", help="a base of 0.2 GB instead")
    words.add_argument("--folder", type=Path, help="where to work (default: a temporary folder)")
    given = words.parse_args()
    root = Path(tempfile.mkdtemp(prefix="weights-", dir=given.folder)).resolve()
    try:
        tell(_measure(root, QUICK if given.quick else _SIZES[given.size], given.pairs))
    finally:
        shutil.rmtree(root)


def _measure(root: Path, shape: Shape, pairs: int) -> Result:
    base, adapter, template = root / "base", root / "adapter", root / "template.jinja"
    write_base(base, shape)
    write_adapter(adapter, shape, _RANK, _ALPHA, "base")
    write_text(template, serving_template(str(load_tokenizer(base).chat_template)))
    done = [_pair(root, shape, check=number == 0) for number in range(pairs)]
    ours = {
        "seconds_s": statistics.median(pair.ours.seconds for pair in done),
        "peak_rss_mib": max(pair.ours.rss_mib for pair in done),
        "peak_anonymous_mib": max(pair.ours.anonymous_mib for pair in done),
        "largest_tensor_mib": shape.largest_bytes() / _MIB,
        "base_mib": shape.model_bytes() / _MIB,
    }
    steps = ("merge", "convert", "quantise")
    peer = {
        "seconds_s": statistics.median(pair.reference_s for pair in done),
        **{
            f"{step}_s": statistics.median(pair.reference[at].seconds for pair in done) for at, step in enumerate(steps)
        },
        "peak_rss_mib": max(one.rss_mib for pair in done for one in pair.reference),
        "peak_anonymous_mib": max(one.anonymous_mib for pair in done for one in pair.reference),
    }
    floor = {"dd_s": statistics.median(pair.floor_s for pair in done)}
    _show(ours, peer, floor)
    return Result(
        "weights",
        machine(root),
        ours,
        peer,
        floor,
        ratio={
            "seconds_to_reference": statistics.median(pair.ours.seconds / pair.reference_s for pair in done),
            "rss_to_reference": ours["peak_rss_mib"] / peer["peak_rss_mib"],
            "seconds_to_floor": statistics.median(pair.ours.seconds / pair.floor_s for pair in done),
        },
        goal=_goal(shape),
    )


def _goal(shape: Shape) -> dict[str, float]:
    goal = {
        "seconds_to_reference": _MOST_OF_REFERENCE_S,
        "peak_anonymous_mib": _TENSORS_HELD * shape.largest_bytes() / _MIB + _BESIDES_MIB,
    }
    # Of 0.2 GB, importing torch is the most, in seconds and in memory.
    large = {"rss_to_reference": _MOST_OF_REFERENCE_RSS, "seconds_to_floor": _MOST_OF_FLOOR_S}
    return goal if shape is QUICK else {**goal, **large}


def _pair(root: Path, shape: Shape, *, check: bool) -> Pair:
    """One round, each part from cold files; with `check`, what came out is compared."""
    ours, reference = root / "ours", root / "reference"
    ours.mkdir()
    reference.mkdir()
    one_pass = _cold([_HERE / "merging.py", "ours", root / "base", root / "adapter", ours], root)
    full, quantised, template = reference / "f16.gguf", reference / "model.gguf", root / "template.jinja"
    programs = _HERE / "reference_weights.py"
    three = (
        _cold([_HERE / "merging.py", "peft", root / "base", root / "adapter", reference], root),
        _cold([programs, "convert", reference / "model", full, "f16", template], root),
        _cold([programs, "quantise", full, quantised, "Q8_0", os.cpu_count() or 1], root),
    )
    if check:
        _check_tensors(ours / "model", reference / "model")
        shutil.rmtree(reference)
        reference.mkdir()
        _program([programs, "convert", ours / "model", full, "bf16", template], root)
        _program([programs, "quantise", full, quantised, "Q8_0", os.cpu_count() or 1], root)
        if sha256_file(quantised) != sha256_file(ours / "model.gguf"):
            raise AssertionError("the GGUF is not the one that llama.cpp makes of model/")
        print("model/ has peft's tensors, and the GGUF is llama.cpp's file", flush=True)
    shutil.rmtree(reference)
    shutil.rmtree(ours)
    pair = Pair(one_pass, three, _floor_s(root, shape))
    print(f"ours {one_pass.seconds:.1f} s, reference {pair.reference_s:.1f} s, dd {pair.floor_s:.1f} s", flush=True)
    return pair


def _cold(words: list[object], folder: Path) -> Measured:
    """Run a program of ours when nothing of the files is in memory."""
    if reason := drop_page_cache():
        print(reason)
    return measure([sys.executable, *map(str, words)], folder, _environment())


def _program(words: list[object], folder: Path) -> None:
    subprocess.run([sys.executable, *map(str, words)], cwd=folder, env=_environment(), check=True, capture_output=True)


def _environment() -> dict[str, str]:
    return {
        **os.environ,
        "PYTHONPATH": f"{python_path()}:{os.environ.get('PYTHONPATH', '')}".rstrip(":"),
        "HF_HUB_OFFLINE": "1",
    }


def _floor_s(root: Path, shape: Shape) -> float:
    """Seconds of `dd`: the base copied and fsynced, file by file, and then the GGUF's bytes written and fsynced."""
    shards = sorted((root / "base").glob("*.safetensors"))
    copies = root / "dd"
    copies.mkdir()
    drop_page_cache()
    began_s = time.perf_counter()
    for shard in shards:
        _dd(f"if={shard}", f"of={copies / shard.name}")
    left_bytes = shape.gguf_bytes()
    for shard in shards:
        take = min(left_bytes, shard.stat().st_size)
        _dd(f"if={shard}", f"of={copies / shard.name}.gguf", f"count={take}", "iflag=count_bytes")
        left_bytes -= take
    seconds = time.perf_counter() - began_s
    shutil.rmtree(copies)
    return seconds


def _dd(*words: str) -> None:
    subprocess.run(["dd", "bs=16M", "conv=fsync", "status=none", *words], check=True)


def _check_tensors(ours: Path, theirs: Path) -> None:
    """Raise AssertionError where a tensor has other bits."""
    files = _files_by_tensor(ours)
    names = _files_by_tensor(theirs)
    if files.keys() != names.keys():
        raise AssertionError(f"model/ has other tensors than peft's: {files.keys() ^ names.keys()}")
    for name, file in names.items():
        with safe_open(file, framework="pt") as peft, safe_open(files[name], framework="pt") as own:
            expected, found = peft.get_tensor(name), own.get_tensor(name)
        if expected.dtype != found.dtype or not torch.equal(expected.view(torch.uint8), found.view(torch.uint8)):
            raise AssertionError(f"{name} has other bits than peft's")


def _files_by_tensor(model: Path) -> dict[str, Path]:
    index = model / "model.safetensors.index.json"
    if index.is_file():
        listed: dict[str, str] = json.loads(index.read_text(encoding="utf-8"))["weight_map"]
        return {name: model / file for name, file in listed.items()}
    with safe_open(model / "model.safetensors", framework="pt") as weights:
        return dict.fromkeys(weights.keys(), model / "model.safetensors")


def _show(ours: dict[str, float], peer: dict[str, float], floor: dict[str, float]) -> None:
    def row(name: str, measured: dict[str, float]) -> tuple[str, ...]:
        numbers = ("seconds_s", "peak_rss_mib", "peak_anonymous_mib")
        return (name, *(f"{measured[number]:.1f}" if number in measured else "" for number in numbers))

    steps = ("merge", "convert", "quantise")
    rows = [
        row("one pass", ours),
        row("reference", peer),
        *(row(f"  {step}", {"seconds_s": peer[f"{step}_s"]}) for step in steps),
        row("dd", {"seconds_s": floor["dd_s"]}),
    ]
    print("\n" + table(("model/ and GGUF", "s", "peak MiB", "anonymous MiB"), rows))


if __name__ == "__main__":
    main()
