"""Whether somebody uses Ollama is told by what is loaded, and until when."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from metahuman_core.ollama.shown import Listed
from metahuman_core.ollama.use import Use

NOON = datetime(2025, 3, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
FOR_EVER = NOON + timedelta(days=100_000)


def model(expires_at: datetime | None, name: str = "anna:latest") -> Listed:
    return Listed(name, "digest", 1, expires_at=expires_at)


def use(*looks: tuple[datetime, list[Listed]]) -> Use:
    made = Use(5 * MINUTE)
    for now, loaded in looks:
        made.saw(loaded, now)
    return made


def test_what_was_never_looked_at_is_not_in_use() -> None:
    assert not use().is_in_use(NOON)


def test_nothing_loaded_is_no_use() -> None:
    assert not use((NOON, []), (NOON + MINUTE, [])).is_in_use(NOON + MINUTE)


def test_at_first_sight_what_goes_soon_was_used_lately() -> None:
    made = use((NOON, [model(NOON + 4 * MINUTE)]))
    assert made.is_in_use(NOON)
    assert made.is_in_use(NOON + 4 * MINUTE)
    assert not made.is_in_use(NOON + 5 * MINUTE)


def test_at_first_sight_what_is_kept_for_ever_says_nothing() -> None:
    assert not use((NOON, [model(FOR_EVER), model(None, "other")])).is_in_use(NOON)


def test_a_time_that_has_moved_is_a_use_though_it_is_kept_for_ever() -> None:
    made = use((NOON, [model(FOR_EVER)]), (NOON + MINUTE, [model(FOR_EVER + MINUTE)]))
    assert made.is_in_use(NOON + MINUTE)


def test_a_time_that_stands_still_is_none() -> None:
    made = use(*((NOON + n * MINUTE, [model(NOON + 30 * MINUTE)]) for n in range(10)))
    assert made.is_in_use(NOON + 4 * MINUTE)
    assert not made.is_in_use(NOON + 9 * MINUTE)


def test_a_model_that_appears_is_being_used() -> None:
    assert use((NOON, []), (NOON + MINUTE, [model(None)])).is_in_use(NOON + MINUTE)


def test_a_model_that_goes_is_no_use() -> None:
    made = use((NOON, [model(FOR_EVER)]), (NOON + MINUTE, []))
    assert not made.is_in_use(NOON + MINUTE)


def test_a_model_that_outstays_its_time_is_writing_a_long_answer() -> None:
    """Ollama moves the time when an answer has ended."""
    loaded = [model(NOON + 5 * MINUTE)]
    made = use(*((NOON + n * MINUTE, loaded) for n in range(12)))
    assert made.is_in_use(NOON + 11 * MINUTE)


def test_what_we_loaded_ourselves_is_no_use() -> None:
    made = use((NOON, []))
    made.forget([model(NOON + 5 * MINUTE)])
    made.saw([model(NOON + 5 * MINUTE)], NOON + MINUTE)
    assert not made.is_in_use(NOON + MINUTE)
    made.saw([model(NOON + 7 * MINUTE)], NOON + 2 * MINUTE)
    assert made.is_in_use(NOON + 2 * MINUTE), "somebody else went on with it"


def test_a_server_that_comes_back_with_a_model_is_in_use() -> None:
    made = use((NOON, [model(FOR_EVER)]), (NOON + MINUTE, []), (NOON + 2 * MINUTE, [model(FOR_EVER)]))
    assert made.is_in_use(NOON + 2 * MINUTE)


def test_a_clock_that_is_put_back_does_not_keep_it_in_use_for_ever() -> None:
    made = use((NOON, []), (NOON + MINUTE, [model(None)]))
    assert not made.is_in_use(NOON - timedelta(days=365))


def test_a_model_that_we_ask_is_no_use_while_others_are() -> None:
    made = Use(5 * MINUTE)
    made.saw([], NOON)
    for n in range(1, 4):
        made.saw([model(NOON + n * MINUTE, "ours")], NOON + n * MINUTE, lambda listed: listed.name == "ours")
    assert not made.is_in_use(NOON + 3 * MINUTE)
    made.saw([model(NOON + 9 * MINUTE), model(NOON, "ours")], NOON + 4 * MINUTE, lambda listed: listed.name == "ours")
    assert made.is_in_use(NOON + 4 * MINUTE)
