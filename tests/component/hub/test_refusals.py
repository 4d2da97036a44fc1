"""What is sent to a Hub to be let in, and what is said where it does not help."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hub_double import HubDouble
from hub_fetcher import Fetcher

Start = Callable[..., HubDouble]
For = Callable[[str], Fetcher]


def authorizations(hub: HubDouble, host: str) -> set[str | None]:
    return {seen.headers.get("authorization") for seen in hub.log if seen.host == host}


def test_the_token_of_the_environment_opens_a_private_model_and_no_other_host_sees_it(
    start_hub: Start, fetcher_for: For
) -> None:
    hub = start_hub(token="hf_mine")

    assert fetcher_for(hub.url)(HF_TOKEN="hf_mine").code == 0
    assert authorizations(hub, "hub") == {"Bearer hf_mine"}
    assert authorizations(hub, "storage") == {None}


def test_the_token_of_the_credential_file_opens_a_private_model(
    start_hub: Start, fetcher_for: For, tmp_path: Path
) -> None:
    hub = start_hub(token="hf_credential")
    (tmp_path / "hf-token").write_text("hf_credential\n", encoding="utf-8")

    assert fetcher_for(hub.url)(CREDENTIALS_DIRECTORY=str(tmp_path)).code == 0
    assert authorizations(hub, "hub") == {"Bearer hf_credential"}
    assert authorizations(hub, "storage") == {None}


def test_the_environment_has_the_last_word_on_the_token(start_hub: Start, fetcher_for: For, tmp_path: Path) -> None:
    hub = start_hub(token="hf_mine")
    (tmp_path / "hf-token").write_text("hf_credential\n", encoding="utf-8")

    assert fetcher_for(hub.url)(CREDENTIALS_DIRECTORY=str(tmp_path), HF_TOKEN="hf_mine").code == 0


def test_without_a_token_none_is_sent(hub: HubDouble, fetch: Fetcher) -> None:
    assert fetch().code == 0

    assert authorizations(hub, "hub") == {None}


def test_a_token_is_never_said(start_hub: Start, fetcher_for: For) -> None:
    hub = start_hub(token="hf_mine")
    fetched = fetcher_for(hub.url)(HF_TOKEN="hf_wrong")

    assert "hf_wrong" not in fetched.error + fetched.log


@pytest.mark.parametrize("environment", [{}, {"HF_TOKEN": "hf_of_somebody_else"}])
def test_a_gated_model_says_that_its_terms_have_to_be_accepted(
    start_hub: Start, fetcher_for: For, environment: dict[str, str]
) -> None:
    hub = start_hub(token="hf_accepted", gated=True)

    error = fetcher_for(hub.url)(**environment).error
    assert error == "org/model is gated (accept its terms on the Hub, then set HF_TOKEN (or the credential hf-token))"


def test_a_gated_model_comes_once_its_terms_are_accepted(start_hub: Start, fetcher_for: For) -> None:
    hub = start_hub(token="hf_accepted", gated=True)

    assert fetcher_for(hub.url)(HF_TOKEN="hf_accepted").code == 0


@pytest.mark.parametrize("environment", [{}, {"HF_TOKEN": "hf_mine"}])
def test_a_model_that_is_not_there_is_named(fetch: Fetcher, environment: dict[str, str]) -> None:
    assert "the Hub has no model org/mistyped (check the name" in fetch("org/mistyped", **environment).error


def test_a_revision_that_is_not_there_is_named(fetch: Fetcher) -> None:
    assert "org/model has no revision v9 (name a commit, a tag or a branch)" in fetch(revision="v9").error


def test_a_name_that_cannot_be_one_is_named(fetch: Fetcher) -> None:
    assert "'org/what is this' is neither a folder nor a model of the Hub" in fetch("org/what is this").error


def test_a_server_that_does_not_answer_is_a_clear_error(fetcher_for: For, dead_url: str) -> None:
    assert "the Hub cannot be reached" in fetcher_for(dead_url)().error


def test_a_user_who_went_offline_is_told_so(hub: HubDouble, fetch: Fetcher) -> None:
    assert "org/model is not here, and HF_HUB_OFFLINE is set" in fetch(HF_HUB_OFFLINE="1").error
    assert hub.log == []


def test_a_server_that_is_no_hub_is_a_clear_error(hub: HubDouble, fetcher_for: For) -> None:
    assert "fetching org/model failed: " in fetcher_for(hub.storage_url)().error


def test_fine_tune_ends_with_one_line_and_exit_1_where_the_hub_is_down(
    fetcher_for: For, dead_url: str, tmp_path: Path
) -> None:
    memory = tmp_path / "root" / "profiles" / "ines" / "memory" / "boat.md"
    memory.parent.mkdir(parents=True)
    memory.write_text("# My boat\n\nMy boat is called Marram. She is a yellow dinghy.\n", encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "metahuman_daemon.cli", "fine-tune", "--base-model", "org/model"],
        env={**fetcher_for(dead_url).environment(), "METAHUMAN_ROOT": str(tmp_path / "root")},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "metahuman: the Hub cannot be reached: " in done.stderr
    assert "  check the network; the same command goes on" in done.stderr.splitlines()
    assert not list((tmp_path / "root").rglob("run.json"))
    assert os.listdir(tmp_path / "home") == []  # noqa: PTH208
