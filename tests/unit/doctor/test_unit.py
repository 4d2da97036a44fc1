"""doctor on an installed unit: it warns of what the service would not find, and of nothing else."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from metahuman_core.settings import ProfileSettings, Settings
from metahuman_core.shipped import shipped
from metahuman_daemon.commands_units import Which, unit_text
from metahuman_daemon.doctor.finding import Finding
from metahuman_daemon.doctor.unit import system_unit, user_unit

CONFIG = Path("/etc/metahuman/config.toml")
SERVED = Settings(root=Path("/var/lib/metahuman"))


@pytest.fixture
def install(tmp_path: Path) -> Callable[..., Path]:
    """Install the shipped unit with a program, and drop-ins; gives the folder."""

    def installed(program: Path, **drop_ins: str) -> Path:
        folder = tmp_path / "units"
        (folder / "metahuman.service.d").mkdir(parents=True)
        (folder / "metahuman.service").write_text(unit_text(Which.SERVICE, program), encoding="utf-8")
        for name, text in drop_ins.items():
            (folder / f"metahuman.service.d/{name}.conf").write_text(f"[Service]\n{text}\n", encoding="utf-8")
        return folder

    return installed


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """A program outside all homes, with the interpreter beside it."""
    folder = tmp_path / "opt/bin"
    folder.mkdir(parents=True)
    (folder / "python").touch()
    (folder / "metahuman").touch()
    return folder / "metahuman"


def faults(found: object) -> list[str]:
    assert isinstance(found, list)
    return [f.what for f in found if isinstance(f, Finding) and f.level != "ok"]


def test_without_a_unit_there_is_nothing_to_say(tmp_path: Path) -> None:
    assert list(system_unit(SERVED, CONFIG, tmp_path)) == []


def test_a_program_outside_homes_is_good(install: Callable[..., Path], program: Path) -> None:
    (found,) = system_unit(SERVED, CONFIG, install(program))
    assert found.level == "ok"
    assert str(program) in found.what


def test_a_program_in_a_home_is_not_seen_by_the_service(install: Callable[..., Path]) -> None:
    (what,) = faults(list(system_unit(SERVED, CONFIG, install(Path("/home/anna/.venv/bin/metahuman")))))
    assert "/home/anna/.venv/bin/metahuman" in what
    assert "ProtectHome" in what


def test_an_interpreter_in_a_home_is_not_seen_though_the_environment_is(
    install: Callable[..., Path], program: Path
) -> None:
    program.with_name("python").unlink()
    program.with_name("python").symlink_to("/root/.pyenv/versions/3.12.1/bin/python3.12")
    (what,) = faults(list(system_unit(SERVED, CONFIG, install(program))))
    assert "/root/.pyenv/versions/3.12.1/bin/python3.12" in what


@pytest.mark.parametrize("lifted", ["ProtectHome=no", "ProtectHome=read-only", "BindReadOnlyPaths=/home/anna/.venv"])
def test_who_lets_the_service_see_it_is_not_warned(install: Callable[..., Path], lifted: str) -> None:
    found = list(system_unit(SERVED, CONFIG, install(Path("/home/anna/.venv/bin/metahuman"), mine=lifted)))
    assert not [what for what in faults(found) if "ProtectHome" in what]


def test_a_program_that_is_not_there_is_named(install: Callable[..., Path], tmp_path: Path) -> None:
    (what,) = faults(list(system_unit(SERVED, CONFIG, install(tmp_path / "gone/metahuman"))))
    assert "which is not there" in what


def test_memories_in_a_home_have_to_be_lent(install: Callable[..., Path], program: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / "anna/memories").mkdir(parents=True)
    profiles = {"anna": ProfileSettings(memories=(str(home / "anna/memories"),))}
    settings = SERVED.model_copy(update={"profiles": profiles})
    (found,) = system_unit(settings, CONFIG, install(program), (home,))
    assert found.level == "error"
    assert str(home / "anna/memories") in found.what
    assert "metahuman unit memories" in found.way_out
    shutil.rmtree(tmp_path / "units")
    lent = install(program, memories=f"BindReadOnlyPaths={home / 'anna/memories'}:{home / 'anna/memories'}:rbind")
    assert faults(list(system_unit(settings, CONFIG, lent, (home,)))) == []


def test_a_root_that_the_service_may_not_write_is_named_with_the_way_out(
    install: Callable[..., Path], program: Path
) -> None:
    elsewhere = Settings(root=Path("/srv/models"))
    (found,) = system_unit(elsewhere, CONFIG, install(program))
    assert found.level == "error"
    assert found.way_out.endswith("ReadWritePaths=/srv/models")
    folder = program.parents[2] / "units"
    shutil.rmtree(folder)
    assert faults(list(system_unit(elsewhere, CONFIG, install(program, disk="ReadWritePaths=/srv/models")))) == []


def test_the_settings_of_a_checkout_beside_the_service_are_not_held_against_it(
    install: Callable[..., Path], program: Path
) -> None:
    elsewhere = Settings(root=Path("/srv/models"))
    for config in (None, Path("/home/anna/checkout/config.toml")):
        assert faults(list(system_unit(elsewhere, config, install(program)))) == []
        shutil.rmtree(program.parents[2] / "units")


def test_a_user_s_unit_wants_lingering(tmp_path: Path) -> None:
    units, lingering = tmp_path / "user", tmp_path / "linger"
    assert list(user_unit(SERVED, units, lingering)) == []
    units.mkdir()
    (units / "metahuman.service").write_text(shipped("systemd/user/metahuman.service").read_text(encoding="utf-8"))
    (found,) = user_unit(SERVED, units, lingering)
    assert found.level == "warning"
    assert found.way_out.startswith("loginctl enable-linger ")
    lingering.mkdir()
    (lingering / found.way_out.split()[-1]).touch()
    assert list(user_unit(SERVED, units, lingering)) == []
