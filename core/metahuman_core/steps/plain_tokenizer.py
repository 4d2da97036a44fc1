"""Tokenizers that know no control tokens: what they are given is text, whatever it spells."""

from __future__ import annotations

import json
from typing import Any

from tokenizers import Tokenizer


def plain_tokenizers(backend: Tokenizer) -> tuple[Tokenizer, Tokenizer]:
    """Two copies of `backend` without added tokens: for a text's beginning, and for what follows a control token."""
    raw: dict[str, Any] = json.loads(backend.to_str())
    raw.update(added_tokens=[], post_processor=None, truncation=None, padding=None)
    first = Tokenizer.from_str(json.dumps(raw))
    for part in _parts(raw.get("pre_tokenizer")):
        # "first" means the text's first word, and a copy that is asked piece by piece cannot know which that is.
        if part.get("type") == "Metaspace" and part.get("prepend_scheme") == "first":
            part["prepend_scheme"] = "never"
    return first, Tokenizer.from_str(json.dumps(raw))


def _parts(pre_tokenizer: dict[str, Any] | None) -> list[dict[str, Any]]:
    if pre_tokenizer is None:
        return []
    inner = pre_tokenizer.get("pretokenizers")
    return list(inner) if inner else [pre_tokenizer]
