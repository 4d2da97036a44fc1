"""From samples to token ids, by the base's own chat template, with labels on the answer alone.

Invariants: benign text is tokenised just as `apply_chat_template` does it; no id of `added_tokens_decoder` ever comes
out of content, whatever control tokens a memory's text spells; a thinking template is used in its non-thinking mode, in
training and (by `serving_template`) in every runtime.

How: the template is rendered with sentinels in place of the contents, its control tokens are cut out of the template's
part only, and what lies between them, template and content together, is encoded by a copy of the tokenizer that knows
no added tokens. (`split_special_tokens=True` splits the template's own tokens and leaves non-special ones whole.)
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from transformers import PreTrainedTokenizerBase

from metahuman_core.dataset.samples import Sample
from metahuman_core.errors import MetahumanError
from metahuman_core.memories.model import Turn
from metahuman_core.steps.plain_tokenizer import plain_tokenizers

IGNORED = -100
# Some templates print today's date, and what changes overnight cannot be made again. The value is Llama 3.1's own.
_TEMPLATE_VARIABLES: dict[str, Any] = {"enable_thinking": False, "date_string": "26 Jul 2024"}
_NON_THINKING = "{%- set enable_thinking = false %}"
_SENTINEL = re.compile("\ue0f0(\\d+)\ue0f1")


@dataclass(frozen=True, slots=True)
class Encoded:
    """One sample: `ids` and `labels` have the same length; labels are -100 where there is no loss.

    It is trained in each `every`-th epoch, in `turn` (from 0) first.
    """

    ids: list[int]
    labels: list[int]
    every: int = 1
    turn: int = 0


@dataclass(frozen=True, slots=True)
class _Piece:
    """A stretch of rendered text; `learned` where it is the answer."""

    text: str
    content: bool
    learned: bool


class ChatEncoder:
    """Encodes conversations for one tokenizer. Raises MetahumanError for a tokenizer without template or backend."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        if not tokenizer.chat_template:
            raise MetahumanError("the base has no chat template", "take an instruct or chat model as the base")
        backend = getattr(tokenizer, "backend_tokenizer", None)
        if backend is None:
            raise MetahumanError("the base has no fast tokenizer (tokenizer.json)", "take a base that has one")
        self._tokenizer = tokenizer
        self._added = {token.content: index for index, token in tokenizer.added_tokens_decoder.items()}
        self._added_ids = frozenset(self._added.values())
        flags = {token.content: token for token in tokenizer.added_tokens_decoder.values()}
        longest_first = sorted(self._added, key=lambda text: (-len(text), text))
        patterns = (
            (r"\s*" if flags[t].lstrip else "") + re.escape(t) + (r"\s*" if flags[t].rstrip else "")
            for t in longest_first
        )
        self._control = re.compile("(" + "|".join(patterns) + ")") if longest_first else None
        self._first, self._later = plain_tokenizers(backend)
        self._system_role = self._takes_system()

    def encode(self, turns: Sequence[Turn], max_tokens: int) -> Encoded | None:
        """Encode a sample whose last turn is the answer; None if not even question and answer fit into `max_tokens`.

        Of a history that is too long the oldest turns go; an answer that is too long is cut at a paragraph or sentence.
        """
        system = [t for t in turns[:1] if t.role == "system"]
        rest = list(turns[len(system) :])
        while True:
            encoded = self._encode([*system, *rest], learn=True)
            if len(encoded.ids) <= max_tokens:
                return encoded
            if len(rest) > 2:  # noqa: PLR2004
                rest = rest[2:]
                continue
            shorter = _shorter(rest[-1].text)
            if not shorter:
                return None
            rest[-1] = Turn("assistant", shorter)

    def encode_prompt(self, turns: Sequence[Turn]) -> list[int]:
        """The ids of a conversation that waits for its answer."""
        return self._encode(turns, learn=False).ids

    def added_ids(self) -> frozenset[int]:
        """The ids that content can never become."""
        return self._added_ids

    def _encode(self, turns: Sequence[Turn], *, learn: bool) -> Encoded:
        ids: list[int] = []
        labels: list[int] = []
        run: list[_Piece] = []

        def flush() -> None:
            new_ids, new_labels = self._encode_run(run, first=not ids)
            ids.extend(new_ids)
            labels.extend(new_labels)
            run.clear()

        for piece in self._pieces(turns, learn=learn):
            if piece.content or self._control is None:
                run.append(piece)
                continue
            for part in self._control.split(piece.text):
                token = self._added.get(part, self._added.get(part.strip()))
                if token is None:
                    if part:
                        run.append(_Piece(part, content=False, learned=piece.learned))
                    continue
                flush()
                ids.append(token)
                labels.append(token if piece.learned else IGNORED)
        flush()
        return Encoded(ids, labels)

    def _pieces(self, turns: Sequence[Turn], *, learn: bool) -> list[_Piece]:
        """The rendered conversation, cut into the template's text and the contents.

        The question is rendered with the generation prompt, as a runtime will; what the template puts behind the answer
        up to its first control token (the end of the turn) is learned with it.
        """
        if not self._system_role:
            turns = _folded(turns)
        texts = [turn.text.strip() for turn in turns]
        marked = [{"role": t.role, "content": f"\ue0f0{i}\ue0f1"} for i, t in enumerate(turns)]
        prompt = self._render(marked[:-1] if learn else marked, generate=True)
        pieces = self._cut(prompt, texts)
        if not learn:
            return pieces
        whole = self._render(marked, generate=False)
        before, found, after = whole.rpartition(f"\ue0f0{len(turns) - 1}\ue0f1")
        if not found:
            raise MetahumanError("the base's chat template leaves out the assistant's answer", "take another base")
        if opening := before.removeprefix(prompt) if before.startswith(prompt) else "":
            # Mistral's prompt ends in [/INST], and its answers begin with a space: the model has to write it.
            pieces.append(_Piece(opening, content=False, learned=True))
        pieces.append(_Piece(texts[-1], content=True, learned=True))
        end = self._control.match(after.lstrip("\n")) if self._control else None
        closing = end.group(0) if end else after
        if not closing.strip():
            closing = str(self._tokenizer.eos_token or "")
        before_end = after[: len(after) - len(after.lstrip("\n"))] if end else ""
        pieces.append(_Piece(before_end + closing, content=False, learned=True))
        return pieces

    def _cut(self, rendered: str, texts: Sequence[str]) -> list[_Piece]:
        pieces = []
        for index, part in enumerate(_SENTINEL.split(rendered)):
            if index % 2:
                pieces.append(_Piece(texts[int(part)], content=True, learned=False))
            elif part:
                pieces.append(_Piece(part, content=False, learned=False))
        return pieces

    def _render(self, messages: list[dict[str, str]], *, generate: bool) -> str:
        rendered = self._tokenizer.apply_chat_template(
            messages, tokenize=False, add_generation_prompt=generate, **_TEMPLATE_VARIABLES
        )
        return str(rendered)

    def render(self, messages: list[dict[str, str]], generate: bool) -> str:
        """The template's text for messages as they are (for deriving other runtimes' templates)."""
        return self._render(messages, generate=generate)

    def _takes_system(self) -> bool:
        probe = [{"role": "system", "content": "\ue0f00\ue0f1"}, {"role": "user", "content": "\ue0f01\ue0f1"}]
        try:
            return "\ue0f00\ue0f1" in self._render(probe, generate=True)
        except Exception:  # noqa: BLE001  # a template raises what it likes for a role it does not know
            return False

    def _encode_run(self, run: list[_Piece], *, first: bool) -> tuple[list[int], list[int]]:
        text = "".join(piece.text for piece in run)
        if not text:
            return [], []
        learned: list[bool] = []
        for piece in run:
            learned += [piece.learned] * len(piece.text)
        encoding = (self._first if first else self._later).encode(text, add_special_tokens=False)
        ids: list[int] = []
        labels: list[int] = []
        for token, (start, end) in zip(encoding.ids, encoding.offsets, strict=True):
            # A token is learned if any of its characters is; one without characters goes with what follows it.
            is_learned = any(learned[start : max(end, start + 1)])
            for safe in self._without_added(token, text[start:end]):
                ids.append(safe)
                labels.append(safe if is_learned else IGNORED)
        return ids, labels

    def _without_added(self, token: int, text: str) -> list[int]:
        """A token as it is, or spelt in smaller ones where its id is a control token's (or the unknown token's)."""
        if token not in self._added_ids:
            return [token]
        spelt = (i for char in text for i in self._later.encode(char, add_special_tokens=False).ids)
        return [i for i in spelt if i not in self._added_ids]


def _folded(turns: Sequence[Turn]) -> list[Turn]:
    """The system's text before the first question, for templates without a system role (as Ollama is told, too)."""
    system = [t.text.strip() for t in turns if t.role == "system"]
    rest = [t for t in turns if t.role != "system"]
    if system and rest:
        rest[0] = Turn(rest[0].role, "\n\n".join([*system, rest[0].text.strip()]))
    return rest


def serving_template(template: str) -> str:
    """The chat template for runtimes that cannot be told not to think: what was trained is what is served."""
    return _NON_THINKING + template if "enable_thinking" in template else template


def _shorter(text: str) -> str:
    """The text without its last paragraph, or else its last sentence, or else its last half; "" for a single word."""
    for separator in ("\n\n", "\n", ". ", " "):
        head, found, _ = text.rpartition(separator) if separator != " " else (text[: len(text) // 2], " ", "")
        if found and head.strip():
            return head.strip() + ("." if separator == ". " else "")
    return ""


def encode_samples(encoder: ChatEncoder, samples: Iterable[Sample], max_tokens: int) -> Iterator[Encoded]:
    """Encode samples, one after the other; one that cannot fit at all is left out."""
    encoded = ((sample, encoder.encode(sample.turns, max_tokens)) for sample in samples)
    return (replace(e, every=sample.every, turn=sample.turn) for sample, e in encoded if e is not None)
