"""doctor on the machine: cards, limits, file systems, disk, who listens. Each is handed a machine made of files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from metahuman_core.settings import OllamaSettings, Settings, TrainingSettings
from metahuman_daemon.doctor.cards import cards
from metahuman_daemon.doctor.house import room
from metahuman_daemon.doctor.server import listens_to_everybody, models_there
from metahuman_daemon.doctor.watching import watching

GIB = 1 << 30
TABLE = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid\n"
LOCAL_DISK = "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n"


@pytest.fixture
def dev(tmp_path: Path) -> Path:
    """A /dev without cards."""
    folder = tmp_path / "dev"
    (folder / "dri").mkdir(parents=True)
    return folder


def refuse(_: Path) -> bool:
    return False


def test_without_a_card_there_is_nothing_to_say(dev: Path) -> None:
    assert list(cards(Settings(), dev, refuse)) == []


def test_a_desktop_s_render_node_is_no_card_to_train_on(dev: Path) -> None:
    (dev / "dri/renderD128").touch()
    assert list(cards(Settings(), dev, refuse)) == []


def test_an_amd_card_that_may_not_be_opened_is_named_with_its_group(dev: Path) -> None:
    (dev / "kfd").touch()
    (dev / "dri/renderD128").touch()
    found = list(cards(Settings(), dev, refuse))
    assert [f.level for f in found] == ["warning", "warning"]
    assert "dri/renderD128: it belongs to the group " in found[1].what
    assert "usermod -aG" in found[0].way_out
    assert list(cards(Settings(), dev, lambda _: True)) == []


def test_an_nvidia_card_without_its_memory_s_node_is_named(dev: Path) -> None:
    (dev / "nvidia0").touch()
    (found,) = cards(Settings(), dev, lambda _: True)
    assert "nvidia-uvm" in found.what
    (dev / "nvidia-uvm").touch()
    assert list(cards(Settings(), dev, lambda _: True)) == []


def test_who_trains_on_the_cpu_need_not_open_cards(dev: Path) -> None:
    (dev / "nvidia0").touch()
    assert list(cards(Settings(training=TrainingSettings(device="cpu")), dev, refuse)) == []


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A /proc with generous limits, beside a root with five folders of memories."""
    for number in range(4):
        (tmp_path / f"root/profiles/anna/memory/{number}").mkdir(parents=True)
    (tmp_path / "proc/sys/fs/inotify").mkdir(parents=True)
    allow(tmp_path, watches=65536, instances=128)
    (tmp_path / "mountinfo").write_text(LOCAL_DISK, encoding="utf-8")
    return tmp_path


def allow(machine: Path, watches: int, instances: int) -> None:
    limits = machine / "proc/sys/fs/inotify"
    (limits / "max_user_watches").write_text(f"{watches}\n", encoding="ascii")
    (limits / "max_user_instances").write_text(f"{instances}\n", encoding="ascii")


def look(machine: Path) -> list[tuple[str, str, str]]:
    found = watching(Settings(root=machine / "root"), machine / "proc", machine / "mountinfo")
    return [(f.level, f.what, f.way_out) for f in found]


def test_enough_watches_are_good(machine: Path) -> None:
    assert look(machine) == [("ok", "5 folders to watch, of 65536 that a user may", "")]


def test_too_few_watches_are_named_with_the_line_that_helps(machine: Path) -> None:
    allow(machine, watches=6, instances=128)
    ((level, what, way_out),) = look(machine)
    assert level == "warning"
    assert "5 folders to watch, and a user may watch 6" in what
    assert "fs.inotify.max_user_watches = 524288" in way_out
    assert way_out.endswith("sysctl --system")


def test_no_more_instances_are_named(machine: Path) -> None:
    opened = machine / "proc/7/fd"
    opened.mkdir(parents=True)
    (opened / "3").symlink_to("anon_inode:inotify")
    (opened / "4").symlink_to("/some/file")
    allow(machine, watches=65536, instances=1)
    assert ("warning", "1 inotify instances are in use, and a user may have 1") in [said[:2] for said in look(machine)]


def test_memories_on_a_network_s_disk_are_polled_and_count_no_watches(machine: Path) -> None:
    line = f"2 1 0:50 / {machine / 'root'} rw - nfs4 server:/memories rw\n"
    (machine / "mountinfo").write_text(LOCAL_DISK + line, encoding="utf-8")
    assert look(machine) == [
        ("ok", f"{machine / 'root/profiles/anna/memory'} is on nfs4: looked at every 5 minutes", "")
    ]


@pytest.mark.parametrize(
    ("free", "needed", "level"),
    [(100, 40, "ok"), (30, 40, "warning"), (100, 0, "ok"), (4, 0, "warning"), (4, 1, "ok")],
)
def test_room_is_held_against_what_the_next_version_needs(free: int, needed: int, level: str) -> None:
    assert room(free * GIB, needed * GIB, "in /srv").level == level


def listening(folder: Path, table: str, address: str, state: str = "0A") -> Path:
    line = f"   0: {address} 00000000:0000 {state} 00000000:00000000 00:00000000 00000000  1000        0 1234\n"
    (folder / table).write_text(TABLE + line, encoding="ascii")
    return folder


@pytest.mark.parametrize(("table", "address"), [("tcp", "00000000:2CAA"), ("tcp6", f"{'0' * 32}:2CAA")])
def test_a_server_on_all_addresses_is_seen(tmp_path: Path, table: str, address: str) -> None:
    assert listens_to_everybody(11434, listening(tmp_path, table, address))
    assert not listens_to_everybody(11435, tmp_path)


@pytest.mark.parametrize(
    ("table", "address", "state"),
    [
        ("tcp", "0100007F:2CAA", "0A"),
        ("tcp6", f"{'0' * 24}01000000:2CAA", "0A"),
        ("tcp", "00000000:2CAA", "01"),
        ("tcp", "00000000:2CAB", "0A"),
    ],
)
def test_a_server_on_loopback_or_none_at_all_is_no_risk(tmp_path: Path, table: str, address: str, state: str) -> None:
    assert not listens_to_everybody(11434, listening(tmp_path, table, address, state))


def test_a_machine_without_such_tables_is_no_risk(tmp_path: Path) -> None:
    assert not listens_to_everybody(11434, tmp_path)


def test_a_card_of_nobody_s_group_is_named_by_number(dev: Path) -> None:
    (dev / "nvidia0").touch()
    (dev / "nvidia-uvm").touch()
    if os.geteuid() != 0:
        pytest.skip("only root may give a file away")
    os.chown(dev / "nvidia0", -1, 54321)
    (found,) = cards(Settings(), dev, refuse)
    assert "group 54321" in found.what


def test_a_models_folder_without_blobs_is_named(tmp_path: Path) -> None:
    settings = Settings(root=tmp_path, ollama=OllamaSettings(models="models"))
    (found,) = models_there(settings)
    assert str(tmp_path / "models") in found.what
    (tmp_path / "models" / "blobs").mkdir(parents=True)
    assert list(models_there(settings)) == []
    assert list(models_there(Settings(root=tmp_path))) == []
