"""The command line as people meet it: real processes on a real folder. Its words, its exit codes, never a traceback."""

from __future__ import annotations

import fcntl
import importlib.metadata
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from metahuman_core.layout import ProfilePaths, cycle_lock_path
from metahuman_core.locks import cycle_lock
from metahuman_core.registry import load_registry
from metahuman_daemon.versions_table import as_text

sys.path.insert(0, str(Path(__file__).parent))  # the tests are no package

from forked_command import forked

DONE, FAILED, USAGE, BUSY, CONFIG = 0, 1, 2, 75, 78
LABEL = "2025-12-03-174854-6a800c"
REPOSITORY = Path(__file__).parents[2]
PHANTOM = f"profiles/greggles/out/fine-tuned-models/2025-12-03/{LABEL}/model"


MEASURED = {
    "version": 1,
    "run_label": LABEL,
    "timestamp": "2025-12-03T18:12:46.777Z",
    "base_model_used": "Qwen/Qwen3-14B",
    "output_model_path": PHANTOM,
    "samples_trained": 320,
    "training_success": True,
    "metrics": {"general_bits_per_byte_before": 1.5, "general_bits_per_byte_after": 0.5},
}


@dataclass(frozen=True)
class Said:
    """What a command came to."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Its stdout."""
        return json.loads(self.out)


class Root:
    """A root on disk, and the command line on it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def profile(self, name: str = "anna") -> Path:
        """A profile with an empty folder of memories."""
        memory = self.folder / "profiles" / name / "memory"
        memory.mkdir(parents=True)
        return memory

    def remember(self, text: str, name: str = "anna", file: str = "a.json") -> None:
        """Put a memory into a profile's folder."""
        path = self.folder / "profiles" / name / "memory" / file
        path.write_text(json.dumps({"content": text, "timestamp": "2025-03-01T12:00:00Z"}), encoding="utf-8")

    def config(self, text: str) -> Path:
        """The config."""
        path = self.folder / "config.toml"
        path.write_text(text, encoding="utf-8")
        return path

    def registry(self, **fields: Any) -> Path:
        """The registry, as the original MetaHuman leaves it: its one version is a phantom."""
        version = {
            "version": 1,
            "run_id": "6a800c5bdad71a33",
            "run_label": LABEL,
            "timestamp": "2025-12-03T18:12:46.777Z",
            "base_model_used": "Qwen/Qwen3-14B",
            "output_model_path": PHANTOM,
            "gguf_path": f"{PHANTOM}.gguf",
            "samples_trained": 320,
            "mode_filter": "dual",
            "training_success": True,
        }
        content = {
            "original_base_model": "Qwen/Qwen3-14B",
            "current_base_model": PHANTOM,
            "model_type": "local",
            "training_history": [version],
            "versioning": {"enabled": True, "auto_update_base": True, "keep_all_versions": True},
        }
        path = self.folder / "etc" / "model-registry.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps({**content, **fields}), encoding="utf-8")
        return path

    def metahuman(self, *arguments: str, **environment: str) -> Said:
        """Run a command there, in a process of its own. Whatever it comes to, people are never shown a traceback."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("METAHUMAN", "OLLAMA"))}
        environment = {**kept, "OLLAMA_HOST": "127.0.0.1:1", "HF_HUB_OFFLINE": "1", **environment}
        said = Said(*forked(arguments, self.folder, environment))
        assert "Traceback" not in said.err + said.out
        return said


@pytest.fixture
def root(tmp_path: Path) -> Root:
    return Root(tmp_path)


@pytest.fixture
def held_lock(root: Root) -> Iterator[None]:
    """Another process's cycle runs in this root."""
    path = root.folder / "state" / "cycle.lock"
    path.parent.mkdir()
    with path.open("w", encoding="utf-8") as file:
        file.write("profile anna, pid 4711\n")
        file.flush()
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def tree(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


# --- words that do not fit ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [
        ["no-such-command"],
        ["status", "--no-such-flag"],
        ["fine-tune", "--mode", "dreamy"],
        ["fine-tune", "--max", "0"],
        ["fine-tune", "--max", "many"],
        ["chat", "newest"],
    ],
)
def test_wrong_words_are_a_usage_error(root: Root, arguments: list[str]) -> None:
    root.profile()
    said = root.metahuman(*arguments)
    assert said.code == USAGE
    assert said.out == ""
    assert said.err


@pytest.mark.parametrize("flag", ["--help", "--version"])
def test_help_and_version_go_to_stdout(flag: str) -> None:
    """The installed program itself, as a shell starts it."""
    program = Path(sys.executable).with_name("metahuman")
    done = subprocess.run([program, flag], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (DONE, "")
    assert done.stdout.strip()


# --- which profile --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "name"),
    [
        *((command, "../x") for command in ("fine-tune", "status", "history", "reset", "chat")),
        ("fine-tune", "Anna"),
        ("fine-tune", ""),
    ],
)
def test_a_name_that_is_no_profiles_is_refused(root: Root, command: str, name: str) -> None:
    root.profile()
    before = tree(root.folder)
    said = root.metahuman(command, "--username", name)
    assert said.code == CONFIG
    assert "is no profile name" in said.err
    assert tree(root.folder) == before


def test_an_unknown_profile_is_named_with_those_that_are_known(root: Root) -> None:
    root.profile("anna")
    said = root.metahuman("fine-tune", "--username", "ben")
    assert said.code == CONFIG
    assert "no profile ben" in said.err
    assert "known: anna" in said.err


def test_without_a_profile_it_says_where_one_belongs(root: Root) -> None:
    for command in ("fine-tune", "status"):
        said = root.metahuman(command)
        assert said.code == CONFIG
        assert "profiles/NAME/memory" in said.err


def test_of_two_profiles_one_must_be_named(root: Root) -> None:
    root.config('registry = "etc/{profile}.json"\n')
    root.profile("anna")
    root.profile("ben")
    said = root.metahuman("fine-tune")
    assert said.code == USAGE
    assert "--username anna | ben" in said.err
    assert root.metahuman("fine-tune", "--username", "ben").code == DONE


@pytest.mark.parametrize("config", ["", "[profiles.anna]\n[profiles.ben]\n", "[profiles.anna]\n"])
def test_two_profiles_with_one_registry_are_a_config_error(root: Root, config: str) -> None:
    root.config(config)
    root.profile("anna")
    root.profile("ben")
    said = root.metahuman("fine-tune", "--username", "ben")
    assert said.code == CONFIG
    assert "anna and ben would share the registry" in said.err
    assert "{profile}" in said.err


# --- the config -----------------------------------------------------------------------------------------------------


def test_a_good_config_is_said_to_be_good(root: Root) -> None:
    path = root.config('[profiles.anna]\nperson = "Anna"\n')
    said = root.metahuman("check-config")
    assert said.code == DONE
    assert str(root.folder) in said.out
    assert root.metahuman("check-config", "--json", "--config", str(path)).json["profiles"]["anna"]["person"] == "Anna"


def test_the_example_config_is_good(root: Root) -> None:
    root.config((Path(__file__).resolve().parents[2] / "config.example.toml").read_text(encoding="utf-8"))
    assert root.metahuman("check-config").code == DONE


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[training\n", "config.toml"),
        ("[training]\nrnak = 8\n", "training.rnak"),
        ('[training]\nrank = "many"\n', "training.rank"),
        ("[profiles.Anna]\n", "'Anna'"),
    ],
)
def test_a_bad_config_is_one_line_that_names_the_setting(root: Root, text: str, named: str) -> None:
    root.config(text)
    said = root.metahuman("check-config")
    assert (said.code, said.out) == (CONFIG, "")
    assert named in said.err.splitlines()[0]


def test_nothing_is_done_with_a_bad_config(root: Root) -> None:
    root.profile()
    root.config("[training]\nrnak = 8\n")
    before = tree(root.folder)
    for command in ("fine-tune", "status", "doctor"):
        assert root.metahuman(command).code == CONFIG
    assert tree(root.folder) == before


def test_where_the_base_is_to_be_quantised_and_the_extra_is_missing_nothing_is_begun(
    root: Root, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed = importlib.metadata.version

    def version(name: str) -> str:
        if name == "bitsandbytes":
            raise importlib.metadata.PackageNotFoundError(name)
        return installed(name)

    monkeypatch.setattr(importlib.metadata, "version", version)  # a command is a fork of this process
    root.profile()
    root.remember("The tide was low.")
    root.config('[training]\nquantize_base = "nf4"\n')
    before = tree(root.folder)
    for command in ("check-config", "fine-tune", "run"):
        said = root.metahuman(command)
        assert (said.code, said.out) == (CONFIG, "")
        assert "bitsandbytes" in said.err
        assert "[qlora]" in said.err
    assert tree(root.folder) == before
    assert root.metahuman("status").code == DONE


def test_a_config_that_is_not_there_is_a_config_error(root: Root) -> None:
    assert root.metahuman("check-config", METAHUMAN_CONFIG="absent.toml").code == CONFIG


def test_metahuman_root_moves_the_root(root: Root, tmp_path: Path) -> None:
    elsewhere = Root(tmp_path / "elsewhere")
    elsewhere.profile("ben")
    root.profile("anna")
    assert root.metahuman("status", "--json").json["profiles"][0]["profile"] == "anna"
    there = root.metahuman("status", "--json", METAHUMAN_ROOT=str(elsewhere.folder))
    assert there.json["profiles"][0]["profile"] == "ben"


# --- nothing to do --------------------------------------------------------------------------------------------------


def test_the_report_of_a_version_is_found_and_one_that_has_none_says_so(root: Root) -> None:
    root.profile("greggles")
    missing = root.metahuman("report")
    assert (missing.code, missing.out) == (FAILED, "")
    assert "there is no live version" in missing.err
    root.registry(training_history=[{**MEASURED, "outcome": "live"}])
    without = root.metahuman("report")
    assert (without.code, without.out) == (FAILED, "")
    assert "version 1 has no report" in without.err
    page = ProfilePaths(root.folder, "greggles").run_dir(LABEL) / "report.html"
    page.parent.mkdir(parents=True)
    page.write_text("<p>", encoding="utf-8")
    assert root.metahuman("report").out == f"{page}\n"
    assert root.metahuman("report", "1", "--json").json == {"version": 1, "report": str(page)}
    assert root.metahuman("report", "2").code == FAILED


def test_an_empty_folder_is_nothing_new_and_needs_no_base(root: Root) -> None:
    root.profile()
    said = root.metahuman("fine-tune")
    assert (said.code, said.out) == (DONE, "")
    assert "nothing new to train" in said.err
    assert not (root.folder / "profiles" / "anna" / "out").exists()
    assert not (root.folder / "etc" / "model-registry.json").exists()


def test_a_mode_without_memories_is_nothing_new(root: Root) -> None:
    root.profile()
    root.remember("The tide was low this morning.")
    assert "nothing new to train" in root.metahuman("fine-tune", "--mode", "agent").err


def test_a_dry_run_says_what_it_would_do_and_makes_nothing(root: Root) -> None:
    root.profile()
    root.remember("The tide was low this morning.")
    said = root.metahuman("fine-tune", "--dry-run")
    assert said.code == DONE
    assert "would train 1 new" in said.out
    assert "base: Qwen/Qwen3-14B" in said.out
    assert "base: Other/Base" in root.metahuman("fine-tune", "--dry-run", "--base-model", "Other/Base").out
    assert not (root.folder / "profiles" / "anna" / "out").exists()


# --- a base that is not there ---------------------------------------------------------------------------------------


def test_a_phantom_is_not_trained_on_and_the_way_out_works(root: Root) -> None:
    root.profile()
    root.remember("The tide was low this morning.")
    registry = root.registry()
    said = root.metahuman("fine-tune")
    assert said.code == FAILED
    assert f"{PHANTOM} is not there" in said.err
    assert "metahuman reset" in said.err
    assert root.metahuman("reset").code == DONE
    after = json.loads(registry.read_text(encoding="utf-8"))
    assert (after["current_base_model"], after["model_type"]) == ("Qwen/Qwen3-14B", "huggingface")
    assert len(after["training_history"]) == 1
    assert "base: Qwen/Qwen3-14B" in root.metahuman("fine-tune", "--dry-run").out


def test_the_originals_registry_can_be_looked_at(root: Root) -> None:
    root.profile()
    root.remember("The tide was low this morning.")
    root.registry()
    assert "absent" in root.metahuman("history").out
    assert root.metahuman("history", "--json").json["training_history"][0]["samples_trained"] == 320
    assert root.metahuman("base", "--json").json == {"model": PHANTOM, "type": "local", "version": 1}
    state = root.metahuman("status", "--json").json["profiles"][0]
    assert (state["base"], state["live_version"], state["memories"]["due"]) == (PHANTOM, None, 1)


def test_the_originals_trained_folders_survive_every_command(root: Root) -> None:
    root.profile("greggles")
    model = root.folder / PHANTOM
    model.mkdir(parents=True)
    (model / "config.json").write_text("{}", encoding="utf-8")
    root.registry()
    before = tree(root.folder / "profiles" / "greggles" / "out")
    for command in (["status"], ["fine-tune"], ["fine-tune", "--discard"]):
        assert root.metahuman(*command).code == DONE
    assert tree(root.folder / "profiles" / "greggles" / "out") == before


def test_a_registry_that_cannot_be_understood_is_left_as_it_is(root: Root) -> None:
    root.profile()
    registry = root.registry()
    registry.write_text('{"training_history": 5}', encoding="utf-8")
    for command in ("status", "history", "fine-tune", "reset"):
        said = root.metahuman(command)
        assert said.code == FAILED
        assert "training_history" in said.err
    assert registry.read_text(encoding="utf-8") == '{"training_history": 5}'


# --- while another cycle runs ---------------------------------------------------------------------------------------


@pytest.mark.usefixtures("held_lock")
def test_a_second_cycle_is_told_that_one_runs(root: Root) -> None:
    root.profile()
    said = root.metahuman("fine-tune")
    assert (said.code, said.out) == (BUSY, "")
    assert "profile anna, pid 4711" in said.err


@pytest.mark.usefixtures("held_lock")
def test_looking_is_possible_while_one_runs(root: Root) -> None:
    root.profile()
    for command in (["status"], ["history"], ["fine-tune", "--dry-run"]):
        assert root.metahuman(*command).code == DONE


# --- what there is --------------------------------------------------------------------------------------------------


def test_status_counts_and_gives_reasons(root: Root) -> None:
    memory = root.profile()
    root.remember("The tide was low this morning.")
    root.remember("ok", file="b.json")
    (memory / "broken.json").write_text("{", encoding="utf-8")
    state = root.metahuman("status", "--json").json["profiles"][0]
    assert state["files"] == 3
    assert (state["memories"]["known"], state["memories"]["due"]) == (2, 1)
    assert state["settled"] == {"too short": 1}
    assert [skipped["source"] for skipped in state["skipped"]] == ["memory/broken.json"]
    said = root.metahuman("status").out
    for words in ("anna", "1 due", "too short", "memory/broken.json", "Qwen/Qwen3-14B"):
        assert words in said


def test_what_can_be_read_by_machines_is(root: Root) -> None:
    root.profile()
    assert root.metahuman("history", "--json").json == {"training_history": []}
    assert root.metahuman("base", "--json").json["model"] == "Qwen/Qwen3-14B"
    assert root.metahuman("base").out == "Qwen/Qwen3-14B\n"
    assert {finding["level"] for finding in root.metahuman("doctor", "--json").json["findings"]} <= {
        "ok",
        "warning",
        "error",
    }


def test_no_version_yet_is_said_to_people(root: Root) -> None:
    root.profile()
    assert "no version yet" in root.metahuman("history").err
    for command in ("publish", "chat"):
        said = root.metahuman(command)
        assert (said.code, said.out) == (FAILED, "")
        assert said.err.startswith("metahuman: there is no version")


def test_reset_without_a_version_makes_no_registry(root: Root) -> None:
    root.profile()
    assert root.metahuman("reset").code == DONE
    assert not (root.folder / "etc" / "model-registry.json").exists()


def test_reset_beside_a_cycle_is_told_so_because_the_cycle_would_undo_it(root: Root) -> None:
    root.profile()
    with cycle_lock(cycle_lock_path(root.folder), "another run"):
        said = root.metahuman("reset")
    assert said.code == BUSY
    assert "a cycle is running (another run" in said.err


def test_doctor_names_what_is_wrong_and_the_way_out(root: Root) -> None:
    root.profile()
    root.registry()
    said = root.metahuman("doctor")
    assert "phantom" in said.out
    assert "metahuman reset" in said.out
    assert "127.0.0.1:1" in said.out
    root.registry(training_history=5)
    said = root.metahuman("doctor")
    assert said.code == FAILED
    assert "ERROR" in said.out


def test_doctor_says_that_the_root_is_not_there(root: Root) -> None:
    said = root.metahuman("doctor", METAHUMAN_ROOT=str(root.folder / "absent"))
    assert said.code == FAILED
    assert "absent is not there" in said.out


# --- what is broken -------------------------------------------------------------------------------------------------


def test_a_broken_ledger_is_said_in_one_line(root: Root) -> None:
    root.profile()
    ledger = root.folder / "profiles" / "anna" / "state" / "ledger.sqlite3"
    ledger.parent.mkdir()
    ledger.write_bytes(b"this is no database, whatever it is called" * 100)
    for command in ("status", "fine-tune"):
        said = root.metahuman(command)
        assert said.code == FAILED
        assert "ledger.sqlite3 cannot be used" in said.err
    ledger.unlink()
    assert root.metahuman("status").code == DONE


@pytest.mark.parametrize("text", ["{", '{"run_label": "x", "inputs": {}}'])
def test_a_broken_journal_can_be_thrown_away(root: Root, text: str) -> None:
    root.profile()
    run_dir = (
        root.folder / "profiles" / "anna" / "out" / "fine-tuned-models" / "2025-03-01" / "2025-03-01-120000-000001"
    )
    run_dir.mkdir(parents=True)
    (run_dir / "run.json").write_text(text, encoding="utf-8")
    said = root.metahuman("fine-tune")
    assert said.code == FAILED
    assert "--discard" in said.err
    assert root.metahuman("fine-tune", "--discard").code == DONE
    assert not run_dir.exists()


def test_a_base_that_cannot_be_fetched_leaves_no_run_behind(root: Root) -> None:
    root.profile()
    root.remember("The tide was low this morning.")
    said = root.metahuman("fine-tune", "--base-model", "Some/Base-1B")
    assert said.code == FAILED
    assert "HF_HUB_OFFLINE" in said.err
    assert not list(root.folder.glob("profiles/anna/out/**/run.json"))
    assert not (root.folder / "etc" / "model-registry.json").exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_root_that_cannot_be_written_is_one_line(root: Root) -> None:
    root.profile()
    (root.folder / "profiles" / "anna").chmod(0o500)
    said = root.metahuman("status")
    assert said.code == FAILED
    assert "Permission denied" in said.err


def test_a_reader_that_has_gone_is_nothing_to_complain_about(root: Root) -> None:
    root.profile()
    program = [sys.executable, "-m", "metahuman_daemon.cli", "check-config", "--json"]
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(program, cwd=root.folder, stdout=writing, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writing)
    assert done.stderr == ""


def test_the_example_of_a_clone_is_nobodys_profile(root: Root) -> None:
    root.profile()
    root.remember("The tide was low and the boat lay dry.")
    (root.folder / "profiles" / "example").symlink_to(REPOSITORY / "profiles" / "example")
    assert root.metahuman("status", "--json").json["profiles"][0]["profile"] == "anna"
    named = root.metahuman("status", "--username", "anna")
    assert (named.code, named.err) == (DONE, "")


def test_a_demo_is_not_made_in_a_folder_that_is_somebodys(root: Root) -> None:
    root.profile()
    root.config("[profiles.anna]\n")
    before = tree(root.folder)
    for folder in (root.folder, root.config("")):
        said = root.metahuman("demo", "--root", str(folder))
        assert said.code == FAILED
        assert "no demo" in said.err
    assert tree(root.folder) == before


def test_a_terminal_that_knows_no_arrows_gets_question_marks(root: Root) -> None:
    root.profile()
    root.registry(training_history=[MEASURED])
    said = root.metahuman("history", PYTHONIOENCODING="latin1")
    assert said.code == DONE
    assert "1.50?0.50" in said.out


@pytest.mark.parametrize("width", [40, 80, 160])
def test_a_narrow_terminal_loses_nothing(root: Root, width: int) -> None:
    root.profile()
    path = root.registry(training_history=[MEASURED])
    registry = load_registry(path)
    assert registry is not None
    shown = as_text(registry, ProfilePaths(root.folder, "anna"), width)
    for word in ("1.50→0.50", "version", "Qwen/Qwen3-14B", "320", "2025-12-03 18:12", "absent: model/"):
        assert word in shown
    assert (shown.split()[0] == "version") is (width == 160)  # a table, with its head


def test_a_name_cannot_write_to_the_terminal(root: Root) -> None:
    (root.profile() / "a\x1b[31m\nfalse.md").write_bytes(b"\xff\xfe\xfa")
    said = root.metahuman("status")
    assert "\x1b" not in said.out
    assert r"a\x1b[31m\nfalse.md" in said.out


def test_doctor_sees_a_cut_gguf_and_missing_memories(root: Root) -> None:
    memory = root.profile()
    root.registry(training_history=[{**MEASURED, "adapter_path": "a", "gguf_path": "v.gguf", "gguf_bytes": 9}])
    (root.folder / "v.gguf").write_bytes(b"GGUF")
    assert "cut off" in root.metahuman("doctor").out
    (root.folder / "v.gguf").unlink()
    assert "GGUF is absent" in root.metahuman("doctor").out
    root.config("[profiles.anna]\nmemories = ['/nowhere']\n")
    assert "/nowhere" in root.metahuman("doctor").out
    root.config("[profiles.anna]\n")
    memory.rmdir()
    assert "has no memories" in root.metahuman("doctor").out
