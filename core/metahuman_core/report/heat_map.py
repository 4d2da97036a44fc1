"""Draws the R matrix: which share of each batch every version of the line recalled. An SVG that needs nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from metahuman_core.report.facts import Row
from metahuman_core.report.markup import text

_SIDE = 640
_LARGEST, _SMALLEST = 46, 9
_LEFT, _TOP = 64, 44
_FOR_NUMBERS = 26  # pixels that a cell with a number in it needs
_DARK = 0.55  # from which share on the number is white
_LABELS = 24  # at most so many labels on a side


def heat_map(rows: Sequence[Row], names: Mapping[str, str]) -> str:
    """Versions downwards, batches to the right, each in the order in which they were trained.

    `names`: what a batch (run label) is called; one that is not named is called by its day.
    """
    batches = sorted({batch for row in rows for batch in row.recall})
    cell = max(_SMALLEST, min(_LARGEST, _SIDE // max(len(rows), len(batches), 1)))
    width, height = _LEFT + cell * len(batches) + 8, _TOP + cell * len(rows) + 8
    parts = [
        f'<text x="{_LEFT}" y="14">batch of version</text>',
        f'<text x="0" y="{_TOP - 8}">version</text>',
    ]
    for at, batch in enumerate(batches):
        if _labelled(at, len(batches)):
            x = _LEFT + cell * at + cell / 2
            parts.append(f'<text x="{x:g}" y="{_TOP - 8}" text-anchor="middle">{_name(batch, names)}</text>')
    for down, row in enumerate(rows):
        y = _TOP + cell * down
        if _labelled(down, len(rows)):
            parts.append(f'<text x="{_LEFT - 8}" y="{y + cell / 2 + 4:g}" text-anchor="end">{text(row.name)}</text>')
        for at, batch in enumerate(batches):
            if batch in row.recall:
                parts.append(_cell(row, batch, names, _LEFT + cell * at, y, cell))
    # As wide as it is drawn: scaled down, a large one could not be read.
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}">\n<title>The share of each batch that every version recalled</title>\n'
        + "\n".join(parts)
        + "\n</svg>"
    )


def _cell(row: Row, batch: str, names: Mapping[str, str], x: int, y: int, cell: int) -> str:
    share = min(1.0, max(0.0, row.recall[batch]))
    told = text(f"version {row.name}, batch of version {names.get(batch, batch)}: {share:.0%}")
    number = ""
    if cell >= _FOR_NUMBERS:
        kind = ' class="on-dark"' if share >= _DARK else ""
        number = (
            f'<text x="{x + cell / 2:g}" y="{y + cell / 2 + 4:g}" text-anchor="middle"{kind}>{share * 100:.0f}</text>'
        )
    return (
        f'<g><title>{told}</title><rect class="cell" x="{x}" y="{y}" width="{cell - 1}" height="{cell - 1}" '
        f'fill-opacity="{0.07 + 0.93 * share:.2f}"/>{number}</g>'
    )


def _labelled(at: int, count: int) -> bool:
    """Every one, or every fifth, tenth … and the last, with no other beside it."""
    every = next(step for step in (1, 5, 10, 20, 50, 100, count) if count <= step * _LABELS or step == count)
    return at == count - 1 or ((at + 1) % every == 0 and (every == 1 or count - 1 - at > every // 2))


def _name(batch: str, names: Mapping[str, str]) -> str:
    return text(names.get(batch, batch[5:10]))
