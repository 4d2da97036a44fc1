"""Looks for what would stop a cycle, and names the way out."""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from metahuman_core.converter import require_converter
from metahuman_core.errors import MetahumanError
from metahuman_core.lineage import choose_start
from metahuman_core.ollama.client import OllamaClient
from metahuman_core.prepare import sources
from metahuman_core.registry import FALLBACK_BASE, Registry, load_registry
from metahuman_core.settings import Settings, check_profile_name, refuse_shared_registry
from metahuman_daemon.options import known_profiles

_GIB = 1 << 30
_LOW_DISK_BYTES = 5 * _GIB


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    level: Literal["ok", "warning", "error"]
    what: str
    way_out: str = ""


def examine(settings: Settings) -> list[Finding]:
    """All findings, the good ones too."""
    looks = (_python, _converter, _torch, _root, _profiles, _ollama)
    return [finding for look in looks for finding in _looked(look, settings)]


def _looked(look: Callable[[Settings], Iterator[Finding]], settings: Settings) -> Iterator[Finding]:
    """What a look finds; one that may not look is a finding too, and the others go on."""
    try:
        yield from look(settings)
    except OSError as error:
        yield Finding("error", f"{error.strerror}: {error.filename}", "check its owner and mode")


def _python(_: Settings) -> Iterator[Finding]:
    version = ".".join(map(str, sys.version_info[:3]))
    yield Finding("ok", f"Python {version} in {sys.prefix}")


def _converter(_: Settings) -> Iterator[Finding]:
    try:
        yield Finding("ok", f"llama.cpp's converter in {require_converter()}")
    except MetahumanError as error:
        yield Finding("error", error.message, error.hint)


def _torch(_: Settings) -> Iterator[Finding]:
    try:
        version = importlib.metadata.version("torch")
    except importlib.metadata.PackageNotFoundError:
        yield Finding("error", "torch is not installed", "pip install torch")
        return
    if not Path("/dev/nvidia0").exists():
        yield Finding("ok", f"torch {version}; no NVIDIA card: training runs on the CPU")
        return
    # Asked in a process of its own: importing torch here would cost seconds and 700 MB.
    asked = subprocess.run(
        [sys.executable, "-c", "import torch; print(torch.cuda.is_available())"],
        capture_output=True,
        text=True,
        check=False,
    )
    if asked.stdout.strip() == "True":
        yield Finding("ok", f"torch {version} with CUDA")
    else:
        yield Finding(
            "error", f"there is an NVIDIA card, and torch {version} cannot use it", "install a CUDA build of torch"
        )


def _root(settings: Settings) -> Iterator[Finding]:
    root = settings.root
    if not root.is_dir():
        yield Finding("error", f"the root {root} is not there", "make it, or set root in the config")
        return
    if not os.access(root, os.W_OK):
        yield Finding("error", f"the root {root} cannot be written", "check its owner and mode")
    free = shutil.disk_usage(root).free
    level: Literal["ok", "warning"] = "ok" if free > _LOW_DISK_BYTES else "warning"
    hint = "" if level == "ok" else "a cycle needs about three times the model's size"
    yield Finding(level, f"{free / _GIB:.1f} GiB free in {root}", hint)


def _profiles(settings: Settings) -> Iterator[Finding]:
    names = known_profiles(settings)
    if not names:
        yield Finding(
            "warning", f"no profile under {settings.root / 'profiles'}", "put memories into profiles/NAME/memory"
        )
    try:
        refuse_shared_registry(settings, names)
    except MetahumanError as error:
        yield Finding("error", error.message, error.hint)
    for name in names:
        yield from _memories(settings, name)
        path = settings.registry_path(name)
        try:
            registry = load_registry(path)
        except MetahumanError as error:
            yield Finding("error", error.message, error.hint)
            continue
        if registry is None:
            yield Finding("ok", f"profile {name}: no registry yet; the first run starts from {FALLBACK_BASE}")
            continue
        yield Finding("ok", f"profile {name}: {len(registry.training_history)} versions in {path}")
        yield from _next_base(settings, name, registry)
        for version in registry.training_history:
            if not (settings.root / version.output_model_path / "config.json").is_file() and not version.adapter_path:
                yield Finding(
                    "warning",
                    f"profile {name}: version {version.version} is a phantom: no {version.output_model_path}",
                    "it is never trained on; `metahuman reset` goes back to the original base",
                )
            elif version.gguf_bytes:
                gguf = settings.root / version.gguf_path
                size = gguf.stat().st_size if gguf.is_file() else 0
                if size != version.gguf_bytes:
                    what = "is cut off or not ours" if size else "is absent"
                    yield Finding("warning", f"profile {name}: version {version.version}'s GGUF {what}: {gguf}")


def _memories(settings: Settings, name: str) -> Iterator[Finding]:
    try:
        check_profile_name(name)
        sources(settings, name)
    except MetahumanError as error:
        yield Finding("error", error.message, error.hint)


def _next_base(settings: Settings, name: str, registry: Registry) -> Iterator[Finding]:
    try:
        choose_start(None, registry, settings.root, settings.training)
    except MetahumanError as error:
        yield Finding("error", f"profile {name}: {error.message}", error.hint)


def _ollama(settings: Settings) -> Iterator[Finding]:
    if not settings.ollama.enabled:
        yield Finding("ok", "Ollama is off in the config")
        return
    try:
        with OllamaClient(settings.ollama.host or None) as client:
            yield Finding("ok", f"Ollama {client.version()} at {client.url}")
    except MetahumanError as error:
        yield Finding("warning", error.message, "versions are registered all the same, and published when it answers")
    if os.environ.get("OLLAMA_HOST", "").startswith("0.0.0.0"):  # noqa: S104  # looked for, not bound
        yield Finding("warning", "OLLAMA_HOST is 0.0.0.0: everybody on the network can use and delete its models")
