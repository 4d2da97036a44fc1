"""Fetches a base model from the Hugging Face Hub, at a pinned revision; finds it again offline.

Invariants: what is fetched lies under the root (`cache/hub`), so that the tree can be moved; a name without a revision
is resolved to a commit once, before anything is loaded, and a commit that is here whole needs no network any more.
Weights are taken as safetensors only, and count when their SHA-256 is the one that the Hub names.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from huggingface_hub import HfApi, hf_hub_url, snapshot_download
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.file_download import http_get, repo_folder_name
from huggingface_hub.utils import build_hf_headers, filter_repo_objects  # type: ignore[attr-defined]  # exported lazily

from metahuman_core.durable import fsync_path, partial_of, remove, sha256_file, size_bytes
from metahuman_core.errors import MetahumanError, PassingError
from metahuman_core.fingerprint import fingerprint, is_commit, not_here
from metahuman_core.layout import hub_cache
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
# Subfolders (the patterns' * crosses slashes) and `consolidated` hold copies of the weights for their makers' programs.
UNWANTED = ("*/*", "consolidated*", "*.py", "*.bin")
_CREDENTIAL = "hf-token"
_REFUSED = (401, 403)


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
    if is_commit(revision) and _is_here(name, revision, root):
        return revision
    cache = hub_cache(root)
    cache.mkdir(parents=True, exist_ok=True, mode=0o700)
    with _told_clearly(name, revision):
        info = HfApi(token=token()).model_info(name, revision=revision or None, files_metadata=True, timeout=30)
        commit = str(info.sha)
        large = {file.rfilename: file.lfs for file in info.siblings or () if file.lfs is not None}
        wanted = list(filter_repo_objects(large, allow_patterns=list(WANTED), ignore_patterns=list(UNWANTED)))
        done, total = 0, sum(large[path].size for path in wanted)
        report(Progress("fetch", 0, total, "bytes", note=f"{name} at {commit[:12]}"))
        for path in wanted:
            blob = cache / repo_folder_name(repo_id=name, repo_type="model") / "blobs" / large[path].sha256
            url = hf_hub_url(name, path, revision=commit)
            _download(url, blob, large[path].size, _reporting_bar(report, done, total))
            done += large[path].size
            report(Progress("fetch", done, total, "bytes"))
        # What is left is small, and what is large lies where the client looks for it.
        snapshot_download(
            name,
            revision=commit,
            cache_dir=cache,
            allow_patterns=list(WANTED),
            ignore_patterns=list(UNWANTED),
            token=token(),
        )
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
        return _snapshot(anchor, revision, root)
    except Exception as error:
        raise not_here(anchor, revision) from error


def _snapshot(name: str, revision: str, root: Path) -> Path:
    """The folder of what was fetched, if it is whole. The client raises one of a dozen errors where it is not."""
    return Path(
        snapshot_download(
            name,
            revision=revision or None,
            cache_dir=hub_cache(root),
            local_files_only=True,
            # The client holds the folder against the whole repository's list of files, and we took but a part of it.
            allow_patterns=list(WANTED),
            ignore_patterns=list(UNWANTED),
        )
    )


def _is_here(name: str, revision: str, root: Path) -> bool:
    try:
        return (_snapshot(name, revision, root) / "config.json").is_file()
    except (LocalEntryNotFoundError, HFValidationError):
        return False


def _download(url: str, blob: Path, file_bytes: int, bar: type) -> None:
    """Bring one large file to `blob` (its name is its SHA-256), going on where a broken-off download ended.

    The client would begin anew: its temporary files have random names
    (https://github.com/huggingface/huggingface_hub/pull/4228), and a killed one leaves them behind.
    """
    if blob.is_file():
        return
    blob.parent.mkdir(parents=True, exist_ok=True)
    partial = partial_of(blob)
    if size_bytes(partial) > file_bytes:
        remove(partial)
    with partial.open("ab") as file:
        headers = build_hf_headers(token=token())
        http_get(url, file, resume_size=file.tell(), headers=headers, expected_size=file_bytes, tqdm_class=bar)
    if sha256_file(partial) != blob.name:
        remove(partial)
        raise PassingError(f"what came from {url} is damaged", "the same command fetches it again")
    fsync_path(partial)
    partial.rename(blob)
    fsync_path(blob.parent)


@contextmanager
def _told_clearly(name: str, revision: str) -> Iterator[None]:  # noqa: C901  # one case for each of the client's
    """Turn the client's errors into ours."""
    try:
        yield
    except MetahumanError:
        raise
    except GatedRepoError as error:
        raise MetahumanError(
            f"{name} is gated", "accept its terms on the Hub, then set HF_TOKEN (or the credential hf-token)"
        ) from error
    except RepositoryNotFoundError as error:
        raise MetahumanError(f"the Hub has no model {name}", "check the name, and HF_TOKEN if it is private") from error
    except RevisionNotFoundError as error:
        raise MetahumanError(f"{name} has no revision {revision}", "name a commit, a tag or a branch") from error
    except HFValidationError as error:
        raise MetahumanError(
            f"{name!r} is neither a folder nor a model of the Hub", "name a folder, or owner/model"
        ) from error
    except OfflineModeIsEnabled as error:
        raise MetahumanError(f"{name} is not here, and HF_HUB_OFFLINE is set", "unset it for the first run") from error
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        refused = isinstance(error, HfHubHTTPError) and error.response.status_code in _REFUSED
        if refused:
            raise MetahumanError(f"fetching {name} failed: {_first_line(error)}", "check HF_TOKEN") from error
        hint = "the same command goes on from there"
        raise PassingError(f"fetching {name} failed: {_first_line(error)}", hint) from error
    except Exception as error:
        # The client's transport (httpx, or httpx2) has errors of its own, which are no OSErrors.
        if not type(error).__module__.startswith(("httpx", "httpcore")):
            raise
        raise PassingError(
            f"the Hub cannot be reached: {_first_line(error)}", "check the network; the same command goes on"
        ) from error


def _reporting_bar(report: Report, before: int, total: int) -> type:
    """A progress bar for the client that draws nothing and tells us: `before` bytes of `total` are here already."""
    from tqdm.auto import tqdm

    class Bar(tqdm):  # type: ignore[misc]  # the hub client asks for a tqdm class
        def __init__(self, *args: object, **kwargs: object) -> None:
            super().__init__(*args, **{**kwargs, "disable": True})

        def update(self, n: float | None = 1) -> bool | None:
            self.n += n or 0
            report(Progress("fetch", before + self.n, total, "bytes"))
            return None

    return Bar


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
