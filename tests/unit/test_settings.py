"""Where the settings come from, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from metahuman_core.config import find_config, load_settings, refuse_clashes
from metahuman_core.errors import ConfigError
from metahuman_core.settings import Settings, check_profile_name


@pytest.fixture(autouse=True)
def _clean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("METAHUMAN_CONFIG", raising=False)
    monkeypatch.delenv("METAHUMAN_ROOT", raising=False)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")


def config(tmp_path: Path, text: str, name: str = "config.toml") -> Path:
    """Write a config file."""
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def fault(path: Path) -> str:
    """What is said of a config that is refused (as a config error, exit status 78)."""
    with pytest.raises(ConfigError) as refused:
        load_settings(path)
    assert refused.value.exit_code == 78
    assert refused.value.hint
    return refused.value.message


def test_the_flag_comes_before_the_environment_and_that_before_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flag, named = config(tmp_path, "", "flag.toml"), config(tmp_path, "", "named.toml")
    assert find_config(None) is None
    config(Path(), "")
    assert find_config(None) == Path("config.toml")
    monkeypatch.setenv("METAHUMAN_CONFIG", str(named))
    assert find_config(None) == named
    assert find_config(flag) == flag


def test_an_empty_variable_names_no_config(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("METAHUMAN_CONFIG", "")
    assert find_config(None) is None


def test_a_config_that_is_named_must_be_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "missing.toml" in fault(tmp_path / "missing.toml")
    monkeypatch.setenv("METAHUMAN_CONFIG", str(tmp_path))
    with pytest.raises(ConfigError, match="cannot be read"):
        load_settings()


def test_without_a_config_the_defaults_hold_and_the_root_is_the_working_directory() -> None:
    settings = load_settings()
    assert settings == Settings(root=Path.cwd())


def test_a_relative_root_is_taken_from_the_configs_folder(tmp_path: Path) -> None:
    assert load_settings(config(tmp_path, 'root = "data"')).root == tmp_path / "data"
    assert load_settings(config(tmp_path, 'root = "/srv/mh"')).root == Path("/srv/mh")


def test_metahuman_root_goes_before_the_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("METAHUMAN_ROOT", str(tmp_path / "elsewhere"))
    assert load_settings(config(tmp_path, 'root = "/srv/mh"')).root == tmp_path / "elsewhere"


def test_bad_toml_is_said_with_its_place(tmp_path: Path) -> None:
    assert "line 2" in fault(config(tmp_path, "[training]\nrank = = 8\n"))


def test_a_config_that_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_bytes(b"\xff\xfe\x00")
    assert str(path) in fault(path)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[training]\nrnak = 8", "training.rnak"),
        ("treshold = 1", "treshold"),
        ('[training]\nrank = "many"', "training.rank"),
        ("[training]\nrank = 0", "training.rank"),
        ("[training]\nlearning_rate = nan", "training.learning_rate"),
        ("[training]\nreanchor_every = -1", "training.reanchor_every"),
        ("[dataset.weights]\nreflection = 2.0", "dataset.weights.reflection"),
        ('[weights]\nquantization = "Q2_K"', "weights.quantization"),
        ('[profiles.anna]\nnick = "A"', "profiles.anna.nick"),
        ("[profiles]\nanna = 3", "profiles.anna"),
        ("root = 5", "root"),
        ("training = 5", "training"),
    ],
)
def test_a_fault_names_its_setting(tmp_path: Path, text: str, named: str) -> None:
    assert f" {named}: " in fault(config(tmp_path, text))


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("[retention]\nfull.keep_lst = 3", "is keep_last meant?"),
        ("[retention]\nkeep_last = 3", "is retention.full.keep_last meant?"),
        ('[profiles.anna]\npersn = "A"', "is person meant?"),
        ("[retention]\nfull = 3", "it is a table"),
    ],
)
def test_what_is_meant_is_named_with_its_place(tmp_path: Path, text: str, meant: str) -> None:
    assert meant in fault(config(tmp_path, text))


def test_all_faults_are_said_at_once_and_on_one_line(tmp_path: Path) -> None:
    said = fault(config(tmp_path, '[training]\nrank = 0\n[ollama]\nenabled = "perhaps"\n'))
    assert "training.rank" in said
    assert "ollama.enabled" in said
    assert "\n" not in said


def test_two_profiles_never_share_a_registry(tmp_path: Path) -> None:
    said = fault(config(tmp_path, "[profiles.anna]\n[profiles.ben]\n"))
    assert "anna and ben" in said
    assert "registry" in said
    ways = 'registry = "etc/a.json"\n[profiles.anna]\n[profiles.ben]\nregistry = "etc/../etc/a.json"\n'
    assert "anna and ben" in fault(config(tmp_path, ways))


def test_a_template_or_a_registry_of_ones_own_parts_them(tmp_path: Path) -> None:
    settings = load_settings(
        config(
            tmp_path,
            'root = "."\nregistry = "etc/{profile}.json"\n[profiles.anna]\n[profiles.ben]\nregistry = "b.json"\n',
        )
    )
    assert settings.registry_path("anna") == tmp_path / "etc" / "anna.json"
    assert settings.registry_path("ben") == tmp_path / "b.json"
    assert settings.registry_path("carla") == tmp_path / "etc" / "carla.json"


def test_profiles_that_are_not_configured_share_no_registry_either(tmp_path: Path) -> None:
    refuse_clashes(Settings(root=tmp_path), ["anna"])
    with pytest.raises(ConfigError, match="anna and ben"):
        refuse_clashes(Settings(root=tmp_path), ["anna", "ben"])


@pytest.mark.parametrize("name", ["anna", "Anna"])
def test_two_profiles_are_no_one_model_in_ollama(tmp_path: Path, name: str) -> None:
    apart = 'registry = "etc/{profile}.json"\n[profiles.anna]\n[profiles.ben]\nollama_name = "%s"\n'
    assert "anna and ben would both be" in fault(config(tmp_path, apart % name))
    assert load_settings(config(tmp_path, apart % f"{name}-b")).ollama_name("ben") == f"{name}-b"


@pytest.mark.parametrize("name", ["anna:v1", "a b", "-a", "a//b", "library/anna", "registry.ollama.ai/me/a", "\u00e9"])
def test_a_name_that_ollama_refuses_or_lists_otherwise_is_none(tmp_path: Path, name: str) -> None:
    assert "is no name of a model" in fault(config(tmp_path, f'[profiles.anna]\nollama_name = "{name}"\n'))


@pytest.mark.parametrize("name", ["qwen3", "qwen3:8b", "me/anna:v1", "hf.co/some/Model-GGUF:Q4_K_M"])
def test_a_model_that_asks_about_memories_is_named_as_in_ollama(tmp_path: Path, name: str) -> None:
    assert load_settings(config(tmp_path, f'[study]\nollama_model = "{name}"\n')).study.ollama_model == name


@pytest.mark.parametrize("name", ["a b", "-a", "a:", "a//b", "http://a/b", "a:b:c", "a/b/c/d/e"])
def test_a_name_of_no_model_in_ollama_is_refused(tmp_path: Path, name: str) -> None:
    assert "is no name of a model in Ollama" in fault(config(tmp_path, f'[study]\nollama_model = "{name}"\n'))


@pytest.mark.parametrize("name", ["gpt-oss:120b-cloud", "qwen3-coder:480B-Cloud", "kimi:cloud"])
def test_memories_are_not_shown_to_a_model_on_somebody_elses_machine(tmp_path: Path, name: str) -> None:
    assert "somebody else's machine" in fault(config(tmp_path, f'[study]\nollama_model = "{name}"\n'))


@pytest.mark.parametrize("name", ["../x", "", ".", "Anna", "1st", "a/b", "a b", "a" * 33, "ann\u00e9", "a\n", "-a"])
def test_a_name_that_could_not_stand_in_a_path_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="is no profile name"):
        check_profile_name(name)
    as_toml = '"' + name.replace("\n", "\\n") + '"'
    assert "is no profile name" in fault(config(tmp_path, f"[profiles.{as_toml}]\n"))


@pytest.mark.parametrize("name", ["anna", "_a", "a-b_c9", "a" * 32])
def test_a_good_name_is_taken(name: str) -> None:
    assert check_profile_name(name) == name


def test_a_weight_that_is_left_out_keeps_its_default(tmp_path: Path) -> None:
    weights = load_settings(config(tmp_path, "[dataset]\nweights.dream = 1.0\nweights.recipe = 0.5\n")).dataset.weights
    assert (weights["dream"], weights["recipe"], weights["reflection"]) == (1.0, 0.5, 0.02)


def test_a_config_that_cannot_be_opened_is_no_missing_config(tmp_path: Path) -> None:
    Path("config.toml").symlink_to(tmp_path / "gone.toml")
    with pytest.raises(ConfigError, match="cannot be read"):
        load_settings(None)
    assert "cannot be read" in fault(tmp_path)


def test_a_byte_order_mark_is_nothing_to_complain_about(tmp_path: Path) -> None:
    assert load_settings(config(tmp_path, "\ufeff[training]\nrank = 8\n")).training.rank == 8
