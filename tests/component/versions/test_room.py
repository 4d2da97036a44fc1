"""The disk: what versions take, what the next one needs, what frees how much, and a policy that cannot be applied."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from made_up_root import MadeUpRoot

from metahuman_core.durable import remove, size_bytes
from metahuman_core.errors import PassingError
from metahuman_core.settings import WeightSettings
from metahuman_core.versions.sizes import Shelf, shelves
from metahuman_daemon.retention import plan_ahead
from metahuman_daemon.room import require_room
from metahuman_daemon.service.seeing import Eyes

Make = Callable[..., MadeUpRoot]
TOO_MUCH = 1 << 60


@pytest.fixture
def root(made_up: Make) -> MadeUpRoot:
    """Five versions, two of them archived by hand."""
    root = made_up(5)
    for number in (1, 2):
        root.parts(number).gguf.unlink()
        root.edit(number, storage="archived")
    return root


def write(root: MadeUpRoot) -> None:
    (root.paths.memory / "a.json").write_text('{"content": "The tide was low this morning."}', encoding="utf-8")


def test_status_counts_versions_and_what_they_take(root: MadeUpRoot) -> None:
    found = {shelf["storage"]: shelf for shelf in root.forked("status", "--json").json["profiles"][0]["versions"]}
    assert {storage: shelf["versions"] for storage, shelf in found.items()} == {"full": 3, "archived": 2}
    assert sum(shelf["size_bytes"] for shelf in found.values()) == sum(
        root.parts(number).size_bytes() for number in range(1, 6)
    )
    said = root.forked("status").out
    assert f"  versions    3 full ({found['full']['size_bytes'] / 1024:.2f} KiB), 2 archived (" in said


def test_an_imported_entry_without_a_folder_takes_nothing(root: MadeUpRoot) -> None:
    root.edit(1, run_label="by hand", storage=None)
    assert Shelf("removed", 1, 0) in shelves(root.registry, root.paths)


def test_sizes_are_read_again_only_with_the_registry_or_after_a_job(root: MadeUpRoot) -> None:
    with closing(Eyes(root.settings, "ines")) as eyes:
        before = eyes.see().versions
        root.parts(3).gguf.unlink()
        assert eyes.see().versions == before
        assert eyes.see(afresh=True).versions != before
        root.edit(3, pinned=True)
        root.parts(4).gguf.unlink()
        assert sum(shelf.size_bytes for shelf in eyes.see().versions) == sum(
            root.parts(number).size_bytes() for number in range(1, 6)
        )


def test_too_little_room_is_told_before_a_run_begins(root: MadeUpRoot) -> None:
    write(root)
    root.edit(5, model_bytes=TOO_MUCH)
    runs = root.paths.run_dirs()
    frees_bytes = plan_ahead(root.settings, "ines").frees_bytes
    ended = root.forked("fine-tune")
    assert (ended.code, ended.out) == (1, "")
    complaint = ended.err
    assert "publishing will take" in complaint
    assert "merging and quantising" in complaint
    assert f"`metahuman prune` frees {frees_bytes / 1024:.2f} KiB" in complaint
    assert "max_total_gb bounds" in complaint
    assert "archive_dir takes" in complaint
    assert root.paths.run_dirs() == runs
    assert "`metahuman prune --dry-run` says what could go" in root.forked("status").out
    root.set("retention", "full.keep_last = 9")
    assert "`metahuman prune` frees" not in root.forked("fine-tune").err


def test_a_base_of_unknown_size_is_not_refused(root: MadeUpRoot) -> None:
    root.edit(5, model_bytes=TOO_MUCH)
    require_room(root.settings, "ines", root.registry, base="Some/Base-1B")
    with pytest.raises(PassingError, match="publishing will take"):
        require_room(root.settings, "ines", root.registry)


def test_a_base_that_has_to_be_rebuilt_first_takes_room_too(made_up: Make) -> None:
    root = made_up(3, chained=True)
    remove(root.parts(2).model)
    root.parts(2).gguf.unlink()
    root.edit(2, model_bytes=TOO_MUCH, gguf_bytes=TOO_MUCH // 2)
    anchor = root.version(2).output_model_path
    with pytest.raises(PassingError) as refused:
        require_room(root.settings, "ines", root.registry, base=anchor, models=[anchor])
    rebuilt, merging = (
        float(refused.value.message.partition(f"{step} ")[2].partition(" GiB")[0])
        for step in ("rebuilding the base", "merging and quantising")
    )
    eib = float(1 << 30)
    assert rebuilt == pytest.approx((1 + 0.5) * eib, rel=0.2)
    assert merging > 2.5 * eib, "the base and its GGUF stay beside the new model/"
    remove(root.parts(1).adapter)
    remove(root.parts(1).model)
    with pytest.raises(PassingError) as refused:
        require_room(root.settings, "ines", root.registry, base=anchor, models=[anchor])
    assert "rebuilding the base" not in refused.value.message


def test_with_enough_room_nothing_is_said(root: MadeUpRoot) -> None:
    require_room(root.settings, "ines", root.registry)
    other = root.settings.model_copy(update={"weights": WeightSettings(quantization="Q4_K_M")})
    require_room(other, "ines", None)


def test_a_policy_that_names_nothing_is_one_line_and_nothing_is_deleted(root: MadeUpRoot) -> None:
    for state in ("full", "serving"):
        root.set("retention", f"{state}.keep_last = 0")
    before = root.files()
    for command in (["check-config"], ["prune"], ["prune", "--dry-run"]):
        ended = root.forked(*command)
        assert (ended.code, ended.out) == (78, "")
        assert "[retention] names no version to keep" in ended.err.splitlines()[0]
        assert "set full.keep_last or serving.keep_last" in ended.err
    doctor = root.forked("doctor")
    assert doctor.code == 1
    assert "ERROR    [retention] names no version to keep" in doctor.out
    assert {name: digest for name, digest in root.files().items() if "/state/" not in name} == before


def test_the_daemons_tidying_reports_it_and_clears_what_is_left_over(root: MadeUpRoot) -> None:
    for state in ("full", "serving"):
        root.set("retention", f"{state}.keep_last = 0")
    left_over = root.parts(3).run_dir / "model.partial"
    left_over.mkdir()
    order = {"kind": "tidy", "profile": "ines", "recovery": "", "settings": root.settings.model_dump(mode="json")}
    done = subprocess.run(
        [sys.executable, "-m", "metahuman_daemon.service.job_main"],
        input=json.dumps(order),
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert "names no version to keep" in lines[-1]["error"]
    assert any("model.partial" in line.get("said", "") for line in lines)
    assert not left_over.exists()
    assert root.parts(1).has_model()


def test_doctor_looks_for_the_archive(root: MadeUpRoot, tmp_path: Path) -> None:
    root.set("retention", f'archive_dir = "{tmp_path / "cold"}"')
    assert "cold is not there" in root.forked("doctor").out
    (tmp_path / "cold").mkdir()
    assert "cold is not there" not in root.forked("doctor").out


def test_the_sum_of_the_shelves_is_what_lies_there(made_up: Make) -> None:
    root = made_up(2)
    assert shelves(root.registry, root.paths) == (
        Shelf("full", 2, sum(size_bytes(p) for n in (1, 2) for p in _parts(root, n))),
    )
    assert shelves(None, root.paths) == ()


def _parts(root: MadeUpRoot, number: int) -> tuple[Path, Path, Path]:
    parts = root.parts(number)
    return parts.adapter, parts.model, parts.gguf
