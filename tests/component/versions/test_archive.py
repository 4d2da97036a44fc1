"""Cold storage: what is there was read back, stays as it is, and a drive that is away costs nothing."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from made_up_root import MadeUpRoot

from metahuman_core.durable import sha256_file
from metahuman_core.errors import MetahumanError, PassingError
from metahuman_core.versions.archive import MARKER, archive_folder, archived_adapter, bring_back, drop, put_away


@pytest.fixture
def root(made_up: Callable[..., MadeUpRoot]) -> MadeUpRoot:
    return made_up(2)


@pytest.fixture
def archive(root: MadeUpRoot) -> Path:
    """An archive beside the versions, named relative to the root."""
    root.set("retention", 'archive_dir = "../cold"')
    folder = archive_folder(root.settings)
    assert folder is not None
    folder.mkdir()
    return folder


def test_without_a_setting_there_is_none(root: MadeUpRoot) -> None:
    assert archive_folder(root.settings) is None


def test_a_copy_is_the_adapter_and_what_is_here_stays(root: MadeUpRoot, archive: Path) -> None:
    before = root.files()
    copy = put_away(root.version(1), root.paths, archive)
    assert copy == archive / "ines" / root.version(1).run_label / "adapter"
    assert {p.name: p.read_bytes() for p in copy.iterdir()} == {
        p.name: p.read_bytes() for p in root.parts(1).adapter.iterdir()
    }
    assert (archive / MARKER).is_file()
    assert root.files() == before


def test_a_copy_that_is_there_is_not_made_again(root: MadeUpRoot, archive: Path) -> None:
    weights = put_away(root.version(1), root.paths, archive) / "adapter_model.safetensors"
    first = weights.stat()
    put_away(root.version(1), root.paths, archive)
    assert (weights.stat().st_ino, weights.stat().st_mtime_ns) == (first.st_ino, first.st_mtime_ns)


def test_what_was_half_copied_is_made_anew(root: MadeUpRoot, archive: Path) -> None:
    half = archived_adapter(root.version(1), root.paths, archive).with_name("adapter.partial")
    half.mkdir(parents=True)
    (half / "adapter_model.safetensors").write_bytes(b"half")
    copy = put_away(root.version(1), root.paths, archive)
    assert not half.exists()
    assert (copy / "adapter_config.json").is_file()


def test_brought_back_it_is_the_same_and_the_copy_stays(root: MadeUpRoot, archive: Path) -> None:
    version, here = root.version(1), root.parts(1).adapter
    before = root.files()
    copy = put_away(version, root.paths, archive)
    for path in here.iterdir():
        path.unlink()
    here.rmdir()
    assert bring_back(version, root.paths, archive) == here
    assert root.files() == before
    assert copy.is_dir()


def test_a_damaged_adapter_is_not_put_away(root: MadeUpRoot, archive: Path) -> None:
    (root.parts(1).adapter / "adapter_model.safetensors").write_bytes(b"other")
    with pytest.raises(MetahumanError, match="version 1's adapter here is not the one that was registered"):
        put_away(root.version(1), root.paths, archive)
    assert list(archive.iterdir()) == []


def test_a_copy_that_has_rotted_is_neither_trusted_nor_replaced(root: MadeUpRoot, archive: Path) -> None:
    weights = put_away(root.version(1), root.paths, archive) / "adapter_model.safetensors"
    weights.write_bytes(b"rotten")
    with pytest.raises(MetahumanError, match="in the archive is not the one that was registered"):
        put_away(root.version(1), root.paths, archive)
    with pytest.raises(MetahumanError, match="in the archive is not the one that was registered"):
        bring_back(root.version(1).model_copy(update={"adapter_sha256": "0" * 64}), root.paths, archive)
    assert weights.read_bytes() == b"rotten"


def test_an_archive_that_is_away_is_not_made(root: MadeUpRoot, archive: Path) -> None:
    archive.rmdir()
    with pytest.raises(MetahumanError, match="is not there"):
        put_away(root.version(1), root.paths, archive)
    assert not archive.exists()


def test_an_empty_mount_point_is_not_taken_for_the_drive(root: MadeUpRoot, archive: Path) -> None:
    with pytest.raises(MetahumanError, match=f"has no {MARKER}, and versions were put there"):
        put_away(root.version(1), root.paths, archive, used=True)
    with pytest.raises(MetahumanError, match="is its drive mounted"):
        bring_back(root.version(1), root.paths, archive)
    assert list(archive.iterdir()) == []


def test_a_link_in_an_adapter_is_refused(root: MadeUpRoot, archive: Path) -> None:
    (root.parts(1).adapter / "odd").symlink_to("/etc/passwd")
    with pytest.raises(MetahumanError, match="neither a file nor a folder"):
        put_away(root.version(1), root.paths, archive)
    assert not archived_adapter(root.version(1), root.paths, archive).exists()


def test_a_removed_version_has_no_copy_left(root: MadeUpRoot, archive: Path) -> None:
    for number in (1, 2):
        put_away(root.version(number), root.paths, archive)
    drop(root.version(1), root.paths, archive)
    drop(root.version(1), root.paths, archive)
    assert [path.name for path in (archive / "ines").iterdir()] == [root.version(2).run_label]


def test_what_another_root_has_put_there_stays_while_that_is_there(root: MadeUpRoot, archive: Path) -> None:
    """Somebody tries things out on a copy of the root, which names the same archive."""
    copy = put_away(root.version(1), root.paths, archive)
    another = MadeUpRoot(root.folder.with_name("tried"))
    shutil.copytree(root.folder, another.folder)
    drop(another.version(1), another.paths, archive)
    assert copy.is_dir()
    root.folder.rename(root.folder.with_name("moved"))
    drop(another.version(1), another.paths, archive)
    assert not copy.parent.exists()


def test_a_disk_that_fills_up_in_mid_copy_is_one_line_and_leaves_nothing(
    made_up: Callable[..., MadeUpRoot], small_disk: Path
) -> None:
    root = made_up(1)
    weights = root.parts(1).adapter / "adapter_model.safetensors"
    weights.write_bytes(os.urandom(200_000))
    root.edit(1, adapter_sha256=sha256_file(weights))
    before = root.files()
    with pytest.raises(PassingError, match=r"version 1: .*No space left on device"):
        put_away(root.version(1), root.paths, small_disk)
    assert root.files() == before
    assert not archived_adapter(root.version(1), root.paths, small_disk).exists()
    assert not list(small_disk.rglob("*.partial"))
