"""What the double keeps on disk, and how it makes models: names, blobs, layers, manifests.

Invariant: every text layer (template, system, parameters, license, messages) has the digest that the real server
gives it; only a rewritten GGUF's digest is made up (`COPY of …`), for the double does not run llama-quantize.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import double_gguf as gguf
from double_rules import (
    ARCHITECTURES,
    BARE,
    CHATML_GO,
    DIGEST,
    FILE_TYPES,
    NO_QUANTIZER,
    QUANTIZE_TYPES,
    VALIDATION,
    RefusedError,
    check_go_template,
    go_json,
    is_cloud_or_local,
    missing,
    near_chatml,
    parse_name,
)


@dataclass(slots=True)
class Manifest:
    name: str
    layers: list[tuple[str, str]]
    """(kind, digest): model, adapter, template, system, params, license, messages."""
    parent: str = ""
    uploaded: str = ""
    modified: str = field(default_factory=lambda: datetime.now(UTC).isoformat().replace("+00:00", "Z"))

    def digests(self, kind: str) -> list[str]:
        return [digest for layer, digest in self.layers if layer == kind]

    @property
    def digest(self) -> str:
        return sha256(json.dumps([self.layers, self.parent]).encode())


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


class Store:
    """A models folder."""

    def __init__(self, folder: Path, *, rewrites: bool) -> None:
        self.folder = folder
        self.rewrites = rewrites
        self.failures: set[str] = set()
        self.rewritten_as: dict[tuple[str, str], tuple[str, Path | None]] = {}
        """(digest, COPY or the quantisation) -> the digest and bytes that llama-quantize made of it."""
        self.seeds: dict[str, Path] = {}
        self._headers: dict[str, gguf.Header] = {}
        (folder / "blobs").mkdir(parents=True, exist_ok=True)
        self.manifests: dict[str, Manifest] = {}
        if self._index.exists():
            for key, entry in json.loads(self._index.read_text()).items():
                entry["layers"] = [(kind, digest) for kind, digest in entry["layers"]]
                self.manifests[key] = Manifest(**entry)

    @property
    def _index(self) -> Path:
        return self.folder / "manifests.json"

    # --- blobs

    def blob(self, digest: str) -> Path:
        return self.folder / "blobs" / f"sha256-{digest}"

    def seed_blob(self, digest: str, path: Path) -> None:
        """Have an upload of `digest` store `path`, whatever was sent: for recorded uploads whose bytes are gone."""
        self.seeds[digest] = path

    def put_file(self, digest: str, path: Path) -> None:
        if not self.blob(digest).exists():
            os.link(path, self.blob(digest))

    def finish_upload(self, asked: str, partial: Path, actual: str) -> None:
        if seed := self.seeds.get(asked):
            partial.unlink()
            self.put_file(asked, seed)
            return
        partial.replace(self.blob(actual))  # under its true digest, also where that is not what was asked
        if actual != asked:
            raise RefusedError(400, f'digest mismatch, expected "sha256:{asked}", got "sha256:{actual}"', early=True)

    # --- models

    def find(self, text: str) -> Manifest | None:
        name = parse_name(text)
        return self.manifests.get(name.full.lower()) if name else None

    def text(self, manifest: Manifest, kind: str) -> str:
        return "\n".join(self.blob(digest).read_text() for digest in manifest.digests(kind))

    def parameters(self, manifest: Manifest) -> dict[str, Any]:
        return dict(json.loads(self.text(manifest, "params") or "{}"))

    def header(self, manifest: Manifest) -> gguf.Header:
        digest = manifest.digests("model")[-1]
        if digest not in self._headers:
            self._headers[digest] = gguf.read(self.blob(digest))
        return self._headers[digest]

    def size_bytes(self, manifest: Manifest) -> int:
        return sum(self.blob(digest).stat().st_size for _, digest in manifest.layers)

    def template(self, manifest: Manifest) -> str:
        """The Go template; where there is none, since 0.30 the Jinja template inside the GGUF."""
        inside = str(self.header(manifest).values.get("tokenizer.chat_template", "")) if self.rewrites else ""
        return self.text(manifest, "template") or inside or BARE

    def save(self, key: str, manifest: Manifest | None) -> None:
        old = self.manifests.pop(key, None)
        if manifest:
            self.manifests[key] = manifest
        used = {digest for other in self.manifests.values() for _, digest in other.layers}
        for _, digest in old.layers if old else ():
            if digest not in used:
                self.blob(digest).unlink(missing_ok=True)
        entries = {
            name: {
                "name": m.name,
                "layers": m.layers,
                "parent": m.parent,
                "uploaded": m.uploaded,
                "modified": m.modified,
            }
            for name, m in self.manifests.items()
        }
        self._index.write_text(json.dumps(entries))

    def copy(self, source: str, destination: str) -> None:
        for what, text in (("source", source), ("destination", destination)):
            if parse_name(text) is None:
                raise RefusedError(400, f'{what} "{text}" is invalid', early=True)
        found, name = self.find(source), parse_name(destination)
        if found is None or name is None:
            raise RefusedError(404, f'model "{source}" not found', early=True)
        self.save(name.full.lower(), Manifest(name.short, found.layers, found.parent, found.uploaded))

    def delete(self, text: str) -> None:
        name = parse_name(text)
        if name is None:
            raise RefusedError(400, f'name "{text}" is invalid', early=True)
        if name.full.lower() not in self.manifests or is_cloud_or_local(name):
            raise RefusedError(404, f"model '{text}' not found", early=True)
        self.save(name.full.lower(), None)

    # --- create

    def create(self, request: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Make a model; yields the lines of progress. Check `check_create` first."""
        name = parse_name(request["model"])
        if name is None:
            raise RefusedError(400, "invalid model name", early=True)
        layers: list[tuple[str, str]] = []
        parameters: dict[str, Any] = {}
        parent = uploaded = ""
        if request.get("from"):
            base = yield from self._base(request["from"])
            layers, parent, parameters = list(base.layers), base.name, self.parameters(base)
            for kind, digest in layers:
                if kind in ("model", "adapter") or (kind != "params" and not request.get(kind)):
                    yield {"status": f"using existing layer sha256:{digest}"}
        elif request.get("files") is not None:
            parameters = yield from self._from_files(request, layers)
            digests = list(request["files"].values())
            uploaded = "" if request.get("quantize") else digests[-1].split(":")[1]
        else:
            raise RefusedError(400, "neither 'from' or 'files' was specified")
        yield from self._text_layers(request, layers, parameters | (request.get("parameters") or {}))
        key = name.full.lower()
        shown = self.manifests[key].name if key in self.manifests else name.short
        yield {"status": "writing manifest"}
        self.save(key, Manifest(shown, layers, parent, uploaded))
        yield {"status": "success"}

    def _base(self, text: str) -> Generator[dict[str, Any], None, Manifest]:
        name = parse_name(text)
        if name is None:
            raise RefusedError(400, "invalid model name")
        found = self.manifests.get(name.full.lower())
        if found is None:
            yield {"status": "pulling manifest"}
            url = f"https://registry.ollama.ai/v2/{name.namespace}/{name.model}/manifests/{name.tag}"
            why = "proxyconnect tcp: dial tcp 127.0.0.1:9: connect: connection refused"
            raise RefusedError(500, f'pull model manifest: Get "{url}": {why}')
        return found

    def _from_files(
        self, request: dict[str, Any], layers: list[tuple[str, str]]
    ) -> Generator[dict[str, Any], None, dict[str, Any]]:
        """The base's files, then the adapter's: all are parsed, then all rewritten, then each becomes layers.

        Returns the parameters that come with a template that is known.
        """
        groups = self._groups(request)
        if groups is None:
            yield from self._safetensors(request["files"])
            return {}
        parsed = []
        for kind, files in groups:
            for digest in files.values():
                yield {"status": "parsing GGUF"}
                parsed.append((kind, digest.split(":")[1], self._parse(digest)))
        made = []
        for kind, digest, header in parsed:
            yield from self._quantize_progress(request, header)
            made.append((kind, *self._rewrite(digest, header, request.get("quantize")), header))
        if self.rewrites:
            yield from ({"status": "verifying conversion"} for _ in made)
        if request.get("template"):
            check_go_template(request["template"])
        yield from self._model_layers(made, layers)
        known = any(kind == "template" for kind, _ in layers)
        return {"stop": ["<|im_start|>", "<|im_end|>"]} if known else {}

    def _model_layers(
        self, made: list[tuple[str, str, bool, gguf.Header]], layers: list[tuple[str, str]]
    ) -> Iterator[dict[str, Any]]:
        for group in ("model", "adapter"):
            for kind, digest, new, _ in made:
                if kind == group:
                    yield {"status": f"{'creating new' if new else 'using existing'} layer sha256:{digest}"}
                    layers.append((kind, digest))
            for kind, _, _, header in made:
                if kind == group and near_chatml(str(header.values.get("tokenizer.chat_template", ""))):
                    yield {"status": "using autodetected template chatml"}
                    layers[:] = [layer for layer in layers if layer[0] != "template"]
                    layers.append(("template", self._put(CHATML_GO.encode())[0]))

    def _text_layers(
        self, request: dict[str, Any], layers: list[tuple[str, str]], parameters: dict[str, Any]
    ) -> Iterator[dict[str, Any]]:
        texts: list[tuple[str, bytes]] = []
        if request.get("template"):
            check_go_template(request["template"])
            texts.append(("template", request["template"].encode()))
        if request.get("system"):
            texts.append(("system", request["system"].encode()))
        licenses = request.get("license") or []
        if isinstance(licenses, dict):
            raise RefusedError(500, "json: cannot unmarshal object into Go value of type []string")
        texts += [("license", text.encode()) for text in ([licenses] if isinstance(licenses, str) else licenses)]
        if parameters:
            texts.append(("params", go_json(parameters)))
        if request.get("messages"):
            texts.append(("messages", go_json(request["messages"])))
        replaced = {kind for kind, _ in texts}
        layers[:] = [layer for layer in layers if layer[0] not in replaced]
        for kind, data in texts:
            digest, new = self._put(data)
            layers.append((kind, digest))
            yield {"status": f"{'creating new' if new else 'using existing'} layer sha256:{digest}"}

    def _put(self, data: bytes) -> tuple[str, bool]:
        digest = sha256(data)
        new = not self.blob(digest).exists()
        if new:
            self.blob(digest).write_bytes(data)
        return digest, new

    def _groups(self, request: dict[str, Any]) -> list[tuple[str, dict[str, str]]] | None:
        """(model or adapter, its files); None where they are safetensors."""
        adapters = request.get("adapters")
        if self._kind(request["files"]) == "safetensors":
            return None
        if adapters is not None:
            self._check_adapters(adapters)
        return [("model", request["files"]), ("adapter", adapters or {})]

    def _kind(self, files: dict[str, str]) -> str:
        for file, digest in files.items():
            if file.endswith(".safetensors"):
                return "safetensors"
            found = DIGEST.fullmatch(digest)
            path = self.blob(found[1]) if found else None
            if file.endswith(".gguf") or (path and path.exists() and gguf.looks_like(path)):
                return "gguf"
        raise RefusedError(400, "unknown type")

    def _safetensors(self, files: dict[str, str]) -> Iterator[dict[str, Any]]:
        if "config.json" not in files:
            raise RefusedError(500, "open config.json: no such file or directory")
        yield {"status": "converting model"}
        config = json.loads(self.blob(files["config.json"].split(":")[1]).read_text())
        raise RefusedError(500, f'unsupported architecture "{config["architectures"][0]}"')

    def _check_adapters(self, adapters: dict[str, str]) -> None:
        if not adapters:
            raise RefusedError(400, "unknown type")
        for digest in adapters.values():
            if not self.blob(digest.split(":")[1]).exists():
                raise RefusedError(400, missing(digest.split(":")[1]))
        if len(adapters) > 1:
            raise RefusedError(400, "only one adapter is currently supported")

    def _parse(self, digest: str) -> gguf.Header:
        found = DIGEST.fullmatch(digest)
        if not found:
            raise RefusedError(500, "invalid digest format")
        path = self.blob(found[1])
        if not path.exists():
            raise RefusedError(500, missing(found[1]))
        try:
            header = gguf.read(path)
        except gguf.NotGgufError:
            raise RefusedError(400, "supplied file was not in GGUF format") from None
        except gguf.CutShortError:
            raise RefusedError(500, "unexpected EOF") from None
        size = path.stat().st_size
        for tensor in header.tensors:
            end = header.data_start + tensor.offset + tensor.size_bytes
            if end > size:
                raise RefusedError(500, f'tensor "{tensor.name}" offset+size ({end}) exceeds file size ({size})')
        return header

    def _quantize_progress(self, request: dict[str, Any], header: gguf.Header) -> Iterator[dict[str, Any]]:
        wanted = str(request.get("quantize") or "").upper()
        if not wanted:
            return
        if wanted not in QUANTIZE_TYPES:
            known = ", ".join(QUANTIZE_TYPES)
            raise RefusedError(500, f"unsupported quantization type {wanted} - supported types are {known}")
        have = FILE_TYPES.get(header.values.get("general.file_type", 0))
        if have not in ("F16", "BF16"):
            raise RefusedError(500, "quantization is only supported for F16, BF16 and F32 models")
        if not self.rewrites and wanted != have:
            total = sum(tensor.size_bytes for tensor in header.tensors)
            done = 0
            for tensor in header.tensors:
                done += tensor.size_bytes
                yield {
                    "status": f"quantizing {have} model to {wanted}",
                    "digest": "0000000000000000000",
                    "total": total,
                    "completed": done,
                }
            yield {"status": "verifying conversion"}

    def _rewrite(self, digest: str, header: gguf.Header, quantize: str | None) -> tuple[str, bool]:
        """The digest the model has in Ollama, and whether that layer is new."""
        if self.rewrites and "no-llama-quantize" in self.failures:
            raise RefusedError(500, VALIDATION + NO_QUANTIZER)
        unknown = header.values.get("general.architecture") not in ARCHITECTURES
        if self.rewrites and (unknown or "disk-full" in self.failures):
            raise RefusedError(500, VALIDATION + "llama-quantize failed: exit status 1")
        have = FILE_TYPES.get(header.values.get("general.file_type", 0))
        how = "COPY" if quantize is None or quantize.upper() == have else quantize.upper()
        if how == "COPY" and (not self.rewrites or header.in_own_order):
            return digest, False
        result, path = self.rewritten_as.get((digest, how)) or (sha256(f"{how} of {digest}".encode()), None)
        new = not self.blob(result).exists()
        if new and path:
            self.put_file(result, path)
        elif new:
            numbers = {name: number for number, name in FILE_TYPES.items()}
            changed = {} if how == "COPY" else {"general.file_type": numbers.get(how, 0)}
            gguf.write(self.blob(result), header.values | changed, gguf.own_order(header.tensors))
        return result, new
