"""Fetches a base model from the Hugging Face Hub, at a pinned revision; finds it again offline.

Invariant: what is fetched lies under the root (`cache/hub`), so that the tree can be moved, and a name without a
revision is resolved to a commit once, before anything is loaded. Weights are taken as safetensors only.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from huggingface_hub import HfApi, snapshot_download
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from metahuman_core.errors import MetahumanError
from metahuman_core.progress import Progress, Report

WANTED = (
    "*.safetensors",
    "*.safetensors.index.json",
    "config.json",
    "generation_config.json",
    "tokenizer*",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "*.jinja",
)
# Some repositories carry a second copy of the weights, for their makers' own programs.
UNWANTED = ("original/*", "metal/*", "consolidated*", "onnx/*")
_CREDENTIAL = "hf-token"


def hub_cache(root: Path) -> Path:
    """Where fetched bases lie."""
    return root / "cache" / "hub"


def token() -> str | None:
    """The Hub token: HF_TOKEN, else systemd's credential `hf-token`, else none (public models need none)."""
    folder = os.environ.get("CREDENTIALS_DIRECTORY", "")
    file = Path(folder, _CREDENTIAL)
    if os.environ.get("HF_TOKEN"):
        return os.environ["HF_TOKEN"]
    return file.read_text(encoding="utf-8").strip() if folder and file.is_file() else None


def fetch(name: str, revision: str, root: Path, report: Report) -> str:
    """Bring `name` (a Hub id) at `revision` ("": its main branch now) under the root; gives the commit.

    A download that was broken off goes on. Raises MetahumanError with what is wrong: network, name, token, disk.
    """
    cache = hub_cache(root)
    cache.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        api = HfApi(token=token())
        info = api.model_info(name, revision=revision or None, files_metadata=True, timeout=30)
        commit = str(info.sha)
        total = sum(f.size or 0 for f in info.siblings or () if f.rfilename.endswith(".safetensors"))
        report(Progress("fetch", 0, total, "bytes", note=f"{name} at {commit[:12]}"))
        snapshot_download(
            name,
            revision=commit,
            cache_dir=cache,
            allow_patterns=list(WANTED),
            ignore_patterns=list(UNWANTED),
            token=token(),
            tqdm_class=_reporting_bar(report, total),
        )
    except GatedRepoError as error:
        raise MetahumanError(
            f"{name} is gated", "accept its terms on the Hub, then set HF_TOKEN (or the credential hf-token)"
        ) from error
    except RepositoryNotFoundError as error:
        raise MetahumanError(f"the Hub has no model {name}", "check the name, and HF_TOKEN if it is private") from error
    except RevisionNotFoundError as error:
        raise MetahumanError(f"{name} has no revision {revision}", "name a commit, a tag or a branch") from error
    except OfflineModeIsEnabled as error:
        raise MetahumanError(f"{name} is not here, and HF_HUB_OFFLINE is set", "unset it for the first run") from error
    except (HfHubHTTPError, LocalEntryNotFoundError, ConnectionError, TimeoutError, OSError) as error:
        raise MetahumanError(
            f"fetching {name} failed: {_first_line(error)}", "the same command goes on from there"
        ) from error
    except Exception as error:
        # The client's transport (httpx) has errors of its own, which are no OSErrors.
        if type(error).__module__.partition(".")[0] not in {"httpx", "httpcore"}:
            raise
        raise MetahumanError(
            f"the Hub cannot be reached: {_first_line(error)}", "check the network; try again"
        ) from error
    return commit


def local_folder(anchor: str, revision: str, root: Path) -> Path:
    """The folder of an anchor, without the network. Raises MetahumanError where it is not there (or has changed)."""
    folder = root / anchor
    if (folder / "config.json").is_file():
        if revision and fingerprint(folder) != revision:
            raise MetahumanError(
                f"the base {anchor} is not the one that this lineage was trained on",
                "put the old one back, or start anew with --base-model",
            )
        return folder
    try:
        return Path(
            snapshot_download(anchor, revision=revision or None, cache_dir=hub_cache(root), local_files_only=True)
        )
    except Exception as error:
        raise MetahumanError(
            f"the base {anchor} is not on this machine", "run the same command with the network on"
        ) from error


def fingerprint(folder: Path) -> str:
    """SHA-256 (hex) that tells a local base from another: its small files, and size and header of each weight file.

    The tens of gigabytes of weights are not read: a header names every tensor, and nobody edits one by hand.
    """
    digest = hashlib.sha256()
    for path in sorted(p for p in folder.iterdir() if p.is_file() and p.suffix in (".safetensors", ".json", ".jinja")):
        with path.open("rb") as file:
            digest.update(f"{path.name} {path.stat().st_size}\n".encode())
            digest.update(file.read(1 << 20))
            file.seek(max(0, path.stat().st_size - (1 << 16)))
            digest.update(file.read())
    return digest.hexdigest()


def _reporting_bar(report: Report, total: int) -> type:
    from tqdm.auto import tqdm

    class Bar(tqdm):  # type: ignore[misc]  # the hub client asks for a tqdm class
        """Tells our progress, and draws nothing."""

        def __init__(self, *args: object, **kwargs: object) -> None:
            kwargs["disable"] = True
            self._bytes = kwargs.get("unit") == "B"
            super().__init__(*args, **kwargs)

        def update(self, n: float | None = 1) -> bool | None:
            self.n += n or 0
            if self._bytes:
                report(Progress("fetch", min(self.n, total), total, "bytes"))
            return None

    return Bar


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
