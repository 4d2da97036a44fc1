"""Which file system a folder lies on is read from mountinfo as the kernel means it."""

from __future__ import annotations

from pathlib import Path, PurePath

import pytest

from metahuman_daemon.service.mounts import Mount, file_system_of, mount_in

ROOT = "1 0 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw"


def line(mount_id: int, parent_id: int, point: str, fs_type: str, subtree: str = "/") -> str:
    return f"{mount_id} {parent_id} 0:{mount_id} {subtree} {point} rw,relatime - {fs_type} source rw"


def kind_of(path: str, *lines: str) -> str:
    return mount_in("\n".join(lines), PurePath(path)).fs_type


def test_a_path_lies_on_the_nearest_mount_above_it() -> None:
    table = (ROOT, line(2, 1, "/home", "btrfs"), line(3, 2, "/home/anna/cloud", "fuse.rclone"))
    assert kind_of("/home/anna/cloud/notes", *table) == "fuse.rclone"
    assert kind_of("/home/anna/cloud", *table) == "fuse.rclone"
    assert kind_of("/home/anna", *table) == "btrfs"
    assert kind_of("/var/lib", *table) == "ext4"


def test_a_name_that_only_begins_alike_is_another_folder() -> None:
    assert kind_of("/home/annabel", ROOT, line(2, 1, "/home/anna", "nfs4")) == "ext4"


def test_spaces_backslashes_and_letters_in_a_mount_point_are_read() -> None:
    table = (ROOT, line(2, 1, r"/mnt/my\040\134notes\011ä", "cifs"))
    assert kind_of("/mnt/my \\notes\tä/2025", *table) == "cifs"


def test_a_bind_mount_is_of_the_type_of_what_it_shows() -> None:
    assert kind_of("/srv/memories/a", ROOT, line(2, 1, "/srv/memories", "nfs4", subtree="/export/anna")) == "nfs4"


def test_a_mount_on_top_of_another_hides_it() -> None:
    assert kind_of("/mnt/a", ROOT, line(2, 1, "/mnt", "ext4"), line(3, 2, "/mnt", "nfs")) == "nfs"


def test_a_mount_over_a_parent_hides_what_was_mounted_deeper_in_whatever_order_they_are_listed() -> None:
    deep, over = line(2, 1, "/mnt/a", "nfs"), line(3, 1, "/mnt", "xfs")
    assert kind_of("/mnt/a/b", ROOT, deep, over) == "xfs"
    assert kind_of("/mnt/a/b", ROOT, over, deep) == "xfs"


def test_any_number_of_optional_fields_may_stand_before_the_dash() -> None:
    assert kind_of("/m", ROOT, "2 1 0:9 / /m rw - nfs4 h:/ rw") == "nfs4"
    assert kind_of("/m", ROOT, "2 1 0:9 / /m rw shared:2 master:1 propagate_from:3 unbindable - nfs4 h:/ rw") == "nfs4"


@pytest.mark.parametrize("fs_type", ["ext4", "xfs", "btrfs", "zfs", "overlay", "tmpfs", "vfat", "fuseblk", "ntfs3"])
def test_a_disk_of_our_own_tells_of_changes(fs_type: str) -> None:
    assert mount_in(f"{ROOT}\n{line(2, 1, '/m', fs_type)}", PurePath("/m/a")) == Mount(fs_type, tells_of_changes=True)


@pytest.mark.parametrize(
    "fs_type",
    ["nfs", "nfs4", "cifs", "smb3", "9p", "virtiofs", "vboxsf", "ceph", "fuse", "fuse.sshfs", "fuse.mergerfs"],
)
def test_where_others_can_change_files_nobody_tells(fs_type: str) -> None:
    assert mount_in(f"{ROOT}\n{line(2, 1, '/m', fs_type)}", PurePath("/m/a")) == Mount(fs_type, tells_of_changes=False)


def test_lines_that_make_no_sense_are_passed_over() -> None:
    assert kind_of("/m", "", "nonsense", "1 2", ROOT, "a b c d / e - f") == "ext4"


def test_without_a_list_of_mounts_nothing_tells(tmp_path: Path) -> None:
    assert mount_in("", PurePath("/m")) == Mount("", tells_of_changes=False)
    assert file_system_of(tmp_path, tmp_path / "absent") == Mount("", tells_of_changes=False)


def test_links_are_followed(tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    (tmp_path / "near").symlink_to(tmp_path / "far")
    table = tmp_path / "mountinfo"
    table.write_text(f"{ROOT}\n{line(2, 1, str(tmp_path / 'far'), 'nfs4')}\n", encoding="utf-8")
    assert file_system_of(tmp_path / "near" / "not there yet", table).fs_type == "nfs4"


def test_the_mounts_of_this_machine_are_understood() -> None:
    assert file_system_of(Path("/proc/self")).fs_type == "proc"
