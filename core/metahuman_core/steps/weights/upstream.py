"""Asks llama.cpp's converter what tensors a model's GGUF has: names, shapes, types, and what each is made of.

Invariant: no weight is read while it is asked. It runs on the base, lazily, and where it would read one of the base's
tensors it is given one whose values are read (and merged) when they are wanted. The metadata is pinned by us: by
default the file's name is the folder's, and then the same weights elsewhere are other bytes.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from metahuman_core.converter import python_path
from metahuman_core.errors import MetahumanError
from metahuman_core.steps.weights.encoding import Kind, encoded_bytes
from metahuman_core.steps.weights.gguf_file import padded, values_of
from metahuman_core.steps.weights.shards import BaseTensor

MODEL_NAME = "metahuman"
ReadMerged = Callable[[BaseTensor], torch.Tensor]
# Some of its models end the program where a tokenizer's file is missing, or ask for a package that is not there.
_ITS_OWN = (ValueError, LookupError, TypeError, AttributeError, AssertionError, RuntimeError, ImportError, SystemExit)
_Recipe = tuple[BaseTensor | None, str]


@dataclass(frozen=True, slots=True)
class Wanted:
    """A tensor of the GGUF before it is quantised: `kind` is what the converter gives.

    It is `source` as it stands, or else the converter computes it. `after` is the base's tensor with which it was asked
    for ("": none), so that it is made where its bytes are still at hand.
    """

    shape: tuple[int, ...]
    kind: Kind
    source: BaseTensor | None
    after: str


@dataclass(frozen=True, slots=True)
class Conversion:
    """What the converter says: its tensors in its order, and the writer that holds the metadata.

    `computed` has the converter's lazy tensors, which keep their values: who takes one takes it out.
    """

    tensors: Mapping[str, Wanted]
    computed: dict[str, Any]
    writer: Any

    def write_skeleton(self, path: Path) -> None:
        """Write a GGUF with all metadata and each matrix cut to two rows of zeros, from which its order can be seen.

        What llama.cpp's quantiser makes of a tensor hangs on its name, its type and the length of its rows.
        """
        data_bytes = 0
        for name, wanted in self.tensors.items():
            info = self.writer.tensors[0][name]
            info.shape = (*(min(2, rows) for rows in wanted.shape[:-1]), *wanted.shape[-1:])
            info.nbytes, info.tensor = encoded_bytes(values_of(info.shape), wanted.kind), None
            data_bytes += padded(info.nbytes)
        self.writer.write_header_to_file(path=path)
        self.writer.write_kv_data_to_file()
        self.writer.write_ti_data_to_file()
        self.writer.close()
        with path.open("r+b") as file:
            file.truncate(padded(path.stat().st_size) + data_bytes)


def ask_converter(
    base: Path, tensors: Mapping[tuple[Path, int], BaseTensor], read: ReadMerged, template: str
) -> Conversion:
    """Run the converter on `base`; `tensors` are the base's by file and first byte. Raises MetahumanError."""
    try:
        with _at_hand(), torch.inference_mode():
            return _ask(base, tensors, read, template)
    except NotImplementedError as error:
        # The converter knows tokenizers by a hash of what they make of a test text.
        reason = f"llama.cpp's converter does not know this model: {str(error).splitlines()[0]}"
        raise MetahumanError(reason) from error
    except OSError as error:
        if error.errno is not None:
            raise
        raise MetahumanError(f"llama.cpp's converter failed: {error}") from error
    except _ITS_OWN as error:
        raise MetahumanError(f"llama.cpp's converter failed: {type(error).__name__}: {error}") from error


@contextmanager
def _at_hand() -> Iterator[None]:
    """The converter is not installed but lies in a folder, with its own `gguf`."""
    before = list(sys.path)
    sys.path[:0] = python_path().split(":")
    try:
        yield
    finally:
        sys.path[:] = before


def _ask(base: Path, tensors: Mapping[tuple[Path, int], BaseTensor], read: ReadMerged, template: str) -> Conversion:
    import gguf
    from conversion import ModelBase, ModelType, get_model_architecture, get_model_class
    from conversion.base import LazyTorchTensor

    of_disk = LazyTorchTensor.from_local_tensor

    def lazy(local: Any) -> Any:
        tensor = tensors[Path(local.data_range.filename), local.data_range.offset]
        if not tensor.full_precision:
            return of_disk(local)
        meta = LazyTorchTensor.meta_with_dtype_and_shape(LazyTorchTensor._dtype_str_map[local.dtype], local.shape)  # noqa: SLF001
        return LazyTorchTensor(meta=meta, args=(tensor,), func=read)

    load_metadata = gguf.Metadata.load
    gguf.Metadata.load = staticmethod(lambda *_, **__: gguf.Metadata(name=MODEL_NAME))
    LazyTorchTensor.from_local_tensor = staticmethod(lazy)
    try:
        hparams = ModelBase.load_hparams(base, False)
        model_class = get_model_class(get_model_architecture(hparams, ModelType.TEXT))
        if getattr(model_class, "supports_mtp_export", False):
            model_class.no_mtp = not _has_mtp(hparams)
        kind = gguf.LlamaFileType.ALL_F32 if _is_float32(base) else gguf.LlamaFileType.MOSTLY_BF16
        # The name of a file that is never opened.
        model = model_class(base, kind, base / "model.gguf", hparams=hparams)
        add_template = model.gguf_writer.add_chat_template
        model.gguf_writer.add_chat_template = lambda _: add_template(template)
        recipes, computed = _recorded(model, read)
        model.prepare_tensors()
        model.prepare_metadata(vocab_only=False)
    finally:
        gguf.Metadata.load = load_metadata
        LazyTorchTensor.from_local_tensor = of_disk
    return Conversion(_wanted(model.gguf_writer.tensors[0], recipes), computed, model.gguf_writer)


def evaluated(lazy: Any) -> torch.Tensor:
    """The values of what the converter computes."""
    from conversion.base import LazyTorchTensor

    values: torch.Tensor = LazyTorchTensor.to_eager(lazy)
    return values


def _recorded(model: Any, read: ReadMerged) -> tuple[dict[str, _Recipe], dict[str, Any]]:
    """Let the converter's model enter, by GGUF name, what each tensor is, and those that it computes."""
    get_tensors, modify_tensors = model.get_tensors, model.modify_tensors
    given: dict[str, BaseTensor] = {}
    recipes: dict[str, _Recipe] = {}
    computed: dict[str, Any] = {}

    def getting() -> Iterator[tuple[str, Any]]:
        for name, tensor in get_tensors():
            if getattr(tensor, "_func", None) is read:
                given[name] = tensor._args[0]  # noqa: SLF001
            yield name, tensor

    def modifying(data: Any, name: str, layer: int | None) -> Iterator[tuple[str, Any]]:
        source = given.get(name)
        after = source.name if source else ""
        for new_name, made in modify_tensors(data, name, layer):
            as_it_stands = source if made is data else None
            recipes[new_name] = as_it_stands, after
            if as_it_stands is None:
                computed[new_name] = made
            yield new_name, made

    model.get_tensors, model.modify_tensors = getting, modifying
    return recipes, computed


def _wanted(infos: Mapping[str, Any], recipes: Mapping[str, _Recipe]) -> dict[str, Wanted]:
    kinds = {int(kind) for kind in Kind}
    for name, info in infos.items():
        if name not in recipes or int(info.dtype) not in kinds:
            raise MetahumanError(f"{name} is quantised in the base already", "take a base in bf16, fp16 or fp32")
    return {name: Wanted(tuple(info.shape), Kind(int(info.dtype)), *recipes[name]) for name, info in infos.items()}


def _is_float32(base: Path) -> bool:
    config = json.loads((base / "config.json").read_text(encoding="utf-8"))
    return "float32" in str(config.get("dtype") or config.get("torch_dtype") or "")


def _has_mtp(hparams: dict[str, Any]) -> bool:
    return bool(hparams.get("num_nextn_predict_layers") or hparams.get("mtp_num_hidden_layers"))
