"""What a memory is called: its kind, its mode, its tags, and the reason not to train it.

Invariant: labels come from flags, folders and names, never from what is said, and a flag of the wrong type is a flag
that is absent.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, cast, get_args

from metahuman_core.memories.model import Mode

if TYPE_CHECKING:
    from metahuman_core.memories.strict_json import JsonObject

_KIND_BY_FOLDER = {
    "reflections": "reflection",
    "dreams": "dream",
    "audio-dreams": "dream",
    "audio": "audio",
    "curated": "conversation",
    "conversations": "conversation",
    "exports": "conversation",
    "tool-invocations": "tool_invocation",
    "actions": "action",
    "tasks": "task",
    "curiosity": "curiosity_question",
    "therapy": "therapy",
    "journal": "journal",
    "journals": "journal",
    "training": "training",
}
_INWARD_KINDS = {"inner_dialogue", "reflection", "reflection_summary", "dream", "daydream", "curiosity_question"}
_ACTING_KINDS = {"action", "task", "tool_invocation"}
_KIND_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}", re.ASCII)


def folder_kind(source: str) -> str:
    """The kind that the innermost telling folder of a path stands for ("" if none does)."""
    folders = reversed(source.lower().split("/")[:-1])
    return next((_KIND_BY_FOLDER[name] for name in folders if name in _KIND_BY_FOLDER), "")


def kind_of(memory: JsonObject, otherwise: str) -> str:
    """`type` where it is a name, else `otherwise`."""
    given = memory.get("type")
    name = given.strip().lower().replace("-", "_") if isinstance(given, str) else ""
    return name if _KIND_NAME.fullmatch(name) else otherwise


def mode_of(memory: JsonObject, kind: str) -> Mode:
    """`cognitiveMode`, in `metadata` or beside it, where it is one of the three; else what the kind stands for."""
    for holder in (part(memory, "metadata"), memory):
        mode = holder.get("cognitiveMode")
        if isinstance(mode, str) and mode.strip().lower() in get_args(Mode):
            return cast("Mode", mode.strip().lower())
    return kind_mode(kind)


def kind_mode(kind: str) -> Mode:
    """The mode of a kind that does not say: inward voices are dual, acts are agent, the rest is emulation."""
    if kind in _INWARD_KINDS:
        return "dual"
    return "agent" if kind in _ACTING_KINDS else "emulation"


def tags_of(*fields: Any) -> tuple[str, ...]:
    """The tags in `fields` (a list, or one string with commas or spaces), each once, without `#`."""
    found: dict[str, None] = {}
    for value in fields:
        listed = re.split(r"[,\s]+", value) if isinstance(value, str) else value
        for tag in listed if isinstance(listed, (list, tuple)) else ():
            if isinstance(tag, str) and (bare := tag.strip().lstrip("#")):
                found[bare] = None
    return tuple(found)


def unfit_reason(memory: JsonObject, tags: tuple[str, ...]) -> str:
    """Why this must not be trained ("" where it may be)."""
    metadata = part(memory, "metadata")
    if any(tag.lower() == "feedback" for tag in tags):
        return "tagged as feedback"
    # Front matter knows only strings, hence the second form of each.
    if metadata.get("reinforcementSignal") in (-1, "-1"):
        return "marked as a bad answer"
    if any(holder.get("suitableForTraining") in (False, "false") for holder in (memory, metadata)):
        return "marked as not suitable for training"
    return ""


def part(memory: JsonObject, key: str) -> JsonObject:
    """The object at `key`, empty where there is none."""
    value = memory.get(key)
    return value if isinstance(value, dict) else {}


def line(memory: JsonObject, *keys: str) -> str:
    """The first string at one of `keys` that says something ("" if none does)."""
    return next((value for key in keys if isinstance(value := memory.get(key), str) and value.strip()), "")
