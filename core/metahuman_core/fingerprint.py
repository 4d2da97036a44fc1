"""Tells one base from another: a folder here by its fingerprint, one of the Hub by its id and commit."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from metahuman_core.errors import MetahumanError

_FINGERPRINT = re.compile(r"[0-9a-f]{64}")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+", re.ASCII)


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


def is_fingerprint(revision: str) -> bool:
    """Whether a base was pinned as a folder, and not by the Hub's commit."""
    return _FINGERPRINT.fullmatch(revision) is not None


def is_commit(revision: str) -> bool:
    """Whether a base was pinned by the Hub's commit."""
    return _COMMIT.fullmatch(revision) is not None


def may_be_hub_id(name: str) -> bool:
    """Whether a base's name could be one of the Hub's; a folder's relative path can look like one."""
    return _HUB_ID.fullmatch(name) is not None


def not_here(base: str, revision: str) -> MetahumanError:
    """The error for a base that is not on this machine: the way out depends on whether it was a folder."""
    if is_fingerprint(revision) or base.startswith(("/", "~", ".")):
        hint = "it was a folder: put it, or a link to it, in its place again; or start anew with --base-model"
    else:
        hint = "run the same command with the network on"
    return MetahumanError(f"the base {base} is not on this machine", hint)
