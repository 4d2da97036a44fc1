"""Fetching a base: what is taken, where it lies, and what the Hub is told about us."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from hub_double import HubDouble, Repository, sha256
from hub_fetcher import WANTED, Fetcher

from metahuman_core.errors import MetahumanError
from metahuman_core.hub import local_folder

MIB = 1 << 20
LARGE = {**WANTED, "model-00001-of-00002.safetensors": bytes(range(256)) * (24 * MIB // 256)}


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def leftovers(root: Path) -> list[str]:
    return [path.name for path in root.rglob("*") if path.name.endswith((".partial", ".incomplete"))]


def test_only_weights_config_tokenizer_and_template_are_fetched(fetch: Fetcher) -> None:
    folder = local_folder("org/model", fetch().commit, fetch.root)

    assert contents(folder) == WANTED
    assert leftovers(fetch.root) == []


def test_files_that_are_not_wanted_are_not_even_asked_for(hub: HubDouble, fetch: Fetcher) -> None:
    assert fetch().code == 0

    asked = {path.partition("/resolve/")[2].partition("/")[2] for path in hub.asked("hub") + hub.asked("hub", "HEAD")}
    assert asked - {""} == set(WANTED)


@pytest.mark.parametrize("revision", ["", "main", "v1.0"])
def test_a_branch_or_tag_is_pinned_to_its_commit(
    start_hub: Callable[..., HubDouble], fetcher_for: Callable[[str], Fetcher], revision: str
) -> None:
    hub = start_hub(tags=("main", "v1.0"), commit="5" * 40)

    assert fetcher_for(hub.url)(revision=revision).commit == "5" * 40


def test_progress_rises_to_the_size_of_the_large_files(fetch: Fetcher) -> None:
    fetched = fetch()

    large = sum(len(content) for content in WANTED.values() if len(content) >= MIB)
    assert {total for _, total in fetched.progress} == {large}
    done = [done for done, _ in fetched.progress]
    assert done == sorted(done)
    assert (done[0], done[-1]) == (0, large)


def test_a_killed_download_goes_on_where_it_broke_off(
    start_hub: Callable[..., HubDouble], fetcher_for: Callable[[str], Fetcher]
) -> None:
    hub = start_hub(LARGE)
    hub.hold_after_bytes = 22 * MIB
    fetch = fetcher_for(hub.url)
    with subprocess.Popen(fetch.command(), env=fetch.environment(), stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        for line in child.stdout:
            if json.loads(line).get("progress", {}).get("done", 0) >= 20 * MIB:
                break
        child.kill()
    assert child.returncode == -signal.SIGKILL

    hub.hold_after_bytes = None
    folder = local_folder("org/model", fetch().commit, fetch.root)

    (again,) = [seen.headers["range"] for seen in hub.log if seen.host == "storage" and "range" in seen.headers]
    assert 10 * MIB <= int(again.removeprefix("bytes=").removesuffix("-")) <= 22 * MIB  # it may die in a write
    assert contents(folder) == LARGE
    assert leftovers(fetch.root) == []


def test_a_file_that_is_not_what_the_hub_says_is_refused_and_fetched_again(hub: HubDouble, fetch: Fetcher) -> None:
    hub.replace = lambda content: b"\0" * len(content)
    assert "damaged" in fetch().error
    assert leftovers(fetch.root) == []

    hub.replace = bytes
    assert contents(local_folder("org/model", fetch().commit, fetch.root)) == WANTED


def test_a_model_in_xet_storage_comes_by_plain_http(
    start_hub: Callable[..., HubDouble], fetcher_for: Callable[[str], Fetcher]
) -> None:
    hub = start_hub(xet=True)
    fetch = fetcher_for(hub.url)

    assert contents(local_folder("org/model", fetch().commit, fetch.root)) == WANTED
    assert not [path for path in hub.asked("hub") if "xet" in path]


def test_nobody_but_the_hub_and_its_storage_is_called_and_nothing_but_the_model_is_asked_for(
    hub: HubDouble, fetch: Fetcher
) -> None:
    assert fetch().code == 0

    ports = {url.rpartition(":")[2] for url in (hub.url, hub.storage_url)}
    assert {call.rpartition(":")[2] for call in fetch.calls()} == ports
    assert all(path.startswith(("/org/model/", "/api/models/org/model")) for path in hub.asked("hub"))
    assert {seen.method for seen in hub.log} == {"GET", "HEAD"}


def test_the_hub_learns_no_more_of_us_than_the_clients_version(hub: HubDouble, fetch: Fetcher) -> None:
    assert fetch().code == 0

    agents = {seen.headers["user-agent"] for seen in hub.log}
    assert not [agent for agent in agents if "torch" in agent or "session_id" in agent], agents


def test_nothing_is_written_outside_the_root(fetch: Fetcher) -> None:
    assert fetch().code == 0

    assert contents(fetch.home) == {}


def test_what_was_fetched_is_found_again_without_the_network(hub: HubDouble, fetch: Fetcher) -> None:
    commit = fetch().commit
    asked = len(hub.log)

    assert local_folder("org/model", commit, fetch.root).name == commit
    assert len(hub.log) == asked


def test_a_pinned_base_that_is_here_needs_no_network(
    fetch: Fetcher, fetcher_for: Callable[[str], Fetcher], dead_url: str
) -> None:
    commit = fetch().commit
    offline = Fetcher(fetch.root, fetch.home, dead_url)

    assert offline(revision=commit).commit == commit


def test_a_root_that_was_moved_still_holds_its_base(fetch: Fetcher, tmp_path: Path) -> None:
    commit = fetch().commit
    elsewhere = fetch.root.rename(tmp_path / "elsewhere")

    assert contents(local_folder("org/model", commit, elsewhere)) == WANTED


def test_a_base_of_which_a_file_is_missing_is_not_taken_for_whole(fetch: Fetcher) -> None:
    commit = fetch().commit
    (local_folder("org/model", commit, fetch.root) / "tokenizer.json").unlink()

    with pytest.raises(MetahumanError, match="is not on this machine"):
        local_folder("org/model", commit, fetch.root)
    assert contents(local_folder("org/model", fetch(revision=commit).commit, fetch.root)) == WANTED


def test_two_commits_of_a_model_lie_beside_each_other(
    fetch: Fetcher, hub: HubDouble, fetcher_for: Callable[[str], Fetcher]
) -> None:
    first = fetch().commit
    later = {**WANTED, "config.json": b'{"model_type": "qwen3"}\n'}
    with HubDouble({"org/model": Repository(files=later, commit="6" * 40)}) as newer:
        second = Fetcher(fetch.root, fetch.home, newer.url)().commit

        assert newer.asked("storage") == []  # the weights are the same, and here
    assert contents(local_folder("org/model", first, fetch.root)) == WANTED
    assert contents(local_folder("org/model", second, fetch.root)) == later


def test_the_double_names_large_files_by_their_sha256(hub: HubDouble, fetch: Fetcher) -> None:
    assert fetch().code == 0

    assert sha256(WANTED["model-00001-of-00002.safetensors"]) in {p.removeprefix("/") for p in hub.asked("storage")}
