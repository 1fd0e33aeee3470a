"""`lab grafana` with a stand-in for the program: started, waited for, shown to, ended."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lab.adapters.cases import case_folder
from lab.settings import Settings
from lab.shop.topology import HOST
from tests.support.lab_under_test import free_offset
from tests.support.sample_case import sample_case

SERVER = """#!{python}
import json, os, sys
from http.server import BaseHTTPRequestHandler, HTTPServer
class Handler(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass
    def do_GET(self):
        body = b"[]" if "annotations" in self.path else b"{{}}"
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def do_POST(self):
        said = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        print("shaded", said["text"], file=sys.stderr, flush=True)
        self.do_GET()
address = os.environ["GF_SERVER_HTTP_ADDR"], int(os.environ["GF_SERVER_HTTP_PORT"])
HTTPServer(address, Handler).serve_forever()
"""


def home(folder: Path, program: str) -> Path:
    """An unpacked archive whose program is ``program``."""
    (folder / "conf").mkdir(parents=True)
    (folder / "conf" / "defaults.ini").write_text("")
    (folder / "bin").mkdir()
    (folder / "bin" / "grafana").write_text(program.format(python=sys.executable))
    (folder / "bin" / "grafana").chmod(0o700)
    return folder


@contextmanager
def lab_grafana(
    state_dir: Path, grafana_home: Path, offset: int
) -> Iterator[subprocess.Popen[str]]:
    environment = {
        **os.environ,
        "LAB_STATE_DIR": str(state_dir),
        "LAB_PORT_OFFSET": str(offset),
        "LAB_GRAFANA_HOME": str(grafana_home),
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "lab", "grafana"],
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait(10)


def test_it_waits_shades_the_open_case_and_ends_with_ctrl_c(tmp_path: Path) -> None:
    """Where it is stands on the screen; nothing listens there afterwards."""
    offset = free_offset()
    folder = tmp_path / ".lab" / "cases" / "db-timeout-1"
    folder.mkdir(parents=True)
    case_folder.write_case(folder, sample_case())
    with lab_grafana(tmp_path / ".lab", home(tmp_path / "grafana", SERVER), offset) as process:
        assert process.stderr is not None
        said: list[str] = []
        for line in process.stderr:
            said.append(line)
            if "shaded after" in line:
                break
        process.send_signal(signal.SIGINT)
        rest = process.stderr.read()
        assert process.wait(15) == 130, rest
    url = Settings(port_offset=offset).url("grafana")
    assert any(url in line for line in said)
    assert [line.split()[1] for line in said if line.startswith("shaded")] == [
        "before",
        "incident",
        "after",
    ]
    with socket.socket() as probe:
        assert probe.connect_ex((HOST, Settings(port_offset=offset).port("grafana"))) != 0


def test_one_that_ends_at_once_is_told_of(tmp_path: Path) -> None:
    """With its own last words above."""
    program = "#!/bin/sh\necho 'no licence to run' >&2\nexit 3\n"
    with lab_grafana(tmp_path / ".lab", home(tmp_path / "grafana", program), free_offset()) as run:
        _, said = run.communicate(timeout=30)
    assert run.returncode == 2
    assert "no licence to run" in said
    assert "it ended with 3" in said


def test_a_taken_port_is_told_before_anything_starts(tmp_path: Path) -> None:
    """By its number."""
    offset = free_offset()
    port = Settings(port_offset=offset).port("grafana")
    with socket.socket() as other:
        other.bind((HOST, port))
        other.listen()
        with lab_grafana(tmp_path / ".lab", home(tmp_path / "grafana", SERVER), offset) as run:
            _, said = run.communicate(timeout=30)
    assert run.returncode == 2
    assert f"expected port {port} to be free" in said


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LAB_SIGNALS", "BACKEND", "LAB_BACKEND"):
        monkeypatch.delenv(name, raising=False)
