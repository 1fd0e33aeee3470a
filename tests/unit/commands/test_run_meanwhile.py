"""What `lab run` does while its tools are built: a recorded case is open at the desk."""

from __future__ import annotations

import os
import pty
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from lab.settings import CHECKOUT, Settings

WITHIN_S = 30.0
GO = """#!/bin/sh
if [ "$1" = env ]; then echo go1.30.0; exit; fi
if [ "$1" = list ]; then exec sleep 60; fi
while [ ! -e {proceed} ]; do sleep 0.1; done
echo "it cannot be built: no reason" >&2
exit 1
"""


@dataclass
class Terminal:
    """`lab run` in a terminal, or with its output in a pipe, on a machine without tools."""

    folder: Path
    settings: Settings
    environment: dict[str, str]
    said: str = ""
    process: subprocess.Popen[bytes] = field(init=False)

    def start(self, *words: str, is_terminal: bool = True) -> None:
        ours, theirs = pty.openpty() if is_terminal else os.pipe()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "lab", "run", *words],
            env=self.environment,
            stdin=theirs if is_terminal else subprocess.DEVNULL,
            stdout=theirs,
            stderr=theirs,
            cwd=CHECKOUT,
            start_new_session=True,
        )
        os.close(theirs)
        threading.Thread(target=self._listen, args=(ours,), daemon=True).start()

    def _listen(self, ours: int) -> None:
        while True:
            try:
                heard = os.read(ours, 4096)
            except OSError:  # A terminal whose last user has left (Linux).
                heard = b""
            if not heard:
                os.close(ours)
                return
            self.said += heard.decode(errors="replace")

    def waits_until_it_says(self, words: str) -> None:
        deadline_s = time.monotonic() + WITHIN_S
        while words not in self.said:
            assert time.monotonic() < deadline_s, self.said
            time.sleep(0.05)

    def let_go_on(self) -> None:
        (self.folder / "proceed").touch()

    def page(self, case_id: str) -> str | None:
        """The case's page at the desk; None where nobody serves it."""
        try:
            address = f"{self.settings.url('desk')}/cases/{case_id}"
            return httpx.get(address, trust_env=False, timeout=5.0).raise_for_status().text
        except httpx.ConnectError:
            return None


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "go").write_text(GO.format(proceed=tmp_path / "proceed"))
    (tools / "go").chmod(0o755)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        offset = probe.getsockname()[1] % 1000 + 13000
    own = {"state_dir": tmp_path / "state", "cache_dir": tmp_path / "cache", "port_offset": offset}
    environment = {f"LAB_{name.upper()}": str(value) for name, value in own.items()}
    started = Terminal(
        tmp_path,
        Settings(**own),
        {"PATH": f"{tools}:/usr/bin:/bin", "TERM": "xterm", "COLUMNS": "120", **environment},
    )
    yield started
    if started.process.poll() is None:
        os.killpg(started.process.pid, signal.SIGKILL)
    started.process.wait()


@pytest.mark.timeout(120)
def test_the_recorded_case_is_open_at_the_desk_while_tools_are_built(terminal: Terminal) -> None:
    """At once, with its briefing; the desk ends with the building, and the run goes on."""
    terminal.start("db-timeout")
    terminal.waits_until_it_says("then the live run goes on here by itself")
    assert "Case db-timeout-1 is open." in terminal.said
    page = terminal.page("db-timeout-1")
    assert page is not None
    assert "db-timeout-1" in page
    terminal.let_go_on()
    assert terminal.process.wait(WITHIN_S) == 2
    terminal.waits_until_it_says("it cannot be built: no reason")
    assert terminal.page("db-timeout-1") is None


@pytest.mark.timeout(120)
def test_ctrl_c_ends_building_and_desk(terminal: Terminal) -> None:
    """Neither of them outlives the command, and the case stays for `lab practice`."""
    terminal.start("--level", "1")
    terminal.waits_until_it_says("then the live run goes on here by itself")
    assert terminal.page("case-1") is not None
    assert "db-timeout" not in terminal.said
    terminal.process.send_signal(signal.SIGINT)
    assert terminal.process.wait(WITHIN_S) == 130
    assert "Traceback" not in terminal.said
    assert terminal.page("case-1") is None
    assert (terminal.settings.cases_dir / "case-1").is_dir()


@pytest.mark.timeout(120)
def test_a_desk_that_is_open_already_shows_it_and_stays(terminal: Terminal) -> None:
    desk = subprocess.Popen(
        [sys.executable, "-m", "lab.desk"], env=terminal.environment, cwd=CHECKOUT
    )
    try:
        deadline_s = time.monotonic() + WITHIN_S
        while True:
            try:
                httpx.get(f"{terminal.settings.url('desk')}/healthz", trust_env=False)
                break
            except httpx.ConnectError:
                assert time.monotonic() < deadline_s
                time.sleep(0.1)
        terminal.start("db-timeout")
        terminal.waits_until_it_says("then the live run goes on here by itself")
        terminal.let_go_on()
        assert terminal.process.wait(WITHIN_S) == 2
        assert terminal.page("db-timeout-1") is not None
    finally:
        desk.kill()
        desk.wait()


@pytest.mark.timeout(120)
def test_a_port_that_somebody_else_holds_is_named_before_anything_is_built(
    terminal: Terminal,
) -> None:
    """Not after minutes, when the stack's own desk would find it."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", terminal.settings.port("desk")))
        held.listen()
        terminal.start("db-timeout")
        assert terminal.process.wait(WITHIN_S) == 2
    terminal.waits_until_it_says("to be free for the desk")
    assert not (terminal.settings.cache_dir / "go-build").exists()


@pytest.mark.timeout(120)
@pytest.mark.parametrize("words", [("db-timeout",), ("db-timeout", "--json")])
def test_where_nobody_watches_nothing_is_opened(terminal: Terminal, words: tuple[str, ...]) -> None:
    """A program, or CI, is told of `make practice`, and its output stays its own."""
    terminal.start(*words, is_terminal=len(words) > 1)
    terminal.waits_until_it_says("`make practice NAME=db-timeout`")
    assert terminal.page("db-timeout-1") is None
    assert not terminal.settings.cases_dir.exists()
    terminal.let_go_on()
    assert terminal.process.wait(WITHIN_S) == 2
