"""What an archived version costs, and how long it takes to have it back: beside `cp` of the same bytes.

    python bench/rebuild.py [--quick] [--folder DIR]

A version of a synthetic base of Qwen3's structure (2 GB; `--quick`: 0.2 GB) is archived and rebuilt by `metahuman
rebuild`, in turn with `cp` and fsync of its model/ and GGUF; each time all hashes must be the registry's. Goals: what
an archived version keeps is at most 1.5 % of model/ and GGUF here (2 % with the narrow layers of `--quick`), and 1 % at
Qwen3-14B's shapes, reckoned by what is checked here against the files.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from metahuman_core.durable import fsync_tree, remove, sha256_file, sha256_tree, size_bytes
from metahuman_core.layout import ProfilePaths
from metahuman_core.registry import Version, load_registry, update_registry
from metahuman_core.settings import Settings
from metahuman_core.versions.parts import Parts, parts_of
from qwen3_shapes import QUICK, QWEN3_14B, TWO_GB, Shape
from report import Result, machine, table, tell
from synthetic_version import BASE, PROFILE, begin_version, lay_out
from tree_memory import Measured, measure

_PAIRS = 3
_MIB = 1 << 20
_MOST_OF_FULL, _MOST_OF_FULL_QUICK = 0.015, 0.02
_MOST_OF_FULL_14B = 0.01
# At the bench's size the tokenizer and the headers are the difference.
_RECKONED_WITHIN = 0.02


@dataclass(frozen=True, slots=True)
class Pair:
    """One rebuild, and one `cp` of what it made."""

    rebuilt: Measured
    copied_s: float


def main() -> None:
    """Measure, and tell."""
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--quick", action="store_true", help="a base of 0.2 GB instead of 2")
    words.add_argument("--folder", type=Path, help="where to work (default: a temporary folder)")
    given = words.parse_args()
    root = Path(tempfile.mkdtemp(prefix="rebuild-", dir=given.folder))
    try:
        tell(_measure(root, QUICK if given.quick else TWO_GB))
    finally:
        shutil.rmtree(root)


def _measure(root: Path, shape: Shape) -> Result:
    settings = lay_out(root, shape)
    began_s = time.perf_counter()
    run_dir = begin_version(settings, shape, datetime.now(UTC))
    _metahuman(root, "fine-tune", "--base-model", BASE)
    print(f"made once in {time.perf_counter() - began_s:.0f} s, without training")
    version = _version(settings)
    parts = parts_of(version, ProfilePaths(root, PROFILE))
    if parts.run_dir != run_dir:
        raise AssertionError("the version is not the run that was begun")
    full = size_bytes(parts.model) + size_bytes(parts.gguf)
    kept = size_bytes(run_dir) - full
    _check_reckoning(shape, parts, settings.training.rank)
    pairs = [_pair(root, settings, version, parts) for _ in range(_PAIRS)]
    rebuilt = [pair.rebuilt for pair in pairs]
    small = kept - size_bytes(parts.adapter)
    full_14b = QWEN3_14B.model_bytes() + QWEN3_14B.gguf_bytes()
    kept_14b = QWEN3_14B.adapter_bytes(settings.training.rank) + small
    ours = {
        "archived_mib": kept / _MIB,
        "full_mib": full / _MIB,
        "archived_14b_mib": kept_14b / _MIB,
        "full_14b_mib": full_14b / _MIB,
        "rebuild_s": statistics.median(one.seconds for one in rebuilt),
        "rebuild_peak_rss_mib": max(one.rss_mib for one in rebuilt),
        "rebuild_peak_anonymous_mib": max(one.anonymous_mib for one in rebuilt),
    }
    peer = {"cp_s": statistics.median(pair.copied_s for pair in pairs)}
    ratio = {
        "archived_of_full": kept / full,
        "archived_of_full_14b": kept_14b / full_14b,
        "rebuild_to_cp": statistics.median(pair.rebuilt.seconds / pair.copied_s for pair in pairs),
    }
    _show(ours, peer, ratio)
    most = _MOST_OF_FULL_QUICK if shape is QUICK else _MOST_OF_FULL
    return Result(
        "rebuild",
        machine(root),
        ours,
        peer,
        ratio=ratio,
        goal={"archived_of_full": most, "archived_of_full_14b": _MOST_OF_FULL_14B},
    )


def _pair(root: Path, settings: Settings, version: Version, parts: Parts) -> Pair:
    """Archive and rebuild, hold the result against the registry, and copy it."""
    update_registry(
        settings.registry_path(PROFILE), lambda registry: registry.with_fields(version.version, storage="archived")
    )
    remove(parts.model)
    remove(parts.gguf)
    command = _command(root, "rebuild", str(version.version), "--to", "full")
    rebuilt = measure(command, root)
    if (sha256_tree(parts.model), sha256_file(parts.gguf)) != (version.model_sha256, version.gguf_sha256):
        raise AssertionError("what was rebuilt has other bytes")
    if _version(settings).storage != "full":
        raise AssertionError("the registry does not say that it is there")
    copy = root / "copy"
    copy.mkdir()
    began_s = time.perf_counter()
    subprocess.run(["cp", "-r", parts.model, parts.gguf, copy], check=True)
    fsync_tree(copy)
    copied_s = time.perf_counter() - began_s
    shutil.rmtree(copy)
    print(f"rebuilt in {rebuilt.seconds:.1f} s, copied in {copied_s:.1f} s", flush=True)
    return Pair(rebuilt, copied_s)


def _check_reckoning(shape: Shape, parts: Parts, rank: int) -> None:
    """The same reckoning as for Qwen3-14B must give the sizes of what lies here."""
    reckoned = {
        "model/": (shape.model_bytes(), size_bytes(parts.model)),
        "the GGUF": (shape.gguf_bytes(), size_bytes(parts.gguf)),
        "the adapter": (shape.adapter_bytes(rank), size_bytes(parts.adapter)),
    }
    for what, (expected, found) in reckoned.items():
        if abs(found - expected) > _RECKONED_WITHIN * expected:
            raise AssertionError(f"{what} was reckoned as {expected} bytes, and has {found}")


def _show(ours: dict[str, float], peer: dict[str, float], ratio: dict[str, float]) -> None:
    rows = [
        ("here", f"{ours['archived_mib']:.1f}", f"{ours['full_mib']:.1f}", f"{ratio['archived_of_full']:.2%}"),
        (
            "Qwen3-14B, reckoned",
            f"{ours['archived_14b_mib']:.1f}",
            f"{ours['full_14b_mib']:.1f}",
            f"{ratio['archived_of_full_14b']:.2%}",
        ),
    ]
    print("\n" + table(("a version", "archived MiB", "model/ + GGUF MiB", "share"), rows))
    rows = [
        (
            "metahuman rebuild",
            f"{ours['rebuild_s']:.1f}",
            f"{ratio['rebuild_to_cp']:.1f}",
            f"{ours['rebuild_peak_rss_mib']:.0f}",
            f"{ours['rebuild_peak_anonymous_mib']:.0f}",
        ),
        ("cp and fsync", f"{peer['cp_s']:.1f}", "1", "", ""),
    ]
    print("\n" + table(("model/ and GGUF again", "s", "ratio", "peak MiB", "anonymous MiB"), rows))


def _version(settings: Settings) -> Version:
    registry = load_registry(settings.registry_path(PROFILE))
    if registry is None:
        raise AssertionError("there is no registry")
    (version,) = registry.training_history
    return version


def _command(root: Path, *words: str) -> list[str]:
    return [sys.executable, "-m", "metahuman_daemon.cli", *words, "--config", str(root / "config.toml")]


def _metahuman(root: Path, *words: str) -> None:
    subprocess.run(_command(root, *words), cwd=root, check=True)


if __name__ == "__main__":
    main()
