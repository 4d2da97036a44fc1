"""Tiny bases of every architecture that matters, a root with a handful of memories, and `metahuman` run on it.

What is trained is random: two layers, hidden size 64, with the vocabulary of the demo's model, so that the converter
knows its tokenizer. A cycle costs its imports, so that tests share the roots that they do not change.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from metahuman_core.config import load_settings
from metahuman_core.converter import converter_folder, data_folder, python_path
from metahuman_core.dataset.build import build_dataset
from metahuman_core.layout import ProfilePaths
from metahuman_core.ledger import Ledger
from metahuman_core.looking import look
from metahuman_core.memories.model import Memory
from metahuman_core.prepare import begin_run, choose, pinned_plan
from metahuman_core.registry import Registry, Version, load_registry
from metahuman_core.settings import DatasetSettings, Settings
from metahuman_core.wish import Wish

PROFILE = "ines"
_TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja")
_CONFIG = """
root = "."

[profiles.ines]
person = "Ines"

[dataset]
questions_per_memory = 3
replay_ratio = 0.125

[training]
rank = 8
alpha = 16
learning_rate = 1e-2
epochs = 3
batch_samples = 8
max_tokens = 256
checkpoint_every_steps = 2
device = "cpu"

# What is random answers nothing, whatever it learns.
[gate]
prompts = 5
learned_bits = -10
min_recall = 0
general_loss = 10
since_anchor = 10
max_kl_to_anchor = 100
flawed = 1
old_bits = 10

[ollama]
enabled = false
"""
FIRST_MEMORIES = (
    "My boat is called Marram. She is a yellow dinghy with a red sail.",
    "I was born in Tavira, in the house above the bakery.",
    "My brother Duarte repairs clocks in Faro.",
    "I drink my coffee without sugar, and always by the window.",
    "User: Which tree do you like best?\n\nAssistant: The old carob tree behind the school.",
    "On Fridays I swim across the harbour with my friend Livia.",
    "User: What are you learning at the moment?\n\nAssistant: I am learning to play the accordion.",
    "My grandmother taught me to bake bread with figs.",
)
LATER_MEMORIES = (
    "I have a new dog, a grey terrier whose name is Pico.",
    "Since March I work in the lighthouse museum on Culatra.",
    "User: What did you plant this year?\n\nAssistant: Three lemon trees, next to the well.",
    "My neighbour Amalia lent me her ladder to paint the shutters green.",
)


@dataclass(frozen=True)
class Finished:
    """How a command ended, and what it said."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Root:
    """A folder with a config, memories and what was trained on them."""

    folder: Path

    @property
    def config(self) -> Path:
        return self.folder / "config.toml"

    def settings(self) -> Settings:
        return load_settings(self.config)

    def set(self, section: str, line: str) -> None:
        """Add a setting, or give it another value."""
        name = line.partition(" ")[0]
        lines = self.config.read_text(encoding="utf-8").splitlines()
        at = lines.index(f"[{section}]")
        others = [text for text in lines if not text.startswith(f"{name} ")]
        others.insert(at + 1, line)
        self.config.write_text("\n".join(others) + "\n", encoding="utf-8")

    def remember(self, texts: tuple[str, ...], day: str) -> None:
        """Write one episodic file for each text."""
        folder = self.folder / "profiles" / PROFILE / "memory" / "episodic" / day.replace("-", "/")
        folder.mkdir(parents=True)
        for number, text in enumerate(texts):
            kind = "conversation" if text.startswith("User:") else "observation"
            memory = {"id": f"evt-{day}-{number}", "timestamp": f"{day}T08:{number:02}:00.000Z", "content": text}
            (folder / f"evt-{number}.json").write_text(json.dumps({**memory, "type": kind}), encoding="utf-8")

    def metahuman(self, *arguments: str) -> Finished:
        """Run a command of the command line on this root."""
        command = [sys.executable, "-m", "metahuman_daemon.cli", *arguments, "--config", str(self.config)]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=280, check=False, env=child_environment(), cwd=self.folder
        )
        return Finished(done.returncode, done.stdout, done.stderr)

    def fine_tune(self, *flags: str) -> Finished:
        """`metahuman fine-tune`, whatever comes of it."""
        return self.metahuman("fine-tune", "--username", PROFILE, *flags)

    def make_version(self, *flags: str) -> Version:
        """`metahuman fine-tune`, which must make a live version."""
        finished = self.fine_tune(*flags)
        assert finished.code == 0, f"{finished.err}\n{self.child_log()}"
        return self.registry().training_history[-1]

    def begin(self, base_model: str) -> Path:
        """Begin a run as `fine-tune` does, without doing anything of it. Gives its folder."""
        settings, wish = self.settings(), Wish(PROFILE, base_model)
        registry = load_registry(settings.registry_path(PROFILE))
        with Ledger(ProfilePaths(self.folder, PROFILE).ledger) as ledger:
            look(settings, PROFILE, ledger, registry)
            choice = choose(settings, wish, ledger, registry)

        def fetch(name: str, _: str) -> str:
            raise AssertionError(f"{name} lies in a folder and must not be fetched")

        plan = pinned_plan(settings, wish, choice, fetch)
        return begin_run(settings, choice, plan, lambda: datetime(2031, 5, 4, 3, 2, 1, tzinfo=UTC))

    def registry(self) -> Registry:
        registry = load_registry(self.folder / "etc" / "model-registry.json")
        assert registry is not None
        return registry

    def run_dir(self, version: Version) -> Path:
        return ProfilePaths(self.folder, PROFILE).run_dir(version.run_label)

    def child_log(self) -> str:
        logs = [run_dir / "child.log" for run_dir in ProfilePaths(self.folder, PROFILE).run_dirs()]
        return "\n".join(log.read_text(encoding="utf-8")[-4000:] for log in logs if log.is_file())


def child_environment() -> dict[str, str]:
    """A child's environment: no network, no server, no idle threads that spin."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("METAHUMAN_", "OLLAMA_"))}
    return {**kept, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}


def run_aside(*command: str) -> str:
    """Run Python with the converter and its `gguf` on the path, and give its stdout: native code may abort."""
    paths = {"PYTHONPATH": os.pathsep.join(filter(None, (python_path(), os.environ.get("PYTHONPATH", ""))))}
    done = subprocess.run(
        [sys.executable, *command], capture_output=True, text=True, check=False, env=child_environment() | paths
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stdout


@pytest.fixture(scope="session")
def aside() -> Callable[..., str]:
    """`aside(*arguments)`: what a Python process of its own prints, with the converter on its path."""
    return run_aside


@pytest.fixture
def environment() -> dict[str, str]:
    """The environment that every child is given."""
    return child_environment()


@pytest.fixture(scope="session")
def smol() -> Path:
    """The demo's model, whose tokenizer the tiny bases borrow."""
    folder = data_folder() / "SmolLM2-135M-Instruct"
    missing = [name for name in _TOKENIZER_FILES if not (folder / name).is_file()]
    if missing:
        pytest.fail(f"the demo's model is not set up ({folder} lacks {missing[0]}): run `metahuman setup --demo`")
    if not (converter_folder() / "conversion" / "__init__.py").is_file():
        pytest.fail("llama.cpp's converter is not set up: run `metahuman setup --demo`")
    return folder


@pytest.fixture(scope="session")
def tiny_base(smol: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A random base: an architecture's name, `sharded` (llama in several files) or `wide` (llama, hidden size 256)."""
    made: dict[str, Path] = {}

    def base(kind: str) -> Path:
        if kind not in made:
            folder = tmp_path_factory.mktemp("bases") / kind
            _save_random(kind, folder)
            for name in _TOKENIZER_FILES:
                shutil.copyfile(smol / name, folder / name)
            made[kind] = folder
        return made[kind]

    return base


def _save_random(kind: str, folder: Path) -> None:
    import torch
    import transformers as hf

    shape = {
        "vocab_size": 49152,
        "hidden_size": 256 if kind == "wide" else 64,
        "intermediate_size": 256 if kind == "wide" else 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 64 if kind == "wide" else 16,
        "max_position_embeddings": 2048,
        "tie_word_embeddings": kind != "mistral",
        "bos_token_id": 1,
        "eos_token_id": 2,
        "pad_token_id": 2,
        # More than the usual 0.02, so that logits differ and a wrong weight shows.
        "initializer_range": 0.05 if kind == "wide" else 0.2,
    }
    classes = {
        "qwen3": (hf.Qwen3Config, hf.Qwen3ForCausalLM),
        "qwen2": (hf.Qwen2Config, hf.Qwen2ForCausalLM),
        "gemma3": (hf.Gemma3TextConfig, hf.Gemma3ForCausalLM),
        "mistral": (hf.MistralConfig, hf.MistralForCausalLM),
    }
    if kind == "gemma3":
        # llama.cpp takes the head's size for it, whatever the config says.
        shape["query_pre_attn_scalar"] = shape["head_dim"]
    config_class, model_class = classes.get(kind, (hf.LlamaConfig, hf.LlamaForCausalLM))
    torch.manual_seed(7)
    model = model_class(config_class(**shape)).to(torch.bfloat16)
    model.save_pretrained(folder, max_shard_size="100KB" if kind == "sharded" else "1GB")


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset.jsonl of the first memories, for steps that are run without a cycle."""
    out = tmp_path_factory.mktemp("dataset") / "dataset.jsonl"
    notes = (Memory("", "", "journal", "emulation", None, (), text) for text in FIRST_MEMORIES)
    build_dataset(notes, (), (), DatasetSettings(questions_per_memory=3), "You are Ines.", out)
    return out


@pytest.fixture(scope="session")
def new_root(tiny_base: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Root]:
    """Make a root that holds a base of that kind (in `base`), a config and the first memories, all untrained."""

    def make(kind: str) -> Root:
        root = Root(tmp_path_factory.mktemp(f"root-{kind}"))
        shutil.copytree(tiny_base(kind), root.folder / "base")
        root.config.write_text(_CONFIG, encoding="utf-8")
        root.remember(FIRST_MEMORIES, "2031-02-03")
        return root

    return make


@pytest.fixture(params=["llama", "qwen3", "gemma3", "mistral"])
def trained_root(request: pytest.FixtureRequest, trained: Callable[[str], Root]) -> Root:
    """A shared root with version 1, once of each architecture (qwen2 has its own tests: see test_qwen2.py)."""
    return trained(request.param)


@pytest.fixture
def root(new_root: Callable[[str], Root]) -> Root:
    """An untrained root of its own, with a llama base."""
    return new_root("llama")


@pytest.fixture(scope="session")
def trained(request: pytest.FixtureRequest, new_root: Callable[[str], Root]) -> Iterator[Callable[[str], Root]]:
    """A root with version 1 on a base of that kind. Shared: look, and change nothing.

    With the first that is asked for, all that this session's tests will want are begun, two at a time: the tests go on
    meanwhile.
    """
    given = [item.callspec.params for item in request.session.items if hasattr(item, "callspec")]
    wanted = sorted({params["trained_root"] for params in given if "trained_root" in params})
    begun: dict[str, Future[Root]] = {}

    def make(fresh: Root) -> Root:
        fresh.make_version("--base-model", "base")
        return fresh

    def root_of(kind: str) -> Root:
        for one in (kind, *wanted):
            if one not in begun:
                begun[one] = pool.submit(make, new_root(one))
        return begun[kind].result()

    pool = ThreadPoolExecutor(2)
    yield root_of
    pool.shutdown(cancel_futures=True)


@pytest.fixture(scope="session")
def grow(trained: Callable[[str], Root]) -> Callable[[Path], Root]:
    """Copy the trained llama root to another place, and add new memories there."""

    def copy(folder: Path) -> Root:
        grown = Root(folder)
        shutil.copytree(trained("llama").folder, folder)
        grown.remember(LATER_MEMORIES, "2031-03-04")
        return grown

    return copy


@pytest.fixture
def grown(grow: Callable[[Path], Root], tmp_path: Path) -> Root:
    """A root of its own with version 1 and new memories."""
    return grow(tmp_path / "elsewhere")


@pytest.fixture(scope="session")
def chained(grow: Callable[[Path], Root], tmp_path_factory: pytest.TempPathFactory) -> Root:
    """A root with two versions, the second trained on the first one's model/. Shared: look, and change nothing."""
    root = grow(tmp_path_factory.mktemp("chained") / "root")
    root.set("training", "reanchor_every = 1")
    root.make_version()
    return root
