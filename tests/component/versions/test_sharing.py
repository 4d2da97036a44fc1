"""Our GGUF and Ollama's blob take room once: on real file systems that share blocks, and by a hard link where not."""

from __future__ import annotations

import ctypes
import fcntl
import os
import shutil
import struct
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from double import OllamaDouble
from made_up_root import MadeUpRoot, make_up_root

from metahuman_core.durable import sha256_file
from metahuman_core.errors import MetahumanError
from metahuman_core.progress import Progress
from metahuman_core.versions.sharing import find_blob, hard_link, share_blocks
from metahuman_daemon.publishing import publish_one
from metahuman_daemon.retention import apply_retention

GGUF_KIB = 8 * 1024
_FIEMAP = 0xC020660B
_EXTENT_SHARED = 0x2000


@pytest.fixture(params=["btrfs", "xfs"])
def sharing_disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """A file system that shares blocks, on a loop device."""
    kind = request.param
    if os.geteuid() != 0 or shutil.which(f"mkfs.{kind}") is None:
        pytest.skip(f"a disk with {kind} has to be made, and that takes root and mkfs.{kind}")
    image, folder = tmp_path / "disk.img", tmp_path / "disk"
    folder.mkdir()
    with image.open("wb") as file:
        file.truncate(320 << 20)
    subprocess.run([f"mkfs.{kind}", "-q", str(image)], check=True, capture_output=True)
    mounted = subprocess.run(["mount", "-o", "loop", str(image), str(folder)], check=False, capture_output=True)
    if mounted.returncode != 0:
        pytest.skip(f"{kind} cannot be mounted here: {mounted.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def quiet(_: Progress) -> None:
    """For progress that nobody looks at."""


def publish(root: MadeUpRoot, models: Path, number: int = 1, named: str = "") -> str:
    """Publish to a double whose models lie in `models` (`named`: as the setting has it). Gives the last line said."""
    notes: list[str] = [""]

    def report(progress: Progress) -> None:
        notes.extend([progress.note] if progress.note else [])

    with OllamaDouble("0.33.0-rc2", models) as ollama:
        root.set("ollama", f'host = "{ollama.url}"')
        root.set("ollama", f'models = "{named or models}"')
        publish_one(root.settings, "ines", root.version(number), report, str)
    assert root.version(number).publication == "done"
    return notes[-1]


def blob_of(root: MadeUpRoot, models: Path, number: int = 1) -> Path:
    return models / "blobs" / f"sha256-{root.version(number).gguf_sha256}"


def used_kib(folder: Path) -> int:
    subprocess.run(["sync", "-f", str(folder)], check=True)
    if shutil.which("btrfs"):
        subprocess.run(["btrfs", "filesystem", "sync", str(folder)], check=False, capture_output=True)
    stat = os.statvfs(folder)
    return (stat.f_blocks - stat.f_bfree) * stat.f_frsize // 1024


def shared_bytes(path: Path) -> int:
    """The bytes of a file that lie in blocks which it shares (FIEMAP)."""
    request = ctypes.create_string_buffer(32 + 56 * 512)
    struct.pack_into("=QQIIII", request, 0, 0, 1 << 62, 1, 0, 512, 0)
    with path.open("rb") as file:
        fcntl.ioctl(file, _FIEMAP, request)
    found = struct.unpack_from("=I", request, 20)[0]
    extents = (struct.unpack_from("=QQQQQIIII", request, 32 + 56 * number) for number in range(found))
    return sum(extent[2] for extent in extents if extent[5] & _EXTENT_SHARED)


def test_blocks_are_shared_and_the_room_is_taken_once(sharing_disk: Path) -> None:
    models = sharing_disk / "models"
    root = make_up_root(sharing_disk / "root", 1, gguf_kib=GGUF_KIB)
    digest, before = sha256_file(root.parts(1).gguf), used_kib(sharing_disk)
    said = publish(root, models)
    gguf, blob = root.parts(1).gguf, blob_of(root, models)
    assert "version 1's GGUF is shared with Ollama" in said
    assert gguf.stat().st_ino != blob.stat().st_ino
    assert sha256_file(gguf) == sha256_file(blob) == digest
    assert shared_bytes(gguf) >= gguf.stat().st_size - 4096
    assert used_kib(sharing_disk) - before < GGUF_KIB // 4
    blob.unlink()
    assert sha256_file(gguf) == digest


def test_where_it_is_not_wanted_the_room_is_taken_twice(sharing_disk: Path) -> None:
    root = make_up_root(sharing_disk / "root", 1, gguf_kib=GGUF_KIB)
    root.set("retention", 'share_with_ollama = "no"')
    before = used_kib(sharing_disk)
    said = publish(root, sharing_disk / "models")
    assert "shared" not in said
    assert shared_bytes(root.parts(1).gguf) == 0
    assert used_kib(sharing_disk) - before > GGUF_KIB * 3 // 4


def test_the_kernel_shares_nothing_that_differs(sharing_disk: Path) -> None:
    ours, theirs = sharing_disk / "ours", sharing_disk / "theirs"
    ours.write_bytes(bytes(1 << 20))
    theirs.write_bytes(bytes((1 << 20) - 1) + b"1")
    with pytest.raises(MetahumanError, match="the bytes of the two files differ"):
        share_blocks(theirs, ours)
    assert ours.read_bytes() == bytes(1 << 20)


# --- where blocks cannot be shared ----------------------------------------------------------------------------------


@pytest.fixture
def root(made_up: Callable[..., MadeUpRoot], tmp_path: Path) -> MadeUpRoot:
    """Three versions on a file system that shares no blocks (skipped where it does)."""
    ours, theirs = tmp_path / "a", tmp_path / "b"
    for path in (ours, theirs):
        path.write_bytes(bytes(8192))
    try:
        share_blocks(theirs, ours)
    except OSError:
        return made_up(3, gguf_kib=256)
    pytest.skip("the tests' own folder lies on a file system that shares blocks")


def linking(root: MadeUpRoot) -> MadeUpRoot:
    root.set("retention", 'share_with_ollama = "link"')
    return root


def test_by_default_nothing_is_linked_and_it_is_said(root: MadeUpRoot, tmp_path: Path) -> None:
    said = publish(root, tmp_path / "models")
    assert "this file system cannot share blocks" in said
    assert root.parts(1).gguf.stat().st_nlink == 1


def test_a_hard_link_where_the_setting_allows_it(root: MadeUpRoot, tmp_path: Path) -> None:
    digest = sha256_file(root.parts(1).gguf)
    said = publish(linking(root), tmp_path / "models")
    assert "one file under two names" in said
    assert root.parts(1).gguf.samefile(blob_of(root, tmp_path / "models"))
    assert sha256_file(root.parts(1).gguf) == digest
    assert not list(root.parts(1).run_dir.glob("*.partial"))


def test_a_models_folder_is_meant_relative_to_the_root(root: MadeUpRoot, tmp_path: Path) -> None:
    said = publish(linking(root), tmp_path / "models", named="../models")
    assert "one file under two names" in said


def test_a_linked_file_is_counted_once_and_as_freed_when_both_names_go(
    made_up: Callable[..., MadeUpRoot], root: MadeUpRoot, tmp_path: Path
) -> None:
    root, models = linking(made_up(5, "linked", gguf_kib=256)), tmp_path / "models"
    publish(root, models)
    assert blob_of(root, models).stat().st_nlink == 2
    with OllamaDouble("0.33.0-rc2", models) as ollama:
        root.set("ollama", f'host = "{ollama.url}"')
        before = root.bytes_on_disk()
        applied = apply_retention(root.settings, "ines", str)
    assert not blob_of(root, models).exists()
    assert applied.freed_bytes == applied.plan.frees_bytes == before - root.bytes_on_disk()


def test_while_ollama_has_its_name_still_a_linked_file_is_not_said_to_be_freed(
    made_up: Callable[..., MadeUpRoot], root: MadeUpRoot, tmp_path: Path
) -> None:
    root, models = linking(made_up(5, "linked", gguf_kib=256)), tmp_path / "models"
    publish(root, models)
    gguf_bytes = root.parts(1).gguf.stat().st_size
    applied = apply_retention(root.settings, "ines", str)
    assert blob_of(root, models).stat().st_nlink == 1
    assert applied.freed_bytes == applied.plan.frees_bytes - gguf_bytes


@pytest.mark.parametrize("how", ["link", "reflink"])
def test_what_could_not_be_rebuilt_is_not_shared(root: MadeUpRoot, tmp_path: Path, how: str) -> None:
    root.set("retention", f'share_with_ollama = "{how}"')
    shutil.rmtree(root.parts(1).adapter)
    assert "it could not be rebuilt" in publish(root, tmp_path / "models")
    assert root.parts(1).gguf.stat().st_nlink == 1


def test_a_blob_with_other_bytes_is_never_linked(root: MadeUpRoot, tmp_path: Path) -> None:
    gguf, other = root.parts(1).gguf, tmp_path / "other"
    data = gguf.read_bytes()
    for wrong in (data[:-1] + bytes([data[-1] ^ 1]), data + b"1", b""):
        other.write_bytes(wrong)
        with pytest.raises(MetahumanError, match="has other bytes than"):
            hard_link(other, gguf)
        assert gguf.read_bytes() == data
        assert gguf.stat().st_nlink == 1


def test_two_file_systems_share_nothing_and_the_version_is_published(root: MadeUpRoot, tmp_path: Path) -> None:
    shm = Path("/dev/shm")  # noqa: S108 - another file system than the tests' own folder
    if not shm.is_dir() or shm.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is only one file system here")
    models = shm / f"models-{os.getpid()}"
    try:
        said = publish(linking(root), models)
    finally:
        shutil.rmtree(models, ignore_errors=True)
    assert "they lie on two file systems, or are mounted apart" in said


def test_a_models_folder_that_nobody_knows_is_asked_for(root: MadeUpRoot, tmp_path: Path) -> None:
    with OllamaDouble("0.33.0-rc2", tmp_path / "elsewhere") as ollama:
        root.set("ollama", f'host = "{ollama.url}"')
        root.set("ollama", f'models = "{tmp_path / "nothing"}"')
        notes: list[str] = []
        publish_one(root.settings, "ines", root.version(1), lambda p: notes.append(p.note), str)
    assert "say in [ollama] models" in notes[-1]
    assert str(tmp_path / "nothing") in notes[-1]


def test_ollamas_file_is_found_where_the_setting_the_environment_or_custom_says(tmp_path: Path) -> None:
    digest = "a" * 64

    def store(name: str) -> Path:
        blob = tmp_path / name / "blobs" / f"sha256-{digest}"
        blob.parent.mkdir(parents=True)
        blob.touch()
        return blob

    named, by_environment = store("named"), store("environment")
    usual = store("home/.ollama/models")
    environment = {"HOME": str(tmp_path / "home")}
    assert find_blob(digest, tmp_path / "named", environment) == named
    assert find_blob(digest, None, {**environment, "OLLAMA_MODELS": str(tmp_path / "environment")}) == by_environment
    assert find_blob(digest, None, environment) == usual
    assert find_blob("b" * 64, None, environment) is None
