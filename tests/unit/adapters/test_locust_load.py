"""The command line behind free play."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from lab.adapters.locust_load import FreePlay, free_play_command
from lab.settings import Settings
from lab.shop import topology


def command(*arguments: str) -> FreePlay:
    return free_play_command(Settings(port_offset=100), arguments)


def value(play: FreePlay, option: str) -> str | None:
    """The value of ``option``, None where it is not given."""
    if option not in play.argv:
        return None
    return play.argv[play.argv.index(option) + 1]


def test_the_web_ui_is_on_loopback_and_on_the_labs_port() -> None:
    """Free play opens Locust's own page, of this checkout, and nothing to the network."""
    play = command()

    assert (value(play, "--web-host"), value(play, "--web-port")) == (
        topology.HOST,
        str(topology.port("locust_web", 100)),
    )
    assert value(play, "--host") == topology.url("gateway", 100)
    endpoint = play.environment["OTEL_EXPORTER_OTLP_ENDPOINT"]
    assert endpoint == topology.url("otelcol_otlp_http", 100)
    assert "--autostart" not in play.argv


def test_arguments_go_through_last() -> None:
    """So they win over the lab's own."""
    play = command("--headless", "--run-time", "1m")

    assert play.argv[-3:] == ["--headless", "--run-time", "1m"]
    assert value(play, "--web-port") is None


@pytest.mark.parametrize("users", [("--users", "5"), ("-u", "5"), ("--users=5",)])
def test_given_users_start_at_once(users: tuple[str, ...]) -> None:
    """All of them, and in the web UI without a click."""
    assert value(command(*users), "--spawn-rate") == "5"
    assert "--autostart" in command(*users).argv
    assert "--autostart" not in command(*users, "--headless").argv
    assert value(command(*users, "--worker"), "--spawn-rate") is None


def test_a_worker_finds_the_master_of_this_checkout() -> None:
    """Master and workers meet on the lab's port, so two checkouts do not mix."""
    port = str(topology.port("locust_master", 100))

    assert value(command("--master"), "--master-bind-port") == port
    assert value(command("--worker"), "--master-port") == port
    assert value(command("--processes", "2"), "--master-bind-port") == port
    assert value(command("--processes", "2"), "--master-port") == port


def test_settings_for_others_do_not_reach_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sampler meant for another service would drop the roots."""
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "always_off")

    assert "OTEL_TRACES_SAMPLER" not in command().environment


INTERRUPTED_IN_A_THREAD = """
import signal, threading, time

def interrupt():
    time.sleep(0.5)
    signal.raise_signal(signal.SIGINT)

threading.Thread(target=interrupt).start()
"""


def test_ctrl_c_ends_it_wherever_it_strikes(tmp_path: Path) -> None:
    """Also in a thread, such as the one that sends the spans, which would only print it."""
    thread = tmp_path / "thread.py"
    thread.write_text(INTERRUPTED_IN_A_THREAD)
    play = command("--headless", "--users", "1")
    play.argv[play.argv.index("-f") + 1] += f",{thread}"

    done = subprocess.run(play.argv, env=play.environment, capture_output=True, timeout=60)

    assert done.returncode == 0, done.stderr.decode()
