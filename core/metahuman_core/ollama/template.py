"""A Go template for Ollama before 0.30, derived from the model's Jinja chat template.

Those servers do not look at the Jinja template in a GGUF. It is probed with contents that can be found again, and what
stands between them is what a Go template must print. Invariant: a template is returned only if its pieces reproduce
the Jinja rendering of every conversation in `_trials`; else None, and such a server is not published to.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass

Render = Callable[[list[dict[str, str]], bool], str]
"""(messages, with the generation prompt) -> text; it raises for what the template refuses."""

_SYSTEM, _USER, _ANSWER, _USER_2, _ANSWER_2 = "S0qzq", "U1qzq", "A1qzq", "U2qzq", "A2qzq"


@dataclass(frozen=True, slots=True)
class GoTemplate:
    """A template in Go's language, and the strings at which an answer ends."""

    text: str
    stop: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Pieces:
    """What stands around the contents. The end of a user's turn belongs to the answer that follows it."""

    open_system: str
    close_system: str
    open_user: str
    open_answer: str
    close_answer: str
    generation: str
    """In place of `open_answer` where the model goes on; Qwen3 with thinking off puts an empty thought here."""

    def render(self, messages: list[dict[str, str]]) -> str:
        """What the Go template prints."""
        around = {
            "system": (self.open_system, self.close_system),
            "user": (self.open_user, ""),
            "assistant": (self.open_answer, self.close_answer),
        }
        turns = (around[m["role"]][0] + m["content"] + around[m["role"]][1] for m in messages)
        return "".join(turns) + self.generation

    def to_go(self) -> str:
        """The template. It holds actions only, texts as Go strings: so no trim marker can eat a newline."""
        system = f"{_go(self.open_system)}{{{{ .Content }}}}{_go(self.close_system)}"
        user = f"{_go(self.open_user)}{{{{ .Content }}}}"
        answer = f"{_go(self.open_answer)}{{{{ .Content }}}}{_go(self.close_answer)}"
        return (
            '{{ range .Messages }}{{ if eq .Role "system" }}' + system
            + '{{ else if eq .Role "user" }}' + user
            + '{{ else if eq .Role "assistant" }}' + answer
            + "{{ end }}{{ end }}" + _go(self.generation)
        )  # fmt: skip


def derive_go_template(render: Render, bos: str, stop: Iterable[str] = ()) -> GoTemplate | None:
    """Derive the template, or None where the Jinja template does more than put texts around contents.

    Our models always have a system message. Where the template refuses one, its text is put in front of the first
    user's, a blank line between, as the training does.

    Args:
        render: the chat template.
        bos: the token that Ollama puts in front by itself; it is taken off.
        stop: strings that end an answer in any case; what closes an answer in the template is added.
    """
    known = _takes_system(render)

    def rendered(messages: list[dict[str, str]], *, generation: bool = True) -> str:
        return render(messages if known else folded(messages), generation).removeprefix(bos)

    try:
        end = rendered(_conversation(_SYSTEM, _USER, _ANSWER), generation=False).partition(_ANSWER)[2]
        pieces = _probe(rendered(_conversation(_SYSTEM, _USER, _ANSWER, _USER_2)), end)
        if pieces is None or any(pieces.render(trial) != rendered(trial) for trial in _trials()):
            return None
    except Exception:  # noqa: BLE001 - whatever a template raises, it cannot be derived from
        return None
    stops = dict.fromkeys([*stop, *_first_token(end)])
    return GoTemplate(pieces.to_go(), tuple(text for text in stops if text))


def folded(messages: list[dict[str, str]]) -> list[dict[str, str]]:
    """The conversation with its system message inside the first user's."""
    if messages[0]["role"] != "system":
        return messages
    first = {"role": "user", "content": f"{messages[0]['content']}\n\n{messages[1]['content']}"}
    return [first, *messages[2:]]


def _takes_system(render: Render) -> bool:
    try:
        text = render(_conversation(_SYSTEM, _USER), True)
    except Exception:  # noqa: BLE001 - jinja2.TemplateError and whatever else raise_exception makes of it
        return False
    return _SYSTEM in text


def _probe(text: str, end: str) -> Pieces | None:
    """Cut a rendering at its contents. `end` is what stands behind an answer that is the last turn."""
    segments = []
    for content in (_SYSTEM, _USER, _ANSWER, _USER_2):
        segment, found, text = text.partition(content)
        if not found:
            return None  # changed, or in another order
        segments.append(segment)
    to_system, to_user, to_answer, to_user_2 = segments
    open_user = to_user_2.removeprefix(end)
    if not to_user.endswith(open_user):  # the system text stands inside the first user's turn
        open_user = _common_end(to_user, to_user_2)
    return Pieces(
        open_system=to_system,
        close_system=to_user.removesuffix(open_user),
        open_user=open_user,
        open_answer=to_answer,
        close_answer=to_user_2.removesuffix(open_user),
        generation=text,
    )


def _common_end(one: str, other: str) -> str:
    length = 0
    while length < min(len(one), len(other)) and one[-length - 1] == other[-length - 1]:
        length += 1
    return one[len(one) - length :]


def _conversation(system: str, *turns: str) -> list[dict[str, str]]:
    roles = ["user", "assistant"] * len(turns)
    said = [{"role": role, "content": turn} for role, turn in zip(roles, turns, strict=False)]
    return [{"role": "system", "content": system}, *said]


def _trials() -> list[list[dict[str, str]]]:
    """Conversations that the pieces must print as the Jinja template does."""
    return [
        _conversation("You are Ana.", "Who are you?"),
        _conversation("Be brief.\nBe kind.", "Hello!", "Hi.\n\nHow are you?", "Fine {{ thanks }}. <b>You</b>?"),
        _conversation(_SYSTEM, _USER, _ANSWER, _USER_2, _ANSWER_2, "Where was it? \u201cThere\u201d, said \u00c1na."),
    ]


def _first_token(close: str) -> list[str]:
    """The special token that ends an answer: what stands in brackets at the start of its close."""
    text = close.strip()
    end = text.find(">")
    return [text[: end + 1]] if text.startswith("<") and end > 0 else []


def _go(text: str) -> str:
    """An action that prints `text`; its JSON form is a Go string, for letters outside of ASCII stay as they are."""
    return f"{{{{ {json.dumps(text, ensure_ascii=False)} }}}}" if text else ""
