"""The parent's side of a child: what a Ctrl-C comes to while that is still starting."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import pytest

from metahuman_core.errors import StoppedError
from metahuman_core.progress import Progress
from metahuman_daemon.worker import run_child

_CTRL_C_BEFORE_ANYTHING = """
import os
import signal

os.kill(os.getppid(), signal.SIGINT)
signal.pause()
"""


@pytest.fixture
def ctrl_c_before_anything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hears_ctrl_c: None) -> None:
    """A child's first deed is to press Ctrl-C."""
    (tmp_path / "sitecustomize.py").write_text(_CTRL_C_BEFORE_ANYTHING, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]))


@pytest.mark.usefixtures("ctrl_c_before_anything")
def test_ctrl_c_before_the_child_listens_for_it_is_a_stop_too(tmp_path: Path) -> None:
    said: list[Progress] = []
    with pytest.raises(StoppedError):
        run_child(["rebuild", "{}"], tmp_path / "log", None, said.append)
    assert [progress.step for progress in said] == ["stop"]


@pytest.mark.usefixtures("ctrl_c_before_anything")
def test_ctrl_c_in_the_instant_before_a_read_is_heard_before_the_child_says_its_next_word(tmp_path: Path) -> None:
    """As then, the signal interrupts no call of the main thread: here, because another one takes it."""
    said: list[Progress] = []
    over = threading.Event()
    other = threading.Thread(target=over.wait)
    other.start()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        with pytest.raises(StoppedError):
            run_child(["rebuild", "{}"], tmp_path / "log", None, said.append)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        over.set()
        other.join()
    assert [progress.step for progress in said] == ["stop"]
