"""After publishing: our GGUF and Ollama's blob, if they are the same bytes, take room once.

Invariants: whatever fails here, the version is published and both files are whole; nothing is shared for a version that
could not be rebuilt. With "reflink" the kernel compares and shares the blocks (FIDEDUPERANGE), and both stay files of
their own; with "link", where the file system cannot do that, ours becomes a hard link to Ollama's.

What `prune` and `status` say of a shared file: a hard link is counted once, and as freed when both names go; blocks
that a file system shares are counted as the file's, though they are free only when Ollama's file has gone as well.
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path

from metahuman_core.durable import fsync_path
from metahuman_core.errors import MetahumanError
from metahuman_core.layout import ProfilePaths
from metahuman_core.ollama.address import base_url, is_loopback
from metahuman_core.registry import Registry, Version
from metahuman_core.settings import Settings
from metahuman_core.versions.archive import archive_folder
from metahuman_core.versions.parts import parts_of
from metahuman_core.versions.rebuildable import why_not_rebuildable

_FIDEDUPERANGE = 0xC0189436
_DIFFERS = 1
_PIECE_BYTES = 16 << 20  # the most that btrfs takes at once
_BLOCK_BYTES = 4 << 20
_CANNOT = (errno.EOPNOTSUPP, errno.ENOTTY, errno.ENOSYS, errno.EINVAL)
_USUAL = ("/usr/share/ollama/.ollama/models", "/var/lib/ollama/models", "/var/lib/ollama/.ollama/models")


def models_folder(settings: Settings) -> Path | None:
    """The folder that `[ollama] models` names, relative to the root if the setting is; None where it names none."""
    named = settings.ollama.models
    return settings.root / Path(named).expanduser() if named else None


def share_room(version: Version, registry: Registry, settings: Settings, profile: str) -> str:
    """Share a published version's GGUF with Ollama. Gives a line that says what came of it; "" where nothing could."""
    how = settings.retention.share_with_ollama
    host = base_url(settings.ollama.host or os.environ.get("OLLAMA_HOST"))
    if how == "no" or not version.gguf_sha256 or version.ollama_blob != version.gguf_sha256 or not is_loopback(host):
        return ""
    paths = ProfilePaths(settings.root, profile)
    gguf = parts_of(version, paths).gguf
    what = f"version {version.version}'s GGUF"
    models = models_folder(settings)
    blob = find_blob(version.gguf_sha256, models, os.environ)
    if blob is None:
        where = f"in {models}, which [ollama] models names" if models else "where it usually is"
        return f"{what} is not shared with Ollama: its copy is not {where}; say in [ollama] models where that is"
    if why := why_not_rebuildable(version, registry, paths, archive_folder(settings)):
        return f"{what} is not shared with Ollama: it could not be rebuilt ({why})"
    try:
        return f"{what} is shared with Ollama: {_shared(blob, gguf, how)}"
    except (OSError, MetahumanError) as error:
        return f"{what} is not shared with Ollama: {_why(error)}"


def find_blob(sha256: str, models: Path | None, environment: Mapping[str, str]) -> Path | None:
    """Ollama's file with these bytes: in `models`, else OLLAMA_MODELS, else where Ollama usually keeps them."""
    named = str(models or environment.get("OLLAMA_MODELS", ""))
    places = [named] if named else [str(Path(environment.get("HOME") or "/root", ".ollama", "models")), *_USUAL]
    for place in places:
        blob = Path(place).expanduser() / "blobs" / f"sha256-{sha256}"
        try:
            if blob.is_file():
                return blob
        except OSError:
            continue
    return None


def _shared(blob: Path, gguf: Path, how: str) -> str:
    if gguf.samefile(blob):
        return "one file under two names"
    try:
        count = share_blocks(blob, gguf)
    except OSError as error:
        if how != "link" or error.errno not in _CANNOT:
            raise
        hard_link(blob, gguf)
        return "one file under two names"
    return f"{count} bytes are on the disk once"


def share_blocks(source: Path, target: Path) -> int:
    """Have `target` use the blocks of `source`, which the kernel compares first. Gives the bytes that are shared now.

    Raises OSError where the file system cannot, or we may not, MetahumanError where the two are not the same.
    """
    size = source.stat().st_size
    if target.stat().st_size != size:
        raise MetahumanError(f"{source} has other bytes than {target}")
    shared = 0
    with source.open("rb") as give, target.open("r+b") as take:
        while shared < size:
            done = _share_piece(give.fileno(), take.fileno(), shared, min(_PIECE_BYTES, size - shared))
            if done == 0:  # less than a block is left, which some file systems do not share
                break
            shared += done
    return shared


def _share_piece(source: int, target: int, offset: int, length: int) -> int:
    """One FIDEDUPERANGE. Gives the bytes that it shared."""
    head = struct.pack("=QQHHI", offset, length, 1, 0, 0)
    request = bytearray(head + struct.pack("=qQQiI", target, offset, 0, 0, 0))
    fcntl.ioctl(source, _FIDEDUPERANGE, request)
    _, _, done, status, _ = struct.unpack_from("=qQQiI", request, len(head))
    if status == _DIFFERS:
        raise MetahumanError("the bytes of the two files differ", "is that disk sound?")
    if status < 0:
        raise OSError(-status, os.strerror(-status))
    return int(done)


def hard_link(source: Path, target: Path) -> None:
    """Make `target` another name of `source`, if all their bytes are the same. Raises as `share_blocks` does."""
    if target.stat().st_size != source.stat().st_size or any(
        ours != theirs for ours, theirs in zip(_blocks(target), _blocks(source), strict=True)
    ):
        raise MetahumanError(f"{source} has other bytes than {target}", "is that disk sound?")
    beside = target.with_name(f"{target.name}.shared.partial")
    beside.unlink(missing_ok=True)
    os.link(source, beside)
    try:
        target.stat()  # retention may have deleted it meanwhile, and then it must not come back
        beside.rename(target)
    except OSError:
        beside.unlink(missing_ok=True)
        raise
    fsync_path(target.parent)


def _blocks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            yield block


def _why(error: OSError | MetahumanError) -> str:
    if isinstance(error, MetahumanError):
        return error.message
    if error.errno in _CANNOT:
        return 'this file system cannot share blocks ([retention] share_with_ollama = "link" makes one file of the two)'
    if error.errno == errno.EXDEV:
        return "they lie on two file systems, or are mounted apart"
    return error.strerror or str(error)
