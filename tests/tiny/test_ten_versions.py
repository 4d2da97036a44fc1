"""Ten versions by the real cycle, pruned after each, on one anchor and in a chain: all ten can be had again."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from metahuman_core.durable import sha256_file, sha256_tree, size_bytes
from metahuman_core.layout import ProfilePaths
from metahuman_core.registry import Registry
from metahuman_core.versions.parts import parts_of

if TYPE_CHECKING:
    from conftest import Root

_COUNT = 10
_NAMES = ("Amalia", "Bento", "Carla", "Duarte", "Elsa", "Fausto", "Gilda", "Hugo", "Iva", "Joel")
_DOES = ("repairs clocks in Faro", "bakes bread with figs", "plays the accordion", "paints yellow boats")
_KEEP_ONE = "\n[retention.full]\nkeep_last = 1\n\n[retention.serving]\nkeep_last = 1\n"


def whole(registry: Registry) -> list[int]:
    return [v.version for v in registry.training_history if v.storage == "full"]


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("reanchor_every", [0, 1])
def test_ten_versions_cost_two_whole_ones_and_each_is_had_again(
    new_root: Callable[[str], Root], reanchor_every: int
) -> None:
    root = new_root("llama")
    root.set("training", f"reanchor_every = {reanchor_every}")
    with root.config.open("a", encoding="utf-8") as config:
        config.write(_KEEP_ONE)
    paths, totals = ProfilePaths(root.folder, "ines"), list[int]()
    for number, name in enumerate(_NAMES, 1):
        root.remember(
            tuple(f"My friend {name} {does}, since {2000 + number}." for does in _DOES), f"2031-04-{number:02}"
        )
        root.make_version(*(["--base-model", "base"] if number == 1 else []))
        pruned = root.metahuman("prune")
        assert pruned.code == 0, pruned.err
        totals.append(size_bytes(paths.runs))
    history = root.registry().training_history
    assert [v.version for v in history] == list(range(1, _COUNT + 1))
    assert whole(root.registry()) == [_COUNT - 1, _COUNT]
    full_bytes = history[-1].model_bytes + history[-1].gguf_bytes + history[-1].adapter_bytes
    assert all(after - before < 0.05 * full_bytes for before, after in pairwise(totals[1:]))

    for version in history:
        rebuilt = root.metahuman("rebuild", str(version.version))
        assert rebuilt.code == 0, rebuilt.err
    assert [v.version for v in root.registry().training_history if v.storage == "full"] == list(range(1, _COUNT + 1))
    for version in history:
        parts = parts_of(version, paths)
        found = sha256_tree(parts.model), sha256_file(parts.gguf)
        assert found == (version.model_sha256, version.gguf_sha256), version.version
    verified = root.metahuman("verify")
    assert verified.code == 0, verified.out
