"""The whole way with a base from the Hub: fetched once, pinned, and never asked for again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hub_double import HubDouble, Repository
from workshop import PROFILE, Reference, Workshop, made_by

from metahuman_core.durable import remove
from metahuman_core.layout import hub_cache

COMMIT = "7" * 40


def repository(folder: str) -> Repository:
    files = {path.name: path.read_bytes() for path in Path(folder).iterdir()}
    return Repository(files={**files, "README.md": b"# Tiny\n", "pytorch_model.bin": b"pickle"}, commit=COMMIT)


@pytest.mark.timeout(900)
def test_a_base_from_the_hub_is_pinned_and_gives_the_same_bytes_as_its_folder(
    llama: str, reference: Reference, tmp_path: Path
) -> None:
    workshop = Workshop.make(tmp_path / "root", "org/tiny")
    with HubDouble({"org/tiny": repository(llama)}) as hub:
        ended = workshop.fine_tune(HF_ENDPOINT=hub.url)
    assert ended.code == 0, f"{ended.err}\n{workshop.child_log()}"

    assert made_by(workshop).digests == reference.made.digests
    assert made_by(workshop).leftovers == ()
    registry = workshop.registry()
    assert registry is not None
    (version,) = registry.training_history
    assert (version.base_model_used, version.anchor_model, version.anchor_revision) == ("org/tiny", "org/tiny", COMMIT)
    assert (registry.original_base_model, registry.current_base_model) == ("org/tiny", version.output_model_path)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_second_version_needs_no_network(llama: str, tmp_path: Path) -> None:
    workshop = Workshop.make(tmp_path / "root", "org/tiny")
    with HubDouble({"org/tiny": repository(llama)}) as hub:
        assert workshop.fine_tune(HF_ENDPOINT=hub.url).code == 0
        gone = hub.url
    memory = {"id": "evt-9", "timestamp": "2031-03-04T08:00:00.000Z", "type": "observation"}
    (workshop.root / "profiles" / PROFILE / "memory" / "episodic" / "evt-9.json").write_text(
        json.dumps({**memory, "content": "I have a new dog, a grey terrier whose name is Pico."}), encoding="utf-8"
    )

    ended = Workshop(workshop.root, "").fine_tune(HF_ENDPOINT=gone)
    assert ended.code == 0, f"{ended.err}\n{workshop.child_log()}"
    later = workshop.registry()
    assert later is not None
    assert [version.parent_version for version in later.training_history] == [None, 1]
    assert {version.anchor_revision for version in later.training_history} == {COMMIT}


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_version_is_rebuilt_on_its_base_which_is_fetched_again_where_it_is_gone(llama: str, tmp_path: Path) -> None:
    workshop = Workshop.make(tmp_path / "root", "org/tiny")
    with HubDouble({"org/tiny": repository(llama)}) as hub:
        assert workshop.fine_tune(HF_ENDPOINT=hub.url).code == 0
        gone = hub.url
    made = made_by(workshop)
    registry = workshop.registry()
    assert registry is not None
    remove(hub_cache(workshop.root))
    remove(workshop.root / registry.training_history[0].output_model_path)

    refused = workshop.run("rebuild", "1", HF_ENDPOINT=gone)
    assert refused.code == 1
    assert "the Hub cannot be reached" in refused.err
    with HubDouble({"org/tiny": repository(llama)}) as hub:
        ended = workshop.run("rebuild", "1", HF_ENDPOINT=hub.url)
    assert ended.code == 0, ended.err
    assert "it is fetched again, at 777777777777" in ended.err
    assert made_by(workshop).digests == made.digests
