"""What goes where, and by which name: pure, from settings and a message to deliveries, and from last words to a reason.

Invariant: a name and a reason may be logged. The URL, in which anything may be a secret, is in neither.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import quote, unquote, urlsplit

from metahuman_core.settings import NotifySettings
from metahuman_daemon.service.messages import Message
from metahuman_daemon.service.notifier import NO_APPRISE, Delivery, Sign
from metahuman_daemon.visible import visible

INSTALL = "pip install 'metahuman-continuous-learning[notify]'"

_REASON_CHARS = 300
# As JSON, and be it all of control characters, a reason of that length fits into an empty pipe (64 KiB).
_BODY_BYTES = 10_000
# Shorter parts of a URL are no secrets, and would be found in words that have nothing to do with it.
_SECRET_CHARS = 3


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a delivery may take in all, a ping's try, and the pause after its first (doubled after its second)."""

    limit_s: float = 60.0
    try_s: float = 10.0
    back_off_s: float = 1.0


def messages(settings: NotifySettings, message: Message) -> Iterator[Delivery]:
    """A message to everybody who is to be told."""
    for place, url in enumerate(settings.urls, 1):
        scheme, known, _ = url.partition("://")
        name = f"{visible(scheme)}://… (the {place}. of urls)" if known else f"the {place}. of urls"
        yield Delivery(name, url, message.title, message.body, message.tone)


def pinging(url: str, sign: Sign, reason: str, patience: Patience) -> Delivery:
    """A ping; of the signs only a fail has something to say."""
    parts = urlsplit(url)
    return Delivery(
        f"{parts.scheme}://{visible(parts.hostname or '')}/… (ping_url), {sign}",
        url,
        body=reason.encode(errors="replace")[:_BODY_BYTES].decode(errors="ignore") if sign == "fail" else "",
        sign=sign,
        try_s=patience.try_s,
        back_off_s=patience.back_off_s,
    )


def reason_of(delivery: Delivery, code: int, said: bytes) -> str:
    """Why a delivery's process failed, by its last words; empty if it did not."""
    if code == 0:
        return ""
    if code == NO_APPRISE:
        return f"apprise is not installed: {INSTALL}"
    lines = said.decode(errors="replace").split("\n")
    last = next((line for line in reversed(lines) if line.strip()), "")
    if code < 0 or not last:
        return f"was killed by signal {-code}" if code < 0 else f"ended with exit status {code}"
    return visible(without_secrets(last.strip(), delivery))[:_REASON_CHARS]


def without_secrets(text: str, delivery: Delivery) -> str:
    """A text without the parts of a delivery's URL. Of a ping's, the host may be named; of Apprise's, nothing.

    In Apprise's URLs a token may stand anywhere, in the host's place too (`tgram://TOKEN/CHAT`).
    """
    rest = delivery.url.rpartition("://")[2]
    raw = {part for part in re.split(r"[/:@?&=#,;\s]+", rest) if len(part) >= _SECRET_CHARS}
    if delivery.sign:
        host = urlsplit(delivery.url)
        raw -= {host.hostname or "", str(host.port or "")}
    parts = {form for part in raw for form in (part, unquote(part), quote(part, safe=""))} - {""}
    for part in sorted(parts, key=len, reverse=True):
        text = re.sub(re.escape(part), "…", text, flags=re.IGNORECASE)
    return text
