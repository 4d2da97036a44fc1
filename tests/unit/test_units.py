"""`metahuman unit` prints what is shipped, with the program that printed it."""

from __future__ import annotations

from pathlib import Path

import pytest

from metahuman_core.shipped import shipped
from metahuman_daemon.commands_units import Which, unit_text

OPT = Path("/opt/metahuman/bin/metahuman")


def test_the_service_in_its_own_place_is_printed_as_shipped() -> None:
    assert unit_text(Which.SERVICE, OPT) == shipped("systemd/metahuman.service").read_text(encoding="utf-8")


@pytest.mark.parametrize("which", [Which.SERVICE, Which.USER])
@pytest.mark.parametrize(
    ("program", "word"),
    [
        ("/srv/mh/bin/metahuman", "/srv/mh/bin/metahuman"),
        ("/srv/my models/bin/metahuman", '"/srv/my models/bin/metahuman"'),
        ("/srv/100%/bin/metahuman", "/srv/100%%/bin/metahuman"),
    ],
)
def test_a_unit_starts_the_metahuman_that_printed_it(which: Which, program: str, word: str) -> None:
    lines = unit_text(which, Path(program)).splitlines()
    assert [line for line in lines if line.startswith("ExecStart=")] == [f"ExecStart={word} run"]


def test_everything_that_is_shipped_for_systemd_can_be_printed() -> None:
    folder = shipped("systemd")
    shipped_texts = {path.read_text(encoding="utf-8") for path in folder.rglob("*") if path.is_file()}
    assert {unit_text(which, OPT) for which in Which} == shipped_texts
