"""What must hold of a root at every moment, whatever was killed in it: between the kill and the next start, too."""

from __future__ import annotations

import sys
from pathlib import Path

from made_up_root import MadeUpRoot

from metahuman_core.durable import sha256_file, sha256_tree
from metahuman_core.registry import Version
from metahuman_core.versions.archive import archive_folder, archived_adapter
from metahuman_core.versions.pruning import tombstone
from metahuman_core.versions.sane import faults

sys.path.insert(0, str(Path(__file__).parents[2] / "ollama"))  # the tests are no package

from double import OllamaDouble


def wrongs(root: MadeUpRoot) -> list[str]:
    """What is not as it must be; empty where all is well.

    The registry is whole and sane. What it says is there is there, with the registered hash (more may lie there, until
    the next start clears it away). What bears a part's name is that part, whole. No adapter is lost but a removed
    version's.
    """
    found = list(faults(root.registry))
    for version in root.registry.training_history:
        found += [f"version {version.version}: {wrong}" for wrong in (*_parts(root, version), *_adapter(root, version))]
    return found


def _parts(root: MadeUpRoot, version: Version) -> list[str]:
    parts = root.parts(version.version)
    wrong = []
    for path, registered, said in (
        (parts.model, version.model_sha256, version.storage == "full"),
        (parts.gguf, version.gguf_sha256, version.storage in ("full", "serving")),
    ):
        if path.exists():
            if _sha256(path) != registered:
                wrong.append(f"{path.name} is not what was registered")
        elif said:
            wrong.append(f"it is said to be {version.storage}, and {path.name} is not there")
    return wrong


def _adapter(root: MadeUpRoot, version: Version) -> list[str]:
    archive = archive_folder(root.settings)
    places = {"here": root.parts(version.version).adapter}
    if archive:
        places["in the archive"] = archived_adapter(version, root.paths, archive)
    there = {name: path for name, path in places.items() if path.exists()}
    wrong = [
        f"the adapter {name} is not what was registered"
        for name, path in there.items()
        if not (path / "adapter_model.safetensors").is_file()
        or sha256_file(path / "adapter_model.safetensors") != version.adapter_sha256
    ]
    if not there and version.storage != "removed":
        wrong.append("its adapter is lost")
    if version.in_archive and "in the archive" not in there and version.storage != "removed":
        wrong.append("its adapter is said to be in the archive, and is not")
    return wrong


def _is_cleared_away(root: MadeUpRoot, version: Version) -> bool:
    return (root.parts(version.version).run_dir / tombstone.NAME).exists()


def _sha256(path: Path) -> str:
    return sha256_tree(path) if path.is_dir() else sha256_file(path)


def wrongs_in_ollama(root: MadeUpRoot, ollama: OllamaDouble) -> list[str]:
    """What is not as it must be on a server that holds published versions; empty where all is well.

    A version that is said to be there is there, if it is not just being cleared away. The alias is the live version's
    tag, or, while that waits to be published, another one's that exists: whoever talks to it is answered.
    """
    tags = {name.rpartition("/")[2]: manifest.digest for name, manifest in ollama.store.manifests.items()}
    history = root.registry.training_history
    published = [v for v in history if v.publication == "done" and not _is_cleared_away(root, v)]
    wrong = [f"{tag} is not there" for v in published if (tag := f"{v.ollama_name}:v{v.version}") not in tags]
    live = root.registry.live()
    if live is None or live.publication == "off":
        return wrong
    alias = tags.get(f"{live.ollama_name}:latest")
    if alias is None and not any(v.publication == "done" for v in history):
        return wrong  # nothing was ever published
    own = {f"{live.ollama_name}:v{v.version}" for v in ([live] if live.publication == "done" else history)}
    if alias is None or alias not in {digest for tag, digest in tags.items() if tag in own}:
        wrong.append(f"the alias is no version's, and version {live.version} is live ({live.publication})")
    return wrong
