"""What Ollama takes and what it refuses: names, requests, templates; and its words for it."""

from __future__ import annotations

import difflib
import json
import re
from dataclasses import dataclass
from functools import cache
from typing import Any

# Where the recorded servers kept their models; error messages and `show` name it.
MODELS = "/usr/share/ollama/.ollama/models"
BARE = "{{ .Prompt }}"
FILE_TYPES = {
    1: "F16", 2: "Q4_0", 3: "Q4_1", 7: "Q8_0", 8: "Q5_0", 9: "Q5_1", 10: "Q2_K", 11: "Q3_K_S", 12: "Q3_K_M",
    13: "Q3_K_L", 14: "Q4_K_S", 15: "Q4_K_M", 16: "Q5_K_S", 17: "Q5_K_M", 18: "Q6_K", 32: "BF16",
}  # fmt: skip
QUANTIZE_TYPES = ("F32", "F16", "Q4_K_S", "Q4_K_M", "Q8_0")
ARCHITECTURES = {"llama", "qwen2", "qwen3", "gemma", "gemma2", "gemma3", "mistral", "phi3", "smollm3"}
CHATML_GO = "{{- range .Messages }}<|im_start|>{{ .Role }}\n{{ .Content }}<|im_end|>\n{{ end }}<|im_start|>assistant\n"
_TURNS = (
    "{{'<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n'}}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
_FIRST = "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}"
CHATML_JINJA = (
    "{% for message in messages %}" + _TURNS,
    _FIRST + "{{ '<|im_start|>system\\nYou are a helpful assistant.<|im_end|>\\n' }}{% endif %}" + _TURNS,
)
_NEAR = 100  # a template at most so many edits away is taken for one that is known
VALIDATION = "failed to validate GGUF with llama-quantize without compatibility patches: "
NO_QUANTIZER = "llama-quantize unavailable: llama-quantize binary not found (checked: " + ", ".join(
    ["/usr/lib/ollama/llama-quantize"]
    + [
        f"/usr/bin/{place}/llama-quantize"
        for place in ("build/lib/ollama", "dist/linux-amd64/lib/ollama", "dist/linux_amd64/lib/ollama")
    ]
    + ["/srv/ollama", "/usr/linux-amd64/lib/ollama/llama-quantize", "/usr/linux_amd64/lib/ollama/llama-quantize)"]
)
_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,79}")
_NAMESPACE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,79}")
_HOST = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:-]{0,349}")
DIGEST = re.compile(r"sha256[:-]([0-9a-fA-F]{64})")


class RefusedError(Exception):
    """An answer that is an error. `early` ones are said before the work starts, by the web framework."""

    def __init__(self, status: int, message: str, *, early: bool = False) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.early = early


@dataclass(frozen=True, slots=True)
class Name:
    host: str
    namespace: str
    model: str
    tag: str

    @property
    def short(self) -> str:
        if self.host != "registry.ollama.ai":
            return f"{self.host}/{self.namespace}/{self.model}:{self.tag}"
        return (f"{self.namespace}/" if self.namespace != "library" else "") + f"{self.model}:{self.tag}"

    @property
    def full(self) -> str:
        return f"{self.host}/{self.namespace}/{self.model}:{self.tag}"


def parse_name(text: str) -> Name | None:
    rest = text.split("://", 1)[-1]
    head, slash, last = rest.rpartition("/")
    model, colon, tag = last.rpartition(":") if ":" in last else (last, "", "latest")
    if (colon and not tag) or (slash and not head):
        return None
    host, slash, namespace = head.rpartition("/") if head else ("", "", "library")
    host = host or ("" if slash else "registry.ollama.ai")
    fits = _PART.fullmatch(model) and _PART.fullmatch(tag) and _NAMESPACE.fullmatch(namespace) and _HOST.fullmatch(host)
    return Name(host, namespace, model, tag) if fits else None


def go_json(value: Any) -> bytes:
    """The bytes Go's encoder makes: keys sorted, no spaces, <, > and & escaped, a newline at the end."""
    text = json.dumps(value, sort_keys=isinstance(value, dict), separators=(",", ":"), ensure_ascii=False)
    return (text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e") + "\n").encode()


def is_cloud_or_local(name: Name) -> bool:
    return name.tag in ("cloud", "local") or name.tag.endswith("-cloud")


def missing(digest: str) -> str:
    return f"open {MODELS}/blobs/sha256-{digest}: no such file or directory"


def check_create(request: dict[str, Any]) -> None:
    """What is refused before the work starts, with a status of its own also for a streamed create."""
    if isinstance(request.get("files"), list):
        message = "json: cannot unmarshal array into Go struct field CreateRequest.files of type map[string]string"
        raise RefusedError(400, message, early=True)
    if parse_name(request.get("model") or request.get("name") or "") is None:
        raise RefusedError(400, "invalid model name", early=True)
    for file, digest in ((request.get("files") or {}) | (request.get("adapters") or {})).items():
        if file.startswith("/") or ".." in file.split("/"):
            raise RefusedError(400, "file path must be relative", early=True)
        if not digest:
            raise RefusedError(400, "invalid digest format", early=True)


def check_go_template(text: str) -> None:
    """The mistakes that were recorded; any other text passes."""
    for action in re.findall(r"\{\{-?\s*((?:\"(?:[^\"\\]|\\.)*\"|[^\"}])*)", text):
        word = action.split()[0] if action.split() else ""
        if "[" in re.sub(r'"(?:[^"\\]|\\.)*"', "", action):
            problem = "bad character U+005B '['"
        elif re.fullmatch(r"if|range|with", action.strip()):
            problem = f"missing value for {word}"
        elif re.fullmatch(r"[a-z]+", word) and word not in ("if", "else", "end", "range", "with", "eq", "and", "not"):
            problem = f'function "{word}" not defined'
        else:
            continue
        raise RefusedError(400, f"template error: template: :1: {problem}")
    if text.count("{{") > text.count("}}"):
        raise RefusedError(400, "template error: template: :1: unclosed action")


@cache
def near_chatml(jinja: str) -> bool:
    for known in CHATML_JINJA:
        if jinja and abs(len(jinja) - len(known)) < _NEAR:
            blocks = difflib.SequenceMatcher(None, jinja, known, autojunk=False).get_matching_blocks()
            if max(len(jinja), len(known)) - sum(block.size for block in blocks) < _NEAR:
                return True
    return False
