"""What is written for supervisord, and what is read back from its log."""

from __future__ import annotations

import asyncio
import shlex
import stat
import time
import xmlrpc.client
from contextlib import nullcontext
from pathlib import Path

import pytest
from supervisor.options import ServerOptions

from lab.adapters.stack.supervisor import ProcessState, Program, Supervisor
from lab.errors import PartFailed

LOG = """\
2026-11-22 16:32:40,249 INFO supervisord started with pid 100
2026-11-22 16:32:40,820 INFO spawned: 'tempo' with pid 101
2026-11-22 16:32:40,853 INFO spawned: 'shop' with pid 102
2026-11-22 16:32:42,071 INFO success: tempo entered RUNNING state, process has stayed up for > …
2026-11-22 16:33:01,424 WARN exited: tempo (terminated by SIGKILL; not expected)
2026-11-22 16:33:02,430 INFO spawned: 'tempo' with pid 103
2026-11-22 16:34:02,430 WARN stopped: shop (exit status 0)
"""


@pytest.fixture
def supervisor(tmp_path: Path) -> Supervisor:
    return Supervisor(tmp_path, tmp_path, port=1)


def test_every_start_is_on_record(supervisor: Supervisor, tmp_path: Path) -> None:
    """Supervisord itself, every program, and every restart of one."""
    (tmp_path / "supervisord.log").write_text(LOG)

    births = supervisor.births()

    assert [(birth.name, birth.pid) for birth in births] == [
        ("supervisord", 100),
        ("tempo", 101),
        ("shop", 102),
        ("tempo", 103),
    ]
    local = time.localtime(births[1].started_s)
    assert (local.tm_hour, local.tm_min, local.tm_sec) == (16, 32, 40)
    assert births[1].started_s % 1 == pytest.approx(0.82, abs=0.001)


def test_only_an_end_that_nobody_asked_for_is_a_death(
    supervisor: Supervisor, tmp_path: Path
) -> None:
    """A part that was stopped has not died."""
    (tmp_path / "supervisord.log").write_text(LOG)

    assert supervisor.deaths() == {"tempo": 1}


def test_before_the_first_start_there_is_nothing_on_record(supervisor: Supervisor) -> None:
    """No log, no births, no deaths, nobody who answers."""
    assert supervisor.births() == ()
    assert supervisor.deaths() == {}
    assert asyncio.run(supervisor.states()) is None
    assert not asyncio.run(supervisor.answers())
    assert asyncio.run(supervisor.shutdown()) is False


@pytest.mark.parametrize(
    "name",
    [
        *("a 50% folder", "a %(here)s folder", "a %(ENV_HOME)s ;folder", "a #folder", "; # (x)s"),
        *("a folder ", "'", '"', "\\", "#{}$a${HOME}", "é☃"),
    ],
)
def test_supervisord_reads_what_was_meant(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder of any name comes through, and orders become groups."""
    folder = tmp_path / name
    folder.mkdir()
    monkeypatch.chdir(folder)
    supervisor = Supervisor(folder, folder, port=1)
    programs = (
        Program(
            "tempo",
            ("/bin/tempo", f"-file={folder}/t.yaml"),
            stop_order=10,
            grace_s=1,
            environment=(("GOMEMLIMIT", "350MiB"),),
        ),
        Program("postgres", ("/bin/sleep", "9"), stop_order=10, stop_signal="INT"),
        Program("shop", ("/bin/sleep", "9"), stop_order=40),
    )

    supervisor.configure(programs, directory=folder)

    options = ServerOptions()
    options.realize(["-c", str(folder / "supervisord.conf")])
    assert options.configroot.supervisord.logfile == str(folder / "supervisord.log")
    assert options.configroot.supervisord.pidfile == str(folder / "supervisord.pid")
    groups = {group.name: group for group in options.process_group_configs}
    assert {name: group.priority for name, group in groups.items()} == {"stop10": 10, "stop40": 40}
    tempo = next(each for each in groups["stop10"].process_configs if each.name == "tempo")
    assert shlex.split(tempo.command) == ["/bin/tempo", f"-file={folder}/t.yaml"]
    assert Path(tempo.stdout_logfile).absolute() == supervisor.log_of("tempo")
    assert tempo.directory == str(folder)
    assert tempo.stopwaitsecs == 1
    assert tempo.environment == {"GOMEMLIMIT": "350MiB"}
    assert not tempo.autostart


def test_only_the_owner_may_read_the_password(supervisor: Supervisor, tmp_path: Path) -> None:
    """The file that holds it is closed to everybody else, and no two are alike."""
    conf = tmp_path / "supervisord.conf"
    supervisor.configure((), directory=tmp_path)
    first = conf.read_text()
    supervisor.configure((), directory=tmp_path)

    assert stat.S_IMODE(conf.stat().st_mode) == 0o600
    assert conf.read_text() != first


def test_the_last_words_of_a_part_are_few_and_short(supervisor: Supervisor, tmp_path: Path) -> None:
    """The end of a log, line by line, cut where a line is endless."""
    (tmp_path / "tempo.log").write_text("\n".join([*(f"line {n}" for n in range(50)), "x" * 9999]))

    lines = supervisor.last_lines("tempo", count=3).splitlines()

    assert lines[:2] == ["    line 48", "    line 49"]
    assert lines[2] == "    " + "x" * 300
    assert "empty" in supervisor.last_lines("never-started")


def test_what_kept_supervisord_from_starting_is_told(
    supervisor: Supervisor, tmp_path: Path
) -> None:
    """Its log says that it runs, and its output why it does not any more."""
    (tmp_path / "supervisord.log").write_text("supervisord started\n")
    (tmp_path / "supervisord.out").write_text("Error: Another program is already listening\n")
    assert "already listening" in supervisor.last_lines("supervisord")


@pytest.mark.parametrize(("code", "is_told"), [(60, False), (50, False), (30, True)])
def test_a_program_that_ends_at_once_is_no_failure_of_its_start(
    supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch, code: int, is_told: bool
) -> None:
    """What became of it is asked for afterwards; any other refusal is told."""

    async def refuse(*_: object) -> object:
        raise xmlrpc.client.Fault(code, "NO")

    monkeypatch.setattr(supervisor, "_call", refuse)
    process = ProcessState("tempo", "stop10", "STOPPED", None, "")
    with pytest.raises(PartFailed, match="startProcess") if is_told else nullcontext():
        asyncio.run(supervisor.start(process))
