"""A training under the shipped unit: stopped, killed and resumed by a real systemd."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "component" / "systemd"))  # the tests are no package

from nest import Nest, booted, why_not

from metahuman_core.layout import ProfilePaths
from metahuman_core.registry import Registry, load_registry
from metahuman_daemon.service.status_file import read_status

if TYPE_CHECKING:
    from conftest import Root

ROOT = "/var/lib/metahuman"
PATIENCE_S = 240.0
# The tests share the machine's few cores.
_QUIET = "[Service]\nEnvironment=OMP_NUM_THREADS=1 OMP_WAIT_POLICY=PASSIVE\nRestartSec=0.2\n"
_DAEMON = '\n[daemon]\nthreshold = 4\nallowed_hours = ""\nquiet_s = 0.3\nmax_load = 0.0\ncool_down_hours = 1\n'

pytestmark = [pytest.mark.skipif(bool(reason := why_not()), reason=reason), pytest.mark.slow]


class Served:
    """A root with version 1 and four memories that are new, served in a nest."""

    def __init__(self, nest: Nest) -> None:
        self.nest = nest
        self.folder = nest.root / ROOT.lstrip("/")
        self.paths = ProfilePaths(self.folder, "ines")

    def registry(self) -> Registry:
        registry = load_registry(self.folder / "etc/model-registry.json")
        assert registry is not None
        return registry

    def until(self, what: Callable[[], Any]) -> Any:
        """Wait until it is so, and give it."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            if found := what():
                return found
            time.sleep(0.1)
        raise AssertionError(self.nest.journal()[-4000:])

    def until_step(self, done: int) -> None:
        """Wait until so many steps are trained."""

        def is_there() -> bool:
            status = read_status(self.paths)
            job = status.daemon.job if status and status.daemon else None
            return job is not None and job.step == "train" and job.done >= done

        self.until(is_there)

    def until_version_2(self) -> None:
        self.until(lambda: self.registry().find(2))

    def unfinished(self) -> Path:
        """The run that left checkpoints."""
        (run_dir,) = (d for d in self.paths.run_dirs() if any(d.glob("checkpoints/*")))
        return run_dir


@pytest.fixture
def served(grown: Root) -> Iterator[Served]:
    grown.set("training", "epochs = 60")  # so many steps that there is time to disturb it
    with booted() as nest:
        nest.copy_in(grown.folder, ROOT)
        config = grown.config.read_text(encoding="utf-8").replace('root = "."', f'root = "{ROOT}"')
        nest.write("/etc/metahuman/config.toml", config + _DAEMON)
        nest.drop_in("quiet", _QUIET)
        nest.systemctl("start", "metahuman")
        yield Served(nest)


def test_stopped_in_mid_training_it_leaves_a_checkpoint_and_the_next_start_goes_on(served: Served) -> None:
    served.until_step(6)
    served.nest.systemctl("stop", "metahuman")
    assert served.nest.shown("ActiveState", "Result") == {"ActiveState": "inactive", "Result": "success"}
    assert served.nest.processes() == []
    label = served.unfinished().name
    served.nest.systemctl("start", "metahuman")
    served.until_version_2()
    assert served.registry().training_history[-1].run_label == label


def test_killed_with_everything_in_mid_training_it_goes_on_by_itself(served: Served) -> None:
    served.until_step(6)
    label = served.unfinished().name
    served.nest.systemctl("kill", "--signal=SIGKILL", "metahuman")
    served.nest.wait_for(NRestarts="1", ActiveState="active")
    served.until_version_2()
    assert served.registry().training_history[-1].run_label == label


def test_a_daemon_that_hangs_takes_its_training_along_and_both_go_on(served: Served) -> None:
    served.until_step(6)
    label = served.unfinished().name
    served.nest.drop_in("short", "[Service]\nWatchdogSec=3\nTimeoutAbortSec=1\n")
    served.nest.systemctl("restart", "metahuman")  # with the shorter patience
    served.until_step(8)
    served.nest.signal(signal.SIGSTOP)
    served.nest.wait_for(NRestarts="1", ActiveState="active")
    served.until_version_2()
    assert served.registry().training_history[-1].run_label == label


def test_a_training_that_is_killed_leaves_the_daemon_alive(served: Served) -> None:
    served.until_step(4)
    main = served.nest.main_pid()
    for pid in served.nest.processes():
        if b"metahuman_daemon.child" in (served.nest.root / f"proc/{pid}/cmdline").read_bytes():
            served.nest.signal(signal.SIGKILL, pid)
    served.nest.wait_for_word("SIGKILL")
    assert served.nest.shown("ActiveState", "MainPID") == {"ActiveState": "active", "MainPID": str(main)}
    assert len(served.registry().training_history) == 1
