"""What docs/install.md prints works as printed, as far as it needs no package index."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from nest import REPOSITORY, Nest

PAGE = (REPOSITORY / "docs/install.md").read_text(encoding="utf-8")
_STAND_IN = "/opt/metahuman/bin/python /opt/checkout/tests/component/systemd/stand_in.py"
_PERSON_S = (
    "HOME=/home/anna",
    "XDG_RUNTIME_DIR=/run/anna",
    "PYTHONPATH=/opt/checkout/core:/opt/checkout/daemon",
)
_PERSON = f"""
[Service]
Type=notify
User=anna
Delegate=yes
Environment={" ".join(_PERSON_S)}
ExecStart=/lib/systemd/systemd --user
# Handed on to the services of hers: it is this checkout that is tested.
ExecStartPost=/bin/systemctl --user import-environment PYTHONPATH
"""


def commands(section: str) -> list[str]:
    """The blocks of commands under a heading."""
    text = re.split(r"^## ", PAGE, flags=re.MULTILINE)
    (found,) = [part for part in text if part.startswith(f"{section}\n")]
    return re.findall(r"^```\n(.*?)^```$", found, flags=re.MULTILINE | re.DOTALL)


def carry_out(nest: Nest, block: str) -> str:
    """Run a block in the nest as a person would paste it."""
    paths = "PYTHONPATH=/opt/checkout/core:/opt/checkout/daemon"
    return nest.run("env", paths, "sh", "-eu", "-c", block).stdout


@pytest.mark.skipif(shutil.which("setfacl") is None, reason="the package acl is not installed")
def test_from_the_units_to_a_service_that_reads_memories_in_a_home(nest: Nest) -> None:
    nest.write("/home/anna/memories/2025/a.md", "Rain all day.", mode=0o600)
    nest.run("chmod", "-R", "go=", "/home/anna")
    carry_out(nest, commands("Install")[1])
    (config, root) = commands("The config")
    carry_out(nest, config)
    for block in commands("The memories"):
        carry_out(nest, block)
    reading = 'cat /home/anna/memories/2025/a.md "$METAHUMAN_CONFIG"'
    nest.drop_in("reading", f"[Service]\nExecStart=\nExecStart=/bin/sh -c '{reading}; exec {_STAND_IN}'\n")
    carry_out(nest, "systemctl enable --now metahuman")
    assert nest.shown("ActiveState") == {"ActiveState": "active"}
    assert "Rain all day." in nest.journal()
    assert 'person = "Anna"' in nest.journal()
    seen = nest.run("runuser", "-u", "metahuman", "--", "cat", "/home/anna/memories/2025/a.md", check=False)
    assert seen.stdout == "Rain all day."
    carry_out(nest, root)
    nest.run("mkdir", "/srv/metahuman", check=False)
    said = nest.run("systemctl", "show", "metahuman", "--property=NeedDaemonReload").stdout
    assert said.strip() == "NeedDaemonReload=yes"


def test_without_root_a_person_has_a_unit_of_their_own(nest: Nest) -> None:
    nest.run("useradd", "--create-home", "anna")
    nest.run("install", "-d", "-o", "anna", "-g", "anna", "-m", "700", "/run/anna")
    nest.write("/home/anna/memories/a.md", "Rain all day. I stayed in and read.", "anna")
    nest.run("runuser", "-u", "anna", "--", "mkdir", "-p", "/home/anna/.local/share")
    nest.run("ln", "-s", "/opt/metahuman", "/home/anna/.local/share/metahuman")
    # What a login starts on a whole machine: the person's own systemd.
    nest.write("/etc/systemd/system/anna.service", _PERSON)
    nest.systemctl("daemon-reload")
    nest.systemctl("start", "anna")
    as_anna = ("runuser", "-u", "anna", "--", "env", *_PERSON_S)
    nest.run(*as_anna, "sh", "-eu", "-c", commands("Without root: a unit of your own")[1])

    def shown(name: str) -> str:
        return nest.run(*as_anna, "systemctl", "--user", "show", "metahuman", f"--property={name}", "--value").stdout

    assert shown("ActiveState") == "active\n"
    assert "anna: " in shown("StatusText")
    nest.run(*as_anna, "systemctl", "--user", "stop", "metahuman")
    assert shown("Result") == "success\n"


def test_by_hand_metahuman_finds_the_service_s_house(nest: Nest) -> None:
    carry_out(nest, commands("The config")[0])
    nest.write("/home/anna/memories/a.md", "Rain all day.")
    nest.run("chmod", "o+x", "/home/anna")
    said = nest.metahuman("status")
    assert said.returncode == 0, said.stderr
    assert "1 known in 1 files" in said.stdout


def test_every_metahuman_unit_on_the_page_is_one_that_there_is() -> None:
    named = set(re.findall(r"metahuman unit(?: (\w+))? >", PAGE))
    assert named == {"", "user", "gpu", "memories", "sysusers", "tmpfiles"}


def test_the_blocks_are_shell() -> None:
    for block in re.findall(r"^```\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL):
        subprocess.run(["sh", "-n", "-c", block], check=True)


def test_the_page_names_only_files_that_there_are() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", PAGE):
        assert Path(REPOSITORY / "docs", target).exists(), target
