"""A version is made, checked, and only then does the alias move: on both recorded servers, and on a real one.

The tests that are given `server` also run with `-m ollama` against the server at OLLAMA_HOST, with the GGUF that
METAHUMAN_TEST_GGUF names (a small chat model).
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from double import OllamaDouble

from metahuman_core.errors import MetahumanError
from metahuman_core.ollama.client import OllamaClient, OllamaDown, OllamaRefused
from metahuman_core.ollama.modelfile import OllamaModel
from metahuman_core.ollama.publish import NotVerified, Published, before_0_30, move_alias, publish, unpublish

NAME = "metahuman-test"
GO = (
    '{{ range .Messages }}{{ "<|im_start|>" }}{{ .Role }}{{ "\\n" }}{{ .Content }}{{ "<|im_end|>\\n" }}{{ end }}'
    '{{ "<|im_start|>assistant\\n" }}'
)
MODEL = OllamaModel(
    gguf="model.gguf",
    system="You are Ana.\nBe kind.",
    template=None,
    parameters=(("temperature", 0.7), ("num_ctx", 2048), ("stop", "<|im_end|>")),
    license=("MIT",),
)


@dataclass(frozen=True, slots=True)
class Server:
    """A server to publish to, and a GGUF to publish."""

    client: OllamaClient
    gguf: Path
    sha256: str
    double: OllamaDouble | None

    def publish(self, version: int = 1, model: OllamaModel = MODEL, *, live: bool = True, **more: Any) -> Published:
        given = {"go_template": GO, "question": "Who are you?", "name": NAME, "version": version} | more
        published = publish(self.client, model, self.gguf, self.sha256, **given)
        if live:
            move_alias(self.client, NAME, version)
        return published

    def digests(self) -> dict[str, str]:
        return {model.name: model.digest for model in self.client.tags()}


@pytest.fixture(params=["0.33.0-rc2", "0.24.0", pytest.param("real", marks=pytest.mark.ollama)])
def server(
    request: pytest.FixtureRequest, start_double: Callable[..., OllamaDouble], small_gguf: tuple[Path, str]
) -> Iterator[Server]:
    if request.param != "real":
        double = start_double(request.param)
        with OllamaClient(double.url) as client:
            yield Server(client, *small_gguf, double)
        return
    if not os.environ.get("OLLAMA_HOST") or not os.environ.get("METAHUMAN_TEST_GGUF"):
        pytest.skip("needs OLLAMA_HOST and METAHUMAN_TEST_GGUF, the path of a small chat model")
    gguf = Path(os.environ["METAHUMAN_TEST_GGUF"])
    with OllamaClient() as client, gguf.open("rb") as file:
        yield Server(client, gguf, hashlib.file_digest(file, "sha256").hexdigest(), None)
        for name in [model.name for model in client.tags() if model.name.startswith(f"{NAME}:")]:
            client.unload(name)
            client.delete(name)


@pytest.fixture(params=["0.33.0-rc2", "0.24.0"])
def faked(
    request: pytest.FixtureRequest, start_double: Callable[..., OllamaDouble], small_gguf: tuple[Path, str]
) -> Iterator[tuple[Server, OllamaDouble]]:
    """A double, where a test looks at what was asked or makes the server fail."""
    double = start_double(request.param)
    with OllamaClient(double.url) as client:
        yield Server(client, *small_gguf, double), double


def test_a_version_is_published_under_its_tag_and_the_alias(server: Server) -> None:
    published = server.publish()
    assert (published.tag, published.created) == (f"{NAME}:v1", True)
    assert published.server_version == server.client.version()
    assert published.answer.strip()
    digests = server.digests()
    assert digests[published.tag] == digests[f"{NAME}:latest"]


def test_what_was_published_shows_what_was_asked_for(server: Server) -> None:
    server.publish()
    shown = server.client.show(f"{NAME}:latest")
    assert shown is not None
    assert shown.system == MODEL.system
    assert {("temperature", 0.7), ("num_ctx", 2048), ("stop", "<|im_end|>")} <= set(shown.parameters)


def test_a_second_version_moves_the_alias_and_leaves_the_first(server: Server) -> None:
    first = server.publish(1)
    second = server.publish(2, dataclasses.replace(MODEL, system="You are Ana, and older."))
    digests = server.digests()
    assert digests[second.tag] == digests[f"{NAME}:latest"] != digests[first.tag]


def test_a_version_that_is_not_live_gets_its_tag_and_leaves_the_alias(server: Server) -> None:
    server.publish(2)
    before = server.digests()[f"{NAME}:latest"]
    server.publish(1, dataclasses.replace(MODEL, system="You are Ana, as she was."), live=False)
    assert server.client.exists(f"{NAME}:v1")
    assert server.digests()[f"{NAME}:latest"] == before


def test_a_rollback_moves_the_alias_back(server: Server) -> None:
    server.publish(1)
    server.publish(2, dataclasses.replace(MODEL, system="You are Ana, and older."))
    move_alias(server.client, NAME, 1)
    digests = server.digests()
    assert digests[f"{NAME}:latest"] == digests[f"{NAME}:v1"] != digests[f"{NAME}:v2"]


def test_a_rollback_to_a_version_that_is_not_there_leaves_the_alias(server: Server) -> None:
    server.publish(1)
    before = server.digests()
    with pytest.raises(NotVerified, match="v7"):
        move_alias(server.client, NAME, 7)
    assert server.digests() == before


def test_publishing_again_with_proof_makes_nothing_again(server: Server) -> None:
    first = server.publish()
    again = server.publish(known_blob=first.blob)
    assert (again.created, again.blob) == (False, first.blob)


def test_publishing_again_without_proof_is_safe(server: Server) -> None:
    first = server.publish()
    before = server.digests()
    assert server.publish().blob == first.blob
    assert server.digests() == before


def test_unpublishing_deletes_the_version_and_leaves_the_alias(server: Server) -> None:
    server.publish()
    assert unpublish(server.client, NAME, 1) is True
    assert unpublish(server.client, NAME, 1) is False
    assert set(server.digests()) & {f"{NAME}:v1", f"{NAME}:latest"} == {f"{NAME}:latest"}


def test_nothing_stays_loaded_after_a_publication(faked: tuple[Server, OllamaDouble]) -> None:
    server, _ = faked
    server.publish()
    assert server.client.ps() == []


def test_before_0_30_the_proof_is_the_gguf_itself(faked: tuple[Server, OllamaDouble]) -> None:
    server, double = faked
    server.publish()
    assert server.publish().created is double.rewrites


def test_a_tag_with_other_weights_is_replaced(faked: tuple[Server, OllamaDouble], jinja_gguf: tuple[Path, str]) -> None:
    server, _ = faked
    old = dataclasses.replace(server, gguf=jinja_gguf[0], sha256=jinja_gguf[1]).publish()
    new = server.publish(known_blob=None)
    assert (new.created, new.blob == old.blob) == (True, False)


def test_a_tag_with_another_system_text_is_replaced(faked: tuple[Server, OllamaDouble]) -> None:
    server, _ = faked
    first = server.publish()
    changed = server.publish(model=dataclasses.replace(MODEL, system="You are Ana, and older."), known_blob=first.blob)
    assert changed.created is True


def test_a_go_template_goes_only_to_servers_before_0_30(faked: tuple[Server, OllamaDouble]) -> None:
    server, double = faked
    server.publish()
    assert double.asked("/api/create")[0].body.get("template") == (None if double.rewrites else GO)


def test_without_a_go_template_an_old_server_is_not_published_to(faked: tuple[Server, OllamaDouble]) -> None:
    server, double = faked
    if double.rewrites:
        assert server.publish(go_template=None).created
    else:
        with pytest.raises(MetahumanError, match="needs a Go template"):
            server.publish(go_template=None)
        assert not double.asked("/api/create")


def test_the_alias_moves_last_and_by_copy(faked: tuple[Server, OllamaDouble]) -> None:
    server, double = faked
    server.publish()
    changes = [seen.path for seen in double.log if seen.path in ("/api/create", "/api/chat", "/api/copy")]
    assert changes == ["/api/create", "/api/chat", "/api/copy"]
    assert [seen.body["model"] for seen in double.asked("/api/create")] == [f"{NAME}:v1"]


def test_a_model_that_is_replaced_is_unloaded_first(faked: tuple[Server, OllamaDouble]) -> None:
    server, double = faked
    server.publish()
    server.client.chat(f"{NAME}:v1", [("user", "Hello")])
    double.log.clear()
    server.publish(model=dataclasses.replace(MODEL, system="New."))
    assert server.client.ps() == []
    paths = [seen.path for seen in double.log]
    assert paths.index("/api/generate") < paths.index("/api/create")


BROKEN_SERVERS = [
    ("disk-full-upload", "", OllamaRefused),
    ("unwritable", "", OllamaRefused),
    ("drop", "/api/create", OllamaDown),
    ("drop", "/api/show", OllamaDown),
    ("drop", "/api/chat", OllamaDown),
    ("drop", "/api/copy", OllamaDown),
    ("busy", "/api/chat", OllamaDown),
    ("nonsense", "/api/chat", MetahumanError),
]


@pytest.mark.parametrize(("kind", "path", "error"), BROKEN_SERVERS)
def test_whatever_fails_the_alias_stays_and_the_next_try_finishes(
    faked: tuple[Server, OllamaDouble], jinja_gguf: tuple[Path, str], kind: str, path: str, error: type[Exception]
) -> None:
    server, double = faked
    server.publish(1)
    before = server.digests()[f"{NAME}:latest"]
    second = dataclasses.replace(server, gguf=jinja_gguf[0], sha256=jinja_gguf[1])
    double.fail_with(kind, path)
    with pytest.raises(error):
        second.publish(2)
    double.heal()
    assert server.digests()[f"{NAME}:latest"] == before
    second.publish(2)
    digests = server.digests()
    assert digests[f"{NAME}:latest"] == digests[f"{NAME}:v2"] != before


def test_a_server_that_is_down_is_told_and_later_published_to(faked: tuple[Server, OllamaDouble]) -> None:
    server, double = faked
    double.stop()
    with pytest.raises(OllamaDown):
        server.publish()
    double.start()
    assert server.publish().created


def test_a_model_that_says_nothing_is_not_given_the_alias(faked: tuple[Server, OllamaDouble]) -> None:
    server, double = faked
    double.answer = ""
    with pytest.raises(NotVerified, match="answers nothing"):
        server.publish()
    assert f"{NAME}:latest" not in server.digests()


def test_a_broken_template_in_the_gguf_creates_well_and_is_caught_by_the_chat(
    start_double: Callable[..., OllamaDouble], broken_gguf: tuple[Path, str]
) -> None:
    double = start_double()
    with OllamaClient(double.url) as client:
        server = Server(client, *broken_gguf, double)
        with pytest.raises(NotVerified, match="llama-server process has terminated"):
            server.publish()
        assert set(server.digests()) == {f"{NAME}:v1"}


def test_a_file_that_is_no_gguf_is_refused_before_it_is_sent(
    faked: tuple[Server, OllamaDouble], tmp_path: Path
) -> None:
    server, double = faked
    path = tmp_path / "not.gguf"
    path.write_bytes(b"hello")
    with pytest.raises(MetahumanError, match="GGUF"):
        dataclasses.replace(server, gguf=path).publish()
    path.write_bytes(b"GGUF" + bytes(20)[:9])
    with pytest.raises(MetahumanError, match="broken"):
        dataclasses.replace(server, gguf=path).publish()
    assert not double.asked("/api/blobs")


def test_an_architecture_that_ollama_does_not_know_fails_at_create_or_at_the_chat(
    faked: tuple[Server, OllamaDouble], strange_gguf: tuple[Path, str]
) -> None:
    server, double = faked
    strange = dataclasses.replace(server, gguf=strange_gguf[0], sha256=strange_gguf[1])
    with pytest.raises(OllamaRefused if double.rewrites else NotVerified):
        strange.publish()
    assert f"{NAME}:latest" not in server.digests()


@pytest.mark.parametrize(
    ("version", "old"),
    [("0.24.0", True), ("0.29.9", True), ("0.30.0", False), ("0.33.0-rc2", False), ("1.0.0", False), ("0.0.0", False),
     ("", False), ("v0.12.3", True)],
)  # fmt: skip
def test_a_version_that_cannot_be_told_counts_as_new(version: str, old: bool) -> None:
    assert before_0_30(version) is old
