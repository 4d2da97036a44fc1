"""What the programs themselves need: Python, the converter, torch."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from metahuman_core.converter import require_converter
from metahuman_core.errors import ConfigError, MetahumanError
from metahuman_core.qlora import bitsandbytes_version, require_qlora
from metahuman_core.settings import Settings
from metahuman_daemon.doctor.finding import Finding


def python(_: Settings) -> Iterator[Finding]:
    """Which Python this is."""
    version = ".".join(map(str, sys.version_info[:3]))
    yield Finding("ok", f"Python {version} in {sys.prefix}")


def converter(_: Settings) -> Iterator[Finding]:
    """Whether llama.cpp's converter is there."""
    try:
        yield Finding("ok", f"llama.cpp's converter in {require_converter()}")
    except MetahumanError as error:
        yield Finding("error", error.message, error.hint)


def torch(_: Settings, dev: Path = Path("/dev")) -> Iterator[Finding]:
    """Whether torch can use the card that is there."""
    try:
        version = importlib.metadata.version("torch")
    except importlib.metadata.PackageNotFoundError:
        yield Finding("error", "torch is not installed", "pip install torch")
        return
    if not (dev / "nvidia0").exists():
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


def qlora(settings: Settings) -> Iterator[Finding]:
    """Whether what quantises the base is installed, where it is wanted."""
    try:
        require_qlora(settings.training)
    except ConfigError as error:
        yield Finding("error", error.message, error.hint)
    else:
        if settings.training.quantize_base != "none":
            yield Finding("ok", f"bitsandbytes {bitsandbytes_version()}: the base is trained on in 4 bit")


def notifications(settings: Settings) -> Iterator[Finding]:
    """Whether what tells people is installed."""
    if settings.notify.urls and importlib.util.find_spec("apprise") is None:
        way_out = "pip install 'metahuman-continuous-learning[notify]'"
        yield Finding("warning", "apprise is not installed: nobody in notify.urls is told", way_out)
