"""Lines that stand for themselves: a table's rows, what is noted under labels (`Dentist: Dr Lind`), lists with a title.

Invariant: every line of the text comes out, in its order, but for a table's rules and the row that names its columns,
whose names each row has instead; the work is linear in the text's length.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from metahuman_core.study.grammar import lowered_start

_RULE = re.compile(r"^\|?(?=[^|]*-)[\s:|-]+\|?$")
_ROW = re.compile(r"^\|(?P<cells>.+)\|$")
# Two lines of them at least: one alone may be a sentence that goes on after a colon.
_LABELLED = re.compile(r"^(?P<label>[^\W\d_](?:[\w/&'-]| (?=\w)){1,30}): +(?P<value>\S.*)$")
_MAX_LABEL_WORDS = 4
_ITEM = re.compile(r"^\s*(?:[-*+\u2022]|\d{1,3}[.)])\s+(?:\[[ xX]\]\s+)?(?P<item>\S.*)$")
_MIN_LINES = 2
_MAX_TITLE_WORDS = 6


def as_items(text: str) -> Iterator[str]:
    """The text's lines, those that stand for themselves marked as items of a list (`- `)."""
    lines = text.split("\n")
    columns: list[str] = []
    for place, raw in enumerate(lines):
        line = raw.strip()
        row = _ROW.match(line)
        if row is None:
            if columns:
                yield ""
            columns = []
            yield f"- {line}" if _is_labelled(line) and _has_neighbour(lines, place) else raw
        elif place + 1 < len(lines) and _RULE.match(lines[place + 1].strip()) and not columns:
            columns = _cells(row["cells"])
        elif not columns:
            yield raw
        elif not _RULE.match(line):
            yield f"- {'; '.join(_named(columns, _cells(row['cells'])))}"


def labels(text: str) -> dict[str, str]:
    """What is noted in lines under labels: `Dentist` for `Dentist: Dr Lind`, where another such line is beside it."""
    lines = text.split("\n")
    found = {}
    for place, raw in enumerate(lines):
        match = _LABELLED.match(raw.strip())
        if match and _is_labelled(raw.strip()) and _has_neighbour(lines, place):
            found[" ".join(raw.split())] = match["label"]
    return found


def list_of(text: str, title: str) -> tuple[str, tuple[str, ...]]:
    """The title and the items of a text that is a list and nothing else; none where it is no such list.

    Its title is the text's own, or that of a first line like `Shopping:`.
    """
    lines = [line.strip() for line in text.split("\n") if line.strip()]
    if lines and lines[0].endswith(":") and not _ITEM.match(lines[0]):
        title, lines = lines[0].removesuffix(":"), lines[1:]
    items = [match["item"] for line in lines if (match := _ITEM.match(line))]
    is_list = len(items) == len(lines) >= _MIN_LINES and title and len(title.split()) <= _MAX_TITLE_WORDS
    return (title, tuple(items)) if is_list else ("", ())


def _is_labelled(line: str) -> bool:
    match = _LABELLED.match(line)
    return match is not None and len(match["label"].split()) <= _MAX_LABEL_WORDS and not line.endswith("?")


def _has_neighbour(lines: list[str], place: int) -> bool:
    near = (*lines[max(0, place - 1) : place], *lines[place + 1 : place + 2])
    return any(_is_labelled(line.strip()) for line in near)


def _cells(row: str) -> list[str]:
    return [cell.strip() for cell in row.split("|")]


def _named(columns: list[str], cells: list[str]) -> Iterator[str]:
    """The first cell is what the row is about."""
    for place, cell in enumerate(cells):
        name = columns[place] if place < len(columns) and place else ""
        if cell:
            yield f"{lowered_start(name)} {cell}" if name else cell
