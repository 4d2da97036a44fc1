"""Conversations as chat services export them: one exchange is one memory.

Invariant: a unit is named by the conversation's and the message's own ids (their places in the file where they have
none), so that an export that has grown names what it held before the same.

With the large services the assistant is somebody else's model, and the person the user: their exchanges are `dual`,
what the person wrote is learned. ShareGPT is a format for training, where the answer is what is to be learned.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from metahuman_core.memories.labels import line, part
from metahuman_core.memories.messages import Message, exchanges, role_of, turn_of, words
from metahuman_core.memories.origin import UnitNames
from metahuman_core.memories.when import first_moment, moment, path_moment

if TYPE_CHECKING:
    from collections.abc import Iterator

    from metahuman_core.memories.origin import Origin, Outcome
    from metahuman_core.memories.strict_json import JsonObject

_ID_CHARS = 100  # longer ones are no ids; a unit's name is a key in the ledger
_WRITTEN = ("text", "multimodal_text")


def conversation_id(conversation: JsonObject) -> str:
    """The conversation's own id ("" if it has none)."""
    return _id(conversation, "conversation_id", "id", "uuid")


def is_tree(conversation: JsonObject) -> bool:
    """ChatGPT: `{mapping: {id: {message, parent, children}}, current_node}`."""
    return isinstance(conversation.get("mapping"), dict)


def read_tree(conversation: JsonObject, origin: Origin) -> Iterator[Outcome]:
    """The exchanges on the branch that the person last looked at; abandoned branches are left out."""
    started = first_moment(conversation.get("create_time")) or path_moment(origin.source)
    return exchanges(_tree_messages(conversation, started), origin, line(conversation, "title").strip(), "dual")


def is_list(conversation: JsonObject) -> bool:
    """A plain list: `{uuid, name, chat_messages: [{uuid, sender, text, content: [{type, text}], created_at}]}`."""
    return isinstance(conversation.get("chat_messages"), list)


def read_list(conversation: JsonObject, origin: Origin) -> Iterator[Outcome]:
    """The exchanges of a conversation that is a plain list."""
    started = first_moment(conversation.get("created_at")) or path_moment(origin.source)
    return exchanges(_list_messages(conversation, started), origin, line(conversation, "name").strip(), "dual")


def is_sharegpt(conversation: JsonObject) -> bool:
    """ShareGPT: `{conversations: [{from, value}]}`."""
    return isinstance(conversation.get("conversations"), list)


def read_sharegpt(conversation: JsonObject, origin: Origin) -> Iterator[Outcome]:
    """The exchanges of a conversation whose messages have no ids: their places stand for them."""
    at = first_moment(conversation.get("timestamp"), conversation.get("create_time")) or path_moment(origin.source)
    messages = (
        Message(str(place), turn.role, turn.text, at)
        for place, item in enumerate(conversation["conversations"])
        if (turn := turn_of(item))
    )
    return exchanges(messages, origin, line(conversation, "title").strip())


def is_conversation(value: JsonObject) -> bool:
    """Whether this is a whole conversation of an export, which may be larger than a memory."""
    return is_tree(value) or is_list(value) or is_sharegpt(value)


def _tree_messages(conversation: JsonObject, started: Any) -> Iterator[Message]:
    units = UnitNames()
    for node_id, node in _branch(conversation):
        message = part(node, "message")
        role, text = role_of(part(message, "author").get("role")), _written(message)
        if role and text:
            at = moment(message.get("create_time")) or started
            yield Message(units.name(_id(message, "id") or node_id[:_ID_CHARS]), role, text, at)


def _written(message: JsonObject) -> str:
    """What one side wrote to the other; "" for calls to tools, hidden instructions, code and pictures."""
    content = part(message, "content")
    is_hidden = part(message, "metadata").get("is_visually_hidden_from_conversation") is True
    is_call = message.get("recipient", "all") not in ("all", None)
    if is_hidden or is_call or content.get("content_type", "text") not in _WRITTEN:
        return ""
    parts = content.get("parts")
    return words([piece for piece in parts if isinstance(piece, str)] if isinstance(parts, list) else "")


def _branch(conversation: JsonObject) -> list[tuple[str, JsonObject]]:
    """The nodes from the root to the current one."""
    nodes = {key: node for key, node in conversation["mapping"].items() if isinstance(node, dict)}
    node_id = conversation.get("current_node")
    if not isinstance(node_id, str) or node_id not in nodes:
        return _last_children(nodes)
    branch: dict[str, JsonObject] = {}
    while isinstance(node_id, str) and node_id in nodes and node_id not in branch:  # a broken tree may go in circles
        branch[node_id] = nodes[node_id]
        node_id = nodes[node_id].get("parent")
    return list(reversed(branch.items()))


def _last_children(nodes: dict[str, JsonObject]) -> list[tuple[str, JsonObject]]:
    """From the root always on to the newest child: where a person goes on is what was edited last."""
    node_id = next((key for key, node in nodes.items() if not _is_in(nodes, node.get("parent"))), None)
    branch: dict[str, JsonObject] = {}
    while node_id is not None and node_id not in branch:
        branch[node_id] = nodes[node_id]
        children = nodes[node_id].get("children")
        known = [child for child in children if _is_in(nodes, child)] if isinstance(children, list) else []
        node_id = known[-1] if known else None
    return list(branch.items())


def _is_in(nodes: dict[str, JsonObject], key: Any) -> bool:
    return isinstance(key, str) and key in nodes


def _list_messages(conversation: JsonObject, started: Any) -> Iterator[Message]:
    units = UnitNames()
    for place, message in enumerate(conversation["chat_messages"]):
        if not isinstance(message, dict):
            continue
        role = role_of(message.get("sender"))
        # `text` is the older field: beside blocks it repeats them, with notes in place of what it cannot show.
        text = words(message.get("content")).strip() or words(message.get("text")).strip()
        if role and text:
            at = moment(message.get("created_at")) or started
            yield Message(units.name(_id(message, "uuid", "id") or str(place)), role, text, at)


def _id(holder: JsonObject, *keys: str) -> str:
    found = line(holder, *keys)
    return found if len(found) <= _ID_CHARS else ""
