"""`history`: which line leads to the live version, what is pinned and held, and what each takes on the disk now."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable

import pytest
from made_up_root import PROFILE, MadeUpRoot
from rich.cells import cell_len

from metahuman_core.durable import size_bytes
from metahuman_core.registry import update_registry
from metahuman_core.versions.moving import pinned, promoted, rolled_back_to
from metahuman_daemon.clock import now
from metahuman_daemon.versions_table import as_json, as_text


@pytest.fixture
def root(made_up: Callable[..., MadeUpRoot]) -> MadeUpRoot:
    """1 - 2 - 3, and 4 on 2: 4 is live, 3 on a branch that was left and held; 1 is pinned."""
    root = made_up(4)
    root.edit(4, parent_version=2)
    path = root.registry_path
    update_registry(path, lambda registry: promoted(registry, 3, force=False, now=now()))
    update_registry(path, lambda registry: rolled_back_to(registry, 2))
    update_registry(path, lambda registry: pinned(promoted(registry, 4, force=False, now=now()), 1))
    return root


def test_marks_tell_the_live_line_from_branches(root: MadeUpRoot) -> None:
    lines = as_text(root.registry, root.paths, 200).splitlines()
    assert [line[:11].split() for line in lines[1:5]] == [["|", "1"], ["|", "2"], ["3"], ["*", "4"]]
    assert "pinned" in lines[1]
    assert "next rollback" in lines[2]
    assert "rolled back" in lines[3]
    assert "held" in lines[3]


@pytest.mark.parametrize("width", [60, 100])
def test_on_a_narrow_terminal_each_version_has_a_few_lines_that_fit(root: MadeUpRoot, width: int) -> None:
    shown = as_text(root.registry, root.paths, width).splitlines()
    assert max(map(len, shown)) <= width
    assert [line[:11] for line in shown if "version" in line[:10]] == [
        "| version 1", "| version 2", "  version 3", "* version 4",
    ]  # fmt: skip
    assert all(word in "\n".join(shown) for word in ("pinned", "held", "next rollback", "rolled back"))


def test_sizes_are_what_is_there_now(root: MadeUpRoot) -> None:
    shutil.rmtree(root.parts(1).model)
    root.edit(1, storage="serving")
    root.parts(3).gguf.unlink()
    told = as_json(root.registry, root.paths)
    taken = {entry["version"]: entry["now"]["bytes_on_disk"] for entry in told["training_history"]}
    assert taken == {number: root.parts(number).size_bytes() for number in (1, 2, 3, 4)}
    assert told["bytes_on_disk"] == sum(taken.values())
    assert [entry["now"]["absent"] for entry in told["training_history"]] == [[], [], ["GGUF"], []]
    lines = as_text(root.registry, root.paths, 200).splitlines()
    assert "serving" in lines[1]
    assert "absent: GGUF" in lines[3]
    assert f"{size_bytes(root.paths.runs) / (1 << 20):.2f}"[:3] in lines[-1]


def test_programs_are_told_the_same(root: MadeUpRoot) -> None:
    told = json.loads(json.dumps(as_json(root.registry, root.paths)))
    now_of = {entry["version"]: entry["now"] for entry in told["training_history"]}
    assert [now_of[number]["stands"] for number in (1, 2, 3, 4)] == ["behind", "behind", "branch", "live"]
    assert [number for number in now_of if now_of[number]["is_rollback_target"]] == [2]
    assert [number for number in now_of if now_of[number]["held"]] == [3]
    assert [number for number in now_of if now_of[number]["pinned"]] == [1]
    assert told["current_base_model"] == root.version(4).output_model_path
    assert PROFILE in told["current_base_model"]


def test_columns_stand_below_each_other_whatever_the_base_is_called(root: MadeUpRoot) -> None:
    root.edit(1, base_model_used="模型/\x1b[31m[bold]")
    lines = as_text(root.registry, root.paths, 200).splitlines()
    assert r"模型/\x1b[31m[bold]" in lines[1]
    assert "\x1b" not in lines[1]
    assert (
        len({cell_len(line[: line.index(word)]) for line, word in zip(lines, ["mode", *["all"] * 4], strict=False)})
        == 1
    )


def test_a_bold_head_takes_no_more_room(root: MadeUpRoot) -> None:
    plain = as_text(root.registry, root.paths, 200).splitlines()
    width = max(map(len, plain))
    bold = as_text(root.registry, root.paths, width, bold=True).splitlines()
    assert bold == [f"\x1b[1m{plain[0]}\x1b[0m", *plain[1:]]
