"""A name that exists is whole."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from metahuman_core.durable import making, partial_of, remove, sha256_file, sha256_tree, size_bytes, write_text


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_file_gets_its_name_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "file"
    with making(path) as partial:
        partial.write_text("whole", encoding="utf-8")
        assert not path.exists()
    assert path.read_text(encoding="utf-8") == "whole"
    assert names(path.parent) == {"file"}


def test_a_failure_leaves_neither_a_part_nor_another_content(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("before", encoding="utf-8")

    def break_off() -> None:
        with making(path) as partial:
            partial.write_text("half", encoding="utf-8")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        break_off()
    assert path.read_text(encoding="utf-8") == "before"
    assert names(tmp_path) == {"file"}


def test_a_failure_in_a_folder_takes_the_whole_part_away(tmp_path: Path) -> None:
    def fill_up() -> None:
        with making(tmp_path / "model") as partial:
            (partial / "deep").mkdir(parents=True)
            (partial / "deep" / "shard").write_bytes(b"1")
            raise OSError("full")

    with pytest.raises(OSError, match="full"):
        fill_up()
    assert names(tmp_path) == set()


def test_what_a_killed_process_left_is_not_built_on(tmp_path: Path) -> None:
    left = partial_of(tmp_path / "model")
    left.mkdir()
    (left / "old").write_bytes(b"1")
    with making(tmp_path / "model") as partial:
        partial.mkdir()
        (partial / "new").write_bytes(b"2")
    assert names(tmp_path) == {"model"}
    assert names(tmp_path / "model") == {"new"}


def test_a_folder_is_replaced_and_not_mixed(tmp_path: Path) -> None:
    folder = tmp_path / "adapter"
    (folder / "sub").mkdir(parents=True)
    (folder / "old").write_bytes(b"1")
    with making(folder) as partial:
        partial.mkdir()
        (partial / "new").write_bytes(b"2")
    assert names(folder) == {"new"}


def test_nothing_made_is_a_failure(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), making(tmp_path / "file"):
        pass
    assert names(tmp_path) == set()


def test_a_text_is_readable_by_its_owner_alone_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        write_text(tmp_path / "new" / "file", "gr\u00fcn\n")
    finally:
        os.umask(before)
    assert (tmp_path / "new" / "file").read_bytes() == "gr\u00fcn\n".encode()
    assert stat.S_IMODE((tmp_path / "new" / "file").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o700


def test_a_replaced_text_becomes_private_too(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("before", encoding="utf-8")
    path.chmod(0o644)
    write_text(path, "after")
    assert path.read_text(encoding="utf-8") == "after"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_remove_takes_a_link_and_leaves_what_it_leads_to(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    (tmp_path / "link").symlink_to(kept)
    remove(tmp_path / "link")
    remove(tmp_path / "was never there")
    assert names(tmp_path) == {"kept"}


def test_a_trees_hash_tells_names_and_contents(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    for folder, order in ((first, "ab"), (second, "ba")):
        (folder / "sub").mkdir(parents=True)
        for name in order:
            (folder / "sub" / name).write_text(f"this is {name}", encoding="utf-8")
    assert sha256_tree(first) == sha256_tree(second)
    assert size_bytes(first) == 2 * len("this is a")
    assert size_bytes(first / "sub" / "a") == len("this is a")
    assert size_bytes(tmp_path / "absent") == 0
    (second / "sub" / "a").rename(second / "sub" / "c")
    assert sha256_tree(first) != sha256_tree(second)
    assert sha256_file(first / "sub" / "a") == sha256_file(second / "sub" / "c")
