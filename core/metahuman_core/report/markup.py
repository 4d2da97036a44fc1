"""The few pieces of HTML that a report is made of.

Invariant: whatever comes in as text is escaped here, and nowhere is text put into a page otherwise. `Html` is what was
made by these functions.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from html import escape
from typing import NewType

Html = NewType("Html", str)
_NO_TEXT = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


def text(value: str) -> Html:
    """Text as it may stand in a page or in an attribute; what no page may hold becomes a replacement character."""
    return Html(escape(_NO_TEXT.sub("\ufffd", value)))


def joined(parts: Iterable[Html]) -> Html:
    """One behind the other."""
    return Html("\n".join(parts))


def paragraph(value: str, kind: str = "") -> Html:
    """A paragraph of text; `kind` is a class of the style sheet."""
    return Html(f"<p{_kind(kind)}>{text(value)}</p>")


def bullets(lines: Iterable[str]) -> Html:
    """A list of texts; nothing for none."""
    items = "".join(f"<li>{text(line)}</li>" for line in lines)
    return Html(f"<ul>{items}</ul>" if items else "")


def table(heads: Sequence[str], rows: Iterable[Sequence[str]], numbers: Iterable[int] = ()) -> Html:
    """A table of texts; `numbers`: the columns that are set to the right. Wide ones are scrolled, and not the page."""
    right = set(numbers)

    def cells(tag: str, row: Sequence[str]) -> str:
        return "".join(f"<{tag}{_kind('n' if at in right else '')}>{text(cell)}</{tag}>" for at, cell in enumerate(row))

    head = f"<thead><tr>{cells('th', heads)}</tr></thead>" if any(heads) else ""
    body = "".join(f"<tr>{cells('td', row)}</tr>" for row in rows)
    return Html(f'<div class="wide"><table>{head}<tbody>{body}</tbody></table></div>')


def section(title: str, *parts: Html) -> Html:
    """A part of the page under its heading."""
    return Html(f"<section><h2>{text(title)}</h2>\n{joined(part for part in parts if part)}\n</section>")


def folded(title: str, *parts: Html) -> Html:
    """What is shown when somebody asks for it."""
    return Html(f"<details><summary>{text(title)}</summary>\n{joined(parts)}\n</details>")


def picture(svg: str, kind: str) -> Html:
    """A picture, inline. `svg` was made by us."""
    return Html(f'<figure class="wide {kind}">{svg}</figure>')


def _kind(kind: str) -> str:
    return f' class="{kind}"' if kind else ""
