"""The one pass: each piece of the base is read once, merged, written to `model/`, encoded for the GGUF, and hashed.

Invariants: pieces are begun in the order of their bytes, each is done by one worker from its reading to its last
writing, and no more of them are in memory than there are workers; the bytes hang on no order in which they end.
"""

from __future__ import annotations

import os
import queue
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import torch

from metahuman_core.errors import StoppedError
from metahuman_core.progress import Progress, Report, StopRequested
from metahuman_core.steps.weights.blocks import Blocks
from metahuman_core.steps.weights.gguf_writing import GgufPlan, GgufWriting
from metahuman_core.steps.weights.hashing import TurnsHash
from metahuman_core.steps.weights.merging import Lora, merge_piece
from metahuman_core.steps.weights.page_cache import Flusher, let_go
from metahuman_core.steps.weights.raw_bytes import bytes_of, read_into, write_all
from metahuman_core.steps.weights.shards import DTYPES, BaseTensor, Piece, Shard, pieces_of

# A third one computes while another waits for the disk or for its turn with the hash.
WORKERS = 3


@dataclass(frozen=True, slots=True)
class Merging:
    """The base's shards, and what is added to which tensors."""

    shards: tuple[Shard, ...]
    loras: Mapping[str, Lora]

    def read(self, tensor: BaseTensor) -> torch.Tensor:
        """A whole tensor, merged."""
        values = torch.empty(tensor.shape, dtype=DTYPES[tensor.dtype])
        flat, fd = values.view(-1), os.open(tensor.path, os.O_RDONLY)
        try:
            for piece in pieces_of(tensor):
                rows = flat[piece.first_row * tensor.width : piece.end_row * tensor.width]
                read_into(fd, rows.view(torch.uint8), piece.begin)
                if tensor.name in self.loras:
                    scratch = torch.empty(rows.numel(), dtype=torch.float32)
                    merge_piece(rows, piece, self.loras[tensor.name], scratch, Blocks())
        finally:
            os.close(fd)
        return values


@dataclass(frozen=True, slots=True)
class _Desk:
    """What one worker works in: bytes as read, fp32, bytes of the GGUF, all for the largest piece; and blocks."""

    raw: torch.Tensor
    scratch: torch.Tensor
    encoded: torch.Tensor
    blocks: Blocks


@dataclass(frozen=True, slots=True)
class Hashes:
    """SHA-256 (hex) of each merged shard, by its file's name, and of the GGUF."""

    shards: dict[str, str]
    gguf: str | None


class OnePass:
    """One pass over the base, into the folder `model` and the file `gguf` (None: not written)."""

    def __init__(
        self, merging: Merging, model: Path | None, gguf: tuple[Path, GgufPlan] | None, *, large: bool
    ) -> None:
        self._merging = merging
        self._large = large
        self._hashes = {shard.path: TurnsHash() for shard in merging.shards}
        self._sources: dict[Path, int] = {}
        self._targets: dict[Path, int] = {}
        self._gguf: GgufWriting | None = None
        self._desks: queue.SimpleQueue[_Desk] = queue.SimpleQueue()
        self._files = ExitStack()
        with ExitStack() as opening:
            for shard in merging.shards:
                self._open(shard, model, opening)
            if gguf is not None:
                self._gguf = GgufWriting(*gguf, opening)
            self._files = opening.pop_all()

    def run(self, report: Report, stop: StopRequested) -> Hashes:
        """Do it. Raises StoppedError, and OSError where a disk is full."""
        threads = torch.get_num_threads()
        with self._files as files:
            gguf = self._gguf.fd if self._gguf is not None else None
            written = [*self._targets.values(), *([] if gguf is None else [gguf])]
            self._flusher = Flusher(written, gguf, large=self._large)
            files.callback(self._flusher.end)
            if self._gguf is not None:
                self._gguf.begin(self._flusher, files)
            try:
                # A core for each worker: torch's own threads would wait for each other at every small operation.
                with ThreadPoolExecutor(WORKERS, "weights", torch.set_num_threads, (1,)) as pool:
                    self._go(pool, report, stop)
            finally:
                torch.set_num_threads(threads)
            shards = {path.name: digest.hexdigest() for path, digest in self._hashes.items()}
            return Hashes(shards, self._gguf.hexdigest() if self._gguf is not None else None)

    def _open(self, shard: Shard, model: Path | None, files: ExitStack) -> None:
        self._sources[shard.path] = source = os.open(shard.path, os.O_RDONLY)
        files.callback(os.close, source)
        self._hashes[shard.path].add(0, shard.head)
        if model is not None:
            target = os.open(model / shard.path.name, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
            self._targets[shard.path] = target
            files.callback(os.close, target)
            write_all(target, shard.head, 0)

    def _go(self, pool: ThreadPoolExecutor, report: Report, stop: StopRequested) -> None:
        total = sum(shard.size_bytes for shard in self._merging.shards)
        done, running = 0, dict[Future[None], int]()
        pieces = [p for shard in self._merging.shards for t in shard.tensors for p in pieces_of(t)]
        for _ in range(WORKERS):
            self._desks.put(self._new_desk(pieces))
        try:
            for size_bytes, task in self._tasks():
                _go_on(stop)
                running[pool.submit(self._in_peace, task)] = size_bytes
                if len(running) > WORKERS:
                    ended, _ = wait(running, return_when=FIRST_COMPLETED)
                    done += self._settle(running, ended)
                    report(Progress("weights", done, total, "bytes"))
            # Not for all: who waits for a turn that will not come would wait for ever.
            ended, _ = wait(running, return_when=FIRST_EXCEPTION)
            done += self._settle(running, ended)
            report(Progress("weights", total, total, "bytes"))
        except BaseException:
            for digest in self._hashes.values():
                digest.give_up()
            raise

    @staticmethod
    def _settle(running: dict[Future[None], int], ended: set[Future[None]]) -> int:
        for task in ended:
            task.result()
        return sum(running.pop(task) for task in ended)

    @staticmethod
    def _in_peace(task: Callable[[], None]) -> None:
        with torch.inference_mode():
            task()

    def _tasks(self) -> Iterator[tuple[int, Callable[[], None]]]:
        """Bytes of the base, and what to do with them: in the order of the base's bytes."""
        if self._gguf is not None:
            yield from ((0, task) for task in self._gguf.computed_after(""))
        for tensor in (tensor for shard in self._merging.shards for tensor in shard.tensors):
            for piece in pieces_of(tensor):
                yield piece.size_bytes, lambda piece=piece: self._do(piece)  # type: ignore[misc]
            if self._gguf is not None:
                yield from ((0, task) for task in self._gguf.computed_after(tensor.name))

    def _new_desk(self, pieces: list[Piece]) -> _Desk:
        loras = self._merging.loras
        merged = (p.size_bytes // DTYPES[p.tensor.dtype].itemsize for p in pieces if p.tensor.name in loras)
        encoded = (_encoded_bytes(piece) for piece in pieces) if self._gguf is not None else ()
        return _Desk(
            raw=torch.empty(max((p.size_bytes for p in pieces), default=0), dtype=torch.uint8),
            scratch=torch.empty(max(merged, default=0), dtype=torch.float32),
            encoded=torch.empty(max(encoded, default=0), dtype=torch.uint8),
            blocks=Blocks(),
        )

    def _do(self, piece: Piece) -> None:
        desk = self._desks.get()
        try:
            tensor, path = piece.tensor, piece.tensor.path
            raw = desk.raw[: piece.size_bytes]
            read_into(self._sources[path], raw, piece.begin)
            if tensor.name in self._merging.loras:
                lora = self._merging.loras[tensor.name]
                merge_piece(raw.view(DTYPES[tensor.dtype]), piece, lora, desk.scratch, desk.blocks)
            if path in self._targets:
                write_all(self._targets[path], bytes_of(raw), piece.begin)
                self._flusher.wrote(piece.size_bytes)
            if self._gguf is not None:
                self._gguf.write(piece, raw, desk.encoded, desk.blocks)
            self._hashes[path].add(piece.begin, bytes_of(raw))
            if self._large:
                let_go(self._sources[path], piece.begin, piece.begin + piece.size_bytes)
        finally:
            self._desks.put(desk)


def _go_on(stop: StopRequested) -> None:
    if stop():
        raise StoppedError("stopped while making the weights", "the same command goes on")


def _encoded_bytes(piece: Piece) -> int:
    """What the largest type takes, fp32."""
    return (piece.end_row - piece.first_row) * piece.tensor.width * DTYPES["F32"].itemsize
