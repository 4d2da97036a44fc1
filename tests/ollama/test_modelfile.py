"""The Modelfile and the request come from one source, and the real command line would make the one of the other."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from modelfile_reader import ModelfileError, request_of

from metahuman_core.errors import MetahumanError
from metahuman_core.ollama.modelfile import OllamaModel, sayable, to_modelfile, to_request, valid_name

MAPPING = (Path(__file__).parent / "recordings" / "modelfile_cli_mapping.txt").read_text(encoding="utf-8")
DIGEST = "ab" * 32
PLAIN = OllamaModel("model.gguf", "You are Ana.", None, (("temperature", 0.7), ("stop", "<|im_end|>")))


def uncat(text: str) -> str:
    """Undo `cat -A`, in which the recorded Modelfiles are printed."""
    data = bytearray()
    for high, caret, char in re.findall(r"(M-)?(\^)?([\x20-\x7e\n])", text.replace("$\n", "\n")):
        code = (ord(char) ^ 64 if caret else ord(char)) | (128 if high else 0)
        data.append(code)
    return data.decode()


def recorded_modelfiles() -> dict[str, str]:
    blocks = re.split(r"^--- mf/Modelfile\.", MAPPING.split("=== captured")[0], flags=re.MULTILINE)[1:]
    return {block.split("\n", 1)[0]: uncat(block.split("\n", 1)[1]) for block in blocks}


def recorded_requests() -> dict[str, dict[str, object]]:
    found = [json.loads(line.removeprefix("CREATE ")) for line in MAPPING.splitlines() if line.startswith("CREATE ")]
    return {request.pop("model").removeprefix("t-"): request for request in found}


RECORDED_ERRORS = {
    "q1": "unexpected EOF",
    "q3": "unexpected EOF",
    "q6": "unknown parameter 'bogus'",
    "q7": "invalid float value [hot]",
    "q10": "no FROM line",
    "q11": "message role must be one of",
    "q13": "command must be one of",
    "q14": "command must be one of",
    "q16": "invalid int value [5 # trailing]",
}


@pytest.mark.parametrize("name", recorded_requests())
def test_the_reader_of_these_tests_sends_what_the_real_command_line_sent(name: str) -> None:
    wanted = {key: value for key, value in recorded_requests()[name].items() if value}
    files = {"m.gguf", "lora.gguf", "sp ace.gguf"}
    got = request_of(recorded_modelfiles()[name], files)
    for kind in ("files", "adapters"):
        if kind in wanted:
            got[kind] = dict.fromkeys(got[kind], next(iter(wanted[kind].values())))
    assert got == wanted


@pytest.mark.parametrize("name", RECORDED_ERRORS)
def test_the_reader_of_these_tests_refuses_what_the_real_command_line_refused(name: str) -> None:
    with pytest.raises(ModelfileError, match=re.escape(RECORDED_ERRORS[name])):
        request_of(recorded_modelfiles()[name], {"m.gguf"})


def test_every_recorded_modelfile_is_read() -> None:
    assert set(recorded_modelfiles()) == set(recorded_requests()) | set(RECORDED_ERRORS)


awkward = st.sampled_from(['"', '""', '"""', '"""\n', "\n", " ", "\t", "#", "PARAMETER x", "'", "\\", "é", "日", "🙂"])
texts = st.lists(awkward | st.text(max_size=6), max_size=12).map("".join)
numbers = st.floats(allow_nan=False, allow_infinity=False, width=32)
parameters = st.lists(
    st.tuples(st.just("stop"), texts)
    | st.tuples(st.sampled_from(["seed", "num_ctx"]), st.integers(-(10**6), 10**6))
    | st.tuples(st.sampled_from(["temperature", "top_p"]), numbers | st.integers(0, 5))
    | st.tuples(st.just("use_mmap"), st.booleans()),
    max_size=5,
    unique_by=lambda row: row if row[0] == "stop" else row[0],
)
models = st.builds(
    OllamaModel,
    gguf=st.sampled_from(["model.gguf", "sp ace.gguf"]),
    system=texts,
    template=st.none() | texts,
    parameters=parameters.map(tuple),
    license=st.lists(texts, max_size=2).map(tuple),
    messages=st.lists(st.tuples(st.sampled_from(["user", "assistant"]), texts), max_size=2).map(tuple),
)


@given(models)
def test_the_command_line_would_send_our_request_or_the_value_is_refused(model: OllamaModel) -> None:
    try:
        modelfile = to_modelfile(model)
    except MetahumanError:
        with pytest.raises(MetahumanError):
            to_request(model, "ana:v1", DIGEST)
        return
    ours = to_request(model, "ana:v1", DIGEST)
    theirs = request_of(modelfile, {model.gguf})
    assert (ours.pop("model"), ours.pop("stream")) == ("ana:v1", False)
    assert ours.pop("files") == {model.gguf: f"sha256:{DIGEST}"}
    assert theirs.pop("files") == {model.gguf: ""}
    assert ours == theirs


@given(texts)
def test_what_people_write_can_be_said_after_it_was_made_sayable(text: str) -> None:
    if clean := sayable(text):
        model = OllamaModel("model.gguf", clean, None, ())
        assert request_of(to_modelfile(model), {"model.gguf"})["system"] == clean
    assert sayable(clean) == clean


def test_a_modelfile_reads_like_one_that_a_person_wrote() -> None:
    model = OllamaModel("model.gguf", "You are Ana.\nBe kind.", None, PLAIN.parameters, ("MIT",), (("user", 'A "b"'),))
    assert to_modelfile(model) == (
        'FROM ./model.gguf\nSYSTEM """You are Ana.\nBe kind."""\nPARAMETER temperature 0.7\n'
        'PARAMETER stop "<|im_end|>"\nLICENSE "MIT"\nMESSAGE user """A "b""""\n'
    )


def test_what_is_empty_is_left_out_of_the_request_for_an_empty_map_is_an_error() -> None:
    request = to_request(OllamaModel("model.gguf", "", None, ()), "ana", DIGEST)
    assert request == {"model": "ana", "files": {"model.gguf": f"sha256:{DIGEST}"}, "stream": False}


@pytest.mark.parametrize(
    "text", ["a\x00b", "bell\x07", "zero\u200bwidth", "no\u00a0break", "a\rb", "\ud800", 'a"""\nb']
)
def test_a_text_that_a_modelfile_would_change_without_a_word_is_refused(text: str) -> None:
    with pytest.raises(MetahumanError, match="system text"):
        to_request(OllamaModel("model.gguf", text, None, ()), "ana", DIGEST)


@pytest.mark.parametrize("text", [" lead and trail ", '"quoted"', 'ends with """', '"""', "a\tb", "'single'", '"'])
def test_a_text_of_spaces_and_quotes_comes_back_as_it_was(text: str) -> None:
    assert request_of(to_modelfile(OllamaModel("model.gguf", text, None, ())), {"model.gguf"})["system"] == text


@pytest.mark.parametrize(
    ("key", "value"),
    [("temperature", "hot"), ("seed", 1.5), ("seed", True), ("use_mmap", 1), ("stop", ""), ("nonsense", 1),
     ("top_p", float("nan")), ("temperature", float("inf"))],
)  # fmt: skip
def test_a_parameter_of_the_wrong_type_is_refused_here_for_the_server_takes_any(key: str, value: object) -> None:
    with pytest.raises(MetahumanError, match=key):
        to_modelfile(OllamaModel("model.gguf", "", None, ((key, value),)))


@pytest.mark.parametrize("name", ["../model.gguf", "/m.gguf", "a/b.gguf", "model.bin", "", '"m".gguf', " m.gguf"])
def test_a_file_that_is_not_beside_the_modelfile_is_refused(name: str) -> None:
    with pytest.raises(MetahumanError, match="file name"):
        to_modelfile(OllamaModel(name, "", None, ()))


@pytest.mark.parametrize("name", ["ana", "ana:v1", "_under", "UPPER-Case_1.0", "me/ana:v1", "hf.co/ns/m:t", "x" * 80])
def test_a_good_name_is_taken(name: str) -> None:
    assert valid_name(name)


@pytest.mark.parametrize(
    "name",
    ["", "-bad", "a b", "a/b/c/d/e", "a:b:c", "x" * 81, "ok:" + "t" * 81, "../etc/passwd", "naïve", ".dot", "a/b.c/d",
     "ns.dot/model", "foo:", "/foo", "x:local", "x:cloud", "x:big-cloud", "x:LOCAL", "a\n"],
)  # fmt: skip
def test_a_name_that_the_server_refuses_or_loses_is_refused(name: str) -> None:
    assert not valid_name(name)
    with pytest.raises(MetahumanError):
        to_request(PLAIN, name, DIGEST)
