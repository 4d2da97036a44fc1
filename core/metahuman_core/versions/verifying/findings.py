"""Holds registry, disk and Ollama against each other: what is missing, foreign, half-made or damaged. Pure.

Invariant: what can go on by itself (an unfinished run, a publication that waits for a server) is said, and is no fault.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from metahuman_core.ollama.publish import alias_of, tag_of
from metahuman_core.registry import Registry, Version
from metahuman_core.versions.parts import CALLED, HELD
from metahuman_core.versions.verifying.inventory import Found, Inventory, RunFound, VersionFound

Kind = Literal["missing", "foreign", "half", "damaged", "registry"]

_TAG = re.compile(r"(?P<name>.+):v(?P<number>\d+)")
_BACKUP = "put a backup of it in place"


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it should be, or (no `fault`) that is worth knowing, and what to do about it."""

    kind: Kind
    which: str
    what: str
    way_out: str
    fault: bool = True


def compare(found: Inventory, registry_faults: tuple[str, ...] = ()) -> tuple[Finding, ...]:
    """All findings, those about the registry first."""
    return (
        *(Finding("registry", "the registry", fault, "mend it or put a backup in place") for fault in registry_faults),
        *(
            finding
            for version in found.registry.training_history
            if version.version in found.versions
            for finding in _of_version(version, found.versions[version.version], found)
        ),
        *_of_runs(found),
        *_of_ollama(found),
    )


def _of_version(version: Version, parts: VersionFound, found: Inventory) -> Iterator[Finding]:
    which, expected = f"version {version.version}", _expected(version)
    run = found.runs.get(version.run_label)
    for part, there, sha256, size in (
        ("model/", parts.model, version.model_sha256, version.model_bytes),
        ("GGUF", parts.gguf, version.gguf_sha256, version.gguf_bytes),
    ):
        again = f"`metahuman rebuild {version.version} --to {'full' if part == 'model/' else 'serving'}`"
        if there.there and part not in expected and version.storage:
            yield _left_over(version, part, there, run, f"{again} keeps it", at_work=found.at_work)
        elif part in expected and not there.there:
            way_out = again if version.adapter_sha256 else "`metahuman import` with the registry's path marks it"
            yield Finding("missing", which, f"its {part} is not there ({there.where})", way_out)
        else:
            yield from _damage(which, part, there, sha256, size, f"delete {there.where}, then {again}")
    if version.storage == "removed":
        for part, adapter in (("adapter", parts.adapter), ("adapter in the archive", parts.archived)):
            if adapter is not None and adapter.there:
                yield _left_over(version, part, adapter, run, "keep a copy, if it is wanted", at_work=found.at_work)
    else:
        yield from _of_adapter(version, parts)
    if version.erased:
        yield from _of_erased(which, parts, run)
    elif version.adapter_sha256:
        yield from _of_texts(version, parts, run)
    why = found.lost_for_now.get(version.version, "")
    if why and not why.startswith("its adapter"):  # which was said already
        yield Finding("missing", which, f"it cannot be rebuilt here: {why}", "have its base here first", fault=False)


def _left_over(
    version: Version, part: str, there: Found, run: RunFound | None, way_out: str, *, at_work: bool
) -> Finding:
    """A part that is there although the registry says that it is not."""
    which, what = f"version {version.version}", f"its {part} is there, and it is {version.storage} ({there.where})"
    if run is not None and run.dying:
        return Finding("half", which, f"{what}: it is being cleared away", "`metahuman prune` ends it", fault=False)
    return Finding("foreign", which, what, f"{way_out}; else delete it", fault=not at_work)


def _expected(version: Version) -> frozenset[str]:
    """What should be there. An entry of the original's records nothing: where it succeeded, it claims to be whole."""
    expected = frozenset(
        CALLED[part] for part in HELD[version.storage or ("full" if version.training_success else "removed")]
    )
    absent = {"adapter"} if not version.adapter_sha256 else set()
    if version.storage and not version.adapter_sha256:  # imported: what there was, was recorded
        absent |= {part for part, size in (("model/", version.model_bytes), ("GGUF", version.gguf_bytes)) if not size}
    return expected - absent


def _of_adapter(version: Version, parts: VersionFound) -> Iterator[Finding]:
    expected = _expected(version)
    which, here, away = f"version {version.version}", parts.adapter, parts.archived
    way_out = f"{_BACKUP}: without it the version cannot be rebuilt"
    if "adapter" in expected and not here.there and not version.in_archive:
        yield Finding("missing", which, f"its adapter is not there ({here.where})", way_out)
    if "adapter" in expected and version.in_archive:
        if away is None:
            what = "its adapter is in the archive, and retention.archive_dir names none"
            yield Finding("missing", which, what, "name it in the config again")
        elif not away.there:
            what = f"its adapter is not in the archive ({away.where})"
            yield Finding("missing", which, what, f"is its drive mounted? Else {_BACKUP}")
    for part, there in (("adapter", here), ("adapter in the archive", away)):
        if there is not None and version.adapter_sha256:
            yield from _damage(which, part, there, version.adapter_sha256, version.adapter_bytes, way_out)


def _of_texts(version: Version, parts: VersionFound, run: RunFound | None) -> Iterator[Finding]:
    """Journal, memories and dataset: later versions are measured with them, so that they are always kept."""
    which = f"version {version.version}"
    if run is None or run.ended is None:
        what = run.problem if run and run.problem else "its journal run.json is not there"
        yield Finding("damaged" if run and run.problem else "missing", which, what, _BACKUP)
    planned = run.memories_sha256 if run else ""
    for part, there, sha256 in (
        ("dataset.jsonl", parts.dataset, version.dataset_sha256),
        ("memories.jsonl", parts.memories, planned),
    ):
        if not there.there:
            yield Finding("missing", which, f"its {part} is not there ({there.where})", _BACKUP)
        else:
            yield from _damage(which, part, there, sha256, 0, _BACKUP)


def _of_erased(which: str, parts: VersionFound, run: RunFound | None) -> Iterator[Finding]:
    """Nothing is left of what knew what a person had erased."""
    if run is None or not (parts.dataset.there or parts.memories.there or run.ended is not None or run.problem):
        return
    what = f"it was erased, and texts of it are there ({run.where})"
    if run.dying:
        yield Finding("half", which, f"{what}: it is being cleared away", "`metahuman prune` ends it", fault=False)
    else:
        yield Finding("foreign", which, what, "delete that folder")


def _damage(which: str, part: str, there: Found, sha256: str, size: int, way_out: str) -> Iterator[Finding]:
    if not there.there:
        return
    if there.problem:
        yield Finding("damaged", which, f"its {part} cannot be used: {there.problem}", way_out)
    elif there.sha256 and sha256 and there.sha256 != sha256:
        yield Finding("damaged", which, f"its {part} is not the one that was registered ({there.where})", way_out)
    elif not there.sha256 and size and there.size_bytes != size:
        what = f"its {part} has {there.size_bytes} bytes, and not {size} ({there.where})"
        yield Finding("damaged", which, what, way_out)


def _of_runs(found: Inventory) -> Iterator[Finding]:
    for where in found.strangers:
        yield Finding("foreign", where, "it is no run of ours", "delete it, if nobody needs it", fault=False)
    known = {version.run_label for version in found.registry.training_history}
    for label, run in found.runs.items():
        which = f"run {label}"
        if label not in known and run.ended in {"registered", "rejected"}:
            way_out = f"put the registry's backup in place, or delete {run.where}"
            yield Finding("foreign", which, f"it ended as {run.ended}, and the registry does not know it", way_out)
        elif label not in known and run.problem:
            yield Finding("damaged", which, run.problem, "`metahuman fine-tune --discard` throws it away")
        elif label not in known and run.ended is None:
            yield Finding("foreign", which, "it has no journal: it is none of ours", f"see {run.where}", fault=False)
        elif run.ended == "":
            yield Finding("half", which, "it is unfinished", "`metahuman fine-tune` goes on with it", fault=False)
        if run.apart:
            what = f"what a rebuild made otherwise is kept apart: {', '.join(run.apart)}"
            yield Finding("half", which, what, "`metahuman rebuild … --accept` takes it; else delete it", fault=False)
        if run.half_made:
            what = f"it holds what is half-made: {', '.join(run.half_made)}"
            yield Finding("half", which, what, "the next command that works there clears it away", fault=False)


def _of_ollama(found: Inventory) -> Iterator[Finding]:
    for version in found.registry.training_history:
        if version.publication == "due":
            which, way_out = f"version {version.version}", f"`metahuman publish {version.version}`"
            yield Finding("half", which, "it waits for Ollama", way_out, fault=False)
    tags, weights = found.ollama.tags, found.ollama.weights
    if tags is None:
        return
    for version in found.registry.training_history:
        tag = tag_of(version.ollama_name, version.version).lower()
        run = found.runs.get(version.run_label)
        if version.publication == "done" and version.ollama_name:
            yield from _of_tag(version, tags, weights.get(tag, ""), dying=run is not None and run.dying)
        elif version.publication == "off" and tag in tags:
            what = f"Ollama has {tag}, and it is not published"
            yield Finding("foreign", f"version {version.version}", what, f"`ollama rm {tag}`", fault=False)
    yield from _foreign_tags(found.registry, tags)


def _of_tag(version: Version, tags: Mapping[str, str], weights: str, *, dying: bool) -> Iterator[Finding]:
    """`weights`: the SHA-256 of what its tag runs; "" where nobody knows."""
    tag, alias = tag_of(version.ollama_name, version.version), alias_of(version.ollama_name)
    which, way_out = f"version {version.version}", f"`metahuman publish {version.version}`"
    if version.storage in {"archived", "removed"}:
        if tag.lower() in tags:
            what = f"{tag} is to be withdrawn from Ollama"
            yield Finding("half", which, what, "the next `metahuman prune` does it", fault=False)
    elif tag.lower() not in tags:
        yield Finding("missing", which, f"Ollama has no {tag}", way_out, fault=not dying)
    # Since 0.30 the server may write a GGUF anew: which digest ours has there is known since it was published.
    elif weights and version.ollama_blob and weights not in (version.gguf_sha256, version.ollama_blob):
        yield Finding("damaged", which, f"{tag} is another model in Ollama", way_out)
    elif version.outcome == "live" and tags.get(alias.lower()) != tags[tag.lower()]:
        what = f"{alias} is another model in Ollama" if alias.lower() in tags else f"Ollama has no {alias}"
        yield Finding("missing", which, what, way_out)


def _foreign_tags(registry: Registry, tags: Mapping[str, str]) -> Iterator[Finding]:
    ours = {tag_of(version.ollama_name, version.version).lower() for version in registry.training_history}
    for tag in sorted(tags):
        if _TAG.fullmatch(tag) and tag not in ours:
            yield Finding("foreign", tag, "Ollama has it, and the registry has no such version", f"`ollama rm {tag}`")
