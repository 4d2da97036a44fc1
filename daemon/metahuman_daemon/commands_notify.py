"""`notify-test`: whether those who are to be told can be reached."""

from __future__ import annotations

import typer

from metahuman_core.config import load_settings
from metahuman_core.errors import ConfigError
from metahuman_daemon.options import ConfigOption


def notify_test(config: ConfigOption = None) -> None:
    """Send a test message to everybody in notify.urls, and ping notify.ping_url (a start, then a success)."""
    from metahuman_daemon.service.notify import try_out  # structlog costs every other command 50 ms

    settings = load_settings(config).notify
    if not settings.urls and not settings.ping_url:
        raise ConfigError("nobody is to be told", "set urls or ping_url in [notify]; config.example.toml says how")
    failed = False
    for name, reason in try_out(settings):
        typer.echo(f"FAILED  {name}\n        {reason}" if reason else f"sent    {name}")
        failed = failed or bool(reason)
    if failed:
        raise typer.Exit(1)
