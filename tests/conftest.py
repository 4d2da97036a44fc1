"""What holds for all tests: no example of a property test is too slow, for a machine may be busy with other things."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")


@pytest.fixture
def hears_ctrl_c() -> Iterator[None]:
    """A shell's `make test &` leaves us deaf to Ctrl-C: in this test we hear it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
