"""What a model repository holds, and the fetching child as the command line starts it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

WANTED = {
    "config.json": b'{"model_type": "llama"}\n',
    "generation_config.json": b"{}\n",
    "model-00001-of-00002.safetensors": b"first shard " * 200_000,
    "model-00002-of-00002.safetensors": b"second shard" * 100_000,
    "model.safetensors.index.json": b'{"weight_map": {}}\n',
    "tokenizer.json": b'{"version": "1.0"}\n',
    "tokenizer.model": b"sentencepiece",
    "tokenizer_config.json": b"{}\n",
    "special_tokens_map.json": b"{}\n",
    "chat_template.jinja": b"{{ messages }}\n",
}
UNWANTED = {
    ".gitattributes": b"*.bin filter=lfs\n",
    "README.md": b"# A model\n",
    "LICENSE": b"Do what you like.\n",
    "modeling_custom.py": b"raise SystemExit('their code ran')\n",
    "tokenizer_custom.py": b"raise SystemExit('their code ran')\n",
    "pytorch_model.bin": b"pickled weights" * 100_000,
    "model.pt": b"pickle",
    "original/consolidated.00.pth": b"pickle",
    "original/tokenizer.model": b"sentencepiece",
    "original/model.safetensors": b"the makers' own copy",
    "onnx/model.onnx": b"onnx",
    "consolidated.safetensors": b"the makers' own copy",
}
WATCHER = Path(__file__).parent / "watcher"


@dataclass(frozen=True)
class Fetched:
    """How a fetching child ended, and what it said on its wire."""

    code: int
    said: list[dict[str, Any]]
    log: str

    @property
    def commit(self) -> str:
        """What it fetched; it must have."""
        assert self.code == 0, f"{self.said}\n{self.log}"
        return str(self.said[-1]["result"])

    @property
    def error(self) -> str:
        """Why it did not; it must have failed in an orderly way."""
        assert self.code == 1, self.said
        assert "Traceback" not in self.log
        return f"{self.said[-1]['error']} ({self.said[-1]['hint']})"

    @property
    def progress(self) -> list[tuple[float, float]]:
        """(bytes here, bytes in all) as they were reported."""
        lines = [line["progress"] for line in self.said if "progress" in line]
        return [(line["done"], line["total"]) for line in lines]


@dataclass(frozen=True)
class Fetcher:
    """Runs `metahuman_daemon.child fetch`, with a home of its own, and writes down whom it calls."""

    root: Path
    home: Path
    endpoint: str

    def environment(self, **more: str) -> dict[str, str]:
        """The child's environment; the caller's own tokens and settings are left out."""
        ours = ("HF_", "HUGGING", "METAHUMAN_", "CREDENTIALS_")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        where = {"HOME": str(self.home), "HF_HOME": str(self.home / "hf"), "HF_ENDPOINT": self.endpoint}
        watched = {"PYTHONPATH": str(WATCHER), "CALLS": str(self.home.with_name("calls")), "NO_PROXY": "*"}
        return {**kept, **where, **watched, **more}

    def command(self, name: str = "org/model", revision: str = "") -> list[str]:
        """What is run."""
        return [sys.executable, "-m", "metahuman_daemon.child", "fetch", name, revision, str(self.root)]

    def calls(self) -> set[str]:
        """The addresses that were called, as host:port."""
        calls = self.home.with_name("calls")
        return set(calls.read_text(encoding="utf-8").split()) if calls.exists() else set()

    def __call__(self, name: str = "org/model", revision: str = "", **environment: str) -> Fetched:
        """Fetch."""
        done = subprocess.run(
            self.command(name, revision),
            env=self.environment(**environment),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return Fetched(done.returncode, [json.loads(line) for line in done.stdout.splitlines()], done.stderr)
