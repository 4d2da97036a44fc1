"""Draws `loss.svg`: one small picture, written by hand so that it needs no library to make and none to look at."""

from __future__ import annotations

from collections.abc import Sequence

_WIDTH, _HEIGHT, _MARGIN = 640, 240, 40


def loss_svg(points: Sequence[tuple[int, float]]) -> str:
    """An SVG of (step, loss); the steps run to the right, the loss from zero upwards."""
    last = max((step for step, _ in points), default=1)
    top = max((loss for _, loss in points), default=1.0) or 1.0

    def x(step: float) -> float:
        return _MARGIN + (_WIDTH - 2 * _MARGIN) * step / max(last, 1)

    def y(loss: float) -> float:
        return _HEIGHT - _MARGIN - (_HEIGHT - 2 * _MARGIN) * loss / top

    line = " ".join(f"{x(step):.1f},{y(loss):.1f}" for step, loss in points)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
        'font-family="sans-serif" font-size="12">\n'
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="white"/>\n'
        f'<path d="M{_MARGIN},{_MARGIN} V{_HEIGHT - _MARGIN} H{_WIDTH - _MARGIN}" fill="none" stroke="#888"/>\n'
        f'<polyline points="{line}" fill="none" stroke="#1f6feb" stroke-width="1.5"/>\n'
        f'<text x="{_MARGIN}" y="{_MARGIN - 8}">loss {top:.2f}</text>\n'
        f'<text x="{_WIDTH - _MARGIN}" y="{_HEIGHT - _MARGIN + 18}" text-anchor="end">step {last}</text>\n'
        "</svg>\n"
    )
