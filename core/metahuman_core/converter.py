"""Where llama.cpp's converter lies, and how it gets there: out of the sdist of the pinned llama-cpp-python.

Invariant: converter and runtime are one version, and what is unpacked was checked against the pinned SHA-256.
The archive's own `gguf` stands beside it, on no path but the converter's: the one on PyPI is too old for it.
"""

from __future__ import annotations

import importlib.metadata
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path

from metahuman_core.durable import making, sha256_file
from metahuman_core.errors import MetahumanError

VERSION = "0.3.36"
SDIST_SHA256 = "832db0699007f1be95a7e41ef12e88926b02ba836461e36a36372db2760c1a2e"
_ARCHIVE_ROOT = f"llama_cpp_python-{VERSION}/vendor/llama.cpp/"
_WANTED = ("conversion/", "gguf-py/", "convert_hf_to_gguf.py", "LICENSE")


def data_folder() -> Path:
    """The environment's own folder for what `metahuman setup` fetches."""
    return Path(sys.prefix) / "share" / "metahuman"


def converter_folder() -> Path:
    """The converter's folder (it may not be there: see `require_converter`)."""
    return data_folder() / f"llama.cpp-{VERSION}"


def require_converter() -> Path:
    """The converter's folder. Raises MetahumanError where it is missing or does not fit the runtime."""
    folder = converter_folder()
    if not (folder / "conversion" / "__init__.py").is_file():
        raise MetahumanError("llama.cpp's converter is not installed", "run `metahuman setup`")
    try:
        runtime = importlib.metadata.version("llama-cpp-python")
    except importlib.metadata.PackageNotFoundError:
        raise MetahumanError("llama-cpp-python is not installed", f"pip install llama-cpp-python=={VERSION}") from None
    if runtime != VERSION:
        raise MetahumanError(
            f"llama-cpp-python is {runtime}, the converter {VERSION}", f"pip install llama-cpp-python=={VERSION}"
        )
    return folder


def python_path() -> str:
    """PYTHONPATH for a child that converts: the converter and its own `gguf`."""
    folder = converter_folder()
    return f"{folder}:{folder / 'site'}"


def install_converter(say: Callable[[str], None]) -> bool:
    """Fetch, check and unpack the converter. False where it was there already."""
    folder = converter_folder()
    if (folder / "conversion" / "__init__.py").is_file():
        return False
    say(f"llama.cpp's converter (of llama-cpp-python {VERSION}): fetching")
    with tempfile.TemporaryDirectory(prefix="metahuman-setup-") as temporary:
        archive = download_checked(
            f"llama-cpp-python=={VERSION}", SDIST_SHA256, Path(temporary), "--no-binary", "llama-cpp-python"
        )
        unpacked = Path(temporary, "unpacked")
        _unpack(archive, unpacked)
        with making(folder) as partial:
            shutil.copytree(unpacked / _ARCHIVE_ROOT, partial)
            # transformers asks for an installed distribution of `gguf`, so a mere copy is not enough.
            _pip("install", "--no-deps", "--target", str(partial / "site"), str(partial / "gguf-py"))
    return True


def download_checked(requirement: str, sha256: str, folder: Path, *options: str) -> Path:
    """Download one archive from the package index into `folder` and check its hash. Raises MetahumanError."""
    _pip("download", "--no-deps", "--dest", str(folder), *options, requirement)
    archive = next(path for path in folder.iterdir() if path.is_file())
    if (found := sha256_file(archive)) != sha256:
        raise MetahumanError(
            f"{archive.name} has SHA-256 {found}, and not {sha256}", "do not use it; try again from another network"
        )
    return archive


def _pip(*arguments: str) -> None:
    command = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no word of why"])[-1]
        raise MetahumanError(
            f"pip {arguments[0]} failed: {last}", "check the network, and that this environment has pip"
        )


def _unpack(archive: Path, folder: Path) -> None:
    with tarfile.open(archive) as tar:
        wanted = tuple(_ARCHIVE_ROOT + name for name in _WANTED)
        tar.extractall(folder, members=[m for m in tar if m.name.startswith(wanted)], filter="data")
