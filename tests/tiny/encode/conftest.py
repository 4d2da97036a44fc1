"""Tokenizers of every build, and chat templates of the families that people train, to try the encoding on."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import AutoTokenizer, PreTrainedTokenizerBase, PreTrainedTokenizerFast

from metahuman_core.memories.model import Turn
from metahuman_core.steps.encode import ChatEncoder

BOS, EOS, UNKNOWN = "<s>", "</s>", "<unk>"
_SPECIAL = (
    *(BOS, EOS, UNKNOWN, "<|im_start|>", "<|im_end|>"),
    *("<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>", "<start_of_turn>", "<end_of_turn>"),
)
_CHATML = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
_LLAMA3 = (
    "{{ bos_token }}{% for message in messages %}{{ '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n'"
    " + message['content'] | trim + '<|eot_id|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}"
)
_QWEN3 = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' }}"
    "{% if message['role'] == 'assistant' and loop.last %}{{ '<think>\n\n</think>\n\n' }}{% endif %}"
    "{{ message['content'] + '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}"
    "{% if enable_thinking is defined and enable_thinking is false %}{{ '<think>\n\n</think>\n\n' }}{% endif %}"
    "{% endif %}"
)
_GEMMA = (
    "{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system role') }}{% endif %}"
    "{% for message in messages %}{{ '<start_of_turn>' + ('model' if message['role'] == 'assistant' else 'user')"
    " + '\n' + message['content'] | trim + '<end_of_turn>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}"
)
_MISTRAL = (
    "{{ bos_token }}{% for message in messages %}{% if message['role'] == 'assistant' %}"
    "{{ ' ' + message['content'] + eos_token }}{% elif message['role'] == 'user' %}"
    "{{ ' [INST] ' + message['content'] + ' [/INST]' }}{% else %}{{ raise_exception('no system role') }}{% endif %}"
    "{% endfor %}"
)
TEMPLATES = {"chatml": _CHATML, "llama3": _LLAMA3, "qwen3": _QWEN3, "gemma": _GEMMA, "mistral": _MISTRAL}
END_OF_TURN = {
    "chatml": "<|im_end|>",
    "llama3": "<|eot_id|>",
    "qwen3": "<|im_end|>",
    "gemma": "<end_of_turn>",
    "mistral": EOS,
}
TOKENIZERS = ("smol", "bytes", "spaces", "first", "always", "legacy", "runs", "unknown")
_CORPUS = [
    "I was born in Tavira, in the house above the bakery.",
    "Which tree do you like best? The old carob tree behind the school!",
    "You are Ines. On Fridays I swim across the harbour with my friend Livia (she is 42).",
    "system user assistant model think INST [ ] < > / | _ : ; ' \" # { } 0 1 2 3 4 5 6 7 8 9 - + = * & % $ @ ~ ^ \\ `",
    "ABCDEFGHIJKLMNOPQRSTUVWXYZ abcdefghijklmnopqrstuvwxyz",
    "one\ntwo\tthree",
] * 3


@dataclass(frozen=True)
class Case:
    """One tokenizer with one chat template."""

    kind: str
    tokenizer: PreTrainedTokenizerBase
    encoder: ChatEncoder
    end_of_turn: str
    takes_system: bool

    def rendered(self, turns: list[Turn], *, generate: bool) -> str:
        """What `apply_chat_template` makes of the turns."""
        return str(self._applied(turns, tokenize=False, add_generation_prompt=generate))

    def ids(self, turns: list[Turn], *, generate: bool) -> list[int]:
        """What `apply_chat_template` makes of the turns, tokenised by itself."""
        return list(self._applied(turns, tokenize=True, return_dict=False, add_generation_prompt=generate))

    def _applied(self, turns: list[Turn], **how: Any) -> Any:
        messages = [{"role": turn.role, "content": turn.text} for turn in turns]
        return self.tokenizer.apply_chat_template(messages, enable_thinking=False, **how)

    def added(self, ids: list[int]) -> list[int]:
        """The ids that are added tokens."""
        return [i for i in ids if i in self.tokenizer.added_tokens_decoder]


@pytest.fixture(scope="session")
def case_of(smol: Path) -> Callable[[str, str], Case]:
    """Pair a tokenizer with a template.

    bytes: byte-level BPE. spaces: with runs of spaces as added tokens that are not special. first, always: Metaspace
    with that prepend_scheme and byte fallback. legacy: the same by a normalizer. runs: no prefix, and runs of spaces
    and line ends that are in the vocabulary and added as well. unknown: no byte fallback. All have `<think>`.
    """
    made: dict[tuple[str, str], Case] = {}

    def case(kind: str, template: str) -> Case:
        if (kind, template) not in made:
            tokenizer = _with_smols_vocabulary(smol) if kind == "smol" else _built(kind)
            tokenizer.chat_template = TEMPLATES[template]
            made[kind, template] = Case(
                kind, tokenizer, ChatEncoder(tokenizer), END_OF_TURN[template], template not in ("gemma", "mistral")
            )
        return made[kind, template]

    return case


@pytest.fixture(params=[f"{kind}-{template}" for kind, template in product(TOKENIZERS, TEMPLATES)])
def case(request: pytest.FixtureRequest, case_of: Callable[[str, str], Case]) -> Case:
    """Every tokenizer with every template."""
    kind, _, template = str(request.param).partition("-")
    return case_of(kind, template)


def _with_smols_vocabulary(smol: Path) -> PreTrainedTokenizerBase:
    tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(smol)
    tokenizer.add_tokens([AddedToken(text, special=True) for text in _SPECIAL])
    tokenizer.add_tokens([AddedToken(text, special=False, normalized=False) for text in ("<think>", "</think>")])
    tokenizer.bos_token, tokenizer.eos_token = BOS, EOS
    return tokenizer


def _built(kind: str) -> PreTrainedTokenizerBase:
    backend = _byte_level() if kind in ("bytes", "spaces") else _sentencepiece_like(kind)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, bos_token=BOS, eos_token=EOS, unk_token=UNKNOWN)
    plain = ["<think>", "</think>"]
    if kind == "spaces":
        plain += ["  ", "   ", "        "]
    if kind == "runs":
        plain += ["▁▁", "▁▁▁", "\n\n"]
    tokenizer.add_tokens([AddedToken(text, special=False, normalized=False) for text in plain])
    if kind == "spaces":
        tokenizer.add_tokens([AddedToken("<mask>", special=True, lstrip=True, rstrip=True)])
    return tokenizer


def _byte_level() -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=600, special_tokens=list(_SPECIAL), initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(_CORPUS, trainer)
    return tokenizer


def _sentencepiece_like(kind: str) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE(unk_token=UNKNOWN, fuse_unk=True))
    # No piece of a real SentencePiece vocabulary goes on behind a word's end.
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always", split=True)
    trainer = trainers.BpeTrainer(vocab_size=600, special_tokens=list(_SPECIAL), show_progress=False)
    tokenizer.train_from_iterator(_CORPUS, trainer)
    raw: dict[str, Any] = json.loads(tokenizer.to_str())
    raw["pre_tokenizer"] = None
    vocabulary = raw["model"]["vocab"]
    if kind == "runs":
        for left, right in (("▁", "▁"), ("▁▁", "▁"), ("\n", "\n")):
            vocabulary[left + right] = len(vocabulary)
            raw["model"]["merges"].append([left, right])
    if kind != "unknown":
        vocabulary |= {f"<0x{byte:02X}>": len(vocabulary) + byte for byte in range(256)}
        raw["model"]["byte_fallback"] = True
    tokenizer = Tokenizer.from_str(json.dumps(raw))
    if kind == "legacy":
        tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    elif kind == "runs":
        tokenizer.normalizer = normalizers.Replace(" ", "▁")
    else:
        scheme = "always" if kind == "always" else "first"
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme=scheme, split=False)
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    return tokenizer
