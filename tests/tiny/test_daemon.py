"""The daemon makes versions by itself, of a tiny base: with real processes, signals, locks and files."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "ollama"))  # the tests are no package

from double import OllamaDouble

from metahuman_core.layout import ProfilePaths, cycle_lock_path
from metahuman_core.locks import cycle_lock
from metahuman_core.ollama.client import OllamaClient
from metahuman_daemon.service.control import ask
from metahuman_daemon.service.status_file import ProfileStatus, read_status

if TYPE_CHECKING:
    from conftest import Root

MEMORIES = (
    "I have a new dog, a grey terrier whose name is Pico.",
    "Since March I work in the lighthouse museum on Culatra.",
    "User: What did you plant this year?\n\nAssistant: Three lemon trees, next to the well.",
    "My neighbour Amalia lent me her ladder to paint the shutters green.",
)
PATIENCE_S = 200.0


class Daemon:
    """A `metahuman run` of a root."""

    def __init__(self, root: Root, environment: dict[str, str]) -> None:
        self.root = root
        self.paths = ProfilePaths(root.folder, "ines")
        self.log = root.folder / "daemon.log"
        command = [sys.executable, "-m", "metahuman_daemon.cli", "run", "--config", str(root.config)]
        with self.log.open("ab") as errors:
            self.process = subprocess.Popen(command, stdout=errors, stderr=errors, env=environment, cwd=root.folder)

    def status(self) -> ProfileStatus | None:
        return read_status(self.paths)

    def until(self, what: Callable[[], Any]) -> Any:
        """Wait until it is so, and give it."""
        until_s = time.monotonic() + PATIENCE_S
        while time.monotonic() < until_s:
            if found := what():
                return found
            assert self.process.poll() is None, self.log.read_text(encoding="utf-8")[-3000:]
            time.sleep(0.05)
        raise AssertionError(self.log.read_text(encoding="utf-8")[-3000:])

    def until_state(self, *states: str) -> ProfileStatus:
        return self.until(lambda: (s := self.status()) and s.daemon and s.daemon.state in states and s)

    def until_version(self, number: int) -> None:
        self.until(lambda: self.root.registry().find(number))

    def until_step(self, step: str, done: int = 1) -> ProfileStatus:
        return self.until(
            lambda: (
                (s := self.status())
                and s.daemon
                and s.daemon.job
                and s.daemon.job.step == step
                and s.daemon.job.done >= done
                and s
            )
        )

    def trainer(self) -> psutil.Process:
        """The process of the cycle, which the job has started."""
        return self.until(
            lambda: next(
                (
                    child
                    for child in psutil.Process(self.process.pid).children(recursive=True)
                    if "metahuman_daemon.child" in child.cmdline()
                ),
                None,
            )
        )

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE_S)


@pytest.fixture
def hands_off(grown: Root) -> Root:
    """A root with version 1 and four memories that are new; the daemon may train them at any hour."""
    with grown.config.open("a", encoding="utf-8") as config:
        config.write(
            '[daemon]\nthreshold = 4\nallowed_hours = ""\nquiet_s = 0.3\nmax_load = 0.0\ncool_down_hours = 1\n'
        )
    return grown


@pytest.fixture
def start(environment: dict[str, str]) -> Iterator[Callable[[Root], Daemon]]:
    """Start daemons, which end with the test."""
    started: list[Daemon] = []

    def begin(root: Root) -> Daemon:
        started.append(Daemon(root, environment))
        return started[-1]

    yield begin
    for daemon in started:
        if daemon.process.poll() is None:
            daemon.process.kill()
            daemon.process.wait()


def long_training(root: Root, epochs: int = 40) -> None:
    """So many steps that there is time to disturb it."""
    root.set("training", f"epochs = {epochs}")
    root.set("training", "checkpoint_every_steps = 1000")


@contextmanager
def used_ollama(folder: Path) -> Iterator[OllamaDouble]:
    with OllamaDouble("0.33.0-rc2", folder) as double:
        yield double


def test_memories_that_come_make_version_2_by_themselves(new_grown: Root, start: Callable[[Root], Daemon]) -> None:
    daemon = start(new_grown)
    waiting = daemon.until_state("waiting")
    assert waiting.daemon is not None
    assert waiting.daemon.why.startswith("waits for memories: 0 new memories")
    new_grown.remember(MEMORIES, "2031-03-04")
    daemon.until_version(2)
    one, two = new_grown.registry().training_history
    assert (two.parent_version, two.outcome, one.outcome) == (1, "live", "superseded")
    assert two.memories_trained == 4
    done = daemon.until(lambda: (s := daemon.status()) and s.seen.live_version == 2 and s)
    assert (done.seen.pending, done.seen.memories.due) == (0, 0)
    assert daemon.stop() == 0


@pytest.fixture
def new_grown(hands_off: Root) -> Root:
    """The same, but that the four memories are not there yet."""
    for path in (hands_off.folder / "profiles" / "ines" / "memory" / "episodic" / "2031" / "03" / "04").iterdir():
        path.unlink()
    path.parent.rmdir()
    return hands_off


def test_a_cycle_makes_way_for_everybody_and_holds_the_lock(hands_off: Root, start: Callable[[Root], Daemon]) -> None:
    long_training(hands_off)
    daemon = start(hands_off)
    daemon.until_step("train")
    trainer = daemon.trainer()
    assert trainer.nice() == 19
    assert trainer.ionice().ioclass == psutil.IOPRIO_CLASS_IDLE
    assert os.getpgid(trainer.pid) == trainer.pid
    assert Path(f"/proc/{trainer.pid}/oom_score_adj").read_text(encoding="ascii").strip() == "500"
    assert hands_off.fine_tune().code == 75
    mapped = Path(f"/proc/{daemon.process.pid}/maps").read_text(encoding="ascii", errors="replace")
    assert "libtorch" not in mapped
    # A person's command that changes versions has it stop at a checkpoint, and need not wait for its end.
    said = hands_off.metahuman("reset")
    assert said.code == 0
    assert "makes a checkpoint" in said.err
    assert "is thrown away" in said.err
    assert "it makes way for reset of profile ines" in daemon.log.read_text(encoding="utf-8")
    assert daemon.stop() == 0
    assert hands_off.registry().current_base_model == hands_off.registry().original_base_model
    assert not any((run_dir / "checkpoints").exists() for run_dir in daemon.paths.run_dirs())


def test_stopped_in_mid_training_it_leaves_a_checkpoint_and_the_next_start_goes_on(
    hands_off: Root, start: Callable[[Root], Daemon]
) -> None:
    long_training(hands_off)
    daemon = start(hands_off)
    daemon.until_step("train", 6)
    assert daemon.stop() == 0
    (unfinished,) = (d for d in daemon.paths.run_dirs() if (d / "checkpoints").is_dir())
    assert any((unfinished / "checkpoints").iterdir())
    assert len(hands_off.registry().training_history) == 1
    again = start(hands_off)
    again.until_version(2)
    assert hands_off.registry().training_history[-1].run_label == unfinished.name
    said = again.log.read_text(encoding="utf-8")
    assert f"run {unfinished.name} is unfinished" in said
    assert again.stop() == 0


def test_a_cycle_that_is_killed_is_told_and_its_memories_stay_due(
    hands_off: Root, start: Callable[[Root], Daemon]
) -> None:
    long_training(hands_off)
    daemon = start(hands_off)
    daemon.until_step("train", 4)
    os.kill(daemon.trainer().pid, signal.SIGKILL)
    status = daemon.until_state("waiting")
    assert status.daemon is not None
    assert status.daemon.last_error is not None
    assert "killed by SIGKILL" in status.daemon.last_error.what
    assert "waits until" in status.daemon.why
    assert status.seen.pending == 4
    hands_off.set("training", "epochs = 3")
    daemon.process.send_signal(signal.SIGHUP)
    daemon.until(lambda: "the config was read again" in daemon.log.read_text(encoding="utf-8"))
    assert ask(hands_off.folder, do="train-now", profile="ines") == {"done": ["ines"]}
    daemon.until_version(2)
    assert "failed with other settings: thrown away" in daemon.log.read_text(encoding="utf-8")
    assert daemon.stop() == 0


@pytest.mark.slow
def test_pausing_stops_a_cycle_at_a_checkpoint_and_resume_goes_on(
    hands_off: Root, start: Callable[[Root], Daemon]
) -> None:
    long_training(hands_off)
    daemon = start(hands_off)
    daemon.until_step("train", 4)
    assert hands_off.metahuman("pause").code == 0
    status = daemon.until_state("paused")
    assert status.daemon is not None
    assert status.daemon.why.startswith("paused since ")
    assert status.seen.pending == 4
    assert hands_off.metahuman("resume").code == 0
    daemon.until_version(2)
    assert len(daemon.paths.run_dirs()) == 2
    assert daemon.stop() == 0


@pytest.mark.slow
def test_it_yields_to_somebody_who_uses_ollama_and_goes_on_when_they_are_gone(
    hands_off: Root, start: Callable[[Root], Daemon], tmp_path: Path
) -> None:
    long_training(hands_off, epochs=100)  # Ollama is asked every 15 seconds
    hands_off.set("daemon", "ollama_idle_minutes = 0.1")
    with used_ollama(tmp_path / "models") as ollama:
        hands_off.set("ollama", f'host = "{ollama.url}"')
        hands_off.set("ollama", "enabled = true")
        assert hands_off.metahuman("publish", "1").code == 0
        daemon = start(hands_off)
        daemon.until_step("train", 2)
        with OllamaClient(ollama.url) as client:
            client.chat("ines:latest", [("user", "Are you there?")])
        daemon.until(lambda: "Ollama is used" in daemon.log.read_text(encoding="utf-8"))
        waiting = daemon.until_state("waiting")
        assert waiting.daemon is not None
        assert "Ollama" in waiting.daemon.why or "made way" in waiting.daemon.why
        daemon.until_version(2)
        daemon.until(lambda: hands_off.registry().training_history[-1].publication == "done")
        assert daemon.stop() == 0
    assert len(daemon.paths.run_dirs()) == 2


def test_a_publication_waits_for_a_server_and_is_made_up_for(
    hands_off: Root, start: Callable[[Root], Daemon], tmp_path: Path
) -> None:
    hands_off.set("daemon", "threshold = 1000")
    with used_ollama(tmp_path / "models") as ollama:
        hands_off.set("ollama", f'host = "{ollama.url}"')
        hands_off.set("ollama", "enabled = true")
        ollama.stop()
        registry = json.loads((hands_off.folder / "etc" / "model-registry.json").read_text(encoding="utf-8"))
        registry["training_history"][0]["publication"] = "due"
        (hands_off.folder / "etc" / "model-registry.json").write_text(json.dumps(registry), encoding="utf-8")
        daemon = start(hands_off)
        daemon.until(lambda: (s := daemon.status()) and s.daemon and s.daemon.last_error)
        ollama.start()
        hands_off.set("daemon", "threshold = 1001")
        daemon.process.send_signal(signal.SIGHUP)  # a new start, as it were: all is tried at once
        daemon.until(lambda: hands_off.registry().training_history[0].publication == "done")
        assert daemon.stop() == 0


def test_another_command_that_holds_the_lock_is_waited_for(hands_off: Root, start: Callable[[Root], Daemon]) -> None:
    with cycle_lock(cycle_lock_path(hands_off.folder), "another run"):
        daemon = start(hands_off)
        status = daemon.until(
            lambda: (s := daemon.status()) and s.daemon and "another command is running" in s.daemon.why and s
        )
        assert status.daemon is not None
        assert status.daemon.last_error is None
    assert daemon.stop() == 0
