"""JSON as the standard means it, with bounds.

Invariant: what comes out of `parse` can be written again. No NaN, no lone surrogates, no more levels than allowed;
whatever goes in, the only exception is `UnreadableError`.
"""

from __future__ import annotations

from typing import Any, TypeAlias

from pydantic_core import from_json

from metahuman_core.memories.opened import UnreadableError

JsonObject: TypeAlias = dict[str, Any]

CUT_OFF = "cut off: the JSON ends too early"

# The parser's messages, and what they mean to a person. They hold positions, never content; ours hold neither.
_MEANINGS = (
    ("EOF while parsing", CUT_OFF),
    ("surrogate", "holds half a character (a lone surrogate)"),
    ("hex escape", "holds half a character (a lone surrogate)"),
    ("invalid unicode", "not valid UTF-8"),
    ("number out of range", "holds a number with too many digits"),
)


def parse(raw: bytes, max_depth: int) -> Any:
    """The JSON value in `raw` (UTF-8, with or without a byte order mark), at most `max_depth` containers deep."""
    raw = raw.removeprefix(b"\xef\xbb\xbf").strip()
    if not raw:
        raise UnreadableError("empty")
    try:
        value = from_json(raw, allow_inf_nan=False)
    except ValueError as error:
        raise UnreadableError(_meaning(raw, str(error), max_depth)) from None
    # Counting brackets is a hundred times faster than walking, and settles it for nearly every memory.
    if raw.count(b"[") + raw.count(b"{") > max_depth and _is_deeper(value, max_depth):
        raise UnreadableError(_too_deep(max_depth))
    return value


def parse_object(raw: bytes, max_depth: int) -> JsonObject:
    """Like `parse`, for what must be an object."""
    value = parse(raw, max_depth)
    if not isinstance(value, dict):
        raise UnreadableError("not a JSON object")
    return value


def _is_deeper(value: Any, max_depth: int) -> bool:
    level = _containers([value])
    for _ in range(max_depth):
        level = [child for parent in level for child in _containers(parent)]
    return bool(level)


def _containers(value: Any) -> list[Any]:
    children = value.values() if isinstance(value, dict) else value
    return [child for child in children if isinstance(child, (dict, list))]


def _too_deep(max_depth: int) -> str:
    return f"nested deeper than {max_depth} levels"


def _meaning(raw: bytes, message: str, max_depth: int) -> str:
    if "recursion limit" in message:
        return _too_deep(max_depth)
    for sign, reason in _MEANINGS:
        if sign in message:
            return reason
    return "holds NaN or Infinity" if _parses_with_nan(raw) else "not valid JSON"


def _parses_with_nan(raw: bytes) -> bool:
    try:
        from_json(raw, allow_inf_nan=True)
    except ValueError:
        return False
    return True
