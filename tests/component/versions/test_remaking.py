"""A version's lost parts are made again, held against their hashes, and entered; what differs waits for a person."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from after_a_strike import wrongs
from made_up_root import MadeUpRoot
from stand_ins import MakesWeights, make_weights
from striking import Ended, Stand, copied

from metahuman_core.durable import remove, sha256_file, sha256_tree
from metahuman_core.errors import MetahumanError, StoppedError
from metahuman_core.fingerprint import fingerprint
from metahuman_core.progress import StopRequested
from metahuman_core.registry import Version
from metahuman_core.results import Weights
from metahuman_core.versions.rebuilding.order import Order, read_order
from metahuman_core.versions.rebuilding.planning import To
from metahuman_core.versions.rebuilding.remaking import MakeWeights, remake

MakeUp = Callable[..., MadeUpRoot]


def order(root: MadeUpRoot, number: int, to: To = "full", *, accept: bool = False) -> Order:
    return Order(root.folder, "ines", root.registry_path, None, number, to, accept)


def had(
    root: MadeUpRoot,
    number: int,
    to: To = "full",
    *,
    accept: bool = False,
    making: MakeWeights = make_weights,
    stop: StopRequested = lambda: False,
) -> Version:
    return remake(order(root, number, to, accept=accept), making, lambda _: None, stop)


def archive(root: MadeUpRoot, *numbers: int) -> None:
    """Leave of these versions what retention leaves."""
    for number in numbers:
        remove(root.parts(number).model)
        remove(root.parts(number).gguf)
        root.edit(number, storage="archived")


def names(root: MadeUpRoot, number: int) -> set[str]:
    """What lies in a version's folder, but for what always does."""
    always = {"adapter", "memories.jsonl", "dataset.jsonl", "evaluation.json", "run.json"}
    return {path.name for path in root.parts(number).run_dir.iterdir()} - always


OTHER_TORCH = MakesWeights(b"+")
OTHER_LLAMA = MakesWeights(other_llama=True)
OTHER_BOTH = MakesWeights(b"+", other_llama=True)


class Passes:
    """Makes weights as the stand-in does, and remembers what each pass read, and which parts it wrote."""

    def __init__(self, makes: MakesWeights = make_weights) -> None:
        self.told: list[tuple[Path, set[str]]] = []
        self._makes = makes

    def __call__(
        self, base: Path, adapter: Path | None, model: Path | None, gguf: Path | None, quantization: str, *_: object
    ) -> Weights:
        self.told.append((base, {part for part, out in (("model", model), ("gguf", gguf)) if out}))
        return self._makes(base, adapter, model, gguf, quantization)


@pytest.mark.parametrize(("to", "there"), [("full", {"model", "model.gguf"}), ("serving", {"model.gguf"})])
def test_an_archived_version_is_had_again(made_up: MakeUp, to: To, there: set[str]) -> None:
    root = made_up(2)
    before = root.version(1)
    archive(root, 1)
    entered = had(root, 1, to)
    assert (entered.storage, root.version(1)) == (to, entered)
    assert names(root, 1) == there
    assert sha256_file(root.parts(1).gguf) == entered.gguf_sha256 == before.gguf_sha256
    assert entered.model_sha256 == before.model_sha256
    assert not root.parts(1).has_model() or sha256_tree(root.parts(1).model) == before.model_sha256


@pytest.mark.parametrize(("to", "parts"), [("full", {"model", "gguf"}), ("serving", {"gguf"})])
def test_what_is_wanted_is_made_in_one_pass_over_the_base(made_up: MakeUp, to: To, parts: set[str]) -> None:
    root = made_up(1)
    archive(root, 1)
    passes = Passes()
    had(root, 1, to, making=passes)
    assert [written for _, written in passes.told] == [parts]


def test_the_hash_of_a_model_that_is_not_written_must_be_the_registered_one_too(made_up: MakeUp) -> None:
    root = made_up(1)
    archive(root, 1)
    before = root.registry
    with pytest.raises(MetahumanError, match="model/ comes out otherwise than it was registered") as refused:
        had(root, 1, "serving", making=OTHER_BOTH)
    assert refused.value.message.endswith("/model.differs.gguf")
    assert root.registry == before
    assert names(root, 1) == {"model.differs.gguf"}
    with pytest.raises(MetahumanError, match="model/ comes out otherwise than it was registered"):
        had(root, 1, "serving", making=OTHER_TORCH)
    assert not root.parts(1).has_gguf(), "nothing gets its name that was made of another model"
    entered = had(root, 1, "serving", accept=True, making=OTHER_BOTH)
    assert names(root, 1) == {"model.gguf"}
    assert entered.gguf_sha256 == sha256_file(root.parts(1).gguf) != entered.gguf_sha256_first


def test_it_is_said_what_the_parts_were_made_with_by_journals_of_now_and_of_before(made_up: MakeUp) -> None:
    root = made_up(1)
    archive(root, 1)
    path = root.parts(1).run_dir / "run.json"
    journal = json.loads(path.read_text(encoding="utf-8"))
    for name, result in (("merge", {"made_with": "torch 7"}), ("weights", {"merged": {"made_with": "torch 8"}})):
        journal["steps"][name] = {"inputs_sha256": "", "result": result, "done_at": "2031-01-01T00:00:00Z"}
        path.write_text(json.dumps(journal), encoding="utf-8")
        with pytest.raises(
            MetahumanError, match=f"it was made with {result.get('made_with', 'torch 8')}, and now with"
        ):
            had(root, 1, making=OTHER_TORCH)


def test_only_what_lacks_is_made(made_up: MakeUp) -> None:
    root = made_up(1)
    remove(root.parts(1).gguf)
    root.edit(1, storage="full")
    inode = root.parts(1).model.stat().st_ino
    passes = Passes()
    assert had(root, 1, making=passes).storage == "full"
    assert passes.told == [(root.parts(1).model, {"gguf"})]
    assert root.parts(1).model.stat().st_ino == inode
    assert sha256_file(root.parts(1).gguf) == root.version(1).gguf_sha256


def test_a_chain_is_made_from_its_innermost_and_leaves_nothing_of_what_lies_between(made_up: MakeUp) -> None:
    root = made_up(4, chained=True)
    archive(root, 1, 2, 3)
    most = 0
    passes = Passes()

    def counting(base: Path, adapter: Path | None, model: Path | None, *others: Any) -> Weights:
        nonlocal most
        weights = passes(base, adapter, model, *others)
        models = {path.parent for path in root.paths.runs.rglob("config.json")} - {root.parts(4).model}
        most = max(most, len(models))
        return weights

    assert had(root, 3, "serving", making=counting).storage == "serving"
    assert most == 2
    assert [parts for _, parts in passes.told] == [{"model"}, {"model"}, {"gguf"}]
    assert [names(root, number) for number in (1, 2, 3)] == [set(), set(), {"model.gguf"}]
    assert [root.version(number).storage for number in (1, 2)] == ["archived", "archived"]


def test_what_differs_is_kept_apart_and_nothing_is_replaced(made_up: MakeUp) -> None:
    root = made_up(1)
    archive(root, 1)
    before = root.registry
    with pytest.raises(MetahumanError, match="model/ comes out otherwise than it was registered") as refused:
        had(root, 1, making=OTHER_TORCH)
    assert str(root.folder) not in refused.value.message
    assert refused.value.message.endswith("/model.differs")
    assert "metahuman rebuild 1 --accept" in refused.value.hint
    assert root.registry == before
    assert names(root, 1) == {"model.differs"}


def test_what_differs_is_taken_when_it_is_accepted_with_the_old_hashes_kept(made_up: MakeUp) -> None:
    root = made_up(1)
    archive(root, 1)
    root.edit(1, ollama_blob="abc", publication="done")
    first = root.version(1)
    with pytest.raises(MetahumanError):
        had(root, 1, making=OTHER_BOTH)
    assert names(root, 1) == {"model.differs", "model.differs.gguf"}
    passes = Passes(OTHER_LLAMA)
    entered = had(root, 1, accept=True, making=passes)
    assert passes.told == [(root.parts(1).run_dir / "model.differs", {"gguf"})]
    assert entered.storage == "full"
    assert names(root, 1) == {"model", "model.gguf"}
    assert entered.model_sha256 == sha256_tree(root.parts(1).model) != first.model_sha256
    assert entered.gguf_sha256 == sha256_file(root.parts(1).gguf) != first.gguf_sha256
    assert (entered.model_sha256_first, entered.gguf_sha256_first) == (first.model_sha256, first.gguf_sha256)
    assert entered.gguf_bytes == root.parts(1).gguf.stat().st_size
    assert (entered.ollama_blob, entered.publication) == ("", "due")
    # From here that is what it is rebuilt to.
    archive(root, 1)
    assert had(root, 1, making=OTHER_BOTH).storage == "full"


def test_accepting_again_keeps_the_hashes_of_the_first_time(made_up: MakeUp) -> None:
    root = made_up(1)
    first = root.version(1)
    for bit in (b"1", b"2"):
        archive(root, 1)
        had(root, 1, accept=True, making=MakesWeights(bit, other_llama=True))
    assert root.version(1).model_sha256_first == first.model_sha256
    assert root.version(1).gguf_sha256_first == first.gguf_sha256


def test_accepting_for_serving_keeps_the_gguf_alone(made_up: MakeUp) -> None:
    root = made_up(1)
    archive(root, 1)
    first = root.version(1)
    entered = had(root, 1, "serving", accept=True, making=OTHER_BOTH)
    assert (entered.storage, names(root, 1)) == ("serving", {"model.gguf"})
    assert entered.model_sha256 != entered.model_sha256_first == first.model_sha256


def test_only_the_version_that_was_named_is_accepted(made_up: MakeUp) -> None:
    root = made_up(2, chained=True)
    archive(root, 1, 2)
    with pytest.raises(MetahumanError, match="version 1's model/ comes out otherwise") as refused:
        had(root, 2, accept=True, making=OTHER_TORCH)
    assert "metahuman rebuild 1 --accept" in refused.value.hint
    assert root.version(2).model_sha256_first == ""


def test_what_stands_on_an_accepted_model_stands_on_that_from_here(made_up: MakeUp) -> None:
    root = made_up(3, chained=True)
    archive(root, 1, 2)
    pinned = root.version(2).anchor_revision
    other = root.version(3)
    had(root, 1, accept=True, making=OTHER_BOTH)
    two = root.version(2)
    assert two.anchor_revision == fingerprint(root.parts(1).model) != pinned
    assert two.anchor_revision_first == pinned
    assert root.version(3) == other
    # Its own model/ comes out otherwise then, and that is asked for by itself.
    with pytest.raises(MetahumanError, match="version 2's model/ comes out otherwise"):
        had(root, 2, making=OTHER_TORCH)
    assert had(root, 2, accept=True, making=OTHER_BOTH).anchor_revision_first == ""
    assert root.version(3).anchor_revision_first != ""


def test_what_comes_out_the_same_on_an_accepted_model_is_as_good_as_before(made_up: MakeUp) -> None:
    root = made_up(4, chained=True)
    root.edit(2, anchor_revision_first="another")
    archive(root, 2)
    had(root, 2)
    assert root.version(2).anchor_revision_first == ""


def test_what_was_accepted_before_a_kill_gets_its_name_at_the_next_start(made_up: MakeUp) -> None:
    root = made_up(1)
    parts = root.parts(1)
    parts.model.rename(parts.run_dir / "model.differs")
    parts.gguf.rename(parts.run_dir / "model.differs.gguf")
    root.edit(1, model_sha256_first="another", gguf_sha256_first="another")
    had(root, 1)
    assert names(root, 1) == {"model", "model.gguf"}


def test_a_base_that_was_changed_meanwhile_is_told_of_and_nothing_of_it_is_taken(made_up: MakeUp) -> None:
    root = made_up(2, chained=True)
    archive(root, 2)
    with (root.parts(1).model / "model.safetensors").open("r+b") as file:
        file.write(b"?")
    with pytest.raises(MetahumanError, match=r"version 2 cannot be rebuilt: its base .* is not the one"):
        had(root, 2, accept=True, making=OTHER_TORCH)


def test_a_gguf_is_not_taken_of_a_model_that_is_not_the_registered_one(made_up: MakeUp) -> None:
    root = made_up(1)
    remove(root.parts(1).gguf)
    with (root.parts(1).model / "model.safetensors").open("r+b") as file:
        file.write(b"?")
    with pytest.raises(MetahumanError, match="version 1's model/ is not the one that was registered"):
        had(root, 1, accept=True, making=OTHER_LLAMA)
    assert names(root, 1) == {"model"}


def test_without_its_adapter_nothing_is_begun(made_up: MakeUp) -> None:
    root = made_up(2)
    archive(root, 1)
    (root.parts(1).adapter / "adapter_model.safetensors").write_bytes(b"another")
    with pytest.raises(MetahumanError, match="version 1 cannot be rebuilt: its adapter is not the one"):
        had(root, 1)
    assert names(root, 1) == set()


def test_what_a_kill_has_left_half_made_is_cleared_and_made_again(made_up: MakeUp) -> None:
    root = made_up(2, chained=True)
    archive(root, 1, 2)
    for number, name in ((1, "rebuilt-model.partial"), (2, "rebuilt-model.partial.partial")):
        (root.parts(number).run_dir / name).mkdir()
    (root.parts(2).run_dir / "rebuilt.gguf.partial").write_bytes(b"half")
    for name in ("unquantised", "skeleton", "skeleton-quantised"):
        (root.parts(2).run_dir / f"{name}.gguf.partial").write_bytes(b"half")
    had(root, 2)
    assert [names(root, number) for number in (1, 2)] == [set(), {"model", "model.gguf"}]


def test_being_asked_to_stop_leaves_nothing_half_made(made_up: MakeUp) -> None:
    root = made_up(2, chained=True)
    archive(root, 1, 2)
    answers = iter([False, True])
    with pytest.raises(StoppedError):
        had(root, 2, stop=lambda: next(answers))
    assert names(root, 1) == names(root, 2) == set()
    assert root.version(2).storage == "archived"
    assert had(root, 2).storage == "full"


@pytest.mark.parametrize(
    ("to", "every"),
    [
        ("full", 7),
        pytest.param("full", 1, marks=pytest.mark.slow),
        pytest.param("serving", 1, marks=pytest.mark.slow),
    ],
)
def test_killed_at_any_moment_of_accepting_it_comes_to_the_same_end(
    made_up: MakeUp, tmp_path: Path, to: To, every: int
) -> None:
    before = made_up(2, chained=True)
    archive(before, 1)
    # So what comes out is another than was registered.
    before.edit(1, model_sha256="5" * 64, gguf_sha256="6" * 64)
    log = tmp_path / "moments"

    def struck(root: MadeUpRoot, stand: Stand, *, at: int = -1) -> Ended:
        asked = order(root, 1, to, accept=True).as_json()
        return stand.run(root.folder, remake=asked, at=at, log=None if at >= 0 else log)

    with Stand(tmp_path) as stand:
        undisturbed = MadeUpRoot(copied(before.folder, tmp_path / "undisturbed"))
        assert struck(undisturbed, stand).code == 0
        assert wrongs(undisturbed) == []
        moments = log.read_text(encoding="utf-8").splitlines()
        assert len(moments) > 20
        for at, moment in list(enumerate(moments))[::every]:
            root = MadeUpRoot(copied(before.folder, tmp_path / "struck"))
            assert struck(root, stand, at=at).was_killed
            assert wrongs(root) == [], moment
            again = struck(root, stand)
            assert again.code == 0, f"{moment}: {again.said}"
            assert wrongs(root) == [], moment
            if to == "full":
                assert root.files() == undisturbed.files(), moment
            assert root.version(1).model_sha256_first == "5" * 64
            assert root.version(1).gguf_sha256_first == "6" * 64


def test_an_order_survives_the_way_to_the_child(made_up: MakeUp) -> None:
    asked = order(made_up(1), 1, "serving", accept=True)
    assert read_order(asked.as_json()) == asked
