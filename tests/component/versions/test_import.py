"""import: the original's registry, in place and from another root; phantoms are marked, and nothing of it is lost."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from made_up_root import MadeUpRoot
from typer.testing import CliRunner

from metahuman_core.durable import partial_of, sha256_file, sha256_tree
from metahuman_core.errors import MetahumanError, PassingError
from metahuman_core.publishing import serving_of
from metahuman_core.registry import Registry, Version
from metahuman_core.results import Gguf, Merged, Weights
from metahuman_core.versions.importing.copying import Copy, carry_out, require_room
from metahuman_core.versions.importing.taking_over import take_over
from metahuman_core.versions.rebuilding.order import Order
from metahuman_core.versions.rebuilding.remaking import remake
from metahuman_core.versions.sane import faults
from metahuman_daemon.cli import app
from metahuman_daemon.clock import now

ORIGINAL_FIELDS = {
    "version", "run_id", "run_label", "timestamp", "base_model_used", "output_model_path", "gguf_path",
    "samples_trained", "mode_filter", "training_success",
}  # fmt: skip


class Originals:
    """A root of the original MetaHuman: its registry, and the files of some of its versions."""

    def __init__(self, root: MadeUpRoot, files: Callable[..., MadeUpRoot]) -> None:
        self.root = root
        self.folder = root.folder
        self._files = files

    @property
    def path(self) -> Path:
        return self.folder / "etc" / "model-registry.json"

    def write(self, *entries: dict[str, Any], current: str, **fields: Any) -> None:
        content = {
            "comment": "Tracks model evolution",
            "original_base_model": "Qwen/Qwen3-14B",
            "current_base_model": current,
            "model_type": "local",
            "training_history": list(entries),
            "output_formats": {"quantized": {"format": "gguf", "quantization": "Q8_0"}},
            "versioning": {"enabled": True, "auto_update_base": True, "keep_all_versions": True},
            "cluster": {"gpus": ["a"]},
            **fields,
        }
        self.path.parent.mkdir(exist_ok=True)
        self.path.write_text(json.dumps(content), encoding="utf-8")

    def entry(self, number: int, base: str = "Qwen/Qwen3-14B", prefix: str = "", **fields: Any) -> dict[str, Any]:
        label = f"2025-12-{number:02}-174854-6a800{number}"
        at = f"{prefix}profiles/ines/out/fine-tuned-models/{label[:10]}/{label}"
        return {
            "version": number,
            "run_id": f"6a800{number}5bdad71a33",
            "run_label": label,
            "timestamp": f"2025-12-{number:02}T18:12:46.777Z",
            "base_model_used": base,
            "output_model_path": f"{at}/model",
            "gguf_path": f"{at}/model.gguf",
            "samples_trained": 320,
            "mode_filter": "dual",
            "training_success": True,
            "pod_id": "abc123",
            **fields,
        }

    def make_files(self, entry: dict[str, Any], *, model: bool = True, gguf: bool = True) -> Path:
        """Put a version's files where its entry says. Gives its folder."""
        source = self._files(1, f"files-{entry['version']}")
        run_dir = Path(self.folder, entry["output_model_path"]).parent
        run_dir.mkdir(parents=True)
        if model:
            shutil.move(source.parts(1).model, run_dir / "model")
            config = {"eos_token": {"content": "<|im_end|>"}}
            (run_dir / "model" / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")
        if gguf:
            shutil.move(source.parts(1).gguf, run_dir / "model.gguf")
        return run_dir


def empty(made_up: Callable[..., MadeUpRoot], name: str) -> MadeUpRoot:
    """A root without a version, and without a registry."""
    root = made_up(0, name)
    root.registry_path.unlink(missing_ok=True)
    return root


@pytest.fixture
def here(made_up: Callable[..., MadeUpRoot]) -> Originals:
    """The original's registry in our own root."""
    return Originals(empty(made_up, "root"), made_up)


@pytest.fixture
def there(made_up: Callable[..., MadeUpRoot]) -> Originals:
    """The original's own root; ours lies beside it."""
    return Originals(empty(made_up, "theirs"), made_up)


@pytest.fixture
def ours(made_up: Callable[..., MadeUpRoot]) -> MadeUpRoot:
    return empty(made_up, "ours")


def imports(root: MadeUpRoot, source: Path, *, copy: bool = False, dry_run: bool = False) -> str:
    """Import, and give what is said of it."""
    taken = take_over(root.settings, "ines", source, lambda _: None, copy=copy, dry_run=dry_run)
    return "\n".join(taken.said)


def refused(root: MadeUpRoot, source: Path, *, copy: bool = False) -> MetahumanError:
    """The error of an import that must fail, and change nothing."""
    before = root.files()
    with pytest.raises(MetahumanError) as error:
        imports(root, source, copy=copy)
    assert root.files() == before
    return error.value


def shown(root: MadeUpRoot, *command: str) -> str:
    """What a command says on stdout; it must work."""
    environment = {"METAHUMAN_CONFIG": str(root.folder / "config.toml")}
    done = CliRunner().invoke(app, command, env=environment, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def states(registry: Registry) -> list[tuple[int, Any, Any, Any]]:
    return [(v.version, v.outcome, v.storage, v.parent_version) for v in registry.training_history]


def three_versions(originals: Originals, prefix: str = "") -> list[dict[str, Any]]:
    """Version 1 is whole, 2 (a phantom) and 3 come from the one before; 4 failed. The base is the phantom's model/."""
    one = originals.entry(1, prefix=prefix)
    two = originals.entry(2, base=one["output_model_path"], prefix=prefix)
    three = originals.entry(3, base=two["output_model_path"], prefix=prefix)
    four = originals.entry(4, base=three["output_model_path"], prefix=prefix, training_success=False)
    originals.write(one, two, three, four, current=two["output_model_path"])
    return [one, two, three, four]


def test_in_place_every_version_is_marked_by_what_is_there(here: Originals) -> None:
    one, two, three, _ = three_versions(here)
    run_dir = here.make_files(one)
    here.make_files(two, model=False, gguf=False)
    here.make_files(three, model=False)
    before = here.path.read_bytes()
    done = imports(here.root, here.path)
    registry = here.root.registry
    assert states(registry) == [
        (1, "superseded", "full", None),
        (2, "superseded", "removed", 1),
        (3, "live", "serving", 2),
        (4, "rejected", "removed", 3),
    ]
    first = registry.training_history[0]
    assert first.model_sha256 == sha256_tree(run_dir / "model")
    assert first.gguf_sha256 == sha256_file(run_dir / "model.gguf")
    assert (first.gguf_bytes, first.quantization) == ((run_dir / "model.gguf").stat().st_size, "Q8_0")
    assert registry.training_history[1].reasons == ("its files are not there",)
    assert registry.current_base_model == one["output_model_path"]
    assert "the current base was version 2, whose model/ is not there: the next run starts from version 1" in done
    assert "version 2: its files are not there" in done
    assert faults(registry) == ()
    assert (here.path.parent / "model-registry.before-import.json").read_bytes() == before


def test_no_field_of_the_originals_is_lost(here: Originals) -> None:
    entries = three_versions(here)
    here.make_files(entries[0])
    before = json.loads(here.path.read_text(encoding="utf-8"))
    imports(here.root, here.path)
    after = json.loads(here.path.read_text(encoding="utf-8"))
    for old, new in zip(before["training_history"], after["training_history"], strict=True):
        assert {name: new[name] for name in old} == old
        assert old.keys() >= ORIGINAL_FIELDS
    assert {name: after[name] for name in before if name not in {"training_history", "current_base_model"}} == {
        name: before[name] for name in before if name not in {"training_history", "current_base_model"}
    }


def test_a_base_that_is_there_stays_and_is_live(here: Originals) -> None:
    one, two = here.entry(1), here.entry(2)
    here.write(one, two, current=f"{one['output_model_path']}/")
    for entry in (one, two):
        here.make_files(entry)
    imports(here.root, here.path)
    assert states(here.root.registry) == [(1, "live", "full", None), (2, "superseded", "full", None)]
    assert here.root.registry.current_base_model == one["output_model_path"]


def test_where_nothing_is_there_the_original_base_is_the_next_runs(here: Originals) -> None:
    one = here.entry(1)
    here.write(one, current=one["output_model_path"])
    done = imports(here.root, here.path)
    registry = here.root.registry
    assert (registry.current_base_model, registry.model_type) == ("Qwen/Qwen3-14B", "huggingface")
    assert states(registry) == [(1, "superseded", "removed", None)]
    assert "the next run starts from Qwen/Qwen3-14B" in done
    assert faults(registry) == ()


def test_a_folder_without_weights_or_with_a_shard_missing_is_a_phantom(here: Originals) -> None:
    one, two = here.entry(1), here.entry(2)
    here.write(one, two, current=two["output_model_path"])
    for entry in (one, two):
        here.make_files(entry, gguf=False)
    model = here.folder / one["output_model_path"]
    (model / "model.safetensors").unlink()
    index = {"weight_map": {"a": "model.safetensors", "b": "model-00002.safetensors"}}
    (here.folder / two["output_model_path"] / "model.safetensors.index.json").write_text(json.dumps(index))
    (model.parent / "model.gguf").write_bytes(b"no GGUF")
    imports(here.root, here.path)
    assert [v.storage for v in here.root.registry.training_history] == ["removed", "removed"]


def test_a_dry_run_says_the_same_and_writes_nothing(here: Originals) -> None:
    here.make_files(three_versions(here)[0])
    before = here.root.files()
    ahead = imports(here.root, here.path, dry_run=True)
    assert here.root.files() == before
    assert imports(here.root, here.path) == ahead


def test_a_second_import_finds_nothing_to_do(here: Originals) -> None:
    here.make_files(three_versions(here)[0])
    imports(here.root, here.path)
    before = here.root.files()
    assert "nothing to import" in imports(here.root, here.path)
    assert here.root.files() == before


def test_versions_of_ours_beside_the_originals_stay_as_they_are(made_up: Callable[..., MadeUpRoot]) -> None:
    root = made_up(2)
    originals = Originals(root, made_up)
    own = [json.loads(version.model_dump_json(exclude_unset=True)) for version in root.registry.training_history]
    old = originals.entry(9)
    originals.write(*own, old, current=own[1]["output_model_path"])
    imports(root, originals.path)
    assert [json.loads(v.model_dump_json(exclude_unset=True)) for v in root.registry.training_history[:2]] == own
    assert states(root.registry)[2] == (9, "superseded", "removed", None)
    assert root.registry.current_base_model == own[1]["output_model_path"]


# --- another root ---------------------------------------------------------------------------------------------------


def test_files_in_another_root_are_copied_only_when_that_is_asked(there: Originals, ours: MadeUpRoot) -> None:
    prefix = f"{there.folder}/"
    one, *_ = three_versions(there, prefix=prefix)
    there.make_files(one)
    their_files = there.root.files()
    done = imports(ours, there.path)
    assert "--copy brings them here" in done
    assert ours.registry.training_history[0].storage == "removed"
    ours.registry_path.unlink()

    ahead = imports(ours, there.path, copy=True, dry_run=True)
    assert not ours.registry_path.exists()
    assert imports(ours, there.path, copy=True) == ahead
    version = ours.version(1)
    assert version.output_model_path == one["output_model_path"].removeprefix(prefix)
    assert (version.storage, version.outcome) == ("full", "live")
    assert sha256_tree(ours.parts(1).model) == version.model_sha256
    assert ours.registry.find(2) is not None
    assert str(there.folder) not in ours.registry_path.read_text(encoding="utf-8")
    assert there.root.files() == their_files
    shown(ours, "verify")


def test_what_was_imported_without_its_files_is_imported_again_with_them(there: Originals, ours: MadeUpRoot) -> None:
    one, *_ = three_versions(there)
    there.make_files(one)
    imports(ours, there.path)
    assert {version.storage for version in ours.registry.training_history} == {"removed"}
    imports(ours, there.path, copy=True)
    assert (ours.version(1).storage, ours.version(1).outcome) == ("full", "live")
    assert "two histories" in refused(ours, there.path, copy=True).message


def test_in_place_the_copy_of_the_registry_is_the_way_to_look_again(here: Originals) -> None:
    entry = three_versions(here)[0]
    imports(here.root, here.path)
    here.make_files(entry)
    backup = here.path.with_name("model-registry.before-import.json")
    assert str(backup) in imports(here.root, here.path)
    imports(here.root, backup)
    assert here.root.version(1).storage == "full"


def test_what_lies_under_our_root_already_is_taken_from_there(there: Originals, ours: MadeUpRoot) -> None:
    one = there.entry(1)
    there.write(one, current=one["output_model_path"])
    Originals(ours, there._files).make_files(one)
    imports(ours, there.path)
    assert ours.version(1).storage == "full"


def test_two_histories_are_not_made_one(there: Originals, made_up: Callable[..., MadeUpRoot]) -> None:
    root = made_up(1, "ours")
    there.write(there.entry(1), current="Qwen/Qwen3-14B")
    assert "has 1 version already" in refused(root, there.path).message


def test_a_registry_of_ours_is_moved_with_its_root_and_not_imported(
    ours: MadeUpRoot, made_up: Callable[..., MadeUpRoot]
) -> None:
    other = made_up(1, "other")
    assert "move its whole root" in refused(ours, other.registry_path).hint


def test_a_number_that_is_there_twice_is_refused(there: Originals, ours: MadeUpRoot) -> None:
    there.write(there.entry(1), {**there.entry(2), "version": 1}, current="Qwen/Qwen3-14B")
    assert "version 1 2 times" in refused(ours, there.path).message


@pytest.mark.parametrize("text", ["{}", '{"name": "a package"}', "[]", "{", None])
def test_what_is_no_registry_is_a_clear_error(ours: MadeUpRoot, tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "etc" / "package.json"
    path.parent.mkdir()
    if text is not None:
        path.write_text(text, encoding="utf-8")
    assert str(path) in refused(ours, path).message


def test_a_folder_is_no_registry(ours: MadeUpRoot) -> None:
    assert "is a folder" in refused(ours, ours.folder).message


@pytest.mark.parametrize("path", ["../../outside/model", "/etc/model", "profiles/../../outside/model"])
def test_a_path_that_leads_out_of_the_roots_is_not_looked_at(there: Originals, ours: MadeUpRoot, path: str) -> None:
    outside = there.folder.parent / "outside" / "model"
    entry = there.entry(1)
    shutil.move(there.make_files(entry) / "model", outside.parent.parent / "model-out")
    outside.parent.mkdir()
    shutil.move(outside.parent.parent / "model-out", outside)
    there.write({**entry, "output_model_path": path, "gguf_path": ""}, current="Qwen/Qwen3-14B")
    imports(ours, there.path, copy=True)
    version = ours.version(1)
    assert (version.storage, version.output_model_path.startswith("profiles/ines/")) == ("removed", True)
    assert faults(ours.registry) == ()


def test_a_link_that_leads_out_is_not_followed(there: Originals, ours: MadeUpRoot, tmp_path: Path) -> None:
    entry = there.entry(1)
    run_dir = there.make_files(entry)
    secret = tmp_path / "secret"
    secret.write_text("secret", encoding="utf-8")
    (run_dir / "model" / "notes.txt").symlink_to(secret)
    there.write(entry, current=entry["output_model_path"])
    done = ours.metahuman("import", str(there.path), "--copy")
    assert done.code == 1
    assert "leads out of" in done.err
    assert not ours.registry_path.exists()


def test_an_entry_without_a_label_gets_one_that_names_a_folder(there: Originals, ours: MadeUpRoot) -> None:
    old = {**there.entry(1), "output_model_path": "profiles/ines/out/old/v1/model", "gguf_path": ""}
    del old["run_label"]
    there.make_files(old, gguf=False)
    there.write(old, current=old["output_model_path"])
    imports(ours, there.path, copy=True)
    version = ours.version(1)
    assert version.run_label.startswith("2025-12-01-181246-")
    assert (version.storage, ours.registry.current_base_model) == ("full", version.output_model_path)
    assert faults(ours.registry) == ()


# --- copying --------------------------------------------------------------------------------------------------------


def test_a_copy_that_was_broken_off_goes_on_and_is_read_back(tmp_path: Path) -> None:
    source, target = tmp_path / "theirs" / "model.gguf", tmp_path / "ours" / "model.gguf"
    source.parent.mkdir()
    source.write_bytes(bytes(range(256)) * 100)
    target.parent.mkdir()
    copy = Copy(source, target, tmp_path / "theirs")
    told: list[int] = []
    partial_of(target).write_bytes(source.read_bytes()[:9999])
    carry_out(copy, told.append)
    assert told == [9999, 25600 - 9999]
    assert target.read_bytes() == source.read_bytes()
    with pytest.raises(MetahumanError, match="is there already"):
        carry_out(copy, told.append)
    target.unlink()
    partial_of(target).write_bytes(b"another")
    with pytest.raises(MetahumanError, match="is another than"):
        carry_out(copy, told.append)
    carry_out(copy, told.append)
    assert target.read_bytes() == source.read_bytes()


def test_a_disk_without_room_is_said_before_anything_is_copied(tmp_path: Path) -> None:
    source = tmp_path / "theirs" / "model.gguf"
    source.parent.mkdir()
    with source.open("wb") as file:
        file.truncate(1 << 42)
    with pytest.raises(PassingError, match="the copies take"):
        require_room(tmp_path, [Copy(source, tmp_path / "ours" / "model.gguf", source.parent)])


# --- what works with an imported version ----------------------------------------------------------------------------


def test_it_is_served_as_the_config_says(here: Originals) -> None:
    one = here.entry(1)
    here.write(one, current=one["output_model_path"])
    here.make_files(one)
    imports(here.root, here.path)
    version: Version = here.root.version(1)
    serving = serving_of(version, here.root.settings, "ines", now)
    assert (serving.system, serving.stop, serving.num_ctx) == ("You are Ines.", ("<|im_end|>",), 4096)
    shutil.rmtree(here.root.parts(1).model)
    assert serving_of(version, here.root.settings, "ines", now).stop == ()


def test_the_commands_that_look_work_with_it(here: Originals) -> None:
    one, *_ = three_versions(here)
    here.make_files(one)
    imports(here.root, here.path)
    for command in (["history"], ["status"], ["base"], ["verify", "--quick"], ["diff", "1", "2"]):
        done = here.root.metahuman(*command)
        assert done.code == 0, done.err
    assert here.root.metahuman("base").out == f"{one['output_model_path']}\n"
    assert "phantom" not in here.root.metahuman("doctor").out


def test_a_gguf_that_never_was_is_made_of_the_model_and_entered(here: Originals) -> None:
    one = here.entry(1)
    here.write(one, current=one["output_model_path"])
    source = here.make_files(one)
    gguf = (source / "model.gguf").read_bytes()
    (source / "model.gguf").unlink()
    imports(here.root, here.path)
    assert (here.root.version(1).storage, here.root.version(1).gguf_sha256) == ("full", "")
    shown(here.root, "verify")

    def make_weights(
        base: Path, adapter: Path | None, model: Path | None, out: Path | None, quantization: str, *_: object
    ) -> Weights:
        assert (base, adapter, model, quantization) == (here.root.parts(1).model, None, None, "Q8_0")
        assert out is not None
        out.write_bytes(gguf)
        return Weights(Merged("the hash of its weights", 1), Gguf(sha256_file(out), len(gguf), quantization))

    order = Order(here.folder, "ines", here.path, None, 1, "serving")
    remake(order, make_weights, lambda _: None, lambda: False)
    version = here.root.version(1)
    assert (version.storage, version.gguf_bytes) == ("full", len(gguf))
    assert version.gguf_sha256 == sha256_file(here.root.parts(1).gguf)
    shown(here.root, "verify")
