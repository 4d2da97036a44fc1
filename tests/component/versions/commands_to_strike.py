"""The commands that change versions, each on a house of its own: a root, its cold storage, its Ollama."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from made_up_root import FIRST_DAY, PROFILE, MadeUpRoot, make_up_root
from striking import Ended, Stand
from taught import OTHERS, SECRET, begin_run, digest, teach

from metahuman_core.durable import remove, sha256_file, write_text
from metahuman_core.layout import reserve_path
from metahuman_core.ledger import Ledger
from metahuman_core.looking import adopt_versions
from metahuman_core.registry import update_registry
from metahuman_core.versions.rebuilding.order import Order

sys.path.insert(0, str(Path(__file__).parents[2] / "ollama"))  # the tests are no package

from double import OllamaDouble

_OLLAMA = "0.33.0-rc2"
Again = Callable[[MadeUpRoot], tuple[str, ...]]


@dataclass(frozen=True)
class House:
    """All that a command may change."""

    folder: Path

    @property
    def root(self) -> MadeUpRoot:
        return MadeUpRoot(self.folder / "root")

    @property
    def cold(self) -> Path:
        return self.folder / "cold"

    @contextmanager
    def ollama(self) -> Iterator[OllamaDouble]:
        """Its server, which goes away at the end; what it holds stays."""
        with OllamaDouble(_OLLAMA, self.folder / "ollama") as double:
            yield double

    def files(self) -> dict[str, str]:
        """Every file with its hash, but for locks, the room in reserve, the ledger, and what the server keeps."""
        places = (path for top in (self.root.folder, self.cold) for path in sorted(top.rglob("*")))
        passing = ("ledger.sqlite3", reserve_path(self.root.folder).name)
        found = (p for p in places if p.is_file() and p.suffix != ".lock" and not p.name.startswith(passing))
        return {path.relative_to(self.folder).as_posix(): sha256_file(path) for path in found}


@dataclass(frozen=True)
class Command:
    """A command: the house before it, and its words (or the version that is to be remade, and `to` which state).

    `again`: the words of the next start, by the root as the kill has left it, where they are not the same.
    """

    prepare: Callable[[House, Stand], None]
    words: tuple[str, ...] = ()
    remakes: int = 0
    to: str = "full"
    accept: bool = False
    again: Again | None = None

    def run(
        self,
        stand: Stand,
        house: House,
        ollama: OllamaDouble,
        *,
        words: tuple[str, ...] | None = None,
        at: int = -1,
        how: str = "kill",
        after_s: float | None = None,
        log: Path | None = None,
    ) -> Ended:
        """Run it (or other `words`) in a house, and strike."""
        order = ""
        if self.remakes:
            root = house.root
            order = Order(
                root.folder,
                PROFILE,
                root.registry_path,
                None,
                self.remakes,
                self.to,
                self.accept,  # type: ignore[arg-type]
            ).as_json()
        return stand.run(
            house.root.folder,
            *(self.words if words is None else words),
            remake=order,
            watched=house.folder,
            ollama=ollama.url,
            at=at,
            how=how,
            after_s=after_s,
            log=log,
        )

    def run_again(self, stand: Stand, house: House, ollama: OllamaDouble, *, at: int = -1) -> Ended:
        """What the next start does."""
        return self.run(stand, house, ollama, words=self.again(house.root) if self.again else None, at=at)


def _make(house: House, versions: int, *, chained: bool = False) -> MadeUpRoot:
    root = make_up_root(house.root.folder, versions, chained=chained)
    house.cold.mkdir()
    root.set("ollama", 'host = ""')
    return root


def _published(house: House, stand: Stand, *numbers: int) -> None:
    with house.ollama() as ollama:
        for number in numbers:
            ended = stand.run(house.root.folder, "publish", str(number), ollama=ollama.url)
            assert ended.code == 0, ended.said


def _lower(root: MadeUpRoot) -> None:
    """Versions 1 and 3 have nothing but their adapters, 2 its GGUF."""
    for number in (1, 2, 3):
        remove(root.parts(number).model)
        root.edit(number, storage="serving" if number == 2 else "archived")
        if number != 2:
            remove(root.parts(number).gguf)


def _to_rebuild(house: House, stand: Stand) -> None:
    _lower(_make(house, 4))


def _to_rebuild_in_a_chain(house: House, stand: Stand) -> None:
    """Version 3 stands on 2, and 2 on 1: both are made on the way, and go again."""
    _lower(_make(house, 4, chained=True))


def _to_accept(house: House, stand: Stand) -> None:
    """Version 3 will come out otherwise than it is registered, and 4 stands on its model/."""
    root = _make(house, 4, chained=True)
    _lower(root)
    root.edit(3, model_sha256="5" * 64, gguf_sha256="6" * 64)


def _to_prune(house: House, stand: Stand) -> None:
    """Of seven versions 7 is live, 2 is pinned, 3 was rejected; three are in Ollama."""
    root = _make(house, 7)
    for line in ("[retention.full]", "keep_last = 1", "[retention.serving]", "keep_last = 3"):
        with (root.folder / "config.toml").open("a", encoding="utf-8") as config:
            config.write(f"{line}\n")
    _published(house, stand, 1, 4, 7)
    root.edit(2, pinned=True)
    root.edit(3, outcome="rejected", training_success=False)


def _to_archive(house: House, stand: Stand) -> None:
    """The same, and adapters of archived versions go to the cold storage."""
    _to_prune(house, stand)
    house.root.set("retention", 'archive_dir = "../cold"')


def _to_remove(house: House, stand: Stand) -> None:
    """The same, and only three versions are archived: the others go for good."""
    _to_archive(house, stand)
    root = house.root
    with (root.folder / "config.toml").open("a", encoding="utf-8") as config:
        config.write("[retention.archived]\nkeep_last = 4\n")
    update_registry(
        root.registry_path,
        lambda now: now.changed(versioning=now.versioning.model_copy(update={"keep_all_versions": False})),
    )


def _to_erase(house: House, stand: Stand) -> None:
    """Of seven versions, some in the cold storage, some in Ollama, 1 to 6 know what was erased, and 7 is without it."""
    _to_archive(house, stand)
    root = house.root
    with house.ollama() as ollama:
        assert stand.run(root.folder, "prune", ollama=ollama.url).code == 0
    _published(house, stand, 6)
    teach(root, {1: (SECRET, OTHERS[0]), 4: (OTHERS[1],), 7: OTHERS})
    root.edit(7, consolidated=True)
    with Ledger(root.paths.ledger) as ledger:
        adopt_versions(ledger, root.registry, root.paths)
        ledger.forgetting.erase([digest(SECRET)], FIRST_DAY)
    root.set("forget", "erase_versions = true")


def _to_forget(house: House, stand: Stand) -> None:
    """What is to be erased was trained, stands in an unfinished run, and a model was asked about it."""
    root = _make(house, 2)
    teach(root, {1: (SECRET, OTHERS[0]), 2: (OTHERS[1],)})
    begin_run(root, SECRET)
    write_text(root.paths.ledger.with_name("study") / f"{digest(SECRET)}.json", SECRET)


def _to_go_back(house: House, stand: Stand) -> None:
    _make(house, 4)
    _published(house, stand, 1, 2, 3, 4)


def _to_share(house: House, stand: Stand) -> None:
    """A version that was never published; its GGUF and Ollama's will be one file."""
    root = _make(house, 2)
    root.set("retention", 'share_with_ollama = "link"')
    root.set("ollama", 'models = "../ollama"')
    root.edit(2, publication="due")


def _goes_on_from(root: MadeUpRoot) -> tuple[str, ...]:
    """What is in the registry only has to reach Ollama: the daemon, or `publish`, sees to it."""
    live = root.registry.live()
    return ("publish",) if live and live.version == 2 else ("rollback", "2")


def _ends_sharing(root: MadeUpRoot) -> tuple[str, ...]:
    """What is published stays so, shared or not; what was half-made is cleared away by the daemon, or by `prune`."""
    return ("prune",) if root.version(2).publication == "done" else ("publish",)


def _ends_promoting(root: MadeUpRoot) -> tuple[str, ...]:
    live = root.registry.live()
    return ("publish",) if live and live.version == 2 else ("promote", "2")


COMMANDS = {
    "rebuild": Command(_to_rebuild, remakes=3),
    "rebuild in a chain": Command(_to_rebuild_in_a_chain, remakes=3, to="serving"),
    "accept": Command(_to_accept, remakes=3, accept=True),
    "prune": Command(_to_prune, ("prune",)),
    "archive": Command(_to_archive, ("prune",)),
    "remove": Command(_to_remove, ("prune",)),
    "erase": Command(_to_erase, ("prune",)),
    "forget": Command(_to_forget, ("forget", "--yes", digest(SECRET))),
    "rollback": Command(_to_go_back, ("rollback", "2"), again=_goes_on_from),
    "promote": Command(_to_go_back, ("promote", "2"), again=_ends_promoting),
    "share": Command(_to_share, ("publish",), again=_ends_sharing),
}
