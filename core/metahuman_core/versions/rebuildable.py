"""Whether a version can be had again: its adapter, the hashes that a rebuild is checked by, and what it stands on.

Invariant: who asks here before a `model/` or a GGUF is deleted loses none for ever. Nothing heavy is imported, and
nothing is fetched.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from metahuman_core.adapter_config import read_adapter_config
from metahuman_core.durable import sha256_file
from metahuman_core.errors import MetahumanError
from metahuman_core.fingerprint import fingerprint, may_be_hub_id
from metahuman_core.layout import ProfilePaths, hub_snapshots
from metahuman_core.registry import Registry, Version
from metahuman_core.versions.archive import archived_adapter
from metahuman_core.versions.parts import is_whole_model, names_a_folder, parts_of
from metahuman_core.versions.protected import anchor_version

_WEIGHTS = "adapter_model.safetensors"
_CONFIG = "adapter_config.json"


def why_not_rebuildable(
    version: Version,
    registry: Registry,
    paths: ProfilePaths,
    archive: Path | None,
    known: dict[int, str] | None = None,
    sha256: Callable[[Path], str] = sha256_file,
) -> str:
    """Why `model/` and GGUF of a version cannot be made again; "" where they can.

    Adapters are read whole, each once for all calls that share `known`; or `sha256` knows their files' hashes.
    """
    known = {} if known is None else known
    if (number := version.version) in known:
        return known[number]
    line = {version.version: version}
    while (anchor := _missing_anchor(version, registry, paths)) and anchor.version not in known | line:
        line[anchor.version] = version = anchor
    for one in reversed(line.values()):
        try:
            known[one.version] = (
                _why_no_hashes(one)
                or _why_no_adapter(one, paths, archive, sha256)
                or _why_no_anchor(one, _missing_anchor(one, registry, paths), registry, paths, known)
            )
        except (OSError, MetahumanError) as error:
            known[one.version] = str(error)
    return known[number]


def why_not_as_it_is(
    version: Version,
    registry: Registry,
    paths: ProfilePaths,
    archive: Path | None,
    known: dict[int, str] | None = None,
) -> str:
    """Why `model/` and GGUF of a version, once deleted, could not be had again with the bytes that they have.

    Beside what `why_not_rebuildable` finds: the `model/` that it stands on was accepted as another than the one that it
    was trained on, and nobody has rebuilt and accepted the version itself since.
    """
    if why := why_not_rebuildable(version, registry, paths, archive, known):
        return why
    line = {version.version: version}
    while (anchor := _missing_anchor(version, registry, paths)) and anchor.version not in line:
        line[anchor.version] = version = anchor
    other = next((v.version for v in line.values() if v.anchor_revision_first), None)
    return f"version {other} would come out otherwise, since what it stands on was accepted as another" if other else ""


def _why_no_hashes(version: Version) -> str:
    hashes = {"adapter": version.adapter_sha256, "model/": version.model_sha256, "GGUF": version.gguf_sha256}
    lacking = [part for part, digest in hashes.items() if not digest]
    return f"no hash is recorded of its {', '.join(lacking)}" if lacking else ""


def _why_no_adapter(version: Version, paths: ProfilePaths, archive: Path | None, sha256: Callable[[Path], str]) -> str:
    here = parts_of(version, paths).adapter
    folders = [here, archived_adapter(version, paths, archive)] if archive else [here]
    there = [folder for folder in folders if (folder / _WEIGHTS).is_file() and (folder / _CONFIG).is_file()]
    if not there:
        return f"its adapter is not in {' or '.join(map(str, folders))}"
    sound = next((folder for folder in there if sha256(folder / _WEIGHTS) == version.adapter_sha256), None)
    if sound:
        read_adapter_config(sound)  # raises where nobody could merge by it
        return ""
    return f"its adapter is not the one that was trained ({there[0]})"


def _missing_anchor(version: Version, registry: Registry, paths: ProfilePaths) -> Version | None:
    """The version whose `model/` would have to be rebuilt before this one's."""
    anchor = anchor_version(version, registry)
    is_here = anchor and names_a_folder(anchor) and parts_of(anchor, paths).has_model()
    return None if is_here else anchor


def _why_no_anchor(
    version: Version, missing: Version | None, registry: Registry, paths: ProfilePaths, known: dict[int, str]
) -> str:
    name, revision = version.anchor_model, version.anchor_revision
    if not name:
        return "its entry does not say on which base it stands"
    if missing:
        why = known.get(missing.version, "it stands on itself")  # a chain that goes in a circle comes back here
        return f"its base, version {missing.version}'s model/, cannot be rebuilt: {why}" if why else ""
    anchor = anchor_version(version, registry)
    folder = parts_of(anchor, paths).model if anchor else paths.root / name
    if (folder / "config.json").is_file():
        same = not revision or fingerprint(folder) == revision
        return "" if same else f"its base {name} is not the one that it was trained on"
    return "" if is_fetched(name, revision, paths.root) else f"its base {name} is not on this machine"


def is_fetched(name: str, revision: str, root: Path) -> bool:
    """Whether a base of the Hub lies whole in our cache (`hub.local_folder` finds it there)."""
    if not may_be_hub_id(name) or not revision:
        return False
    snapshot = hub_snapshots(root, name) / revision
    return is_whole_model(snapshot)
