"""Every recorded exchange is replayed against the double, which must answer as the real server did.

`recordings/SCENARIO.jsonl` holds the exchanges in the order in which they must be replayed. What differs from run to
run is made equal by `_steady`, each with its reason; everything else must be the same, word for word.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import double_gguf as gguf
import httpx
import pytest
from double import OllamaDouble

RECORDINGS = Path(__file__).parent / "recordings"
# Scenarios that met the same server one after the other, and what was wrong with it.
CHAINS = {
    "main": (["main"], []),
    "v0.24.0": (["v0.24.0"], []),
    "one-server": (["idempotent", "generation", "template"], []),
    "keepold": (["keepold"], []),
    "noprune": (["noprune"], []),
    "diskfull": (["diskfull"], ["disk-full"]),
    "unwritable": (["unwritable"], ["unwritable"]),
    "no-llama-quantize": (["no-llama-quantize"], ["no-llama-quantize"]),
}
_BROKEN_PIPE = "no answer was recorded: the client broke off with a broken pipe (test_client has the trap as a test)"
NOT_REPLAYED = {
    "main/blob_post_again": _BROKEN_PIPE,
    "v0.24.0/blob_post_again": _BROKEN_PIPE,
    "template/up_automatch": _BROKEN_PIPE,
    "template/up_explicit-template": _BROKEN_PIPE,
    "template/up_system-model": _BROKEN_PIPE,
}
NOTES = {
    "_notes_extra": "remarks on races and disconnects, no exchanges",
    "_python_client_0.6.3": "what the Python client raised, no exchanges; test_client has it as tests",
}
Q4, F16, F32, NOFT = "b179c9523d0e", "bf96b6ccd342", "79aae5a7e6d4", "c8b5ccb03e0b"
BADARCH, TINY_JINJA, TINY_NONE = "523f8d498e19", "5f7eb46f342d", "e81ce50313ee"
JINJA, NO_TEMPLATE, BROKEN = "9ce067094ee7", "604b74dcc042", "decadcf2ca5b"
SMOL_JINJA = (
    "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system\n"
    "You are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n' }}{% endif %}"
    "{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


@cache
def recorded(scenario: str) -> list[dict[str, Any]]:
    lines = (RECORDINGS / f"{scenario}.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def answer_of(scenario: str, name: str) -> dict[str, Any]:
    return next(entry for entry in recorded(scenario) if entry["name"] == name)["response"]["json"]


@cache
def full_digests() -> dict[str, str]:
    """The digests that occur, by their first twelve characters."""
    text = "".join(path.read_text(encoding="utf-8") for path in RECORDINGS.glob("*.jsonl"))
    return {digest[:12]: digest for digest in re.findall(r"sha256[:-]([0-9a-f]{64})", text)}


def write_like(path: Path, scenario: str, show: str, **change: Any) -> Path:
    """A GGUF with the header that `show` printed; its data is a hole of the same size."""
    shown = answer_of(scenario, show)
    values = {key: value for key, value in shown["model_info"].items() if key != "general.parameter_count"}
    values |= {key: change[key] for key in change if key in ("tokenizer.chat_template", "general.architecture")}
    if "file_type" in change:
        values["general.file_type"] = change["file_type"]
    only = change.get("tensor_type")
    rows = [gguf.Tensor(t["name"], only or t["type"], tuple(t["shape"])) for t in shown["tensors"]]
    gguf.write(path, values, tuple(rows), change.get("data_start", 0))
    return path


def seed(double: OllamaDouble, folder: Path) -> None:
    """Give the double what was uploaded: the real bytes are gone, the headers are made after what `show` printed."""
    folder.mkdir()
    store, digests = double.store, full_digests()
    main, template = {"tokenizer.chat_template": SMOL_JINJA}, "tokenizer.chat_template"

    def blob(short: str, scenario: str, show: str, **change: Any) -> Path:
        path = write_like(folder / short, scenario, show, **change)
        store.seed_blob(digests[short], path)
        return path

    def becomes(short: str, how: str, result: str, path: Path) -> None:
        copy = folder / f"{result}-own"
        header = gguf.read(path)
        gguf.write(copy, header.values, gguf.own_order(header.tensors))
        store.rewritten_as[digests[short], how] = (digests[result], copy)

    def quantised(how: str, result: str, show: str, file_type: int) -> None:
        source = "v0.24.0" if double.version == "0.24.0" else "main"
        path = write_like(folder / f"{how}", source, show, file_type=file_type, **main)
        store.rewritten_as[digests[F16], how] = (digests[result], path)

    old = double.version == "0.24.0"
    becomes(Q4, "COPY", "941f309b54ca", blob(Q4, "v0.24.0", "show", **main))
    becomes(F16, "COPY", "a269e3181fcb", blob(F16, "v0.24.0", "show", file_type=1, tensor_type="F16", **main))
    quantised("Q4_K_M", "299c35a58389" if old else "27e1496775b0", "show_q4km", 15)
    quantised("Q8_0", "9c71a2429350" if old else "f7933c716a5b", "show_q4km", 7)
    store.seed_blob(digests["f7933c716a5b"], write_like(folder / "q8own", "main", "show_q4km", file_type=7, **main))
    tiny = ("v0.24.0", "show_tiny_f16_notemplate")
    becomes(F32, "COPY", "2369e87c45ab", blob(F32, *tiny, file_type=0, tensor_type="F32", **main))
    becomes(NOFT, "COPY", "8889f3677dc1", blob(NOFT, *tiny, file_type=0, **main))
    blob(BADARCH, *tiny, **main, **{"general.architecture": "nosucharch"})
    jinja = answer_of("main", "show_tiny_f16_jinja")["template"]
    becomes(TINY_JINJA, "COPY", "1d708e46820f", blob(TINY_JINJA, *tiny, **{template: jinja}))
    becomes(TINY_NONE, "COPY", "87af4d8ed40c", blob(TINY_NONE, *tiny))
    unmatchable = answer_of("template", "show_jinja-nomatch")["template"]
    becomes(JINJA, "COPY", "e1500377ff8f", blob(JINJA, "v0.24.0", "show", **{template: unmatchable}))
    becomes(NO_TEMPLATE, "COPY", "9437c816bcf2", blob(NO_TEMPLATE, "v0.24.0", "show"))
    broken = "{% for message in %}{{ message"
    becomes(BROKEN, "COPY", "e552baa98721", blob(BROKEN, "v0.24.0", "show", **{template: broken}))
    for short, cut in {
        "7e4fd7cd7c76": 1000,
        "b29df37cff53": 200000,
        "d543be685bc9": 200000,
        "d3de0f5202bd": 36280544,
    }.items():
        path = write_like(folder / short, *tiny, data_start=58393792 - 576 * 49152 * 2)
        with path.open("r+b") as file:
            file.truncate(cut)
        store.seed_blob(digests[short], path)
    for short, data in {
        "f92a13f85244": b"XXXX" * 9,
        "bee30e5b6d59": b"GG",
        "e3b0c44298fc": b"",
        "9bbcbf73561f": bytes(8),
    }.items():
        (folder / short).write_bytes(data)
        store.seed_blob(digests[short], folder / short)


def before(double: OllamaDouble, scenario: str, name: str) -> None:
    """What happened between the recorded exchanges."""
    digests, store = full_digests(), double.store
    if (scenario, name) == ("idempotent", "head_hardlinked"):
        store.put_file(digests[Q4], store.seeds[digests[Q4]])  # linked into the blobs folder by hand
    if (scenario, name) == ("main", "create_quantize_bad_type_f16"):
        store.put_file(digests[F16], store.seeds[digests[F16]])  # this upload's recording was overwritten later
        assert list(store.create({"model": "smol-f16", "files": {"m.gguf": f"sha256:{digests[F16]}"}}))
    if (scenario, name) == ("template", "up_jinja-nomatch"):
        double.runners.clear()


def send(double: OllamaDouble, client: httpx.Client, entry: dict[str, Any]) -> httpx.Response:
    request = entry["request"]
    content = request.get("body", "").encode()
    if "json" in request:
        content = json.dumps(request["json"]).encode()
    digest = request["path"].rpartition(":")[2]
    if digest in double.store.seeds:
        content = b""  # the seed is stored in its stead
    return client.request(request["method"], double.url + request["path"], content=content, headers=request["headers"])


def told(response: httpx.Response) -> dict[str, Any]:
    """An answer in the shape of a recording."""
    kept = ("content-type", "allow", "access-control-allow-origin", "vary")
    answer: dict[str, Any] = {"status": response.status_code}
    answer["headers"] = {key: value for key, value in response.headers.items() if key in kept}
    if response.headers.get("content-type") == "application/x-ndjson":
        answer["lines"] = [json.loads(line) for line in response.text.splitlines()]
    elif "json" in response.headers.get("content-type", "") and response.content:
        answer["json"] = response.json()
    else:
        answer["body"] = response.text
    return answer


def recorded_answer(entry: dict[str, Any]) -> dict[str, Any]:
    response = entry["response"]
    answer = {"status": response["status"], "headers": {k.lower(): v for k, v in response["headers"].items()}}
    if "ndjson" in response:
        answer["lines"] = [timed["line"] for timed in response["ndjson"] if "line" in timed]
    elif response.get("json") is not None:
        answer["json"] = response["json"]
    else:
        answer["body"] = response["body"]
    return answer


_VOLATILE = {
    "created_at": "the time of the run",
    "modified_at": "the time of the run",
    "expires_at": "the time of the run",
    "total_duration": "speed",
    "load_duration": "speed",
    "prompt_eval_duration": "speed",
    "eval_duration": "speed",
    "prompt_eval_count": "the double counts no tokens",
    "eval_count": "the double counts no tokens",
    "context": "the double counts no tokens",
    "size": "of synthetic files, and of memory",
    "completed": "the real server quantises tensors in parallel and out of order",
    "total": "bytes of the real file",
}


def _steady(value: Any, key: str = "") -> Any:  # noqa: PLR0911 - one case, one reason
    """The same answer, without what differs from run to run."""
    match value:
        case _ if key in _VOLATILE:
            return f"<{key}>"
        case str() if key in ("content", "response") and value and not value.startswith("h"):
            return "<words of a model>"  # generated; "" stays, for it means that a model said nothing
        case str() if key == "digest" and re.fullmatch("[0-9a-f]{64}", value):
            return "<digest of a manifest>"  # its config layer holds things that the double does not make
        case str() if key == "error":
            return re.sub(r"blobs/sha256-\d+:", "blobs/sha256-<number>:", value)  # Go's name for a temporary file
        case str() if key in ("parameters", "modelfile"):
            return sorted(value.split("\n"))  # the parameters come in the random order of a Go map
        case dict():
            return {inner: _steady(item, inner) for inner, item in value.items()}
        case list() if key == "models":
            # Models of the same second come in no order.
            return sorted((_steady(item, key) for item in value), key=lambda model: str(model["name"]))
        case list() if key == "lines":
            steady = [_steady(item, key) for item in value]
            # Words and quantised tensors repeat: how often depends on the model.
            return [line for line, last in zip(steady, [None, *steady], strict=False) if line != last]
        case list():
            return [_steady(item, key) for item in value]
    return value


@pytest.mark.parametrize("chain", CHAINS)
def test_the_double_answers_as_the_real_server_did(
    chain: str, tmp_path: Path, start_double: Callable[..., OllamaDouble]
) -> None:
    scenarios, failures = CHAINS[chain]
    double = start_double(recorded(scenarios[0])[0]["server"])
    seed(double, tmp_path / "seeds")
    for kind in failures:
        double.fail_with(kind)
    with httpx.Client(trust_env=False) as client:
        for scenario in scenarios:
            for entry in recorded(scenario):
                before(double, scenario, entry["name"])
                if f"{scenario}/{entry['name']}" in NOT_REPLAYED:
                    continue
                _compare(entry, told(send(double, client, entry)))


def _compare(entry: dict[str, Any], answer: dict[str, Any]) -> None:
    ours, theirs = _steady(answer), _steady(recorded_answer(entry))
    if "lines" in theirs:
        counted = entry["response"]["line_count"]
        if counted > len(entry["response"]["ndjson"]):  # the recorder left out the middle of a long stream
            assert len(answer["lines"]) == counted
    assert ours == theirs, entry["name"]


def _names() -> Iterator[str]:
    for path in RECORDINGS.glob("*.jsonl"):
        yield from (f"{path.stem}/{entry['name']}" for entry in recorded(path.stem))


def test_every_recording_is_replayed_or_listed_with_its_reason() -> None:
    chained = [scenario for scenarios, _ in CHAINS.values() for scenario in scenarios]
    names = list(_names())
    replayed = [name for name in names if name not in NOT_REPLAYED]
    assert sorted(chained) == sorted(path.stem for path in RECORDINGS.glob("*.jsonl"))
    assert len(names) == len(set(names)) == 368
    assert len(replayed) + len(NOT_REPLAYED) == len(names)


def test_only_exchanges_without_an_answer_are_not_replayed() -> None:
    unanswered = {
        f"{path.stem}/{entry['name']}"
        for path in RECORDINGS.glob("*.jsonl")
        for entry in recorded(path.stem)
        if not entry.get("response")
    }
    assert unanswered == set(NOT_REPLAYED)
    assert set(json.loads((RECORDINGS / "notes.json").read_text(encoding="utf-8"))) == set(NOTES)
