"""The client meets every trap of a real server, on the double."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import httpx
import ollama
import pytest
from double import OllamaDouble

from metahuman_core.errors import MetahumanError
from metahuman_core.ollama.address import base_url
from metahuman_core.ollama.client import OllamaClient, OllamaConfused, OllamaDown, OllamaRefused

MISSING = "0" * 64


@pytest.fixture
def client(double: OllamaDouble) -> Iterator[OllamaClient]:
    with OllamaClient(double.url) as client:
        yield client


@pytest.fixture
def blob(tmp_path: Path) -> tuple[Path, str]:
    """A file of 3 MiB, and its digest."""
    path = tmp_path / "blob"
    path.write_bytes(b"three MiB of it " * (3 << 16))
    return path, hashlib.sha256(path.read_bytes()).hexdigest()


def make(client: OllamaClient, gguf: tuple[Path, str], name: str = "ana", **more: Any) -> None:
    path, digest = gguf
    client.ensure_blob(path, digest)
    client.create({"model": name, "files": {"model.gguf": f"sha256:{digest}"}, "stream": False} | more)


ADDRESSES = [
    *("1.2.3.4", ":56789", "1.2.3.4:56789", "http://1.2.3.4", "https://1.2.3.4", "https://1.2.3.4:56789"),
    *("example.com", "http://example.com", "example.com/path", "example.com:56789/path/"),
    *("[0001:002:003:0004::1]", "http://[0001:002:003:0004::1]:56789", "[0001:002:003:0004::1]/path"),
]


@pytest.mark.parametrize("host", ADDRESSES)
def test_an_address_means_what_it_means_to_the_ollama_client(host: str) -> None:
    with ollama.Client(host) as theirs:
        # httpx hides the port that goes without saying
        ours = base_url(host).removesuffix(":80").removesuffix(":443")
        assert ours == str(theirs._client.base_url).removesuffix("/")


def test_http_in_front_of_an_address_means_port_80() -> None:
    assert (base_url("http://h"), base_url("https://h"), base_url("h")) == (
        "http://h:80",
        "https://h:443",
        "http://h:11434",
    )


def test_where_a_server_listens_on_every_address_a_client_goes_to_loopback() -> None:
    assert base_url("0.0.0.0") == "http://127.0.0.1:11434"  # noqa: S104 - not bound to
    assert base_url("http://0.0.0.0:11434/") == "http://127.0.0.1:11434"
    assert base_url("[::]:11434") == "http://[::1]:11434"


def test_an_address_that_is_none_is_refused() -> None:
    with pytest.raises(MetahumanError, match="no address"):
        base_url("http://h:port")


def test_the_environment_names_the_server(double: OllamaDouble, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OLLAMA_HOST", double.url)
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")  # which leads nowhere, and not to our own machine
    with OllamaClient() as client:
        assert client.version() == double.version
        assert client.tags() == []


def test_no_origin_is_sent_for_a_foreign_one_is_forbidden(
    client: OllamaClient, double: OllamaDouble, blob: tuple[Path, str]
) -> None:
    client.version()
    client.tags()
    client.ensure_blob(*blob)
    assert len(double.log) == 4
    assert not [seen for seen in double.log if "origin" in seen.headers]


def test_a_server_that_is_not_there_is_down_whatever_is_asked(tmp_path: Path, blob: tuple[Path, str]) -> None:
    with OllamaDouble("0.33.0", tmp_path / "gone") as gone:
        url = gone.url
    with OllamaClient(url) as client:
        for ask in (client.version, client.tags, client.ps, lambda: client.show("a"), lambda: client.chat("a", []),
                    lambda: client.create({"model": "a"}), lambda: client.ensure_blob(*blob)):  # fmt: skip
            with pytest.raises(OllamaDown, match="no Ollama server answers"):
                ask()


def test_a_server_that_comes_back_is_met_again_with_its_models(
    client: OllamaClient, double: OllamaDouble, small_gguf: tuple[Path, str]
) -> None:
    make(client, small_gguf)
    double.stop()
    with pytest.raises(OllamaDown):
        client.tags()
    double.start()
    assert [model.name for model in client.tags()] == ["ana:latest"]


def test_a_server_that_is_too_busy_is_down_for_now(client: OllamaClient, double: OllamaDouble) -> None:
    double.fail_with("busy")
    with pytest.raises(OllamaDown, match="busy"):
        client.version()


def test_a_server_that_hangs_up_is_down(client: OllamaClient, double: OllamaDouble) -> None:
    double.fail_with("drop", "/api/show")
    with pytest.raises(OllamaDown):
        client.show("ana")


def test_another_program_at_the_address_is_told_from_a_server_that_is_down(
    client: OllamaClient, double: OllamaDouble
) -> None:
    double.fail_with("nonsense")
    for ask in (client.version, client.tags, client.ps, lambda: client.show("ana")):
        with pytest.raises(OllamaConfused, match="is not Ollama"):
            ask()


def test_a_forbidden_host_comes_with_its_way_out(double: OllamaDouble) -> None:
    class Rename(BaseHTTPRequestHandler):
        """What a server on loopback says to a name that is not its own."""

        def do_GET(self) -> None:
            self.send_response(403)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Rename) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        with OllamaClient(f"127.0.0.1:{server.server_address[1]}") as client, pytest.raises(OllamaRefused) as refused:
            client.version()
    assert refused.value.status == 403
    assert "OLLAMA_HOST" in refused.value.hint


def test_a_blob_is_asked_for_before_it_is_sent(
    client: OllamaClient, double: OllamaDouble, blob: tuple[Path, str]
) -> None:
    assert client.ensure_blob(*blob) is True
    assert client.ensure_blob(*blob) is False
    assert [seen.method for seen in double.log] == ["HEAD", "POST", "HEAD"]


def test_a_blob_that_the_server_has_is_not_read_again_and_the_connection_closed(
    client: OllamaClient, double: OllamaDouble, blob: tuple[Path, str]
) -> None:
    path, digest = blob
    client.ensure_blob(path, digest)
    with httpx.Client(trust_env=False) as plain:
        try:
            answer = plain.post(f"{double.url}/api/blobs/sha256:{digest}", content=path.read_bytes())
        except httpx.TransportError:
            pass  # the broken pipe that was recorded
        else:
            assert (answer.status_code, answer.headers["connection"]) == (200, "close")
    assert (double.log[-1].method, double.log[-1].body) == ("POST", 0)


def test_a_blob_is_streamed_with_its_length_and_progress(
    client: OllamaClient, double: OllamaDouble, blob: tuple[Path, str]
) -> None:
    steps: list[tuple[int, int]] = []
    client.ensure_blob(*blob, lambda sent, size: steps.append((sent, size)))
    size = blob[0].stat().st_size
    assert steps == [(1 << 20, size), (2 << 20, size), (3 << 20, size)]
    assert double.log[-1].headers["content-length"] == str(size)
    assert double.log[-1].body == size


def test_an_upload_that_breaks_off_is_asked_for_and_sent_again(
    client: OllamaClient, double: OllamaDouble, blob: tuple[Path, str]
) -> None:
    double.fail_with("drop-body", times=1)
    assert client.ensure_blob(*blob) is True
    assert [seen.method for seen in double.log] == ["HEAD", "POST", "HEAD", "POST"]


def test_an_upload_that_always_breaks_off_is_given_up(
    client: OllamaClient, double: OllamaDouble, blob: tuple[Path, str]
) -> None:
    double.fail_with("drop-body")
    with pytest.raises(OllamaDown):
        client.ensure_blob(*blob)
    assert len(double.asked("/api/blobs")) == 6


def test_a_blob_with_another_digest_is_refused(client: OllamaClient, blob: tuple[Path, str]) -> None:
    with pytest.raises(OllamaRefused, match="digest mismatch") as refused:
        client.ensure_blob(blob[0], MISSING)
    assert refused.value.status == 400
    assert client.ensure_blob(*blob) is False  # it was stored under its true digest


@pytest.mark.parametrize(
    ("kind", "message", "hint"),
    [
        ("disk-full-upload", "no space left on device", "make room"),
        ("unwritable", "permission denied", "models folder"),
    ],
)
def test_a_disk_that_takes_no_blob_is_named(
    client: OllamaClient, double: OllamaDouble, blob: tuple[Path, str], *, kind: str, message: str, hint: str
) -> None:
    double.fail_with(kind)
    with pytest.raises(OllamaRefused, match=message) as refused:
        client.ensure_blob(*blob)
    assert (refused.value.status, hint in refused.value.hint) == (500, True)


@pytest.mark.parametrize("said", [None, lambda _: None])
def test_a_missing_blob_is_refused_in_a_status_or_in_the_last_line(
    client: OllamaClient, said: Callable[[str], None] | None
) -> None:
    with pytest.raises(OllamaRefused, match="no such file or directory") as refused:
        client.create({"model": "ana", "files": {"model.gguf": f"sha256:{MISSING}"}}, said)
    assert refused.value.status == (500 if said is None else -1)


def test_a_create_is_not_streamed_for_a_client_that_goes_away_would_cancel_it(
    client: OllamaClient, double: OllamaDouble, small_gguf: tuple[Path, str]
) -> None:
    make(client, small_gguf)
    assert double.asked("/api/create")[0].body["stream"] is False


def test_the_request_arrives_as_it_was_made(
    client: OllamaClient, double: OllamaDouble, small_gguf: tuple[Path, str]
) -> None:
    more = {"system": "You are Ana.", "parameters": {"temperature": 0.7, "stop": ["<a>", "b"], "num_ctx": 4096},
            "license": ["MIT"], "messages": [{"role": "user", "content": "hi"}]}  # fmt: skip
    make(client, small_gguf, **more)
    sent = double.asked("/api/create")[0].body
    assert sent == {"model": "ana", "files": {"model.gguf": f"sha256:{small_gguf[1]}"}, "stream": False} | more


def test_the_steps_of_a_create_can_be_heard(client: OllamaClient, small_gguf: tuple[Path, str]) -> None:
    steps: list[str] = []
    client.ensure_blob(*small_gguf)
    client.create({"model": "ana", "files": {"model.gguf": f"sha256:{small_gguf[1]}"}}, steps.append)
    assert (steps[0], steps[-1]) == ("parsing GGUF", "success")


@pytest.mark.parametrize("kind", ["disk-full", "no-llama-quantize"])
def test_a_failed_rewrite_says_what_may_be_wrong(
    start_double: Callable[..., OllamaDouble], small_gguf: tuple[Path, str], kind: str
) -> None:
    double = start_double()
    double.fail_with(kind)
    with OllamaClient(double.url) as client, pytest.raises(OllamaRefused) as refused:
        make(client, small_gguf)
    assert ("disk may be full" if kind == "disk-full" else "reinstall") in refused.value.hint


def test_show_tells_what_a_model_is(client: OllamaClient, small_gguf: tuple[Path, str]) -> None:
    parameters = {"temperature": 0.7, "num_ctx": 4096, "stop": ["<a>", 'say "b"'], "use_mmap": False, "seed": 1234567}
    make(client, small_gguf, system="You are Ana.\nBe kind.", parameters=parameters)
    shown = client.show("ana")
    assert shown is not None
    assert (shown.system, shown.family, shown.quantization) == ("You are Ana.\nBe kind.", "llama", "Q8_0")
    assert sorted(shown.parameters, key=str) == sorted(
        [("temperature", 0.7), ("num_ctx", 4096), ("stop", "<a>"), ("stop", 'say "b"'), ("use_mmap", False),
         ("seed", 1234567)], key=str)  # fmt: skip


def test_a_plain_gguf_keeps_its_digest_only_before_0_30(
    client: OllamaClient, double: OllamaDouble, small_gguf: tuple[Path, str]
) -> None:
    make(client, small_gguf)
    shown = client.show("ana")
    assert shown is not None
    assert (shown.blob == small_gguf[1]) is (not double.rewrites)


def test_a_gguf_in_the_quantisers_own_order_keeps_its_digest(
    client: OllamaClient, own_order_gguf: tuple[Path, str]
) -> None:
    make(client, own_order_gguf)
    shown = client.show("ana")
    assert shown is not None
    assert shown.blob == own_order_gguf[1]


def test_what_is_not_there_is_no_error(client: OllamaClient) -> None:
    assert client.show("nobody") is None
    assert client.exists("nobody") is False
    assert client.delete("nobody") is False
    client.unload("nobody")


def test_a_bad_name_is_an_error(client: OllamaClient) -> None:
    with pytest.raises(OllamaRefused, match="invalid model name"):
        client.show("-bad")


def test_a_copy_is_the_same_model_under_another_name(client: OllamaClient, small_gguf: tuple[Path, str]) -> None:
    make(client, small_gguf)
    client.copy("ana", "ana:v1")
    digests = {model.name: model.digest for model in client.tags()}
    assert digests["ana:latest"] == digests["ana:v1"]
    assert client.delete("ana:latest") is True
    assert client.exists("ana:v1")


def test_a_chat_loads_a_model_and_unload_frees_it(
    client: OllamaClient, double: OllamaDouble, jinja_gguf: tuple[Path, str]
) -> None:
    make(client, jinja_gguf, template="{{ .Prompt }}!")
    assert client.chat("ana", [("user", "Hello")], {"num_predict": 1}) == "Hello,"
    assert [model.name for model in client.ps()] == ["ana:latest"]
    client.unload("ana")
    assert client.ps() == []


def test_a_deleted_model_that_is_loaded_cannot_be_unloaded(client: OllamaClient, small_gguf: tuple[Path, str]) -> None:
    make(client, small_gguf)
    client.chat("ana", [("user", "Hello")])
    client.delete("ana")
    client.unload("ana")
    assert len(client.ps()) == 1


def test_a_parameter_that_the_server_took_unchecked_fails_every_chat(
    client: OllamaClient, small_gguf: tuple[Path, str]
) -> None:
    make(client, small_gguf, parameters={"temperature": "hot"})
    with pytest.raises(OllamaRefused, match="must be of type float32") as refused:
        client.chat("ana", [("user", "Hello")])
    assert "wrong type" in refused.value.hint


def test_a_template_without_a_match_answers_nothing_before_0_30(
    client: OllamaClient, double: OllamaDouble, jinja_gguf: tuple[Path, str]
) -> None:
    make(client, jinja_gguf)
    assert bool(client.chat("ana", [("user", "Hello")])) is double.rewrites
