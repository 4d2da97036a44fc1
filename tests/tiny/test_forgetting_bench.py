"""The bench on forgetting, whole: a random model is trained, merged and asked, and what is kept is told again."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

_PROGRAM = str(Path(__file__).parents[2] / "bench" / "forgetting.py")
_WORDS = ("--tiny", "--cycles", "2", "--facts", "2", "--strategies", "naive,anchor+replay")


def test_all_versions_are_made_and_kept_and_told_again(tmp_path: Path, environment: dict[str, str]) -> None:
    def told(*more: str) -> str:
        command = [sys.executable, _PROGRAM, *_WORDS, "--results", str(tmp_path), *more]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
        assert done.returncode == 0, done.stderr[-4000:]
        return done.stdout

    made, again = told(), told("--report-only", "--markdown", str(tmp_path / "table.md"))
    results = [json.loads(path.read_text(encoding="utf-8")) for path in tmp_path.glob("*.json") if len(path.stem) == 20]
    assert sorted((one["strategy"], one["cycle"]) for one in results) == [
        ("anchor+replay", 1),
        ("anchor+replay", 2),
        ("base", 0),
        ("naive", 1),
        ("naive", 2),
    ]
    assert all(one["steps"] > 0 for one in results if one["cycle"])
    # A chain keeps models, an anchored line adapters.
    sizes = {one["strategy"]: one["version_bytes"] for one in results}
    assert sizes["naive"] > 10 * sizes["anchor+replay"]
    assert not list((tmp_path / "work").iterdir())
    assert made.splitlines()[-1] == again.splitlines()[-1]
    assert json.loads(again.splitlines()[-1])["bench"] == "forgetting"
    assert "R, naive" in (tmp_path / "table.md").read_text(encoding="utf-8")
