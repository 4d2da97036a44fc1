"""What people are told, and what is kept out of it."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from metahuman_core.settings import NotifySettings
from metahuman_daemon.service.deliveries import Patience, messages, pinging, reason_of, without_secrets
from metahuman_daemon.service.messages import TEST, Event, Message, is_low, message_for
from metahuman_daemon.service.notifier import NO_APPRISE, signed

ALL = NotifySettings().on
GB = 1_000_000_000


def told(event: Event) -> Message:
    message = message_for(event, ALL)
    assert message is not None
    return message


# --- messages -------------------------------------------------------------------------------------------------------


def test_a_new_version_is_told_with_what_it_learned() -> None:
    message = told(Event("success", "anna", version=7, memories=214))
    assert message == Message("anna: version 7 is live", "It learned 214 new memories.", "success")
    assert told(Event("success", "anna", version=7, memories=1)).body == "It learned 1 new memory."


def test_a_rejected_version_is_told_with_its_reasons() -> None:
    message = told(
        Event("rejected", "anna", version=8, memories=20, reasons=("old: 1.2 instead of 1.0 bits per byte",))
    )
    assert (message.title, message.tone) == ("anna: version 8 did not pass", "warning")
    assert "- old: 1.2 instead of 1.0 bits per byte" in message.body
    assert "20 new memories stay due" in message.body


def test_a_cycle_that_broke_off_is_told_with_the_way_out() -> None:
    message = told(Event("failed", "anna", reasons=("No space left on device",), hint="make room"))
    assert (message.title, message.tone) == ("anna: a cycle broke off", "failure")
    assert message.body.endswith("- No space left on device\nWhat to do: make room")


def test_a_version_that_ollama_did_not_take_is_told_as_such() -> None:
    assert told(Event("failed", "anna", version=7)).title == "anna: Ollama did not take version 7"


def test_a_disk_that_gets_low_is_told_with_what_is_free() -> None:
    message = told(Event("disk", free_bytes=4_200_000_000))
    assert (message.title, message.body) == ("MetaHuman: the disk is low", "4.2 GB are free.")


def test_only_what_somebody_wants_to_hear_is_told() -> None:
    assert message_for(Event("success", "anna", version=1), ("failed", "disk")) is None
    assert message_for(Event("failed", "anna"), ()) is None


def test_a_message_is_of_bounded_length_and_prints() -> None:
    message = told(Event("failed", "an\x1bna", reasons=("a\nb\x1b[31m" + "x" * 9_999,) * 99, hint="y" * 9_999))
    assert len(message.body) < 5_000
    assert "- and 89 more" in message.body
    assert (message.title + message.body).replace("\n", "").isprintable()


# --- the disk -------------------------------------------------------------------------------------------------------


def test_a_disk_is_low_from_the_mark_until_ten_percent_above_it() -> None:
    was, seen = False, []
    for free_gb in (6.0, 5.0, 5.1, 5.4, 5.6, 5.1, 4.9):
        was = is_low(int(free_gb * GB), 5.0, was_low=was)
        seen.append(was)
    assert seen == [False, True, True, True, False, False, True]


def test_without_a_mark_no_disk_is_low() -> None:
    assert not is_low(0, 0.0, was_low=False)


# --- names and secrets ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "secrets"),
    [
        ("tgram://123456:AAtoken/98765", ("123456", "AAtoken", "98765")),
        (
            "mailto://anna:p%40ssword@mail.example.org?to=b@example.net",
            ("anna", "p%40ssword", "p@ssword", "example.net"),
        ),
        ("json://user:geheim@server/path?-X-Token=t0ken", ("geheim", "user", "t0ken", "server")),
        ("https://discord.com/api/webhooks/4711/AbCdEf", ("4711", "AbCdEf")),
        ("no-scheme-but-secret", ("no-scheme-but-secret",)),
    ],
)
def test_no_part_of_an_apprise_url_is_in_its_name_or_a_reason(url: str, secrets: tuple[str, ...]) -> None:
    (delivery,) = messages(NotifySettings(urls=(url,)), TEST)
    reason = reason_of(delivery, 1, f"could not reach {url}, {url.upper()}: {' '.join(secrets)}\n".encode())
    assert reason.startswith("could not reach ")
    for shown in (reason, delivery.name, repr(delivery)):
        assert [secret for secret in secrets if secret.lower() in shown.lower()] == []


def test_of_a_ping_the_host_may_be_named() -> None:
    delivery = pinging("https://me:pw-secret@hc.example.org:8443/ping/uuid-4711?create=1", "fail", "why", Patience())
    assert delivery.name == "https://hc.example.org/… (ping_url), fail"
    said = without_secrets("https://me:pw-secret@hc.example.org:8443/ping/uuid-4711/fail: HTTP 404", delivery)
    assert "hc.example.org" in said
    assert "HTTP 404" in said
    assert "secret" not in said + repr(delivery)
    assert "4711" not in said


def test_the_last_words_of_a_process_are_the_reason() -> None:
    (delivery,) = messages(NotifySettings(urls=("json://host",)), TEST)
    assert reason_of(delivery, 0, b"a warning of a library\n") == ""
    assert reason_of(delivery, 1, b"noise\n\nHTTP 500\x1b[0m\n") == r"HTTP 500\x1b[0m"
    assert reason_of(delivery, 1, b"") == "ended with exit status 1"
    assert reason_of(delivery, -9, b"half a li") == "was killed by signal 9"
    assert "pip install 'metahuman-continuous-learning[notify]'" in reason_of(delivery, NO_APPRISE, b"")


def test_a_sign_stands_behind_the_path() -> None:
    assert signed("https://hc-ping.com/uuid", "start") == "https://hc-ping.com/uuid/start"
    assert signed("https://hc-ping.com/uuid/", "fail") == "https://hc-ping.com/uuid/fail"
    assert signed("https://hc-ping.com/key/slug?create=1", "fail") == "https://hc-ping.com/key/slug/fail?create=1"
    assert signed("https://hc-ping.com/uuid/", "success") == "https://hc-ping.com/uuid/"


# --- the settings ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("url", ["", "https://hc-ping.com/uuid", "http://[::1]:8000/ping", "http://10.0.0.2/x?y=1"])
def test_a_ping_url_is_an_address_of_the_web_or_nothing(url: str) -> None:
    assert NotifySettings(ping_url=url).ping_url == url


@pytest.mark.parametrize(
    "url",
    ["hc-ping.com/uuid", "ftp://host/x", "https://", "http:///x", "http://[::1/x", "http://h:99999/", "http://h/a b",
     "http://h/\n", "file:///etc/passwd"],
)  # fmt: skip
def test_another_ping_url_is_refused_without_being_repeated(url: str) -> None:
    with pytest.raises(ValidationError) as refused:
        NotifySettings(ping_url=url)
    (fault,) = refused.value.errors()
    assert (fault["loc"], "like https://" in fault["msg"]) == (("ping_url",), True)
    assert url not in fault["msg"].removesuffix("like https://hc-ping.com/your-check, or empty")


def test_settings_that_are_printed_show_no_secret() -> None:
    assert "secret" not in repr(NotifySettings(urls=("tgram://secret",), ping_url="https://h/secret"))
