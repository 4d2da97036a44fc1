"""Tells what was measured: tables for a terminal or in Markdown, and the bench's one JSON object."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from lifelong.scores import Corrected, Interval
from lifelong.strategies import CUMULATIVE, NAIVE, OURS
from lifelong.summaries import Goal, Summary
from report import Result, machine, table

_MIB = 1 << 20
_HEAD = (
    "",
    "seeds",
    "BWT",
    "forgetting",
    "forward",
    "learned",
    "recall at the end",
    "general loss",
    "prose",
    "corrected: new, old",
    "at the end",
    "s a version",
    "MiB a version",
)


def summary_rows(summaries: Sequence[Summary]) -> list[tuple[str, ...]]:
    """One row for each strategy: points, shares in per cent, seconds, MiB."""
    return [
        (
            one.strategy,
            str(one.seeds),
            _points(one.bwt),
            f"{100 * one.forgetting:.1f}",
            f"{100 * one.forward:+.1f}",
            _per_cent(one.learned),
            _per_cent(one.recall),
            f"{100 * one.general.mean:+.1f} [{100 * one.general.low:+.1f}, {100 * one.general.high:+.1f}]",
            f"{100 * one.prose:+.1f}",
            _corrected(one.corrected_then),
            _corrected(one.corrected_last),
            f"{one.train_s:.0f}",
            f"{one.version_bytes / _MIB:.1f}",
        )
        for one in summaries
    ]


def matrix_rows(summary: Summary) -> list[tuple[str, ...]]:
    """R in per cent: one row for each version, one column for each batch."""
    return [
        (f"version {number}" if number else "base", *map(_per_cent, row)) for number, row in enumerate(summary.matrix)
    ]


def for_people(summaries: Sequence[Summary], goals: Sequence[Goal]) -> str:
    """All of it for a terminal."""
    parts = [
        f"{one.strategy}: recall of unseen phrasings, per cent [95 % interval]\n"
        + table(_matrix_head(one), matrix_rows(one))
        for one in summaries
    ]
    parts.append(table(_HEAD, summary_rows(summaries)))
    parts.append("\n".join(_goal_line(goal) for goal in goals))
    return "\n\n".join(part for part in parts if part)


def markdown(summaries: Sequence[Summary], goals: Sequence[Goal], what: str) -> str:
    """The same as a page."""
    parts = [what, _markdown_table(_HEAD, summary_rows(summaries))]
    if goals:
        rows = [(goal.told, f"{goal.mean:.3g}", f"{goal.worst:.3g}", f"{goal.most:g}", goal.verdict) for goal in goals]
        parts.append(_markdown_table(("goal for ours", "mean", "worse end", "at most", ""), rows))
    parts += [
        f"R, {one.strategy}, per cent:\n\n{_markdown_table(_matrix_head(one), matrix_rows(one))}" for one in summaries
    ]
    return "\n\n".join(parts) + "\n"


def result(
    summaries: Mapping[str, Summary], goals: Sequence[Goal], missing: Mapping[str, float], folder: Path
) -> Result:
    """The bench's result. What counts for a goal is the worse end of its interval."""
    measured = {goal.name: goal.mean for goal in goals} | {f"{goal.name}_at_worst": goal.worst for goal in goals}
    most = {f"{goal.name}_at_worst": goal.most for goal in goals} | {
        f"{name}_at_worst": value for name, value in missing.items()
    }
    return Result(
        "forgetting",
        machine(folder),
        {**_numbers(summaries.get(OURS)), **measured},
        peer=_numbers(summaries.get(NAIVE)),
        floor=_numbers(summaries.get(CUMULATIVE)),
        ratio={},
        goal=most,
    )


def _numbers(summary: Summary | None) -> dict[str, float]:
    if summary is None:
        return {}
    return {
        "seeds": summary.seeds,
        "bwt_points": 100 * summary.bwt.mean,
        "forgetting_points": 100 * summary.forgetting,
        "forward_points": 100 * summary.forward,
        "recall_learned": summary.learned.mean,
        "recall": summary.recall.mean,
        "general_change": summary.general.mean,
        "prose_change": summary.prose,
        "corrected_new": summary.corrected_then.new,
        "corrected_old": summary.corrected_then.old,
        "version_s": summary.train_s,
        "version_mib": summary.version_bytes / _MIB,
    }


def _goal_line(goal: Goal) -> str:
    return (
        f"{goal.verdict}: {goal.told} ({goal.name} {goal.mean:.3g}, at worst {goal.worst:.3g}, at most {goal.most:g})"
    )


def _matrix_head(summary: Summary) -> tuple[str, ...]:
    return ("", *(f"batch {number}" for number in range(1, len(summary.matrix[0]) + 1)))


def _markdown_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _points(told: Interval) -> str:
    return f"{100 * told.mean:+.1f} [{100 * told.low:+.1f}, {100 * told.high:+.1f}]"


def _per_cent(told: Interval) -> str:
    return f"{100 * told.mean:.0f} [{100 * told.low:.0f}, {100 * told.high:.0f}]"


def _corrected(told: Corrected) -> str:
    return f"{100 * told.new:.0f} %, {100 * told.old:.0f} %" if told.facts else "-"
