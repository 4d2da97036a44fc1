"""Where an Ollama server is: what OLLAMA_HOST means."""

from __future__ import annotations

import ipaddress
import urllib.parse

from metahuman_core.errors import MetahumanError


def base_url(host: str | None) -> str:
    """The address that OLLAMA_HOST means, as Ollama's own clients read it.

    `http://h` is port 80 and `h` port 11434. 0.0.0.0 is where a server listens; a client goes to 127.0.0.1.
    """
    scheme, found, rest = (host or "").strip().partition("://")
    if not found:
        scheme, rest = "http", (host or "").strip()
    default = {"http": 80, "https": 443}.get(scheme, 11434) if found else 11434
    try:
        split = urllib.parse.urlsplit(f"{scheme}://{rest}")
        name, port = split.hostname or "127.0.0.1", split.port or default
    except ValueError:
        raise MetahumanError(f"{host!r} is no address of an Ollama server", "for example 127.0.0.1:11434") from None
    name = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(name, name)  # noqa: S104 - not bound to, replaced
    name = f"[{name}]" if ":" in name else name
    path = split.path.strip("/")
    return f"{scheme}://{name}:{port}" + (f"/{path}" if path else "")


def is_loopback(url: str) -> bool:
    """Whether an address is this machine's own."""
    name = urllib.parse.urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name == "localhost"
