"""Which versions still know what was erased, by what the ledger and the registry say."""

from __future__ import annotations

from metahuman_core.forgetting.anything import is_anything_erased
from metahuman_core.layout import ProfilePaths
from metahuman_core.ledger import Ledger
from metahuman_core.looking import adopt_versions
from metahuman_core.registry import Registry
from metahuman_core.versions.knowing import still_there, versions_that_know


def knowing_versions(registry: Registry | None, paths: ProfilePaths) -> frozenset[int]:
    """The numbers of all that know it, those too of which nothing is left but their entries."""
    if registry is None or not is_anything_erased(paths.ledger):
        return frozenset()
    with Ledger(paths.ledger) as ledger:
        adopt_versions(ledger, registry, paths)
        return versions_that_know(registry, ledger.forgetting.runs())


def stale_versions(registry: Registry | None, paths: ProfilePaths) -> tuple[int, ...]:
    """The numbers of those that know it and are there, oldest first."""
    knowing = knowing_versions(registry, paths)
    return tuple(version.version for version in still_there(registry, knowing)) if registry else ()
