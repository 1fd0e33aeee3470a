"""Which container engine is taken, what is said where none will do, and what it tells."""

from __future__ import annotations

import asyncio
import json
import socket
from pathlib import Path
from types import SimpleNamespace

import pytest

from lab.adapters.stack import container_engine
from lab.adapters.stack.compose import ComposeStack
from lab.adapters.stack.container_engine import Engine
from lab.errors import StackNotReady, ToolMissing
from lab.settings import Settings
from lab.shop.topology import HOST
from tests.support.lab_under_test import free_offset

DOCKER = 'case "$*" in *Server*) echo 28.2.2 ;; "compose version --short") echo {compose} ;; esac'


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder on PATH; programs in it are all there are."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    return tmp_path


def program(folder: Path, name: str, body: str) -> None:
    """A shell script that stands in for ``name``."""
    file = folder / name
    file.write_text(f"#!/bin/sh\n{body}\n")
    file.chmod(0o700)


def test_docker_with_its_compose_plugin_is_taken(path: Path) -> None:
    """Even where podman is there too."""
    program(path, "docker", DOCKER.format(compose="2.29.1"))
    program(path, "podman", "echo 5.2.1")
    program(path, "podman-compose", "echo podman-compose version 1.6.0")

    engine = container_engine.find()

    assert (engine.name, engine.version) == ("docker", "28.2.2")
    assert engine.compose == ("docker", "compose")


def test_podman_is_taken_where_dockers_daemon_does_not_answer(path: Path) -> None:
    """With the podman-compose that lies beside this Python."""
    program(path, "docker", "echo Cannot connect >&2; exit 1")
    program(path, "podman", "echo 4.3.1")
    program(path, "podman-compose", "echo podman-compose version 1.6.0")

    engine = container_engine.find()

    assert (engine.name, engine.version) == ("podman", "4.3.1")
    assert engine.compose == (str(path / "podman-compose"),)


@pytest.mark.parametrize(
    ("programs", "says"),
    [
        ({}, "found no docker and no podman"),
        ({"docker": "exit 1"}, "docker, whose daemon does not answer and no podman"),
        ({"docker": 'test "$1" = version && echo 28.2.2'}, "without its compose plugin"),
        ({"docker": DOCKER.format(compose="v2.3.3")}, "docker compose v2.3.3, older than 2.20"),
        ({"podman": "exit 1"}, "podman, which does not answer"),
        ({"podman": "echo 4.3.1"}, "podman 4.3.1 without podman-compose"),
        ({"podman": "echo 3.4.4", "podman-compose": "echo 1.6.0"}, "podman 3.4.4, older than 4.3"),
        (
            {"podman": "echo 4.3.1", "podman-compose": "echo 1.0.6"},
            "podman-compose 1.0.6, older than 1.3",
        ),
    ],
)
def test_what_will_not_do_is_told_with_the_reason(
    path: Path, programs: dict[str, str], says: str
) -> None:
    """None, one that does not answer, an incomplete or an old one; and what to do instead."""
    for name, body in programs.items():
        program(path, name, body)

    with pytest.raises(ToolMissing) as caught:
        container_engine.find()

    assert says in str(caught.value)
    assert "STACK=local" in str(caught.value)


def inspected(service: str, status: str, **state: object) -> dict[str, object]:
    """What an engine says of one container."""
    return {
        "Id": service,
        "State": {"Status": status, "Pid": 7, **state},
        "RestartCount": 2,
        "Config": {"Labels": {"com.docker.compose.service": service}},
    }


def test_containers_are_read_as_the_engine_tells_them(path: Path) -> None:
    """State, health and restarts; podman is asked to check, for its timers may not run."""
    told = [
        inspected("tempo", "running", Health={"Status": "healthy"}),
        inspected("loki", "running", Health={"Status": "starting"}),
        inspected("warden", "exited"),
    ]
    (path / "told.json").write_text(json.dumps(told))
    body = (
        'case "$1" in ps) echo tempo; echo loki; echo warden ;; '
        f'inspect) /bin/cat {path}/told.json ;; healthcheck) test "$3" = loki ;; esac'
    )
    program(path, "podman", body)

    found = asyncio.run(Engine("podman", "4.3.1", ()).containers("deadspan-0"))

    assert [(each.service, each.state, each.health, each.restarts) for each in found] == [
        ("tempo", "running", "healthy", 2),
        ("loki", "running", "healthy", 2),
        ("warden", "exited", "", 2),
    ]


@pytest.fixture
def stack(path: Path, tmp_path: Path) -> ComposeStack:
    """A compose stack on an engine that knows no container and starts none."""
    program(path, "podman", "true")
    program(path, "compose", "echo 'Error: no such image'; exit 3")
    settings = Settings(state_dir=tmp_path / ".lab", port_offset=free_offset(), stack="compose")
    return ComposeStack(settings, Engine("podman", "4.3.1", (str(path / "compose"),)))


async def _up(stack: ComposeStack) -> list[str]:
    return [part.name async for part in stack.up()]


def test_an_engine_that_fails_is_quoted(stack: ComposeStack) -> None:
    """The message has the end of what it said, and where the rest is."""
    with pytest.raises(StackNotReady, match="no such image") as caught:
        asyncio.run(_up(stack))

    assert "compose.log" in str(caught.value)


def test_nothing_is_started_where_a_port_is_taken(stack: ComposeStack) -> None:
    """Its holder is named, and the way out keeps the choice of the stack."""
    port = stack._settings.port("tempo_http")
    with socket.create_server((HOST, port)), pytest.raises(StackNotReady) as caught:
        asyncio.run(_up(stack))

    assert f"port {port} (tempo_http) is held by pid" in str(caught.value)
    assert "STACK=compose make up" in str(caught.value)
    assert not stack._settings.log_dir.exists()


def test_nothing_is_started_where_memory_is_short(
    stack: ComposeStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says how much there is, and which stack takes less."""
    monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(available=2**30))

    with pytest.raises(StackNotReady, match=r"found 1024 MiB available.*STACK=local"):
        asyncio.run(_up(stack))


def test_a_stack_that_is_down_says_so_of_every_part(stack: ComposeStack) -> None:
    """By the names that the lab gives them, each published port with it."""
    parts = {part.name: part for part in asyncio.run(stack.status())}

    assert {part.state for part in parts.values()} == {"down"}
    assert parts["gateway"].port == stack._settings.port("gateway")
    assert parts["auth"].port is None
    assert "shop-auth" not in parts
    assert "jaeger" not in parts
