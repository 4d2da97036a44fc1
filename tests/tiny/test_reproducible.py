"""The same run in another folder, broken off on the way, ends with the same bytes."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from conftest import Root

DIGESTS = ("dataset_sha256", "adapter_sha256", "model_sha256", "gguf_sha256")


def run_until(run_dir: Path, step: int, environment: dict[str, str]) -> tuple[int, dict[str, Any]]:
    """Run the child, ask it to stop (SIGTERM) at a training step, and give its exit status and last words."""
    command = [sys.executable, "-m", "metahuman_daemon.child", "cycle", str(run_dir)]
    said: dict[str, Any] = {}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment) as child:
        assert child.stdout is not None
        for line in child.stdout:
            said = json.loads(line)
            progress = said.get("progress", {})
            if progress.get("step") == "train" and progress["total"] and progress["done"] == step:
                child.terminate()
    return child.returncode, said


def test_a_run_in_another_folder_that_was_stopped_in_training_ends_with_the_same_bytes(
    trained: Callable[[str], Root], new_root: Callable[[str], Root], environment: dict[str, str]
) -> None:
    elsewhere = new_root("llama")
    run_dir = elsewhere.begin("base")
    code, said = run_until(run_dir, 3, environment)
    assert code == 75
    assert said["error"].startswith("stopped at training step ")

    # A power failure while the next checkpoint was being written: newer, and without its mark.
    checkpoints = run_dir / "checkpoints"
    newest = max(checkpoints.iterdir(), key=lambda folder: int(folder.name.rpartition("-")[2]))
    assert (newest / "COMPLETE").is_file()
    cut = checkpoints / "checkpoint-9"
    shutil.copytree(newest, cut)
    (cut / "COMPLETE").unlink()
    (cut / "adapter_model.safetensors").write_bytes(b"half")

    resumed = elsewhere.make_version("--base-model", "base")
    (straight,) = trained("llama").registry().training_history
    assert resumed.run_label == run_dir.name != straight.run_label
    assert {name: getattr(resumed, name) for name in DIGESTS} == {name: getattr(straight, name) for name in DIGESTS}
    log = [json.loads(line) for line in (run_dir / "train-log.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [entry["step"] for entry in log] == list(range(1, len(log) + 1))
    assert not checkpoints.exists()
