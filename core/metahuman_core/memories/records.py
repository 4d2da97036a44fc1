"""Streams of JSON objects: the items of an export's list, the lines of a training file.

Invariant: a record that cannot be read harms no other. Units are the records' own ids where conversations have them,
else their numbers, so that a file that grows at its end only adds units.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from metahuman_core.memories.exports import conversation_id, is_conversation
from metahuman_core.memories.messages import Exchanges, Message, role_of, words
from metahuman_core.memories.model import Memory, Skipped
from metahuman_core.memories.objects import read_object
from metahuman_core.memories.opened import UnreadableError, larger_than
from metahuman_core.memories.origin import UnitNames
from metahuman_core.memories.strict_json import parse_object
from metahuman_core.memories.when import moment, path_moment

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from metahuman_core.memories.origin import Origin, Outcome
    from metahuman_core.memories.streams import Piece
    from metahuman_core.memories.strict_json import JsonObject

_MAX_LISTED = 100


def read_records(pieces: Iterable[Piece], origin: Origin) -> Iterator[Outcome]:
    """The memories of a stream, in its order.

    Records that are bare messages (`{role, content}`) are together one conversation, cut into exchanges.
    """
    return _listing_some(_outcomes(pieces, origin), origin)


def _outcomes(pieces: Iterable[Piece], origin: Origin) -> Iterator[Outcome]:
    thread, units = Exchanges(origin, kind=origin.kind or "conversation"), UnitNames()
    try:
        for piece in pieces:
            number = str(piece.number)
            try:
                record = _parsed(piece, origin)
            except UnreadableError as error:
                yield origin.at(number).skipped(error.reason)
                continue
            if _is_message(record):
                yield from thread.add(_message(record, number, origin.source))
            else:
                unit = conversation_id(record) if is_conversation(record) else ""
                yield from read_object(record, origin.at(units.name(unit) if unit else number))
        yield from thread.close()
    except UnreadableError as error:  # the stream itself ended badly: what came before it stands
        yield from thread.close()
        yield origin.skipped(error.reason)


def _parsed(piece: Piece, origin: Origin) -> JsonObject:
    if piece.raw is None:
        raise UnreadableError(larger_than(origin.limits.item_bytes))
    return parse_object(piece.raw, origin.limits.max_depth)


def _is_message(record: JsonObject) -> bool:
    return {"role", "content"} <= record.keys()


def _message(record: JsonObject, unit: str, source: str) -> Message:
    at = moment(record.get("timestamp")) or path_moment(source)
    # Whoever is no speaker (a tool, junk) is passed over the way that instructions are.
    return Message(unit, role_of(record["role"]) or "system", words(record["content"]).strip(), at)


def _listing_some(outcomes: Iterable[Outcome], origin: Origin) -> Iterator[Outcome]:
    """A file of a million broken lines is one thing to report, not a million."""
    set_aside = 0
    for outcome in outcomes:
        set_aside += isinstance(outcome, Skipped)
        if isinstance(outcome, Memory) or set_aside <= _MAX_LISTED:
            yield outcome
    if set_aside > _MAX_LISTED:
        yield origin.skipped(f"and {set_aside - _MAX_LISTED} more places in it were set aside")
