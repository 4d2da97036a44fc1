"""Rollback and promote through the command line: what `:latest` answers, the next run's base, and the branches left."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from double import OllamaDouble
from made_up_root import PROFILE, MadeUpRoot
from striking import Stand

from metahuman_core.durable import sha256_file
from metahuman_core.journal import Journal
from metahuman_core.layout import cycle_lock_path
from metahuman_core.ledger import Ledger
from metahuman_core.locks import cycle_lock
from metahuman_core.looking import look
from metahuman_core.ollama.client import OllamaClient
from metahuman_core.plan import memory_lines, read_plan
from metahuman_core.publishing import due_publications, verify_published
from metahuman_core.serving import SERVING
from metahuman_daemon.clock import now
from metahuman_daemon.publishing import publish_all, publish_one

DONE, FAILED, BUSY = 0, 1, 75
ALIAS = f"{PROFILE}:latest"
MadeUp = Callable[..., MadeUpRoot]


@dataclass(frozen=True)
class Published:
    """A root whose versions are in Ollama."""

    root: MadeUpRoot
    client: OllamaClient
    double: OllamaDouble | None = None

    @classmethod
    def of(cls, root: MadeUpRoot, url: str, double: OllamaDouble | None = None) -> Published:
        root.set("ollama", f'host = "{url}"')
        for version in root.registry.training_history:
            publish_one(root.settings, PROFILE, version, lambda _: None, lambda _: None)
        return cls(root, OllamaClient(url), double)

    def alias(self) -> int:
        """The version that `:latest` is, by its digest."""
        digests = {model.name: model.digest for model in self.client.tags()}
        (number,) = (v.version for v in self.root.registry.training_history
                     if digests.get(f"{PROFILE}:v{v.version}") == digests[ALIAS])  # fmt: skip
        return number

    def answers(self, name: str) -> str:
        return self.client.chat(name, [("user", "Who are you?")], {"temperature": 0, "num_predict": 12, "seed": 1}, 0)

    def is_at(self, number: int) -> bool:
        """Whether alias, live version and base are one."""
        registry = self.root.registry
        live, base = registry.live(), registry.by_model_path(registry.current_base_model)
        return (live is not None and live.version) == (base is not None and base.version) == number == self.alias()


@pytest.fixture(scope="module")
def stand(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    """Runs commands in milliseconds."""
    with Stand(tmp_path_factory.mktemp("stand")) as stand:
        yield stand


def by_weights(blob: str) -> str:
    return f"I am {blob}."


@pytest.fixture
def published(made_up: MadeUp, tmp_path: Path) -> Iterator[Published]:
    """Three versions, all in Ollama; the third is live. Each answers with its own weights' name."""
    with OllamaDouble("0.33.0-rc2", tmp_path / "models", answer=by_weights) as double:
        there = Published.of(made_up(3), double.url, double)
        yield there
        there.client.close()


@pytest.fixture
def real(made_up: MadeUp) -> Iterator[Published]:
    """Two versions of the model METAHUMAN_TEST_GGUF, told to be two persons, on the server at OLLAMA_HOST."""
    if not os.environ.get("OLLAMA_HOST") or not os.environ.get("METAHUMAN_TEST_GGUF"):
        pytest.skip("needs OLLAMA_HOST and METAHUMAN_TEST_GGUF, the path of a small chat model")
    root = made_up(2)
    for number, system in ((1, "Answer every question with: blue blue blue"), (2, "You are a pirate. Talk like one.")):
        gguf = root.parts(number).gguf
        shutil.copy(os.environ["METAHUMAN_TEST_GGUF"], gguf)
        root.edit(number, gguf_sha256=sha256_file(gguf), gguf_bytes=gguf.stat().st_size)
        run = gguf.with_name("run.json")
        told = json.loads(run.read_text(encoding="utf-8"))
        told["steps"][SERVING]["result"]["system"] = system
        run.write_text(json.dumps(told), encoding="utf-8")
    there = Published.of(root, OllamaClient().url)
    yield there
    for number in (1, 2):
        there.client.delete(f"{PROFILE}:v{number}")
    there.client.delete(ALIAS)
    there.client.close()


# --- the alias, the base, the answer --------------------------------------------------------------------------------


def test_after_a_rollback_the_old_version_answers(
    stand: Stand, published: Published, record_property: Callable[..., None]
) -> None:
    assert published.is_at(3)
    old, new = (published.answers(f"{PROFILE}:v{number}") for number in (2, 3))
    assert published.answers(ALIAS) == new != old
    began_s = time.monotonic()
    said = stand.run(published.root.folder, "rollback")
    record_property("rollback_s", round(time.monotonic() - began_s, 2))
    assert said.code == DONE
    assert "version 2 is live" in said.said
    assert "rolled back: version 3" in said.said
    assert published.is_at(2)
    assert published.answers(ALIAS) == old
    assert published.root.version(2).publication == "done"


def test_nothing_is_uploaded_where_the_tag_is_there_and_all_where_it_is_gone(
    stand: Stand, published: Published
) -> None:
    assert published.double is not None
    published.double.log.clear()
    assert stand.run(published.root.folder, "rollback").code == DONE
    assert not published.double.asked("/api/blobs")
    assert not published.double.asked("/api/create")
    published.client.delete(f"{PROFILE}:v1")
    assert stand.run(published.root.folder, "rollback").code == DONE
    assert published.is_at(1)
    assert len(published.double.asked("/api/create")) == 1


@pytest.mark.parametrize("version", ["0.33.0-rc2", "0.24.0"])
def test_what_the_server_wrote_anew_is_not_made_again(
    stand: Stand, made_up: MadeUp, tmp_path: Path, version: str
) -> None:
    root = made_up(2)
    root.unsort_gguf(1)
    with OllamaDouble(version, tmp_path / "models", answer=by_weights) as double:
        there = Published.of(root, double.url, double)
        double.log.clear()
        assert stand.run(root.folder, "rollback").code == DONE
        assert there.is_at(1)
        assert not double.asked("/api/create")
        there.client.close()


def test_what_is_left_while_no_server_answers_is_still_known_to_be_there(stand: Stand, published: Published) -> None:
    root, double = published.root, published.double
    assert double is not None
    double.stop()
    for words in (("rollback", "2"), ("promote", "3"), ("rollback", "1")):
        assert stand.run(root.folder, *words).code == DONE
    assert [version.publication for version in root.registry.training_history] == ["due", "done", "done"]


@pytest.mark.ollama
def test_on_a_real_server_the_old_version_answers(
    stand: Stand, real: Published, record_property: Callable[..., None]
) -> None:
    old, new = (real.answers(f"{PROFILE}:v{number}") for number in (1, 2))
    assert real.answers(ALIAS) == new != old
    for how in ("tag there", "tag gone"):
        if how == "tag gone":
            assert stand.run(real.root.folder, "promote", "2").code == DONE
            real.client.delete(f"{PROFILE}:v1")
        began_s = time.monotonic()
        assert stand.run(real.root.folder, "rollback", "1").code == DONE
        record_property(f"rollback_s with the {how}", round(time.monotonic() - began_s, 2))
        assert real.is_at(1)
        assert real.answers(ALIAS) == old


def test_a_version_that_goes_live_again_is_answered_by_too(stand: Stand, published: Published) -> None:
    root = published.root
    assert stand.run(root.folder, "rollback", "1").code == DONE
    assert [v.outcome for v in root.registry.training_history] == ["live", "rolled_back", "rolled_back"]
    assert stand.run(root.folder, "promote", "2").code == DONE
    assert published.is_at(2)
    assert [(v.outcome, v.held) for v in root.registry.training_history] == [
        ("superseded", False), ("live", False), ("rolled_back", True),
    ]  # fmt: skip


def test_asked_for_again_it_says_so_and_mends_the_alias(stand: Stand, published: Published) -> None:
    published.client.copy(f"{PROFILE}:v1", ALIAS)
    said = stand.run(published.root.folder, "promote", "3")
    assert said.code == DONE
    assert "live already" in said.said
    assert published.is_at(3)


# --- what fails -----------------------------------------------------------------------------------------------------


def test_where_the_server_goes_in_the_last_moment_the_alias_follows_too(stand: Stand, published: Published) -> None:
    root, double = published.root, published.double
    assert double is not None
    double.fail_with("drop", "/api/copy")
    said = stand.run(root.folder, "rollback")
    assert said.code == DONE
    assert "follows when Ollama is there" in said.said
    assert (root.version(2).outcome, root.version(2).publication, published.alias()) == ("live", "due", 3)
    double.heal()
    assert stand.run(root.folder, "publish").code == DONE
    assert published.is_at(2)


def test_without_a_server_the_registry_moves_and_the_alias_follows(stand: Stand, published: Published) -> None:
    root, double = published.root, published.double
    assert double is not None
    double.stop()
    said = stand.run(root.folder, "rollback")
    assert said.code == DONE
    assert "follows when Ollama is there" in said.said
    version = root.version(2)
    assert (version.outcome, version.publication) == ("live", "due")
    double.start()
    assert published.alias() == 3
    assert stand.run(root.folder, "publish").code == DONE
    assert published.is_at(2)
    assert root.version(2).publication == "done"


def test_typed_again_before_the_alias_has_followed_it_goes_no_further(stand: Stand, published: Published) -> None:
    root, double = published.root, published.double
    assert double is not None
    double.stop()
    assert stand.run(root.folder, "rollback").code == DONE
    said = stand.run(root.folder, "rollback")
    assert said.code == DONE
    assert "that comes first; `metahuman rollback 1` goes further back" in said.said
    assert root.version(2).outcome == "live"
    double.start()
    assert stand.run(root.folder, "rollback").code == DONE
    assert published.is_at(2)
    assert stand.run(root.folder, "rollback").code == DONE
    assert published.is_at(1)


def test_where_the_name_was_changed_since_it_is_said_which_alias_stays(stand: Stand, published: Published) -> None:
    published.root.set("profiles.ines", 'ollama_name = "ines2"')
    said = stand.run(published.root.folder, "rollback")
    assert "ines2:latest stays what it is" in said.said
    assert "`ollama cp ines:latest ines2:latest`" in said.said
    assert published.is_at(2)


def test_after_a_reset_what_was_rolled_back_is_held_nevertheless(stand: Stand, made_up: MadeUp) -> None:
    root = made_up(2)
    root.set("ollama", "enabled = false")
    assert "is held" not in stand.run(root.folder, "reset").said
    assert stand.run(root.folder, "rollback").code == DONE
    assert "is held all the same until `metahuman resume`" in stand.run(root.folder, "reset").said


def test_what_cannot_be_made_ready_changes_nothing(stand: Stand, published: Published) -> None:
    root, double = published.root, published.double
    assert double is not None
    before = root.registry_path.read_bytes()
    published.client.delete(f"{PROFILE}:v2")
    double.fail_with("unwritable")
    said = stand.run(root.folder, "rollback")
    assert said.code == FAILED
    double.heal()
    shutil.rmtree(root.parts(2).adapter)
    shutil.rmtree(root.parts(2).model)
    root.parts(2).gguf.unlink()
    said = stand.run(root.folder, "rollback")
    assert said.code == FAILED
    assert "version 2" in said.said
    assert root.registry_path.read_bytes() == before
    assert published.alias() == 3


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("rollback", "9"), "no version 9"),
        (("rollback", "2"), "promote 2"),
        (("rollback", "3"), "promote 3 --force"),
        (("publish", "0"), "no version 0"),
        (("promote", "9"), "no version 9"),
        (("promote", "3"), "--force"),
        (("pin", "9"), "no version 9"),
    ],
)
def test_what_cannot_be_is_one_line_with_the_way_out(
    stand: Stand, made_up: MadeUp, words: tuple[str, ...], named: str
) -> None:
    root = made_up(4)
    root.edit(4, parent_version=1)
    root.edit(3, outcome="rejected", training_success=False, reasons=("it forgot",))
    before = root.registry_path.read_bytes()
    said = stand.run(root.folder, *words)
    assert said.code == FAILED
    assert named in said.said
    assert "Traceback" not in said.said
    assert root.registry_path.read_bytes() == before


def test_while_somebody_trains_by_hand_it_is_busy(stand: Stand, made_up: MadeUp) -> None:
    root = made_up(2)
    before = root.registry_path.read_bytes()
    with cycle_lock(cycle_lock_path(root.folder), "profile ines"):
        said = stand.run(root.folder, "rollback")
    assert said.code == BUSY
    assert "profile ines" in said.said
    assert root.registry_path.read_bytes() == before


def test_a_rejected_version_is_made_live_by_force_and_says_so(stand: Stand, made_up: MadeUp) -> None:
    root = made_up(2)
    root.set("ollama", "enabled = false")
    root.edit(1, outcome="live")
    root.edit(2, outcome="rejected", training_success=False, reasons=("it forgot",))
    said = stand.run(root.folder, "promote", "2", "--force")
    assert said.code == DONE
    assert "was rejected, and is made live by hand: it forgot" in said.said
    version = root.version(2)
    assert (version.outcome, version.publication) == ("live", "off")
    assert version.promoted_at


# --- killed ---------------------------------------------------------------------------------------------------------


def starts_again(published: Published) -> int:
    """What the daemon does at its start: afterwards alias, base and live version are one. Gives that one."""
    root = published.root
    verify_published(root.registry_path, root.settings.ollama.host)
    publish_all(root.settings, PROFILE, lambda _: None, lambda _: None)
    live = root.registry.live()
    assert live is not None
    assert published.is_at(live.version)
    assert not due_publications(root.registry)
    return live.version


def test_killed_at_any_moment_the_next_start_has_alias_and_base_together(stand: Stand, published: Published) -> None:
    """Forth and back between two versions, killed one moment later each time, until nothing is left to kill."""
    assert stand.run(published.root.folder, "rollback", "2").code == DONE
    reached = set()
    for moment in range(200):
        to = 3 if published.alias() == 2 else 2
        ended = stand.run(published.root.folder, "promote", str(to), at=moment)
        reached.add(starts_again(published) == to)
        if not ended.was_killed:
            assert ended.code == DONE, ended.said
            break
    else:
        pytest.fail("it never came to its end")
    assert moment > 8
    assert reached == {True, False}


@pytest.mark.parametrize(("request_path", "is_there"), [("/api/chat", False), ("/api/copy", True), ("/api/tags", True)])
def test_killed_while_it_talks_to_ollama_the_next_start_has_alias_and_base_together(
    published: Published, request_path: str, is_there: bool
) -> None:
    """Before the old version has answered, nothing has moved; from the copy on all has, or will."""
    root, double = published.root, published.double
    assert double is not None
    command = [sys.executable, "-m", "metahuman_daemon.cli", "rollback"]
    environment = {**os.environ, "METAHUMAN_CONFIG": str(root.folder / "config.toml")}
    with subprocess.Popen(command, cwd=root.folder, env=environment, stderr=subprocess.DEVNULL) as process:
        moved = []

        def kill(path: str) -> None:
            moved.extend([path] if path == "/api/copy" else [])
            if path == request_path and (moved or path != "/api/tags"):
                process.kill()
                process.wait()

        double.on_request = kill
    double.on_request = lambda _: None
    assert process.returncode == -signal.SIGKILL
    assert starts_again(published) == (2 if is_there else 3)


# --- what is left ---------------------------------------------------------------------------------------------------


def test_a_run_that_would_go_on_from_what_is_left_is_thrown_away(stand: Stand, made_up: MadeUp) -> None:
    root = made_up(4)
    root.edit(3, parent_version=1)  # a branch beside
    root.edit(4, parent_version=2)
    root.set("ollama", "enabled = false")
    plan = read_plan(Journal.open(root.parts(2).run_dir, now).file.inputs)
    runs = {}
    labels = ("2031-03-01-000000-aaaaaa", "2031-03-02-000000-bbbbbb", "2031-03-02-000000-cccccc")
    for parent, label in zip((1, 2, 3), labels, strict=True):
        runs[parent] = root.paths.run_dir(label)
        runs[parent].mkdir(parents=True)
        Journal.begin(runs[parent], replace(plan, parent_version=parent), now)
    said = stand.run(root.folder, "rollback", "1")
    assert said.code == DONE
    assert "run 2031-03-02-000000-bbbbbb is thrown away" in said.said
    assert [parent for parent, run in runs.items() if run.exists()] == [1, 3]


def test_what_was_rolled_back_is_held_until_resume(stand: Stand, made_up: MadeUp) -> None:
    root = made_up(2)
    root.set("ollama", "enabled = false")
    remember(
        root, {1: "The tide was low this morning.", 2: "I met Tomas at the harbour.", 3: "The stove is lit again."}
    )
    assert stand.run(root.folder, "status").code == DONE  # which looks at the files
    assert "1 memory is held until `metahuman resume`" in stand.run(root.folder, "rollback").said
    seen = root.metahuman("status", "--json").json["profiles"][0]
    assert (seen["memories"]["due"], seen["memories"]["held"], seen["pending"]) == (1, 1, 1)
    assert "held      1" in stand.run(root.folder, "status").said
    ahead = stand.run(root.folder, "fine-tune", "--dry-run")
    assert "1 held" in ahead.said
    assert "would train 1 new" in ahead.said
    said = stand.run(root.folder, "resume")
    assert (said.code, "1 memory is due again" in said.said) == (DONE, True)
    assert not any(version.held for version in root.registry.training_history)
    assert root.version(2).outcome == "rolled_back"
    assert "would train 2 new" in stand.run(root.folder, "fine-tune", "--dry-run").said


def test_a_pin_is_set_and_taken_off(stand: Stand, made_up: MadeUp) -> None:
    root = made_up(2)
    assert stand.run(root.folder, "pin", "1").code == DONE
    assert root.version(1).pinned
    assert stand.run(root.folder, "unpin", "1").code == DONE
    assert not root.version(1).pinned


def remember(root: MadeUpRoot, texts: dict[int, str]) -> None:
    """Put a memory there for each version, which has trained it, and for others, which nobody has."""
    for number, text in texts.items():
        path = root.paths.memory / f"{number}.json"
        path.write_text(json.dumps({"content": text, "timestamp": "2031-02-03T12:00:00Z"}), encoding="utf-8")
    with Ledger(None) as ledger:
        look(root.settings, PROFILE, ledger, None)
        memories = {memory.text: memory for memory in ledger.due(())}
    for version in root.registry.training_history:
        path = root.parts(version.version).run_dir / "memories.jsonl"
        path.write_text(memory_lines([memories[texts[version.version]]], ()), encoding="utf-8")
