"""The parts of a Markdown page: front matter, sections, tags, links.

Invariant: every line of the page is in exactly one part. What only looks like front matter or like a heading (a rule at
the top, a `#` inside a fenced block) stays text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from metahuman_core.memories.strict_json import JsonObject

_FRONT_MATTER_CHARS = 16_384
_FRONT_MATTER_END = re.compile(r"^(?:---|\.\.\.)[ \t]*(?:\n|\Z)", re.MULTILINE)
_HALF_CHARACTER = re.compile(r"\\(?:u|U0000)[dD][89a-fA-F]")
_HEADING = re.compile(r"(#{1,6})[ \t]+(\S.*)")
_FENCE = re.compile(r" {0,3}(```|~~~)")
_FENCED = re.compile(r"```.*?(?:```|\Z)|~~~.*?(?:~~~|\Z)", re.DOTALL)
_EMBED = re.compile(r"!\[\[[^\[\]\n]*\]\]")
_LINK = re.compile(r"\[\[([^\[\]|\n]*)(?:\|([^\[\]\n]*))?\]\]")
_TAG = re.compile(r"(?<![\w#/&])#([^\W\d][\w/-]*)")


@dataclass(frozen=True, slots=True)
class Section:
    """A heading's own text, up to the next heading. `path` holds the headings above it and its own, outermost first;
    it is empty for what stands before the first heading.
    """

    path: tuple[str, ...]
    text: str


def front_matter(page: str) -> tuple[JsonObject, str]:
    """The fields of the YAML block at the top, and the rest; no fields and the whole page where there is no such block.

    All values are strings, lists and mappings: YAML's guesses (`no`, `12:30`, dates) are left to who knows the field.
    Lists may be shared many times over by aliases, so nobody should walk them all the way down.
    """
    if not page.startswith("---\n"):
        return {}, page
    end = _FRONT_MATTER_END.search(page, 4, _FRONT_MATTER_CHARS)
    if end is None or _HALF_CHARACTER.search(page, 4, end.start()):  # YAML's escapes can make what UTF-8 cannot hold
        return {}, page
    import yaml  # 20 ms, for pages alone that have such a block

    try:
        # BaseLoader builds nothing but strings, lists and mappings, which is less than SafeLoader does.
        fields = yaml.load(page[4 : end.start()], Loader=yaml.BaseLoader)  # noqa: S506
    except (yaml.YAMLError, ValueError, RecursionError):
        return {}, page
    return (fields, page[end.end() :]) if isinstance(fields, dict) else ({}, page)


def sections(page: str) -> Iterator[Section]:
    """The page cut at its headings (`#` to `######`), in order, those without text of their own left out."""
    path: list[tuple[int, str]] = []
    lines: list[str] = []
    fence = ""
    for row in page.split("\n"):
        if mark := _FENCE.match(row):
            fence = "" if fence == mark[1] else fence or mark[1]
        heading = None if fence else _HEADING.match(row)
        if heading is None:
            lines.append(row)
            continue
        yield from _section(path, lines)
        level = len(heading[1])
        path = [(above, name) for above, name in path if above < level] + [(level, _heading_text(heading[2]))]
        lines = []
    yield from _section(path, lines)


def inline_tags(text: str) -> list[str]:
    """The `#tags` in a text, outside fenced blocks."""
    return _TAG.findall(_FENCED.sub("", text))


def without_links(text: str) -> str:
    """Obsidian's `[[page|words]]` as the words that a reader sees; embedded files go."""
    return _LINK.sub(_shown, _EMBED.sub("", text))


def split_at_paragraphs(text: str, max_chars: int) -> list[str]:
    """`text` in pieces of at most `max_chars`, cut at an empty line, else at a line's end, a space, or anywhere."""
    pieces = []
    while len(text) > max_chars:
        cut = next((at for sign in ("\n\n", "\n", " ") if (at := text.rfind(sign, 1, max_chars)) > 0), max_chars)
        pieces.append(text[:cut].rstrip())
        text = text[cut:].lstrip()
    return [piece for piece in (*pieces, text) if piece]


def _section(path: list[tuple[int, str]], lines: list[str]) -> Iterator[Section]:
    text = "\n".join(lines).strip()
    if text:
        yield Section(tuple(name for _, name in path), text)


def _heading_text(written: str) -> str:
    """A heading without its closing `#`s and links; those of "C#" are no closing ones."""
    bare = written.rstrip().rstrip("#")
    name = bare if bare.endswith((" ", "\t")) else written
    return without_links(name).strip() or written.strip()


def _shown(link: re.Match[str]) -> str:
    page, words = link[1], link[2]
    target, _, place = page.partition("#")
    return (words or target or place).strip()
