"""The model cards of a version: what its adapter/ and its model/ are, in the Hub's own words.

Invariants: a card tells hashes and measures, and never a word of a memory, the system prompt, a path or the name of a
person. It changes nothing: no hash counts it, merging and converting pass it over. It is written beside its folder and
comes in whole: a kill leaves no trace in there.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from metahuman_core.durable import MODEL_CARD, fsync_path, partial_of, write_text
from metahuman_core.fingerprint import is_fingerprint, may_be_hub_id
from metahuman_core.layout import RUN_LABEL, hub_snapshots, root_of_run
from metahuman_core.registry import Version
from metahuman_core.versions.parts import Parts

_FRONT_MATTER = re.compile(r"\A---\r?\n(.*?)\r?\n---\r?\n", re.DOTALL)
_PRIVATE = (
    "It is private: it was trained on one person's memories, it may say what they contain, and it is not meant to be "
    "shared."
)
_BITS = "Bits per byte, before and after: less is better."
_WHAT = {
    "adapter": "a LoRA adapter on {base}",
    "finetune": "{base} with this version's LoRA adapter merged into it, unquantised",
}


def write_cards(version: Version, parts: Parts) -> None:
    """Write the cards into those of the version's folders that are there. Doing it again is safe at every point."""
    license_name = _license_of(_base_folder(version, parts))
    for folder, relation in ((parts.adapter, "adapter"), (parts.model, "finetune")):
        if folder.is_dir():
            beside = parts.run_dir / MODEL_CARD
            write_text(partial_of(beside), card(version, relation, license_name))
            partial_of(beside).rename(folder / MODEL_CARD)
            fsync_path(folder)


def card(version: Version, relation: str, license_name: str = "") -> str:
    """The card's text; `relation` to its base: `adapter` or `finetune`."""
    import yaml

    base = public_name(version)
    matter: dict[str, Any] = {
        "base_model": base,
        "base_model_relation": relation,
        "library_name": "peft" if relation == "adapter" else "transformers",
        "pipeline_tag": "text-generation",
        "tags": ["metahuman", "private", *(["lora"] if relation == "adapter" else [])],
        **({"license": license_name} if license_name else {}),
        "version": str(version.version),  # llama.cpp's own converter reads the card, and breaks off at a number
        "dataset_sha256": version.dataset_sha256,
    }
    front = yaml.safe_dump(matter, sort_keys=False, allow_unicode=True)
    what = _WHAT[relation].format(base=base)
    rows = "".join(f"| {name} | {value} |\n" for name, value in _rows(version) if value)
    measures = "".join(f"| {name} | {value} |\n" for name, value in sorted(version.metrics.items()))
    text = f"---\n{front}---\n\n# Version {version.version}\n\nThis is {what}. {_PRIVATE}\n\n| | |\n|---|---|\n{rows}"
    return f"{text}\n## Measures\n\n{_BITS}\n\n| | |\n|---|---|\n{measures}" if measures else text


def _rows(version: Version) -> list[tuple[str, object]]:
    parent = f", on top of version {version.parent_version}" if version.parent_version else ""
    memories = f" of {version.memories_trained} new and {version.memories_replayed} older memories"
    return [
        ("made by", "metahuman-continuous-learning"),
        ("made at", version.timestamp),
        ("version", f"{version.version}{parent}"),
        ("base", f"{public_name(version)} at {version.anchor_revision}" if version.anchor_revision else ""),
        ("trained on", f"{version.samples_trained} samples{memories}" if version.samples_trained else ""),
        ("gate", version.outcome if version.outcome == "rejected" else "passed"),
        ("dataset, SHA-256", version.dataset_sha256),
        ("adapter_model.safetensors, SHA-256", version.adapter_sha256),
        ("model/ without this card, SHA-256", version.model_sha256),
        (f"GGUF ({version.quantization}), SHA-256", version.gguf_sha256),
    ]


def public_name(version: Version) -> str:
    """What the version's anchor may be called outside: a Hub id, a folder's name, or the run that a model/ is of."""
    anchor = version.anchor_model or version.base_model_used
    if may_be_hub_id(anchor) and not is_fingerprint(version.anchor_revision):
        return anchor
    path = Path(anchor)
    return path.parent.name if RUN_LABEL.fullmatch(path.parent.name) else path.name


def _base_folder(version: Version, parts: Parts) -> Path:
    """Where the anchor lies, if it is here: a folder, or what was fetched from the Hub."""
    root = root_of_run(parts.run_dir.absolute())
    folder = root / version.anchor_model
    if version.anchor_model and not folder.is_dir():
        return hub_snapshots(root, version.anchor_model) / version.anchor_revision
    return folder


def _license_of(base: Path) -> str:
    """The licence that a base's own card names ("" where it names none)."""
    import yaml

    try:
        found = _FRONT_MATTER.match((base / MODEL_CARD).read_text(encoding="utf-8"))
        named = yaml.safe_load(found[1]).get("license") if found else ""
    except (OSError, UnicodeDecodeError, AttributeError, yaml.YAMLError):
        return ""
    return named if isinstance(named, str) else ""
