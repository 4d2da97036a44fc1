"""Talks to a GGUF: `python -m metahuman_core.steps.talk_main GGUF NUM_CTX`, JSON lines in, JSON lines out.

In: `{"messages": [{"role", "content"}, …], "temperature": 0.7, "max_tokens": 256}`. Out: `{"ready": true}` once, then
for each request `{"text": …}` as it comes and `{"done": true}`, or `{"error": …}`.

What a person types is text, like in training: it cannot become a control token.
"""

from __future__ import annotations

import codecs
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import llama_cpp
from jinja2.sandbox import ImmutableSandboxedEnvironment

from metahuman_core.ollama.template import folded
from metahuman_core.steps.open_gguf import open_gguf

_SENTINEL = "\ue0f0{}\ue0f1"


class Talker:
    """A loaded GGUF with its own chat template."""

    def __init__(self, gguf: str, num_ctx: int) -> None:
        self._model = open_gguf(Path(gguf), n_ctx=num_ctx)
        self._vocab = llama_cpp.llama_model_get_vocab(self._model.model)
        environment = ImmutableSandboxedEnvironment(
            trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
        )
        environment.globals["raise_exception"] = _raise
        self._template = environment.from_string(self._model.metadata["tokenizer.chat_template"])

    def answer(self, messages: list[dict[str, str]], temperature: float, max_tokens: int) -> Iterator[str]:
        """The answer, piece by piece."""
        prompt = self._prompt(messages)
        room = self._model.n_ctx() - len(prompt)
        if room < 1:
            raise ValueError("the conversation is longer than the context")
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        for count, token in enumerate(self._model.generate(prompt, temp=temperature)):
            if llama_cpp.llama_vocab_is_eog(self._vocab, token) or count >= min(max_tokens, room):
                break
            if piece := decoder.decode(self._model.detokenize([token], special=False)):
                yield piece
        yield decoder.decode(b"", final=True)

    def _prompt(self, messages: list[dict[str, str]]) -> list[int]:
        contents = [m["content"].strip() for m in messages]
        if all(self._tokens(c, control=True) == self._tokens(c, control=False) for c in contents):
            return self._tokens(self._render(messages, contents), control=True)
        rendered = self._render(messages, [_SENTINEL.format(i) for i in range(len(contents))])
        tokens: list[int] = []
        for index, content in enumerate(contents):
            before, _, rendered = rendered.partition(_SENTINEL.format(index))
            tokens += self._tokens(before, control=True) + self._tokens(content, control=False)
        return tokens + self._tokens(rendered, control=True)

    def _render(self, messages: list[dict[str, str]], contents: list[str]) -> str:
        said = [{"role": m["role"], "content": c} for m, c in zip(messages, contents, strict=True)]
        try:
            return self._with(said)
        except ValueError:
            # A template without a system role says so by raising; in training it was folded likewise.
            return self._with(folded(said))

    def _with(self, messages: list[dict[str, str]]) -> str:
        return self._template.render(
            messages=messages,
            add_generation_prompt=True,
            enable_thinking=False,
            date_string="26 Jul 2024",
            bos_token=self._piece(self._model.token_bos()),
            eos_token=self._piece(self._model.token_eos()),
        )

    def _piece(self, token: int) -> str:
        return self._model.detokenize([token], special=True).decode(errors="replace") if token >= 0 else ""

    def _tokens(self, text: str, *, control: bool) -> list[int]:
        return list(self._model.tokenize(text.encode(), add_bos=False, special=control)) if text else []


def _raise(message: str) -> None:
    raise ValueError(message)


def _say(**line: Any) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def main(gguf: str, num_ctx: int) -> None:
    """Answer until the input ends."""
    talker = Talker(gguf, num_ctx)
    _say(ready=True)
    for line in sys.stdin:
        request = json.loads(line)
        try:
            for piece in talker.answer(request["messages"], request["temperature"], request["max_tokens"]):
                _say(text=piece)
            _say(done=True)
        except ValueError as error:
            _say(error=str(error))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
