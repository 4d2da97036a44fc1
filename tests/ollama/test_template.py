"""A Go template is derived from the public chat templates, or none is."""

# ruff: noqa: E501 - the templates stand as they are published

from __future__ import annotations

import json
import re
from typing import Any

import jinja2
import pytest
from jinja2.sandbox import ImmutableSandboxedEnvironment

from metahuman_core.ollama.template import GoTemplate, derive_go_template, folded

CHATML = (
    "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
LLAMA_3 = (
    "{% set loop_messages = messages %}{% for message in loop_messages %}{% set content = '<|start_header_id|>' + "
    "message['role'] + '<|end_header_id|>\n\n'+ message['content'] | trim + '<|eot_id|>' %}{% if loop.index0 == 0 %}"
    "{% set content = bos_token + content %}{% endif %}{{ content }}{% endfor %}{% if add_generation_prompt %}"
    "{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}"
)
GEMMA_2 = (
    "{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    "{% for message in messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}"
    "{% if (message['role'] == 'assistant') %}{% set role = 'model' %}{% else %}{% set role = message['role'] %}{% endif %}"
    "{{ '<start_of_turn>' + role + '\n' + message['content'] | trim + '<end_of_turn>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{'<start_of_turn>model\n'}}{% endif %}"
)
GEMMA_3 = (
    "{{ bos_token }}{%- if messages[0]['role'] == 'system' -%}{%- set first_user_prefix = messages[0]['content'] + '\n\n' -%}"
    "{%- set loop_messages = messages[1:] -%}{%- else -%}{%- set first_user_prefix = '' -%}"
    "{%- set loop_messages = messages -%}{%- endif -%}{%- for message in loop_messages -%}"
    "{%- if (message['role'] == 'assistant') -%}{%- set role = 'model' -%}{%- else -%}{%- set role = message['role'] -%}"
    "{%- endif -%}{{ '<start_of_turn>' + role + '\n' + (first_user_prefix if loop.first else '') }}"
    "{{ message['content'] | trim }}{{ '<end_of_turn>\n' }}{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{ '<start_of_turn>model\n' }}{%- endif -%}"
)
MISTRAL = (
    "{%- if messages[0]['role'] == 'system' %}{%- set system_message = messages[0]['content'] %}"
    "{%- set loop_messages = messages[1:] %}{%- else %}{%- set loop_messages = messages %}{%- endif %}{{- bos_token }}"
    "{%- for message in loop_messages %}{%- if message['role'] == 'user' %}{%- if loop.first and system_message is defined %}"
    "{{- ' [INST] ' + system_message + '\n\n' + message['content'] + ' [/INST]' }}{%- else %}"
    "{{- ' [INST] ' + message['content'] + ' [/INST]' }}{%- endif %}{%- else %}"
    "{{- ' ' + message['content'] + eos_token}}{%- endif %}{%- endfor %}"
)
MISTRAL_LAST = MISTRAL.replace("loop.first and", "loop.last and")
QWEN_3 = (
    "{%- if messages[0].role == 'system' %}{{- '<|im_start|>system\n' + messages[0].content + '<|im_end|>\n' }}{%- endif %}"
    "{%- set ns = namespace(last=messages|length - 1) %}{%- for message in messages %}"
    "{%- if message.role == 'user' %}{{- '<|im_start|>user\n' + message.content + '<|im_end|>\n' }}"
    "{%- elif message.role == 'assistant' %}{%- if loop.index0 > ns.last %}"
    "{{- '<|im_start|>assistant\n<think>\n\n</think>\n\n' + message.content }}{%- else %}"
    "{{- '<|im_start|>assistant\n' + message.content }}{%- endif %}{{- '<|im_end|>\n' }}{%- endif %}{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\n' }}"
    "{%- if enable_thinking is defined and enable_thinking is false %}{{- '<think>\n\n</think>\n\n' }}{%- endif %}{%- endif %}"
)
DATED = CHATML.replace("message['content'] +", "message['content'] ~ loop.index ~", 1)

FAMILIES = {
    "chatml": (CHATML, "", ("<|im_end|>",)),
    "llama-3": (LLAMA_3, "<|begin_of_text|>", ("<|eot_id|>",)),
    "gemma-2": (GEMMA_2, "<bos>", ("<end_of_turn>",)),
    "gemma-3": (GEMMA_3, "<bos>", ("<end_of_turn>",)),
    "mistral": (MISTRAL, "<s>", ("</s>",)),
    "qwen-3": (QWEN_3, "", ("<|im_end|>",)),
}
TALK = [
    {"role": "system", "content": 'You are "Ana".\nBe kind.'},
    {"role": "user", "content": "Hello {{ you }}!"},
    {"role": "assistant", "content": "Hi.\n\n- a list"},
    {"role": "user", "content": "Where did you go in Málaga? 🙂"},
]


def renderer(template: str, bos: str) -> Any:
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)

    def raise_exception(message: str) -> None:
        raise jinja2.TemplateError(message)

    environment.globals["raise_exception"] = raise_exception
    compiled = environment.from_string(template)

    def render(messages: list[dict[str, str]], generation: bool) -> str:
        return compiled.render(
            messages=messages, add_generation_prompt=generation, bos_token=bos, eos_token="</s>", enable_thinking=False
        )

    return render


def run_go(template: str, messages: list[dict[str, str]]) -> str:
    """Evaluate the few actions that a derived template holds, as Go would."""
    text = r'"(?:[^"\\]|\\.)*"'
    body = re.fullmatch(
        r"\{\{ range \.Messages \}\}(.*)\{\{ end \}\}\{\{ end \}\}((?:\{\{ " + text + r" \}\})?)", template
    )
    assert body
    choices = re.split(r"\{\{ (?:else )?if eq \.Role (" + text + r") \}\}", body[1])[1:]
    branches = {json.loads(role): actions for role, actions in zip(choices[::2], choices[1::2], strict=True)}

    def say(actions: str, content: str) -> str:
        parts = re.findall(r"\{\{ (" + text + r"|\.Content) \}\}", actions)
        assert "".join(f"{{{{ {part} }}}}" for part in parts) == actions
        return "".join(content if part == ".Content" else json.loads(part) for part in parts)

    return "".join(say(branches[m["role"]], m["content"]) for m in messages) + say(body[2], "")


def derived(family: str, stop: tuple[str, ...] = ()) -> GoTemplate:
    template, bos, _ = FAMILIES[family]
    found = derive_go_template(renderer(template, bos), bos, stop)
    assert found is not None
    return found


@pytest.mark.parametrize("family", FAMILIES)
def test_the_go_template_prints_what_the_jinja_template_prints(family: str) -> None:
    template, bos, _ = FAMILIES[family]
    talk = folded(TALK) if family == "gemma-2" else TALK
    wanted = renderer(template, bos)(talk, True).removeprefix(bos)
    assert run_go(derived(family).text, TALK) == wanted


@pytest.mark.parametrize("family", FAMILIES)
def test_an_answer_stops_where_the_template_closes_it(family: str) -> None:
    assert derived(family).stop == FAMILIES[family][2]


def test_the_callers_stop_strings_come_first_and_once() -> None:
    assert derived("chatml", ("<|endoftext|>", "<|im_end|>")).stop == ("<|endoftext|>", "<|im_end|>")


def test_with_thinking_off_only_the_new_answer_begins_with_an_empty_thought() -> None:
    text = run_go(derived("qwen-3").text, TALK)
    assert text.count("<think>") == 1
    assert text.endswith("<|im_start|>assistant\n<think>\n\n</think>\n\n")


def test_the_begin_token_is_left_to_ollama() -> None:
    assert "begin_of_text" not in derived("llama-3").text


def test_no_trim_marker_can_eat_a_newline() -> None:
    for family in FAMILIES:
        assert "{{-" not in derived(family).text
        assert "-}}" not in derived(family).text


@pytest.mark.parametrize(
    "template",
    [
        MISTRAL_LAST,
        DATED,
        "{{ messages[-1]['content'] }}",
        "{{ raise_exception('no') }}",
        CHATML.replace("content'] +", "content'] | upper +"),
    ],
    ids=[
        "the system text before the last turn",
        "counted turns",
        "one turn only",
        "always refused",
        "changed contents",
    ],
)
def test_a_template_that_does_more_than_put_texts_around_contents_gives_none(template: str) -> None:
    assert derive_go_template(renderer(template, ""), "") is None
