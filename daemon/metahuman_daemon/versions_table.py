"""All versions for people and for programs: lineage, measures, what each takes on the disk now."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

import typer
from rich.cells import cell_len

from metahuman_core.errors import MetahumanError
from metahuman_core.layout import ProfilePaths
from metahuman_core.registry import Registry, Version
from metahuman_core.versions.footprint import File, files_of, taken_bytes
from metahuman_core.versions.parts import CALLED, HELD, parts_of
from metahuman_core.versions.protected import rollback_target
from metahuman_core.versions.standing import Standing, standings
from metahuman_daemon.visible import visible

_GIB, _MIB = 1 << 30, 1 << 20
_LONGEST_ORIGIN = 40
_COLUMNS = (
    "", "version", "when", "from", "samples", "mode", "outcome", "notes", "new", "old", "BWT", "F", "FWT", "general",
    "KL", "size", "on disk", "Ollama",
)  # fmt: skip
_NUMBERS = frozenset({"version", "samples", "new", "old", "BWT", "F", "FWT", "general", "KL", "size"})
_MARKS: dict[Standing, str] = {"live": "*", "behind": "|", "branch": ""}
EXPLAINED = (
    "* live, | what it was made on; without a mark: another branch\n"
    "new, old: how many of the kept-out questions about new and older memories were answered, before→after; BWT: what\n"
    "became of older batches since each was learned, F: how far each is below its best, FWT: what was known of the\n"
    "new memories before, beyond the base; general: bits per byte on general questions, less is better; KL: to what\n"
    "the adapter stands on, on plain text, in nats a token"
)


@dataclass(frozen=True, slots=True)
class OnDisk:
    """What of a version is here: its files, and which parts should be and are not."""

    files: tuple[File, ...]
    absent: tuple[str, ...]


def on_disk(version: Version, paths: ProfilePaths) -> OnDisk:
    """Look at what is here of a version; where its entry names no folder, nothing is."""
    try:
        parts = parts_of(version, paths)
    except MetahumanError:
        return OnDisk((), ("all",))
    here = {
        "model": parts.has_model(),
        "gguf": parts.has_gguf(),
        "adapter": not version.adapter_path or version.in_archive or parts.has_adapter(),
    }
    files = tuple(file for part in files_of(version, parts).values() for file in part)
    return OnDisk(files, tuple(CALLED[part] for part in HELD[version.storage or "full"] if not here[part]))


def as_text(
    registry: Registry, paths: ProfilePaths, width: int, stale: Collection[int] = (), *, bold: bool = False
) -> str:
    """All versions as a table, or as a few lines each where the terminal's `width` (in columns) is too small for it.

    `stale`: the versions that know what was erased. `bold`: the table's head is marked, for a terminal.
    """
    found = {version.version: on_disk(version, paths) for version in registry.training_history}
    rows = [tuple(map(visible, row)) for row in _rows(registry, found, stale)]
    # Most people have no notes: that leaves room for the rest.
    used = [n for n, column in enumerate(_COLUMNS) if column != "notes" or any(row[n] for row in rows)]
    columns, rows = [_COLUMNS[n] for n in used], [tuple(row[n] for n in used) for row in rows]
    lines = _aligned(columns, rows)
    if max(map(cell_len, lines)) > width:
        lines = [line for row in rows for line in _told(columns, row, width)]
    elif bold:
        lines[0] = typer.style(lines[0], bold=True)
    total = taken_bytes(file for one in found.values() for file in one.files)
    return "\n".join([*lines, f"on this disk: {_size(total)} in all"] if total else lines)


def as_json(registry: Registry, paths: ProfilePaths, stale: Collection[int] = ()) -> dict[str, Any]:
    """The registry, and under each version's `now` what cannot be read in its entry. `stale`: as for the text."""
    value: dict[str, Any] = json.loads(registry.model_dump_json(exclude_unset=True))
    where, target = standings(registry), rollback_target(registry)
    files: list[File] = []
    for version, plain in zip(registry.training_history, value.get("training_history", []), strict=True):
        found = on_disk(version, paths)
        files += found.files
        plain["now"] = {
            "stands": where[version.version],
            "is_rollback_target": version == target,
            "pinned": version.pinned,
            "held": version.held,
            "knows_erased": version.version in stale,
            "storage": version.storage or "full",
            "absent": list(found.absent),
            "bytes_on_disk": taken_bytes(found.files),
        }
    return {**value, "bytes_on_disk": taken_bytes(files)}


def _rows(registry: Registry, found: dict[int, OnDisk], stale: Collection[int]) -> Iterable[tuple[str, ...]]:
    where, target = standings(registry), rollback_target(registry)
    for version in registry.training_history:
        here = found[version.version]
        origin = f"version {version.parent_version}" if version.parent_version else version.base_model_used
        outcome = version.outcome or ("trained" if version.training_success else "rejected")
        notes = {
            "pinned": version.pinned,
            "held": version.held,
            "by hand": bool(version.promoted_at),
            "consolidated": version.consolidated,
            "erased": version.erased,
            "knows what was erased": version.version in stale,
            "next rollback": version == target,
        }
        taken = taken_bytes(here.files)
        yield (
            _MARKS[where[version.version]],
            str(version.version),
            version.timestamp[:16].replace("T", " "),
            origin if len(origin) <= _LONGEST_ORIGIN else "…" + origin[1 - _LONGEST_ORIGIN :],
            str(version.samples_trained),
            version.mode_filter,
            outcome.replace("_", " "),
            ", ".join(note for note, holds in notes.items() if holds),
            *(_change(version, f"{name}_recall", "{:.0%}") for name in ("new", "old")),
            _one(version, "backward_transfer", "{:+.0f}", 100),
            _one(version, "forgetting", "{:.0f}", 100),
            _one(version, "forward_transfer", "{:+.0f}", 100),
            _change(version, "general_bits_per_byte", "{:.2f}"),
            _one(version, "kl_to_anchor", "{:.2f}"),
            _size(taken) if taken else "",
            f"absent: {', '.join(here.absent)}" if here.absent else _storage(version),
            version.publication,
        )


def _aligned(columns: list[str], rows: list[tuple[str, ...]]) -> list[str]:
    """The head and the rows as lines, each column as wide as its widest cell, its numbers to the right."""
    # Of rich only its widths: its table takes a fifth of a second for a hundred versions.
    table = [tuple(columns), *rows]
    widths = [max(map(cell_len, column)) for column in zip(*table, strict=True)]
    lines = []
    for row in table:
        fills = [" " * (width - cell_len(cell)) for width, cell in zip(widths, row, strict=True)]
        cells = zip(columns, row, fills, strict=True)
        line = "  ".join(fill + cell if column in _NUMBERS else cell + fill for column, cell, fill in cells)
        lines.append(line.rstrip())
    return lines


def _told(columns: list[str], row: tuple[str, ...], width: int) -> Iterable[str]:
    """One version in a few lines, as many cells on each as find room."""
    (mark, *cells), (_, *names) = row, columns
    line = f"{mark or ' '} {names[0]} {cells[0]}"
    for name, cell in zip(names[1:], cells[1:], strict=True):
        if not cell:
            continue
        if len(line) + len(name) + len(cell) + len(",  ") > width:
            yield line + ","
            line = f"    {name} {cell}"
        else:
            line += f", {name} {cell}"
    yield line


def _storage(version: Version) -> str:
    if version.in_archive and version.storage == "archived":
        return "archived, in archive_dir"
    return version.storage or "full"


def _change(version: Version, name: str, shown: str) -> str:
    before, after = version.metrics.get(f"{name}_before"), version.metrics.get(f"{name}_after")
    return "" if before is None or after is None else f"{shown.format(before)}→{shown.format(after)}"


def _one(version: Version, name: str, shown: str, times: int = 1) -> str:
    value = version.metrics.get(name)
    return "" if value is None else shown.format(times * value)


def _size(count: int) -> str:
    """Of one unit for all but the smallest, so that a column of them can be compared."""
    return f"{count / _GIB:.2f} GiB" if count >= _GIB // 100 else f"{count / _MIB:.2f} MiB"
