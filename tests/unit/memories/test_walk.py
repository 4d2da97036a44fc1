"""Which files are found."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

import pytest

from metahuman_core.memories.model import Skipped
from metahuman_core.memories.walk import FoundFile, walk

if TYPE_CHECKING:
    from pathlib import Path


def found(root: Path) -> list[str]:
    return [entry.source for entry in walk(root) if isinstance(entry, FoundFile)]


def skipped(root: Path) -> dict[str, str]:
    return {entry.source: entry.reason for entry in walk(root) if isinstance(entry, Skipped)}


def put(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("{}")
    return path


def test_files_come_in_the_same_order_whatever_order_they_were_made_in(tmp_path: Path) -> None:
    for name in ("b/2.json", "a.md", "b/1.jsonl", "c.txt", "B.ndjson"):
        put(tmp_path / name)
    assert found(tmp_path) == ["B.ndjson", "a.md", "b/1.jsonl", "b/2.json", "c.txt"]


def test_a_found_file_tells_what_its_inode_says(tmp_path: Path) -> None:
    status = put(tmp_path / "a.json").stat()
    (entry,) = walk(tmp_path)
    assert entry == FoundFile(tmp_path / "a.json", "a.json", status.st_mtime_ns, 2, status.st_ino, status.st_ctime_ns)


@pytest.mark.parametrize(
    "name",
    [
        ".hidden.json",
        ".obsidian/app.json",
        "_pruned/a.json",
        "a.json~",
        ".a.json.swp",
        "a.json.tmp",
        "#a.md#",
        "a.json.partial",
        "photo.png",
    ],
)
def test_what_is_no_memory_by_its_name_is_passed_over_in_silence(tmp_path: Path, name: str) -> None:
    put(tmp_path / name)
    assert list(walk(tmp_path)) == []


def test_an_encrypted_memory_is_reported(tmp_path: Path) -> None:
    put(tmp_path / "a.json.enc")
    assert skipped(tmp_path) == {"a.json.enc": "encrypted"}


def test_no_link_is_followed_wherever_it_leads(tmp_path: Path) -> None:
    root, outside = tmp_path / "root", put(tmp_path / "outside" / "secret.json")
    inside = put(root / "a.json")
    (root / "out.json").symlink_to(outside)
    (root / "in.json").symlink_to(inside)
    (root / "folder").symlink_to(outside.parent)
    (root / "loop").symlink_to(root)
    assert found(root) == ["a.json"]
    assert set(skipped(root)) == {"out.json", "in.json", "folder", "loop"}


def test_the_root_itself_may_be_a_link(tmp_path: Path) -> None:
    put(tmp_path / "real" / "a.json")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert found(tmp_path / "link") == ["a.json"]


def test_the_root_may_be_a_single_file(tmp_path: Path) -> None:
    assert found(put(tmp_path / "conversations.json")) == ["conversations.json"]


@pytest.mark.parametrize("name", ["missing", "loop"])
def test_a_root_that_leads_nowhere_is_reported(tmp_path: Path, name: str) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    assert list(skipped(tmp_path / name)) == ["."]


def test_pipes_and_sockets_are_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(tmp_path / "pipe.json")
    monkeypatch.chdir(tmp_path)  # a socket's path has at most 107 bytes
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket.json")
        assert skipped(tmp_path) == {"pipe.json": "not a regular file", "socket.json": "not a regular file"}


def test_a_folder_named_like_a_file_is_reported_and_what_lies_in_it_is_found(tmp_path: Path) -> None:
    put(tmp_path / "x.json" / "a.json")
    assert skipped(tmp_path) == {"x.json": "a folder with a file's name"}
    assert found(tmp_path) == ["x.json/a.json"]


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is forbidden to root")
def test_a_folder_that_cannot_be_listed_is_reported_and_the_rest_is_found(tmp_path: Path) -> None:
    put(tmp_path / "closed" / "a.json").parent.chmod(0)
    put(tmp_path / "open" / "b.json")
    assert skipped(tmp_path) == {"closed": "no permission to read it"}
    assert found(tmp_path) == ["open/b.json"]


def test_a_name_that_is_not_text_is_reported_in_a_form_that_can_be_written(tmp_path: Path) -> None:
    try:
        put(tmp_path / os.fsdecode(b"caf\xe9.json"))
    except OSError:
        pytest.skip("this file system takes only UTF-8 names")
    assert skipped(tmp_path) == {"caf\ufffd.json": "its name is not valid UTF-8"}


def test_a_tree_deeper_than_the_stack_is_walked(tmp_path: Path) -> None:
    folders = [tmp_path / "/".join(["d"] * depth) for depth in range(1, 1001)]
    for folder in folders:
        folder.mkdir()
    put(folders[-1] / "a.json")
    assert len(found(tmp_path)) == 1
    (folders[-1] / "a.json").unlink()
    for folder in reversed(folders):  # pytest's own cleaning up is recursive
        folder.rmdir()
