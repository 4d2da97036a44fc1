"""Whatever lies in a tree, reading it never raises, never hangs, and says in a few words why not."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metahuman_core.memories.model import Memory, Skipped
from metahuman_core.memories.read import Limits, read
from metahuman_core.memories.walk import FoundFile

if TYPE_CHECKING:
    from conftest import Tree

SECRET = "Ida's address"


def found(path: Path) -> FoundFile:
    return FoundFile(path, path.name, 0, 0, 0, 0)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (b" \n\t", "empty"),
        (b'{"content": ""}', "empty"),
        (b'{"content": "User: \\n\\nAssistant: "}', None),
        (b'{"content": "' + SECRET.encode(), "cut off: the JSON ends too early"),
        (b'{"content": "x", "importance": NaN}', "holds NaN or Infinity"),
        (b'{"content": "x", "importance": -Infinity}', "holds NaN or Infinity"),
        (b'{"content": "\\ud800 x"}', "holds half a character (a lone surrogate)"),
        (b'{"content": "x\\udc00"}', "holds half a character (a lone surrogate)"),
        (b'{"content": "caf\xe9"}', "not valid UTF-8"),
        (b'{"content": "\xed\xa0\x80"}', "not valid UTF-8"),
        ('{"content": "x"}'.encode("utf-16"), "not valid JSON"),
        (b'{"content": "x", "n": ' + b"9" * 5000 + b"}", "holds a number with too many digits"),
        (b'{"content": "x", "n": ' + b"9" * 300 + b"}", None),
        (b'{"content": "x"} {"content": "y"}', "not valid JSON"),
        (b'{"content": "x", "content": "y"}', None),
        (b'"just a string"', "not a JSON object"),
        (b'{"theme": "dark"}', "no shape of a memory that is known"),
        (b'{"content": "x", "a": ' + b"[" * 70 + b"]" * 70 + b"}", "nested deeper than 64 levels"),
        (b'{"content": "x", "a": ' + b"[" * 1000 + b"]" * 1000 + b"}", "nested deeper than 64 levels"),
        (b'{"a":' * 100_000, "nested deeper than 64 levels"),
        (b'{"content": "x", "a": ' + b"[" * 63 + b"]" * 63 + b"}", None),
        (b'{"content": "' + b"x" * 1_048_576 + b'"}', "larger than 1 MiB"),
        (b"[" * 100_000, "cut off: the JSON ends too early"),
        (b"[1, 2", "not a JSON object"),
        (b"[] x", "something follows the end of the JSON list"),
        (b'\xef\xbb\xbf{"content": "x"}', None),
    ],
)
def test_a_bad_file_is_set_aside_with_a_reason(tree: Tree, content: bytes, reason: str | None) -> None:
    tree.write("a.json", content)
    outcomes = tree.outcomes()
    if reason is None:
        assert isinstance(outcomes[0], Memory)
    else:
        assert reason in {outcome.reason for outcome in outcomes if isinstance(outcome, Skipped)}
    assert not any(SECRET in str(outcome) for outcome in outcomes)


JUNK: list[Any] = [
    None,
    True,
    5,
    -0.5,
    10**300,
    "",
    "x",
    [],
    [None, 5, "x", [[]], {"role": 5, "content": {}}],
    {},
    {"a": [1]},
]
FIELDS = [
    *("id", "timestamp", "content", "response", "type", "tags", "links", "metadata", "messages", "prompt", "question"),
    *("answer", "conversationalEssence", "userMessage", "flags", "rejectionReason", "suitableForTraining", "title"),
    *("instruction", "input", "output", "questions", "answers", "role", "mapping", "current_node", "chat_messages"),
    *("conversations", "uuid", "create_time", "cognitiveMode", "children", "parent", "message", "author", "sender"),
    *("from", "value", "text", "parts", "questionId", "reinforcementSignal", "userMessage", "assistantMessage"),
]


@pytest.mark.parametrize("field", FIELDS)
def test_a_field_of_the_wrong_type_never_raises(tree: Tree, field: str) -> None:
    whole = {"content": "x", "response": "y"}
    records = [base | {field: junk} for base in (whole, {}) for junk in JUNK]
    tree.write("a.jsonl", records)
    for number, record in enumerate(records):
        tree.write(f"{number}.json", record)
    assert tree.outcomes()


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(FIELDS), inner, max_size=5),
    max_leaves=25,
)


@settings(max_examples=150)
@given(value=json_values, ending=st.sampled_from(["json", "jsonl", "md"]))
def test_no_json_value_raises(value: Any, ending: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"a.{ending}")
        path.write_text(json.dumps(value))
        assert all(isinstance(outcome, (Memory, Skipped)) for outcome in read(found(path)))


@settings(max_examples=150)
@given(content=st.binary(max_size=200) | st.text(alphabet='[]{},":\\ \n#-x1', max_size=80).map(str.encode))
def test_no_bytes_raise(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for ending in ("json", "jsonl", "md"):
            path = Path(folder, f"a.{ending}")
            path.write_bytes(content)
            assert all(isinstance(outcome, (Memory, Skipped)) for outcome in read(found(path)))


@settings(max_examples=50)
@given(items=st.lists(st.text(max_size=12).map(lambda text: {"content": "x" + text, "k": [text, {}]}), max_size=6))
def test_a_list_is_cut_where_a_parser_would_cut_it(items: list[dict[str, Any]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.json")
        path.write_text(json.dumps(items, indent=1))
        outcomes = list(read(found(path)))
    assert [outcome.unit for outcome in outcomes] == [str(number) for number in range(1, len(items) + 1)]


@pytest.mark.parametrize("ending", ["json", "jsonl", "md"])
def test_fifty_megabytes_of_nothing_are_refused_without_being_held(tree: Tree, ending: str) -> None:
    path = tree.root / f"a.{ending}"
    with path.open("wb") as file:
        file.truncate(50_000_000)
    assert tree.reason().startswith("larger than")


def test_a_file_of_broken_lines_is_reported_in_short(tree: Tree) -> None:
    tree.write("a.jsonl", "x\n" * 5000)
    outcomes = tree.outcomes()
    assert len(outcomes) == 101
    assert outcomes[-1] == Skipped("a.jsonl", "and 4900 more places in it were set aside")


def test_a_pipe_does_not_hold_the_reader_up(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.json")
    assert list(read(found(tmp_path / "a.json"))) == [Skipped("a.json", "not a regular file")]


def test_what_became_a_link_since_it_was_found_is_not_opened(tmp_path: Path) -> None:
    (tmp_path / "real.json").write_text('{"content": "x"}')
    (tmp_path / "a.json").symlink_to("real.json")
    assert list(read(found(tmp_path / "a.json"))) == [
        Skipped("a.json", "a symbolic link, which is not followed"),
    ]


def test_what_became_a_folder_or_went_away_is_set_aside(tmp_path: Path) -> None:
    (tmp_path / "a.json").mkdir()
    assert list(read(found(tmp_path / "a.json"))) == [Skipped("a.json", "not a regular file")]
    assert list(read(found(tmp_path / "b.json"))) == [Skipped("b.json", "it went away before it was read")]


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is forbidden to root")
def test_a_file_without_permission_is_set_aside(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('{"content": "x"}')
    path.chmod(0)
    assert list(read(found(path))) == [Skipped("a.json", "no permission to read it")]


def test_depth_is_a_setting(tree: Tree) -> None:
    tree.write("a.json", {"content": "x", "metadata": {"a": [[]]}})
    assert isinstance(tree.outcomes(Limits(max_depth=4))[0], Memory)
    assert isinstance(tree.outcomes(Limits(max_depth=3))[0], Skipped)
