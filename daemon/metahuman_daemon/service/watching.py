"""Watches folders, and says which of them to look at: a hint that saves time, never the truth.

Invariant: whatever the system does not tell (an overflow, a folder that was replaced, a dead thread, a file system that
tells nothing) leads to a look at everything, at the latest with the next reconciling scan.
"""

from __future__ import annotations

import errno
import os
import threading
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import structlog
from watchdog.events import (
    DirCreatedEvent,
    DirMovedEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers.api import BaseObserver
from watchdog.observers.inotify import InotifyEmitter
from watchdog.observers.inotify_c import (
    CallbackId,
    InotifyConstants,
    InotifyEvent,
    InotifyFD,
    Mask,
    WatchCallback,
    WatchDescriptor,
)

from metahuman_daemon.service.mounts import file_system_of

# Written and closed, linked or renamed in. What is deleted brings nothing new; what is written on and never closed is
# found by the reconciling scan.
_EVENTS: list[type[FileSystemEvent]] = [
    FileClosedEvent, FileCreatedEvent, FileMovedEvent, DirCreatedEvent, DirMovedEvent,
]  # fmt: skip
_MANY = 2000
# A folder that went away meanwhile, or may not be read: the scan says so, and it is no want of the watch.
_SAID_BY_THE_SCAN = (errno.ENOENT, errno.ENOTDIR, errno.EACCES, errno.ELOOP, errno.ENAMETOOLONG)

# A folder that comes with others in it can be met twice, by its own event and by its parent's: watchdog warns of each.
warnings.filterwarnings("ignore", "Callback with id .* already exists", RuntimeWarning)

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Hints:
    """Folders to look at; `everything` where nobody knows which."""

    folders: frozenset[Path]
    everything: bool


class Watch:
    """One profile's folders. `wake` is called from other threads when there are hints."""

    def __init__(self, folders: Iterable[Path], wake: Callable[[], None]) -> None:
        self._folders = tuple(folders)
        self._wake = wake
        self._lock = threading.Lock()
        self._hints: set[Path] = set()
        self._everything = False
        self._kernel: _Kernel | None = None
        self._observer: BaseObserver | None = None
        self._identities: dict[Path, tuple[int, int]] = {}
        self._watched: frozenset[str] = frozenset()
        self._fault = ""
        self.polled: tuple[Path, ...] = ()

    @property
    def fault(self) -> str:
        """Why not all changes are told of ("" where they are)."""
        refused = self._kernel.refused if self._kernel else ""
        return self._fault or refused

    def start(self) -> None:
        """Watch what can be watched; `polled` and `fault` say what cannot, and why."""
        self.stop()
        self._identities = {folder: identity for folder in self._folders if (identity := _identity(folder))}
        self.polled = tuple(f for f in self._identities if not file_system_of(f).tells_of_changes)
        # A folder that is a link: inotify would watch the link. Two that lead to the same place are watched once.
        self._watched = frozenset(os.path.realpath(f) for f in self._identities if f not in self.polled)
        self._fault = ""
        handler = _Handler(self._changed)
        try:
            self._kernel = _Kernel(self.overflowed)
            self._kernel.start()
            self._observer = BaseObserver(InotifyEmitter, inotify_fd=self._kernel)
            for path in self._watched:
                self._observer.schedule(handler, path, recursive=True, event_filter=_EVENTS)
            self._observer.start()
        except (OSError, RuntimeError) as error:
            # No instances, watches or threads left (`metahuman doctor` names the limit), a folder that went away just
            # now, a tree that is deeper than Python's stack, on which watchdog walks.
            self.stop()
            self._fault = _not_told(error)

    def stop(self) -> None:
        """Watch nothing any more."""
        observer, self._observer = self._observer, None
        kernel, self._kernel = self._kernel, None
        if observer is not None:
            observer.unschedule_all()  # its own thread may have ended, or never begun
            if observer.is_alive():
                observer.stop()
                observer.join()
        if kernel is not None:
            kernel.stop()
            if kernel.is_alive():
                kernel.join()

    def is_whole(self) -> bool:
        """Whether the folders are the same as at the start, and everything that watches them lives.

        `observer.is_alive()` stays true when a folder's own thread has ended, and both when the thread has that reads
        from the kernel.
        """
        if {f: i for f in self._folders if (i := _identity(f))} != self._identities:
            return False
        if self._observer is None or self._kernel is None:
            return bool(self._fault)  # it was tried: nothing more can be had of these folders now
        if not self._kernel.is_alive() or self._kernel.unmounted:
            return False
        watching = sum(emitter.is_alive() for emitter in self._observer.emitters)
        return self._observer.is_alive() and watching == len(self._watched)

    def take(self) -> Hints:
        """The hints since the last call."""
        with self._lock:
            hints = Hints(frozenset(self._hints), self._everything)
            self._hints.clear()
            self._everything = False
        return hints

    def overflowed(self) -> None:
        """The system has dropped events: look at everything."""
        with self._lock:
            self._everything = True
            self._hints.clear()
        self._wake()

    def _changed(self, folder: Path) -> None:
        with self._lock:
            if self._everything or folder in self._hints:
                return
            self._hints.add(folder)
            if len(self._hints) > _MANY:
                self._everything = True
                self._hints.clear()
            first = self._everything or len(self._hints) == 1
        if first:
            self._wake()


class _Handler(FileSystemEventHandler):
    """Passes on the folder in which something happened; of a folder that came, itself as well."""

    def __init__(self, changed: Callable[[Path], None]) -> None:
        self._changed = changed

    def dispatch(self, event: FileSystemEvent) -> None:
        """Called in watchdog's thread for each event."""
        path = Path(os.fsdecode(event.dest_path or event.src_path))
        self._changed(path.parent)
        if event.is_directory:
            self._changed(path)


class _Kernel(InotifyFD):
    """Reads what the kernel tells, and passes on what watchdog keeps to itself."""

    def __init__(self, overflowed: Callable[[], None]) -> None:
        super().__init__()
        self._overflowed = overflowed
        self.refused = ""
        """Why some folder is not watched: watchdog says nothing of it below the root."""
        self.unmounted = False
        """Whether a file system went away, and all watches on it: the same drive, back again, looks as it did."""

    def run(self) -> None:
        """Read until it is stopped."""
        try:
            super().run()
        except Exception as error:  # noqa: BLE001  # its books fail where a folder was moved out and another came
            log.warning("the thread that reads of changes has ended", reason=type(error).__name__)
            self._overflowed()
        finally:
            # Stopped before it has begun to read, it would leave its descriptors open: each retry would cost some.
            with self._lock:
                unread, self._is_reading = self._is_reading, False
                left_open = unread and self._closed
            if left_open:
                self._close_resources()

    def handle_event(self, event: InotifyEvent) -> None:
        """Called for each event. After an overflow watchdog watches anew first: what comes then is told of again."""
        super().handle_event(event)
        if event.is_queue_overflow:
            self._overflowed()
        if event.mask & InotifyConstants.IN_UNMOUNT:
            self.unmounted = True

    def add_callback(self, path: bytes, mask: Mask, callback: WatchCallback, id_: CallbackId) -> WatchDescriptor:
        """Watch one more folder. Raises OSError where the system refuses."""
        try:
            # watchdog takes a refused permission for a watch, all of them for the same one.
            if os.path.lexists(path) and not os.access(path, os.R_OK, effective_ids=True):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
            return super().add_callback(path, mask, callback, id_)
        except OSError as error:
            if error.errno not in _SAID_BY_THE_SCAN:
                self.refused = _not_told(error)
            raise


def _not_told(error: OSError | RuntimeError) -> str:
    """The fault in words."""
    reason = error.strerror if isinstance(error, OSError) else ""
    return f"changes are not told of: {reason or error}"


def _identity(folder: Path) -> tuple[int, int] | None:
    """Device and inode of a folder; None if there is none."""
    try:
        status = folder.stat()
    except OSError:
        return None
    return (status.st_dev, status.st_ino)
