"""What is read of a model's folder besides its weights: its tokenizer, and whether it brings code.

Apart from `loading`: what makes weights loads no model, and would wait a second and a half for what does.
"""

from __future__ import annotations

from pathlib import Path

from transformers import AutoTokenizer, PreTrainedTokenizerBase

from metahuman_core.errors import MetahumanError


def refuse_code(folder: Path) -> None:
    """Refuse a model that brings its own code: it would run with the user's rights. Raises MetahumanError."""
    if any(folder.glob("*.py")) or '"auto_map"' in (folder / "config.json").read_text(encoding="utf-8"):
        raise MetahumanError(
            f"{folder} brings code of its own (*.py or auto_map)", "take a base that transformers knows"
        )
    if not any(folder.glob("*.safetensors")):
        raise MetahumanError(f"{folder} has no safetensors weights", "take a base that has them")


def load_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    """The tokenizer of a local model folder."""
    tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
        folder, local_files_only=True, trust_remote_code=False
    )
    return tokenizer
