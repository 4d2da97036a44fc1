"""A conversation written down as one text: `User: …`, an empty line, `Assistant: …`, and so on.

Invariant: nothing that was said is lost or added; only the speakers' labels and the quotation marks around the whole
of `Me: "…"` go.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from metahuman_core.memories.model import Role, Turn

if TYPE_CHECKING:
    from collections.abc import Iterator

_ROLE_BY_LABEL: dict[str, Role] = {
    "User": "user",
    "Human": "user",
    "Me": "user",
    "Assistant": "assistant",
    "MetaHuman": "assistant",
    "AI": "assistant",
}
_LABEL = rf"({'|'.join(_ROLE_BY_LABEL)}):"
_AFTER_EMPTY_LINE = re.compile(rf"(?:\A|\n[ \t]*\n){_LABEL}")
_AT_LINE_START = re.compile(rf"^{_LABEL}", re.MULTILINE)


def transcript(content: str) -> tuple[Turn, ...]:
    """The turns of a text that begins with a speaker's label; none if it does not."""
    content = content.replace("\r\n", "\n").strip()
    if not _AT_LINE_START.match(content):
        return ()
    # A label inside what somebody says seldom follows an empty line, so that is the split to trust; one that leaves
    # everything to a single speaker was written with single line ends.
    turns = tuple(_turns(_AFTER_EMPTY_LINE, content))
    if len({turn.role for turn in turns}) > 1:
        return turns
    return tuple(_turns(_AT_LINE_START, content))


def _turns(label: re.Pattern[str], content: str) -> Iterator[Turn]:
    _, *pieces = label.split(content)
    for name, said in zip(pieces[::2], pieces[1::2], strict=True):
        text = said.strip()
        if name in ("Me", "MetaHuman"):
            text = _unquoted(text)
        if text:
            yield Turn(_ROLE_BY_LABEL[name], text)


def _unquoted(text: str) -> str:
    is_quoted = len(text) > 1 and text[0] == text[-1] == '"'
    return text[1:-1].strip() if is_quoted else text
