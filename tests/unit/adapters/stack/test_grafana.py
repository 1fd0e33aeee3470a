"""Which Grafana is taken, how it is started, and what is said where there is none."""

from __future__ import annotations

import configparser
import os
import re
from pathlib import Path

import pytest

from lab.adapters.stack import grafana
from lab.errors import ToolMissing
from lab.settings import CHECKOUT, Settings


def executable(path: Path) -> Path:
    """A program that does nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(0o700)
    return path


def home(folder: Path) -> Path:
    """What an unpacked archive looks like from outside."""
    executable(folder / "bin" / "grafana")
    (folder / "conf").mkdir()
    (folder / "conf" / "defaults.ini").write_text("")
    return folder


@pytest.fixture(autouse=True)
def bare_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with nothing of use on it; the folder is its PATH."""
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    nowhere = tmp_path / "debian"
    monkeypatch.setattr(grafana, "DEBIAN", (nowhere / "grafana", nowhere))
    return tmp_path / "path"


def test_the_users_own_archive_comes_first(tmp_path: Path, bare_machine: Path) -> None:
    """Even before one on PATH; it listens on loopback and reads the lab's files."""
    executable(bare_machine / "docker")
    settings = Settings(
        state_dir=tmp_path / ".lab", port_offset=300, grafana_home=home(tmp_path / "mine")
    )
    found = grafana.launch(settings)
    assert found.command[0] == str(tmp_path / "mine" / "bin" / "grafana")
    assert found.command[found.command.index("--homepath") + 1] == str(tmp_path / "mine")
    assert found.environment["GF_SERVER_HTTP_ADDR"] == "127.0.0.1"
    assert found.environment["GF_SERVER_HTTP_PORT"] == str(settings.port("grafana"))
    assert found.environment["TEMPO_URL"] == settings.url("tempo_http")
    assert found.environment["GF_PATHS_DATA"].startswith(str(tmp_path / ".lab"))


def test_one_on_path_needs_its_home_beside_it(tmp_path: Path, bare_machine: Path) -> None:
    """Without its defaults and pages a program is no Grafana: the next kind is tried."""
    executable(bare_machine / "grafana")
    executable(bare_machine / "podman")
    settings = Settings(state_dir=tmp_path / ".lab")
    assert grafana.launch(settings).command[0] == "podman"
    (bare_machine / "grafana").unlink()
    (bare_machine / "grafana").symlink_to(home(tmp_path / "unpacked") / "bin" / "grafana")
    found = grafana.launch(settings).command
    assert found[0] == str(bare_machine / "grafana")
    assert str(tmp_path / "unpacked") in found


def test_debians_package_is_found_where_it_puts_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its program is in sbin, which is on few people's PATH."""
    place = home(tmp_path / "share")
    program = executable(tmp_path / "sbin" / "grafana")
    monkeypatch.setattr(grafana, "DEBIAN", (program, place))
    assert grafana.launch(Settings(state_dir=tmp_path)).command[0] == str(program)


def test_a_container_gets_everything_by_name_and_is_pinned(
    tmp_path: Path, bare_machine: Path
) -> None:
    """On the host's network, since the stack listens on loopback; files are mounted read-only."""
    executable(bare_machine / "docker")
    command = grafana.launch(Settings(state_dir=tmp_path, port_offset=300)).command
    assert command[:2] == ("docker", "run")
    assert "--network=host" in command
    assert command[-1].endswith(f":{grafana.VERSION}")
    assert f"--volume={grafana.DEPLOYED}:/etc/deadspan:ro" in command
    assert "--env=GF_PATHS_PROVISIONING=/etc/deadspan/provisioning" in command


def test_an_engine_whose_daemon_is_down_is_passed_over(tmp_path: Path, bare_machine: Path) -> None:
    """Its client is on many machines; the next engine is tried."""
    executable(bare_machine / "docker").write_text("#!/bin/sh\nexit 1\n")
    executable(bare_machine / "podman")
    assert grafana.launch(Settings(state_dir=tmp_path)).command[0] == "podman"


def test_without_any_it_says_exactly_what_to_fetch(tmp_path: Path) -> None:
    """The archive's name, and what to do with it."""
    with pytest.raises(ToolMissing) as caught:
        grafana.launch(Settings(state_dir=tmp_path))
    assert f"grafana-{grafana.VERSION}.linux-amd64.tar.gz" in str(caught.value)
    assert "LAB_GRAFANA_HOME" in str(caught.value)


def test_a_named_home_that_is_none_is_not_passed_over(tmp_path: Path, bare_machine: Path) -> None:
    """To start another in silence would not be what was asked for."""
    executable(bare_machine / "docker")
    with pytest.raises(ToolMissing, match="LAB_GRAFANA_HOME"):
        grafana.launch(Settings(state_dir=tmp_path, grafana_home=tmp_path))


def test_every_variable_of_the_files_is_given(tmp_path: Path) -> None:
    """What provisioning leaves to the environment is what a start puts there."""
    settings = Settings(state_dir=tmp_path / ".lab", grafana_home=home(tmp_path / "mine"))
    given = set(grafana.launch(settings).environment)
    files = (grafana.DEPLOYED / "provisioning").rglob("*.yaml")
    text = "\n".join(
        line
        for file in files
        for line in file.read_text("utf-8").splitlines()
        if not line.lstrip().startswith("#")
    )
    wanted = set(re.findall(r"(?<!\$)\$([A-Z_]+)", text))
    assert wanted
    assert wanted <= given


def test_nobody_is_an_administrator(monkeypatch: pytest.MonkeyPatch) -> None:
    """An Editor without a login, which Explore needs, and no account with a default password."""
    ini = configparser.ConfigParser()
    ini.read(grafana.DEPLOYED / "grafana.ini", "utf-8")
    assert ini["auth.anonymous"] == {"enabled": "true", "org_role": "Editor"}
    assert ini.getboolean("security", "disable_initial_admin_creation")
    monkeypatch.setenv("GF_AUTH_ANONYMOUS_ORG_ROLE", "Admin")
    assert "GF_AUTH_ANONYMOUS_ORG_ROLE" not in grafana.inherited()
    assert grafana.inherited()["PATH"] == os.environ["PATH"]


def test_both_stacks_have_the_same_grafana() -> None:
    """What was looked at in one looks the same in the other."""
    pinned = (CHECKOUT / "deploy" / "compose" / ".env").read_text("utf-8")
    assert f"grafana/grafana:{grafana.VERSION}\n" in pinned
