"""What is archived leaves Ollama: our tag alone, never the alias; a server that is down is made up for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from double import OllamaDouble
from made_up_root import MadeUpRoot

from metahuman_core.progress import Progress
from metahuman_core.registry import Version, update_registry
from metahuman_core.versions.pruning.carrying_out import carry_out
from metahuman_core.versions.pruning.clearing import site_of
from metahuman_core.versions.pruning.withdrawing import owed, withdrawer
from metahuman_core.versions.retention.planning import Verdict
from metahuman_daemon.publishing import publish_one
from metahuman_daemon.retention import apply_retention, withdraw_what_is_owed

Make = Callable[..., MadeUpRoot]
Publish = Callable[..., None]


def quiet(_: Progress) -> None:
    """For progress that nobody looks at."""


@pytest.fixture(params=["0.33.0-rc2", "0.24.0"])
def ollama(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[OllamaDouble]:
    with OllamaDouble(request.param, tmp_path / "models") as double:
        yield double


@pytest.fixture
def root(made_up: Make, ollama: OllamaDouble) -> MadeUpRoot:
    """Five versions, all of them in Ollama."""
    root = made_up(5, gguf_kib=8)
    root.set("ollama", f'host = "{ollama.url}"')
    for version in root.registry.training_history:
        publish_one(root.settings, "ines", version, quiet, str)
    return root


def tags(ollama: OllamaDouble) -> list[str]:
    return sorted(ollama.store.manifests)


def tag(what: str) -> str:
    return f"registry.ollama.ai/library/ines:{what}"


def prune(root: MadeUpRoot) -> tuple[list[str], tuple[str, ...]]:
    said: list[str] = []
    return said, apply_retention(root.settings, "ines", said.append).errors


def test_the_tags_of_archived_versions_go_and_no_others(root: MadeUpRoot, ollama: OllamaDouble) -> None:
    before = tags(ollama)
    assert len(before) == 6
    assert prune(root)[1] == ()
    assert [name.rpartition(":")[2] for name in tags(ollama)] == ["latest", "v3", "v4", "v5"]
    assert [version.publication for version in root.registry.training_history] == ["off", "off", "done", "done", "done"]
    assert not ollama.runners
    deleted = {seen.body["model"] for seen in ollama.asked("/api/delete")}
    assert deleted == {"ines:v1", "ines:v2"}


def test_a_server_that_is_down_costs_the_files_nothing_and_is_made_up_for(
    root: MadeUpRoot, ollama: OllamaDouble
) -> None:
    ollama.stop()
    said, errors = prune(root)
    assert errors == ()
    assert sum("is withdrawn another time" in line for line in said) == 1
    assert not root.parts(1).has_gguf()
    assert [version.version for version in owed(root.registry)] == [1, 2]
    ollama.start()
    said, _ = prune(root)
    assert owed(root.registry) == ()
    assert [name.rpartition(":")[2] for name in tags(ollama)] == ["latest", "v3", "v4", "v5"]


def test_it_is_made_up_for_when_something_is_published_too(root: MadeUpRoot, ollama: OllamaDouble) -> None:
    ollama.stop()
    prune(root)
    ollama.start()
    said: list[str] = []
    withdraw_what_is_owed(root.settings, "ines", said.append)
    assert said == [f"version {number} has left Ollama: it is archived or removed" for number in (1, 2)]
    withdraw_what_is_owed(root.settings, "ines", said.append)
    assert len(said) == 2


def test_a_tag_that_the_alias_is_stays(root: MadeUpRoot, ollama: OllamaDouble) -> None:
    ollama.store.copy("ines:v1", "ines:latest")
    said, errors = prune(root)
    assert errors == ()
    assert "ines:v1 stays in Ollama: ines:latest is it" in said
    assert root.version(1).storage == "archived"
    assert [version.version for version in owed(root.registry)] == [1]
    assert {"latest", "v1"} <= {name.rpartition(":")[2] for name in tags(ollama)}


def test_another_model_under_our_name_is_somebody_elses(root: MadeUpRoot, ollama: OllamaDouble) -> None:
    ollama.store.delete("ines:v1")
    ollama.store.copy("ines:v5", "ines:v1")
    ollama.store.copy("ines:v4", "ines:latest")
    assert prune(root)[1] == ()
    assert "v1" in {name.rpartition(":")[2] for name in tags(ollama)}
    assert owed(root.registry) == ()


def test_what_the_server_wrote_anew_is_known_for_ours(root: MadeUpRoot, ollama: OllamaDouble) -> None:
    root.unsort_gguf(1)
    publish_one(root.settings, "ines", root.version(1), quiet, str)
    version = root.version(1)
    assert (version.ollama_blob != version.gguf_sha256) is ollama.rewrites
    assert prune(root)[1] == ()
    assert root.version(1).publication == "off"
    assert tag("v1") not in tags(ollama)
    assert not ollama.store.blob(version.ollama_blob).exists()


def test_what_was_accepted_otherwise_is_ours_as_it_was_first(root: MadeUpRoot, ollama: OllamaDouble) -> None:
    root.edit(1, gguf_sha256="0" * 64, gguf_sha256_first=root.version(1).gguf_sha256, ollama_blob="")
    assert withdrawer(root.settings, str)(root.version(1))
    assert tag("v1") not in tags(ollama)


def test_a_version_that_is_due_again_is_withdrawn_all_the_same(root: MadeUpRoot, ollama: OllamaDouble) -> None:
    """It was made live while no server answered, and left again: its tag never went."""
    for number in (1, 2):
        root.edit(number, publication="due")
    assert prune(root)[1] == ()
    assert [name.rpartition(":")[2] for name in tags(ollama)] == ["latest", "v3", "v4", "v5"]


def test_a_version_that_is_due_again_is_owed_while_the_server_is_down(root: MadeUpRoot, ollama: OllamaDouble) -> None:
    root.edit(1, publication="due")
    root.edit(2, publication="due", ollama_server="")  # it never was there
    ollama.stop()
    assert prune(root)[1] == ()
    assert [version.version for version in owed(root.registry)] == [1]
    assert root.version(2).publication == "off"
    ollama.start()
    withdraw_what_is_owed(root.settings, "ines", str)
    assert tag("v1") not in tags(ollama)
    assert root.version(1).ollama_server == ""


def test_a_version_that_was_due_is_not_handed_over_any_more(root: MadeUpRoot, ollama: OllamaDouble) -> None:
    root.edit(1, publication="due")
    assert prune(root)[1] == ()
    assert root.version(1).publication == "off"


def test_one_that_is_pinned_while_it_leaves_stays_here_and_is_not_said_to_be_there(root: MadeUpRoot) -> None:
    def pins(version: Version) -> bool:
        root.edit(version.version, pinned=True)
        return True

    verdict = Verdict(1, "full", "archived", (), ("model", "gguf"), 0)
    done = carry_out([verdict], site_of(root.settings, "ines"), pins, str)
    assert "it is pinned" in done.errors[0]
    assert (root.version(1).storage, root.version(1).publication) == ("full", "off")
    assert root.parts(1).has_model()


def test_where_handing_over_is_off_the_server_is_not_asked(root: MadeUpRoot, ollama: OllamaDouble) -> None:
    root.set("ollama", "enabled = false")
    asked = len(ollama.log)
    assert prune(root)[1] == ()
    assert len(ollama.log) == asked
    assert [version.version for version in owed(root.registry)] == [1, 2]


def test_a_server_that_refuses_is_asked_again_another_time(root: MadeUpRoot, ollama: OllamaDouble) -> None:
    ollama.fail_with("nonsense", "/api/tags")
    said: list[str] = []
    withdraw = withdrawer(root.settings, said.append)
    assert not withdraw(root.version(1))
    assert "ines:v1 is withdrawn another time" in said[0]
    ollama.heal()
    assert withdraw(root.version(1))


def test_no_version_of_the_policy_is_ever_missing_there(root: MadeUpRoot, ollama: OllamaDouble) -> None:
    """Live, its parent and what else stays can be spoken to before, during and after."""
    for number in (1, 2):
        update_registry(root.registry_path, lambda registry, number=number: registry.with_fields(number, pinned=True))
    prune(root)
    assert len(tags(ollama)) == 6
