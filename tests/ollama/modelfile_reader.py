"""Reads a Modelfile as Ollama's command line does, and makes the API request that it makes of it.

Written after what the real command line sent (`recordings/modelfile_cli_mapping.txt`), to which a test holds it.
"""

from __future__ import annotations

import struct
from collections.abc import Set as AbstractSet
from typing import Any

COMMANDS = (
    "from",
    "adapter",
    "template",
    "system",
    "parameter",
    "message",
    "license",
    "renderer",
    "parser",
    "requires",
)
INTS = {"num_keep", "seed", "num_predict", "top_k", "repeat_last_n", "num_ctx", "num_batch", "num_gpu", "main_gpu",
        "num_thread", "mirostat"}  # fmt: skip
FLOATS = {"top_p", "min_p", "typical_p", "temperature", "repeat_penalty", "presence_penalty", "frequency_penalty"}
BOOLS = {"use_mmap", "numa"}


class ModelfileError(Exception):
    """What the command line says."""


def request_of(text: str, files: AbstractSet[str]) -> dict[str, Any]:
    """The create request, without model and digests; `files` are the files beside the Modelfile."""
    request: dict[str, Any] = {}
    parameters: dict[str, Any] = {}
    for name, argument in commands(text):
        match name:
            case "model":
                file = argument.removeprefix("./")
                request |= {"files": {file: ""}} if file in files else {"from": argument}
            case "adapter":
                request["adapters"] = {argument.removeprefix("./"): ""}
            case "license":
                request.setdefault("license", []).append(argument)
            case "message":
                role, _, content = argument.partition(": ")
                request.setdefault("messages", []).append({"role": role, "content": content})
            case "template" | "system" | "renderer" | "parser" | "requires":
                request[name] = argument
            case "stop":
                parameters.setdefault("stop", []).append(argument)
            case _:
                parameters[name] = number(name, argument)
    if "files" not in request and "from" not in request:
        raise ModelfileError("no FROM line")
    return {key: value for key, value in (request | {"parameters": parameters}).items() if value}


def commands(text: str) -> list[tuple[str, str]]:  # noqa: C901, PLR0912 - one loop, to be held beside Go's
    """Go's state machine (`parser.ParseFile`), character by character."""
    found: list[tuple[str, str]] = []
    state, buffer, name, role, line = "nil", "", "", "", 1
    for char in text:
        line += char in "\r\n"
        after, kept = _next(state, char, line)
        if after != state:
            if state == "name":
                if buffer.lower() not in COMMANDS:
                    raise ModelfileError(f"(line {line}): command must be one of")
                name = {"from": "model"}.get(buffer.lower(), buffer.lower())
                after = name if name in ("parameter", "message") else after
            elif state == "parameter":
                name = buffer
            elif state == "message":
                role = buffer
                if role not in ("system", "user", "assistant"):
                    raise ModelfileError(f"(line {line}): message role must be one of")
            elif state == "value":
                value = _unquote(buffer.strip())
                if value is None or char in " \t":
                    buffer += char
                    continue
                found.append((name, f"{role}: {value}" if role else value))
                role = ""
            buffer, state = "", after
        if kept and (kept.isprintable()):
            buffer += kept
    if state == "value":
        value = _unquote(buffer.strip())
        if value is None:
            raise ModelfileError("unexpected EOF")
        found.append((name, f"{role}: {value}" if role else value))
    elif state not in ("nil", "comment"):
        raise ModelfileError("unexpected EOF")
    return found


def _next(state: str, char: str, line: int) -> tuple[str, str]:
    """The state after a character, and the character if it belongs to the text."""
    space, newline = char in " \t", char in "\r\n"
    if state == "nil":
        plain = "nil" if space or newline else "name"
        return ("comment", "") if char == "#" else (plain, "" if plain == "nil" else char)
    if state == "comment":
        return ("nil" if newline else "comment"), ""
    if state == "value":
        return ("nil" if space or newline else "value"), char
    if space:
        return "value", ""
    if (char.isalpha() and char.isascii()) or (state == "parameter" and (char.isdigit() or char == "_")):
        return state, char
    problem = "unexpected EOF" if state == "parameter" else f"(line {line}): command must be one of"
    raise ModelfileError(problem)


def _unquote(text: str) -> str | None:
    """What stands in quotes; None if they are not closed yet."""
    for quotes in ('"""', '"'):
        if text.startswith(quotes):
            closed = len(text) >= 2 * len(quotes) and text.endswith(quotes)
            return text[len(quotes) : -len(quotes)] if closed else None
    return text


def number(name: str, text: str) -> int | float | bool:
    kind = "int" if name in INTS else "float" if name in FLOATS else "bool" if name in BOOLS else ""
    if not kind:
        raise ModelfileError(f"unknown parameter '{name}'")
    try:
        if kind == "int":
            return int(text)
        if kind == "float":
            return shortest32(float(text))
        return {"true": True, "false": False}[text]
    except (ValueError, KeyError):
        raise ModelfileError(f"invalid {kind} value [{text}]") from None


def shortest32(value: float) -> float:
    """A 32-bit float as Go prints it: the fewest digits that still mean the same bits."""
    bits = struct.pack("<f", value)
    return next(
        float(text)
        for text in (f"{value:.{digits}g}" for digits in range(1, 18))
        if struct.pack("<f", float(text)) == bits
    )
