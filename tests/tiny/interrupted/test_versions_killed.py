"""SIGKILL in rebuilding and in rolling back to a version that has to be rebuilt, with the real merge and converter."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from workshop import Ended, Workshop, sabotaged

from metahuman_core.durable import remove
from metahuman_core.registry import update_registry

sys.path.insert(0, str(Path(__file__).parents[2] / "component" / "versions"))  # the tests are no package

from after_a_strike import wrongs
from made_up_root import MadeUpRoot
from striking import copied

if TYPE_CHECKING:
    from conftest import Root

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
_STRIKES = 12


@dataclass(frozen=True)
class Ahead:
    """A root in which version 1 is archived and version 2 live."""

    folder: Path

    def run(self, *words: str, moment: str = "", how: str = "", log: Path | None = None) -> Ended:
        """Run a command on it, struck at a moment."""
        done = subprocess.run(
            [sys.executable, "-m", "metahuman_daemon.cli", *words, "--config", str(self.folder / "config.toml")],
            cwd=self.folder,
            env=sabotaged(self.folder, moment, how, log),
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        return Ended(done.returncode, done.stderr)


@pytest.fixture(scope="module")
def ahead(grow: Callable[[Path], Root], tmp_path_factory: pytest.TempPathFactory) -> Ahead:
    """Shared: copy it."""
    root = grow(tmp_path_factory.mktemp("ahead") / "root")
    root.make_version()
    checked = MadeUpRoot(root.folder)
    update_registry(checked.registry_path, lambda registry: registry.with_fields(1, storage="archived"))
    for part in (checked.parts(1).model, checked.parts(1).gguf):
        remove(part)
    assert wrongs(checked) == []
    return Ahead(root.folder)


@pytest.mark.parametrize("words", [("rebuild", "1"), ("rollback", "1")], ids=["rebuild", "rollback"])
def test_killed_on_its_way_it_comes_to_the_same_end(ahead: Ahead, tmp_path: Path, words: tuple[str, ...]) -> None:
    log = tmp_path / "moments"
    undisturbed = Ahead(copied(ahead.folder, tmp_path / "undisturbed"))
    assert undisturbed.run(*words, log=log).code == 0
    finished = MadeUpRoot(undisturbed.folder).registry
    moments = list(dict.fromkeys(log.read_text(encoding="utf-8").splitlines()))
    assert len(moments) > _STRIKES
    for number in range(_STRIKES):
        moment = moments[number * len(moments) // _STRIKES]
        struck = Ahead(copied(ahead.folder, tmp_path / "struck"))
        root = MadeUpRoot(struck.folder)
        ended = struck.run(*words, moment=moment, how="kill")
        assert ended.code != 0, f"at {moment}: {ended}"
        Workshop(struck.folder, "").wait_for_the_lock()
        assert wrongs(root) == [], moment
        again = struck.run(*words)
        assert again.code == 0, f"at {moment}: {again.err}"
        assert wrongs(root) == [], moment
        assert root.registry == finished, moment
        verified = struck.run("verify")
        assert verified.code == 0, f"at {moment}: {verified.err}"
        # Killed behind the registry's entry, it may leave what it had only made on its way.
        assert struck.run("prune").code == 0, moment
        assert not list(root.paths.runs.rglob("*.partial")), moment
