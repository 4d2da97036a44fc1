"""What a model is in Ollama, said once, and written as a Modelfile and as an API request.

Invariant: `ollama create -f Modelfile` and our request make the same model. The Modelfile format has no escapes and
its reader silently drops what Go does not call printable, so a value that would not come back as it is, is refused
in both forms. `tests/ollama/test_modelfile.py` reads the text back as the command line does.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from metahuman_core.errors import MetahumanError

PARAMETERS: dict[str, type] = {
    "min_p": float,
    "num_batch": int,
    "num_ctx": int,
    "num_gpu": int,
    "num_keep": int,
    "num_predict": int,
    "num_thread": int,
    "presence_penalty": float,
    "frequency_penalty": float,
    "repeat_last_n": int,
    "repeat_penalty": float,
    "seed": int,
    "stop": str,
    "temperature": float,
    "top_k": int,
    "top_p": float,
    "typical_p": float,
    "use_mmap": bool,
}
"""The parameters we send. The server checks none: a wrong type is stored, and then every chat fails with a 500."""

Value = str | int | float | bool
_ROLES = ("system", "user", "assistant")
_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,79}")
_NAMESPACE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,79}")
_HOST = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(:\d+)?")
_QUOTES = '"""'


@dataclass(frozen=True, slots=True)
class OllamaModel:
    """A model as Ollama is to know it. `gguf` is a file name beside the Modelfile; `template` is Go's language."""

    gguf: str
    system: str
    template: str | None
    parameters: tuple[tuple[str, Value], ...]
    license: tuple[str, ...] = ()
    messages: tuple[tuple[str, str], ...] = ()
    """(role, content): turns that stand before every conversation."""

    def merged_parameters(self) -> dict[str, Any]:
        """The parameters as the API takes them: every `stop` in one list, floats as a Modelfile's reader gives them."""
        merged: dict[str, Any] = {}
        for key, value in self.parameters:
            checked = _checked(key, value)
            if key == "stop":
                merged.setdefault(key, []).append(checked)
            elif key in merged:
                raise MetahumanError(f"the Ollama parameter {key} is given twice", "only stop can be repeated")
            else:
                merged[key] = checked
        return merged


def to_modelfile(model: OllamaModel) -> str:
    """The Modelfile.

    Raises:
        MetahumanError: a value cannot be said in a Modelfile.
    """
    lines = [f"FROM ./{_file_name(model.gguf)}"]
    if model.template:
        lines.append(f"TEMPLATE {_quoted('template', model.template)}")
    if model.system:
        lines.append(f"SYSTEM {_quoted('system text', model.system)}")
    for key, value in model.merged_parameters().items():
        lines += [f"PARAMETER {key} {_written(key, one)}" for one in (value if key == "stop" else [value])]
    lines += [f"LICENSE {_quoted('license', text)}" for text in model.license]
    lines += [f"MESSAGE {_role(role)} {_quoted('message', content)}" for role, content in model.messages]
    return "\n".join(lines) + "\n"


def to_request(model: OllamaModel, name: str, digest: str) -> dict[str, Any]:
    """The body of `POST /api/create` for a GGUF whose SHA-256 is `digest` (64 hex digits).

    What is empty is left out: `files` and `adapters` are errors when they are `{}`. `stream` is false, for the server
    finishes such a create even when we go away, and answers with a real status.

    Raises:
        MetahumanError: the name or a value cannot be used.
    """
    to_modelfile(model)  # the same checks, so that neither form accepts what the other refuses
    if not valid_name(name):
        raise MetahumanError(f"{name!r} is no model name for Ollama", "letters, digits, _ . - and at most 80 of them")
    request = {
        "model": name,
        "files": {model.gguf: f"sha256:{digest}"},
        "template": model.template,
        "system": model.system,
        "parameters": model.merged_parameters(),
        "license": list(model.license),
        "messages": [{"role": role, "content": content} for role, content in model.messages],
    }
    return {key: value for key, value in request.items() if value} | {"stream": False}


def valid_name(name: str) -> bool:
    """Whether Ollama takes `[host/][namespace/]model[:tag]`, and finds it again.

    The tags `local`, `cloud` and `*-cloud` are the server's own: a create succeeds, then show and delete answer 404.
    """
    *above, last = name.split("/")
    model, colon, tag = last.partition(":")
    if colon and (not _PART.fullmatch(tag) or re.fullmatch(r"local|(.*-)?cloud", tag, re.IGNORECASE)):
        return False
    fits = {0: (), 1: (_NAMESPACE,), 2: (_HOST, _NAMESPACE)}.get(len(above))
    if fits is None or not _PART.fullmatch(model):
        return False
    return all(pattern.fullmatch(part) for pattern, part in zip(fits, above, strict=True))


def sayable(text: str) -> str:
    """`text` with what a Modelfile cannot hold replaced by its like: for texts that people write.

    Line ends become newlines, every kind of space a space, and what prints nothing (joiners, marks of direction) goes.
    """
    lines = "\n".join(text.replace("\r\n", "\n").splitlines()) + ("\n" if text.endswith(("\n", "\r")) else "")
    spaced = "".join(" " if unicodedata.category(char) == "Zs" else char for char in lines)
    clean = "".join(char for char in spaced if _survives(char))
    return re.sub(r'"""(?=[ \t]*\n)', "'''", clean)


def _survives(char: str) -> bool:
    """Go's strconv.IsPrint, newline and tab: the rest a Modelfile's reader drops without a word."""
    return char.isprintable() or char in "\n\t"


def _quoted(what: str, text: str) -> str:
    """`text` so that the reader gives it back: in one pair of quotes, or in three.

    A quoted value ends at the first line end where what was read ends with its closing quotes.
    """
    if not text:
        raise MetahumanError(f"an empty {what} cannot be written in a Modelfile", "leave it out")
    for char in text:
        if not _survives(char):
            raise MetahumanError(f"the {what} holds U+{ord(char):04X}, which a Modelfile cannot hold", "remove it")
    if '"' not in text:
        return f'"{text}"' if "\n" not in text else f"{_QUOTES}{text}{_QUOTES}"
    if any(line.rstrip().endswith(_QUOTES) for line in text.split("\n")[:-1]):
        raise MetahumanError(f'the {what} has a line that ends with """, which ends a Modelfile\'s value', "reword it")
    return f"{_QUOTES}{text}{_QUOTES}"


def _written(key: str, value: Value) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return _quoted(f"parameter {key}", value) if isinstance(value, str) else str(value)


def _checked(key: str, value: Value) -> Value:
    wanted = PARAMETERS.get(key)
    if wanted is None:
        raise MetahumanError(f"{key} is no Ollama parameter that we know", f"known: {_listed(PARAMETERS)}")
    if wanted is float and type(value) in (int, float):
        # Ollama keeps 32 bits. Six digits survive that; more would differ between Modelfile and request.
        value = float(f"{value:.6g}")
        if value in (float("inf"), float("-inf")) or value != value:  # noqa: PLR0124 - that is what NaN is
            raise MetahumanError(f"the Ollama parameter {key} is {value}", "give a finite number")
    if type(value) is not wanted:
        raise MetahumanError(f"the Ollama parameter {key} is {value!r}", f"it takes a value of type {wanted.__name__}")
    return value


def _file_name(name: str) -> str:
    """The file of FROM: relative, or Ollama refuses it; a plain line, since a missing file is taken for a model."""
    plain = name == name.strip() and name.isprintable() and not name.startswith((".", '"'))
    if not plain or "/" in name or not name.endswith(".gguf"):
        raise MetahumanError(f"{name!r} is no file name for a Modelfile", "a name like model.gguf")
    return name


def _role(role: str) -> str:
    if role not in _ROLES:
        raise MetahumanError(f"{role!r} is no role of a message", f"one of {_listed(_ROLES)}")
    return role


def _listed(words: Iterable[str]) -> str:
    return ", ".join(sorted(words))
