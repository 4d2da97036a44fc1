"""Delivers one message or one ping, in a process of its own, so that apprise's 30 MB and a slow server end with it.

`python -m metahuman_daemon.service.notifier`, with a Delivery as one JSON object on stdin. It is never on argv, which
everybody on the machine can read: the URLs hold secrets. Exit status 0: delivered; 1: not, and the last line on stderr
is the reason (it may name parts of the URL: whoever reads it takes them out); 69: apprise is not there.
"""

from __future__ import annotations

import json
import logging
import signal
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit, urlunsplit

if TYPE_CHECKING:
    import httpx

Sign = Literal["start", "success", "fail"]

# EX_UNAVAILABLE of sysexits.h.
NO_APPRISE = 69

_LIFE_S = 90
_TRIES = 3
_REDIRECTS = 5
_ANSWER_BYTES = 200
_TOO_MANY, _SERVER_ERRORS = 429, 500
# What healthchecks.io answers, with status 200, about a check that it does not know.
_UNKNOWN_CHECK = b"OK (not found)"


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message to one of Apprise's URLs, or (where there is a sign) one ping of a URL. `name` is fit for a log."""

    name: str
    url: str = field(repr=False)
    title: str = ""
    body: str = ""
    tone: str = "info"
    sign: Sign | None = None
    try_s: float = 10.0
    back_off_s: float = 1.0


def main() -> int:
    """Deliver what stdin says. Gives the exit status."""
    delivery = Delivery(**json.load(sys.stdin))
    # Whoever started us kills us when we take too long; if it has ended, the kernel does.
    signal.alarm(_LIFE_S)
    try:
        reason = _ping(delivery, delivery.sign) if delivery.sign else _send(delivery)
    except _NoAppriseError:
        return NO_APPRISE
    except Exception as error:  # noqa: BLE001  # whatever a plugin raises is a reason
        reason = f"{type(error).__name__}: {error}"
    if reason:
        sys.stderr.write("\n" + " ".join(reason.split()) + "\n")
    return 1 if reason else 0


class _NoAppriseError(Exception):
    """The extra is not installed, or not whole."""


def _send(delivery: Delivery) -> str:
    """Send a message; gives the reason why it could not be, else nothing."""
    try:
        import apprise
    except ImportError as error:
        raise _NoAppriseError from error
    said = _Said()
    # Its reasons are in its log alone. From WARNING on: payloads and whole URLs are at DEBUG.
    logger = logging.getLogger("apprise")
    logger.addHandler(said)
    logger.setLevel(logging.WARNING)
    target = apprise.Apprise(asset=apprise.AppriseAsset(app_id="MetaHuman", app_desc="MetaHuman", async_mode=False))
    if not target.add(delivery.url):
        return "apprise does not understand this URL: see https://github.com/caronc/apprise/wiki"
    sent = target.notify(
        title=delivery.title,
        body=delivery.body,
        notify_type=delivery.tone,
        # Reasons may look like markup, and are none.
        body_format=apprise.NotifyFormat.TEXT,
    )
    return "" if sent else "; ".join(dict.fromkeys(said.lines)) or "the service did not take it"


class _Said(logging.Handler):
    """Keeps what a library logs."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


def signed(url: str, sign: Sign) -> str:
    """The address of a sign, as healthchecks.io has them: /start, nothing, or /fail behind the path."""
    parts = urlsplit(url)
    behind = {"start": "/start", "success": "", "fail": "/fail"}[sign]
    return urlunsplit(parts._replace(path=parts.path.rstrip("/") + behind if behind else parts.path, fragment=""))


def _ping(delivery: Delivery, sign: Sign) -> str:
    """Ask a URL, three times at most; gives the reason why nobody heard, else nothing."""
    import httpx

    url, reason = signed(delivery.url, sign), ""
    with httpx.Client(timeout=delivery.try_s, headers={"User-Agent": "metahuman"}) as client:
        for tried in range(_TRIES):
            if tried:
                time.sleep(delivery.back_off_s * 2 ** (tried - 1))
            body = delivery.body.encode()
            request = client.build_request("POST" if body else "GET", url, content=body or None)
            try:
                reason, again = _ask(client, request)
            except (httpx.TransportError, httpx.StreamError) as error:
                reason, again = f"{type(error).__name__}: {error}", True
            if not again:
                break
    return reason


def _ask(client: httpx.Client, request: httpx.Request) -> tuple[str, bool]:
    """Why a request failed (nothing if it did not), and whether it is worth another try."""
    import httpx

    for _ in range(_REDIRECTS + 1):
        response = client.send(request, stream=True, follow_redirects=False)
        answer = b""
        # The status has said enough: what comes of a body, if anything, is only looked at.
        with suppress(httpx.HTTPError):
            answer = next(response.iter_bytes(_ANSWER_BYTES), b"")
        response.close()
        if response.next_request is None:
            break
        before, after = request.url.scheme, response.next_request.url.scheme
        # Down to http the secret in the path would be there for all to read.
        if after not in {before, "https"}:
            return f"redirected from {before} to {after}, which is not followed", False
        request = response.next_request
    else:
        return f"more than {_REDIRECTS} redirects", False
    if answer.startswith(_UNKNOWN_CHECK):
        return "the server knows no such check", False
    status = response.status_code
    failed = "" if response.is_success else f"HTTP {status} {response.reason_phrase}".strip()
    return failed, status == _TOO_MANY or status >= _SERVER_ERRORS


if __name__ == "__main__":
    sys.exit(main())
