"""What the shipped unit lets the daemon do, and what not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from nest import Nest, booted

_TESTS = "/opt/checkout/tests/component/systemd"
_PROBE = f"""
[Service]
Type=oneshot
ExecStart=
ExecStart=/opt/metahuman/bin/python {_TESTS}/probe.py found.json
"""


def lend(nest: Nest, folder: str) -> None:
    """As metahuman.service.d/memories.conf does it."""
    nest.drop_in("memories", f"[Service]\nBindReadOnlyPaths={folder}\n")


@pytest.fixture(scope="module")
def homely(_can_nest: None) -> Iterator[Nest]:
    """A nest with two people in it, whose homes are closed. Each test says for itself what is lent and started."""
    with booted() as nest:
        nest.write("/home/anna/memories/a.md", "Rain all day.")
        nest.write("/home/bert/secret.md", "Mine.", mode=0o600)
        nest.run("chmod", "700", "/home/anna", "/home/bert")
        yield nest


@pytest.fixture(scope="module")
def found(homely: Nest) -> dict[str, Any]:
    """What the probe found, with one folder lent."""
    lend(homely, "/home/anna/memories")
    homely.drop_in("probe", _PROBE)
    homely.systemctl("start", "metahuman", check=False)
    assert homely.shown("Result") == {"Result": "success"}, homely.journal()
    told: dict[str, Any] = json.loads((homely.root / "var/lib/metahuman/found.json").read_text(encoding="utf-8"))
    return told


def test_only_its_own_folders_can_be_written(found: dict[str, Any]) -> None:
    assert found["working directory"] == "/var/lib/metahuman"
    assert found["written"] == [".", "/var/cache/metahuman", "/tmp"]  # noqa: S108  # its own


def test_of_the_homes_only_what_was_lent_is_seen_and_only_to_be_read(found: dict[str, Any]) -> None:
    assert found["homes"] == ["/home/anna", "/home/anna/memories"]
    assert found["memory"] == ""
    assert not found["memory is written"]


@pytest.mark.parametrize(
    "work",
    [
        "oneDNN", "names", "IPv4", "nicer", "idle for the disk", "bound to cores", "first to be killed", "load",
        "limits of inotify",
    ],
)  # fmt: skip
def test_what_a_training_needs_works(found: dict[str, Any], work: str) -> None:
    assert found[work] == ""


def test_memories_are_not_left_in_core_dumps_or_for_others_to_read(found: dict[str, Any]) -> None:
    assert found["core dump bytes"] == 0
    assert found["umask"] == 0o077


def test_config_and_caches_have_their_places(found: dict[str, Any]) -> None:
    assert found["environment"] == {
        "METAHUMAN_CONFIG": "/etc/metahuman/config.toml",
        "HF_HOME": "/var/cache/metahuman/huggingface",
        "HOME": "/var/lib/metahuman",
    }


def test_a_token_for_the_hub_is_handed_over_where_there_is_one(homely: Nest) -> None:
    homely.drop_in("probe", "[Service]\nType=oneshot\nExecStart=\nExecStart=cat ${CREDENTIALS_DIRECTORY}/hf-token\n")
    homely.write("/etc/credstore/hf-token", "hf_secret", mode=0o600)
    homely.systemctl("start", "metahuman")
    assert "hf_secret" in homely.journal()
    homely.run("rm", "/etc/credstore/hf-token")


def test_a_change_in_a_lent_folder_is_told(homely: Nest) -> None:
    code = (
        "import ctypes, os, select; c = ctypes.CDLL(None, use_errno=True); fd = c.inotify_init();"
        "assert c.inotify_add_watch(fd, b'/home/anna/memories', 0x8) > 0, ctypes.get_errno();"
        "print('watching', flush=True); assert select.select([fd], [], [], 20)[0]; print('told', flush=True)"
    )
    lend(homely, "/home/anna/memories")
    homely.drop_in("probe", f'[Service]\nType=exec\nExecStart=\nExecStart=/opt/metahuman/bin/python -c "{code}"\n')
    homely.systemctl("start", "metahuman")
    homely.wait_for(ActiveState="active")
    homely.wait_for_word("watching")
    homely.write("/home/anna/memories/b.md", "Sun.")
    homely.wait_for(ActiveState="inactive", Result="success")
    assert "told" in homely.journal()


def test_a_lent_folder_that_is_not_there_is_waited_for(homely: Nest) -> None:
    lend(homely, "/home/anna/later")
    homely.drop_in("probe", _PROBE + "RestartSec=0.1\n")
    homely.systemctl("start", "--no-block", "metahuman")
    homely.wait_for(ExecMainStatus="226")
    homely.write("/home/anna/later/a.md", "Later.")
    homely.wait_for(ActiveState="inactive", Result="success", ExecMainStatus="0")
