"""Publishing a version: `{name}:v{n}` is made and checked, and only then does `{name}:latest` move to it.

Invariant: whatever fails, and wherever the power goes, the alias names a model that was checked. The manifest is not
written atomically by the server, so the alias is never created, only copied.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from metahuman_core.errors import MetahumanError
from metahuman_core.ollama.client import OllamaClient, OllamaRefused, Progress
from metahuman_core.ollama.gguf_header import UNKNOWN, GgufFacts, read_facts
from metahuman_core.ollama.modelfile import OllamaModel, to_request
from metahuman_core.ollama.shown import ShownModel

_NAMED = ("family", "quantisation")
_SMOKE_OPTIONS = {"num_predict": 8, "temperature": 0}


class NotVerified(MetahumanError):  # noqa: N818 - a state of the world, not of the code
    """The server made a model that is not what it should be; the alias did not move."""


@dataclass(frozen=True, slots=True)
class Published:
    """A version that the server has, checked. Give `blob` to the next `publish` of it, that it need not be remade."""

    tag: str
    server_version: str
    blob: str | None
    """SHA-256 of the GGUF as Ollama holds it: since 0.30 often another one than ours."""
    created: bool
    """False if the same model was there already."""
    answer: str
    """What it said to the smoke question."""


def publish(
    client: OllamaClient,
    model: OllamaModel,
    gguf: Path,
    gguf_sha256: str,
    *,
    name: str,
    version: int,
    go_template: str | None,
    question: str,
    known_blob: str | None = None,
    progress: Progress | None = None,
    said: Callable[[str], None] = lambda _: None,
) -> Published:
    """Make `{name}:v{version}` of a GGUF, and check it. The alias is another matter: see `move_alias`.

    Doing it again is safe at every point. A tag that is there is kept only with proof that it runs these weights: the
    digest in its FROM is the GGUF's own (before 0.30, or if llama.cpp's quantiser wrote it), or is `known_blob`, which
    an earlier publication of this GGUF reported. Without proof it is made again: the server then finds its own layers.

    Args:
        client: the server.
        model: its `template` is ignored: which one is sent depends on the server.
        gguf: the file.
        gguf_sha256: its SHA-256, hex.
        name: the model's name without a tag.
        version: the tag becomes `v{version}`.
        go_template: for servers before 0.30, which do not look at the Jinja template in the GGUF.
        question: asked of the new model; it must answer with anything at all.
        known_blob: `Published.blob` of an earlier publication of the same GGUF.
        progress: called as the upload goes on.
        said: called with a line about each step.

    Raises:
        OllamaDown: no server; try again later.
        OllamaRefused: the server said no.
        NotVerified: what it made is not what it should be.
    """
    tag = tag_of(name, version)
    server = client.version()
    old_server = before_0_30(server)
    if old_server and go_template is None:
        raise MetahumanError(
            f"Ollama {server} needs a Go template, and none could be derived from this model's chat template",
            "update Ollama to 0.30 or later",
        )
    wanted = replace(model, template=go_template if old_server else None)
    facts = read_facts(gguf)
    shown = client.show(tag)
    proofs = {gguf_sha256, known_blob} - {None}
    same = shown is not None and shown.blob in proofs and not differences(shown, wanted, facts)
    if not same:
        said(f"uploading {gguf.name} to Ollama {server}")
        client.ensure_blob(gguf, gguf_sha256, progress)
        if shown is not None:
            client.unload(tag)  # a replaced model that is loaded goes on answering until it expires
        said(f"creating {tag}")
        client.create(to_request(wanted, tag, gguf_sha256))
        shown = client.show(tag)
    answer = _verify(client, tag, shown, wanted, facts=facts, question=question)
    return Published(tag, server, shown.blob if shown else None, not same, answer)


def move_alias(client: OllamaClient, name: str, version: int) -> bool:
    """Point `{name}:latest` at a version that is there: a rollback, or its end. False where it was there already.

    Raises:
        NotVerified: the server does not have that version.
    """
    tag, alias = tag_of(name, version), alias_of(name)
    if not client.exists(tag):
        raise NotVerified(f"Ollama has no {tag}", f"publish version {version} first")
    if _are_one(client, alias, tag):
        return False
    client.unload(alias)  # what it named so far need not keep its memory
    client.copy(tag, alias)
    if not _are_one(client, alias, tag):
        raise NotVerified(f"{alias} was copied from {tag}, but is another model", "is somebody else publishing?")
    return True


def unpublish(client: OllamaClient, name: str, version: int) -> bool:
    """Delete `{name}:v{version}`; False if it was not there. The alias is another name, and stays.

    Unloaded first: a deleted model that is loaded cannot be unloaded any more, and keeps its memory until it expires.
    """
    tag = tag_of(name, version)
    client.unload(tag)
    return client.delete(tag)


def tag_of(name: str, version: int) -> str:
    """The immutable name of a version."""
    return f"{name}:v{version}"


def alias_of(name: str) -> str:
    """The name of the live version."""
    return f"{name}:latest"


def before_0_30(version: str) -> bool:
    """Whether a server of this version ignores the Jinja template inside a GGUF.

    A version that cannot be read, and the 0.0.0 of a build from source, count as new.
    """
    found = re.match(r"v?(\d+)\.(\d+)", version)
    return found is not None and (0, 0) < (int(found[1]), int(found[2])) < (0, 30)


def differences(shown: ShownModel, wanted: OllamaModel, facts: GgufFacts) -> list[str]:
    """What `show` tells otherwise than it was asked for, in words."""
    pairs = [("system text", shown.system, wanted.system), ("family", shown.family, facts.family)]
    if UNKNOWN not in (shown.quantization.lower(), facts.quantization):
        pairs.append(("quantisation", shown.quantization, facts.quantization))
    if wanted.template is not None:
        pairs.append(("template", shown.template, wanted.template))
    pairs.append(("license", shown.license, "\n".join(wanted.license)))
    # Short values are named; the person's own words are not: this goes into logs and messages.
    found = [
        f"its {what} is {have!r}, not {want!r}" if what in _NAMED else f"its {what} is another"
        for what, have, want in pairs
        if have != want
    ]
    if shown.messages != wanted.messages:
        found.append("its messages are others")
    for key, value in wanted.merged_parameters().items():  # Ollama may add some, with a template that it knows
        have = [one for name, one in shown.parameters if name == key]
        if have != (value if isinstance(value, list) else [value]):
            found.append(f"its parameter {key} is {have}, not {value}")
    return found


def _verify(
    client: OllamaClient, tag: str, shown: ShownModel | None, wanted: OllamaModel, *, facts: GgufFacts, question: str
) -> str:
    """Check what the server holds, and have it answer once; it is unloaded after the answer."""
    found = ["it is not there"] if shown is None else differences(shown, wanted, facts)
    if found:
        raise NotVerified(f"Ollama made {tag}, but {'; '.join(found)}", "publish it again")
    try:
        answer = client.chat(tag, [("user", question)], _SMOKE_OPTIONS, keep_alive_s=0)
    except OllamaRefused as error:
        raise NotVerified(f"{tag} cannot answer: {error.message}", error.hint) from error
    if not answer.strip():
        raise NotVerified(f"{tag} answers nothing", "its chat template or its weights are broken")
    return answer


def _are_one(client: OllamaClient, alias: str, tag: str) -> bool:
    """Whether both names have the same manifest. The server keeps the case in which a name was first written."""
    digests = {model.name.lower(): model.digest for model in client.tags()}
    return tag.lower() in digests and digests.get(alias.lower()) == digests[tag.lower()]
