"""A root with versions that nobody trained: small random files under their right names, with right hashes.

What retention, rollback, verification and publishing look at is all there, and it takes milliseconds a version. What
trains or rebuilds needs a real one (`tests/tiny`).
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from metahuman_core.config import load_settings
from metahuman_core.durable import sha256_file, sha256_tree, size_bytes
from metahuman_core.fingerprint import fingerprint
from metahuman_core.journal import Journal, digest_of
from metahuman_core.layout import ProfilePaths, relative_to_root
from metahuman_core.plan import Plan
from metahuman_core.registry import Registry, Version, load_registry, update_registry
from metahuman_core.serving import SERVING, Serving
from metahuman_core.settings import DatasetSettings, Settings, TrainingSettings, WeightSettings
from metahuman_core.versions.parts import Parts, parts_of

sys.path.insert(0, str(Path(__file__).parents[1]))  # the tests are no package
sys.path.insert(0, str(Path(__file__).parents[2] / "ollama"))

from double_gguf import Tensor, own_order, write
from double_rules import CHATML_JINJA
from forked_command import forked

PROFILE = "ines"
FIRST_DAY = datetime(2031, 2, 3, 4, 5, 6, tzinfo=UTC)
_CONFIG = 'root = "."\n\n[profiles.ines]\nperson = "Ines"\n\n[retention]\n\n[ollama]\nhost = "127.0.0.1:9"\n'


@dataclass(frozen=True)
class Finished:
    """How a command ended, and what it said."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Its stdout."""
        return json.loads(self.out)


@dataclass(frozen=True)
class MadeUpRoot:
    """The folder, and what tests ask of it."""

    folder: Path

    @property
    def paths(self) -> ProfilePaths:
        return ProfilePaths(self.folder, PROFILE)

    @property
    def registry_path(self) -> Path:
        return self.folder / "etc" / "model-registry.json"

    @property
    def settings(self) -> Settings:
        return load_settings(self.folder / "config.toml")

    @property
    def registry(self) -> Registry:
        registry = load_registry(self.registry_path)
        assert registry is not None
        return registry

    def version(self, number: int) -> Version:
        version = self.registry.find(number)
        assert version is not None
        return version

    def parts(self, number: int) -> Parts:
        return parts_of(self.version(number), self.paths)

    def edit(self, number: int, **fields: Any) -> None:
        """Give a version's entry other values."""
        update_registry(self.registry_path, lambda registry: registry.with_fields(number, **fields))

    def unsort_gguf(self, number: int) -> None:
        """Have a version's GGUF in an order that Ollama since 0.30 does not keep: there it has another digest."""
        path = self.parts(number).gguf
        _gguf(path, seed=number, kib=path.stat().st_size // 1024, sort=lambda tensors: own_order(tensors)[::-1])
        self.edit(number, gguf_sha256=sha256_file(path), gguf_bytes=path.stat().st_size, ollama_blob="")

    def set(self, section: str, line: str) -> None:
        """Add a setting, or give it another value; the section is made where it is not there."""
        config = self.folder / "config.toml"
        lines = config.read_text(encoding="utf-8").splitlines()
        head, name = f"[{section}]", line.partition(" ")[0]
        if head not in lines:
            lines += ["", head]
        at = lines.index(head) + 1
        end = next((n for n in range(at, len(lines)) if lines[n].startswith("[")), len(lines))
        body = [text for text in lines[at:end] if not text.startswith(f"{name} ")]
        config.write_text("\n".join([*lines[:at], line, *body, *lines[end:]]) + "\n", encoding="utf-8")

    def metahuman(self, *arguments: str, **environment: str) -> Finished:
        """Run a command of the command line on this root, in a process of its own."""
        command = [sys.executable, "-m", "metahuman_daemon.cli", *arguments]
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("METAHUMAN_", "OLLAMA_"))}
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
            cwd=self.folder,
            env={**kept, "METAHUMAN_CONFIG": str(self.folder / "config.toml"), **environment},
        )
        return Finished(done.returncode, done.stdout, done.stderr)

    def forked(self, *arguments: str) -> Finished:
        """The same in a fork of the tests' own process, ten times as fast: for tests that start no thread."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("METAHUMAN_", "OLLAMA_"))}
        kept["METAHUMAN_CONFIG"] = str(self.folder / "config.toml")
        return Finished(*forked(arguments, self.folder, kept))

    def files(self) -> dict[str, str]:
        """Every file below the root with its hash, but for locks: two of these tell what changed."""
        found = (path for path in sorted(self.folder.rglob("*")) if path.is_file() and path.suffix != ".lock")
        return {path.relative_to(self.folder).as_posix(): sha256_file(path) for path in found}

    def bytes_on_disk(self) -> int:
        """Bytes of all files below the profile's runs."""
        return size_bytes(self.paths.runs)


def make_up_root(folder: Path, versions: int, *, chained: bool = False, gguf_kib: int = 48) -> MadeUpRoot:
    """Make a root with so many versions, a day apart, the last one live. `chained`: each on the one before's model/."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.toml").write_text(_CONFIG, encoding="utf-8")
    (folder / "profiles" / PROFILE / "memory").mkdir(parents=True)
    _model(folder / "base", seed=0)
    root = MadeUpRoot(folder)
    start = Registry(original_base_model="base", current_base_model="base", model_type="local")
    history: list[Version] = []
    for number in range(1, versions + 1):
        parent = history[-1] if history else None
        history.append(_version(root, number, parent, chained=chained, gguf_kib=gguf_kib))
    if history:
        history[-1] = history[-1].model_copy(update={"outcome": "live"})
        start = start.changed(training_history=tuple(history), current_base_model=history[-1].output_model_path)
    update_registry(root.registry_path, lambda _: start)
    return root


def _version(root: MadeUpRoot, number: int, parent: Version | None, *, chained: bool, gguf_kib: int) -> Version:
    made_at = FIRST_DAY + timedelta(days=number - 1)
    label = f"{made_at:%Y-%m-%d-%H%M%S}-{number:06x}"
    run_dir = root.paths.run_dir(label)
    parts = Parts(run_dir)
    run_dir.mkdir(parents=True)
    base = parent.output_model_path if parent else "base"
    anchor = base if chained else "base"
    revision = fingerprint(root.folder / anchor)
    _adapter(parts.adapter, anchor, revision, seed=number)
    _model(parts.model, seed=number)
    _gguf(parts.gguf, seed=number, kib=gguf_kib)
    (run_dir / "memories.jsonl").write_text(_memories(number), encoding="utf-8")
    (run_dir / "dataset.jsonl").write_text("{}\n", encoding="utf-8")
    (run_dir / "evaluation.json").write_text("{}\n", encoding="utf-8")
    _journal(run_dir, made_at, base, anchor, revision, parent, digest_of(_memories(number)))
    at = relative_to_root(run_dir, root.folder)
    return Version(
        version=number,
        run_id=label[-6:],
        run_label=label,
        timestamp=made_at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        base_model_used=base,
        output_model_path=f"{at}/model",
        gguf_path=f"{at}/model.gguf",
        samples_trained=10,
        training_success=True,
        adapter_path=f"{at}/adapter",
        anchor_model=anchor,
        anchor_revision=revision,
        parent_version=parent.version if parent else None,
        outcome="superseded",
        storage="full",
        publication="off",
        ollama_name=PROFILE,
        dataset_sha256=sha256_file(run_dir / "dataset.jsonl"),
        adapter_sha256=sha256_file(parts.adapter / "adapter_model.safetensors"),
        model_sha256=sha256_tree(parts.model),
        gguf_sha256=sha256_file(parts.gguf),
        adapter_bytes=size_bytes(parts.adapter),
        model_bytes=size_bytes(parts.model),
        gguf_bytes=size_bytes(parts.gguf),
        quantization="Q8_0",
        memories_trained=1,
    )


def _memories(number: int) -> str:
    return f'{{"memory": "{number}"}}\n'


def _journal(
    run_dir: Path,
    made_at: datetime,
    base: str,
    anchor: str,
    revision: str,
    parent: Version | None,
    memories_sha256: str,
) -> None:
    plan = Plan(
        profile=PROFILE,
        registry="etc/model-registry.json",
        base_model=base,
        anchor=anchor,
        anchor_revision=revision,
        warm_start=parent.adapter_path if parent and anchor == "base" else None,
        parent_version=parent.version if parent else None,
        ancestry=(parent.run_label,) if parent else (),
        stale=(),
        mode="all",
        system="You are Ines.",
        ollama_name=PROFILE,
        publish=True,
        temperature=0.7,
        num_ctx=2048,
        command_sha256="c",
        memories_sha256=memories_sha256,
        dataset=DatasetSettings(),
        training=TrainingSettings(),
        weights=WeightSettings(),
    )
    journal = Journal.begin(run_dir, plan, lambda: made_at)
    go_template = "{{ range .Messages }}[{{ .Role }}] {{ .Content }}{{ end }}"
    serving = Serving("You are Ines.", go_template, ("<|im_end|>",), 0.7, 2048)
    journal.step(SERVING, Serving, {}, lambda: serving)
    journal.end("registered")


def _adapter(folder: Path, anchor: str, revision: str, seed: int) -> None:
    folder.mkdir(parents=True)
    (folder / "adapter_model.safetensors").write_bytes(noise(f"adapter {seed}", 3000 + seed))
    config = {"peft_type": "LORA", "r": 16, "lora_alpha": 32, "bias": "none"}
    text = json.dumps({**config, "base_model_name_or_path": anchor, "revision": revision})
    (folder / "adapter_config.json").write_text(text, encoding="utf-8")


def _model(folder: Path, seed: int) -> None:
    folder.mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(noise(f"model {seed}", 60_000 + seed))
    (folder / "config.json").write_text('{"architectures": ["LlamaForCausalLM"]}', encoding="utf-8")
    (folder / "tokenizer.json").write_text("{}", encoding="utf-8")


def _gguf(
    path: Path, seed: int, kib: int, sort: Callable[[tuple[Tensor, ...]], tuple[Tensor, ...]] = own_order
) -> None:
    """A GGUF as llama.cpp's quantiser would have written it (so Ollama keeps its digest), its tensors random bytes."""
    values = {"general.architecture": "llama", "general.file_type": 7, "llama.context_length": 2048}
    values |= {"tokenizer.chat_template": CHATML_JINJA[0]}
    rows = max(1, kib * 1024 // (64 // 32 * 34))
    shapes = {"token_embd.weight": (64, rows), "output_norm.weight": (64,)}
    tensors = tuple(Tensor(name, "Q8_0" if len(shape) == 2 else "F32", shape) for name, shape in shapes.items())
    write(path, values, sort(tensors))
    head = path.stat().st_size - kib * 1024
    with path.open("r+b") as file:
        file.seek(max(head, 4096))
        file.write(noise(f"gguf {seed}", path.stat().st_size - file.tell()))


def noise(seed: str, size: int) -> bytes:
    """Random bytes, the same for the same seed."""
    return random.Random(seed).randbytes(size)  # noqa: S311 - no secret
