"""Lists and lines of JSON of any size, cut into pieces without parsing them.

Invariant: memory is bounded by one chunk and one piece, whatever the file holds: a piece that is too large is passed
over, not collected, and a malformed one harms only itself. Event parsers give neither (they collect a string whatever
its length, end at the first error, and the fast one turns lone surrogates into question marks), and each piece then
goes through the one strict parser, like any other file.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, BinaryIO

from metahuman_core.memories.opened import UnreadableError
from metahuman_core.memories.strict_json import CUT_OFF

if TYPE_CHECKING:
    from collections.abc import Iterator

_CHUNK_BYTES = 1 << 16

_STRING_REST = rb'[^"\\]*+(?:\\.[^"\\]*+)*+"'
_STRING_END = re.compile(_STRING_REST, re.DOTALL)
# A whole string, or a quotation mark and all that follows it (a string that goes on in the next chunk), or one sign.
_TOKEN = re.compile(rb'"' + _STRING_REST + rb'|(".*)|[\[\]{},]', re.DOTALL)
_STEP = {b"[": 1, b"{": 1, b",": 0, b"]": -1, b"}": -1}


@dataclass(frozen=True, slots=True)
class Piece:
    """One item of a list or one line: its number from 1, and its bytes, None where they are more than was allowed."""

    number: int
    raw: bytes | None


@dataclass(slots=True)
class _Collector:
    """Gathers the bytes of one piece, up to a limit."""

    max_bytes: int
    number: int = 0
    _bytes: bytearray = field(default_factory=bytearray)
    _too_large: bool = False

    def add(self, part: bytes) -> None:
        if self._too_large or len(self._bytes) + len(part) > self.max_bytes:
            self._too_large = True
            self._bytes.clear()
        else:
            self._bytes += part

    def is_blank(self) -> bool:
        return not self._too_large and not self._bytes.strip()

    def take(self) -> Piece:
        self.number += 1
        piece = Piece(self.number, None if self._too_large else bytes(self._bytes))
        self._bytes.clear()
        self._too_large = False
        return piece


@dataclass(slots=True)
class _Signs:
    """Finds the brackets and commas that are no part of a string, chunk after chunk."""

    _in_string: bool = False

    def of(self, chunk: bytes) -> Iterator[tuple[int, bytes]]:
        """Each sign's place in the chunk, and the sign."""
        start = 0
        if self._in_string:
            end = _STRING_END.match(chunk)
            if end is None:
                return
            start, self._in_string = end.end(), False
        for token in _TOKEN.finditer(chunk, start):
            sign = token.group()
            if sign in _STEP:
                yield token.start(), sign
            else:  # a string, or (group 1) only the beginning of one
                self._in_string = token[1] is not None


def json_items(file: BinaryIO, max_bytes: int) -> Iterator[Piece]:
    """The items of the JSON list that `file` holds, each of at most `max_bytes`.

    Raises:
        UnreadableError: the list itself is malformed; what was whole before that has been given.
    """
    item, signs, depth = _Collector(max_bytes), _Signs(), 0
    for chunk in _chunks(file):
        kept_to = 0
        for place, sign in signs.of(chunk):
            before, depth = depth, depth + _STEP[sign]
            if before == 0:  # the list begins
                kept_to = place + 1
            elif before == 1 and depth <= 1:  # an item ends, and the list with it or not
                item.add(chunk[kept_to:place])
                kept_to = place + 1
                if sign == b"," or item.number or not item.is_blank():
                    yield item.take()
            if depth <= 0:
                _refuse_more(chunk[kept_to:], file)
                return
        item.add(chunk[kept_to:])
    if not item.is_blank():
        yield item.take()
    raise UnreadableError(CUT_OFF)


def json_lines(file: BinaryIO, max_bytes: int) -> Iterator[Piece]:
    """The lines of `file` that are not blank, each of at most `max_bytes`; a piece's number is the line's."""
    number = 0
    while line := file.readline(max_bytes + 1):
        number += 1
        is_whole = len(line) <= max_bytes or line.endswith(b"\n")
        if not is_whole:
            _pass_over_line(file)
            yield Piece(number, None)
        elif line.strip():
            yield Piece(number, line)


def _chunks(file: BinaryIO) -> Iterator[bytes]:
    """Chunks that never end inside an escape, so that whether a string goes on is all there is to remember."""
    while chunk := file.read(_CHUNK_BYTES):
        backslashes = len(chunk) - len(chunk.rstrip(b"\\"))
        yield chunk + file.read(1) if backslashes % 2 else chunk


def _pass_over_line(file: BinaryIO) -> None:
    while (part := file.readline(_CHUNK_BYTES)) and not part.endswith(b"\n"):
        pass


def _refuse_more(rest: bytes, file: BinaryIO) -> None:
    while not rest.strip():
        rest = file.read(_CHUNK_BYTES)
        if not rest:
            return
    raise UnreadableError("something follows the end of the JSON list")
