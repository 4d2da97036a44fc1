"""Showing what others have named: no control character of a file's name may reach a terminal or break a line."""

from __future__ import annotations


def visible(text: str) -> str:
    """A text in which all that does not print (control characters, turned writing, halves of characters) is spelt."""
    return text if text.isprintable() else "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
