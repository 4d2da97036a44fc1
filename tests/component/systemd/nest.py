"""A systemd that runs inside the tests, in namespaces of its own, with the shipped unit installed in it.

Invariant: nothing of it outlives the test, whatever fails: all its processes die with the first one, that one dies with
the test's, and what it mounts and writes is seen by nobody else. (Where the tests themselves are killed by SIGKILL, an
empty folder and an empty control group are left.)
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).parents[3]
UNIT = "metahuman.service"
_INIT = Path(__file__).with_name("nest_init.sh")
_SYSTEMD = Path("/lib/systemd/systemd")
_PROGRAMS = ("unshare", "nsenter", "setpriv", "systemctl", "journalctl", "systemd-sysusers", "systemd-tmpfiles")
_NAMESPACES = ("--pid", "--mount", "--cgroup", "--ipc", "--uts")
_BOOT_S = 20.0

# What the unit has to be told in the tests, and why.
_DROP_IN = """
[Service]
# It is this checkout that is tested, wherever the environment's own installation points.
Environment=PYTHONPATH=/opt/checkout/core:/opt/checkout/daemon PYTHONDONTWRITEBYTECODE=1
# The interpreter that this environment leans on may lie in a home, which the unit does not see. (It is what `metahuman
# doctor` warns of; an installation has one from /usr.)
BindReadOnlyPaths={python}
"""


def why_not() -> str:
    """Why no nest can be booted here; empty where one can."""
    if os.geteuid() != 0:
        return "a nested systemd needs root"
    if not _SYSTEMD.exists():
        return f"there is no {_SYSTEMD}"
    if missing := [name for name in _PROGRAMS if shutil.which(name) is None]:
        return f"not installed: {', '.join(missing)}"
    if _cgroup2() is None:
        return "no cgroup2 is mounted"
    if not Path(sys.prefix, "bin/metahuman").exists():
        return f"metahuman is not installed in {sys.prefix}"
    tried = subprocess.run(["unshare", *_NAMESPACES, "--fork", "true"], capture_output=True, text=True, check=False)
    return tried.stderr.strip()


@dataclass(frozen=True, slots=True)
class Nest:
    """A nested systemd that has booted; `metahuman.service` is installed as shipped, and not started."""

    init_pid: int

    @property
    def root(self) -> Path:
        """Its file system, as seen from here: `nest.root / "var/lib/metahuman"`."""
        return Path(f"/proc/{self.init_pid}/root")

    def run(self, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command in it, as root; its output is captured."""
        inside = ["nsenter", "--target", str(self.init_pid), "--pid", "--mount", "--cgroup", "--ipc", "--uts", "--"]
        done = subprocess.run([*inside, *command], capture_output=True, text=True, check=False, timeout=120)
        if check and done.returncode:
            raise AssertionError(f"{' '.join(command)}: exit {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    def metahuman(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """`metahuman …` by hand, as the service's user and with its config."""
        config = ("METAHUMAN_CONFIG=/etc/metahuman/config.toml", "PYTHONPATH=/opt/checkout/core:/opt/checkout/daemon")
        at = ("--chdir=/var/lib/metahuman", "HOME=/var/lib/metahuman")
        user = ("setpriv", "--reuid=metahuman", "--regid=metahuman", "--clear-groups")
        return self.run(*user, "env", *at, *config, "/opt/metahuman/bin/metahuman", *arguments, check=False)

    def systemctl(self, *arguments: str, check: bool = True) -> str:
        """What systemctl prints."""
        return self.run("systemctl", *arguments, check=check).stdout

    def shown(self, *properties: str) -> dict[str, str]:
        """Properties of the unit: ActiveState, SubState, Result, StatusText, MainPID, NRestarts, ExecMainStatus, …"""
        lines = self.systemctl("show", UNIT, f"--property={','.join(properties)}").splitlines()
        return {name: value for name, _, value in (line.partition("=") for line in lines)}

    def journal(self) -> str:
        """All that the unit and systemd said about it, one line each, the oldest first."""
        self.run("journalctl", "--sync")
        return self.run("journalctl", "--quiet", "--output=cat", f"--unit={UNIT}").stdout

    def wait_for(self, within_s: float = 20.0, **wanted: str) -> None:
        """Wait until the unit's properties are these: `nest.wait_for(ActiveState="active")`."""
        self._wait(lambda: self.shown(*wanted) == wanted, f"not {wanted}", within_s)

    def wait_for_status(self, words: str, within_s: float = 20.0) -> None:
        """Wait until the line that the daemon tells systemd has these words."""
        self._wait(lambda: words in self.shown("StatusText")["StatusText"], f"no {words!r} in its status", within_s)

    def wait_for_word(self, words: str, within_s: float = 20.0) -> None:
        """Wait until these words stand in the journal."""
        self._wait(lambda: words in self.journal(), f"no {words!r} in the journal", within_s)

    def _wait(self, is_so: Callable[[], bool], otherwise: str, within_s: float) -> None:
        deadline = time.monotonic() + within_s
        while not is_so():
            if time.monotonic() > deadline:
                state = self.shown("ActiveState", "StatusText", "Result")
                raise AssertionError(f"after {within_s:g} s {otherwise}: {state}\n{self.journal()}")
            time.sleep(0.05)

    def main_pid(self) -> int:
        """The pid of the unit's main process, as it is called inside; 0 where there is none."""
        return int(self.shown("MainPID")["MainPID"])

    def signal(self, sent: signal.Signals, pid: int | None = None) -> None:
        """Send a signal to a process inside (else the unit's main process)."""
        self.run("kill", f"-{sent.value}", str(pid or self.main_pid()))

    def processes(self) -> list[int]:
        """All processes of the unit, as they are called inside."""
        group = self.shown("ControlGroup")["ControlGroup"]
        listed = self.run("cat", f"/sys/fs/cgroup{group}/cgroup.procs", check=False) if group else None
        return [int(pid) for pid in listed.stdout.split()] if listed else []

    def drop_in(self, name: str, text: str) -> None:
        """Add a drop-in (`[Service]` and so on) to the unit, and let systemd read it."""
        folder = self.root / f"etc/systemd/system/{UNIT}.d"
        folder.mkdir(exist_ok=True)
        (folder / f"{name}.conf").write_text(text, encoding="utf-8")
        self.systemctl("daemon-reload")

    def write(self, path: str, text: str, owner: str = "root", mode: int = 0o644) -> None:
        """Write a file inside; folders that are not there are made by its owner, who is the group, too."""
        self.run("runuser", "-u", owner, "--", "mkdir", "-p", str(Path(path).parent))
        inside = self.root / path.lstrip("/")
        inside.write_text(text, encoding="utf-8")
        inside.chmod(mode)
        self.run("chown", f"{owner}:{owner}", path)

    def copy_in(self, source: Path, path: str, owner: str = "metahuman") -> None:
        """Copy what is in a folder of ours into one inside."""
        shutil.copytree(source, self.root / path.lstrip("/"), symlinks=True, dirs_exist_ok=True)
        self.run("chown", "-R", f"{owner}:{owner}", path)


@contextmanager
def booted() -> Iterator[Nest]:
    """Boot a nest, install the shipped unit in it, and see to it that nothing of it is left."""
    scratch = Path(tempfile.mkdtemp(prefix="metahuman-nest-"))
    group = _own_group(scratch.name)
    process = _started(scratch, group)
    try:
        nest = Nest(_first_process(process))
        _wait_until_booted(nest)
        _install(nest)
        yield nest
    finally:
        process.kill()  # unshare takes the nest's first process along (--kill-child), and the kernel all the others
        said = process.communicate()[0]
        _remove_group(group)
        scratch.rmdir()
        if said.strip():
            sys.stderr.write(said)


def _started(scratch: Path, group: Path) -> subprocess.Popen[str]:
    init = ("sh", str(_INIT), str(scratch), str(REPOSITORY), sys.prefix, sys.base_prefix)
    unshare = ("unshare", "--kill-child", *_NAMESPACES, "--fork", "--mount-proc", *init)
    # If the tests themselves are killed, so is unshare.
    command = ("setpriv", "--pdeathsig", "KILL", *unshare)
    return subprocess.Popen(
        ["sh", "-c", f'echo $$ > "{group}/cgroup.procs" && exec "$@"', "sh", *command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def _first_process(process: subprocess.Popen[str]) -> int:
    deadline = time.monotonic() + _BOOT_S
    while time.monotonic() < deadline and process.poll() is None:
        if children := Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text(encoding="ascii").split():
            return int(children[0])
        time.sleep(0.01)
    raise AssertionError("no nested systemd came to be")


def _wait_until_booted(nest: Nest) -> None:
    deadline = time.monotonic() + _BOOT_S
    while nest.run("systemctl", "is-active", "nest.target", check=False).stdout.strip() != "active":
        if time.monotonic() > deadline or not nest.root.exists():
            raise AssertionError("the nested systemd did not boot")
        time.sleep(0.05)


def _install(nest: Nest) -> None:
    """As docs/install.md does it."""
    nest.run("cp", f"/opt/checkout/systemd/{UNIT}", "/etc/systemd/system/")
    for made_by in ("sysusers", "tmpfiles"):
        file = f"/etc/{made_by}.d/metahuman.conf"
        nest.run("cp", f"/opt/checkout/systemd/{made_by}.d/metahuman.conf", file)
        nest.run(f"systemd-{made_by}", *(["--create"] if made_by == "tmpfiles" else []), file)
    nest.drop_in("nest", _DROP_IN.format(python=sys.base_prefix))


def _cgroup2() -> Path | None:
    """Where the unified hierarchy is mounted: alone, or beside those of version 1."""
    for line in Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines():
        fields = line.split(" ")
        if fields[fields.index("-") + 1] == "cgroup2":
            return Path(fields[4])
    return None


def _own_group(name: str) -> Path:
    mounted = _cgroup2()
    assert mounted is not None
    lines = Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    ours = next(line.removeprefix("0::/") for line in lines if line.startswith("0::/"))
    group = mounted / ours / name
    group.mkdir()
    return group


def _remove_group(group: Path) -> None:
    """The kernel removes a group whose processes have ended, and that takes a moment."""
    deadline = time.monotonic() + _BOOT_S
    while group.exists() and time.monotonic() < deadline:
        for folder, _, _ in os.walk(group, topdown=False):
            with contextlib.suppress(OSError):
                Path(folder).rmdir()
        time.sleep(0.02)
