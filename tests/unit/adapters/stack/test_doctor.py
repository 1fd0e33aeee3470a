"""Every check of the doctor finds what it is there to find."""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from lab.adapters.harm_mark import HarmMarkFile
from lab.adapters.stack import doctor
from lab.adapters.stack.doctor import Finding, _harm, examine
from lab.errors import ToolMissing
from lab.ports.stack import PartStatus
from lab.settings import Settings
from lab.shop.topology import HOST
from tests.support.lab_under_test import free_offset


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setattr(
        "lab.adapters.tools.toolbox.find", lambda tool, _: SimpleNamespace(source="cache")
    )
    return Settings(
        state_dir=tmp_path / ".lab", cache_dir=tmp_path / "cache", port_offset=free_offset()
    )


def found(settings: Settings, name: str) -> Finding:
    """What the doctor says about one thing."""
    return next(finding for finding in examine(settings) if finding.name == name)


def test_every_finding_that_is_not_ok_says_what_to_do(settings: Settings) -> None:
    """And nothing that is ok asks for anything; looking changes nothing."""
    findings = examine(settings)

    assert {finding.name for finding in findings if finding.level == "fail"} <= {"postgres"}
    assert all(bool(finding.advice) == (finding.level != "ok") for finding in findings)
    assert not settings.state_dir.exists()
    assert not settings.cache_dir.exists()


def test_an_old_python_is_refused(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """The lab needs 3.11."""
    monkeypatch.setattr("sys.version_info", (3, 10, 9))

    assert found(settings, "python").level == "fail"


def test_an_untried_platform_is_warned_about(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may work, and nobody has seen it."""
    monkeypatch.setattr("platform.machine", lambda: "riscv64")

    assert found(settings, "platform").level == "warn"


def test_little_memory_is_warned_about(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """The stack would run, and the machine would swap."""
    monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(available=2**29))

    assert found(settings, "memory").level == "warn"


def test_a_full_disk_is_refused(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says how much is needed and how to go elsewhere."""
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=2**20))

    finding = found(settings, "disk of the checkout")

    assert finding.level == "fail"
    assert "LAB_STATE_DIR" in finding.advice


def test_stopped_harm_is_told_with_what_allows_it(settings: Settings) -> None:
    """Nobody looks for long why nothing can be run."""
    mark = HarmMarkFile(settings.state_dir)
    assert found(settings, "safety lever").level == "ok"
    mark.set()
    finding = found(settings, "safety lever")
    assert (finding.level, finding.found) == (
        "warn",
        "harm is stopped: nothing can be run or held",
    )
    assert "lab allow-harm" in finding.advice


def test_a_warden_elsewhere_that_is_silent_tells_of_no_lever(settings: Settings) -> None:
    """What nobody can know is neither stopped nor allowed."""
    elsewhere = settings.model_copy(update={"stack": "compose"})
    assert "unknown" in _harm(elsewhere).found


def test_the_cache_needs_room_only_where_something_is_to_be_built(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two gigabytes are plenty to keep tools, and too little to build them."""
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=2 * 2**30))
    assert found(settings, "disk of the cache").level == "ok"

    monkeypatch.setattr("lab.adapters.tools.toolbox.find", lambda *_: None)
    assert found(settings, "disk of the cache").level == "fail"


def test_a_missing_tool_and_go_are_told(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both can be had without the user's help, so neither is a failure."""
    monkeypatch.setattr("lab.adapters.tools.toolbox.find", lambda *_: None)
    monkeypatch.setattr("lab.adapters.tools.go_toolchain.on_path", lambda *_: None)

    assert found(settings, "tools").level == "warn"
    assert "STORE=jaeger" in found(settings, "tools").advice
    assert "no Go" in found(settings, "go").found

    without = settings.model_copy(update={"store": "jaeger"})
    assert "jaeger (missing)" in found(without, "tools").found
    assert "STORE=jaeger" not in found(without, "tools").advice


def test_a_named_tool_that_will_not_do_is_refused(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The user asked for that one: nothing is built in its place."""

    def refuse(*_: object) -> None:
        raise ToolMissing("expected LAB_TEMPO_BIN to be tempo 2.8")

    monkeypatch.setattr("lab.adapters.tools.toolbox.find", refuse)

    assert found(settings, "tools").level == "fail"
    assert "LAB_TEMPO_BIN" in found(settings, "tools").advice


def test_a_machine_where_postgres_cannot_start_is_refused(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unless a server of the user's own is named."""
    monkeypatch.setattr(doctor, "can_start_servers", lambda: "no user namespace may be made")

    assert found(settings, "postgres").level == "fail"
    named = settings.model_copy(update={"postgres_dsn": "postgresql://127.0.0.1/postgres"})
    assert found(named, "postgres").level == "ok"


def test_data_is_looked_at(settings: Settings) -> None:
    """Half-made data mends itself; another version's does not."""
    (settings.data_dir / "postgres.new").mkdir(parents=True)
    assert found(settings, "postgres data").level == "warn"

    (settings.data_dir / "postgres.new").rmdir()
    (settings.data_dir / "postgres").mkdir()
    (settings.data_dir / "postgres" / "PG_VERSION").write_text("15\n")
    assert found(settings, "postgres data").level == "fail"


def test_what_outlived_its_supervisor_is_found(settings: Settings) -> None:
    """By the supervisor's own record of pid and start time."""
    settings.log_dir.mkdir(parents=True)
    now = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(_started_s()))
    (settings.log_dir / "supervisord.log").write_text(
        f"{now},000 INFO spawned: 'tempo' with pid {os.getpid()}\n"
    )

    finding = found(settings, "processes")

    assert finding.level == "warn"
    assert f"tempo ({os.getpid()})" in finding.found


def test_a_port_in_use_is_told_with_its_holder(settings: Settings) -> None:
    """Ports held by the lab itself are no finding; anybody else's are."""
    with socket.create_server((HOST, settings.port("gateway"))):
        finding = found(settings, "ports")

    assert finding.level == "fail"
    assert f"{settings.port('gateway')} (gateway) is held by pid {os.getpid()}" in finding.found
    assert f"LAB_PORT_OFFSET={settings.port_offset + 100}" in finding.advice


def _started_s() -> float:
    import psutil

    return psutil.Process().create_time()


@pytest.mark.parametrize(
    ("state", "level"), [("ready", "ok"), ("unwell", "warn"), ("starting", "warn")]
)
def test_a_part_that_runs_and_is_not_ready_is_named(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, state: str, level: str
) -> None:
    """With what it says; `lab up` starts it anew."""
    seen = "" if state == "ready" else "503 at /ready"

    async def status(_: object) -> tuple[PartStatus, ...]:
        return (PartStatus("tempo", state, 7, 1, seen), PartStatus("desk", "down", None, 2, "x"))

    monkeypatch.setattr("lab.adapters.stack.local.LocalStack.status", status)
    finding = found(settings, "readiness")
    assert finding.level == level
    assert ("tempo (503 at /ready)" in finding.found) is bool(seen)
    assert "desk" not in finding.found
