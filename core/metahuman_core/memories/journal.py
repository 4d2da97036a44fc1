"""Journals and notes, Markdown or plain text: each heading's section is a memory, a page without headings is one.

Invariant: a unit is named by its headings and not by its place, so that a page which is written on all day brings only
its new sections.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from metahuman_core.memories.labels import kind_of, line, mode_of, tags_of, unfit_reason
from metahuman_core.memories.markdown import (
    Section,
    front_matter,
    inline_tags,
    sections,
    split_at_paragraphs,
    without_links,
)
from metahuman_core.memories.opened import UnreadableError
from metahuman_core.memories.origin import EMPTY, UnitNames
from metahuman_core.memories.when import first_moment, leading_date, path_moment

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from metahuman_core.memories.origin import Origin, Outcome
    from metahuman_core.memories.strict_json import JsonObject

_UNIT_CHARS = 200
_BYTES_A_CHAR = 4  # at most, in UTF-8


def read_journal(raw: bytes, origin: Origin) -> Iterator[Outcome]:
    """The memories of a page.

    Raises:
        UnreadableError: it is not UTF-8, or no text at all.
    """
    fields, body = front_matter(_text(raw))
    units, is_empty = UnitNames(), True
    for section in sections(body):
        name = units.name(" / ".join(section.path)[:_UNIT_CHARS])
        yield from _memories(section, fields, origin.at(name))
        is_empty = False
    if is_empty:
        yield origin.skipped(EMPTY)


def _memories(section: Section, fields: JsonObject, place: Origin) -> Iterator[Outcome]:
    kind = kind_of(fields, place.kind or "journal")
    tags = tags_of(fields.get("tags"), fields.get("tag"), inline_tags(section.text))
    max_chars = max(1, min(place.limits.section_chars, place.limits.memory_bytes // _BYTES_A_CHAR))
    for number, piece in enumerate(split_at_paragraphs(without_links(section.text), max_chars), 1):
        yield (place if number == 1 else place.at(f"part {number}")).memory(
            kind=kind,
            mode=mode_of(fields, kind),
            happened_at=_happened_at(section, fields, place.source),
            text=piece,
            tags=tags,
            title=section.path[-1] if section.path else _page_title(fields, place.source),
            unfit=unfit_reason(fields, tags),
        )


def _happened_at(section: Section, fields: JsonObject, source: str) -> datetime | None:
    """The nearest heading that is a date, else the front matter's word, else the file's name and folders."""
    from_headings = (leading_date(name) for name in reversed(section.path))
    written = first_moment(*map(fields.get, ("date", "timestamp", "created", "created_at")))
    return next(filter(None, from_headings), None) or written or path_moment(source)


def _page_title(fields: JsonObject, source: str) -> str:
    """The front matter's title, else the file's name where that is more than a date."""
    stem = source.rpartition("/")[2].rpartition(".")[0]
    return line(fields, "title").strip() or ("" if path_moment(stem) else stem)


def _text(raw: bytes) -> str:
    try:
        page = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UnreadableError("not valid UTF-8") from None
    if "\0" in page:
        raise UnreadableError("not a text file")
    return page.replace("\r\n", "\n").replace("\r", "\n")
