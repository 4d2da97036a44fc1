"""Shows progress: a bar with loss and ETA on a terminal, plain lines elsewhere. All of it goes to stderr."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bars

from metahuman_core.progress import Progress

_LINE_EVERY_S = 10.0
_MIB = 1 << 20
_COUNT_COLUMNS = 18
_NAMES = {
    "study": "Asking about memories",
    "fetch": "Fetching the base",
    "rebuild": "Rebuilding",
    "dataset": "Making the dataset",
    "train": "Training",
    "evaluate": "Measuring",
    "gentler": "Not passed",
    "weights": "Merging and quantising",
    "check": "Checking the GGUF",
    "report": "Writing the report",
    "register": "Registering",
    "publish": "Publishing",
    "verify": "Verifying",
    "copy": "Copying",
    "hash": "Hashing",
    "stop": "Stopping",
}


class ProgressView:
    """Takes `Progress` after `Progress`, and shows it. Use as a context manager."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False)
        self._bars: Bars | None = None
        self._task: TaskID | None = None
        self._step = ""
        self._began_s = time.monotonic()
        self._last_line_s = 0.0

    def __enter__(self) -> Self:
        if sys.stderr.isatty():
            columns = (
                TextColumn("{task.description:<22}"),
                BarColumn(bar_width=24),
                TextColumn(f"{{task.fields[count]:<{_COUNT_COLUMNS}}}"),
                TextColumn("{task.fields[loss]:<10}"),
                TimeElapsedColumn(),
                TextColumn("ETA"),
                TimeRemainingColumn(),
            )
            self._bars = Bars(*columns, console=self._console, transient=False)
            self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        if self._bars:
            self._bars.stop()

    def __call__(self, progress: Progress) -> None:
        """Show it."""
        if self._bars:
            self._bar(self._bars, progress)
        else:
            self._line(progress)

    def _bar(self, bars: Bars, progress: Progress) -> None:
        name = _NAMES.get(progress.step, progress.step)
        if progress.step != self._step:
            if self._task is not None:
                bars.update(self._task, total=1, completed=1)
                bars.stop_task(self._task)
            self._step = progress.step
            self._task = bars.add_task(name, total=None, count="", loss="")
        assert self._task is not None  # noqa: S101  # made above, at the first step
        loss = "" if progress.loss is None else f"loss {progress.loss:.2f}"
        if len(progress.note) > _COUNT_COLUMNS:
            bars.console.print(f"{name}: {progress.note}", markup=False)
        count = _count(progress) or progress.note[:_COUNT_COLUMNS]
        bars.update(self._task, total=progress.total or None, completed=progress.done, count=count, loss=loss)

    def _line(self, progress: Progress) -> None:
        now = time.monotonic()
        new = progress.step != self._step
        if new:
            self._step, self._began_s = progress.step, now
        ended = bool(progress.total) and progress.done >= progress.total
        if not (new or ended or progress.note or now - self._last_line_s >= _LINE_EVERY_S):
            return
        self._last_line_s = now
        parts = [_NAMES.get(progress.step, progress.step), _count(progress), progress.note]
        if progress.loss is not None:
            parts.append(f"loss {progress.loss:.2f}")
        if 0 < progress.done < progress.total:
            left_s = (now - self._began_s) / progress.done * (progress.total - progress.done)
            parts.append(f"ETA {left_s / 60:.1f} min" if left_s > 90 else f"ETA {left_s:.0f} s")  # noqa: PLR2004
        self._console.print("  ".join(part for part in parts if part), markup=False, soft_wrap=True)


def _count(progress: Progress) -> str:
    if not progress.total:
        return ""
    if progress.unit == "bytes":
        return f"{progress.done / _MIB:.0f}/{progress.total / _MIB:.0f} MiB"
    return f"{progress.done:.0f}/{progress.total:.0f} {progress.unit}"
