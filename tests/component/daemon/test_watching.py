"""Watching, with real files and a real kernel: whatever it tells or keeps to itself, no memory stays unseen."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from fuse_double import FuseDouble
from running_daemon import Daemon
from watched_home import LONG_MINUTES, PATIENCE_S, Home, Sight, as_file, text, until

from metahuman_daemon.service.looker import Blind
from metahuman_daemon.service.mounts import file_system_of
from metahuman_daemon.service.watching import _MANY, Watch

Watcher = Callable[..., Sight]

# watchdog's own, ignored in `watching`: pytest has it raised, and that would end watchdog's thread.
pytestmark = pytest.mark.filterwarnings("ignore:Callback with id:RuntimeWarning")

SHORT_MINUTES = 0.4 / 60
INOTIFY = Path("/proc/sys/fs/inotify")
is_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount, and set the kernel's limits")


# --- what the kernel tells ------------------------------------------------------------------------------------------


def test_a_file_that_is_written_is_seen_without_a_scan(home: Home, watch_it: Watcher) -> None:
    sight = watch_it()
    home.write(1)
    assert sight.knows(1).files == 1


def test_a_file_that_is_written_slowly_is_read_once_and_whole(home: Home, watch_it: Watcher) -> None:
    sight = watch_it(quiet_s=1.5)
    with (home.memory / "page.md").open("w", encoding="utf-8") as page:
        for number in range(20):
            page.write(f"{text(number)}\n\n")
            page.flush()
            time.sleep(0.1)
        page.write("This is the end of it.\n")
    seen = sight.knows(1)
    assert seen.memories.superseded == 0
    assert seen.files == 1


def test_a_file_that_is_held_open_is_found_by_the_reconciling_scan(home: Home, watch_it: Watcher) -> None:
    page = home.memory / "page.md"
    page.write_text(f"# Monday\n\n{text(1)}\n", encoding="utf-8")
    sight = watch_it(minutes=SHORT_MINUTES)
    sight.knows(1)
    with page.open("a", encoding="utf-8") as file:
        file.write(f"\n# Tuesday\n\n{text(2)}\n")
        file.flush()
        sight.knows(2)


def test_a_hard_link_is_seen(home: Home, watch_it: Watcher) -> None:
    outside = home.write(1, folder=home.elsewhere)
    sight = watch_it()
    (home.memory / "link.json").hardlink_to(outside)
    sight.knows(1)


def test_what_is_renamed_in_from_outside_is_seen(home: Home, watch_it: Watcher) -> None:
    outside = home.write(1, folder=home.elsewhere)
    sight = watch_it()
    outside.rename(home.memory / "new.json")
    sight.knows(1)


def test_what_is_saved_as_vim_does_supersedes_what_was_there(home: Home, watch_it: Watcher) -> None:
    page = home.memory / "page.md"
    page.write_text(f"{text(1)}\n", encoding="utf-8")
    sight = watch_it()
    sight.knows(1)
    page.rename(home.memory / "page.md~")
    (home.memory / "4913").write_text("", encoding="utf-8")
    (home.memory / "4913").unlink()
    page.write_text(f"{text(2)}\n", encoding="utf-8")
    (home.memory / "page.md~").unlink()
    assert sight.knows(2).memories.superseded == 1


def test_a_tree_that_is_copied_in_at_once_is_seen_to_its_leaves(home: Home, watch_it: Watcher) -> None:
    sight = watch_it()
    source = home.elsewhere / "tree"
    for number in range(40):
        folder = source.joinpath(*f"{number:06b}")
        folder.mkdir(parents=True, exist_ok=True)
        home.write(number, folder=folder)
    shutil.copytree(source, home.memory / "tree")
    assert sight.knows(40).files == 40


def test_what_is_made_in_folders_as_they_come_is_seen(home: Home, watch_it: Watcher) -> None:
    sight = watch_it()
    for number in range(30):
        folder = home.memory / f"{number}" / "a" / "b" / "c"
        folder.mkdir(parents=True)
        home.write(number, folder=folder)
    sight.knows(30)


def test_a_folder_that_is_moved_in_as_a_whole_is_seen(home: Home, watch_it: Watcher) -> None:
    (home.elsewhere / "year" / "month").mkdir(parents=True)
    home.write(1, folder=home.elsewhere / "year" / "month")
    sight = watch_it()
    (home.elsewhere / "year").rename(home.memory / "year")
    sight.knows(1)
    home.write(2, folder=home.memory / "year" / "month")
    sight.knows(2)


def test_a_folder_that_is_moved_within_goes_on_being_watched(home: Home, watch_it: Watcher) -> None:
    (home.memory / "a" / "deep").mkdir(parents=True)
    (home.memory / "b").mkdir()
    home.write(1, folder=home.memory / "a" / "deep")
    sight = watch_it()
    (home.memory / "a").rename(home.memory / "b" / "a")
    home.write(2, folder=home.memory / "b" / "a" / "deep")
    assert sight.knows(2).memories.superseded == 0


def test_a_folder_that_is_moved_out_keeps_its_memories(home: Home, watch_it: Watcher) -> None:
    (home.memory / "year").mkdir()
    home.write(1, folder=home.memory / "year")
    sight = watch_it(minutes=SHORT_MINUTES)
    sight.knows(1)
    (home.memory / "year").rename(home.elsewhere / "year")
    seen = sight.says("no file", lambda seen: seen.files == 0)
    assert (seen.memories.known, seen.pending, seen.missing) == (1, 1, ())


def test_folders_that_are_moved_out_and_deleted_do_not_deafen_the_watch(home: Home, watch_it: Watcher) -> None:
    """Watchdog's books break here, and its one thread that reads from the kernel ends with a KeyError."""
    sight = watch_it(health_every_s=0.1)
    for name in ("first", "second"):
        (home.memory / "inbox").mkdir()
        home.write(1, folder=home.memory / "inbox")
        until("a look", lambda: sight.last and sight.last.memories.known == 1)
        (home.memory / "inbox").rename(home.elsewhere / name)
    until("the look at what is new", sight.watch.is_whole)
    shutil.rmtree(home.elsewhere / "second")
    shutil.rmtree(home.elsewhere / "first")
    home.write(2)
    sight.knows(2)
    until("a watch that is whole", sight.watch.is_whole)
    home.write(3)
    sight.knows(3)


# --- names and links ------------------------------------------------------------------------------------------------


def test_names_that_are_no_text_are_set_aside_and_the_others_read(home: Home, watch_it: Watcher) -> None:
    sight = watch_it()
    folder = home.memory / "new\nline\t\x1b[31m"
    folder.mkdir()
    home.write(1, "a\nb.json", folder)
    Path(os.fsdecode(os.fsencode(home.memory) + b"/\xff\xfe.json")).write_text(as_file(2), encoding="utf-8")
    undecodable = Path(os.fsdecode(os.fsencode(home.memory) + b"/\xff"))
    undecodable.mkdir()
    home.write(3, folder=undecodable)
    seen = sight.says("all three", lambda seen: seen.memories.known == 1 and seen.skipped_total == 2)
    assert {item.reason for item in seen.skipped} == {"its name is not valid UTF-8"}


def test_links_in_a_circle_are_not_followed(home: Home, watch_it: Watcher) -> None:
    sight = watch_it()
    (home.memory / "sub").mkdir()
    (home.memory / "sub" / "loop").symlink_to(home.memory)
    (home.memory / "me").symlink_to("me")
    home.write(1, folder=home.memory / "sub")
    seen = sight.says("the links", lambda seen: seen.memories.known == 1 and seen.skipped_total == 2)
    assert {item.reason for item in seen.skipped} == {"a symbolic link, which is not followed"}
    assert seen.files == 1


def test_a_folder_that_is_a_link_is_watched_where_it_leads(home: Home, watch_it: Watcher) -> None:
    home.memory.rmdir()
    home.memory.symlink_to(home.elsewhere)
    sight = watch_it()
    home.write(1, folder=home.elsewhere)
    sight.knows(1)


def test_two_names_of_one_folder_are_watched_as_one(home: Home, watch_it: Watcher) -> None:
    sight = watch_it(memories=("elsewhere", "elsewhere/../elsewhere"), health_every_s=0.1)
    assert sight.watch.is_whole()
    home.write(1)
    sight.knows(1)
    assert sight.watch.is_whole()


def test_a_time_to_come_holds_nothing_up(home: Home, watch_it: Watcher) -> None:
    path = home.write(1, folder=home.elsewhere)
    year_2300_ns = 10_413_792_000 * 10**9  # more nanoseconds than a signed number of 64 bits holds
    for place, at_ns in enumerate((time.time_ns() + 10**12, year_2300_ns, -(10**18))):
        os.utime(path, ns=(at_ns, at_ns))
        shutil.copy2(path, home.memory / f"{place}.json")
    sight = watch_it()
    sight.says("all files", lambda seen: seen.memories.known == 1 and seen.files == 3)
    home.write(2)
    sight.knows(2)


def test_a_tree_deeper_than_the_stack_is_said_not_to_be_watched_and_is_scanned(home: Home, watch_it: Watcher) -> None:
    deep = os.open(home.memory, os.O_PATH)
    for _ in range(1200):
        os.mkdir("d", dir_fd=deep)
        deep, above = os.open("d", os.O_PATH, dir_fd=deep), deep
        os.close(above)
    os.close(deep)
    home.write(1)
    sight = watch_it(minutes=SHORT_MINUTES)
    sight.knows(1)
    assert "not told of" in sight.watch.fault
    home.write(2)
    sight.knows(2)
    subprocess.run(["rm", "-rf", home.memory / "d"], check=True)  # Python's own stack is not deep enough for it


# --- roots that come and go -----------------------------------------------------------------------------------------


def test_a_root_that_is_deleted_and_made_again_is_watched_anew(home: Home, watch_it: Watcher) -> None:
    home.write(1)
    sight = watch_it(health_every_s=0.1)
    sight.knows(1)
    shutil.rmtree(home.memory)
    seen = sight.says("what is missing", lambda seen: seen.missing)
    assert seen.missing == (f"the folder {home.memory} is missing",)
    assert (seen.memories.known, seen.memories.due) == (1, 1)
    home.memory.mkdir()
    sight.says("that all is there", lambda seen: not seen.missing)
    until("a watch that is whole", sight.watch.is_whole)
    home.write(2)
    sight.knows(2)


def test_a_root_that_is_made_again_at_once_with_its_old_inode_is_watched_anew(home: Home, watch_it: Watcher) -> None:
    sight = watch_it(health_every_s=0.1)
    for number in range(5):  # most file systems give the inode that was freed last
        home.memory.rmdir()
        home.memory.mkdir()
        until("a watch that is whole", lambda: sight.watch.is_whole() and sight.last and not sight.last.missing)
        home.write(number)
        sight.knows(number + 1)
        (home.memory / f"{number}.json").unlink()


def test_a_root_that_is_renamed_and_replaced_is_watched_anew(home: Home, watch_it: Watcher) -> None:
    sight = watch_it(health_every_s=0.1)
    home.memory.rename(home.elsewhere / "old")
    home.memory.mkdir()
    home.write(1)
    sight.knows(1)
    until("a watch that is whole", sight.watch.is_whole)
    home.write(2)
    sight.knows(2)


def test_a_root_that_appears_later_is_noticed(home: Home, watch_it: Watcher) -> None:
    home.memory.rmdir()
    sight = watch_it(health_every_s=0.1)
    assert sight.last
    assert sight.last.missing
    home.memory.mkdir()
    until("a watch that is whole", sight.watch.is_whole)
    home.write(1)
    seen = sight.knows(1)
    assert not seen.missing


def test_a_missing_root_is_said_at_the_next_look_of_any_kind(home: Home, watch_it: Watcher) -> None:
    other = home.memory.parent / "persona" / "therapy"
    other.mkdir(parents=True)
    sight = watch_it()
    shutil.rmtree(home.memory)
    (other / "a.txt").write_text("Nothing new.", encoding="utf-8")
    sight.says("what is missing", lambda seen: seen.missing)


def test_asked_it_looks_at_what_is_no_memory(home: Home, watch_it: Watcher) -> None:
    sight = watch_it()
    run = home.memory.parent / "out" / "fine-tuned-models" / "2025-03-01" / "2025-03-01-120000-000001"
    run.mkdir(parents=True)
    (run / "run.json").write_text('{"run_label": "x", "inputs": {}}', encoding="utf-8")
    sight.looker.ask()
    sight.says("the unfinished run", lambda seen: seen.unfinished_run == run.name)


@is_root
def test_a_drive_that_is_pulled_pauses_and_its_memories_stay_due(home: Home, watch_it: Watcher) -> None:
    with mounted("tmpfs", home.elsewhere) as drive:
        (home.elsewhere / ".here").touch()
        home.write(1, folder=home.elsewhere)
        sight = watch_it(memories=("elsewhere",), marker=".here", health_every_s=0.1)
        sight.knows(1)
        drive.unmount()
        seen = sight.says("what is missing", lambda seen: seen.missing)
        assert "the marker .here is missing" in seen.missing[0]
        assert (seen.memories.known, seen.memories.due) == (1, 1)
        drive.mount()  # another drive: what was on the first is gone, and stays known
        (home.elsewhere / ".here").touch()
        home.write(2, folder=home.elsewhere)
        seen = sight.knows(2)
        assert (seen.missing, seen.memories.due) == ((), 2)


@is_root
def test_a_drive_that_is_back_before_anybody_looked_is_watched_anew(home: Home) -> None:
    """Device and inode are the same again, all threads live; and yet nothing is told of."""
    image = home.root / "drive"
    subprocess.run(["truncate", "-s", "8M", image], check=True)
    if subprocess.run(["mkfs.ext4", "-q", image], check=False, capture_output=True).returncode:
        pytest.skip("no mkfs.ext4")
    with mounted("ext4", home.elsewhere, str(image)) as drive:
        woken = threading.Event()
        watch = Watch([home.elsewhere], woken.set)
        try:
            watch.start()
            before = home.elsewhere.stat()
            drive.unmount()
            drive.mount()
            after = home.elsewhere.stat()
            if (before.st_dev, before.st_ino) != (after.st_dev, after.st_ino):
                pytest.skip("the drive came back as another device")
            until("a watch that is not whole", lambda: not watch.is_whole())
            watch.start()
            assert watch.is_whole()
            home.write(1, folder=home.elsewhere)
            until("a hint", lambda: watch.take().folders == {home.elsewhere})
        finally:
            watch.stop()


@is_root
def test_a_bind_mount_is_watched_like_any_folder(home: Home, watch_it: Watcher) -> None:
    with mounted("bind", home.memory, str(home.elsewhere)):
        sight = watch_it()
        assert not sight.watch.polled
        home.write(1, folder=home.elsewhere)
        sight.knows(1)


@is_root
def test_a_drive_that_is_mounted_below_is_found_by_the_scan(home: Home, watch_it: Watcher) -> None:
    (home.memory / "usb").mkdir()
    home.write(1, folder=home.memory / "usb")
    sight = watch_it(minutes=SHORT_MINUTES)
    sight.knows(1)
    with mounted("tmpfs", home.memory / "usb"):
        home.write(2, folder=home.memory / "usb")
        sight.knows(2)
    seen = sight.says("what was below it", lambda seen: seen.files == 1)
    assert seen.memories.due == 2


# --- what the kernel keeps to itself --------------------------------------------------------------------------------


def test_a_folders_thread_that_ended_is_noticed(home: Home, watch_it: Watcher) -> None:
    sight = watch_it(health_every_s=0.1)
    for emitter in list(sight.watch._observer.emitters):
        emitter.stop()
        emitter.join()
    assert sight.watch._observer.is_alive()
    until("a watch that is whole", sight.watch.is_whole)
    home.write(1)
    sight.knows(1)


def test_the_observers_thread_that_ended_is_noticed(home: Home, watch_it: Watcher) -> None:
    sight = watch_it(health_every_s=0.1)
    sight.watch._observer.stop()
    until("a watch that is whole", sight.watch.is_whole)
    home.write(1)
    sight.knows(1)


def test_many_thousand_folders_are_a_look_at_everything(home: Home, watch_it: Watcher) -> None:
    folders = [home.memory / f"{number}" for number in range(12_000)]
    assert len(folders) > 5 * _MANY
    watch = Watch([home.memory], lambda: None)
    for folder in folders:
        watch._changed(folder)
    hints = watch.take()
    assert (hints.everything, hints.folders) == (True, frozenset())
    sight = watch_it()
    for folder in folders[: _MANY + 500]:
        folder.mkdir()
    home.write(1, folder=folders[_MANY])
    sight.knows(1)


def test_one_look_at_everything_does_not_follow_the_other(home: Home, watch_it: Watcher) -> None:
    sight = watch_it()
    sight.looker._all_took_s = 500.0
    count = len(sight.words)
    sight.watch.overflowed()
    until("that it is taken note of", lambda: sight.looker._all_at_s < time.monotonic() + LONG_MINUTES * 60 - 5)
    assert sight.looker._all_at_s > time.monotonic() + 2000 - PATIENCE_S
    assert len(sight.words) == count


@is_root
def test_where_no_watches_are_left_it_is_said_and_the_scan_finds_all(home: Home, watch_it: Watcher) -> None:
    for number in range(5):
        (home.memory / f"{number}").mkdir()
    with kernel_limit("max_user_watches", 3):
        sight = watch_it(minutes=SHORT_MINUTES)
        assert "watch limit" in sight.watch.fault
        for number in range(5):
            home.write(number, folder=home.memory / f"{number}")
        sight.knows(5)
        threads, descriptors = threading.active_count(), open_descriptors()
        for _ in range(5):
            sight.looks_again()
        assert threading.active_count() <= threads
        assert open_descriptors() <= descriptors + 1
    until("a watch without a fault", lambda: not sight.watch.fault and sight.watch.is_whole())


@is_root
def test_watches_that_run_out_later_are_said(home: Home, watch_it: Watcher) -> None:
    sight = watch_it()
    assert not sight.watch.fault
    with kernel_limit("max_user_watches", 1):
        (home.memory / "new").mkdir()
        until("the fault", lambda: "watch limit" in sight.watch.fault)


@is_root
@pytest.mark.parametrize("limit", ["max_user_watches", "max_user_instances"])
def test_without_any_watch_all_is_scanned_and_nothing_leaks(home: Home, watch_it: Watcher, limit: str) -> None:
    with kernel_limit(limit, 0):
        sight = watch_it(minutes=SHORT_MINUTES, health_every_s=0.05)
        assert "limit reached" in sight.watch.fault
        home.write(1)
        sight.knows(1)
        threads, descriptors = threading.active_count(), open_descriptors()
        for _ in range(5):
            sight.looks_again()
        assert threading.active_count() <= threads + 1  # one that is just being tried
        assert open_descriptors() <= descriptors + 4
    until("a watch without a fault", lambda: not sight.watch.fault and sight.watch.is_whole())


def test_a_fault_that_lasts_does_not_have_all_looked_at_again_and_again(home: Home, watch_it: Watcher) -> None:
    watch = Watch([home.memory], lambda: None)
    watch._identities = {home.memory: (home.memory.stat().st_dev, home.memory.stat().st_ino)}
    watch._fault = "no watches are left"
    assert watch.is_whole()


@is_root
def test_events_that_are_dropped_while_it_stands_still_lead_to_a_look_at_everything(
    home: Home, start_daemon: Callable[..., Daemon]
) -> None:
    count = 5_000
    folders = [home.memory / f"{number}" for number in range(100)]
    for folder in folders[:50]:
        folder.mkdir()
    with kernel_limit("max_queued_events", 1000):
        daemon = start_daemon(f"[daemon]\nreconcile_minutes = {LONG_MINUTES}\nquiet_s = 0.3\n")
        daemon.says("the first look", lambda seen: seen["files"] == 0)
        with daemon.stopped():
            for folder in folders[50:]:
                folder.mkdir()
            for number in range(count):
                (folders[number % len(folders)] / f"{number}.json").write_text("{}", encoding="ascii")
        all_there = {"files": count, "skipped_total": count}
        daemon.says("all files", lambda seen: all_there.items() <= seen.items(), patience_s=4 * PATIENCE_S)
        for number in (0, 99):  # a folder whose coming was dropped is watched by now, too
            home.write(number, folder=folders[number])
        daemon.says("what came later", lambda seen: seen["memories"]["known"] == 2)
    assert "everything is looked at" in daemon.log()


def test_a_file_system_that_does_not_tell_is_polled(home: Home) -> None:
    table = "27 1 254:0 / / rw - ext4 /dev/vda rw\n28 27 0:40 / /home/a\\040nas rw - nfs4 nas:/a rw\n"
    mountinfo = home.root / "mountinfo"
    mountinfo.write_text(table, encoding="ascii")
    assert not file_system_of(Path("/home/a nas/memories"), mountinfo).tells_of_changes
    assert file_system_of(Path("/home"), mountinfo).tells_of_changes


@contextmanager
def fuse(folder: Path, point: Path) -> Iterator[FuseDouble]:
    """A folder shown at another place, by a program that the kernel only asks."""
    double = FuseDouble(folder, point)
    try:
        double.__enter__()
    except OSError as error:
        pytest.skip(f"no FUSE here: {error}")
    with ExitStack() as stack:
        stack.push(double.__exit__)
        yield double


@is_root
def test_a_fuse_file_system_is_polled_and_what_changes_behind_it_is_found(home: Home, watch_it: Watcher) -> None:
    with fuse(home.elsewhere, home.memory):
        sight = watch_it(minutes=SHORT_MINUTES, health_every_s=0.1)
        assert sight.watch.polled == (home.memory,)
        assert sight.watch.is_whole()
        home.write(1, folder=home.elsewhere)
        sight.knows(1)
        home.write(2, folder=home.elsewhere)
        sight.knows(2)


@is_root
def test_a_fuse_file_system_that_crashed_is_a_fault_and_nothing_is_lost(home: Home, watch_it: Watcher) -> None:
    with fuse(home.elsewhere, home.memory) as double:
        home.write(1, folder=home.elsewhere)
        sight = watch_it(minutes=SHORT_MINUTES)
        sight.knows(1)
        double.die()
        until("the fault", lambda: isinstance(sight.words[-1], Blind))
    with fuse(home.elsewhere, home.memory):
        home.write(2, folder=home.elsewhere)
        sight.looker.ask()
        assert sight.knows(2).memories.due == 2


@is_root
def test_a_folder_that_may_not_be_read_is_set_aside_until_it_may(
    home: Home, start_daemon: Callable[..., Daemon]
) -> None:
    for name in ("one", "two"):
        (home.memory / name).mkdir()
        home.write(len(name) + ord(name[0]), folder=home.memory / name)
        (home.memory / name).chmod(0)
    home.write(1)
    # The superuser reads everything, unless that right is taken away.
    daemon = start_daemon(
        f"[daemon]\nreconcile_minutes = {SHORT_MINUTES}\nquiet_s = 0.3\n",
        before=("setpriv", "--bounding-set=-dac_override,-dac_read_search"),
    )
    seen = daemon.says("what may be read", lambda seen: seen["memories"]["known"] == 1 and seen["skipped_total"])
    assert {item["reason"] for item in seen["skipped"]} == {"no permission to read it"}
    assert [item["source"] for item in seen["skipped"]] == ["memory/one", "memory/two"]
    assert seen["daemon"]["watching"] == "the system tells of changes"
    assert "already exists" not in daemon.log()
    for name in ("one", "two"):
        (home.memory / name).chmod(0o700)
    daemon.says("the others", lambda seen: seen["memories"]["known"] == 3 and not seen["skipped_total"])


def open_descriptors() -> int:
    """How many descriptors this process has open."""
    return len(list(Path("/proc/self/fd").iterdir()))


class _Mount:
    def __init__(self, kind: str, folder: Path, source: str) -> None:
        self.folder = folder
        self._command = ["mount", "--bind", source] if kind == "bind" else ["mount", "-t", kind, source]
        if source.startswith("/") and kind != "bind":
            self._command[1:1] = ["-o", "loop"]

    def mount(self) -> None:
        done = subprocess.run([*self._command, self.folder], check=False, capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"nothing can be mounted here: {done.stderr.strip()}")

    def unmount(self, *how: str) -> None:
        subprocess.run(["umount", *how, self.folder], check=not how, capture_output=True)


@contextmanager
def mounted(kind: str, folder: Path, source: str = "none") -> Iterator[_Mount]:
    """Something mounted on a folder; never left behind."""
    mount = _Mount(kind, folder, source)
    mount.mount()
    try:
        yield mount
    finally:
        mount.unmount("-l")


@contextmanager
def kernel_limit(name: str, value: int) -> Iterator[None]:
    """One of inotify's limits, lowered for as long as it takes."""
    path = INOTIFY / name
    before = path.read_text(encoding="ascii")
    try:
        path.write_text(f"{value}\n", encoding="ascii")
    except OSError as error:
        pytest.skip(f"the kernel's limits cannot be set here: {error.strerror}")
    try:
        yield
    finally:
        path.write_text(before, encoding="ascii")
